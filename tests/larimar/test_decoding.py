"""Sharing and batching change the cost of decoding, not its results (float32, tiny decoder)."""

import pytest
import torch
from torch.nn import functional as F

from larimar.decoding import Decoder, Query, Sampling
from larimar.reader import Condition, Packed, conditioned
from larimar.weights import load_decoder

PROMPTS = ["The capital of France is", "Honey", "Where was the first of these bridges built, and by whom?"]
TARGETS = [" Paris", " Paris is a city", " a", " unknown words follow"]


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(*load_decoder("tiny", dtype=torch.float32))


@pytest.fixture
def read(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(sequences, positions) of every pass through the decoder."""
    shapes: list[tuple[int, int]] = []
    advance = decoder._advance

    def counted(packed: Packed, begun: object) -> torch.Tensor:
        shapes.append((packed.mask.shape[0], packed.mask.shape[1]))
        return advance(packed, begun)  # type: ignore[arg-type]

    monkeypatch.setattr(decoder, "_advance", counted)
    return shapes


def conditions(count: int) -> list[Condition]:
    noise = torch.Generator().manual_seed(3)
    return [Condition(torch.randn(3 + n, 64, generator=noise) * 0.05) for n in range(count)]


def plainly_scored(decoder: Decoder, query: Query, target: str) -> float:
    """One sequence through the whole model, without any cache or padding."""
    ids = decoder.tokenizer(target, add_special_tokens=False).input_ids
    embedded = conditioned(decoder._embed([*query.tokens, *ids]), query.condition)
    logits = decoder.model(inputs_embeds=embedded[None]).logits[0]
    return -F.cross_entropy(logits[-len(ids) - 1 : -1], torch.tensor(ids)).item()


@pytest.mark.parametrize("facts", [0, 1, 2, 6])
def test_scores_are_those_of_each_sequence_alone(decoder: Decoder, facts: int) -> None:
    made = conditions(facts) or [None]
    queries = [decoder.query(p, made[n % len(made)]) for n, p in enumerate(PROMPTS * 2)]
    pairs = [(query, target) for query in queries for target in TARGETS]
    found = decoder.log_likelihoods([q for q, _ in pairs], [t for _, t in pairs])
    assert found == pytest.approx([plainly_scored(decoder, q, t) for q, t in pairs], abs=1e-4)


def test_a_prompt_is_read_once_for_all_its_targets(decoder: Decoder, read: list[tuple[int, int]]) -> None:
    query = decoder.query(PROMPTS[0])
    decoder.log_likelihoods([query] * 4, [" a", " Paris", " a", " b"])
    assert read == [(1, query.length)]


def test_a_prefix_is_read_once_for_all_its_prompts(decoder: Decoder, read: list[tuple[int, int]]) -> None:
    [condition] = conditions(1)
    decoder.generate([decoder.query(p, condition) for p in PROMPTS], Sampling(max_tokens=1))
    assert read[0] == (1, 3)
    assert read[1][0] == len(PROMPTS)
    assert len(read) == 2


def test_sharing_a_prefix_does_not_change_what_is_said(decoder: Decoder) -> None:
    [condition] = conditions(1)
    together = decoder.generate([decoder.query(p, condition) for p in PROMPTS], Sampling(greedy=True))
    alone = [decoder.generate([decoder.query(p, condition)], Sampling(greedy=True))[0] for p in PROMPTS]
    assert together == alone


def test_ended_sequences_leave_the_batch_and_the_others_go_on(
    decoder: Decoder, read: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = decoder.generate([decoder.query(p) for p in PROMPTS], Sampling(greedy=True, max_tokens=6))
    shortest = sorted(range(3), key=lambda i: decoder.query(PROMPTS[i]).length)
    logits, end = decoder._logits, decoder.tokenizer.eos_token_id

    def two_end(hidden: torch.Tensor) -> torch.Tensor:
        made = logits(hidden).clone()
        if len(read) == passes + 2 and len(made) == 3:
            made[:2, end] = 1e4
        return made

    passes = len(read)
    monkeypatch.setattr(decoder, "_logits", two_end)
    said = decoder.generate([decoder.query(p) for p in PROMPTS], Sampling(greedy=True, max_tokens=6))
    assert [sequences for sequences, _ in read[passes:]] == [3, 3, 1, 1, 1, 1]
    assert said[shortest[2]] == free[shortest[2]]
    assert all(free[i][0].startswith(said[i][0]) and said[i] != free[i] for i in shortest[:2])


@pytest.mark.parametrize("special", ["<|im_start|>", "<|im_end|>", "<|endoftext|>"])
def test_any_special_token_ends_a_text(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch, special: str
) -> None:
    word, stop = decoder.tokenizer(" word").input_ids[0], decoder.tokenizer.convert_tokens_to_ids(special)
    planned = iter([word, stop, word, word])
    monkeypatch.setattr(
        "larimar.decoding._pick", lambda logits, *_: torch.full((len(logits),), next(planned))
    )
    assert decoder.generate([decoder.query("A")], Sampling(max_tokens=4, greedy=True)) == [[" word"]]
