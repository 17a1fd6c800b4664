"""A result file names its rows and how to repeat it, a stopped run goes on where it was, and the page shows what the
files hold.
"""

import json
import re
from pathlib import Path

import pytest

from benchmarks.recording import RESULTS, Journal, Row, make_command, parser, write_result
from benchmarks.summary import PAGE, page

ROOT = Path(__file__).parents[2]
TARGETS = dict(
    re.findall(
        r"^(bench-[a-z-]+):.*\n\t.*-m benchmarks\.(\w+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
)
COMMANDS = {path.stem: json.loads(path.read_text())["command"] for path in RESULTS.glob("*.json")}
SETTINGS = {"records": 3, "data": "abc"}


def test_the_page_in_the_documentation_is_the_one_that_the_results_make() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make bench-summary"


def test_a_result_becomes_a_line_of_the_page(tmp_path: Path) -> None:
    rows = [
        Row("edit success", paper=99.6, reach="100", measured=99.9, base=14.0),
        Row("speed", None, None, 2),
    ]
    path = write_result("one", {"benchmark": "One"}, rows=rows, command="make bench-one", directory=tmp_path)
    assert json.loads(path.read_text())["rows"][0]["measured"] == 99.9
    text = page(tmp_path)
    assert "## One" in text
    assert "| edit success | 99.6 | 14.0 | 100 | 99.9 |" in text
    assert "| speed | – | – | – | 2 |" in text


def test_a_stopped_run_goes_on_behind_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Journal(path, SETTINGS).append([{"case": 0}, {"case": 1}])
    with path.open("a") as stream:
        stream.write('{"case": 2, "sco')
    again = Journal(path, SETTINGS)
    assert again.rows == [{"case": 0}, {"case": 1}]
    again.append([{"case": 2}])
    assert Journal(path, SETTINGS).rows == [{"case": 0}, {"case": 1}, {"case": 2}]
    again.close()
    assert not path.exists()


def test_a_run_with_other_settings_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Journal(path, SETTINGS).append([{"case": 0}])
    assert Journal(path, {**SETTINGS, "records": 4}).rows == []


def test_a_command_repeats_the_run_and_tells_nothing_of_the_machine(tmp_path: Path) -> None:
    options = parser("benchmarks.one", "One.")
    options.add_argument("--facts", type=int, default=300)
    options.add_argument("--edits", type=int, nargs="+", default=(1, 2))
    options.add_argument("--scope-off", action="store_true")
    options.add_argument("--patterns", type=Path)
    options.add_argument("--decoder", default="a/b")
    assert make_command("bench-one", options, options.parse_args([])) == "make bench-one"
    here = str(tmp_path)
    words = f"--facts 20 --edits 5 6 --scope-off --patterns {here} --decoder {here} --results {here}".split()
    words += ["--checkpoint", f"{here}/my model.bin"]
    assert make_command("bench-one", options, options.parse_args(words)) == (
        "make bench-one ARGS=\"--checkpoint 'my model.bin' --facts 20 --edits 5 6 --scope-off"
        ' --patterns DIR --decoder DIR"'
    )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_command_of_a_result_starts(name: str) -> None:
    called = re.fullmatch(r'make (bench-[a-z-]+)(?: ARGS="([^"/]+)")?', COMMANDS[name])
    assert called, COMMANDS[name]
    source = (ROOT / "benchmarks" / f"{TARGETS[called[1]]}.py").read_text(encoding="utf-8")
    given = set(re.findall(r"--[a-z-]+", called[2] or ""))
    assert given <= set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', source))
    assert given >= set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"[^\n]*required=True', source))


def test_commands_beside_figures_in_the_readme_are_the_recorded_ones() -> None:
    told = set(re.findall(r"`(make bench-[^`]+)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert len(told) > 10
    assert told <= set(COMMANDS.values())
