"""Opens a source of rephrasings by name: what the command line and the settings mean by it.

    templates          fixed frames; no model
    model, model:DIR   the rephraser that ships, or one of your own (`python -m larimar.train_rephraser`)
    mixed, mixed:DIR   that one and templates in turn
    list:FILE          the user's own phrasings (CSV or JSON, `audit.phrasing_list`)
    hf:ID_OR_PATH      a causal LM, shown examples

Where a source says too little of a fact, the attack fills up with templates. What is opened remembers what it said,
so that an audit asks a model once; it must not outlive the audit. The scope detector's judge is no filter here: an
attack that is filtered by the defence would never show its holes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from audit.errors import AuditError
from audit.model_rephrase import ModelRephraser, TrainedRephraser
from audit.phrasing_list import read_phrasings
from audit.rephrase import (
    ListRephraser,
    MixedRephraser,
    RememberedRephraser,
    Rephraser,
    TemplateRephraser,
)
from workers.targets import DecoderTarget

if TYPE_CHECKING:
    from larimar.rephraser import Rephraser as Trained
    from larimar.scope import Embedder

FORMS = "templates, model, mixed, model:DIR, mixed:DIR, list:FILE or hf:ID_OR_PATH"


def open_rephraser(spec: str, device: str = "cpu") -> Rephraser:
    """The source that `spec` names, for certification.

    Raises AuditError for anything else, PhrasingsUnreadable, and larimar's WeightsUnavailable, CheckpointCorrupt,
    CheckpointMismatch.
    """
    how, named, where = spec.partition(":")
    if spec == "templates":
        return TemplateRephraser()
    if how == "list" and where:
        return ListRephraser(read_phrasings(Path(where)))
    from larimar.precision import present

    if how in ("model", "mixed") and bool(named) == bool(where):
        device = present(device)
        trained = _trained(device, Path(where) if where else None)
        model = RememberedRephraser(TrainedRephraser(trained, Cosine(device)))
        return model if how == "model" else MixedRephraser(model, TemplateRephraser())
    if how == "hf" and where:
        device = present(device)
        return RememberedRephraser(ModelRephraser(DecoderTarget.load(where, device), Cosine(device)))
    raise AuditError(f"a rephraser is {FORMS}")


class Cosine:
    """Similarity of pairs of texts by the packaged sentence encoder; loaded when it is first asked."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Cosine of each pair."""
        made = _embedder(self.device).embed([text for pair in pairs for text in pair])
        return [float(first @ second) for first, second in zip(made[::2], made[1::2], strict=True)]


@lru_cache(maxsize=1)
def _trained(device: str, directory: Path | None) -> Trained:
    """The trained rephraser (None: the shipped one), loaded once a process."""
    from larimar.rephraser import Rephraser as Loaded

    return Loaded.load(directory, device=device)


@lru_cache(maxsize=1)
def _embedder(device: str) -> Embedder:
    """The packaged sentence encoder, loaded once a process."""
    from larimar.scope import Embedder as Loaded
    from larimar.weights import DEFAULT_SENTENCE_ENCODER, load_sentence_encoder

    return Loaded(load_sentence_encoder(DEFAULT_SENTENCE_ENCODER, device))
