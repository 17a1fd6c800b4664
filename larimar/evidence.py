"""What the scope detector knows about a prompt and one stored fact, before anything is decided.

A prompt is taken apart into sentences; in each the fact's name is looked for and replaced by «X», and a
sentence that goes on with a pronoun after the name is read with the name in it. From the texts and their
embeddings come the features of stage one; the sentences that name the subject are what the judge reads.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from larimar.index import Stored
from larimar.names import MASK, NEAR, Located, Word, folded, initials_in, locate, normalise, words_of
from larimar.sentences import segmented
from larimar.vectors import Floats

Kind = Literal["with_subject", "without_subject"]
KINDS: tuple[Kind, ...] = ("with_subject", "without_subject")
"""Phrasings that name the fact's subject, and phrasings that do not, are judged by different classifiers."""
Features = tuple[float, ...]
FEATURES: dict[Kind, tuple[str, ...]] = {
    "with_subject": ("cosine", "masked_cosine", "near_name", "name_words", "shared_words", "token_set"),
    "without_subject": ("cosine", "shared_words", "token_set"),
}
"""What stage one measures; the classifier also sees squares and products."""
_STEM = 5
_SAME = 0.999
"""Cosine above which two texts with equal words outside the name have equal names too."""
_MOST_VIEWS = 3
_MOST_PHRASINGS = 3
_COMMON = frozenset(
    "a an the of is was were are in on at to for by with from as it its what which who whom whose when where "
    "how did does do x s and or be been that this".split()
)
_POSSESSIVE = re.compile(r"\b(his|her|its|their)\b(?= \w)", re.IGNORECASE)
_PERSONAL = re.compile(r"\b(he|she|it|they|him|her|them)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """A prompt as the detector sees it."""

    pieces: list[str]
    """the whole text and, if it has several, its sentences"""
    plain: Floats
    """(pieces, D)"""
    vocabulary: Container[str] = frozenset()
    """words that are no slips of the pen"""

    @cached_property
    def words(self) -> list[list[Word]]:
        """The words of each piece, found once for all the facts that the prompt is laid beside."""
        return [words_of(piece, self.vocabulary) for piece in self.pieces]

    @cached_property
    def initials(self) -> list[list[Word]]:
        """The runs of initials in each piece."""
        return [initials_in(piece) for piece in self.pieces]


@dataclass(frozen=True)
class Case:
    """A prompt beside one stored fact."""

    asked: Asked
    stored: Stored
    located: list[Located]
    """the pieces, with the fact's name looked for"""
    texts: list[str]
    """the pieces with the name hidden, pronouns after it too; then what follows a name that was glued to
    something else («Category:Villages in Ohio Ada Lovelace was born in»)"""

    @cached_property
    def cosines(self) -> Floats:
        """Of each piece and each phrasing (pieces, phrasings)."""
        return self.asked.plain @ self.stored.plain.T

    @property
    def name(self) -> tuple[float, float]:
        """The best trace of the name: similarity, and share of its words."""
        return max(each.near for each in self.located), max(each.share for each in self.located)


def sentences_of(text: str) -> list[str]:
    """The normalised text and, if it has several, its sentences."""
    whole = normalise(text).strip()
    lines = [line for line in whole.splitlines() if line.strip()]
    parts = [part.strip() for line in lines for part in segmented(line) if part.strip()]
    return [whole, *parts] if len(parts) > 1 else [whole or " "]


def beside(asked: Asked, stored: Stored) -> Case:
    """Look for the fact's name in every piece of the prompt."""
    if not stored.names:
        return Case(asked, stored, [Located(piece, 0.0, 0.0) for piece in asked.pieces], asked.pieces)
    found = zip(asked.pieces, asked.words, asked.initials, strict=True)
    located = [locate(piece, stored.names, words, initials) for piece, words, initials in found]
    texts, named = [each.text for each in located], False
    for i, each in enumerate(located[1:], start=1):
        if each.share:
            named = True
        elif named:
            texts[i] = _resolved(each.text)
    glued = [
        _cropped(each.text) for each in located[1:] or located if each.share == 1.0 and each.near >= NEAR
    ]
    return Case(asked, stored, located, [*texts, *dict.fromkeys(text for text in glued if text)])


def has(case: Case, kind: Kind) -> bool:
    """Whether the fact has phrasings of this kind."""
    return bool(_of_kind(case, kind).any())


def verbatim(case: Case) -> bool:
    """Whether a piece of the prompt is a stored phrasing, word for word: then nothing is left to be judged."""
    same = np.argwhere(case.cosines > _SAME).tolist()
    return any(folded(case.texts[i]) == folded(case.stored.texts[j]) for i, j in same)


def features_of(kind: Kind, case: Case, masked: dict[str, Floats]) -> Features:
    """`FEATURES[kind]` of a case; `masked` embeds its texts."""
    at = _of_kind(case, kind)
    phrasings = [t for t, kept in zip(case.stored.texts, at, strict=True) if kept]
    cosine = float(case.cosines[:, at].max())
    if kind == "without_subject":
        return cosine, *word_features(case.asked.pieces, phrasings)
    hidden = float((_rows(case, masked) @ case.stored.masked[at].T).max())
    return cosine, hidden, *case.name, *word_features(case.texts, phrasings)


def pairs_of(kind: Kind, case: Case, masked: dict[str, Floats]) -> list[tuple[str, str]]:
    """What the judge reads: the nearest phrasings, each with the sentences that count.

    These are the sentences that name the subject; for a phrasing without a subject, the nearest ones.
    """
    at = _of_kind(case, kind)
    named = kind == "with_subject"
    rows, stored = (
        (_rows(case, masked), case.stored.masked) if named else (case.asked.plain, case.stored.plain)
    )
    texts = case.texts if named else case.asked.pieces
    near = np.where(at, rows @ stored.T, -np.inf)
    whole = len(case.asked.pieces) > 1  # the first text holds all others
    counting = [
        i for i, text in enumerate(texts) if i >= whole and (not named or MASK in re.findall(r"\w+", text))
    ]
    views = sorted(counting or [0], key=lambda i: -float(near[i].max()))[:_MOST_VIEWS]
    phrasings = [int(i) for i in np.argsort(-near.max(axis=0)) if at[i]][:_MOST_PHRASINGS]
    return [(case.stored.texts[i], texts[view]) for i in phrasings for view in views]


def word_features(texts: Sequence[str], phrasings: Sequence[str]) -> tuple[float, float]:
    """The most words (by their first letters) that a text shares with a phrasing, two ways."""
    asked, stored = [folded(text) for text in texts], [folded(phrasing) for phrasing in phrasings]
    left, right = [_stems(text) for text in asked], [_stems(text) for text in stored]
    shared = max(len(a & b) / max(1, len(a | b)) for a in left for b in right)
    return shared, max(fuzz.token_set_ratio(a, b) for a in asked for b in stored) / 100.0


def _of_kind(case: Case, kind: Kind) -> NDArray[np.bool_]:
    """Which phrasings (phrasings,) name the subject, or do not."""
    named = case.stored.named
    return named if kind == "with_subject" else ~named


def _rows(case: Case, masked: dict[str, Floats]) -> Floats:
    """Embeddings (pieces, D) of a case's texts."""
    return np.stack([masked[text] for text in case.texts])


def _resolved(text: str) -> str:
    """The first pronoun of a sentence that follows the name, read as the name."""
    found = _POSSESSIVE.sub(f"{MASK}'s", text, count=1)
    return found if found != text else _PERSONAL.sub(MASK, text, count=1)


def _cropped(text: str) -> str:
    """The text from the name on, where the word before it is no small one that could belong to it; or nothing."""
    found = re.search(rf"\b{MASK}\b", text)
    before = text[: found.start()].split() if found else []
    belongs = (
        before and re.fullmatch(r"[a-z'’,;:\"(-]+", before[-1]) and not before[0].startswith("Category:")
    )
    if found is None or not before or belongs:
        return ""
    return text[found.start() :] if len(text[found.end() :].split()) > 1 else ""


def _stems(text: str) -> set[str]:
    """The beginnings of a folded text's words, without common ones."""
    return {word[:_STEM] for word in re.findall(r"\w+", text) if word not in _COMMON}
