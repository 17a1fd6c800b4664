"""The paper's encoder: one vector, one key and value a layer, an addition to every embedding."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from larimar import Fact, Larimar
from larimar.checkpoint import load, save
from larimar.config import preset
from larimar.decoding import Query, Sampling
from larimar.encoders import build_reader
from larimar.errors import CheckpointMismatch, FactTooLong, InvalidInput, WeightsUnavailable
from larimar.objective import Objective, loss
from larimar.prefix import extra_pair
from larimar.reader import Condition, pack
from larimar.run import Run, Schedule, checkpoint_layers
from larimar.weights import load_decoder, load_text_encoder
from tests.larimar.families import save_bert, save_family
from tests.larimar.test_families import FACT, FAMILIES, configuration, draw, trained


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("bert") / "encoder")


def pooled(bert: Path, decoder: Path, **changes: object):  # type: ignore[no-untyped-def]
    sizes = {"encoder": "pooled", "text_encoder": str(bert), "slots": 1, "slot_dim": 24}
    return configuration(decoder, **sizes | changes)


@pytest.mark.parametrize("name", list(FAMILIES))
def test_each_family_is_trained_saved_loaded_written_and_read(name: str, bert: Path, tmp_path: Path) -> None:
    run = trained(tmp_path, pooled(bert, save_family(name, tmp_path / "decoder")))
    model = Larimar.load(tmp_path / "checkpoint", device="cpu")
    for fresh, kept in ((run.reader.to_past, "to_past"), (run.reader.to_added, "to_added")):
        assert torch.equal(fresh.weight, load(tmp_path / "checkpoint").tensors[kept])

    empty = model.digest()
    model.write([FACT, Fact("g", "The river Aare flows through", "Bern", subject="Aare")])
    answers = model.generate(
        [FACT.prompt, "The river Aare flows through"], samples=2, max_tokens=4, min_tokens=4
    )
    assert all(text for samples in answers for text in samples)
    assert model.agrees_with_base([FACT.prompt, "Ostrava has a mayor"]) == [False, True]
    model.forget(["f", "g"])
    assert model.digest() == empty
    assert model.agrees_with_base([FACT.prompt]) == [True]


@pytest.fixture(scope="module")
def conditioned_model(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Larimar:
    directory = tmp_path_factory.mktemp("pooled")
    trained(directory, pooled(bert, save_family("llama", directory / "decoder")), steps=1)
    return Larimar.load(directory / "checkpoint", device="cpu")


def test_latents_have_one_size_that_no_training_can_shrink(conditioned_model: Larimar) -> None:
    reader = conditioned_model.weights.reader
    with torch.no_grad():
        reader.to_latent.weight.mul_(0.1)  # type: ignore[union-attr, operator]
        latents, _ = reader.encode_batch(["Paul lives in Rome.", "Bern is a town."])
        reader.to_latent.weight.mul_(10)  # type: ignore[union-attr, operator]
    assert latents.mean(dim=1).abs().max() < 1e-2
    assert latents.square().mean(dim=1) == pytest.approx(torch.ones(2), rel=0.1)
    assert not torch.equal(*latents)


def test_a_latent_is_made_of_the_first_token_alone(conditioned_model: Larimar) -> None:
    reader = conditioned_model.weights.reader
    encoder = reader.text_encoder

    def only_first(module: object, inputs: object, said):  # type: ignore[no-untyped-def]
        said.last_hidden_state[:, 1:] = torch.nan
        return said

    with torch.no_grad():
        latents, _ = reader.encode_batch(["Paul lives in Rome."])
        hook = encoder.register_forward_hook(only_first)  # type: ignore[operator, union-attr]
        again, _ = reader.encode_batch(["Paul lives in Rome."])
        hook.remove()
    assert torch.equal(latents, again)


def test_an_untrained_reader_adds_twice_an_embedding() -> None:
    base, tokenizer = load_decoder("tiny", dtype=torch.float32)
    reader = build_reader(base, tokenizer, preset("tiny-pooled", slot_dim=256))
    [condition] = reader.conditions(torch.randn(1, 1, 256), torch.ones(1, 1, dtype=torch.bool))
    usual = base.get_input_embeddings().weight.norm(dim=1).mean()
    assert float(condition.added.detach().norm() / usual) == pytest.approx(2.0, rel=0.5)


def test_every_weight_of_the_text_encoder_gets_a_gradient() -> None:
    """Several processes wait for each other's gradients: a weight without one would stop them."""
    base, tokenizer = load_decoder("tiny", dtype=torch.float32)
    reader = build_reader(base, tokenizer, preset("tiny-pooled"), trainable=True)
    loss(reader, [draw(None)] * 16, Objective(rows=32), torch.Generator().manual_seed(0)).total.backward()
    assert [name for name, p in reader.own_parameters().items() if p.grad is None] == []


