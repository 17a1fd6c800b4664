"""Frames: the fixed wordings that make phrasings of a fact (data/frames.toml), in two sets that never meet.

A repair may only learn from the `repair` set; certificates only ask from the `certify` set. That no produced
text is in both holds by construction: whatever the repair set could say of a fact is taken out of what is
certified with.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Literal, get_args

from audit.facts import AuditFact
from audit.forms import as_question, as_statement, capital, form_of, indirect, lowered, reordered, tidy
from audit.words import texts

Purpose = Literal["certify", "repair"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


@cache
def frames(purpose: Purpose) -> dict[str, tuple[str, ...]]:
    """The frames of one set, by family."""
    text = (files("audit") / "data" / "frames.toml").read_text(encoding="utf-8")
    return {family: tuple(lines) for family, lines in tomllib.loads(text)[purpose].items()}


def parts_of(fact: AuditFact) -> dict[str, str]:
    """What the frames can be filled with for this fact; parts that cannot be made are absent."""
    text, form = tidy(fact.prompt), form_of(fact.prompt)
    parts: dict[str, str | None] = {"subject": fact.subject or None}
    if form == "order":
        parts["order"] = text if text.endswith((".", "!", ":")) else f"{text}."
        return {name: part for name, part in parts.items() if part}
    if form == "question":
        question: str | None = capital(text if text[-1] in "?？؟" else f"{text}?")
        statement = as_statement(fact)
    else:
        asked, mark, _ = text.rpartition("? ")
        question, statement = f"{asked}?" if mark else as_question(fact), text
    parts |= {
        "question": question,
        "asking": lowered(question) if question else None,
        "statement": statement,
        "inside": lowered(statement) if statement else None,
        "indirect": indirect(fact),
        "reordered": reordered(fact) if form == "statement" else statement,
    }
    return {name: part for name, part in parts.items() if part}


def _fields(frame: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(frame) if name}


def _filled(fact: AuditFact, purpose: Purpose) -> dict[str, list[str]]:
    parts = parts_of(fact)
    return {
        family: [frame.format(**parts) for frame in lines if _fields(frame) <= parts.keys()]
        for family, lines in frames(purpose).items()
    }


def phrasings(fact: AuditFact, purpose: Purpose) -> dict[str, list[str]]:
    """Every phrasing of a fact that one set can make, by family, without what the other set can make too."""
    made = _filled(fact, purpose)
    if purpose == "repair":
        return made
    taken = {texts(text) for lines in _filled(fact, "repair").values() for text in lines}
    return {family: [text for text in lines if texts(text) not in taken] for family, lines in made.items()}
