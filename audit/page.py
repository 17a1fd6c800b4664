"""The report as one self-contained page: no network, no script, light and dark, prints, fits a phone.

Prompts are shown only where the caller hands them in; answers never. The markup is templates/report.html.j2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from audit import picture, wording
from audit.counts import excess_leaks, guessing
from audit.facts import REFUSALS, AuditFact
from audit.results import FactResult, PhaseResult, differences
from audit.schema import Group, Report
from audit.statistics import percent
from audit.words import find, words

BAR = "█████"
REGULATIONS = {"gdpr": "GDPR, Article 17", "ccpa": "CCPA", "other": "other"}


class FactRow(NamedTuple):
    """One line of the per-fact table."""

    number: int
    fact_id: str
    prompt: str
    before: str
    after: str
    twin: str
    upper: str
    result: str
    tone: str


def redact(text: str, fact: AuditFact) -> str:
    """The text with every answer in it blacked out; the bar's length tells nothing."""
    spans: list[tuple[int, int]] = []
    said = words(text)
    for answer in fact.answers:
        needle = tuple(word.text for word in words(answer))
        start = find(needle, [word.text for word in said])
        while start >= 0:
            last = start + len(needle)
            spans.append((said[start].start, said[last - 1].end))
            onward = find(needle, [word.text for word in said[last:]])
            start = onward + last if onward >= 0 else -1
    out, at = "", 0
    for first, end in sorted(spans):
        if end > at:
            out += text[at : max(at, first)] + BAR
            at = end
    return out + text[at:]


def _tried(phase: PhaseResult | None, fact_id: str) -> tuple[str, FactResult | None]:
    fact = next((f for f in phase.facts if f.fact_id == fact_id), None) if phase else None
    if fact is None or not fact.samples:
        return "–", fact
    return f"{fact.leaked} of {fact.scored}", fact


def _result(
    fact: FactResult, before: FactResult | None, twin: FactResult | None, guesses: bool
) -> tuple[str, str]:
    """What the table says of a fact, and its tone. `guesses`: what the twin says as well is a guess, no leak."""
    if fact.outcome == "refused":
        return f"Not audited: {REFUSALS.get(fact.refused, fact.refused)}", "unsure"
    if fact.outcome == "unscored":
        return "Could not be judged", "unsure"
    if excess_leaks(fact, twin if guesses else None):
        return "Still told", "bad"
    if fact.leaked:
        return "Guessed, like the twin", "good"
    if before is not None and not before.leaked:
        return "Not told (nor before)", "unsure"
    return "Not told", "good"


def fact_rows(group: Group, texts: Mapping[str, AuditFact], confidence: float) -> Iterator[FactRow]:
    """The per-fact table of a group."""
    from audit.report import rate

    for number, fact in enumerate(group.after.facts, start=1):
        before, earlier = _tried(group.before, fact.fact_id)
        after, _ = _tried(group.after, fact.fact_id)
        twin, other = _tried(group.twin, fact.fact_id)
        text = texts.get(fact.fact_id)
        result, tone = _result(fact, earlier, other, guessing(group.kind, group.twin) is not None)
        upper = percent(rate(fact.leaked, fact.scored, confidence).upper) if fact.scored else "–"
        prompt = redact(text.prompt, text) if text else ""
        yield FactRow(number, fact.fact_id, prompt, before, after, twin, upper, result, tone)


def when(moment: datetime | None) -> str:
    """«23 November 2026, 22:08 UTC», or a dash."""
    if moment is None:
        return "–"
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y, %H:%M} UTC"


def strong(text: str) -> Markup:
    """Mark **words** as strong; everything else is escaped."""
    pieces = [Markup("{}").format(piece) for piece in text.split("**")]
    return Markup("").join(
        Markup("<strong>{}</strong>").format(piece) if index % 2 else piece
        for index, piece in enumerate(pieces)
    )


def _figure(group: Group, index: int, threshold: float) -> Markup:
    name = wording.KIND_WORDS[group.kind]
    return Markup(
        picture.intervals(f"rates{index}", f"{name}: leak rates", picture.rows_of(group), threshold)
    )


def _trend(group: Group, index: int, threshold: float) -> Markup:
    if not group.trend:
        return Markup("")
    name = f"{wording.KIND_WORDS[group.kind]}: leak rate over all audits"
    return Markup(picture.trend(f"trend{index}", name, group.trend, threshold))


def _curves(group: Group, index: int) -> Markup:
    curves = {phase: figures.leak_at_k for phase, figures in group.figures.items()}
    return Markup(picture.leak_at_k(f"curve{index}", f"{wording.KIND_WORDS[group.kind]}: leak@k", curves))


@cache
def environment() -> Environment:
    """The templates with their filters and words."""
    environment = Environment(
        loader=PackageLoader("audit", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": percent, "when": when, "strong": strong}
    environment.globals |= {
        "plural": wording.plural,
        "kind_words": wording.KIND_WORDS,
        "done_words": wording.DONE_WORDS,
        "verdict_words": wording.VERDICT_WORDS,
        "threats": wording.THREAT_MODEL,
        "sentence": wording.sentence,
        "differences": differences,
        "top_k_words": wording.top_k_words,
        "regulations": REGULATIONS,
        "bar": BAR,
    }
    return environment


def render(report: Report, texts: Mapping[str, AuditFact]) -> bytes:
    """Render the page. The same report and texts give the same bytes."""
    style = (files("audit") / "templates" / "report.css").read_text(encoding="utf-8")
    shown = [
        {
            "group": group,
            "rates": _figure(group, index, report.policy.threshold),
            "curves": _curves(group, index),
            "trend": _trend(group, index, report.policy.threshold),
            "rows": list(fact_rows(group, texts, report.policy.confidence)),
        }
        for index, group in enumerate(report.groups, start=1)
    ]
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            shown=shown,
            style=Markup(style),
            has_texts=bool(texts),
            digest=hashlib.sha256(report.to_json()).hexdigest(),
        )
    )
    return page.encode()
