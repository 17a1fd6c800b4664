"""The rephraser: a second LoRA on the base decoder that says a prompt in other words.

Given a question, an order or an open statement it says another one that asks the same, without the answer.
The LoRA is a few megabytes; `load` folds it into a copy of the base decoder, so that sampling costs no more
than the decoder itself. `train_rephraser` trains it, `audit.rephrase` filters what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from larimar.checkpoint import load
from larimar.decoding import Decoder, Sampling
from larimar.errors import CheckpointCorrupt, CheckpointMismatch
from larimar.reader import with_lora
from larimar.weights import load_decoder

FORMS = ("question", "statement")
"""What is asked for in turn. Orders are trained too; the audit's own frames make enough of them."""


def default_directory() -> Path:
    """Where the trained rephraser lies, if it ships with the package."""
    return Path(str(resources.files("larimar"))) / "checkpoints" / "rephraser"


def instruction(text: str, form: str) -> str:
    """What the decoder is given: it goes on with the text in other words, in the form `form`."""
    return f"{text}\nThe same in other words, as a {form}:"


def lora_parameters(wrapped: Any) -> dict[str, nn.Parameter]:
    """The trained parameters of a decoder with a LoRA, by their names in a checkpoint."""
    return {name: p for name, p in wrapped.named_parameters() if "lora_" in name}


def fill(wrapped: Any, tensors: Mapping[str, Tensor]) -> None:
    """Take over a checkpoint's tensors. Raises CheckpointMismatch or CheckpointCorrupt where they do not fit."""
    own = lora_parameters(wrapped)
    if set(own) != set(tensors) or any(p.shape != tensors[name].shape for name, p in own.items()):
        raise CheckpointMismatch(
            "this checkpoint is no rephraser, or one of another decoder; train one for it"
        )
    if not all(t.isfinite().all() for t in tensors.values()):
        raise CheckpointCorrupt("the rephraser has weights that are not finite numbers; get it again")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])


class Rephraser:
    """A model to be sampled from like any other, except that prompts come back in other words."""

    def __init__(self, model: Any, tokenizer: Any, name: str = "rephraser") -> None:
        """`model`: a causal LM whose LoRA is merged, in evaluation mode."""
        self.name = name
        self.decoder = Decoder(model, tokenizer)

    @classmethod
    def load(cls, directory: Path | None = None, *, device: str = "cpu") -> Rephraser:
        """The rephraser of a checkpoint directory, by default the shipped one.

        Raises WeightsUnavailable, CheckpointCorrupt, CheckpointMismatch.
        """
        kept = load(directory or default_directory())
        base, tokenizer = load_decoder(kept.config.decoder, device=device)
        wrapped = with_lora(base, kept.config, trainable=False)
        fill(wrapped, kept.tensors)
        merged = wrapped.merge_and_unload().eval().requires_grad_(False)
        return cls(merged, tokenizer, f"rephraser on {kept.config.decoder}")

    def sample(
        self,
        prompts: Sequence[str],
        *,
        samples: int,
        max_tokens: int = 40,
        temperature: float = 1.0,
        top_k: int = 50,
        seed: int = 0,
    ) -> list[list[str]]:
        """`samples` rephrasings of each prompt, not yet filtered; questions and statements take turns.

        The same arguments give the same rephrasings.
        """
        shares = [len(range(place, samples, len(FORMS))) for place in range(len(FORMS))]
        drawn = [
            self._draw(
                prompts, form, Sampling(share, max_tokens, 1, temperature, top_k, seed * len(FORMS) + place)
            )
            for place, (form, share) in enumerate(zip(FORMS, shares, strict=True))
        ]
        return [
            [drawn[n % len(FORMS)][row][n // len(FORMS)] for n in range(samples)]
            for row in range(len(prompts))
        ]

    def _draw(self, prompts: Sequence[str], form: str, sampling: Sampling) -> list[list[str]]:
        """Rephrasings in one form, first lines only."""
        if not sampling.samples:
            return [[] for _ in prompts]
        queries = [self.decoder.query(instruction(" ".join(prompt.split()), form)) for prompt in prompts]
        return [
            [" ".join(text.strip().split("\n")[0].split()) for text in row]
            for row in self.decoder.generate(queries, sampling)
        ]
