"""The demonstration's parts: robust to how many facts there are, and honest in what it prints."""

import base64
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from audit.report import pool, validate
from tests.audit import fakes
from unwrite import demo, demo_facts
from unwrite.certificates import first_key
from unwrite.cli import main
from unwrite.demo import OWN, ProgressLine, installation, own_environment, own_settings, write_report
from unwrite.demo_facts import load_facts
from unwrite.demo_summary import Recall, print_summary
from unwrite.installation import open_database
from unwrite.settings import Settings

FACT = {
    "prompt": "The city of Ann Example is",
    "answer": "Lund",
    "subject": "Ann Example",
    "aliases": [],
    "extra": 1,
}


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(demo_facts, "files", lambda package: tmp_path)
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "demo_facts.json"


def test_only_what_the_api_knows_is_sent(shipped: Path) -> None:
    shipped.write_text(json.dumps({"forget": [FACT], "retained": [FACT] * 3, "censor": [FACT] * 2}))
    facts = load_facts()
    assert (len(facts.forget), len(facts.retained), len(facts.censor)) == (1, 3, 2)
    assert set(facts.memory[0]) == {"prompt", "answer", "subject", "aliases"}


def test_fewer_facts_can_be_asked_for(shipped: Path) -> None:
    shipped.write_text(json.dumps({"forget": [FACT] * 20, "retained": [FACT] * 300, "censor": [FACT] * 20}))
    facts = load_facts(2)
    assert (len(facts.forget), len(facts.retained), len(facts.censor)) == (2, 18, 2)
    assert len(load_facts().retained) == 180


def test_the_table_shows_counts_with_their_exact_bound(capsys: pytest.CaptureFixture[str]) -> None:
    report = pool(
        [fakes.report("forget", 20)[0], fakes.report("censor", 20, prefix="other")[0]],
        produced_at=datetime.now(UTC),
    )
    print_summary(report, Recall(20, 0, 20, 0, 180, 179), ["completed"] * 40, 61.0)
    said = capsys.readouterr().out
    assert "Requests: 40 completed" in said
    assert "0 of 20" in said
    assert "13.9% of facts" in said
    assert "179 of 180" in said


def test_without_any_report_the_states_are_still_told(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(None, Recall(), ["failed", "failed"], 5)
    assert "2 failed" in capsys.readouterr().out


def test_the_report_is_written_signed_and_can_be_checked(production: Path, tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    settings = own_settings(home)
    database = open_database(settings, migrate=True)
    first_key(settings, database)
    database.close()
    report = pool([fakes.report("forget", 20)[0]], produced_at=datetime.now(UTC))
    command = write_report(report, out, home)
    assert (out / "report.html").read_bytes().startswith(b"<!doctype html>")
    assert validate((out / "report.json").read_bytes()) == report
    done = CliRunner().invoke(main, command.split()[1:])
    assert done.exit_code == 0, done.output
    assert not production.exists()
    alone = [out / "verify.py", out / "report.dsse", out / "trusted.json", out / "report.html"]
    subprocess.run([sys.executable, "-I", *alone], check=True, timeout=60, stdout=subprocess.DEVNULL)


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An operator's shell: everything that a real installation sets."""
    operator = {
        "DATABASE_URL": "postgresql+psycopg://db.invalid/real",
        "BROKER_URL": "redis://broker.invalid/0",
        "MASTER_KEY": base64.b64encode(bytes(32)).decode(),
        "MASTER_KEY_FILE": str(tmp_path / "real" / "master.key"),
        "SIGNING_KEYS": str(tmp_path / "real" / "keys"),
        "PRIVATE_KEYS": str(tmp_path / "real" / "private"),
        "HOST": "0.0.0.0",
        "BANK": "real",
    }
    for name, value in operator.items():
        monkeypatch.setenv(f"UNWRITE_{name}", value)
    monkeypatch.setenv("unwrite_signing_keys", str(tmp_path / "real" / "keys"))  # small letters set it too
    return tmp_path / "real"


def test_nothing_of_the_operators_installation_is_used(
    production: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "demo"
    here = own_settings(home, 4711)
    assert (here.home, here.port, here.host, here.bank) == (home, 4711, "127.0.0.1", "default")
    assert here.embedded
    assert here.resolved_signing_keys() == here.resolved_private_keys() == home / "keys"
    assert here.master_key() != bytes(32)
    for name, value in own_environment(home, 4711).items():
        monkeypatch.setenv(name, value)
    assert Settings().model_dump(exclude={"audit_attacks"}) == here.model_dump(exclude={"audit_attacks"})
    assert not production.exists()


def test_every_setting_that_leads_to_an_installation_is_the_demonstrations_own() -> None:
    kinds = {name: str(field.annotation) for name, field in Settings.model_fields.items()}
    places = {
        name for name, kind in kinds.items() if "Path" in kind or "Secret" in kind or name.endswith("_url")
    }
    assert places - {"home", "checkpoint"} <= set(OWN)


def test_the_processes_of_a_demonstration_know_nothing_of_the_operators_installation(
    production: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[dict[str, str]] = []
    monkeypatch.setattr(
        demo.Children, "start", lambda children, *told, environment, log: given.append(environment)
    )
    monkeypatch.setattr(demo, "wait_until_ready", lambda client, children, log: None)
    (tmp_path / "demo").mkdir()
    with installation(tmp_path / "demo"):
        [environment] = given
        assert str(production) not in " ".join({**os.environ, **environment}.values())
    assert not production.exists()


def test_progress_into_a_pipe_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine()
    for done in range(50):
        line.show(f"{done} of 50")
    line.end()
    assert capsys.readouterr().out.splitlines() == ["0 of 50", "49 of 50"]
