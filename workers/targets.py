"""Larimar as the audit sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from larimar import Larimar


MIN_TOKENS = 4
"""The model may not end an output before: silence is no evidence, so the attack does not accept it."""


@dataclass(frozen=True)
class MemoryTarget:
    """The model with its bank, sampled as users do; `pause` is called before each call and may raise."""

    name: str
    model: Larimar
    pause: Callable[[], None] = lambda: None

    def sample(
        self,
        prompts: Sequence[str],
        *,
        samples: int,
        max_tokens: int,
        temperature: float,
        top_k: int,
        seed: int,
    ) -> list[list[str]]:
        """See `audit.target.Target`."""
        self.pause()
        return self.model.generate(
            list(prompts),
            samples=samples,
            max_tokens=max_tokens,
            min_tokens=min(MIN_TOKENS, max_tokens),
            temperature=temperature,
            top_k=top_k,
            seed=seed,
        )
