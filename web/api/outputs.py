"""What goes out of the JSON API: ids, states, times and counts, never the text of a fact."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from store.clocks import days_left, now
from store.models import BankRevision, Event, Fact, Job, Recheck, Report, Request


class Out(BaseModel):
    """Base of what goes out."""

    model_config = ConfigDict(extra="forbid")


class Progress(Out):
    """How far a job is, in the units of its step."""

    done: int
    total: int


class JobOut(Out):
    """A piece of work for a worker."""

    id: str
    kind: str
    state: str
    step: str
    progress: Progress
    attempts: int
    max_attempts: int
    error_class: str | None = Field(description="Class of the last error; never its message.")
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job) -> JobOut:
        """From the row."""
        progress = Progress(done=job.progress_done, total=job.progress_total)
        return cls(
            id=job.id,
            kind=job.kind,
            state=job.state,
            step=job.step,
            progress=progress,
            attempts=job.attempts,
            max_attempts=job.max_attempts,
            error_class=job.error_class,
            created_at=job.created_at,
            finished_at=job.finished_at,
        )


class ReportRef(Out):
    """A report's address and verdict."""

    id: str
    request_id: str
    verdict: str
    created_at: datetime

    @classmethod
    def of(cls, report: Report) -> ReportRef:
        """From the row."""
        return cls(
            id=report.id, request_id=report.request_id, verdict=report.verdict, created_at=report.created_at
        )


class RequestOut(Out):
    """A request without the text of its facts."""

    id: str
    kind: str
    regulation: str
    state: str
    reference: str
    reason: str | None
    received_at: datetime
    due_at: datetime
    days_left: int = Field(description="Whole days to the due date; negative is overdue.")
    submitted_by: str
    decided_by: str | None
    decided_at: datetime | None
    completed_at: datetime | None
    duplicate_of: str | None
    version: int

    @classmethod
    def of(cls, request: Request, **more: Any) -> RequestOut:
        """From the row; subclasses pass their own fields as `more`."""
        return cls(
            id=request.id,
            kind=request.kind,
            regulation=request.regulation,
            state=request.state,
            reference=request.reference,
            reason=request.reason,
            received_at=request.received_at,
            due_at=request.due_at,
            days_left=days_left(request.due_at, now()),
            submitted_by=request.submitted_by,
            decided_by=request.decided_by,
            decided_at=request.decided_at,
            completed_at=request.completed_at,
            duplicate_of=request.duplicate_of,
            version=request.row_version,
            **more,
        )


class RequestDetail(RequestOut):
    """A request with its newest job, its reports and the steps that you may take now."""

    fact_count: int
    job: JobOut | None
    reports: list[ReportRef]
    allowed: list[str]


class Decision(Out):
    """The request after a step and, where a worker was given work, the job."""

    request: RequestOut
    job: JobOut | None = None


class RequestPage(Out):
    """One page of requests, the most urgent first."""

    items: list[RequestOut]
    next_cursor: str | None


class EventOut(Out):
    """Something that happened to a request. Bodies hold ids, numbers and fixed words."""

    seq: int
    kind: str
    actor: str
    body: dict[str, str | int | bool]
    at: datetime

    @classmethod
    def of(cls, event: Event) -> EventOut:
        """From the row."""
        return cls(seq=event.seq, kind=event.kind, actor=event.actor, body=dict(event.body), at=event.at)


class EventPage(Out):
    """One page of the events of a request, oldest first."""

    items: list[EventOut]
    next_cursor: str | None


class ReportList(Out):
    """All reports of a request, newest first."""

    items: list[ReportRef]


class FactOut(Out):
    """A fact of the bank without its text."""

    id: str
    kind: str
    state: str
    created_at: datetime
    written_revision: int | None

    @classmethod
    def of(cls, fact: Fact) -> FactOut:
        """From the row."""
        return cls(
            id=fact.id,
            kind=fact.kind,
            state=fact.state,
            created_at=fact.created_at,
            written_revision=fact.written_revision,
        )


class FactPage(Out):
    """One page of facts."""

    items: list[FactOut]
    next_cursor: str | None


class Written(Out):
    """A fact that was taken in, by its place in what you sent (from 0)."""

    position: int
    id: str


class Refused(Out):
    """A fact that was not taken in, by its place in what you sent (from 0)."""

    position: int
    code: str
    message: str


class FactsResult(Out):
    """What became of each fact, and the job that writes the accepted ones."""

    succeeded: list[Written]
    failed: list[Refused]
    job: JobOut | None


class RecheckOut(Out):
    """An audit on a schedule."""

    id: str
    request_id: str
    every_days: int
    next_at: datetime
    last_run_at: datetime | None = Field(description="When a run last came to its end, with a report.")
    last_run: JobOut | None = Field(
        description="The newest run that ended: done, or failed with the class of its error (`Cancelled`: stopped)."
    )
    active: bool

    @classmethod
    def of(cls, recheck: Recheck, last_run: Job | None) -> RecheckOut:
        """From the row and the job of its newest ended run."""
        return cls(
            id=recheck.id,
            request_id=recheck.request_id,
            every_days=recheck.every_days,
            next_at=recheck.next_at,
            last_run_at=recheck.last_run_at,
            last_run=JobOut.of(last_run) if last_run is not None else None,
            active=recheck.active,
        )


class RecheckPage(Out):
    """One page of re-checks, the active ones first."""

    items: list[RecheckOut]
    next_cursor: str | None


class RevisionOut(Out):
    """One committed state of the bank."""

    revision: int
    digest: str
    reason: str
    request_id: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: BankRevision) -> RevisionOut:
        """From the row."""
        return cls(
            revision=row.revision,
            digest=row.digest,
            reason=row.reason,
            request_id=row.request_id,
            created_at=row.created_at,
        )


class RevisionList(Out):
    """Committed states of the bank."""

    items: list[RevisionOut]


class BankOut(Out):
    """The memory bank: its revision, the keyed digest of its state, and counts."""

    name: str
    revision: int
    digest: str
    updated_at: datetime
    facts: dict[str, int]


class TreeHeadOut(Out):
    """A signed tree head: a DSSE envelope around size, root and time."""

    size: int
    envelope: dict[str, Any]


class InclusionOut(Out):
    """That `leaf` is number `index` (from 0) of the tree of `size` entries; hashes in hex."""

    size: int
    index: int
    leaf: str
    path: list[str]


class ConsistencyOut(Out):
    """That the tree of `second` entries continues the tree of `first`; hashes in hex."""

    first: int
    second: int
    path: list[str]


class Health(Out):
    """Whether the service answers."""

    status: Literal["ok"]


class ProblemField(Out):
    """What is wrong with one field."""

    location: str
    field: str
    code: str
    message: str


class ProblemOut(BaseModel):
    """RFC 9457 problem details. `code` is stable; `detail` is for people. Submitted values are never
    repeated.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[ProblemField] | None = None
    positions: list[int] | None = None
