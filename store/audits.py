"""Audit runs, their phases and reports. A phase is saved when it is finished, so a resumed job skips it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import clocks, events, subjects
from store.database import changed
from store.errors import UnknownReport, UnknownRun
from store.ids import new_id
from store.models import AuditPhase, AuditRun, Report
from store.vault import Vault

RunEnd = Literal["stopped", "failed", "tampered"]
STATE = "state"
"""The phase under which a run notes the state that it is about to attack after the change of the memory."""


def start_run(
    session: Session, vault: Vault, *, request_id: str, job_id: str, recheck_id: str | None = None
) -> AuditRun:
    """The unfinished run of this request, handed over to `job_id`, or a new one.

    A re-check takes up only what an earlier attempt of the same job left: a month later the model is another.
    """
    query = sa.select(AuditRun).where(
        AuditRun.request_id == request_id, AuditRun.recheck_id == recheck_id, AuditRun.state == "running"
    )
    if recheck_id is not None:
        query = query.where(AuditRun.job_id == job_id)
    run = session.scalars(query.order_by(AuditRun.started_at).with_for_update(key_share=True)).first()
    if run is not None:
        run.job_id = job_id
        session.flush()
        return run
    run = AuditRun(
        id=new_id("run"),
        request_id=request_id,
        recheck_id=recheck_id,
        job_id=job_id,
        subject_key_id=subjects.new_key(session, vault).id,
        state="running",
        started_at=clocks.now(),
    )
    session.add(run)
    session.flush()
    events.append(
        session, "audit.started", actor="worker", request_id=request_id, body={"run": run.id, "job": job_id}
    )
    return run


def end_run(session: Session, run_id: str, state: RunEnd, *, actor: str) -> None:
    """End a run that will have no report; what it sampled so far is kept until the texts are destroyed, but no
    later run goes on from it.
    """
    run = get_run(session, run_id)
    if run.state != "running":
        return
    run.state, run.finished_at = state, clocks.now()
    session.flush()
    events.append(session, f"audit.{state}", actor=actor, request_id=run.request_id, body={"run": run_id})


def end_runs_of_job(session: Session, job_id: str, state: RunEnd, *, actor: str) -> None:
    """End what a job was auditing (see `end_run`)."""
    _end_runs(session, AuditRun.job_id == job_id, state, actor)


def end_runs_of_request(session: Session, request_id: str, state: RunEnd, *, actor: str) -> None:
    """End what a request's jobs were auditing, whichever of them failed meanwhile; its re-checks go on."""
    mine = sa.and_(AuditRun.request_id == request_id, AuditRun.recheck_id.is_(None))
    _end_runs(session, mine, state, actor)


def get_run(session: Session, run_id: str) -> AuditRun:
    """The run; `UnknownRun`."""
    run = session.get(AuditRun, run_id, populate_existing=True)
    if run is None:
        raise UnknownRun("There is no audit run with this id.")
    return run


def runs_of(session: Session, request_id: str) -> list[AuditRun]:
    """All audit runs of a request, oldest first."""
    query = sa.select(AuditRun).where(AuditRun.request_id == request_id)
    return list(session.scalars(query.order_by(AuditRun.started_at, AuditRun.id)))


def phase(session: Session, run_id: str, name: str) -> dict[str, Any] | None:
    """The saved result of a phase, or None if it is not finished."""
    row = session.get(AuditPhase, (run_id, name), populate_existing=True)
    return None if row is None else dict(row.result)


def looks_of(session: Session, request_id: str) -> list[tuple[AuditRun, int]]:
    """The runs of a request that attacked what its change left, however they ended, oldest first, and how often each
    of them looked: once, and once more after every repair.
    """
    query = sa.select(AuditPhase.audit_run_id, AuditPhase.name)
    query = query.join(AuditRun, AuditRun.id == AuditPhase.audit_run_id)
    saved: dict[str, list[str]] = {}
    for run_id, name in session.execute(query.where(AuditRun.request_id == request_id)).all():
        saved.setdefault(run_id, []).append(name)
    looked = {run for run, names in saved.items() if any(n == STATE or n.startswith("after") for n in names)}
    return [
        (run, 1 + sum(name.startswith("repair-") for name in saved[run.id]))
        for run in runs_of(session, request_id)
        if run.id in looked
    ]


def unreported_of(session: Session, request_id: str) -> int:
    """How many runs of a request attacked what its change left, and ended without a report."""
    return sum(run.state in get_args(RunEnd) for run, _ in looks_of(session, request_id))


def latest_phase(session: Session, request_id: str, name: str) -> dict[str, Any] | None:
    """The newest saved result of that phase over all runs of a request: after a retry the «before» of the
    first run is still the one that was measured before the memory changed.
    """
    query = sa.select(AuditPhase.result).join(AuditRun, AuditRun.id == AuditPhase.audit_run_id)
    query = query.where(AuditRun.request_id == request_id, AuditPhase.name == name)
    found = session.scalars(query.order_by(AuditPhase.finished_at.desc()).limit(1)).first()
    return None if found is None else dict(found)


