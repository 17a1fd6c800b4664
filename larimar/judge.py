"""The judge: a cross-encoder that reads a stored prompt and a query together (the trained head of ISD).

It is the packaged sentence encoder with a LoRA of its own, which sees «stored [SEP] query», both with the
subject's name as «X», and a small head on what the two texts look like after they have seen each other.
The logit says how much the query asks for what is stored. Trained by `python -m larimar.train_judge`; the
LoRA and the head lie in `data/judge.safetensors`.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from larimar.errors import CheckpointCorrupt, CheckpointMismatch
from larimar.unpadded import Unpadded

RANK = 64
_HIDDEN = 128
_LONGEST = 128
"""Tokens of a pair; longer queries are cut."""
_BATCH = 32


class Judge(nn.Module):
    """Cross-encoder with a LoRA and a head."""

    def __init__(
        self, sentence_encoder: Any, *, trainable: bool = False, rank: int = RANK, dropout: float = 0.0
    ) -> None:
        """`sentence_encoder`: a SentenceTransformer over a BERT-like model, which is copied; `rank` of the LoRA.

        `dropout`: in training, between the layers.
        """
        super().__init__()
        self.tokenizer = sentence_encoder.tokenizer
        bert = copy.deepcopy(sentence_encoder[0].auto_model)
        width = bert.config.hidden_size
        lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=["query", "key", "value", "dense"])
        with warnings.catch_warnings():  # peft 0.21 asks transformers 5 for a name that it deprecated
            warnings.simplefilter("ignore")
            self.encoder = get_peft_model(bert, lora, autocast_adapter_dtype=trainable)
        self.head = nn.Sequential(nn.Linear(3 * width, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, 1)).to(
            bert.device
        )
        for module in self.encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
        self.reading: Unpadded | None = None
        """once trained: the encoder without padding"""

    @classmethod
    def load(cls, sentence_encoder: Any, path: Path | None = None) -> Judge:
        """A trained judge (None: the shipped one), merged and ready. Raises CheckpointCorrupt, CheckpointMismatch."""
        path = path or Path(str(resources.files("larimar") / "data" / "judge.safetensors"))
        tensors = read(path)
        ranks = {len(t) for name, t in tensors.items() if "lora_A" in name} or {RANK}
        judge = cls(sentence_encoder, rank=max(ranks))
        judge.fill(tensors, path.name)
        judge.encoder = judge.encoder.merge_and_unload()
        judge.eval().requires_grad_(False)
        judge.reading = Unpadded(judge.encoder) if Unpadded.fits(judge.encoder) else None
        return judge

    def trained(self) -> dict[str, nn.Parameter]:
        """What training changes, by name."""
        return {n: p for n, p in self.named_parameters() if "lora_" in n or n.startswith("head.")}

    def fill(self, tensors: Mapping[str, Tensor], name: str) -> None:
        """Take over the tensors of the file `name`. Raises CheckpointMismatch, CheckpointCorrupt."""
        wanted = self.trained()
        if set(tensors) != set(wanted) or any(p.shape != tensors[n].shape for n, p in wanted.items()):
            raise CheckpointMismatch(f"{name} was trained for another sentence encoder or another rank")
        if not all(t.isfinite().all() for t in tensors.values()):
            raise CheckpointCorrupt(
                f"{name} has weights that are not finite numbers; train or fetch it again"
            )
        with torch.no_grad():
            for key, parameter in wanted.items():
                parameter.copy_(tensors[key])

    def save(self, path: Path, about: dict[str, Any]) -> None:
        """Write the trained tensors in bfloat16, with `about` in the header."""
        tensors = {n: p.detach().to(torch.bfloat16).contiguous() for n, p in self.trained().items()}
        save_file(tensors, str(path), metadata={"about": json.dumps(about)})

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Logits (N,) of tokenised pairs."""
        hidden = self.encoder(**batch).last_hidden_state
        second = batch["token_type_ids"] * batch["attention_mask"]
        first = (1 - batch["token_type_ids"]) * batch["attention_mask"]
        return self._logit(hidden, first, second)

    def _logit(self, hidden: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Logits (N,) of hidden states (N, T, D); `first` and `second` (N, T) mark the tokens of the two texts."""
        u, v = _mean(hidden, first), _mean(hidden, second)
        made: Tensor = self.head(torch.cat([(u - v).abs(), u * v, u + v], dim=-1))
        return made.squeeze(-1).float()

    def tokens(self, pairs: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
        """A padded batch of pairs (stored, query)."""
        return dict(self._tokens(pairs, padding=True, pad_to_multiple_of=4, return_tensors="pt"))

    @torch.inference_mode()
    def logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Logit (N,) of each pair (stored prompt, query), both with names masked; batched by length."""
        found = np.zeros(len(pairs))
        if not len(pairs):
            return found
        if self.reading is not None:
            read = self._tokens(pairs)
            for group in self.reading.groups(read.input_ids, read.token_type_ids):
                second = torch.tensor([read.token_type_ids[i] for i in group.at], device=group.hidden.device)
                found[group.at] = self._logit(group.hidden, 1 - second, second).cpu().numpy()
            return found
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
        device = next(self.head.parameters()).device
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            batch = {k: t.to(device) for k, t in self.tokens([pairs[i] for i in rows]).items()}
            found[rows] = self(batch).cpu().numpy()
        return found

    def _tokens(self, pairs: Sequence[tuple[str, str]], **form: Any) -> Any:
        """Token ids and types of pairs; longer ones are cut."""
        stored, queries = [a for a, _ in pairs], [b for _, b in pairs]
        return self.tokenizer(
            stored,
            queries,
            truncation="longest_first",
            max_length=_LONGEST,
            return_token_type_ids=True,
            **form,
        )


def read(path: Path) -> dict[str, Tensor]:
    """A judge's tensors. Raises CheckpointCorrupt."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointCorrupt(f"{path.name} is not a readable judge; train or fetch it again") from error


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean (N, D) of hidden states (N, T, D) where `mask` (N, T) is 1."""
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1.0)
