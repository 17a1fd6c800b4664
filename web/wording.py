"""The words and colours of the pages: states, events, verdicts and due dates as people read them.

One place, so that a badge, a filter, the timeline and the CSV never disagree. Colour is never the only
sign: every badge has its word, and the due date says its days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from store.clocks import days_left
from store.models import Job, Request
from store.states import TERMINAL

SOON_DAYS = 7


@dataclass(frozen=True)
class Label:
    """A word and its tone (a css class)."""

    word: str
    tone: str


@dataclass(frozen=True)
class Due:
    """The due date as a person reads it."""

    text: str
    tone: str  # overdue | soon | calm | done
    row: str  # css class of the row in the queue


STATES: Mapping[str, Label] = {
    "received": Label("Awaiting decision", "blue ring"),
    "approved": Label("Approved, queued", "violet ring"),
    "applying": Label("Applying", "violet"),
    "auditing": Label("Auditing", "violet"),
    "completed": Label("Completed", "green"),
    "residual": Label("Needs a decision", "amber square"),
    "failed": Label("Failed", "red square"),
    "denied": Label("Denied", "grey ring"),
    "cancelled": Label("Cancelled", "grey ring"),
}
KINDS: Mapping[str, str] = {"forget": "Forget", "censor": "Censor"}
REGULATIONS: Mapping[str, str] = {"gdpr": "GDPR", "ccpa": "CCPA", "other": "Other"}
VERDICTS: Mapping[str, Label] = {
    "pass": Label("Pass", "green"),
    "fail": Label("Fail", "red square"),
    "inconclusive": Label("Inconclusive", "amber square"),
}
FACT_STATES: Mapping[str, Label] = {
    "pending": Label("Waiting to be written", "blue ring"),
    "written": Label("In memory", "green"),
    "forgotten": Label("Forgotten", "grey ring"),
    "failed": Label("Not written", "red square"),
}
TOMBSTONE_STATES: Mapping[str, Label] = {
    "pending": Label("Censoring requested", "blue ring"),
    "written": Label("Censored", "violet"),
    "failed": Label("Not censored", "grey ring"),
}
ROLES: Mapping[str, str] = {
    "requester": "submits requests and follows them",
    "reviewer": "decides on requests, writes facts",
    "auditor": "reads requests and reports, changes nothing",
    "admin": "everything",
}
SCOPES: Mapping[str, str] = {
    "requests:read": "See requests and their progress",
    "requests:write": "Submit and cancel requests, schedule re-checks",
    "requests:decide": "Decide on requests, stop audits, read and destroy the texts of requests",
    "facts:read": "List the facts of the bank, without text",
    "facts:write": "Write facts",
    "reports:read": "Read reports",
    "admin": "Everything",
}


def state_label(state: str) -> Label:
    """The badge of a request's state."""
    return STATES.get(state, Label(state.capitalize(), "grey"))


def verdict_label(verdict: str) -> Label:
    """The badge of a verdict."""
    return VERDICTS.get(verdict, Label(verdict.capitalize(), "grey"))


def fact_label(state: str, kind: str = "fact") -> Label:
    """The badge of a fact of the bank."""
    if kind == "tombstone" and state in TOMBSTONE_STATES:
        return TOMBSTONE_STATES[state]
    return FACT_STATES.get(state, Label(state.capitalize(), "grey"))


def due(request: Request, at: datetime | None = None) -> Due:
    """How the due date stands: overdue, soon, calm, or done once the request was answered."""
    if request.state in TERMINAL:
        return _answered(request)
    left = days_left(request.due_at, at or datetime.now(UTC))
    if left < 0:
        return Due(f"Overdue by {plural(-left, 'day')}", "overdue", "row-late")
    if left == 0:
        return Due("Due today", "overdue", "row-late")
    if left <= SOON_DAYS:
        return Due(f"{plural(left, 'day')} left", "soon", "row-soon")
    return Due(f"{plural(left, 'day')} left", "calm", "")


def _answered(request: Request) -> Due:
    answered = request.completed_at or request.decided_at
    if answered is None or answered <= request.due_at:
        return Due("In time" if answered else "Closed", "done", "")
    return Due(f"{plural(-days_left(request.due_at, answered), 'day')} late", "done", "")


def plural(count: int, noun: str) -> str:
    """«1 day», «3 days»."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def day(moment: datetime | None) -> str:
    """A date without its time: «3 Dec 2026»."""
    return "" if moment is None else f"{moment.astimezone(UTC):%-d %b %Y}"


def minute(moment: datetime | None) -> str:
    """A moment for the timeline: «3 Dec 2026, 14:05»."""
    return "" if moment is None else f"{moment.astimezone(UTC):%-d %b %Y, %H:%M}"


def iso(moment: datetime | None) -> str:
    """A moment for `<time datetime>` and CSV."""
    return "" if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def step_text(job: Job) -> str:
    """What a worker is doing, in words; an unknown step is shown as the worker named it."""
    if job.state == "queued":
        return (
            "Waiting for a worker" if job.attempts == 0 else "Interrupted; waiting for a worker to continue"
        )
    if job.state == "done":
        return "Finished"
    if job.state == "failed":
        return "Stopped after too many attempts"
    phase, comma, attack = job.step.partition(", ")  # «after-2, attack 3 of 7»
    word, _, again = phase.partition("-")  # «after-2» is the second round of a phase
    text = STEPS.get(word, word.replace("_", " ").capitalize() or "Starting")
    return f"{text}, round {again}{comma}{attack}" if again.isdecimal() else f"{text}{comma}{attack}"


def progress_text(job: Job) -> str:
    """How far the step is: «120 of 400 samples»."""
    if not job.progress_total:
        return ""
    unit = " samples" if job.step.partition(",")[0].partition("-")[0] in SAMPLED else ""
    return f"{job.progress_done} of {job.progress_total}{unit}"


SAMPLED = frozenset({"before", "after", "twin"})


STEPS: Mapping[str, str] = {
    "before": "Checking that the model tells the facts now (positive control)",
    "apply": "Changing the memory and comparing it with a rebuild",
    "after": "Attacking the model after the change",
    "twin": "Attacking a twin that never learned the facts",
    "neighbours": "Checking that other answers are unchanged",
    "repair": "Closing the phrasings that got through",
    "report": "Writing the report",
    "write": "Writing facts into the memory",
    "load": "Loading the model",
    "recall": "Checking that the other facts are still told",
}
