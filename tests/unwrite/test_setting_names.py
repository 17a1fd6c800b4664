"""Names of settings: a misspelt one is told, and the list of known names follows the code."""

import base64
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from unwrite.cli import main
from unwrite.setting_names import OTHER, known, names_of, unknown
from unwrite.settings import Settings

ROOT = Path(__file__).parents[2]
ROOMS = ("unwrite", "larimar", "audit", "store", "web", "workers", "migrations", "benchmarks", "docs", ".ci")
FILES = [
    path
    for room in ROOMS
    for path in (ROOT / room).rglob("*")
    if path.suffix in {".py", ".md", ".sh", ".yml"}
]
FILES += [path for name in ("*.md", "*.yml", "Makefile", "Dockerfile") for path in ROOT.glob(name)]
MENTIONED = re.compile(r"\bUNWRITE_[A-Z0-9_]*[A-Z0-9]\b(?!_)")
READ = re.compile(r"""(?:environ|getenv)\W+(?:get\W+)?(UNWRITE_[A-Z0-9_]+)""")


def found(pattern: re.Pattern[str], files: list[Path]) -> set[str]:
    return {name for path in files for name in pattern.findall(path.read_text(encoding="utf-8"))}


def test_every_name_in_code_and_guides_is_known() -> None:
    assert found(MENTIONED, FILES) <= known()


def test_names_beside_the_settings_are_read_somewhere() -> None:
    everywhere = [path for path in FILES if path.suffix == ".py"] + list((ROOT / "tests").rglob("*.py"))
    assert OTHER <= found(READ, everywhere) <= known()


@pytest.mark.parametrize("name", sorted(names_of("master_key_base64")))
def test_every_known_name_of_a_setting_sets_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, base64.b64encode(bytes(32)).decode())
    assert Settings().master_key() == bytes(32)


def test_the_nearest_name_is_told_and_no_value() -> None:
    environment = {"UNWRITE_LEAK_TRESHOLD": "sekret", "unwrite_bank": "x", "UNWRITE_CACHE": "y", "HOME": "/"}
    [said] = unknown(environment)
    assert said.startswith("UNWRITE_LEAK_TRESHOLD is not a setting")
    assert "UNWRITE_LEAK_THRESHOLD?" in said
    assert "sekret" not in said


def test_a_name_like_no_other_leads_to_the_list() -> None:
    [said] = unknown({"UNWRITE_XYZZY": ""})
    assert "docs/operator-guide.md" in said


def test_only_settings_may_be_in_small_letters() -> None:
    [said] = unknown({"unwrite_log_level": "debug", "Unwrite_Device": "cpu"})
    assert "UNWRITE_LOG_LEVEL?" in said


def test_commands_warn_and_doctor_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    CliRunner().invoke(main, ["migrate"])
    CliRunner().invoke(main, ["keys", "new"])
    monkeypatch.setenv("UNWRITE_LEAK_TRESHOLD", "sekret")
    warned = CliRunner().invoke(main, ["keys", "list"])
    assert warned.exit_code == 0
    assert "UNWRITE_LEAK_TRESHOLD is not a setting" in warned.stderr
    examined = CliRunner().invoke(main, ["doctor", "--no-model"])
    assert examined.exit_code == 1
    assert "FAIL  settings: UNWRITE_LEAK_TRESHOLD" in examined.stdout
    assert "sekret" not in warned.output + examined.output


def test_an_unknown_log_level_is_refused_with_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNWRITE_LOG_LEVEL", "verbose")
    refused = CliRunner().invoke(main, ["keys", "list"])
    assert refused.exit_code == 1
    assert "UNWRITE_LOG_LEVEL" in refused.output
    assert "DEBUG, INFO, WARNING, ERROR, CRITICAL" in refused.output
    assert "verbose" not in refused.output
    monkeypatch.setenv("UNWRITE_LOG_LEVEL", "debug")
    assert CliRunner().invoke(main, ["keys", "list"]).exit_code == 0
