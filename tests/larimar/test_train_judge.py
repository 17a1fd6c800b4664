"""Training the judge: what ends a run, and what a run that goes on remembers."""

import itertools
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from larimar import mean_judges, train_judge
from larimar.judge import Judge
from larimar.pairs import Judged, Material
from larimar.train_judge import Training
from larimar.weights import DEFAULT_SENTENCE_ENCODER, load_sentence_encoder

PAIR = Judged("X was born in", "Where was X born?", 1, "rephrasing")
NOTHING = Material([], {}, {}, [], [], [])


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of two batches of one pair, no validation, and a clock that ticks when it is looked at."""
    monkeypatch.setattr(train_judge, "_CHUNK", 2)
    monkeypatch.setattr(train_judge, "chunk", lambda source, batch: [[PAIR]] * 2)
    monkeypatch.setattr(train_judge, "validation", lambda stuff, only: [])
    ticks = itertools.count()
    monkeypatch.setattr(train_judge, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))


def judge(rank: int = 2) -> Judge:
    torch.manual_seed(0)
    return Judge(load_sentence_encoder(DEFAULT_SENTENCE_ENCODER), trainable=True, rank=rank)


def training(run: Path, rank: int = 2, **changes: object) -> Training:
    given = {
        "run": run, "steps": 16, "minutes": 0.0, "batch": 1, "learning_rate": 1e-3, "late": ["P1"],
        "late_after": 0.6, "seed": 0,
    }  # fmt: skip
    return Training(judge(rank), Namespace(**given | changes))


def test_numbers_that_are_not_finite_end_the_run_before_the_weights_change(tmp_path: Path) -> None:
    broken = training(tmp_path)
    with torch.no_grad():
        broken.judge.head[2].bias[:] = torch.nan
    before = broken.judge.head[0].weight.clone()
    with pytest.raises(SystemExit, match="step 1: loss or gradient"):
        broken.train(NOTHING, frozenset())
    assert torch.equal(broken.judge.head[0].weight, before)


def test_a_run_that_goes_on_knows_its_time(tmp_path: Path) -> None:
    training(tmp_path, minutes=0.1).train(NOTHING, frozenset())
    again = training(tmp_path, minutes=0.2)
    assert again.seconds == 6.0
    assert again.progress(again.step) == 0.5


def test_an_early_judge_stays_one_when_the_schedule_grows(tmp_path: Path) -> None:
    training(tmp_path).train(NOTHING, frozenset())
    early = (tmp_path / "early.safetensors").read_bytes()
    assert early != (tmp_path / "judge.safetensors").read_bytes()
    again = training(tmp_path, steps=32, late_after=0.9)
    assert again.progress(again.step) == 0.5
    again.train(NOTHING, frozenset())
    assert (tmp_path / "early.safetensors").read_bytes() == early


def test_a_state_is_saved_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = training(tmp_path)
    run.save()
    before = (tmp_path / "state.pt").read_bytes()

    def cut(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", cut)
    with pytest.raises(KeyboardInterrupt):
        run.save()
    assert (tmp_path / "state.pt").read_bytes() == before


def test_a_state_that_is_truncated_or_of_another_rank_ends_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training(tmp_path / "run").save()
    assert "state.pt was trained for another" in said(tmp_path, monkeypatch, "--rank", "4")
    (tmp_path / "run" / "state.pt").write_bytes(b"half")
    assert "truncated" in said(tmp_path, monkeypatch, "--rank", "2")


def test_a_start_that_does_not_fit_ends_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = tmp_path / "start.safetensors"
    assert "start.safetensors is not a readable judge" in said(tmp_path, monkeypatch, "--start", str(start))
    judge().save(start, {})
    given = ("--start", str(start), "--rank", "4")
    assert "start.safetensors was trained for another" in said(tmp_path, monkeypatch, *given)


def test_judges_that_have_no_mean_end_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, rank in zip(paths, (2, 4), strict=True):
        judge(rank).save(path, {})
    monkeypatch.setattr("sys.argv", ["mean_judges", *map(str, paths), "--out", str(tmp_path / "c")])
    with pytest.raises(SystemExit, match="different ranks"):
        mean_judges.main()


def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> str:
    """What the command says at its end."""
    files = ["--counterfact", "a", "b", "--questions", "c", "--templates", "d", "--text", "e"]
    run = ["--run", str(tmp_path / "run"), "--device", "cpu"]
    monkeypatch.setattr("sys.argv", ["train_judge", *files, *run, *more])
    with pytest.raises(SystemExit) as error:
        train_judge.main()
    return str(error.value)
