"""Batched decoding: prompts in, completions, next-token logits or scores out.

One class serves the base decoder and the reader; the reader's prompts carry a prefix of soft slots. Nothing is
computed twice in one call: the key/value cache of a prefix is shared by the prompts that ask the same fact, the
cache of a prompt by all of its samples and targets, and sequences that have ended leave the batch. Batches are
planned by length, and every batch draws from its own seeded generator, so a call gives the same samples each
time. No cache outlives its call: what a fact left there would have to be forgotten with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from larimar.errors import InvalidInput
from larimar.prefix import extra_pair
from larimar.reader import Condition, Packed, conditioned, pack

_SEQUENCES = 256
"""Sequences decoded side by side."""
_SEEDS = 2**43
"""Seeds below it, times a million, fit into the 64 bits of a generator."""
_SCORED = 64
"""Prompts scored side by side."""


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn."""

    samples: int = 1
    max_tokens: int = 10
    min_tokens: int = 0
    """the end token is not drawn before: an attack wants words, not silence"""
    temperature: float = 1.0
    top_k: int = 50
    seed: int = 0
    greedy: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that nothing could be drawn with. Raises InvalidInput."""
        for name, least in (("samples", 1), ("max_tokens", 0), ("min_tokens", 0), ("top_k", 0)):
            if not getattr(self, name) >= least:
                raise InvalidInput(f"{name} must be at least {least}")
        if not 0 <= self.temperature < float("inf"):
            raise InvalidInput("temperature must be a finite number of at least 0; 0 draws greedily")
        if not -_SEEDS < self.seed < _SEEDS:
            raise InvalidInput(f"seed must be between -{_SEEDS} and {_SEEDS}")


@dataclass(frozen=True)
class Query:
    """What one prompt looks like to the decoder."""

    tokens: list[int]
    condition: Condition | None = None
    """what the memory returned, for the reader; the same object for prompts of one fact"""

    @property
    def prefix(self) -> Tensor | None:
        """Embeddings (t, hidden) before the tokens."""
        return None if self.condition is None else self.condition.prefix

    @property
    def length(self) -> int:
        """Positions that it takes."""
        return len(self.tokens) + (0 if self.prefix is None else len(self.prefix))

    @property
    def key(self) -> Hashable:
        """Equal for queries that are the same input."""
        return tuple(self.tokens), id(self.condition)


@dataclass(frozen=True)
class Forced:
    """A target text behind its query, token by token, each given those before it."""

    log_probabilities: tuple[float, ...]
    """nats"""
    greedy: tuple[bool, ...]
    """whether the token is the most probable one"""

    @property
    def mean(self) -> float:
        """Mean log-probability a token."""
        return sum(self.log_probabilities) / len(self.log_probabilities)

    @property
    def accuracy(self) -> float:
        """Share of the tokens that greedy decoding would have chosen."""
        return sum(self.greedy) / len(self.greedy)


@dataclass
class _Begun:
    """Sequences that the decoder has read so far."""

    last: Tensor
    """hidden state (N, hidden) of the last position"""
    mask: Tensor
    """(N, T) int64, 1 where there is input"""
    cache: Any
    added: Tensor | None = None
    """(N, hidden): to be added to every further embedding"""

    def select(self, rows: Tensor) -> None:
        """Keep, reorder or repeat sequences by their indices."""
        self.cache.batch_select_indices(rows)
        self.last, self.mask = self.last[rows], self.mask[rows]
        self.added = None if self.added is None else self.added[rows]


class Decoder:
    """Sampling and scoring on one causal LM."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        """`model` in evaluation mode."""
        self.model, self.tokenizer = model, tokenizer
        self._embedding = model.get_input_embeddings()
        self._start = list(tokenizer("").input_ids)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._embedding.weight.device

    def query(self, text: str, condition: Condition | None = None) -> Query:
        """Token ids of a prompt, after the tokenizer's own start token if it has one and no prefix holds it."""
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        if condition is None or condition.prefix is None:
            ids = [*self._start, *ids]
        return Query(ids or [self.tokenizer.eos_token_id], condition)

    @torch.inference_mode()
    def generate(self, queries: Sequence[Query], sampling: Sampling) -> list[list[str]]:
        """`sampling.samples` completions for each query, without the prompt."""
        copies = 1 if sampling.greedy else sampling.samples
        results: list[list[str]] = [[] for _ in queries]
        for number, rows in enumerate(_batches(queries, max(1, _SEQUENCES // copies))):
            noise = torch.Generator().manual_seed(sampling.seed * 1_000_003 + number)
            begun = self._read([queries[i] for i in rows])
            if copies > 1:
                begun.select(torch.arange(len(rows), device=begun.last.device).repeat_interleave(copies))
            texts = self.tokenizer.batch_decode(self._draw(begun, sampling, noise), skip_special_tokens=True)
            for place, i in enumerate(rows):
                results[i] = texts[place * copies : (place + 1) * copies] * (sampling.samples // copies)
        return results

    @torch.inference_mode()
    def next_logits(self, queries: Sequence[Query]) -> Tensor:
        """Logits (N, V) of the first token after each query; equal lists are read in equal batches."""
        batches = list(_batches(queries, _SCORED))
        found = [self._logits(self._embedding.weight[:0])]  # no query, no logits: (0, V)
        found += [self._logits(self._read([queries[i] for i in rows]).last) for rows in batches]
        places = torch.tensor([i for rows in batches for i in rows], dtype=torch.int64)
        return torch.cat(found)[places.argsort()]

    def log_likelihoods(self, queries: Sequence[Query], targets: Sequence[str]) -> list[float]:
        """Mean log-probability a token (nats) of each target text after its query."""
        return [forced.mean for forced in self.force(queries, targets)]

    @torch.inference_mode()
    def force(self, queries: Sequence[Query], targets: Sequence[str]) -> list[Forced]:
        """Each target text behind its query; as many as queries.

        Equal queries are read once, however many targets they have; equal pairs are scored once.
        """
        ids = [tuple(self.tokenizer(t, add_special_tokens=False).input_ids) for t in targets]
        asked: dict[Hashable, set[tuple[int, ...]]] = defaultdict(set)
        for query, target in zip(queries, ids, strict=True):
            asked[query.key].add(target)
        distinct = list({query.key: query for query in queries}.values())
        found: dict[tuple[Hashable, tuple[int, ...]], Forced] = {}
        for rows in _batches(distinct, _SCORED):
            batch = [distinct[row] for row in rows]
            pairs = [(place, t) for place, query in enumerate(batch) for t in sorted(asked[query.key])]
            judged = self._force(self._read(batch), pairs)
            found |= {(batch[place].key, t): one for (place, t), one in zip(pairs, judged, strict=True)}
        return [found[query.key, target] for query, target in zip(queries, ids, strict=True)]

    def _force(self, begun: _Begun, pairs: list[tuple[int, tuple[int, ...]]]) -> list[Forced]:
        """Target ids after the sequences that the pairs name.

        The first token is judged by the sequence itself; only longer targets go through the decoder.
        """
        places = torch.tensor([place for place, _ in pairs], device=begun.last.device)
        firsts = [[target[0]] for _, target in pairs]
        judged = self._judge(self._logits(begun.last)[places], firsts)
        longer = [n for n, (_, target) in enumerate(pairs) if len(target) > 1]
        if longer:
            begun.select(places[longer])
            rests = [list(pairs[n][1][1:]) for n in longer]
            hidden = self._go_on(pack([self._embed(pairs[n][1][:-1]) for n in longer]), begun)
            wanted = torch.cat([row[-len(rest) :] for row, rest in zip(hidden, rests, strict=True)])
            for n, more in zip(longer, self._judge(self._logits(wanted), rests), strict=True):
                judged[n] = Forced(
                    judged[n].log_probabilities + more.log_probabilities, judged[n].greedy + more.greedy
                )
        return judged

    def _judge(self, logits: Tensor, targets: list[list[int]]) -> list[Forced]:
        """Targets whose tokens, in a row, belong to the rows of logits (n, V)."""
        labels = torch.tensor([token for target in targets for token in target], device=logits.device)
        told = -F.cross_entropy(logits.float(), labels, reduction="none")
        greedy = logits.argmax(dim=-1) == labels
        lengths = [len(target) for target in targets]
        parts = zip(told.split(lengths), greedy.split(lengths), strict=True)
        return [Forced(tuple(p.tolist()), tuple(g.tolist())) for p, g in parts]

    def _read(self, queries: list[Query]) -> _Begun:
        """Read whole queries; where prompts share prefixes, each prefix is read once."""
        prefixes = {id(q.prefix): q.prefix for q in queries if q.prefix is not None}
        if not prefixes or 2 * len(prefixes) > len(queries):
            rows = [conditioned(self._embed(q.tokens), q.condition) for q in queries]
            return self._begin(pack(rows, [q.condition for q in queries]))
        place = {key: n for n, key in enumerate(prefixes)}
        begun = self._begin(pack([p.to(self._embedding.weight.dtype) for p in prefixes.values()]))
        begun.select(torch.tensor([place[id(q.prefix)] for q in queries], device=begun.last.device))
        self._go_on(pack([self._embed(q.tokens) for q in queries]), begun)
        return begun

    def _embed(self, tokens: Sequence[int]) -> Tensor:
        """Embeddings (T, hidden) of tokens."""
        return self._embedding(torch.tensor(tokens, device=self._embedding.weight.device))

    def _begin(self, packed: Packed) -> _Begun:
        """Read a batch from the start."""
        cache = None if packed.past is None else extra_pair(packed.past, self.model.dtype)
        mask = packed.mask.new_ones(len(packed.mask), 0 if cache is None else 1)
        begun = _Begun(packed.embeddings[:, -1], mask, cache, packed.added)
        self._advance(packed, begun)
        return begun

    def _go_on(self, packed: Packed, begun: _Begun) -> Tensor:
        """Read further tokens' embeddings; returns their hidden states (N, T, hidden)."""
        if begun.added is not None:
            packed = replace(packed, embeddings=packed.embeddings + begun.added[:, None])
        return self._advance(packed, begun)

    def _advance(self, packed: Packed, begun: _Begun) -> Tensor:
        """One pass through the decoder; returns hidden states (N, T, hidden)."""
        begun.mask = torch.cat([begun.mask, packed.mask], dim=1)
        positions = (begun.mask.cumsum(dim=1) - 1).clamp_min(0)[:, -packed.mask.shape[1] :]
        out = self.model.base_model(
            inputs_embeds=packed.embeddings, attention_mask=begun.mask, position_ids=positions,
            past_key_values=begun.cache, use_cache=True,
        )  # fmt: skip
        begun.cache, begun.last = out.past_key_values, out.last_hidden_state[:, -1]
        return out.last_hidden_state

    def _logits(self, hidden: Tensor) -> Tensor:
        """Logits (n, V) of hidden states (n, hidden).

        Rows are given in two dimensions on purpose: for three, `matmul` copies the output embeddings once a
        sequence, which took nine tenths of the time.
        """
        return self.model.get_output_embeddings()(hidden.contiguous())

    def _draw(self, begun: _Begun, sampling: Sampling, noise: torch.Generator) -> Tensor:
        """Sampled token ids (N, max_tokens), padded with the end token.

        Any special token ends a text: they frame the turns of a chat, and no reader sees them.
        """
        end = self.tokenizer.eos_token_id
        ends = torch.tensor(sorted({end, *self.tokenizer.all_special_ids}), device=begun.last.device)
        count, device = len(begun.last), begun.last.device
        drawn = torch.full((count, sampling.max_tokens), end, dtype=torch.int64, device=device)
        at = torch.arange(count, device=device)
        running = torch.ones(count, dtype=torch.bool, device=device)
        for step in range(sampling.max_tokens):
            logits = self._logits(begun.last)
            if step < sampling.min_tokens:
                logits[:, ends] = -torch.inf
            picked = _pick(logits, sampling, noise)
            token = torch.where(running & ~torch.isin(picked, ends), picked, end)
            drawn[at, step] = token
            running &= token != end
            if step + 1 == sampling.max_tokens or not running.any():
                break
            if 2 * int(running.sum()) <= len(at):  # a smaller batch is worth the copy of its cache
                kept = running.nonzero().squeeze(1)
                begun.select(kept)
                at, token, running = at[kept], token[kept], running[kept]
            self._go_on(Packed(self._embedding(token)[:, None], begun.mask.new_ones(len(at), 1)), begun)
        return drawn


def _batches(queries: Sequence[Query], size: int) -> Iterator[list[int]]:
    """Indices of queries in batches of like length."""
    order = sorted(range(len(queries)), key=lambda i: (queries[i].length, i))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _pick(logits: Tensor, sampling: Sampling, noise: torch.Generator) -> Tensor:
    """One token id (N,) from each row: the arg max, or a sample of the top k at a temperature.

    The top k are taken in the decoder's own format: a float32 copy of all logits took longer than finding them.
    """
    if sampling.greedy or sampling.temperature == 0:
        return logits.float().argmax(dim=-1)
    top, ids = logits.topk(min(sampling.top_k or logits.shape[-1], logits.shape[-1]), dim=-1)
    weights = torch.softmax(top.float() / sampling.temperature, dim=-1).cpu()
    picked = torch.multinomial(weights, 1, generator=noise).to(ids.device)
    return ids.gather(1, picked).squeeze(1)
