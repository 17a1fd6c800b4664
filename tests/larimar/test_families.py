"""Any causal LM: each architecture is trained, saved, loaded, written, read and left alone out of scope."""

from pathlib import Path

import pytest
import torch

from larimar import Fact, Larimar, corpus
from larimar.config import LarimarConfig
from larimar.errors import InvalidInput
from larimar.reader import input_table
from larimar.run import Run, Schedule
from larimar.weights import load_decoder
from tests.larimar.families import FAMILIES, save_family

FACT = Fact("f", "The capital of Ruritania is", "Strelsau", subject="Ruritania")
ELSEWHERE = "The river Aare flows through"


def draw(rng: object) -> corpus.Example:
    return corpus.Example("The river Aare flows through Bern.", "The river Aare flows", "through Bern.")


def configuration(decoder: Path, **changes: object) -> LarimarConfig:
    sizes = {"slots": 24, "slot_dim": 32, "rows": 32, "lora_rank": 4, "lora_alpha": 8}
    return LarimarConfig(decoder=str(decoder), **(sizes | changes))  # type: ignore[arg-type]


def trained(directory: Path, config: LarimarConfig, steps: int = 2) -> Run:
    schedule = Schedule(steps=steps, batch=16, learning_rate=1e-2, warm_up=1)
    run = Run(directory / "run", config, schedule, "cpu")
    run.train(draw)
    run.export(directory / "checkpoint", {})
    return run


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family(request.param, tmp_path_factory.mktemp(request.param) / "decoder")


@pytest.fixture(scope="module")
def run(family: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("trained"), configuration(family))


@pytest.fixture
def model(run: Run) -> Larimar:
    return Larimar.load(run.directory.parent / "checkpoint", device="cpu")


def test_a_family_is_trained_saved_loaded_written_and_read(run: Run, model: Larimar) -> None:
    second_factors = [p for name, p in run.reader.decoder_parameters().items() if "lora_B" in name]
    assert all(factor.abs().max() > 0 for factor in second_factors), "a LoRA was not trained"

    empty = model.digest()
    model.write([FACT])
    assert model.readout_answer("f").strip(" .") == "Strelsau"
    assert model.generate([FACT.prompt], samples=3, max_tokens=5, min_tokens=5, seed=1)[0] != [""] * 3
    assert model.agrees_with_base([FACT.prompt, ELSEWHERE]) == [False, True]

    model.forget(["f"])
    assert model.digest() == empty
    assert model.agrees_with_base([FACT.prompt]) == [True]


def test_the_base_decoder_is_what_transformers_makes_of_a_prompt(family: Path, model: Larimar) -> None:
    """Start tokens, scaled embeddings and left padding are as the architecture wants them."""
    base, tokenizer = load_decoder(str(family))
    tokens = tokenizer(ELSEWHERE, return_tensors="pt")
    expected = base.generate(**tokens, max_new_tokens=6, min_new_tokens=6, do_sample=False)
    said = model.base.generate([ELSEWHERE, "Bern"], max_tokens=6, min_tokens=6, greedy=True)[0][0]
    new = expected[0, tokens.input_ids.shape[1] :]
    assert said == tokenizer.decode(new, skip_special_tokens=True)


@pytest.mark.parametrize("family", ["gemma3"], indirect=True)
def test_soft_tokens_are_scaled_as_the_embedding_layer_scales(family: Path) -> None:
    base, _ = load_decoder(str(family))
    table = input_table(base)
    ids = torch.tensor([7, 300])
    assert table[ids].equal(base.get_input_embeddings()(ids))
    assert not table.equal(base.get_input_embeddings().weight)


@pytest.mark.parametrize("family", ["gpt2"], indirect=True)
def test_slots_wider_than_the_decoder_are_refused(family: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="hidden size, 32"):
        Run(tmp_path / "run", configuration(family, slot_dim=33), Schedule(steps=1), "cpu")


@pytest.mark.parametrize("family", ["gpt2"], indirect=True)
@pytest.mark.parametrize("how", ["none", "full"])
def test_the_decoder_is_trained_in_full_or_not_at_all(family: Path, tmp_path: Path, how: str) -> None:
    run = trained(tmp_path, configuration(family, train_decoder=how))
    base, _ = load_decoder(str(family))
    pairs = zip(base.parameters(), run.reader.language_model.parameters(), strict=True)
    changed = [not torch.equal(before.float(), after.float()) for before, after in pairs]
    assert all(changed) if how == "full" else not any(changed)

    model = Larimar.load(tmp_path / "checkpoint", device="cpu")
    model.write([FACT])
    assert model.readout_answer("f").strip(" .") == "Strelsau"
    assert model.agrees_with_base([FACT.prompt, ELSEWHERE]) == [False, True]
