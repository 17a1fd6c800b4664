"""The story of a request as people read it: four steps, where it stands, and its events in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from store.models import Event, Request
from web.wording import plural


@dataclass(frozen=True)
class Step:
    """One of the four steps at the top of a request."""

    word: str
    tone: str  # past | now | bad | amber | ""
    current: bool = False


@dataclass(frozen=True)
class Standing:
    """Where a request stands while no worker is at it."""

    title: str
    text: str


@dataclass(frozen=True)
class Entry:
    """One line of the timeline."""

    text: str
    tone: str
    at: datetime
    who: str
    quote: str = ""


STANDING: Mapping[str, Standing] = {
    "received": Standing(
        "Waiting for a decision", "Nothing has been changed yet. A reviewer approves or denies."
    ),
    "approved": Standing("Approved", "A worker will take the job as soon as one is free."),
    "applying": Standing("Being applied", "A worker is changing the memory."),
    "auditing": Standing(
        "Being audited", "The memory was changed; the model is being attacked to see whether it still tells."
    ),
    "completed": Standing(
        "Completed", "The memory was changed and the audit found no leak above the threshold."
    ),
    "residual": Standing(
        "The audit did not pass",
        "The request was applied, but the audit could not show that the model is silent enough, or somebody "
        "stopped it. Read the report if there is one, then repair (and audit) again or accept with a reason.",
    ),
    "failed": Standing(
        "The work failed",
        "All attempts were used up; the timeline shows how far the work came. Trying again continues there.",
    ),
    "denied": Standing("Denied", "Nothing was changed in the memory."),
    "cancelled": Standing("Cancelled", "Nothing was changed in the memory."),
}
STEPS = ("Received", "Decision", "Memory change", "Audit")
PAST_STEPS: Mapping[str, int] = {
    "received": 1,
    "approved": 2,
    "applying": 2,
    "failed": 2,
    "auditing": 3,
    "residual": 3,
    "completed": 4,
}
ACCEPTED = Standing(
    "Completed, leak accepted", "The request was applied; a reviewer accepted the leak that remains."
)

WORDS: Mapping[str, tuple[str, str]] = {
    "request.approve": ("Approved", "blue"),
    "request.deny": ("Denied", "red"),
    "request.cancel": ("Cancelled", ""),
    "request.start": ("A worker began", ""),
    "request.applied": ("Memory changed; rebuild compared and equal", "blue"),
    "request.audited_clean": ("Audit passed, request completed", "green"),
    "request.audited_leaking": ("The audit did not pass", "amber"),
    "request.give_up": ("Work failed for good", "red"),
    "request.retry": ("Sent to work again", "blue"),
    "request.accept": ("Leak accepted, request completed", "green"),
    "request.stop_audit": ("Audit stopped; the removal stays", "amber"),
    "audit.started": ("Audit started", ""),
    "audit.failed": ("Audit not finished", "amber"),
    "audit.tampered": ("Stored samples were changed by somebody; they are not used", "red"),
    "certificate.issued": ("Report signed and entered into the log", "green"),
    "certificate.missing": ("Report not signed: no key could sign", "amber"),
    "job.failed": ("Job failed", "red"),
    "job.retried": ("Attempt failed; trying again", "amber"),
    "job.cancelled": ("Job ended", ""),
    "recheck.cancelled": ("Re-check cancelled", ""),
    "recheck.stopped": ("Running re-check stopped", ""),
    "recheck.run": ("Re-check started by hand", ""),
    "recheck.alert": ("The re-check did not pass", "amber"),
    "request.answers_destroyed": ("Answers destroyed; re-checks go on", ""),
    "request.texts_destroyed": ("Texts destroyed", ""),
}
HIDDEN = frozenset({"job.done", "audit.stopped", "key.destroyed"})
QUOTED = frozenset({"request.deny", "request.accept", "request.give_up"})


def steps_of(request: Request, *, applied: bool = False) -> list[Step]:
    """Received, decision, memory change, audit: which are past, which is now, which went wrong. `applied`: the
    request has changed the memory, whatever became of it then.
    """
    if request.state in {"denied", "cancelled"}:
        return [Step("Received", "past"), Step(request.state.capitalize(), "bad", current=True)]
    past = PAST_STEPS.get(request.state, 1)
    if request.state == "failed" and applied:
        past = PAST_STEPS["auditing"]
    tone = {"residual": "amber", "failed": "bad"}.get(request.state, "now")
    return [
        Step(word, "past" if place < past else tone if place == past else "", current=place == past)
        for place, word in enumerate(STEPS)
    ]


def standing_of(request: Request, *, accepted: bool) -> Standing:
    """Where the request stands; a leak that was accepted is not sold as a clean audit."""
    if request.state == "completed" and accepted:
        return ACCEPTED
    return STANDING.get(request.state, Standing(request.state.capitalize(), ""))


def entries_of(request: Request, events: Sequence[Event], names: Mapping[str, str]) -> list[Entry]:
    """The timeline, newest last. The reason that the request keeps is quoted at the last step that can carry
    one.
    """
    shown = [event for event in events if event.kind not in HIDDEN]
    quoted = next((event.seq for event in reversed(shown) if event.kind in QUOTED), None)
    entries = []
    for event in shown:
        text, tone = _words(event)
        quote = request.reason or "" if event.seq == quoted else ""
        entries.append(Entry(text, tone, event.at, names.get(event.actor, _machine(event.actor)), quote))
    return entries


def _words(event: Event) -> tuple[str, str]:
    body = event.body
    if event.kind == "request.submit":
        return f"Received, with {plural(int(body.get('facts', 0)), 'fact')}", "blue"
    if event.kind == "bank.revision":
        return f"Bank committed as revision {body.get('revision')}", ""
    if event.kind == "audit.reported":
        verdict = str(body.get("verdict", ""))
        return f"Report: {verdict}", {"pass": "green", "fail": "red"}.get(verdict, "amber")
    if event.kind == "recheck.scheduled":
        return f"Re-check scheduled every {plural(int(body.get('every_days', 0)), 'day')}", ""
    if event.kind == "recheck.alert" and body.get("restated"):
        return "The re-check did not pass: a removed fact is in the memory again; submit a new request", "red"
    if event.kind == "recheck.alert" and body.get("verdict") == "unfinished":
        return "The re-check was not finished: its job failed, nothing is known about today", "red"
    return WORDS.get(event.kind, (event.kind.replace(".", ": ").replace("_", " ").capitalize(), ""))


def _machine(actor: str) -> str:
    """Workers name themselves with host and process; a reader only needs to know that it was a worker."""
    return "" if actor == "" else "the command line" if actor == "cli" else "worker"
