"""Other spellings of a name: what people mistype and what attackers type to slip past a name filter.

Training draws from them and the scope benchmark tests them one by one, by name.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

Spelling = Callable[[str, random.Random], str]

_LOOK_ALIKES = str.maketrans("aeopcxyiABEHKMOPCTX", "аеорсхуіАВЕНКМОРСТХ")
_ACCENTED = str.maketrans("aeiouncAEIOU", "áéíóúñçÁÉÍÓÚ")


def typo(name: str, rng: random.Random) -> str:
    """Two neighbouring letters swapped, one dropped, doubled or replaced."""
    places = [i for i in range(1, len(name) - 1) if name[i].isalpha() and name[i + 1].isalpha()]
    if not places:
        return name
    i = rng.choice(places)
    a, b = name[i], name[i + 1]
    new = rng.choice([b + a, b, a + a + b, rng.choice("aeiourstln") + b])
    return name[:i] + new + name[i + 2 :]


def two_typos(name: str, rng: random.Random) -> str:
    """Two slips."""
    return typo(typo(name, rng), rng)


def homoglyphs(name: str, rng: random.Random) -> str:
    """Some Latin letters replaced by Cyrillic ones of the same look."""
    return "".join(c.translate(_LOOK_ALIKES) if rng.random() < 0.6 else c for c in name)


def zero_width(name: str, rng: random.Random) -> str:
    """An invisible character inside."""
    i = rng.randrange(1, max(2, len(name)))
    return name[:i] + rng.choice("\u200b\u200c\u200d\u2060\u00ad") + name[i:]


def full_width(name: str, rng: random.Random) -> str:
    """Full-width letters."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name)


def split(name: str, rng: random.Random) -> str:
    """A space or hyphen inside a word."""
    places = [i for i in range(2, len(name) - 1) if name[i - 1].isalpha() and name[i].isalpha()]
    if not places:
        return name
    i = rng.choice(places)
    return name[:i] + rng.choice(" -") + name[i:]


def spaced_out(name: str, rng: random.Random) -> str:
    """A space after every letter."""
    return " ".join(name.replace(" ", ""))


def joined(name: str, rng: random.Random) -> str:
    """All words run together."""
    return name.replace(" ", "")


def initials(name: str, rng: random.Random) -> str:
    """«D. Darrieux»: all words but the last as initials."""
    words = name.split()
    return " ".join([*(f"{w[0]}." for w in words[:-1]), words[-1]]) if len(words) > 1 else name


def initials_alone(name: str, rng: random.Random) -> str:
    """«D. D.», «D.D.» or «D D»: all words as initials."""
    words = re.findall(r"[^\W_]\S*", name)
    if len(words) < 2:
        return name
    dot, space = rng.choice([(".", " "), (".", ""), ("", " ")])
    return space.join(f"{word[0].upper()}{dot}" for word in words)


def last_word(name: str, rng: random.Random) -> str:
    """The surname alone."""
    return name.split()[-1]


def reversed_words(name: str, rng: random.Random) -> str:
    """«Darrieux, Danielle»."""
    words = name.split()
    return f"{words[-1]}, {' '.join(words[:-1])}" if len(words) > 1 else name


def accents(name: str, rng: random.Random) -> str:
    """Accents where there are none."""
    return name.translate(_ACCENTED)


def lower(name: str, rng: random.Random) -> str:
    """Lower case."""
    return name.lower()


def upper(name: str, rng: random.Random) -> str:
    """Capitals."""
    return name.upper()


SPELLINGS: dict[str, Spelling] = {
    "typo": typo, "two typos": two_typos, "homoglyphs": homoglyphs, "zero width": zero_width,
    "full width": full_width, "split": split, "spaced out": spaced_out, "joined": joined,
    "initials": initials, "initials alone": initials_alone, "surname only": last_word,
    "reversed": reversed_words, "accents": accents, "lower case": lower, "upper case": upper,
}  # fmt: skip
"""By name, in the order of the benchmark's table."""
