"""Training: Eq. (1) goes down, runs resume where they stopped, and what is exported loads."""

import json
import random
from collections.abc import Container
from pathlib import Path

import pytest
import torch

from larimar import Fact, Larimar, corpus, weights
from larimar.config import preset
from larimar.errors import InvalidInput
from larimar.objective import (
    Loss,
    Objective,
    address_divergence,
    background_count,
    loss,
    read_through_memory,
)
from larimar.run import Run, Schedule
from larimar.train import _objective, _parser, main, sources

TEXT = "\n".join(
    f"The river {name} flows through the town of {town} every single day."
    for name, town in zip(
        ["Aare", "Baro", "Cher", "Drau"] * 5, ["Bern", "Gore", "Tours", "Graz"] * 5, strict=True
    )
)


@pytest.fixture
def draw(tmp_path: Path) -> corpus.Source:
    (tmp_path / "text.txt").write_text(TEXT)
    return corpus.spans(corpus.sentences(tmp_path / "text.txt"))


def run(directory: Path, steps: int) -> Run:
    return Run(
        directory, preset("tiny"), Schedule(steps=steps, batch=16, learning_rate=1e-2, warm_up=2), "cpu"
    )


def logged(directory: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]


def losses(directory: Path) -> list[float]:
    return [row["loss"] for row in logged(directory)]


def test_the_loss_goes_down_and_the_picture_is_drawn(draw: corpus.Source, tmp_path: Path) -> None:
    """The decoder is random and frozen, so there is not much to learn; without learning the ratio is 1."""
    run(tmp_path / "run", 30).train(draw)
    measured = losses(tmp_path / "run")
    assert sum(measured[-5:]) < 0.95 * sum(measured[:5])
    assert (tmp_path / "run" / "loss.png").stat().st_size > 1000


class PowerCut(Exception):
    pass


def weights_of(directory: Path) -> list[torch.Tensor]:
    return list(torch.load(directory / "state.pt", weights_only=False)["trained"])


def same(directory: Path, other: Path) -> bool:
    """Whether two runs logged the same losses and ended with the same weights, bit for bit."""
    pairs = zip(weights_of(directory), weights_of(other), strict=True)
    return losses(directory) == losses(other) and all(torch.equal(a, b) for a, b in pairs)


def test_a_run_interrupted_within_a_batch_is_the_run_that_was_not(
    draw: corpus.Source, tmp_path: Path
) -> None:
    run(tmp_path / "whole", 6).train(draw)
    first, drawn = run(tmp_path / "parts", 6), 0

    def cut(rng: random.Random) -> corpus.Example:
        nonlocal drawn
        drawn += first.step == 3
        if drawn == 2:
            raise PowerCut
        return draw(rng)

    with pytest.raises(PowerCut):
        first.train(cut)
    second = run(tmp_path / "parts", 6)
    assert second.step == 3
    second.train(draw)
    assert same(tmp_path / "parts", tmp_path / "whole")


def test_a_run_interrupted_within_an_update_is_the_run_that_was_not(
    draw: corpus.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "whole", 4).train(draw)
    run(tmp_path / "parts", 2).train(draw)
    first = run(tmp_path / "parts", 4)

    def half(*_: object) -> None:
        with torch.no_grad():
            first.trained[0].add_(1.0)
        raise PowerCut

    monkeypatch.setattr(first.optimiser.optimizer, "step", half)
    with pytest.raises(PowerCut):
        first.train(draw)
    second = run(tmp_path / "parts", 4)
    assert second.step == 2
    second.train(draw)
    assert same(tmp_path / "parts", tmp_path / "whole")


def test_a_resumed_run_learns_at_the_rate_that_it_is_given(draw: corpus.Source, tmp_path: Path) -> None:
    """«Lower --learning-rate» is what a run says whose numbers are not finite."""
    first = run(tmp_path / "run", 2)
    first.train(draw)
    slower = Schedule(steps=3, batch=16, learning_rate=1e-3, warm_up=2)
    second = Run(tmp_path / "run", preset("tiny"), slower, "cpu")
    second.train(draw)
    groups = zip(first.optimiser.param_groups, second.optimiser.param_groups, strict=True)
    for before, after in groups:
        assert after["peak"] == pytest.approx(before["peak"] / 10)
        assert after["lr"] == after["peak"] * slower.factor(2)


