"""Finds a subject's name in a text, however it is spelled, and puts «X» in its place.

A prompt may write the name with typos, look-alike letters, invisible characters, initials, in pieces or by
the surname alone. `normalise` undoes what Unicode can undo; `locate` compares words with `rapidfuzz`, but takes
no real word for a slip of the pen that would have to change its first letter: «Robert Island» is not Odbert Island
(docs/adr/0028). Initials alone («P. M.») stand for a name of which they leave no word out
(docs/adr/0029). What is left of a strange name («Mary X» for Mary Smith where John Smith is stored) tells the judge
that somebody else is meant.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from confusable_homoglyphs.confusables import confusables_data
from rapidfuzz import fuzz

MASK = "X"
NEAR = 0.84
"""Similarity from which a run of words is taken for the whole name."""
_STRANGE = 0.8
"""Most that a run of words with somebody else's in it is like the name."""
_SHORTEST = 4
"""Shorter words are compared letter by letter."""
_WORD = re.compile(r"(?!(?<=['’])s\b)[^\W_]+")
_CAPITAL = r"[^\W\d_a-z]"
_INITIALS = re.compile(
    rf"(?<![\w.])(?<!\d )(?:{_CAPITAL}(?:(?:\. ?| )(?:[a-z]\. ?)*{_CAPITAL}(?!\w)){{1,7}}+|{_CAPITAL}{{2,}}(?!\w))"
    rf"(?!\.? ?{_CAPITAL})\.?"
)
"""«P. M.», «P.M.», «P M», «PM» or «L. d. V.», but neither «5 P.M.» nor what a capital follows: «J. K. Rowling»."""
SMALL_WORDS = frozenset(
    "a an the of is was were are in on at to for by with from as and or de la le der von van".split()
)

KIND_WORDS = frozenset(
    """academy agency airport album alliance archipelago army association avenue award bank basin battle bay beach
    board bridge building bureau cape castle cathedral cemetery center centre championship channel church city club
    coast college commission committee community company competition conference constituency convention corporation
    council county court creek cup department desert district division dynasty empire engine expedition federation
    festival field film forest foundation game games glacier government group gulf hall harbor harbour hill hills
    hospital hotel house institute institution island islands isles kingdom lake language league library line magazine
    mall ministry mission monastery mosque mount mountain mountains movement municipality museum network newspaper
    office orchestra organisation organization palace parish park parliament party peninsula plateau point police port
    prefecture press prison prize province radio railroad railway range records region republic reserve ridge river
    road route school sea series service settlement show society software square stadium state states station street
    studio studios system team temple territory theater theatre tower town township treaty trophy union university
    valley village war works zoo""".split()
)
"""Words of a name that say what kind of thing it is, and not which."""


class Word(NamedTuple):
    """A word, folded, and where it begins and ends in the text."""

    text: str
    start: int
    end: int
    real: bool = False
    """the vocabulary knows it: hardly a slip of the pen"""


@dataclass(frozen=True)
class Located:
    """Where a name was found."""

    text: str
    """with the name, or what was found of it, replaced by «X»"""
    near: float
    """similarity (0 to 1) of the most similar run of words to the whole name; 1 when it is there as written"""
    share: float
    """of the name's words, how many are there; an initial counts half; all initials alone count as all"""


def normalise(text: str) -> str:
    """NFKC, no invisible characters, and words of look-alike letters in Latin ones."""
    plain = unicodedata.normalize("NFKC", text)
    if plain.isascii():
        return plain
    shown = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    return re.sub(r"[^\W\d_]+", lambda found: _latin(found.group()), shown)


def visible(names: Iterable[str]) -> tuple[str, ...]:
    """The names of which something is left when they are normalised: nothing at all would name everybody."""
    return tuple(name for name in names if normalise(name).strip())


def folded(text: str) -> str:
    """Normalised, accents removed, lower case: what names are compared in."""
    if text.isascii():
        return text.casefold()
    decomposed = unicodedata.normalize("NFKD", normalise(text))
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def mask_names(text: str, names: Sequence[str]) -> str:
    """The text with every name replaced by «X», longest names first, whatever their case."""
    for name in sorted(names, key=len, reverse=True):
        if text.isascii() and name.isascii() and name.lower() not in text.lower():
            continue  # most names of most candidates: not worth a regular expression
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", MASK, text, flags=re.IGNORECASE)
    return text


def named(text: str, names: Sequence[str]) -> str:
    """A masked text with the first of the names in place of every «X»."""
    return re.sub(rf"\b{MASK}\b", lambda _: names[0], text) if names else text


def words_of(text: str, vocabulary: Container[str] = ()) -> list[Word]:
    """The words of a text; those of the vocabulary (folded) are real ones."""
    found = [(folded(m.group()), *m.span()) for m in _WORD.finditer(text)]
    return [Word(word, start, end, word in vocabulary) for word, start, end in found]


def initials_in(text: str) -> list[Word]:
    """Runs of initials in a normalised text, folded and without dots; words in capitals, unless all words are."""
    shouted = text.isupper()
    runs = [run for run in _INITIALS.finditer(text) if not (shouted and run.group().isalpha())]
    return [Word(folded(re.sub(r"[. ]", "", run.group())), *run.span()) for run in runs]


def initials_of(name: str) -> frozenset[str]:
    """The initials, folded, of a name of several words: with and without small ones, hyphens joining or not."""
    whole = folded(name)
    splits = [re.findall(r"[^\W_]\S*", whole), _WORD.findall(whole)]
    splits += [[word for word in words if word not in SMALL_WORDS] for words in splits]
    return frozenset("".join(word[0] for word in words) for words in splits if len(words) > 1)


