"""`unwrite validate`, `compare` and `schema`: files in, files and exit status out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.audit.golden_files import FOLDER
from unwrite.cli import main

FORGET, POOL, OLD = (str(FOLDER / f"{name}.json") for name in ("forget", "pool", "version1"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def broken(tmp_path: Path) -> str:
    data = json.loads(Path(FORGET).read_text())
    data["groups"][0]["verdict"]["upper"] = 0.001
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(data))
    return str(path)


def test_validate_tells_a_true_report_from_a_changed_one(broken: str) -> None:
    good = run("validate", FORGET)
    assert (good.exit_code, "valid  schema 3, verdict pass" in good.output) == (0, True)
    assert "not compared" not in good.output
    bad = run("validate", broken)
    assert bad.exit_code == 1
    assert "do not follow from its own counts" in bad.output
    assert run("validate", "no-such-file.json").exit_code == 2


def test_a_report_that_nothing_can_be_computed_from_is_not_valid(tmp_path: Path) -> None:
    data, path = json.loads(Path(FORGET).read_text()), tmp_path / "impossible.json"
    data["policy"]["confidence"] = 1.0
    path.write_text(json.dumps(data))
    done = run("validate", str(path))
    assert (done.exit_code, "INVALID" in done.output) == (1, True)
    assert run("compare", FORGET, str(path), "--out", str(tmp_path / "none")).exit_code == 1


def test_validate_says_what_it_did_not_check_of_an_older_report() -> None:
    old = run("validate", OLD)
    assert old.exit_code == 0
    assert "sentences are those of an older version and were not compared" in old.output


def test_validate_never_repeats_what_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text('{"subject": "Anna Berg"}')
    assert "Anna" not in run("validate", str(path)).output


def test_compare_writes_page_and_json(tmp_path: Path, broken: str) -> None:
    done = run("compare", FORGET, POOL, "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert "no evidence of a change" in done.output
    assert "only report B has such facts" in done.output
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["comparison_version"] == "1"
    assert (tmp_path / "out" / "comparison.html").read_text().startswith("<!doctype html>")
    assert run("compare", FORGET, broken, "--out", str(tmp_path / "none")).exit_code == 1
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_made_is_status_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("compare", FORGET, FORGET, "--out", str(tmp_path / "file" / "out"))
    assert (done.exit_code, "cannot be written" in done.output) == (2, True)


def test_schema_prints_the_schema() -> None:
    assert json.loads(run("schema").output)["title"] == "Report"
