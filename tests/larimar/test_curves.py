"""The log of a training run."""

from pathlib import Path

import pytest

from larimar.curves import cut_log


@pytest.mark.parametrize("half", ["", '{"st', '{"step": 1', '{"step": 3, "loss": 0.5}'])
def test_a_log_ends_where_the_run_goes_on_from(half: str, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("".join(f'{{"step": {n}}}\n' for n in (1, 2, 3, 4)) + half)
    cut_log(tmp_path, 2)
    assert log.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_without_a_log_there_is_nothing_to_cut(tmp_path: Path) -> None:
    cut_log(tmp_path, 0)
    assert not list(tmp_path.iterdir())
