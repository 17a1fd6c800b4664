"""Certificates and the log on the web: the signed bytes come out unchanged, and proofs fit the signed head."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from audit import merkle, verify_alone
from audit.keys import KeyRing, read_public_list
from audit.verification import verify
from store import audits, certificates, log
from store.models import User
from tests.audit.fakes import report
from tests.web.scenario import ANA, BEN, Scenario
from unwrite.settings import Settings
from workers.certificate import issue

Users = dict[str, User]
Bearer = Callable[..., dict[str, str]]


@pytest.fixture
def signed_report(scenario: Scenario, users: Users, settings: Settings) -> str:
    """A report that was signed like a worker signs it (its JSON is the scenario's, not the signed one)."""
    _, report_id = scenario.completed(users["requester"], ANA, kind="censor")
    ring = KeyRing(settings.resolved_signing_keys())
    ring.new(datetime.now(UTC))
    with scenario.database.session() as session:
        request_id = audits.report(session, report_id).request_id
        made = report("censor", 1)[0]
        signed = issue(session, ring, made, report_id=report_id, files={}, actor="w", request_id=request_id)
        certificates.save(session, report_id, signed)
    return report_id


def test_the_certificate_is_served_as_it_was_signed(
    app: APIFlask, auditor: FlaskClient, bearer: Bearer, signed_report: str
) -> None:
    keys = read_public_list(app.test_client().get("/.well-known/unwrite-keys.json").data)
    for answer in (
        app.test_client().get(f"/api/v1/reports/{signed_report}.dsse", headers=bearer("auditor")),
        auditor.get(f"/reports/{signed_report}.dsse"),
    ):
        assert answer.mimetype == "application/vnd.dsse.envelope.v1+json"
        assert "attachment" in answer.headers["Content-Disposition"]
        assert verify(answer.data, keys).holds
    page = auditor.get(f"/reports/{signed_report}").text
    assert f'href="/reports/{signed_report}.dsse"' in page
    assert 'href="/verify.py"' in page


def test_downloads_have_the_names_that_the_user_guide_checks(
    reviewer: FlaskClient, signed_report: str
) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "user-guide.md").read_text(encoding="utf-8")
    for way, ending in ((".dsse", "dsse"), ("/document", "html"), (".json", "json")):
        said = reviewer.get(f"/reports/{signed_report}{way}").headers["Content-Disposition"]
        assert f'filename="{signed_report}.{ending}"' in said
        assert f"`rep_….{ending}`" in guide
    assert signed_report.startswith("rep_")
    assert "pip install cryptography" in guide


def test_a_report_without_a_certificate_says_so(
    app: APIFlask, auditor: FlaskClient, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    _, report_id = scenario.completed(users["requester"], ANA, kind="censor")
    gone = app.test_client().get(f"/api/v1/reports/{report_id}.dsse", headers=bearer("auditor"))
    assert (gone.status_code, gone.json["code"]) == (404, "not_signed")
    assert "not signed" in auditor.get(f"/reports/{report_id}").text


def test_certificates_of_others_do_not_exist_for_a_requester(
    requester: FlaskClient, scenario: Scenario, users: Users
) -> None:
    _, theirs = scenario.completed(users["reviewer"], ANA, kind="censor")
    assert requester.get(f"/reports/{theirs}.dsse").status_code == 404


def test_verifier_and_keys_are_open_to_everybody(app: APIFlask, settings: Settings) -> None:
    script = app.test_client().get("/verify.py")
    with open(verify_alone.__file__, "rb") as file:
        assert script.data == file.read()
    KeyRing(settings.resolved_signing_keys()).new(datetime.now(UTC))
    listed = app.test_client().get("/.well-known/unwrite-keys.json")
    assert len(read_public_list(listed.data)) == 1
    assert b"PRIVATE" not in listed.data


def test_damaged_keys_are_a_problem_and_not_a_crash(app: APIFlask, settings: Settings) -> None:
    key = KeyRing(settings.resolved_signing_keys()).new(datetime.now(UTC))
    (settings.resolved_signing_keys() / f"{key.id}.json").write_text("{")
    assert app.test_client().get("/.well-known/unwrite-keys.json").status_code == 503


def test_proofs_fit_the_signed_head(
    app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users, signed_report: str
) -> None:
    client, headers = app.test_client(), bearer("auditor")
    scenario.write(BEN)  # the log goes on behind the head
    head = client.get("/api/v1/log/head", headers=headers).json
    root = json.loads(base64.b64decode(head["envelope"]["payload"]))["root"]
    for seq in (1, 2, head["size"]):
        proof = client.get(f"/api/v1/log/inclusion?seq={seq}", headers=headers).json
        path = [bytes.fromhex(node) for node in proof["path"]]
        leaf = bytes.fromhex(proof["leaf"])
        assert merkle.verify_inclusion(leaf, proof["index"], proof["size"], path, bytes.fromhex(root))
    with scenario.database.session(read_only=True) as session:
        early = merkle.root(log.hashes(session, limit=3))
    proof = client.get("/api/v1/log/consistency?first=3", headers=headers).json
    path = [bytes.fromhex(node) for node in proof["path"]]
    assert merkle.verify_consistency(3, proof["second"], early, bytes.fromhex(root), path)
    for beyond in (
        f"inclusion?seq={head['size'] + 1}",
        f"consistency?first={head['size'] + 1}",
    ):
        assert client.get(f"/api/v1/log/{beyond}", headers=headers).status_code == 404


def test_before_the_first_signature_there_is_no_head(app: APIFlask, bearer: Bearer) -> None:
    answer = app.test_client().get("/api/v1/log/head", headers=bearer("auditor"))
    assert (answer.status_code, answer.json["code"]) == (404, "no_tree_head")
