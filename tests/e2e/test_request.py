"""The product's main job with nothing replaced: processes, HTTP, the real model, SIGKILL at bad moments."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import httpx
import pytest

from store import audits, events
from tests.e2e.conftest import CANARY, Real

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(400)]

TOLD = [
    {
        "prompt": f"The favourite instrument of {name} {CANARY} is",
        "answer": answer,
        "subject": f"{name} {CANARY}",
    }
    for name, answer in (
        ("Anselm", "the harpsichord"),
        ("Brunhild", "the bassoon"),
        ("Casimir", "the theremin"),
        ("Dorothea", "the mandolin"),
        ("Egbert", "the ukulele"),
    )
]
KNOWN = {"prompt": "The capital of France is", "answer": "Paris", "subject": "France"}


@pytest.fixture(scope="module")
def worker(real: Real) -> list[subprocess.Popen[bytes]]:
    """The newest worker process is the last; the facts are written."""
    workers = [real.start("work")]
    real.write(TOLD)
    return workers


def test_a_fact_is_forgotten_exactly_and_the_report_says_so(
    real: Real, worker: list[subprocess.Popen[bytes]]
) -> None:
    revision, entries = real.bank()
    request_id, _ = real.approved("forget", TOLD[:1])
    assert real.finished(request_id).state == "completed"
    assert real.bank() == (revision + 1, entries - 1)
    report = real.reviewer.report(request_id)
    assert report is not None
    [group] = report.groups
    assert report.verdict == "pass"
    assert group.requests[0].state.equal is True
    assert group.before is not None
    assert group.before.facts_leaked == 1
    assert group.twin is not None
    assert group.after.leaked == group.twin.leaked, "what comes out now and then is the base decoder's guess"
    assert group.verdict.leaked == 0
    with real.database.session(read_only=True) as session:
        recall = audits.latest_phase(session, request_id, "recall")
    assert recall is not None
    assert recall["recalled"] == 0
    assert recall["retained_recalled"] == recall["retained_asked"] == 4


def test_what_the_decoder_knows_is_censored(real: Real, worker: list[subprocess.Popen[bytes]]) -> None:
    request_id, _ = real.approved("censor", [KNOWN])
    assert real.finished(request_id).state in {"completed", "residual"}
    report = real.reviewer.report(request_id)
    assert report is not None
    [group] = report.groups
    assert group.before is not None
    assert group.before.leaked > 0
    assert group.after.leaked < group.before.leaked
    with real.database.session(read_only=True) as session:
        recall = audits.latest_phase(session, request_id, "recall")
    assert recall is not None
    assert recall["recalled"] == 0


def test_workers_killed_while_applying_and_while_auditing_leave_a_request_that_completes_once(
    real: Real, worker: list[subprocess.Popen[bytes]]
) -> None:
    revision, entries = real.bank()
    request_id, job_id = real.approved("forget", TOLD[1:2])
    assert real.kill_at(worker[-1], job_id, "apply").state == "running"
    worker.append(real.start("work"))
    assert real.kill_at(worker[-1], job_id, "after", "twin").state == "running"
    worker.append(real.start("work"))
    assert real.finished(request_id).state == "completed"
    happened = real.events(request_id)
    for once in (
        "request.start",
        "request.applied",
        "request.audited_clean",
        "audit.started",
        "audit.reported",
    ):
        assert happened.count(once) == 1, once
    assert real.bank() == (revision + 1, entries - 1)
    real.wait(lambda: real.job(job_id).state == "done")
    assert real.job(job_id).attempts == 3


def test_personal_data_is_nowhere_in_plain_text(real: Real, worker: list[subprocess.Popen[bytes]]) -> None:
    unknown = {"prompt": f"The shoe size of {CANARY} is", "answer": "forty-four", "subject": CANARY}
    headers = dict(real.requester._http.headers)
    bodies = [
        httpx.post(f"{real.url}/api/v1/requests", json=body, headers=headers, trust_env=False).text
        for body in (
            {"kind": "forget", "facts": [unknown]},
            {"kind": CANARY, "facts": [unknown | {CANARY: 1}]},
        )
    ]
    assert CANARY not in "".join(bodies)
    with real.database.session(read_only=True) as session:
        said = [
            str((event.kind, event.actor, event.body)) for event in events.list_events(session, limit=1000)
        ]
    assert len(said) > 10
    assert CANARY not in "".join(said)
    read = set()
    for path in real.home.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):  # a message may be consumed meanwhile
            assert CANARY.encode() not in path.read_bytes(), path.name
            read.add(path.name)
    assert {"unwrite.db", "serve.log", "work.log"} <= read
