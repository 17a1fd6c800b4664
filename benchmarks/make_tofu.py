"""How `benchmarks/data/tofu.json.xz` was made: `python -m benchmarks.make_tofu DIRECTORY` with TOFU's JSON lines.

TOFU's 4,000 questions come in groups of twenty, one a fictitious author, who is not named in the data. The name
that a group repeats most is taken as its subject, as a person who asks for a removal would be known by name.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.tofu_data import PACKED, PER_AUTHOR

Record = dict[str, Any]

_WORD = r"[^\W\d_a-z][\w’'-]*"
_NAME = re.compile(
    rf"{_WORD}(?: (?:(?:al|bin|ibn|de|la|del|der|van|von|el|da|dos|di|ben|bint)[ -])*{_WORD})+"
)
_BY_HAND = {72: "Alejandro (Alex) Fuentes", 88: ""}
"""Author 88 is never named."""
_KEPT = ("question", "answer", "paraphrased_answer", "perturbed_answer")


def names_in(text: str) -> set[str]:
    """Runs of two to six capitalised words, without a genitive's end."""
    found = set()
    for match in _NAME.finditer(text):
        words = match.group().split()
        spans = ((i, j) for i in range(len(words)) for j in range(i + 2, min(len(words), i + 6) + 1))
        found |= {re.sub(r"['’]s?$", "", " ".join(words[i:j])) for i, j in spans}
    return found


def author(group: Sequence[Record]) -> str:
    """The name that most texts of a group hold; of names nearly as frequent, the longest around it."""
    found = Counter(name for r in group for text in (r["question"], r["answer"]) for name in names_in(text))
    often = [name for name, count in found.items() if count >= 0.7 * max(found.values())]
    first = max(often, key=lambda name: (found[name], len(name)))
    return max((name for name in often if first in name), key=len)


def lines(directory: Path, name: str) -> list[Record]:
    """One of TOFU's files."""
    text = (directory / f"{name}.json").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def packed(directory: Path) -> dict[str, Any]:
    """What the benchmark needs; forget01 and forget05 are the ends of forget10, and these of the whole."""
    full, forget = lines(directory, "full"), lines(directory, "forget10_perturbed")
    for name in ("forget01", "forget05"):
        part = lines(directory, f"{name}_perturbed")
        assert part == forget[-len(part) :], "not the TOFU of 2024"
    assert [r["question"] for r in forget] == [r["question"] for r in full[-len(forget) :]]
    groups = [full[start : start + PER_AUTHOR] for start in range(0, len(full), PER_AUTHOR)]
    made: dict[str, Any] = {
        "authors": [
            _BY_HAND[n] if n in _BY_HAND else author(group) for n, group in enumerate(groups)
        ],
        "facts": [[r["question"], r["answer"]] for r in full],
        "forget": forget,
    }  # fmt: skip
    for name in ("retain", "real_authors", "world_facts"):
        made[name] = lines(directory, f"{name}_perturbed")
    for name in ("forget", "retain", "real_authors", "world_facts"):
        made[name] = [{key: r[key] for key in _KEPT if key in r} for r in made[name]]
    return made


def main() -> None:
    """Write the packed file."""
    made = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    made.add_argument("directory", type=Path, help="full.json, forget10_perturbed.json, …")
    text = json.dumps(packed(made.parse_args().directory), ensure_ascii=False, separators=(",", ":"))
    PACKED.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main()
