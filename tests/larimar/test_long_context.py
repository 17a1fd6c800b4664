"""Long context: the recursive read finds the nearest passage and returns what was written of it."""

import numpy as np
import pytest
import torch

from larimar.decoding import Sampling
from larimar.encoder import thaw_codes
from larimar.errors import FactTooLong, InvalidInput
from larimar.long_context import LongContext, Passage
from larimar.model import Larimar

NAMES = ["Abel", "Bera", "Cato", "Dora", "Egon", "Fina", "Gero", "Hede", "Ivar", "Jula", "Kuno"]


def passages() -> list[Passage]:
    return [Passage.of_fact(f"{name} lives in", f"town {n}") for n, name in enumerate(NAMES)]


@pytest.mark.parametrize("episode", [2, 3, 16])
def test_the_readout_is_what_was_written_of_the_nearest_passage(tiny: Larimar, episode: int) -> None:
    written = passages()
    context = LongContext(tiny.weights, written, episode=episode)
    slots, found = context.read([passage.cue for passage in written])
    assert found == list(range(len(written)))
    for passage, read in zip(written, slots, strict=True):
        codes = thaw_codes(tiny.weights.encode(passage.text))
        assert torch.allclose(read[: len(codes)], codes, atol=0.05)
        assert read[len(codes) :].abs().max() < 0.05


def test_chunks_are_no_larger_than_an_episode(tiny: Larimar) -> None:
    context = LongContext(tiny.weights, passages(), episode=4)
    assert [memory.count for memory, _ in context.chunks] == [4, 4, 3]


def test_another_wording_is_routed_by_its_nearest_cue(tiny: Larimar) -> None:
    context = LongContext(tiny.weights, passages(), episode=3)
    question = "In which town is Hede living?"
    nearest = int(np.argmax(context.cues @ tiny.weights.detector.embedder.embed([question])[0]))
    assert context.read([question])[1] == [nearest]


def test_the_reader_answers_every_question(tiny: Larimar) -> None:
    context = LongContext(tiny.weights, passages())
    said = context.answer(["Abel lives in", "Kuno lives in"], Sampling(greedy=True, max_tokens=2))
    assert [len(texts) for texts in said] == [1, 1]


def test_bad_input_is_refused(tiny: Larimar) -> None:
    with pytest.raises(InvalidInput, match="passages"):
        LongContext(tiny.weights, [])
    with pytest.raises(FactTooLong):
        LongContext(tiny.weights, [Passage("cue", "word " * 40)])
