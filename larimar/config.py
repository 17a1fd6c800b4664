"""The configuration of a Larimar model, its presets and its hash.

Everything that changes what a latent or a checkpoint means is here and nothing else, so two models with
the same `config_hash` read each other's ledgers and checkpoints.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from larimar.errors import InvalidInput

ROWS_PER_FACT = 8
"""Most memory rows that one fact spans: with 64 slots a row, facts of up to 512 tokens."""
ENCODERS = ("slots", "pooled")
TRAIN_DECODER = ("none", "lora", "full")
_LATER = {"encoder": "slots", "text_encoder": "", "train_decoder": "lora"}
"""What the first version did where later fields give a choice."""


@dataclass(frozen=True)
class LarimarConfig:
    """Sizes of the encoder, the memory and the reader. C = slots · slot_dim, the paper's latent dimension."""

    decoder: str = "smollm2-135m-instruct"
    """Base decoder: the packaged default, a Hugging Face id or a local path."""
    sentence_encoder: str = "all-minilm-l6-v2"
    """Sentence encoder of the scope detector: the packaged default, an id or a path."""
    slots: int = 64
    """S, token slots of one latent; longer facts span several rows."""
    slot_dim: int = 64
    """d, numbers a slot."""
    rows: int = 512
    """K, rows of one memory matrix."""
    ridge: float = 1e-4
    """Lambda of the least-squares solution; keys have unit norm."""
    max_load: float = 0.75
    """Largest N / K: above it a least-squares memory no longer recalls exactly."""
    lora_rank: int = 16
    """Rank of the reader, a LoRA on every attention and MLP projection of the decoder."""
    lora_alpha: int = 32
    """Scale of the reader: alpha / rank."""
    encoder: str = "slots"
    """How a text becomes a latent: `slots` of token codes, or `pooled`, the paper's one vector."""
    text_encoder: str = ""
    """The BERT-like encoder of `pooled`: a Hugging Face id, a local path or the packaged default."""
    train_decoder: str = "lora"
    """What of the reading decoder is trained: `none`, `lora` or `full`. The base decoder never is."""

    def __post_init__(self) -> None:
        """Refuse sizes that cannot work."""
        if min(self.slots, self.slot_dim, self.rows, self.lora_rank) < 1:
            raise InvalidInput("slots, slot_dim, rows and lora_rank must be at least 1")
        if not 0 < self.max_load <= 1 or self.ridge <= 0:
            raise InvalidInput("max_load must be in (0, 1] and ridge above 0")
        if self.train_decoder not in TRAIN_DECODER:
            raise InvalidInput(f"train_decoder is one of {', '.join(TRAIN_DECODER)}")
        if self.encoder not in ENCODERS:
            raise InvalidInput(f"encoder is one of {', '.join(ENCODERS)}")
        if (self.encoder == "pooled") != bool(self.text_encoder) or (self.encoder == "pooled") != (
            self.slots == 1
        ):
            raise InvalidInput("the pooled encoder, and no other, has a text_encoder and one slot")

    @property
    def latent_dim(self) -> int:
        """C, the length of one latent z."""
        return self.slots * self.slot_dim

    @property
    def capacity(self) -> int:
        """Most rows that one memory takes."""
        return int(self.max_load * self.rows)

    def config_hash(self) -> str:
        """SHA-256 (hex) over the sorted JSON of every field.

        A field that came after the first version counts when it differs from what that version did, so
        that older checkpoints and ledgers keep their hash.
        """
        fields = {name: v for name, v in asdict(self).items() if _LATER.get(name) != v}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


PRESETS: dict[str, LarimarConfig] = {
    "default": LarimarConfig(),
    "paper": LarimarConfig(
        decoder="gpt2-large", encoder="pooled", text_encoder="bert-large-cased", slots=1, slot_dim=768,
        train_decoder="full",
    ),
    "tiny": LarimarConfig(decoder="tiny", slots=16, slot_dim=16, rows=32, lora_rank=4, lora_alpha=8),
    "tiny-pooled": LarimarConfig(
        decoder="tiny", encoder="pooled", text_encoder="tiny", slots=1, slot_dim=32, rows=32, lora_rank=4,
        lora_alpha=8,
    ),
}  # fmt: skip
"""`default` is what the shipped checkpoint uses; `paper` is Larimar-1.3B; `tiny…` are random and serve tests."""


def preset(name: str, **changes: object) -> LarimarConfig:
    """The preset `name` with some fields changed. Raises InvalidInput with the known names."""
    if name not in PRESETS:
        raise InvalidInput(f"no preset of that name; there are {', '.join(sorted(PRESETS))}")
    return replace(PRESETS[name], **changes)  # type: ignore[arg-type]