def locate(
    text: str, names: Sequence[str], words: list[Word] | None = None, initials: list[Word] | None = None
) -> Located:
    """The best trace of any of the names in the text; `words` and `initials`: those of the text, where known."""
    exact = mask_names(text, names)
    if exact != text:
        return Located(exact, 1.0, 1.0)
    words = words_of(text) if words is None else words
    initials = initials_in(text) if initials is None else initials
    found = [_trace(text, words, initials, name) for name in names]
    return max(found, key=lambda each: (each.share, each.near), default=Located(text, 0.0, 0.0))


def _trace(text: str, words: list[Word], initials: list[Word], name: str) -> Located:
    """A run of words that is nearly the whole name, else the runs that are parts of it, else all its initials."""
    wanted = _WORD.findall(folded(name))
    near, first, last = _nearest_run(words, wanted)
    if near >= NEAR:
        return Located(text[: words[first].start] + MASK + text[words[last].end :], near, 1.0)
    runs, share = _parts(words, wanted)
    for first, last in reversed(runs):
        text = text[: words[first].start] + MASK + text[words[last].end :]
    if not share and initials:
        own = initials_of(name)
        for run in reversed([run for run in initials if run.text in own]):
            text, share = text[: run.start] + MASK + text[run.end :], 1.0
    return Located(text, near, share)


def _nearest_run(words: list[Word], wanted: list[str]) -> tuple[float, int, int]:
    """Similarity, first and last index of the run of words most similar to the name, both without spaces."""
    best, name = (0.0, 0, 0), "".join(wanted)
    joined = "".join(word.text for word in words)
    if not name or fuzz.partial_ratio(name, joined, score_cutoff=60) < 60:
        return best
    others = [_is_another(word, wanted) for word in words]
    for start in range(len(words)):
        run = ""
        for end in range(start, len(words)):
            run += words[end].text
            if len(run) > 1.35 * len(name) + 1:
                break
            if len(run) >= 0.65 * len(name) and _digits(run) == _digits(name):
                strange = run != name and any(others[start : end + 1])
                alike = min(fuzz.ratio(run, name) / 100.0, _STRANGE if strange else 1.0)
                best = max(best, (alike, start, end), key=lambda each: each[0])
    return best


def _is_another(word: Word, wanted: list[str]) -> bool:
    """Whether a real word stands for no word of a name: a slip keeps the first letter, and a variant has a surname.

    «Sara Connor» may be Sarah Connor, but Austria is not Australia.
    """
    if not word.real or len(word.text) < _SHORTEST or word.text in wanted:
        return False
    return len(wanted) == 1 or all(each[0] != word.text[0] for each in wanted)


def _digits(text: str) -> list[str]:
    """Its digits: «Porsche 993» is no slip of the pen for «Porsche 997»."""
    return re.findall(r"\d", text)


def _parts(words: list[Word], wanted: list[str]) -> tuple[list[tuple[int, int]], float]:
    """Runs of words that are words of the name or their initials, and the share of the name that is there."""
    telling = [w for w in wanted if w not in SMALL_WORDS] or wanted
    whole = ["" if _is_another(word, wanted) else _like(word.text, telling) for word in words]
    if not any(whole):  # some initials alone are no trace
        return [], 0.0
    marks = [w or _initial(word.text, telling) for w, word in zip(whole, words, strict=True)]
    runs = [run for run in _runs(marks) if any(whole[run[0] : run[1] + 1])]
    inside = {i for first, last in runs for i in range(first, last + 1)}
    full = {whole[i] for i in inside if whole[i]}
    half = {_initial(words[i].text, telling) for i in inside if not whole[i]} - full
    return runs, (len(full) + 0.5 * len(half)) / len(telling) if telling else 0.0


def _like(word: str, wanted: list[str]) -> str:
    """The word of a name that this word is, give or take a typo; empty if it is none."""
    if word in wanted:
        return word
    if len(word) < _SHORTEST or (not word.isalpha() and _digits(word)):
        return ""
    return next(
        (w for w in wanted if len(w) >= _SHORTEST and fuzz.ratio(word, w, score_cutoff=100 * NEAR)), ""
    )


def _initial(word: str, wanted: list[str]) -> str:
    """The word of a name that this single letter may stand for."""
    return next((w for w in wanted if len(word) == 1 and w.startswith(word)), "")


def _runs(marks: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and last index of every run of marked places."""
    start = None
    for i, mark in enumerate([*marks, ""]):
        if mark and start is None:
            start = i
        elif not mark and start is not None:
            yield start, i - 1
            start = None


def _latin(word: str) -> str:
    """A word in the Latin letters it looks like, if every letter looks like one."""
    if word.isascii():
        return word
    table = _look_alikes()
    changed = "".join(table.get(c, c) for c in word)
    letters = (c for c in changed if not c.isascii())
    return changed if all("LATIN" in unicodedata.name(c, "") for c in letters) else word


@lru_cache
def _look_alikes() -> dict[str, str]:
    """Letters of other scripts and the Latin letter that each looks like (Unicode's confusables)."""
    table = {}
    for char, others in confusables_data.items():
        if len(char) != 1 or char.isascii() or not char.isalpha() or "LATIN" in unicodedata.name(char, ""):
            continue
        likes = [o["c"] for o in others if len(o["c"]) == 1 and o["c"].isascii() and o["c"].isalpha()]
        likes.sort(key=lambda c: (c.isupper() != char.isupper(), c))
        if likes:
            table[char] = likes[0]
    return table
