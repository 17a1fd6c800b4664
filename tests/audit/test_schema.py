"""The published JSON Schema says what a report is; `validate` says whether its numbers are true."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import jsonschema_rs
import pytest

from audit.errors import ReportInvalid
from audit.report import validate
from audit.schema import SCHEMA_ID, schema_document
from tests.audit.fakes import report
from tests.audit.golden_files import FOLDER, golden

REPORTS = ("forget.json", "pool.json", "recheck.json")


def shipped() -> Any:
    return json.loads((files("audit") / "data" / "report.schema.json").read_bytes())


def test_the_shipped_schema_is_the_one_of_the_code() -> None:
    data = (files("audit") / "data" / "report.schema.json").read_bytes()
    assert data == schema_document(), "run python -m audit.schema > audit/data/report.schema.json"
    assert shipped()["$id"] == SCHEMA_ID
    assert json.loads(golden()["forget.json"])["schema_version"] == SCHEMA_ID.rsplit(":", 1)[-1]


@pytest.mark.parametrize("name", REPORTS)
def test_reports_follow_the_schema_for_readers_in_other_languages(name: str) -> None:
    jsonschema_rs.Draft202012Validator(shipped()).validate(json.loads(golden()[name]))


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_report_of_an_older_version_still_validates_by_the_rules_of_its_time(version: str) -> None:
    file = (FOLDER / f"version{version}.json").read_bytes()
    made = validate(file)
    assert made.schema_version == version
    assert made.to_html().startswith(b"<!doctype html>")
    data = json.loads(file)
    data["groups"][0]["verdict"]["upper"] = 0.01
    with pytest.raises(ReportInvalid, match="do not follow"):
        validate(json.dumps(data).encode())


def _set(path: str, value: object) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        *way, last = path.split(".")
        for key in way:
            data = data[int(key) if key.isdigit() else key]
        data[int(last) if last.isdigit() else last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("headline", "None of the facts can ever come out."),
        _set("limits", []),
        _set("policy.threshold", 0.99),
        _set("policy.confidence", 0.5),
        _set("policy.confidence", 1.0),
        _set("groups.0.requests", []),
        _set("groups.0.requests.0.earlier_audits", -1),
        _set("groups.0.verdict.upper", 0.01),
        _set("groups.0.verdict.reasons", []),
        _set("groups.0.figures.after.by_fact.leaked", 0),
        _set("groups.0.figures.after.leak_at_k", []),
        _set("groups.0.after.facts.0.probes.0.leaked", 0),
        _set("groups.0.after.facts.0.probes.0.samples", 500),
        _set("groups.0.before", None),
        _set("groups.0.neighbours.silenced", 0),
        _set("groups.0.looks", 1),
        _set("detector_quality.leaks_found", 1),
        _set("schema_version", "4"),
        _set("verdict", "pass"),
    ],
)
def test_a_tampered_report_is_refused(change: Callable[[Any], None]) -> None:
    made, _ = report("censor", 20, after=0.2, earlier_audits=2, silenced=20)
    data = json.loads(made.to_json())
    change(data)
    with pytest.raises(ReportInvalid):
        validate(json.dumps(data).encode())
