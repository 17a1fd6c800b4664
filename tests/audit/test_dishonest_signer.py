"""Who holds the key may sign anything: what contradicts itself is refused all the same."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from audit import certificate
from audit.envelope import canonical
from audit.statement import digest
from audit.verification import Verification, verify
from tests.audit.fakes import NOW, report
from tests.audit.signed import DAY, Signed, signed
from tests.audit.test_certificate import alone, checked, made, signed_with

__all__ = ["made"]


def signed_report(made: Signed, edited: dict[str, Any], **stated: object) -> Verification:
    """What is found when the true signer signs a report that it has edited."""
    data = canonical(edited)
    files = {"report.json": {"sha256": digest(data)}}
    return verify(
        signed_with(made, lambda said: said.update(files=files, **stated)),
        made.ring.public(),
        {"report.json": data},
    )


def test_a_signed_report_whose_verdict_does_not_follow_from_its_counts_is_found(made: Signed) -> None:
    told = json.loads(report("censor", 20, after=0.75)[0].to_json())
    assert told["verdict"] == "fail"
    told["verdict"] = told["groups"][0]["verdict"]["value"] = "pass"
    found = signed_report(made, told, verdict="pass")
    assert [(check.name, check.said) for check in found.checks if check.ok is False] == [
        ("figures", "they do not hold: the report's figures or verdict do not follow from its own counts")
    ]
    assert not found.shown


@pytest.mark.parametrize("version", [None, 2, "1", ["2"], {}])
def test_a_signed_report_that_follows_no_known_schema_is_found(made: Signed, version: object) -> None:
    found = signed_report(made, {"schema_version": version})
    assert [check.name for check in found.checks if check.ok is False] == ["figures"]


def test_a_signed_report_of_a_schema_version_to_come_is_not_recomputed(made: Signed) -> None:
    found = signed_report(made, {"schema_version": "99"})
    assert found.holds
    [figures] = [check for check in found.checks if check.name == "figures"]
    assert figures.ok is None
    assert "not recomputed" in figures.said
    assert not any("figures" in line for line in found.shown)


def dated(made: Signed, issued: datetime, logged: datetime, headed: datetime) -> bytes:
    """A certificate whose three times the signer chose; each signature is by the key of its time."""
    statement = json.loads(base64.b64decode(json.loads(made.certificate)["payload"]))
    statement["predicate"]["issuedAt"] = issued.isoformat()
    payload = canonical(statement)
    entry = made.log.append(certificate.ENTRY_KIND, {certificate.NAMED: digest(payload)}, logged)
    return certificate.write(payload, made.log.proof(entry, made.ring, headed), made.ring.signer(issued)[1])


def rotated(folder: Path) -> Signed:
    """Signed by the first key, which was retired on day 10, when a second one was made."""
    made = signed(folder)
    made.ring.retire(made.ring.public()[0].id, NOW + 10 * DAY)
    made.ring.new(NOW + 10 * DAY, days=30)
    return made


OLD, NEW = NOW + 9 * DAY, NOW + 20 * DAY


@pytest.mark.parametrize(
    ("times", "refused"),
    [
        ((OLD, NEW, NEW), ["signature", "log"]),  # a retired key, used once more and logged today
        ((OLD, OLD, NEW), ["log"]),
        ((OLD, NEW, OLD), ["signature", "log"]),
        ((NEW, OLD, NEW), ["signature", "log"]),
        ((NEW, NEW, NEW + timedelta(minutes=11)), ["log"]),
        ((NEW, NEW + timedelta(minutes=11), NEW), ["log"]),
    ],
)
def test_a_statement_that_was_dated_back_does_not_count(
    tmp_path: Path, times: tuple[datetime, datetime, datetime], refused: list[str]
) -> None:
    made = rotated(tmp_path)
    data = dated(made, *times)
    found = checked(made, data)
    assert [check.name for check in found.checks if check.ok is False] == refused
    assert ("dated back" in found.checks[1].said) is ("log" in refused)
    assert not alone(made, data)


@pytest.mark.parametrize("seconds", [0, 5, 500, -5])
def test_a_busy_worker_takes_the_three_times_moments_apart(tmp_path: Path, seconds: int) -> None:
    made = rotated(tmp_path)
    data = dated(made, NEW, NEW + timedelta(seconds=seconds), NEW)
    assert checked(made, data).holds
    assert alone(made, data)
