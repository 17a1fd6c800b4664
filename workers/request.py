"""Job kinds `forget`, `censor` and `recheck`: from the positive control to the report, one saved step after
another.

    before -> apply -> after -> (repair -> after: a leaking censor) -> twin -> neighbours -> recall -> report

A re-check has the control of the first audit. Where the attack is another one by now, a censor gets a new control:
the model without its tombstones. After a forget there is none to be had.

Every step first looks whether it was done already. A worker that dies anywhere leaves the finished steps
behind, and whoever claims the job next goes on from there; the request completes once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from audit import repair
from audit.keys import KeyRing
from audit.report import RepairRound, Report
from audit.results import NeighbourResult, PhaseResult, differences
from audit.statement import salted_page
from store import audits, events, requests, states
from workers import report
from workers.apply import apply, widen
from workers.audit import Audit, neighbours, phase_name, recall
from workers.case import Case
from workers.certificate import sign_report
from workers.certification import LAST, Certification, served
from workers.context import JobContext
from workers.report import Findings

WORKING = ("applying", "auditing")


def run(context: JobContext) -> None:
    """Take an approved request to its end. Nothing is done for one that is decided already."""
    if not _take_up(context):
        return
    context.progress("load")
    context.models.live(context.job.bank_id)
    case = Case.open(context)
    audit = Audit(case)
    before = _before(case, audit)
    apply(case)
    certification = Certification(case, audit)
    rounds = _repair(certification) if case.request.kind == "censor" else []
    _close(case, report.write(case, _attack_and_compare(certification, before, tuple(rounds))))


def recheck(context: JobContext) -> None:
    """Audit a request again, without changing anything; a failing re-check is an event of its own."""
    context.progress("load")
    context.models.live(context.job.bank_id)
    case = Case.open(context)
    audit = Audit(case)
    before = PhaseResult.model_validate(case.saved_ever("before"))
    done = report.write(case, _attack_and_compare(Certification(case, audit), before, rounds=()))

    def alert(session: Session) -> None:
        if done.verdict != "pass":
            again = sum(len(record.state.restated) for group in done.groups for record in group.requests)
            body: events.EventBody = {
                "recheck": context.job.recheck_id or "",
                "verdict": done.verdict,
                "restated": again,
            }
            actor = context.lease.worker
            events.append(session, "recheck.alert", actor=actor, request_id=case.request.id, body=body)

    _save_report(case, done, alert)


def _take_up(context: JobContext) -> bool:
    assert context.job.request_id is not None
    with context.lease.transaction() as session:
        request = requests.get(session, context.job.request_id)
        if request.state == "approved":
            request = states.transition(session, request.id, "start", actor=context.lease.worker)
        return request.state in WORKING


def _before(case: Case, audit: Audit) -> PhaseResult:
    """The positive control; measured once, because after the removal it cannot be measured any more."""
    kept = case.saved_ever("before")
    return PhaseResult.model_validate(kept) if kept else audit.attack("before", served(case))


def _control(certification: Certification, before: PhaseResult, after: PhaseResult) -> PhaseResult:
    """The control, measured anew for a censor when the kept one was attacked or judged in another way."""
    kept = certification.case.request.kind == "forget" or not differences(before, after)
    return before if kept else certification.control()


def _repair(certification: Certification) -> list[RepairRound]:
    """Attack; widen the scope by repair phrasings that get through; attack afresh, up to the limit."""
    case, audit = certification.case, certification.audit

    def mend(number: int, leaking: Sequence[str]) -> RepairRound | None:
        if case.saved(f"repair-{number}") is None:
            phrasings = audit.leaking_phrasings(served(case), leaking, number)
            if not phrasings:
                return None
            widen(case, number, phrasings)
        return RepairRound(round=number, **(case.saved(f"repair-{number}") or {}))

    return repair.rounds(case.context.settings.repair_rounds, certification.after, mend)


def _attack_and_compare(
    certification: Certification, before: PhaseResult, rounds: tuple[RepairRound, ...]
) -> Findings:
    case, audit, number = certification.case, certification.audit, len(rounds)
    after = certification.after(number)
    before = _control(certification, before, after)
    twin = certification.twin(number) if case.request.kind == "forget" else None
    if case.saved(LAST) is None:
        model = certification.state(number).live.model
        neighbours(case, model)
        recall(case, model)
    others = NeighbourResult.model_validate(case.saved("neighbours"))
    last = phase_name("after", number)
    beside = audit.beside(["before", last, "twin"] if twin else ["before", last])
    return Findings(before, after, twin, others, certification.change(), rounds, audit.seeds(number), beside)


def _close(case: Case, done: Report) -> None:
    """Report and final state in one transaction. Anything but a pass is for a person to decide."""
    event = "audited_clean" if done.verdict == "pass" else "audited_leaking"

    def finish(session: Session) -> None:
        if requests.get(session, case.request.id).state == "auditing":
            states.transition(session, case.request.id, event, actor=case.context.lease.worker)

    _save_report(case, done, finish)


def _save_report(case: Case, done: Report, also: Callable[[Session], None]) -> None:
    texts = {fact.id: fact for fact in case.audit_facts}
    html, data, vault = salted_page(done.to_html(texts)), done.to_json(), case.context.vault
    settings, worker = case.context.settings, case.context.lease.worker
    ring = KeyRing(settings.resolved_signing_keys(), settings.resolved_private_keys())
    with case.context.lease.transaction() as session:
        saved = audits.save_report(session, vault, case.run_id, case.request.id, done.verdict, data, html)
        also(session)
        sign_report(session, vault, ring, saved, actor=worker)
