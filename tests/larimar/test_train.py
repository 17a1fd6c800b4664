"""Training: Eq. (1) goes down, runs resume where they stopped, and what is exported loads."""

import json
import random
from pathlib import Path

import pytest
import torch

from larimar import Fact, Larimar, corpus
from larimar.config import preset
from larimar.objective import Objective, address_divergence, read_through_memory
from larimar.train import Run, Schedule

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


def losses(directory: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (directory / "log.jsonl").read_text().splitlines()]


def test_the_loss_goes_down_and_the_picture_is_drawn(draw: corpus.Source, tmp_path: Path) -> None:
    """The decoder is random and frozen, so there is not much to learn; without learning the ratio is 1."""
    run(tmp_path / "run", 30).train(draw)
    measured = losses(tmp_path / "run")
    assert sum(measured[-5:]) < 0.95 * sum(measured[:5])
    assert (tmp_path / "run" / "loss.png").stat().st_size > 1000


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(draw: corpus.Source, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", 6)
    whole.train(draw)
    first = run(tmp_path / "parts", 6)

    class PowerCut(Exception):
        pass

    def cut(rng: random.Random) -> corpus.Example:
        if first.step == 3:
            raise PowerCut
        return draw(rng)

    with pytest.raises(PowerCut):
        first.train(cut)
    second = run(tmp_path / "parts", 6)
    assert second.step == 3
    second.train(draw)
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), rel=1e-4)


def test_a_run_of_another_configuration_is_refused(draw: corpus.Source, tmp_path: Path) -> None:
    run(tmp_path / "run", 1).train(draw)
    with pytest.raises(SystemExit, match="another configuration"):
        Run(tmp_path / "run", preset("tiny", slots=8), Schedule(steps=1), "cpu")


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