def test_a_prompt_is_answered_alike_alone_and_beside_longer_ones(conditioned_model: Larimar) -> None:
    """Left padding lies between the extra key and the prompt; nobody may look at it."""
    model = conditioned_model.with_bank()
    model.write([FACT])
    texts = ["Ruritania", "The capital of Ruritania is the town of"]
    queries = [route.query for route in model.reading(texts, "f")]
    decoder, greedy = model.weights.reading, Sampling(greedy=True, max_tokens=6, min_tokens=6)
    together = decoder.generate(queries, greedy)
    assert together == [decoder.generate([query], greedy)[0] for query in queries]
    scores = decoder.log_likelihoods(queries, [" Strelsau", " Bern"])
    alone = [
        decoder.log_likelihoods([q], [t])[0] for q, t in zip(queries, [" Strelsau", " Bern"], strict=True)
    ]
    assert scores == pytest.approx(alone, rel=2e-2)


def test_the_extra_key_is_seen_by_every_layer_and_the_addition_by_every_token() -> None:
    base, tokenizer = load_decoder("tiny", dtype=torch.float32)
    reader = build_reader(base, tokenizer, preset("tiny-pooled"))
    layers, heads, size = reader.shape  # type: ignore[attr-defined]
    row = base.get_input_embeddings()(torch.tensor([5, 6, 7]))

    def last(past: torch.Tensor) -> torch.Tensor:
        packed = pack([row], [Condition(past=past, added=torch.zeros(64))])
        with torch.no_grad():
            return base.base_model(
                inputs_embeds=packed.embeddings, attention_mask=packed.attention,
                position_ids=packed.positions, past_key_values=extra_pair(packed.past, torch.float32),
            ).last_hidden_state[0, -1]  # fmt: skip

    silent = torch.zeros(layers, 2, heads, size)
    for layer in range(layers):
        loud = silent.clone()
        loud[layer, 1] = 3.0
        assert not torch.allclose(last(loud), last(silent))


def test_recomputing_layers_changes_no_gradient(tmp_path: Path) -> None:
    gradients = []
    for recompute in (False, True):
        base, tokenizer = load_decoder("tiny")
        torch.manual_seed(0)
        reader = build_reader(base, tokenizer, preset("tiny-pooled"), trainable=True)
        if recompute:
            checkpoint_layers(reader.language_model)
        noise = torch.Generator().manual_seed(0)
        loss(reader, [draw(None)] * 16, Objective(rows=32), noise).total.backward()
        gradients.append(reader.to_past.weight.grad)  # type: ignore[union-attr]
    assert gradients[0] is not None
    assert gradients[0].abs().max() > 0
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)


def test_a_tombstone_says_its_word_and_nothing_else(conditioned_model: Larimar) -> None:
    model = conditioned_model.with_bank()
    model.censor([FACT])
    assert set(model.generate([FACT.prompt], samples=3)[0]) == {" unknown"}


def test_a_readout_is_asked_for_by_name_and_left_open(
    pooled_model: Larimar, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = pooled_model.with_bank()
    model.write([Fact("f", "Tell me where Ada Byron was born.", "London", "Ada Byron", ("Ada",))])
    asked: list[Query] = []

    def generate(queries: list[Query], sampling: Sampling) -> list[list[str]]:
        asked.extend(queries)
        return [[" London"] for _ in queries]

    monkeypatch.setattr(model.weights.reading, "generate", generate)
    assert model.readout_answer("f") == " London"
    [query] = asked
    assert model.weights.base.tokenizer.decode(query.tokens) == " Tell me where Ada Byron was born:"
    assert query.condition is not None


def test_a_text_longer_than_a_latent_is_refused(conditioned_model: Larimar) -> None:
    model = conditioned_model.with_bank()
    with pytest.raises(FactTooLong, match="64"):
        model.write([Fact("long", "The river " * 40, "Aare")])
    assert not model.bank.entries


def test_a_checkpoint_of_another_encoder_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    first = load(tiny_checkpoint)
    save(tmp_path / "other", replace(first, config=preset("tiny-pooled")))
    with pytest.raises(CheckpointMismatch, match="another encoder"):
        Larimar.load(tmp_path / "other", device="cpu")


def test_a_run_of_another_encoder_is_refused(tmp_path: Path) -> None:
    schedule = Schedule(steps=1, batch=16)
    Run(tmp_path / "run", preset("tiny-pooled"), schedule, "cpu").train(draw)
    with pytest.raises(SystemExit, match="another configuration"):
        Run(tmp_path / "run", preset("tiny"), schedule, "cpu")


def test_configurations_that_no_encoder_has_are_refused() -> None:
    with pytest.raises(InvalidInput, match="text_encoder"):
        preset("default", encoder="pooled")
    with pytest.raises(InvalidInput, match="slots, pooled"):
        preset("default", encoder="bags")


def test_a_broken_text_encoder_or_decoder_is_named(bert: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="text encoder"):
        load_text_encoder(str(tmp_path))
    weights = save_family("llama", tmp_path / "decoder") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(WeightsUnavailable, match="incomplete"):
        load_decoder(str(tmp_path / "decoder"))
