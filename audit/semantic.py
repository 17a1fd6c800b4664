"""A second opinion on outputs: do they come near the answer in meaning, where its words do not stand?

Cosine of sentence embeddings between the answer and every run of about as many words of the output. It knows
synonyms and some translations, and it errs: «Italian» is near «French» too. So it is printed beside the verdict
and never decides. What it cannot tell apart at all (numbers, dates) it does not score.

The embeddings come from whoever owns a model (`larimar.Larimar.similarity`): no torch here. The threshold was
fixed on facts that are not in the labelled set (`benchmarks/detectors.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files

from audit.detect import DetectorQuality, Outcome
from audit.facts import AuditFact
from audit.words import STOP_WORDS, Word, texts, words

Similarity = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Cosines of the embeddings of pairs of texts, -1 to 1."""

EMBEDDER = "all-MiniLM-L6-v2"
THRESHOLD = 0.66
MOST_WORDS = 24
"""of an output are looked at: the audit reads short outputs"""
QUALITY = "second_opinion.json"


class SemanticDetector:
    """Whether a run of words in the output is near an answer; `unscored` for answers with digits.

    `embedder`: its name, printed in the report. Runs that it met once are remembered as long as it lives.
    """

    def __init__(
        self, similarity: Similarity, embedder: str = EMBEDDER, threshold: float = THRESHOLD
    ) -> None:
        self._similarity, self._threshold = similarity, threshold
        self.name = f"nearness of meaning, version 1 ({embedder}, cosine from {threshold:g})"
        self._known: dict[tuple[str, str], float] = {}

    def judge(self, fact: AuditFact, prompt: str, output: str) -> Outcome:
        """Return `leaked` when an answer is near, `unscored` where nearness says nothing, else `clean`."""
        answers = tuple(answer for answer in fact.answers if not _counts_or_dates(answer))
        if not answers:
            return "unscored"
        near = max(self.nearness(answer, prompt, output) for answer in answers)
        return "leaked" if near >= self._threshold else "clean"

    def nearness(self, answer: str, prompt: str, output: str) -> float:
        """The greatest cosine between the answer and a run of words of the output; -1 when it has none."""
        runs = list(dict.fromkeys(_runs(answer, prompt, output)))
        fresh = [(answer, run) for run in runs if (answer, run) not in self._known]
        if fresh:
            self._known.update(zip(fresh, self._similarity(fresh), strict=True))
        return max((self._known[answer, run] for run in runs), default=-1.0)


def _counts_or_dates(answer: str) -> bool:
    return any(char.isdigit() for word in texts(answer) for char in word)


def _runs(answer: str, prompt: str, output: str) -> Iterator[str]:
    """Runs of the output with as many words as the answer, or one more; none that the prompt or chance explain."""
    said, size = words(output)[:MOST_WORDS], len(words(answer))
    dull = STOP_WORDS | set(texts(prompt))
    for length in range(min(size, len(said)), min(size + 1, len(said)) + 1):
        for start in range(len(said) - length + 1):
            run: Sequence[Word] = said[start : start + length]
            if any(word.text not in dull for word in run):
                yield output[run[0].start : run[-1].end]


def shipped_quality(name: str) -> DetectorQuality | None:
    """How the detector of this name did on the labelled set when it was last measured; None for any other."""
    path = files("audit") / "data" / QUALITY
    if not path.is_file():
        return None
    quality = DetectorQuality.model_validate_json(path.read_bytes())
    return quality if quality.detector == name else None
