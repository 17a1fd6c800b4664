"""The output check: a long free answer must not tell in its third sentence what the prompt did not ask.

Prompt and completion are looked at together, sentence by sentence. A sentence that the scope detector routes to a
tombstone («She spoke …»), or that holds words that fit one of its marks («a French actress») once prompt or
completion named the subject, is dropped with everything after it, and the tombstone's answer is said instead.
Completions in which no word of a tombstone's name occurs are not looked at, and come back as they are, character for
character.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from larimar.entry import Entry
from larimar.marks import Mark, tells
from larimar.names import KIND_WORDS, SMALL_WORDS, folded
from larimar.sentences import segmented

_WORD = re.compile(r"\w+")
_SMALL = 3
"""Shorter words of a name do not count as a trace of it."""


@dataclass(frozen=True)
class Completion:
    """A prompt and what was said after it."""

    prompt: str
    output: str
    answers_prompt: bool = False
    """the memory answered for a tombstone already: the detector looks at what follows the first sentence"""


@dataclass(frozen=True)
class Sentence:
    """One sentence of a completion, as the detector is to see it."""

    text: str
    """with the last sentence that names somebody before it, if it names nobody itself"""
    keep: int
    """characters of the output before it"""
    own: str = ""
    """the sentence itself"""
    so_far: str = ""
    """prompt and output up to the end of the sentence"""
    new_from: int = 0
    """where in `own` the output begins"""
    judged: bool = True
    """whether the detector is to look at it, not at the words alone"""


class Tombstones:
    """The names of a bank's tombstones, so that entries are read once and not for every completion."""

    def __init__(self) -> None:
        """None yet."""
        self.names: dict[str, tuple[str, ...]] = {}
        """by fact id"""
        self.marks: dict[str, tuple[Mark, ...]] = {}
        self._seen: set[str] = set()
        self._words: frozenset[str] | None = None
        self._stale = True
        self._namings: defaultdict[str, list[tuple[frozenset[str], str]]] | None = None
        """by their last word: words that identify the subject of a marked tombstone, and its id"""

    def follow(self, entries: Mapping[str, Entry]) -> None:
        """Take in what is new in the bank and drop what is gone."""
        gone = [fact_id for fact_id in self._seen if fact_id not in entries]
        new = [fact_id for fact_id in entries if fact_id not in self._seen]
        if gone:
            self.drop(gone)
        for fact_id in new:
            entry = entries[fact_id]
            if entry.kind == "tombstone":
                self.names[fact_id], self._stale = entry.scope.names, True
                if entry.marks:
                    self.marks[fact_id], self._namings = entry.marks, None
        self._seen.update(new)

    def drop(self, fact_ids: Iterable[str]) -> None:
        """Forget these names."""
        self._seen.difference_update(fact_ids)
        self.names = {i: n for i, n in self.names.items() if i in self._seen}
        self._words, self._stale = None, True
        self.marks, self._namings = {i: m for i, m in self.marks.items() if i in self._seen}, None

    def texts(self) -> Iterator[str]:
        """Every text that is held at the moment, for a scan of the state: ids, names, and words made of them."""
        yield from self._seen
        for names in self.names.values():
            yield from names
        yield from self._words or ()
        for namings_of in (self._namings or {}).values():
            yield from (word for words, fact_id in namings_of for word in (*words, fact_id))

    def told(self, sentence: Sentence) -> str | None:
        """The id of a tombstone whose subject was named so far and whose answer the new words seem to tell."""
        if self._namings is None:
            self._namings = defaultdict(list)
            for fact_id in self.marks:
                for words in namings(self.names[fact_id]):
                    self._namings[words[-1]].append((frozenset(words), fact_id))
        said = {"", *_WORD.findall(folded(sentence.so_far))}
        met = (naming for word in sorted(said) for naming in self._namings.get(word, ()))
        named = dict.fromkeys(fact_id for words, fact_id in met if words <= said)
        return next((i for i in named if tells(i, self.marks[i], sentence.own, sentence.new_from)), None)

    def words(self) -> frozenset[str] | None:
        """`name_words` of all tombstones; None when one of them has no name with a word in it."""
        if self._stale:
            found = [name_words(names) for names in self.names.values()]
            self._words, self._stale = frozenset().union(*found) if all(found) else None, False
        return self._words


