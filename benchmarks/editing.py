"""Single edits, many records at a time: what CounterFact, ZsRE and the rephrasings share.

Each record is its own edit of an empty bank. Routes of many such banks go through the decoders in one batch,
where equal inputs are read once: a prompt out of scope reaches the base decoder with the very input that the
base decoder is scored on. `check` compares that with the model's own path, record by record, bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from larimar import Fact, Larimar
from larimar.scope import Embedder
from larimar.serving import Route

Item = TypeVar("Item")


class RememberingEmbedder(Embedder):
    """A sentence encoder that embeds each text once; `remember` begins anew with one large batch."""

    def __init__(self, embedder: Embedder) -> None:
        """`embedder` does the work."""
        super().__init__(embedder.model)
        self._known: dict[str, NDArray[np.float32]] = {}

    def remember(self, texts: Sequence[str]) -> None:
        """Embed texts side by side and forget all others."""
        self._known = {}
        self.embed(texts)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder`."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known |= dict(zip(fresh, super().embed(fresh), strict=True))
        return np.stack([self._known[text] for text in texts]) if texts else super().embed([])


def edited(model: Larimar, fact: Fact, stored: Sequence[str] = ()) -> tuple[Larimar, float]:
    """A model whose bank holds one fact and nothing else, and the seconds that writing it took."""
    twin = model.with_bank()
    started = time.perf_counter()
    twin.write([fact])
    if stored:
        twin.widen(fact.id, stored)
    return twin, time.perf_counter() - started


def routes_of(model: Larimar, prompts: Sequence[str], fact_id: str, scope: bool) -> list[Route]:
    """Where an edited model leads prompts, with its detector on or off."""
    return model.routes(prompts) if scope else model.reading(prompts, fact_id)


def check(model: Larimar, prompts: Sequence[str], targets: Sequence[str]) -> None:
    """Compare an edited model, asked alone, with the base decoder out of scope and, its fact forgotten, with an
    empty bank, both bit for bit. Raises AssertionError.
    """
    outside = [i for i, fact_id in enumerate(model.in_scope(prompts)) if fact_id is None]
    asked, wanted = [prompts[i] for i in outside], [targets[i] for i in outside]
    if model.score(asked, wanted) != model.base.score(asked, wanted):
        raise AssertionError("out of scope the edited model's scores are not the base decoder's")
    model.forget(list(model.bank.entries))
    if model.digest() != model.with_bank().digest():
        raise AssertionError("after forgetting its only fact the bank is not an empty bank")


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Consecutive groups of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
