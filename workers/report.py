"""From the findings of an audit to the report: which model, which versions, which state it speaks of."""

from __future__ import annotations

import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

from audit import report as audit_report
from audit.blind import BlindDetector, BlindKey, blinded
from audit.counts import Kind
from audit.detect import DetectorQuality, ExactDetector, fact_of, measure, shipped_cases
from audit.errors import ReportInvalid
from audit.report import Look, Method, RepairRound, Report, RequestInfo, StateChange
from audit.results import NeighbourResult, PhaseResult
from audit.semantic import shipped_quality
from audit.trend import look_of
from store import audits, ledger
from store.models import Regulation
from workers import suite
from workers.case import Case
from workers.change import Change

SOFTWARE = ("unwrite", "torch", "transformers", "sentence-transformers")


@dataclass(frozen=True)
class Findings:
    """All that an audit measured."""

    before: PhaseResult
    after: PhaseResult
    twin: PhaseResult | None
    neighbours: NeighbourResult
    change: Change
    repairs: Sequence[RepairRound]
    seeds: Mapping[str, int]
    beside: Sequence[PhaseResult] = ()
    """attacks that do not decide the verdict"""


def write(case: Case, findings: Findings) -> Report:
    """The report of a case, judged by the policy in the settings."""
    case.context.progress("report", 0, 1)
    settings, request, history = case.context.settings, case.request, _history(case)
    return audit_report.build(
        kind=cast(Kind, request.kind),
        request=RequestInfo(
            request_id=request.id,
            regulation=cast(Regulation, request.regulation),
            reference=request.reference,
            received_at=request.received_at,
            decided_at=request.decided_at,
        ),
        state=_state(case, findings.change),
        before=findings.before,
        after=findings.after,
        twin=findings.twin,
        neighbours=findings.neighbours,
        method=_method(case, findings.seeds),
        policy=suite.policy(settings),
        repairs=tuple(findings.repairs),
        earlier_audits=_earlier_looks(case),
        history=history,
        unreported=_unreported(case, len(history)),
        detector_quality=_detector_quality(case.is_blind),
        second_quality=shipped_quality(findings.after.second),
        produced_at=datetime.now(UTC),
        others=findings.beside,
    )


def _earlier_looks(case: Case) -> int:
    """How often other runs of this request looked."""
    with case.context.database.session(read_only=True) as session:
        looked = audits.looks_of(session, case.request.id)
    return sum(times for run, times in looked if run.id != case.run_id)


def _unreported(case: Case, told: int) -> int:
    """How many other audits of this request looked and ended, beyond those `told`."""
    with case.context.database.session(read_only=True) as session:
        looked = audits.looks_of(session, case.request.id)
    ended = sum(run.state != "running" and run.id != case.run_id for run, _ in looked)
    return max(0, ended - told)


def _history(case: Case) -> list[Look]:
    """What the earlier reports of this request counted, oldest first; none that cannot be read any more."""
    with case.context.database.session(read_only=True) as session:
        kept = [
            row.json for row in audits.reports_of(session, case.request.id) if row.audit_run_id != case.run_id
        ]
    return [found for data in reversed(kept) if (found := _look(data)) is not None]


def _look(data: bytes) -> Look | None:
    try:
        return look_of(audit_report.validate(data))
    except (ReportInvalid, ValueError):
        return None


def _state(case: Case, change: Change) -> StateChange:
    with case.context.database.session(read_only=True) as session:
        bank = ledger.get_bank(session, case.request.bank_id).name
    return StateChange(
        bank=bank,
        revision_before=change.revision_before,
        revision_after=change.revision_after,
        digest_before=change.digest_before,
        digest_after=change.digest_after,
        digest_never_written=change.digest_rebuilt if case.request.kind == "forget" else None,
        entries_before=change.entries_before,
        entries_after=change.entries_after,
        restated=tuple(change.restated),
    )


def _method(case: Case, seeds: Mapping[str, int]) -> Method:
    settings, weights = case.context.settings, case.context.models.weights.weights
    return Method(
        model="Larimar",
        decoder=_last_part(weights.config.decoder),
        checkpoint=settings.checkpoint.name if settings.checkpoint else "shipped",
        device=weights.base.device.type,
        software={"python": platform.python_version(), **{name: _version(name) for name in SOFTWARE}},
        seeds=dict(seeds),
        rephraser=_rephraser(settings.rephraser),
    )


def _last_part(spec: str) -> str:
    """A name as it is; of a folder on this machine the last part alone."""
    return Path(spec).name if Path(spec).is_absolute() else spec


def _rephraser(spec: str) -> str:
    """The source of phrasings in words."""
    if spec == "templates":
        return spec
    own = spec.partition(":")[2]
    return f"trained rephraser {Path(own).name} and templates" if own else "trained rephraser and templates"


@cache
def _detector_quality(blind: bool) -> DetectorQuality:
    """How often the detector is right on the labelled cases that ship with it; measured once a process."""
    if not blind:
        return measure(ExactDetector(), shipped_cases())
    key = BlindKey(secrets.token_bytes(32))
    return measure(BlindDetector(), shipped_cases(), lambda labelled: blinded(fact_of(labelled), key))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
