"""The records that the editing benchmarks score, as text; `data/` holds them with their licences in NOTICE."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class CounterFact:
    """One CounterFact case."""

    case_id: int
    prompt: str
    subject: str
    new: str
    true: str
    paraphrases: list[str]
    """each behind a random distractor sentence"""
    neighbours: list[str]
    stored: tuple[str, ...] = ()
    """further phrasings that are written with the fact"""


@dataclass(frozen=True)
class ZsreEdit:
    """One ZsRE case in the MEND form."""

    subject: str
    prompt: str
    rephrase: str
    answer: str
    elsewhere: str
    """a question about something else"""
    elsewhere_answer: str


@dataclass(frozen=True)
class Rephrased:
    """One ZsRE fact; its first phrasing is the question itself."""

    subject: str
    answer: str
    phrasings: list[str]


def counterfact(path: Path, count: int | None = None) -> list[CounterFact]:
    """The first `count` full records."""
    return [
        CounterFact(
            r["case_id"], w["prompt"].format(w["subject"]), w["subject"], w["target_new"]["str"],
            w["target_true"]["str"], r["paraphrase_prompts"], r["neighborhood_prompts"],
        )
        for r in json.loads(path.read_text(encoding="utf-8"))[:count]
        for w in [r["requested_rewrite"]]
    ]  # fmt: skip


def zsre_edits(path: Path, count: int | None = None) -> list[ZsreEdit]:
    """The first `count` records; the question elsewhere gets its question mark, as in ROME's evaluation."""
    return [
        ZsreEdit(r["subject"], r["src"], r["rephrase"], r["answers"][0], r["loc"] + "?", r["loc_ans"])
        for r in json.loads(path.read_text(encoding="utf-8"))[:count]
    ]


def zsre_rephrasings(path: Path) -> list[Rephrased]:
    """All facts, each question once."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Rephrased(r["subject"], r["answer"], r["phrasings"]) for r in rows]
