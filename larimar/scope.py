"""The scope detector (paper section 4): does the memory answer for this prompt, and for which fact?

Two detectors, by name. `esd` embeds the prompt, sentence by sentence, and a logistic classifier looks at how
near it is to a stored phrasing and whether it names the subject. `isd` (default) is a cascade: what `esd`
does not rule out at once is read by the trained `judge`, together with the stored prompt, and a second
classifier decides. A prompt that is about nobody who is stored costs the first stage alone. Classifiers and
thresholds lie in `data/scope.json` with their false-accept and false-reject rates, fitted by
`python -m larimar.fit_scope` on records that no benchmark scores.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch.nn.functional import normalize

from larimar.evidence import (
    KINDS,
    Asked,
    Case,
    Features,
    Kind,
    beside,
    features_of,
    has,
    pairs_of,
    sentences_of,
    verbatim,
)
from larimar.index import ScopeIndex, Stored
from larimar.judge import Judge
from larimar.names import folded, mask_names, normalise, visible
from larimar.unpadded import Unpadded
from larimar.vectors import Floats
from larimar.weights import DEFAULT_SENTENCE_ENCODER, load_sentence_encoder

DetectorName = Literal["isd", "esd"]


class Reads(Protocol):
    """What the detector asks of a judge."""

    def logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """How much each query (second) asks for what is stored (first)."""


@dataclass(frozen=True)
class Hit:
    """A fact that may answer for a prompt."""

    fact_id: str
    probability: float
    """the detector's probability that it should"""
    cosine: float
    """to the nearest of its phrasings"""


@dataclass(frozen=True)
class Classifier:
    """A logistic model over features, and the probability from which a prompt is in scope."""

    weights: tuple[float, ...]
    bias: float
    threshold: float
    gate: float
    """below this probability the judge is not asked"""
    tombstone: float = 0.0
    """the threshold for a tombstone, where it is the higher one: what passes is looked at again when it is answered"""

    def passes_from(self, *, censored: bool) -> float:
        """The threshold for a fact, or for a tombstone."""
        return max(self.threshold, self.tombstone) if censored else self.threshold

    def probability(self, features: Sequence[float]) -> float:
        """P(in scope) of features, which are expanded by `quadratic` first."""
        z = self.bias + sum(w * x for w, x in zip(self.weights, quadratic(features), strict=True))
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, z))))


Classifiers = dict[str, Classifier]
"""by `<detector>_<with_subject or without_subject>`"""


@lru_cache
def shipped_classifiers() -> Classifiers:
    """The fitted classifiers of both detectors."""
    return read_classifiers(Path(str(resources.files("larimar") / "data" / "scope.json")))


def read_classifiers(path: Path) -> Classifiers:
    """The classifiers of a file that `python -m larimar.fit_scope` wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Classifier(
            tuple(row["weights"]),
            row["bias"],
            row["threshold"],
            row["gate"],
            row.get("threshold_tombstone", row["threshold"]),
        )
        for name, row in data["classifiers"].items()
    }


class Embedder:
    """Unit-norm sentence embeddings, batched."""

    def __init__(self, model: Any) -> None:
        """`model`: a SentenceTransformer. A BERT with mean pooling, as the packaged one, runs without padding."""
        self.model = model
        self.vocabulary = whole_words(model.tokenizer.get_vocab())
        self._fast = Unpadded(model[0].auto_model) if _pools_a_bert(model) else None

    def embed(self, texts: Sequence[str]) -> Floats:
        """(N, D) float32 with unit rows."""
        width = self.model.get_embedding_dimension()
        if not texts:
            return np.zeros((0, width), dtype=np.float32)
        if self._fast is None:
            made = self.model.encode(
                list(texts), normalize_embeddings=True, show_progress_bar=False, batch_size=64
            )
            return np.asarray(made, dtype=np.float32)
        cut = {"truncation": True, "max_length": self.model.max_seq_length}
        rows = np.empty((len(texts), width), dtype=np.float32)
        for group in self._fast.groups(self.model.tokenizer(list(texts), **cut).input_ids):
            rows[group.at] = normalize(group.hidden.mean(dim=1)).cpu().numpy()
        return rows


def whole_words(vocabulary: Iterable[str]) -> frozenset[str]:
    """Words of a WordPiece vocabulary that are no pieces of others; none for a vocabulary of another kind."""
    tokens = set(vocabulary)
    if not any(token.startswith("##") for token in tokens):
        return frozenset()
    return frozenset(folded(token) for token in tokens if token.isalpha())


def _pools_a_bert(model: Any) -> bool:
    """Whether a SentenceTransformer is the mean of a BERT's last hidden states, and nothing else."""
    parts = [type(part).__name__ for part in model]
    if parts not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        return False
    plain = model.default_prompt_name is None and model[1].pooling_mode == "mean"
    return plain and Unpadded.fits(model[0].auto_model)


