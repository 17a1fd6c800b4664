"""What an audit attacks, as it sees it: the guarded Larimar, or a bare causal LM. Endpoints: `workers.endpoint`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from audit.facts import AuditFact
from audit.run import BATCH

if TYPE_CHECKING:
    from larimar import Larimar
    from larimar.decoding import Decoder

MIN_TOKENS = 4
"""The model may not end an output before: silence is no evidence, so the attack does not accept it."""
GPU_BATCH = 128
"""Prompts a call on a GPU, whose time goes into starting its kernels; the decoder splits them as it needs."""
_PIECE, _OVERLAP = 1 << 22, 1 << 12
By = Literal["level", "rise"]


@dataclass(frozen=True)
class MemoryTarget:
    """The model with its bank, sampled as users do; `pause` is called before each call and may raise.

    For the scan of the state: `files` is what else is kept on disk (the database, its journal), `fact_ids` names
    the keys at which the memory is read.
    """

    name: str
    model: Larimar
    pause: Callable[[], None] = lambda: None
    files: Sequence[Path] = ()
    fact_ids: Sequence[str] = ()

    @property
    def batch(self) -> int:
        """See `audit.target.Target`."""
        return _batch(self.model.weights.base)

    def sample(
        self,
        prompts: Sequence[str],
        *,
        samples: int,
        max_tokens: int,
        temperature: float,
        top_k: int,
        seed: int,
    ) -> list[list[str]]:
        """See `audit.target.Target`."""
        self.pause()
        return self.model.generate(
            list(prompts),
            samples=samples,
            max_tokens=max_tokens,
            min_tokens=min(MIN_TOKENS, max_tokens),
            temperature=temperature,
            top_k=top_k,
            seed=seed,
        )

    def layer_candidates(self, prompts: Sequence[str], *, k: int, layers: int, by: By) -> list[list[str]]:
        """See `audit.attacks.layers.WhiteBox`."""
        from larimar.layers import memory_candidates

        self.pause()
        return memory_candidates(self.model, prompts, k=k, layers=layers, by=by)

    def first_token(self, answer: str) -> str:
        """See `audit.attacks.layers.WhiteBox`."""
        from larimar.layers import first_token

        return first_token(self.model.weights.base, answer)

    def state_blobs(self) -> Iterator[tuple[str, bytes]]:
        """The bank's memory, entries and index as bytes, then the files."""
        from larimar.traces import state_blobs

        yield from state_blobs(self.model, self.fact_ids)
        for path in self.files:
            yield from _pieces(path)

    def traces(self, fact: AuditFact) -> Mapping[str, Sequence[bytes]]:
        """See `audit.attacks.scan.Keeper`: token ids, codes and embeddings that this model makes of a fact."""
        from larimar.traces import traces

        return traces(
            self.model, fact.prompt, fact.answers[0], [n for n in (fact.subject, *fact.aliases) if n]
        )


@dataclass(frozen=True)
class DecoderTarget:
    """A bare causal LM: a directory or a Hugging Face id (`larimar.weights.load_decoder`)."""

    name: str
    decoder: Decoder

    @classmethod
    def load(cls, spec: str, device: str = "cpu") -> DecoderTarget:
        """The LM of `spec`. Raises WeightsUnavailable when it is neither here nor reachable."""
        from larimar.decoding import Decoder
        from larimar.weights import load_decoder

        return cls(f"causal LM {spec}", Decoder(*load_decoder(spec, device=device)))

    @property
    def batch(self) -> int:
        """See `audit.target.Target`."""
        return _batch(self.decoder)

    def sample(
        self,
        prompts: Sequence[str],
        *,
        samples: int,
        max_tokens: int,
        temperature: float,
        top_k: int,
        seed: int,
    ) -> list[list[str]]:
        """See `audit.target.Target`."""
        from larimar.decoding import Sampling

        drawn = Sampling(
            samples=samples, max_tokens=max_tokens, min_tokens=min(MIN_TOKENS, max_tokens),
            temperature=temperature, top_k=top_k, seed=seed,
        )  # fmt: skip
        return self.decoder.generate([self.decoder.query(p.strip()) for p in prompts], drawn)

    def layer_candidates(self, prompts: Sequence[str], *, k: int, layers: int, by: By) -> list[list[str]]:
        """See `audit.attacks.layers.WhiteBox`."""
        from larimar.layers import candidates

        queries = [self.decoder.query(prompt.strip()) for prompt in prompts]
        return [candidates(self.decoder, query, k=k, layers=layers, by=by) for query in queries]

    def first_token(self, answer: str) -> str:
        """See `audit.attacks.layers.WhiteBox`."""
        from larimar.layers import first_token

        return first_token(self.decoder, answer)


def _batch(decoder: Decoder) -> int:
    """How many prompts to ask side by side on the decoder's device."""
    return GPU_BATCH if decoder.device.type == "cuda" else BATCH


def _pieces(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file in overlapping pieces, so that nothing hides on a seam."""
    with path.open("rb") as file:
        tail = b""
        while piece := file.read(_PIECE):
            yield path.name, tail + piece
            tail = piece[-_OVERLAP:]