def save_phase(
    session: Session, vault: Vault, run_id: str, name: str, result: dict[str, Any], transcript: bytes | None
) -> None:
    """Save a finished phase: numbers in the clear (no personal data), the transcript encrypted. Saving again
    replaces it.
    """
    run = get_run(session, run_id)
    sealed = (
        None
        if transcript is None
        else _seal(session, vault, run, "audit_phase", f"{run_id}/{name}", transcript)
    )
    session.merge(
        AuditPhase(
            audit_run_id=run_id,
            name=name,
            result=result,
            transcript_ciphertext=sealed,
            finished_at=clocks.now(),
        )
    )
    session.flush()


def drop_phases(session: Session, run_id: str, names: Sequence[str]) -> None:
    """Remove saved phases that were joined into another one."""
    mine = sa.delete(AuditPhase).where(AuditPhase.audit_run_id == run_id, AuditPhase.name.in_(names))
    changed(session, mine)
    session.expire_all()


def transcript(session: Session, vault: Vault, run_id: str, name: str) -> bytes | None:
    """The decrypted transcript of a phase, or None if there is none."""
    row = session.get(AuditPhase, (run_id, name), populate_existing=True)
    if row is None or row.transcript_ciphertext is None:
        return None
    run = get_run(session, run_id)
    return _open(session, vault, run, "audit_phase", f"{run_id}/{name}", row.transcript_ciphertext)


def transcripts(session: Session, vault: Vault, run_id: str) -> dict[str, bytes]:
    """The decrypted transcripts of a run by phase; «before» from an earlier run of the request where this one
    did not measure it. Empty once the texts were destroyed.
    """
    run = get_run(session, run_id)
    query = sa.select(AuditPhase).where(AuditPhase.transcript_ciphertext.is_not(None))
    rows = list(session.scalars(query.where(AuditPhase.audit_run_id == run_id)))
    if all(row.name != "before" for row in rows):
        earlier = query.join(AuditRun, AuditRun.id == AuditPhase.audit_run_id).where(
            AuditRun.request_id == run.request_id,
            AuditPhase.name == "before",
            AuditRun.started_at <= run.started_at,
        )
        rows += session.scalars(earlier.order_by(AuditPhase.finished_at.desc()).limit(1))
    found = {row.name: transcript(session, vault, row.audit_run_id, row.name) for row in rows}
    return {name: data for name, data in sorted(found.items()) if data is not None}


def save_report(
    session: Session,
    vault: Vault,
    run_id: str,
    request_id: str,
    verdict: str,
    report_json: bytes,
    report_html: bytes,
) -> Report:
    """Save the report and finish its run, in this transaction; a run that has a report keeps it.

    `report_json` must hold no personal data; `report_html` may name the subject and is encrypted.
    """
    existing = session.scalars(sa.select(Report).where(Report.audit_run_id == run_id)).one_or_none()
    if existing is not None:
        return existing
    run = get_run(session, run_id)
    report_id = new_id("rep")
    saved = Report(
        id=report_id,
        audit_run_id=run_id,
        request_id=request_id,
        verdict=verdict,
        json=report_json,
        html_ciphertext=_seal(session, vault, run, "report", report_id, report_html),
        created_at=clocks.now(),
    )
    session.add(saved)
    run.state, run.verdict, run.finished_at = "done", verdict, clocks.now()
    session.flush()
    body = {"run": run_id, "report": report_id, "verdict": verdict}
    events.append(session, "audit.reported", actor="worker", request_id=request_id, body=body)
    return saved


def report(session: Session, report_id: str) -> Report:
    """The report with its JSON bytes in `.json`; `UnknownReport`. Its HTML comes from `report_html`."""
    found = session.get(Report, report_id)
    if found is None:
        raise UnknownReport("There is no report with this id.")
    return found


def report_html(session: Session, vault: Vault, report_id: str) -> bytes | None:
    """The decrypted HTML page of a report; None once the request's texts were destroyed."""
    found = report(session, report_id)
    if found.html_ciphertext is None:
        return None
    run = get_run(session, found.audit_run_id)
    return _open(session, vault, run, "report", report_id, found.html_ciphertext)


def reports_of(session: Session, request_id: str) -> list[Report]:
    """All reports of a request, newest first."""
    query = sa.select(Report).where(Report.request_id == request_id)
    return list(session.scalars(query.order_by(Report.created_at.desc(), Report.id)))


def _end_runs(session: Session, which: sa.ColumnElement[bool], state: RunEnd, actor: str) -> None:
    query = sa.select(AuditRun.id).where(which, AuditRun.state == "running")
    for run_id in session.scalars(query).all():
        end_run(session, run_id, state, actor=actor)


_COLUMNS = {"audit_phase": "transcript_ciphertext", "report": "html_ciphertext"}


def _seal(session: Session, vault: Vault, run: AuditRun, table: str, row: str, plaintext: bytes) -> bytes:
    key = subjects.open_keys(session, vault, [run.subject_key_id])[run.subject_key_id]
    return vault.encrypt(key, plaintext, table=table, column=_COLUMNS[table], row=row)


def _open(session: Session, vault: Vault, run: AuditRun, table: str, row: str, sealed: bytes) -> bytes:
    key = subjects.open_keys(session, vault, [run.subject_key_id])[run.subject_key_id]
    return vault.decrypt(key, sealed, table=table, column=_COLUMNS[table], row=row)
