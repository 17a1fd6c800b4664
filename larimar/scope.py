"""The scope detector (paper section 4, ESD): does the memory answer for this prompt, and for which fact?

A sentence encoder embeds the prompt, sentence by sentence, and a logistic classifier looks at how near it is
to a stored phrasing and whether it names the subject. Facts without a subject use the cosine alone. The
weights lie in `data/scope.json`, fitted by `python -m larimar.fit_scope` on records that no benchmark scores.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import sentencex
from rapidfuzz import fuzz

from larimar.index import ScopeIndex, Stored
from larimar.vectors import Floats

FEATURES = ("cosine", "masked_cosine", "fuzzy_name", "name_words", "shared_words", "token_set")
"""What `pair_features` measures; the classifier also sees their squares and products."""
_STEM = 5
_COMMON = frozenset(
    "a an the of is was were are in on at to for by with from as it its what which who whom whose when where "
    "how did does do x s and or be been that this".split()
)
_MASK = "X"


@dataclass(frozen=True)
class Hit:
    """A fact that may answer for a prompt."""

    fact_id: str
    probability: float
    """the detector's probability that it should"""
    cosine: float
    """to the nearest of its phrasings; decides between facts that are all in scope"""


@dataclass(frozen=True)
class Classifier:
    """A logistic model over features, and the probability from which a prompt is in scope."""

    weights: tuple[float, ...]
    bias: float
    threshold: float

    def probability(self, features: Sequence[float]) -> float:
        """P(in scope) of features, which are expanded by `quadratic` first."""
        z = self.bias + sum(w * x for w, x in zip(self.weights, quadratic(features), strict=True))
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))


@lru_cache
def shipped_classifiers() -> tuple[Classifier, Classifier]:
    """The fitted classifiers: for facts with a subject, and for facts without."""
    data = json.loads((resources.files("larimar") / "data" / "scope.json").read_text(encoding="utf-8"))
    return tuple(  # type: ignore[return-value]
        Classifier(tuple(row["weights"]), row["bias"], row["threshold"])
        for row in (data["with_subject"], data["without_subject"])
    )


class Embedder:
    """Unit-norm sentence embeddings, batched."""

    def __init__(self, model: Any) -> None:
        """`model`: a SentenceTransformer."""
        self.model = model

    def embed(self, texts: Sequence[str]) -> Floats:
        """(N, D) float32 with unit rows."""
        if not texts:
            return np.zeros((0, self.model.get_embedding_dimension()), dtype=np.float32)
        made = self.model.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False, batch_size=64
        )
        return np.asarray(made, dtype=np.float32)


