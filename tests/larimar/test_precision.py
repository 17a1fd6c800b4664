"""Decoders are computed in the number format that the processor multiplies."""

import pytest
import torch

from larimar.precision import fast_dtype, mixed
from larimar.weights import load_decoder


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"avx2": True}, torch.float32),
        ({"avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({}, torch.float32),
    ],
)
def test_bfloat16_only_where_it_is_multiplied(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, bool], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    decoder, _ = load_decoder("tiny")

    assert fast_dtype() == expected
    assert {p.dtype for p in decoder.parameters()} == {expected}
    with mixed():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


@pytest.mark.parametrize(("precision", "expected"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_a_named_precision_is_used_everywhere(precision: str, expected: torch.dtype) -> None:
    with mixed("cpu", precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected
