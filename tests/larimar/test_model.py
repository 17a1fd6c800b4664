"""What Larimar promises, on the tiny untrained decoder: exactness does not depend on training."""

from pathlib import Path

import pytest
import torch

from larimar import Fact, Larimar
from larimar.entry import Entry
from larimar.errors import DuplicateFact, FactTooLong, InvalidInput, UnknownFact

FACTS = [
    Fact("f1", "Where was Jina An born?", "Seoul", "Jina An"),
    Fact("f2", "Which prize did Takashi Nakano win?", "Golden Quill", "Takashi Nakano"),
    Fact("f3", "What is the first book by Rory Greenfield?", "Hannah's Voice", "Rory Greenfield"),
]
ELSEWHERE = ["How do bees make honey?", "The tallest mountain on Earth is"]


def test_forgetting_restores_the_never_written_state(tiny: Larimar) -> None:
    tiny.write(FACTS[:1])
    never = tiny.digest(b"k")
    tiny.write(FACTS[1:])
    tiny.forget(["f3", "f2"])
    assert tiny.digest(b"k") == never
    assert list(tiny.bank.entries) == ["f1"]
    assert tiny.in_scope([FACTS[1].prompt]) == [None]


def test_the_twin_rebuilt_from_ledger_bytes_has_the_same_digest_and_says_the_same(tiny: Larimar) -> None:
    ledger = [entry.to_bytes() for entry in tiny.write(FACTS)]
    twin = tiny.with_bank(Entry.from_bytes(row) for row in reversed(ledger))
    assert twin.digest() == tiny.digest()
    prompts = [FACTS[0].prompt, *ELSEWHERE]
    assert twin.generate(prompts, samples=3, seed=5) == tiny.generate(prompts, samples=3, seed=5)


def test_out_of_scope_the_base_decoder_answers_bit_for_bit(tiny: Larimar) -> None:
    before = tiny.base.next_logits(ELSEWHERE)
    said = tiny.base.generate(ELSEWHERE, samples=4, seed=3)
    tiny.write(FACTS)
    assert tiny.agrees_with_base(ELSEWHERE) == [True, True]
    assert torch.equal(before, tiny.base.next_logits(ELSEWHERE))
    assert tiny.generate(ELSEWHERE, samples=4, seed=3) == said
    assert tiny.score(ELSEWHERE, ["a", "b"]) == tiny.base.score(ELSEWHERE, ["a", "b"])


def test_in_scope_the_memory_changes_the_answer(tiny: Larimar) -> None:
    tiny.write(FACTS)
    assert tiny.in_scope([FACTS[0].prompt]) == ["f1"]
    assert tiny.agrees_with_base([FACTS[0].prompt]) == [False]


def test_the_readout_is_the_written_answer(tiny: Larimar) -> None:
    tiny.write(FACTS)
    assert [tiny.readout_answer(f.id).strip(" .") for f in FACTS] == [f.answer for f in FACTS]


def test_a_long_fact_is_read_whole_and_forgotten_as_one(tiny: Larimar) -> None:
    tiny.write(FACTS[:1])
    never = tiny.digest()
    prompt = "In the long list of the many towns where Jina An once lived for a year or two the very last is"
    [entry] = tiny.write([Fact("long", prompt, "Seoul", "Jina An")])
    assert len(entry.value) > tiny.weights.config.slots
    assert tiny.readout_answer("long").strip(" .") == "Seoul"
    assert len(tiny.generate([prompt], samples=2)[0]) == 2
    tiny.forget(["long"])
    assert tiny.digest() == never


def test_a_constrained_tombstone_can_say_nothing_else(tiny: Larimar) -> None:
    tiny.censor(FACTS[:1])
    assert tiny.generate([FACTS[0].prompt], samples=3) == [[" unknown."] * 3]
    assert tiny.score([FACTS[0].prompt] * 2, ["unknown", "Seoul"]) == [0.0, float("-inf")]


