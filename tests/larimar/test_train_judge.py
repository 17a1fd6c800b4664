"""Training the judge: what ends a run, and what a run that goes on remembers."""

import pytest
import torch

from larimar.judge import Judge
from larimar.pairs import Judged
from larimar.train_judge import _step
from larimar.weights import DEFAULT_SENTENCE_ENCODER, load_sentence_encoder

PAIR = Judged("X was born in", "Where was X born?", 1, "rephrasing")


def judge(rank: int = 2) -> Judge:
    torch.manual_seed(0)
    return Judge(load_sentence_encoder(DEFAULT_SENTENCE_ENCODER), trainable=True, rank=rank)


def test_numbers_that_are_not_finite_end_the_run_before_the_weights_change() -> None:
    broken = judge()
    with torch.no_grad():
        broken.head[2].bias[:] = torch.nan
    before = broken.head[0].weight.clone()
    optimiser = torch.optim.AdamW(broken.trained().values(), lr=0.1)
    with pytest.raises(SystemExit, match="step 7: loss or gradient"):
        _step(broken, optimiser, [PAIR] * 2, 7)
    assert torch.equal(broken.head[0].weight, before)
