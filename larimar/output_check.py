"""The output check: a long free answer must not tell in its third sentence what the prompt did not ask.

The scope detector looks at prompt and completion together, sentence by sentence. A sentence that it routes to
a tombstone is dropped with everything after it, and the tombstone's answer is said instead. Completions in
which no word of a tombstone's name occurs are not looked at, and come back as they are, character for
character.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sentencex

from larimar.entry import Entry
from larimar.names import folded

_WORD = re.compile(r"\w+")
_SMALL = 3
"""Shorter words of a name do not count as a trace of it."""


@dataclass(frozen=True)
class Completion:
    """A prompt and what was said after it."""

    prompt: str
    output: str
    answers_prompt: bool = False
    """the memory answered this prompt for a tombstone already: only what follows the first sentence counts"""


@dataclass(frozen=True)
class Sentence:
    """One sentence of a completion, as the detector is to see it."""

    text: str
    """with the last sentence that names somebody before it, if it names nobody itself"""
    keep: int
    """characters of the output before it"""


class Tombstones:
    """The names of a bank's tombstones, so that entries are read once and not for every completion."""

    def __init__(self) -> None:
        """None yet."""
        self.names: dict[str, tuple[str, ...]] = {}
        """by fact id"""
        self._seen: set[str] = set()
        self._words: frozenset[str] | None = None

    def follow(self, entries: Mapping[str, Entry]) -> None:
        """Take in what is new in the bank and drop what is gone."""
        gone = [fact_id for fact_id in self._seen if fact_id not in entries]
        new = [fact_id for fact_id in entries if fact_id not in self._seen]
        if gone:
            self.drop(gone)
        for fact_id in new:
            entry = entries[fact_id]
            if entry.kind == "tombstone":
                self.names[fact_id], self._words = entry.scope.names, None
        self._seen.update(new)

    def drop(self, fact_ids: Iterable[str]) -> None:
        """Forget these names."""
        self._seen.difference_update(fact_ids)
        self.names, self._words = {i: n for i, n in self.names.items() if i in self._seen}, None

    def words(self) -> frozenset[str] | None:
        """`name_words` of all tombstones; None when one of them names nobody."""
        if self._words is None and all(self.names.values()):
            self._words = name_words({name for names in self.names.values() for name in names})
        return self._words


def name_words(names: Collection[str]) -> frozenset[str]:
    """The words, folded, by which any of the names may be recognised."""
    words = {word for name in names for word in _WORD.findall(folded(name))}
    return frozenset(word for word in words if len(word) > _SMALL) or frozenset(words)


def sentences_to_check(completion: Completion, words: frozenset[str] | None) -> list[Sentence]:
    """Sentences with new text that may tell something; `words` None (facts without a name) takes every one."""
    start = len(completion.prompt.rstrip())
    text = completion.prompt.rstrip() + completion.output
    kept, named = [], ""
    if words is not None and not _names_any(text, words):
        return []
    for sentence, begin, end in _spans(text):
        names_somebody = words is None or _names_any(sentence, words)
        straddles = begin < start
        if end > start and (names_somebody or named) and not (straddles and completion.answers_prompt):
            shown = sentence if names_somebody else f"{named} {sentence}"
            kept.append(Sentence(shown, max(0, begin - start)))
        named = sentence if names_somebody else named
    return kept


def checked(
    completions: Sequence[Completion],
    words: frozenset[str] | None,
    censored: Callable[[Sequence[str]], Sequence[str | None]],
) -> list[str]:
    """Outputs, cut where a sentence is censored.

    `censored` gives, for each text, what is to be said instead of it, or None; it is asked once.
    """
    looks = [sentences_to_check(completion, words) for completion in completions]
    texts = list(dict.fromkeys(sentence.text for look in looks for sentence in look))
    instead = dict(zip(texts, censored(texts), strict=True)) if texts else {}
    outputs = []
    for completion, look in zip(completions, looks, strict=True):
        flagged = next((s for s in look if instead[s.text] is not None), None)
        if flagged is None:
            outputs.append(completion.output)
            continue
        outputs.append(completion.output[: flagged.keep].rstrip() + (instead[flagged.text] or ""))
    return outputs


def _spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Sentences with their places in the text."""
    at = 0
    for part in sentencex.segment("en", text):
        sentence = part.strip()
        if not sentence:
            continue
        begin = text.index(sentence, at)
        at = begin + len(sentence)
        yield sentence, begin, at


def _names_any(text: str, words: frozenset[str]) -> bool:
    """Whether any of the words occurs."""
    return not words.isdisjoint(_WORD.findall(folded(text)))