def name_words(names: Collection[str]) -> frozenset[str]:
    """The words, folded, by which a subject of these names may be recognised: no «with» where there are others."""
    words = {word for name in names for word in _WORD.findall(folded(name))}
    return frozenset(word for word in words - SMALL_WORDS if len(word) > _SMALL) or frozenset(words)


def namings(names: Collection[str]) -> list[tuple[str, ...]]:
    """Words, folded, that identify a subject together: each whole name, and each without its first word.

    Not where only the kind of thing is left: «Myongji University» is no other university. Without any name: one
    empty word, which every text is taken to hold.
    """
    whole = [tuple(word for word in _WORD.findall(folded(name)) if word not in SMALL_WORDS) for name in names]
    rest = [name[1:] for name in whole if not KIND_WORDS.issuperset(name[1:])]
    return [words for words in (*whole, *rest) if words] or [("",)]


def sentences_to_check(completion: Completion, words: frozenset[str] | None) -> list[Sentence]:
    """Sentences with new text that may tell something; `words` None (facts without a name) takes every one."""
    start = len(completion.prompt.rstrip())
    text = completion.prompt.rstrip() + completion.output
    kept, named = [], ""
    if words is not None and not _names_any(text, words):
        return []
    for sentence, begin, end in _spans(text):
        names_somebody = words is None or _names_any(sentence, words)
        if end > start and (names_somebody or named):
            shown = sentence if names_somebody else f"{named} {sentence}"
            judged = not (begin < start and completion.answers_prompt)
            keep, new_from = max(0, begin - start), max(0, start - begin)
            kept.append(Sentence(shown, keep, sentence, text[:end], new_from, judged))
        named = sentence if names_somebody else named
    return kept


def checked(
    completions: Sequence[Completion],
    words: frozenset[str] | None,
    censored: Callable[[Sequence[str]], Sequence[str | None]],
    told: Callable[[Sentence], str | None] = lambda _: None,
) -> list[str]:
    """Outputs, cut where a sentence is censored.

    `told` gives what is to be said instead of a sentence whose words tell an answer, or None; `censored`, asked once,
    the same for each text that asks for one. The detector is not asked about what comes behind a telling sentence.
    """
    looks = [_until_told(sentences_to_check(completion, words), told) for completion in completions]
    texts = list(dict.fromkeys(s.text for look in looks for s, said in look if said is None and s.judged))
    instead = dict(zip(texts, censored(texts), strict=True)) if texts else {}
    outputs = []
    for completion, look in zip(completions, looks, strict=True):
        cuts = [(s, said or (instead.get(s.text) if s.judged else None)) for s, said in look]
        cut = next(((s, said) for s, said in cuts if said is not None), None)
        outputs.append(
            completion.output if cut is None else completion.output[: cut[0].keep].rstrip() + cut[1]
        )
    return outputs


def _until_told(
    look: list[Sentence], told: Callable[[Sentence], str | None]
) -> list[tuple[Sentence, str | None]]:
    """Sentences with what `told` says of them, up to the first that tells."""
    made: list[tuple[Sentence, str | None]] = []
    for sentence in look:
        made.append((sentence, told(sentence)))
        if made[-1][1] is not None:
            break
    return made


def _spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Sentences with their places in the text."""
    at = 0
    for part in segmented(text):
        sentence = part.strip()
        if not sentence:
            continue
        begin = text.index(sentence, at)
        at = begin + len(sentence)
        yield sentence, begin, at


def _names_any(text: str, words: frozenset[str]) -> bool:
    """Whether any of the words occurs."""
    return not words.isdisjoint(_WORD.findall(folded(text)))