class ScopeDetector:
    """Routes prompts to the stored fact that answers for them."""

    def __init__(self, embedder: Embedder, classifiers: tuple[Classifier, Classifier] | None = None) -> None:
        """`classifiers` None takes the shipped ones."""
        self.embedder = embedder
        self._with_subject, self._without = classifiers or shipped_classifiers()

    def store(self, fact_id: str, phrasings: Sequence[str], names: Sequence[str]) -> Stored:
        """Embeddings of a fact's phrasings, ready for the index."""
        masked = [mask_names(text, names) for text in phrasings]
        made = self.embedder.embed([*phrasings, *masked])
        plain, hidden = made[: len(phrasings)].copy(), made[len(phrasings) :].copy()
        return Stored(fact_id, tuple(names), tuple(masked), plain, hidden)

    def route(self, prompts: Sequence[str], index: ScopeIndex) -> list[Hit | None]:
        """For each prompt the nearest fact above its threshold, or None (out of scope)."""
        return [
            max(hits, key=lambda hit: hit.cosine, default=None)
            for hits in self.scores(prompts, index, above_threshold=True)
        ]

    def scores(
        self, prompts: Sequence[str], index: ScopeIndex, *, above_threshold: bool = False
    ) -> list[list[Hit]]:
        """Every candidate fact of each prompt with its probability."""
        if not len(index) or not prompts:
            return [[] for _ in prompts]
        pieces = [sentences_of(prompt) for prompt in prompts]
        flat = self.embedder.embed([piece for group in pieces for piece in group])
        ends = np.cumsum([len(group) for group in pieces])
        plain = np.split(flat, ends[:-1])
        found = [index.candidates(rows) for rows in plain]
        masked = self._masked(pieces, found)
        return [
            [
                hit
                for stored in candidates
                if (hit := self._judge(prompt, rows, masked, group, stored, above_threshold)) is not None
            ]
            for prompt, rows, group, candidates in zip(prompts, plain, pieces, found, strict=True)
        ]

    def _masked(self, pieces: list[list[str]], found: list[list[Stored]]) -> dict[str, Floats]:
        """Embeddings of the masked sentences that the candidates ask for, each once."""
        texts = {
            mask_names(piece, stored.names)
            for group, candidates in zip(pieces, found, strict=True)
            for stored in candidates
            if stored.names
            for piece in group
        }
        wanted = sorted(texts)
        return dict(zip(wanted, self.embedder.embed(wanted), strict=True))

    def _judge(
        self,
        prompt: str,
        rows: Floats,
        masked: dict[str, Floats],
        pieces: list[str],
        stored: Stored,
        cut: bool,
    ) -> Hit | None:
        """The candidate's probability; None when it is below the threshold and `cut` is set.

        Phrasings that name the subject are judged by all features, phrasings that do not by their cosine.
        """
        cosines = (rows @ stored.plain.T).max(axis=0)
        named = stored.named
        judged: list[tuple[Classifier, tuple[float, ...]]] = []
        if named.any():
            texts = [mask_names(piece, stored.names) for piece in pieces]
            hidden = np.stack([masked[text] for text in texts])
            near = float(cosines[named].max()), float((hidden @ stored.masked[named].T).max())
            phrasings = [text for text, is_named in zip(stored.texts, named, strict=True) if is_named]
            features = (*near, *name_features(prompt, stored.names), *word_features(texts, phrasings))
            judged.append((self._with_subject, features))
        if not named.all():
            judged.append((self._without, (float(cosines[~named].max()),)))
        found = [(c.probability(x), c.threshold) for c, x in judged]
        passed = [p for p, threshold in found if p >= threshold]
        if cut and not passed:
            return None
        return Hit(stored.fact_id, max(passed or [p for p, _ in found]), float(cosines.max()))


def sentences_of(text: str) -> list[str]:
    """The whole text and, if it has several, its sentences."""
    whole = text.strip()
    parts = [part.strip() for part in sentencex.segment("en", whole) if part.strip()]
    return [whole, *parts] if len(parts) > 1 else [whole or " "]


def name_features(prompt: str, names: Sequence[str]) -> tuple[float, float]:
    """How well a name is found in the prompt, fuzzily, and the share of its words that are there."""
    text = folded(prompt)
    words = set(re.findall(r"\w+", text))
    fuzzy = max(fuzz.partial_ratio(folded(name), text) for name in names) / 100.0
    return fuzzy, max(_share(re.findall(r"\w+", folded(name)), words) for name in names)


def word_features(texts: Sequence[str], phrasings: Sequence[str]) -> tuple[float, float]:
    """The most words (by their first letters) that a masked sentence shares with a masked phrasing, two ways."""
    pairs = [(folded(text), folded(phrasing)) for text in texts for phrasing in phrasings]
    overlaps = [(_stems(a), _stems(b)) for a, b in pairs]
    shared = max(len(a & b) / max(1, len(a | b)) for a, b in overlaps)
    return shared, max(fuzz.token_set_ratio(a, b) for a, b in pairs) / 100.0


def quadratic(features: Sequence[float]) -> list[float]:
    """The features, then their squares and products."""
    return [*features, *(a * b for i, a in enumerate(features) for b in features[i:])]


def mask_names(text: str, names: Sequence[str]) -> str:
    """The text with every name replaced by «X», longest names first, whatever their case."""
    for name in sorted(names, key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(name)}\b", _MASK, text, flags=re.IGNORECASE)
    return text


def folded(text: str) -> str:
    """NFKC, accents removed, lower case: what names are compared in."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text))
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def _stems(text: str) -> set[str]:
    """The beginnings of a folded text's words, without common ones."""
    return {word[:_STEM] for word in re.findall(r"\w+", text) if word not in _COMMON}


def _share(wanted: list[str], words: set[str]) -> float:
    """Share of a name's words that are in the prompt."""
    return sum(word in words for word in wanted) / len(wanted) if wanted else 0.0