def test_widening_brings_a_phrasing_into_scope_and_costs_no_row(tiny: Larimar) -> None:
    tiny.censor(FACTS[:1])
    memory = tiny.bank.memory_of("f1").digest()
    odd = "Tell me about the town in which somebody saw the light of day, the one with the short name"
    assert tiny.in_scope([odd]) == [None]
    entry = tiny.widen("f1", [odd])
    assert tiny.in_scope([odd]) == ["f1"]
    assert tiny.bank.memory_of("f1").digest() == memory
    assert tiny.with_bank([entry]).digest() == tiny.digest()
    tiny.forget(["f1"])
    assert tiny.digest() == tiny.with_bank().digest()


def test_same_seed_same_samples_other_seed_other_samples(tiny: Larimar) -> None:
    first, again, other = (tiny.generate(ELSEWHERE, samples=3, seed=s) for s in (1, 1, 2))
    assert first == again != other


def test_greedy_decoding_gives_one_answer(tiny: Larimar) -> None:
    [texts] = tiny.generate(ELSEWHERE[:1], samples=3, greedy=True)
    assert len(texts) == 3
    assert len(set(texts)) == 1


def test_a_phrasing_given_again_is_kept_once(tiny: Larimar) -> None:
    tiny.write(FACTS[:2])
    once = tiny.widen("f1", ["Jina An is from", "Her cradle stood in"])
    digest, rows = tiny.digest(), len(tiny.bank.index.vectors)
    again = tiny.widen("f1", [FACTS[0].prompt, "Her cradle stood in", "Jina An is from", "Jina An is from"])
    assert again.to_bytes() == once.to_bytes()
    assert (tiny.digest(), len(tiny.bank.index.vectors)) == (digest, rows)
    assert rows == 4


def test_errors_leave_the_state_as_it_was(tiny: Larimar) -> None:
    tiny.write(FACTS[:2])
    before = tiny.digest()
    with pytest.raises(DuplicateFact):
        tiny.write([FACTS[2], FACTS[0]])
    with pytest.raises(DuplicateFact):
        tiny.write([FACTS[2], FACTS[2]])
    with pytest.raises(UnknownFact):
        tiny.forget(["f1", "nobody"])
    with pytest.raises(UnknownFact):
        tiny.forget(["f1", "f1"])
    with pytest.raises(UnknownFact):
        tiny.widen("nobody", ["x"])
    with pytest.raises(InvalidInput, match="at least one phrasing"):
        tiny.widen("f1", [])
    with pytest.raises(FactTooLong, match="tokens"):
        tiny.write([Fact("long", "word " * 200, "answer")])
    assert tiny.digest() == before


def test_errors_do_not_repeat_what_was_sent(tiny: Larimar) -> None:
    tiny.write(FACTS[:1])
    with pytest.raises(DuplicateFact) as error:
        tiny.write(FACTS[:1])
    assert not any(word in str(error.value) for word in ("Jina", "Seoul", "f1"))


@pytest.mark.parametrize(("prompt", "answer"), [("", "x"), ("  ", "x"), ("x", ""), ("x", " \n")])
def test_empty_facts_are_refused(prompt: str, answer: str) -> None:
    with pytest.raises(InvalidInput):
        Fact("id", prompt, answer)


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_bytes_that_are_no_entry_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        Entry.from_bytes(data)


def test_empty_batches_are_fine(tiny: Larimar) -> None:
    assert tiny.write([]) == []
    assert tiny.generate([]) == []
    assert tiny.score([], []) == []
    tiny.forget([])


def test_the_checkpoint_directory_is_what_decides(tiny_checkpoint: Path, tiny: Larimar) -> None:
    tiny.write(FACTS)
    again = Larimar.load(tiny_checkpoint, device="cpu")
    again.write(FACTS)
    assert again.digest() == tiny.digest()


def test_an_attack_may_refuse_silence(tiny: Larimar, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that always ends at once says nothing, unless the end token is forbidden at first."""
    decoder = tiny.weights.base
    logits = decoder._logits

    def ending(hidden: torch.Tensor) -> torch.Tensor:
        made = logits(hidden).clone()
        made[:, decoder.tokenizer.eos_token_id] = 1e4
        return made

    monkeypatch.setattr(decoder, "_logits", ending)
    assert tiny.generate(ELSEWHERE[:1], samples=3) == [["", "", ""]]
    [texts] = tiny.generate(ELSEWHERE[:1], samples=3, min_tokens=2)
    assert all(text for text in texts)