def test_a_run_of_another_configuration_is_refused(draw: corpus.Source, tmp_path: Path) -> None:
    run(tmp_path / "run", 1).train(draw)
    with pytest.raises(SystemExit, match="another configuration"):
        Run(tmp_path / "run", preset("tiny", slots=8), Schedule(steps=1), "cpu")


def test_a_truncated_state_is_refused(draw: corpus.Source, tmp_path: Path) -> None:
    run(tmp_path / "run", 1).train(draw)
    state = tmp_path / "run" / "state.pt"
    state.write_bytes(state.read_bytes()[:5000])
    with pytest.raises(SystemExit, match="truncated"):
        run(tmp_path / "run", 2)


def test_a_state_of_the_first_version_goes_on(draw: corpus.Source, tmp_path: Path) -> None:
    """It knows no later fields of the configuration, and its scalars have no dimension."""
    run(tmp_path / "run", 1).train(draw)
    path = tmp_path / "run" / "state.pt"
    state = torch.load(path, weights_only=False)
    for name in ("encoder", "text_encoder", "train_decoder"):
        del state["config"][name]
    torch.save(state, path)
    assert run(tmp_path / "run", 2).step == 1


def poisoned(run: Run, draw: corpus.Source, steps: Container[int]) -> corpus.Source:
    """A source that breaks a weight before some steps, and mends it before the others."""
    whole = run.reader.opening[0, 0].item()

    def poison(rng: random.Random) -> corpus.Example:
        with torch.no_grad():
            if (run.step in steps) == bool(run.reader.opening[0, 0].isfinite()):
                run.reader.opening[0, 0] = torch.nan if run.step in steps else whole
        return draw(rng)

    return poison


def test_steps_without_finite_numbers_are_passed_over(
    draw: corpus.Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = run(tmp_path / "run", 8)
    broken.train(poisoned(broken, draw, {1, 2, 3, 4, 6}))
    assert broken.step == 8
    assert all(p.isfinite().all() for p in broken.trained)
    assert "step 5: loss or gradient is not a finite number; passed over" in capsys.readouterr().out
    assert [row["step"] for row in logged(tmp_path / "run")] == [1, 6, 8]


def test_five_of_them_in_a_row_end_the_run_and_the_state_stays_good(
    draw: corpus.Source, tmp_path: Path
) -> None:
    broken = run(tmp_path / "run", 9)
    with pytest.raises(SystemExit, match="step 6: loss or gradient is not a finite number, 5 times in a row"):
        broken.train(poisoned(broken, draw, range(1, 9)))
    assert broken.step == 5
    assert all(p.isfinite().all() for name, p in broken.reader.decoder_parameters().items())


def test_the_run_directory_says_what_the_run_is(draw: corpus.Source, tmp_path: Path) -> None:
    run(tmp_path / "run", 1)
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert {"config", "schedule", "objective", "commit", "uncommitted_changes", "versions"} <= set(about)
    assert about["config"]["decoder"] == "tiny"


def example(rng: random.Random) -> corpus.Example:
    return corpus.Example("The river Aare flows through Bern.", "The river Aare flows", "through Bern.")


def measure(directory: Path, objective: Objective, checkpointing: bool = False) -> tuple[Loss, torch.Tensor]:
    """Loss and the first gradient of one batch."""
    schedule = Schedule(steps=1, batch=16, precision="fp32", gradient_checkpointing=checkpointing)
    fresh = Run(directory, preset("tiny"), schedule, "cpu", objective=objective)
    noise = torch.Generator().manual_seed(0)
    measured = loss(fresh.reader, [example(random.Random(0))] * 16, fresh.objective, noise)
    measured.total.backward()
    gradient = fresh.reader.opening.grad
    assert gradient is not None
    return measured, gradient


def test_every_term_of_the_objective_has_its_weight(tmp_path: Path) -> None:
    weights = {"beta_kl": 0.0, "pretraining": 0.0, "free_bits": 0.0}
    text, _ = measure(tmp_path / "a", Objective(**weights))
    assert text.total.item() == pytest.approx(text.text)
    divergence, _ = measure(tmp_path / "b", Objective(**weights | {"beta_kl": 2.0}))
    assert divergence.total.item() == pytest.approx(text.text + 2.0 * divergence.kl)
    generic, _ = measure(tmp_path / "c", Objective(**weights | {"pretraining": 0.5}))
    assert generic.pretraining > 1.0
    assert generic.total.item() == pytest.approx(text.text + 0.5 * generic.pretraining)


def test_in_full_precision_the_base_decoder_is_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "fast_dtype", lambda _: torch.bfloat16)
    for precision, dtype in (("auto", torch.bfloat16), ("fp32", torch.float32)):
        schedule = Schedule(steps=1, batch=16, precision=precision)
        reader = Run(tmp_path / precision, preset("tiny"), schedule, "cpu").reader
        assert reader.language_model.get_input_embeddings().weight.dtype == dtype


