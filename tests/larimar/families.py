"""Toy decoders of several architectures, saved as local directories like downloaded ones."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    Gemma3TextConfig,
    GPT2Config,
    GPTJConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)
from transformers.models.auto import AutoModelForCausalLM

WORDS = (
    "The river Aare flows through the town of Bern every single day. Fact: What is unknown about Strelsau, "
    "the capital of Ruritania? Ostrava Graz Drau Gore Cher Tours mayor written in or and a"
)
SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
}  # fmt: skip
GROUPED = SMALL | {"num_key_value_heads": 2}
FAMILIES: dict[str, type[PreTrainedConfig]] = {
    "gpt2": GPT2Config, "gptj": GPTJConfig, "llama": LlamaConfig, "gemma3": Gemma3TextConfig, "qwen3": Qwen3Config,
}  # fmt: skip
SIZES: dict[str, dict[str, object]] = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "gptj": {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4},
    "llama": GROUPED,
    "gemma3": GROUPED | {"head_dim": 8, "sliding_window": 64},
    "qwen3": GROUPED | {"head_dim": 8},
}


def tokenizer(*, start_token: bool) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of 400 tokens; with `start_token`, texts begin with one, as Gemma's do."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>", "[CLS]", "[SEP]", "[PAD]"]
    inner.train_from_iterator(
        [WORDS], trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=special)
    )
    if start_token:
        inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", cls_token="[CLS]", sep_token="[SEP]",
        pad_token="[PAD]",
    )  # fmt: skip


def save_family(name: str, directory: Path) -> Path:
    """A random decoder of an architecture, two layers of 32, always the same."""
    words = tokenizer(start_token=name == "gemma3")
    config = FAMILIES[name](
        vocab_size=len(words), eos_token_id=words.eos_token_id, bos_token_id=words.bos_token_id, pad_token_id=4,
        initializer_range=0.2, **SIZES[name],
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(directory)
    words.save_pretrained(directory)
    return directory


def save_bert(directory: Path) -> Path:
    """A random BERT of two layers with its tokenizer."""
    words = tokenizer(start_token=False)
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(words), pad_token_id=4, **SMALL)).save_pretrained(directory)
    words.save_pretrained(directory)
    return directory