class ScopeDetector:
    """Routes prompts to the stored fact that answers for them."""

    def __init__(
        self, embedder: Embedder, judge: Reads | None = None, classifiers: Classifiers | None = None
    ) -> None:
        """Without a judge this is ESD, with one ISD. `classifiers` None takes the shipped ones."""
        self.embedder, self.judge = embedder, judge
        self.classifiers = shipped_classifiers() if classifiers is None else classifiers

    @property
    def name(self) -> DetectorName:
        """Which detector this is."""
        return "isd" if self.judge else "esd"

    def store(self, fact_id: str, phrasings: Sequence[str], names: Sequence[str]) -> Stored:
        """Embeddings of a fact's phrasings, ready for the index."""
        return self.store_all([(fact_id, phrasings, names)])[0]

    def store_all(self, facts: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> list[Stored]:
        """`store` for many facts (id, phrasings, names), in one batch of embeddings."""
        texts = [[normalise(phrasing) for phrasing in phrasings] for _, phrasings, _ in facts]
        names = [tuple(normalise(name) for name in visible(own)) for _, _, own in facts]
        masked = [[mask_names(t, n) for t in group] for group, n in zip(texts, names, strict=True)]
        known = sorted({t for group in (*texts, *masked) for t in group})
        row = dict(zip(known, self.embedder.embed(known), strict=True))  # equal texts get equal bits
        return [
            Stored(
                fact[0],
                own,
                tuple(hidden),
                np.stack([row[t] for t in plain]),
                np.stack([row[t] for t in hidden]),
            )
            for fact, own, plain, hidden in zip(facts, names, texts, masked, strict=True)
        ]

    def route(
        self, prompts: Sequence[str], index: ScopeIndex, among: Container[str] | None = None
    ) -> list[Hit | None]:
        """For each prompt the fact above its threshold that fits best, or None (out of scope).

        Between facts that are asked for with like certainty the cosine decides: a stored phrasing finds its own fact.
        With `among` only hits on these facts count, and any other is None; a prompt that asks for none of them
        is then not laid beside the rest.
        """

        def fit(hit: Hit) -> tuple[float, float]:
            return (0.0 if self.judge is None else round(hit.probability, 1), hit.cosine)

        if not len(index):
            return [None for _ in prompts]
        asked, near = self._near(prompts, index)
        if among is not None:
            wanted = [[fact_id for fact_id in group if fact_id in among] for group in near]
            passed = self._hits(asked, wanted, index, above_threshold=True)
            near = [group if hits else [] for group, hits in zip(near, passed, strict=True)]
        found = self._hits(asked, near, index, above_threshold=True)
        best = [max(hits, key=fit, default=None) for hits in found]
        return [hit if hit and (among is None or hit.fact_id in among) else None for hit in best]

    def scores(self, prompts: Sequence[str], index: ScopeIndex) -> list[list[Hit]]:
        """Every candidate fact of each prompt with its probability."""
        if not len(index):
            return [[] for _ in prompts]
        return self._hits(*self._near(prompts, index), index, above_threshold=False)

    def _near(self, prompts: Sequence[str], index: ScopeIndex) -> tuple[list[Asked], list[list[str]]]:
        """Prompts, and the ids of the candidate facts of each: the nearest, and those named by initials alone."""
        asked = self.asked(prompts)
        near = index.nearest_each([each.plain for each in asked])
        for each, group in zip(asked, near, strict=True):
            if initials := {run.text for piece in each.initials for run in piece}:
                group += [i for i in index.called(initials, each.plain) if i not in group]
        return asked, near

    def _hits(
        self,
        asked: Sequence[Asked],
        near: Sequence[Sequence[str]],
        index: ScopeIndex,
        *,
        above_threshold: bool,
    ) -> list[list[Hit]]:
        """The facts `near` each prompt with their probabilities; with `above_threshold` those that may answer."""
        stored = {fact_id: index.stored(fact_id) for fact_id in dict.fromkeys(chain(*near))}
        cases = [beside(a, stored[i]) for a, group in zip(asked, near, strict=True) for i in group]
        hits = iter(self.judged(cases, index.tombstones, above_threshold=above_threshold))
        groups = [[next(hits) for _ in group] for group in near]
        return [[hit for hit in group if hit is not None] for group in groups]

    def asked(self, prompts: Sequence[str]) -> list[Asked]:
        """Prompts in sentences with their embeddings, in one batch; a sentence that recurs is embedded once."""
        pieces = [sentences_of(prompt) for prompt in prompts]
        known = list(dict.fromkeys(piece for group in pieces for piece in group))
        row = dict(zip(known, self.embedder.embed(known), strict=True))
        words = self.embedder.vocabulary
        return [Asked(group, np.stack([row[piece] for piece in group]), words) for group in pieces]

    def judged(
        self, cases: Sequence[Case], tombstones: Container[str] = (), *, above_threshold: bool = False
    ) -> list[Hit | None]:
        """Each case's probability; None when it is below the threshold and `above_threshold` is set.

        Phrasings that name the subject and phrasings that do not are judged apart; the better counts. A phrasing
        that is asked word for word is in scope. `tombstones`: facts with a threshold of their own.
        """
        found: list[list[tuple[float, float]]] = [[(1.0, 0.0)] if verbatim(case) else [] for case in cases]
        unsure = [i for i, chances in enumerate(found) if not chances]
        for kind in KINDS:
            places = [i for i in unsure if has(cases[i], kind)]
            for i, chance in zip(places, self._decide(kind, [cases[i] for i in places]), strict=True):
                decider = self.classifiers[f"{self.name}_{kind}"]
                found[i].append((chance, decider.passes_from(censored=cases[i].stored.fact_id in tombstones)))
        hits: list[Hit | None] = []
        for case, chances in zip(cases, found, strict=True):
            passed = [p for p, threshold in chances if p >= threshold]
            best = max(passed or [p for p, _ in chances])
            hit = Hit(case.stored.fact_id, best, float(case.cosines.max()))
            hits.append(hit if passed or not above_threshold else None)
        return hits

    def evidence(self, kind: Kind, cases: Sequence[Case]) -> tuple[list[Features], list[float]]:
        """Features and judge's logit of cases (zero without a judge), whatever the gate; for fitting."""
        masked = self._masked(cases)
        logits = self._logits(kind, cases, masked) if self.judge else [0.0] * len(cases)
        return [features_of(kind, case, masked) for case in cases], logits

    def _decide(self, kind: Kind, cases: Sequence[Case]) -> list[float]:
        """Probability of each case; the judge is asked where stage one does not rule it out."""
        first, second = self.classifiers[f"esd_{kind}"], self.classifiers[f"isd_{kind}"]
        masked = self._masked(cases)
        features = [features_of(kind, case, masked) for case in cases]
        early = [first.probability(x) for x in features]
        if self.judge is None:
            return early
        at = [i for i, p in enumerate(early) if p >= first.gate]
        logits = dict(zip(at, self._logits(kind, [cases[i] for i in at], masked), strict=True))
        return [
            second.probability(with_logit(logits[i], x)) if i in logits else 0.0
            for i, x in enumerate(features)
        ]

    def _logits(self, kind: Kind, cases: Sequence[Case], masked: dict[str, Floats]) -> list[float]:
        """The judge's highest logit for each case, in one batch."""
        assert self.judge is not None
        groups = [pairs_of(kind, case, masked) for case in cases]
        flat = self.judge.logits([pair for group in groups for pair in group])
        ends = np.cumsum([len(group) for group in groups])
        return [float(part.max()) for part in np.split(flat, ends[:-1])] if groups else []

    def _masked(self, cases: Sequence[Case]) -> dict[str, Floats]:
        """Embeddings of every text of the cases, each computed once and only where masking changed it."""
        known = {text: row for c in cases for text, row in zip(c.asked.pieces, c.asked.plain, strict=True)}
        wanted = sorted({text for c in cases if c.stored.names for text in c.texts} - known.keys())
        return known | dict(zip(wanted, self.embedder.embed(wanted), strict=True))


def with_logit(logit: float, features: Features) -> Features:
    """Features of the second stage: the judge's logit, scaled to the size of the others, before them."""
    return (max(-1.0, min(1.0, logit / 8.0)), *features)


def quadratic(features: Sequence[float]) -> list[float]:
    """The features, then their squares and products."""
    return [*features, *(a * b for i, a in enumerate(features) for b in features[i:])]


def load_detector(
    name: DetectorName = "isd", sentence_encoder: str = DEFAULT_SENTENCE_ENCODER, device: str = "cpu"
) -> ScopeDetector:
    """The shipped scope detector by name: `isd` with the trained judge, `esd` without. Raises WeightsUnavailable."""
    encoder = load_sentence_encoder(sentence_encoder, device)
    if name == "esd":
        return ScopeDetector(Embedder(encoder))
    packaged = DEFAULT_SENTENCE_ENCODER
    judging = encoder if sentence_encoder == packaged else load_sentence_encoder(packaged, device)
    return ScopeDetector(Embedder(encoder), Judge.load(judging))
