"""Text as comparable words: the one normal form that detectors, filters and redaction share.

NFKC/NFKD and case folding, Latin accents dropped, invisible characters dropped, possessive «'s» dropped,
dotted and spelled-out letters joined (U.S. -> us, F-r-e-n-c-h -> french), thousands separators dropped,
number words to digits. Scripts written without spaces (Han, kana, Thai, Lao, Khmer, Burmese) give one word a
character. Each word remembers where it stood in the original text.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_LISTS = {
    name: tuple(line.split())
    for name, line in tomllib.loads(
        (files("audit") / "data" / "words.toml").read_text(encoding="utf-8")
    ).items()
}
SMALL = {word: value for value, word in enumerate(_LISTS["units"])} | {
    word: 20 + 10 * index for index, word in enumerate(_LISTS["tens"])
}
SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
ORDINALS = {
    word: f"{value}{suffix}"
    for value, (word, suffix) in enumerate((pair.split("/") for pair in _LISTS["ordinals"]), start=1)
}
STOP_WORDS = frozenset(_LISTS["stop"])
QUESTION_WORDS = frozenset(_LISTS["question"])
ORDER_WORDS = frozenset(_LISTS["order"])
LOWERABLE = QUESTION_WORDS | ORDER_WORDS | frozenset(_LISTS["opening"])
NAMELESS = STOP_WORDS | QUESTION_WORDS | ORDER_WORDS | frozenset(_LISTS["nameless"])
ANSWER_KINDS = frozenset(_LISTS["kinds"])
_SPACELESS = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
)
# The mask of a text: w = letter or mark, d = digit, c = a character of a script without spaces.
_NUMBER = r"d{1,3}(?:,ddd)+(?:\.d+)?(?![wd])|d+\.d+(?![wd]|\.d)"
_DOTTED = r"(?<![wd])(?:w\. ?){2,}(?:w(?![wd'.]))?"
_SPELLED = r"(?<![wd'])(?:w(?:-w)+|w(?:[–·*/]w)+|w(?: w){3,})(?![wd'])"
_PLAIN = r"[wd]+(?:'[wd]+)*|c"
_PIECES = re.compile(f"({_SPELLED})|({_DOTTED})|({_NUMBER})|({_PLAIN})")


class Word(NamedTuple):
    """One normalised word and its place [start, end) in the original text."""

    text: str
    start: int
    end: int


@cache
def _fold_char(original: str) -> tuple[tuple[str, str, bool], ...]:
    """The folded characters of one character, each with its category and whether it is Latin."""
    return tuple(
        (
            "'" if char in "’ʼ‘`´" else " " if char.isspace() else char,
            unicodedata.category(char),
            char.isalpha() and "LATIN" in unicodedata.name(char, ""),
        )
        for char in unicodedata.normalize("NFKD", original).casefold()
    )


def fold(text: str) -> tuple[str, list[int]]:
    """Return the folded text and, for each of its characters, the index of the original character."""
    out: list[str] = []
    origin: list[int] = []
    after_latin = False
    for index, original in enumerate(text):
        for char, category, latin in _fold_char(original):
            if category == "Cf" or (category == "Mn" and after_latin):
                continue
            if category[0] != "M":
                after_latin = latin
            out.append(char)
            origin.append(index)
    return "".join(out), origin


@cache
def _mask(char: str) -> str:
    if _SPACELESS.match(char):
        return "c"
    kind = unicodedata.category(char)[0]
    if kind == "N":
        return "d"
    return "w" if kind in "LM" else char


def _pieces(text: str) -> Iterator[Word]:
    folded, origin = fold(text)
    for match in _PIECES.finditer("".join(map(_mask, folded))):
        raw = folded[match.start() : match.end()]
        spelled, dotted, number, _ = match.groups()
        if spelled or dotted:
            raw = "".join(char for char in raw if char.isalnum())
        elif number:
            raw = raw.replace(",", "")
            raw = raw.rstrip("0").rstrip(".") if "." in raw else raw
        else:
            raw = (raw[:-2] if raw.endswith("'s") else raw).replace("'", "")
        if raw:
            yield Word(raw, origin[match.start()], origin[match.end() - 1] + 1)


def _number_at(pieces: Sequence[Word], start: int) -> tuple[int, int] | None:
    """Read a number in words at `start`; return (value, words used)."""
    total = group = used = 0
    last = 0  # the size of the last word read: after «twenty» only a unit may follow
    for piece in pieces[start:]:
        word = piece.text
        if word in SMALL and (
            used == 0 or last >= 100 or (last in range(20, 100) and SMALL[word] in range(1, 10))
        ):
            group, last = group + SMALL[word], SMALL[word]
        elif word in SCALES and used and last != SCALES[word]:
            scale = SCALES[word]
            group, last = max(group, 1) * scale, scale
            if scale > 100:
                total, group = total + group, 0
        else:
            break
        used += 1
    return (total + group, used) if used else None


def _year_at(pieces: Sequence[Word], start: int) -> tuple[int, int] | None:
    """Read a year said in two halves («nineteen ninety-eight») at `start`; return (value, words used)."""
    century = _number_at(pieces, start)
    rest = _number_at(pieces, start + century[1]) if century and 16 <= century[0] <= 20 else None
    if century is None or rest is None or not 10 <= rest[0] <= 99:
        return None
    return century[0] * 100 + rest[0], century[1] + rest[1]


def words(text: str) -> list[Word]:
    """Split a text into normalised words with their places."""
    pieces, out, index = list(_pieces(text)), [], 0
    while index < len(pieces):
        piece = pieces[index]
        number = _year_at(pieces, index) or _number_at(pieces, index)
        if number:
            value, used = number
            out.append(Word(str(value), piece.start, pieces[index + used - 1].end))
            index += used
            continue
        out.append(piece._replace(text=ORDINALS.get(piece.text, piece.text)))
        index += 1
    return out


def texts(text: str) -> tuple[str, ...]:
    """Return the normalised words of a text, without places."""
    return tuple(word.text for word in words(text))


def same_text(first: str, second: str) -> bool:
    """Whether two texts are the same words, whatever their case, accents and punctuation."""
    return texts(first) == texts(second)


def find(needle: Sequence[str], haystack: Sequence[str]) -> int:
    """Return where the words of `needle` stand side by side in `haystack`, or -1 (also if empty)."""
    size = len(needle)
    if not size:
        return -1
    target = tuple(needle)
    return next((i for i in range(len(haystack) - size + 1) if tuple(haystack[i : i + size]) == target), -1)


def holds(text: str, phrase: str) -> bool:
    """Whether `text` holds the words of `phrase` side by side."""
    return find(texts(phrase), texts(text)) >= 0