@pytest.mark.parametrize(("device", "said"), [("cuda", "no GPU"), ("cuda:1", "2")])
def test_a_device_that_is_not_there_is_refused(
    device: str, said: str, draw: corpus.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    arguments = ["--text", str(tmp_path / "text.txt"), "--run", str(tmp_path / "run"), "--preset", "tiny"]
    monkeypatch.setattr("sys.argv", ["train", *arguments, "--device", device])
    with pytest.raises(SystemExit, match=said):
        main()


def test_gradient_checkpointing_changes_no_gradient(tmp_path: Path) -> None:
    _, plain = measure(tmp_path / "a", Objective())
    _, recomputed = measure(tmp_path / "b", Objective(), checkpointing=True)
    assert torch.allclose(plain, recomputed, atol=1e-6)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00 not text", b"too short"])
def test_a_text_that_cannot_be_read_is_named(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.txt"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr("sys.argv", ["train", "--text", str(path), "--run", str(tmp_path / "run")])
    with pytest.raises(SystemExit, match=r"mine\.txt|no sentence"):
        main()


def test_questions_in_another_form_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "questions.json").write_text('[{"question": "?"}]')
    monkeypatch.setattr(
        "sys.argv",
        ["train", "--text", str(tmp_path / "text.txt"), "--questions", str(tmp_path / "questions.json"),
         "--run", str(tmp_path / "run")],
    )  # fmt: skip
    with pytest.raises(SystemExit, match=r"questions\.json"):
        main()


@pytest.mark.parametrize("flag", ["--questions", "--split-pairs", "--templates"])
def test_a_file_with_nothing_to_use_is_named(
    flag: str, draw: corpus.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").write_text("[]")
    given = [
        "--text",
        str(tmp_path / "text.txt"),
        flag,
        str(tmp_path / "empty"),
        "--run",
        str(tmp_path / "run"),
    ]
    monkeypatch.setattr("sys.argv", ["train", *given])
    with pytest.raises(SystemExit, match="empty"):
        main()


def test_answers_of_records_that_validate_are_not_trained_on(tmp_path: Path) -> None:
    def record(answer: str) -> dict[str, object]:
        return {"src": "Who?", "rephrase": "Whom?", "answers": [answer]}

    count = 2 * corpus.HELD_OUT + 1
    rows = [record("seen")] * (count - corpus.HELD_OUT) + [record("held")] * corpus.HELD_OUT
    (tmp_path / "questions.json").write_text(json.dumps(rows))
    pair = [{"left": "who wrote ", "right": "?"}, {"left": "the author of ", "right": " is who?"}]
    (tmp_path / "templates.json").write_text(json.dumps([{"templates": pair}]))
    (tmp_path / "text.txt").write_text("We met Ada Byron there once.")
    files = [f"--{name}={tmp_path / file}" for name, file in
             (("text", "text.txt"), ("questions", "questions.json"), ("templates", "templates.json"))]  # fmt: skip
    mixture = sources(_parser().parse_args([*files, "--run", "nowhere"]))
    rng = random.Random(0)
    assert not any("held" in mixture(rng).target for _ in range(300))


def test_a_memory_is_filled_to_the_load_that_is_asked_for(tmp_path: Path) -> None:
    noise = torch.Generator().manual_seed(0)
    for load, most in ((0.0, 0), (0.5, 240)):
        drawn = {background_count(Objective(largest_load=load), noise) for _ in range(300)}
        assert min(drawn) == 0
        assert 0.9 * most <= max(drawn) <= most
    with pytest.raises(InvalidInput, match="load"):
        Objective(largest_load=-1.0)
    asked = _parser().parse_args(["--run", "r", "--text", "t", "--largest-load", "0.25"])
    assert _objective(asked).largest_load == 0.25


def test_the_pooled_encoder_is_asked_for_nearly_whole_sentences(tmp_path: Path) -> None:
    """One vector must learn to hold a sentence, so the decoder may not have most of it in the question."""
    (tmp_path / "text.txt").write_text("One two three four five six seven eight nine ten.\n")
    shortest = {}
    for preset_name in ("tiny", "tiny-pooled"):
        arguments = ["--run", "r", "--text", str(tmp_path / "text.txt"), "--preset", preset_name]
        source, rng = sources(_parser().parse_args(arguments)), random.Random(0)
        starts = [each.query for each in (source(rng) for _ in range(300)) if each.query.startswith("One")]
        shortest[preset_name] = min(len(query.split()) for query in starts)
    assert shortest == {"tiny": 3, "tiny-pooled": 1}


def test_an_exported_checkpoint_loads_and_reads_back(draw: corpus.Source, tmp_path: Path) -> None:
    trained = run(tmp_path / "run", 2)
    trained.train(draw)
    trained.export(tmp_path / "checkpoint", {"corpora": ["text.txt"]})
    model = Larimar.load(tmp_path / "checkpoint", device="cpu")
    model.write([Fact("f", "The river flows through", "Bern")])
    assert model.readout_answer("f").strip(" .") == "Bern"


def test_training_changes_codes_readout_and_reader_together(draw: corpus.Source, tmp_path: Path) -> None:
    trained = run(tmp_path / "run", 3)
    before = [p.detach().clone() for p in trained.trained]
    trained.train(draw)
    assert all(not torch.equal(a, b) for a, b in zip(before, trained.trained, strict=True))


def test_reading_through_an_episodes_memory_returns_it_when_there_is_no_noise() -> None:
    latents = torch.randn(16, 40, generator=torch.Generator().manual_seed(0))
    quiet = Objective(observation_noise=0.0)
    read = read_through_memory(latents, torch.tensor(0.0), quiet, torch.Generator().manual_seed(1))
    assert torch.linalg.norm(read - latents) <= 1e-3 * torch.linalg.norm(latents)


def test_address_noise_mixes_the_episode() -> None:
    latents = torch.randn(16, 40, generator=torch.Generator().manual_seed(0))
    read = read_through_memory(latents, torch.tensor(0.1), Objective(), torch.Generator().manual_seed(1))
    share = torch.linalg.norm(read - latents) / torch.linalg.norm(latents)
    assert 0.2 < share < 0.8


def test_the_divergence_of_the_address_falls_as_its_noise_nears_the_prior() -> None:
    divergences = [address_divergence(torch.tensor(s), 512, 0.0).item() for s in (0.05, 0.2, 1.0)]
    assert divergences[0] > divergences[1] > divergences[2]
    assert divergences[2] == pytest.approx(0.5 / 512)


def test_a_schedule_ends_by_its_steps_or_by_the_clock() -> None:
    by_steps, by_clock = Schedule(steps=3), Schedule(steps=10**6, minutes=1)
    assert [by_steps.over(step, 1e9) for step in (2, 3)] == [False, True]
    assert [by_clock.over(500, seconds) for seconds in (59, 60)] == [False, True]
    assert by_clock.factor(500, 59.9) < 0.06 < 0.5 < by_clock.factor(500, 20)
    assert by_clock.factor(0) == pytest.approx(1 / 20)
