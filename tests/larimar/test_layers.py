"""The logit lens reads what the decoder itself would say at its last layer, and a removed fact leaves no bytes."""

from dataclasses import replace

import torch

from larimar import Fact, Larimar
from larimar.layers import candidates, first_token, layer_probabilities, memory_candidates
from larimar.traces import readout_text, state_blobs, traces

FACT = Fact("f1", "The mother tongue of Ana Reyes is", "Basque", subject="Ana Reyes")


def test_the_last_layer_is_the_decoders_own_word(tiny: Larimar) -> None:
    decoder = tiny.weights.base
    query = decoder.query("The capital of France is")
    probabilities = layer_probabilities(decoder, query)
    own = decoder.next_logits([query])[0].float().softmax(dim=-1)
    assert probabilities.shape == (2, len(own))
    assert probabilities[-1].topk(5).indices.tolist() == own.topk(5).indices.tolist()
    assert not probabilities[0].allclose(probabilities[1])


def test_the_memory_of_a_pooled_reader_is_read_too(pooled_model: Larimar) -> None:
    model = pooled_model.with_bank()
    model.write([FACT])
    [route] = model.reading([FACT.prompt], "f1")
    reading, condition = model.weights.reading, route.query.condition
    assert condition is not None
    assert condition.past is not None
    loud = replace(route.query, condition=replace(condition, past=torch.full_like(condition.past, 3.0)))
    for query in (route.query, loud):
        own = reading.next_logits([query])[0].float().softmax(dim=-1)
        last = layer_probabilities(reading, query)[-1]
        assert last.topk(5).indices.tolist() == own.topk(5).indices.tolist()
    assert not layer_probabilities(reading, loud).allclose(layer_probabilities(reading, route.query))


def test_candidates_come_layer_by_layer_and_differ_by_how_they_are_ranked(tiny: Larimar) -> None:
    decoder = tiny.weights.base
    query = decoder.query("The capital of France is")
    level = candidates(decoder, query, k=4, layers=1, by="level")
    top = decoder.next_logits([query])[0].topk(4).indices.tolist()
    assert sorted(level) == sorted(decoder.tokenizer.decode([token]) for token in top)
    assert len(candidates(decoder, query, k=3, layers=5, by="rise")) == 15
    assert first_token(decoder, "French toast") == " French"


def test_in_scope_of_a_fact_the_reader_is_read_and_behind_a_tombstone_the_base(tiny: Larimar) -> None:
    def look() -> list[list[str]]:
        return memory_candidates(tiny, [FACT.prompt], k=5, layers=2, by="level")

    base = look()
    tiny.write([FACT])
    assert look() != base
    tiny.forget(["f1"])
    tiny.censor([FACT])
    assert look() == base


def test_every_kind_of_trace_is_there_while_the_fact_is_and_gone_after_forgetting(tiny: Larimar) -> None:
    tiny.write([FACT, Fact("f2", "Tom Reed lives in the city of", "Porto", subject="Tom Reed")])
    wanted = traces(tiny, FACT.prompt, FACT.answer, [FACT.subject])
    assert set(wanted) == {"token ids", "codes", "embedding"}

    def found(kind: str) -> bool:
        return any(needle in blob for needle in wanted[kind] for _, blob in state_blobs(tiny))

    assert found("codes")
    assert found("embedding")
    assert "Basque" in readout_text(tiny, "f1")
    tiny.forget(["f1"])
    assert not any(map(found, wanted))
    assert "Basque" not in readout_text(tiny, "f1")
    assert any(place == "the memory, read at the fact's key" for place, _ in state_blobs(tiny, ["f1"]))


def test_the_scan_sees_names_that_the_output_check_holds_and_none_after_forgetting(tiny: Larimar) -> None:
    stays = Fact("f2", "Tom Reed lives in the city of", "Porto", subject="Tom Reed")
    tiny.censor([FACT, stays])
    tiny.generate(["Bees make"])  # the check takes its words when it is first used

    def seen(text: str) -> bool:
        return any(
            text.casefold() in blob.decode().casefold().split("\n")
            for place, blob in state_blobs(tiny)
            if place == "the output check"
        )

    words = [FACT.subject, "Reyes"]
    assert all(map(seen, words))
    tiny.forget([FACT.id])
    assert not any(map(seen, [*words, FACT.id]))
    tiny.generate(["Bees make"])
    assert not any(map(seen, [*words, FACT.id]))
    assert seen("Tom Reed")


def test_the_scan_sees_initials_and_none_after_forgetting(tiny: Larimar) -> None:
    tiny.write([Fact("f3", "Zoe Quirk lives in the city of", "Porto", subject="Zoe Quirk")])
    assert any(b"zq" in blob.split(b"\n") for place, blob in state_blobs(tiny) if place == "the search index")
    tiny.forget(["f3"])
    assert not any(b"zq" in blob.split(b"\n") for _, blob in state_blobs(tiny))


def test_short_facts_have_no_telling_run_of_tokens(tiny: Larimar) -> None:
    assert set(traces(tiny, "It is", "x")) <= {"embedding", "token ids", "codes"}
    assert "token ids" not in traces(tiny, "Is", "x")
