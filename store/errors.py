"""Every error the store raises, each with a stable `code` and the HTTP status that a web layer may use.

Messages are written for people and never repeat a submitted value: at most they name a position or a field.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class StoreError(Exception):
    """Base of all store errors."""

    code: ClassVar[str] = "store_error"
    status: ClassVar[int] = 500


class DatabaseUnusable(StoreError):
    """The file or server cannot be used as Unwrite's database."""

    code = "database_unusable"
    status = 503


class DatabaseBusy(StoreError):
    """Another process held the database for longer than the busy timeout."""

    code = "database_busy"
    status = 503


class DiskFull(StoreError):
    """The database cannot grow: what was being written is not there, everything before is."""

    code = "disk_full"
    status = 503


class VaultError(StoreError):
    """Something encrypted cannot be opened: wrong master key, or changed bytes."""

    code = "vault_error"
    status = 500


class InvalidInput(StoreError):
    """A submitted field breaks a rule; the message names the field, never the value."""

    code = "invalid_input"
    status = 422

    def __init__(self, message: str, *, field: str = "", position: int | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.position = position


class PositionsError(StoreError):
    """Some facts of a list break a rule; `positions` counts from 0."""

    status = 422
    sentence: ClassVar[str] = "These facts are not acceptable"

    def __init__(self, positions: Sequence[int]) -> None:
        self.positions = tuple(positions)
        places = ", ".join(str(position + 1) for position in self.positions)
        super().__init__(f"{self.sentence} (in the order sent, counting from 1): {places}.")


class AnswerRequired(PositionsError):
    """A fact came without the answer that identifies it."""

    code = "answer_required"
    sentence = "Each fact needs its answer; it is missing for"


class FactNotWritten(PositionsError):
    """A fact to be forgotten is not in the bank's memory."""

    code = "fact_not_written"
    status = 409
    sentence = "Only a fact that is written in the memory can be forgotten; not written are"


class FactGone(FactNotWritten):
    """A fact left the memory after its request was submitted, because of another request."""

    code = "fact_gone"
    sentence = "Deny or cancel this request: the memory no longer holds its facts"


class DuplicateFact(PositionsError):
    """A fact is in the bank already, waits to be written, or is listed twice."""

    code = "duplicate_fact"
    status = 409
    sentence = "These facts are in the bank already, or listed twice"


class AlreadyUnderway(StoreError):
    """Another approved request is working on one of the same facts."""

    code = "already_underway"
    status = 409


class NotFound(StoreError):
    """No row with that id."""

    code = "not_found"
    status = 404


class UnknownRequest(NotFound):
    """No such request."""

    code = "unknown_request"


class UnknownJob(NotFound):
    """No such job."""

    code = "unknown_job"


class UnknownFact(NotFound):
    """No such fact, or not in this bank."""

    code = "unknown_fact"


class UnknownBank(NotFound):
    """No such bank."""

    code = "unknown_bank"


class UnknownRun(NotFound):
    """No such audit run."""

    code = "unknown_audit_run"


class UnknownReport(NotFound):
    """No such report."""

    code = "unknown_report"


class UnknownRecheck(NotFound):
    """No such re-check."""

    code = "unknown_recheck"


class UnknownUser(NotFound):
    """No such user."""

    code = "unknown_user"


class IllegalTransition(StoreError):
    """The request is in a state that does not allow this step."""

    code = "illegal_transition"
    status = 409

    def __init__(self, state: str, event: str) -> None:
        super().__init__(f"A request that is {state!r} does not allow the step {event!r}.")
        self.state = state
        self.event = event


class AlreadyScheduled(StoreError):
    """A request has at most one active re-check."""

    code = "already_scheduled"
    status = 409


class RecheckCancelled(StoreError):
    """A cancelled re-check runs no more, not by hand either."""

    code = "recheck_cancelled"
    status = 409


class AlreadyApplied(StoreError):
    """A request that changed the memory cannot be withdrawn any more."""

    code = "already_applied"
    status = 409


class StaleVersion(StoreError):
    """Somebody else changed the request since it was read."""

    code = "stale_version"
    status = 409


class StaleRevision(StoreError):
    """Somebody else committed a revision of the bank since it was read."""

    code = "stale_revision"
    status = 409


class LeaseLost(StoreError):
    """The worker no longer holds this job: another may have taken it over."""

    code = "lease_lost"
    status = 409


class ReasonRequired(StoreError):
    """This decision must come with a reason."""

    code = "reason_required"
    status = 422


class SamePerson(StoreError):
    """Who submitted a request may neither approve it nor accept its leak."""

    code = "same_person"
    status = 403


class EmailTaken(StoreError):
    """An account with this e-mail address exists already."""

    code = "email_taken"
    status = 409


class RequestBusy(StoreError):
    """Texts of a request cannot be destroyed while something still needs them."""

    code = "request_busy"
    status = 409


class AnswerStandsElsewhere(PositionsError):
    """An answer cannot be destroyed alone: the prompt, the subject or another name holds it as well."""

    code = "answer_stands_elsewhere"
    status = 409
    sentence = (
        "The prompt, subject or names of these facts hold the answer as well; destroy all texts instead"
    )


class TextsDestroyed(StoreError):
    """The texts of this request were destroyed, with the key under which they were encrypted."""

    code = "texts_destroyed"
    status = 410


class IdempotencyConflict(StoreError):
    """The same Idempotency-Key came with a different body."""

    code = "idempotency_conflict"
    status = 409


class EventNotAllowed(StoreError):
    """An event body holds something other than str, int or bool."""

    code = "event_not_allowed"
    status = 500
