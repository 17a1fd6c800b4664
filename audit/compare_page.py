"""The comparison of two reports as one self-contained page. The markup is templates/compare.html.j2."""

from __future__ import annotations

from importlib.resources import files

from markupsafe import Markup

from audit import picture
from audit.compare import Comparison, GroupPair, RatePair
from audit.page import environment
from audit.schema import Rate
from audit.statistics import percent
from audit.wording import KIND_WORDS, VERDICT_WORDS

CHANGES = {
    "lower": ("Lower in B", "good"),
    "higher": ("Higher in B", "bad"),
    "same": ("Same", ""),
    "within chance": ("May be chance", "unsure"),
    None: ("Not in both", "unsure"),
}
FACT_TONES = {"told no more": "good", "told now": "bad", "not in both": "unsure", "same": ""}


def sentence(group: GroupPair) -> str:
    """What changed in one group, in words."""
    rates = {pair.name: pair for pair in group.rates}
    unit = group.units[0] if group.units[0] == group.units[1] else "attempts"
    pair = rates.get(f"after, {unit}")
    if pair is None or pair.a is None or pair.b is None:
        return f"{KIND_WORDS[group.kind]}: only one of the reports is about such facts."
    seen = (
        f"After the request A saw {pair.a.leaked} of {pair.a.total} {unit} tell the answer, "
        f"B {pair.b.leaked} of {pair.b.total}"
    )
    if pair.change in ("lower", "higher"):
        return f"{seen}: the intervals do not touch, so the rate is {pair.change} in B."
    why = "the same" if pair.change == "same" else "the intervals overlap"
    return f"{seen}: {why}. This is no evidence of a change."


def verdict_words(group: GroupPair) -> str:
    """«Passed → Passed»."""
    return " → ".join(VERDICT_WORDS[value] if value else "–" for value in group.verdicts)


def rate_words(rate: Rate | None) -> str:
    """«0 of 20 (0 % to 13.9 %)»."""
    if rate is None:
        return "–"
    return f"{rate.leaked} of {rate.total} ({percent(rate.lower)} to {percent(rate.upper)})"


def _rows(group: GroupPair) -> list[picture.Row]:
    unit = group.units[0] if group.units[0] == group.units[1] else "attempts"
    rows = []
    for pair in group.rates:
        phase, counted = pair.name.split(", ")
        if counted != unit or phase == "twin":
            continue
        for side, rate in (("A", pair.a), ("B", pair.b)):
            if rate is not None:
                value = f"{rate.leaked} of {rate.total} {unit}"
                rows.append(picture.Row(phase, f"{side}: {phase}", value, rate))
    return rows


def _picture(group: GroupPair, index: int) -> Markup:
    name = f"{KIND_WORDS[group.kind]}: leak rates of both reports"
    rows = _rows(group)
    return Markup(picture.intervals(f"rates{index}", name, rows, None)) if rows else Markup("")


def _tone(pair: RatePair) -> tuple[str, str]:
    return CHANGES[pair.change]


def render(comparison: Comparison) -> bytes:
    """Render the page. The same comparison gives the same bytes."""
    style = (files("audit") / "templates" / "report.css").read_text(encoding="utf-8")
    shown = [
        {
            "group": group,
            "picture": _picture(group, index),
            "sentence": sentence(group),
            "verdicts": verdict_words(group),
        }
        for index, group in enumerate(comparison.groups, start=1)
    ]
    page = (
        environment()
        .get_template("compare.html.j2")
        .render(
            comparison=comparison,
            shown=shown,
            style=Markup(style),
            change_of=_tone,
            rate_words=rate_words,
            fact_tones=FACT_TONES,
        )
    )
    return page.encode()
