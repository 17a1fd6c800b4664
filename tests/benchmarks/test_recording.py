"""A result file names its rows, a stopped run goes on where it was, and the page shows what the files hold."""

import json
from pathlib import Path

from benchmarks.recording import Journal, Row, write_result
from benchmarks.summary import PAGE, page

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
