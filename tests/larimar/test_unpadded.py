"""The encoder without padding: what sentence-transformers and the judge's own forward pass say, sooner."""

import numpy as np
import pytest
import torch

from larimar import unpadded
from larimar.judge import Judge
from larimar.scope import Embedder
from larimar.unpadded import Unpadded
from larimar.weights import DEFAULT_SENTENCE_ENCODER, load_sentence_encoder

TEXTS = [
    "The mother tongue of Danielle Darrieux is",
    "X",
    "",
    "Shayna does this and Yossel goes still and dies. Danielle Darrieux, a native",
    "The mother tongue of Danielle Darrieux is",
    "Who wrote «L'Étranger», and when?",
    "word " * 400,
]


@pytest.fixture(scope="module")
def encoder() -> object:
    return load_sentence_encoder(DEFAULT_SENTENCE_ENCODER)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpadded, "_TOKENS", 24)


def embedded(encoder: object, dtype: torch.dtype | None) -> np.ndarray:
    embedder = Embedder(encoder)
    assert embedder._fast is not None
    if dtype is not None:
        embedder._fast = Unpadded(encoder[0].auto_model, dtype)
    return embedder.embed(TEXTS)


def test_embeddings_are_those_of_sentence_transformers(encoder: object) -> None:
    own = encoder.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert np.abs(embedded(encoder, torch.float32) - own).max() < 2e-6
    assert np.abs(embedded(encoder, torch.bfloat16) - own).max() < 5e-3
    assert np.abs(embedded(encoder, None) - own).max() < 5e-3


def test_batches_change_nothing_but_the_last_bits(encoder: object, small_batches: None) -> None:
    own = encoder.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert np.abs(embedded(encoder, torch.float32) - own).max() < 2e-6


def test_equal_texts_of_one_call_have_equal_bits(encoder: object) -> None:
    rows = embedded(encoder, None)
    assert np.array_equal(rows[0], rows[4])
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_the_judge_reads_what_its_forward_pass_reads(encoder: object) -> None:
    judge = Judge.load(encoder)
    pairs = [("X was born in", text) for text in TEXTS] + [(text, "Where was X born?") for text in TEXTS]
    assert judge.reading is not None
    fast = judge.logits(pairs)
    judge.reading = Unpadded(judge.encoder, torch.float32)
    exact = judge.logits(pairs)
    judge.reading = None
    own = judge.logits(pairs)
    assert np.abs(exact - own).max() < 1e-4
    assert np.abs(fast - own).max() < 0.2
    assert judge.logits([]).shape == (0,)


def test_an_encoder_of_another_kind_is_left_to_sentence_transformers(encoder: object) -> None:
    other = load_sentence_encoder(DEFAULT_SENTENCE_ENCODER)
    other[1].pooling_mode = "cls"
    embedder = Embedder(other)
    assert embedder._fast is None
    own = other.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert np.allclose(embedder.embed(TEXTS), own, atol=1e-6)
    activated = load_sentence_encoder(DEFAULT_SENTENCE_ENCODER)[0].auto_model
    activated.config.hidden_act = "relu"
    assert not Unpadded.fits(activated)
