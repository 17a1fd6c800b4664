"""What the benchmarks of capacity share: CounterFact facts, memories filled beyond their limit, and recall.

Recall is what the reader says: its greedy continuation of the prompt, as many tokens as the answer has, equals the
answer. Nothing is compared in the space of latents.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from larimar import Fact, Larimar
from larimar.decoding import Query, Sampling
from larimar.encoder import CODE_BITS, thaw_codes
from larimar.joint import JointRead, read_jointly
from larimar.memory import VALUE_BITS, Memory, hashed_keys
from larimar.serving import Weights
from larimar.slots import SlotReader
from larimar.text import TOMBSTONE, spaced, statement

CORE = Path(__file__).parent / "data" / "counterfact_core.jsonl"
"""The rewrites of CounterFact's first 12,000 cases: case id, prompt, subject, new and true answer."""


@dataclass(frozen=True)
class Rewrite:
    """A fact with a counterfactual answer, and the true answer that it replaces."""

    fact: Fact
    true: str


def counterfact(count: int, path: Path = CORE) -> list[Rewrite]:
    """The first `count` cases with a prompt of their own; a prompt that comes again is left out."""
    found: dict[str, Rewrite] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        case, template, subject, new, true = json.loads(line)
        prompt = template.format(subject)
        found.setdefault(prompt.casefold(), Rewrite(Fact(f"case-{case}", prompt, new, subject), true))
        if len(found) == count:
            break
    return list(found.values())


class FullMemory:
    """One memory under any number of facts: the limit of 0.75 K is lifted, as the paper does in Figure 2."""

    def __init__(self, weights: Weights, facts: Sequence[Fact], rows: int | None = None) -> None:
        """Write `facts` to a new memory of `rows` rows (None: the model's own K)."""
        config = weights.config
        self.weights, self.facts, self.rows = weights, list(facts), rows or config.rows
        self.memory = Memory(self.rows, config.latent_dim, ridge=config.ridge)
        coded = [weights.encode(statement(fact.prompt, fact.answer)) for fact in facts]
        self.keys = hashed_keys([fact.id for fact in facts], self.rows)
        self.values = latents(weights, coded)
        self.lengths = torch.tensor([len(codes) for codes in coded])
        self.memory.write(self.keys, self.values)

    def single(self, keys: Tensor | None = None) -> Tensor:
        """Least-squares readouts (n, S, d) float32 at keys (n, K), or at every fact's; the paper's way."""
        return self.slots(self.memory.read(self.keys if keys is None else keys))

    def written(self) -> Tensor:
        """What a read without error returns for every fact: (N, S, d) float32."""
        return self.slots(self.values * 2.0**-VALUE_BITS)

    def joint(self) -> JointRead:
        """All facts at once (`larimar.joint`)."""
        return read_jointly(self.memory, self.keys, self.lengths, frozen_codes(self.weights))

    def without(self, at: int) -> FullMemory:
        """The memory after fact number `at` was forgotten (alpha = -1); this one stays as it is."""
        rest = object.__new__(FullMemory)
        kept = torch.arange(len(self.facts)) != at
        rest.weights, rest.rows = self.weights, self.rows
        rest.facts = [fact for i, fact in enumerate(self.facts) if i != at]
        rest.keys, rest.values, rest.lengths = self.keys[kept], self.values[kept], self.lengths[kept]
        rest.memory = self.memory.copy()
        rest.memory.forget(self.keys[at : at + 1], self.values[at : at + 1])
        return rest

    def slots(self, read: Tensor) -> Tensor:
        """Latents (n, C) as slots (n, S, d) float32."""
        return read.to(torch.float32).view(len(read), self.weights.config.slots, self.weights.config.slot_dim)


def latents(weights: Weights, coded: Sequence[Tensor]) -> Tensor:
    """Latents (N, C) int64 fixed point of codes (n_i, d) int16."""
    config = weights.config
    made = torch.zeros(len(coded), config.slots, config.slot_dim, dtype=torch.int64)
    for row, codes in zip(made, coded, strict=True):
        row[: len(codes)] = codes.to(torch.int64) << (VALUE_BITS - CODE_BITS)
    return made.flatten(1)


def tombstone(weights: Weights, fact: Fact) -> Tensor:
    """Codes (n, d) of «prompt unknown.»."""
    return weights.encode(statement(fact.prompt, TOMBSTONE))


def slots_of(weights: Weights, tokens: Tensor) -> Tensor:
    """Clean slots (N, S, d) float32 of token ids (N, S); empty ones are zero."""
    filled = (tokens >= 0)[..., None]
    return thaw_codes(frozen_codes(weights)[tokens.clamp_min(0)]) * filled


def frozen_codes(weights: Weights) -> Tensor:
    """The code book (V, d) int16. Raises TypeError for a model whose latents are not slots of codes."""
    if not isinstance(weights.reader, SlotReader) or weights.reader.frozen_codes is None:
        raise TypeError("this benchmark needs the slot encoder: a model of the preset «default»")
    return weights.reader.frozen_codes


def occupied(lengths: Tensor, slots: int) -> Tensor:
    """The first `lengths` (N,) of `slots` slots: (N, S) bool."""
    return torch.arange(slots) < lengths[:, None]


def reading_queries(weights: Weights, prompts: Sequence[str], slots: Tensor, filled: Tensor) -> list[Query]:
    """The reader's input for prompts whose memory readouts are `slots` (N, S, d) where `filled` (N, S)."""
    with torch.inference_mode():
        conditions = weights.reader.conditions(slots, filled)
    query = weights.reading.query
    return [query(spaced(prompt), c) for prompt, c in zip(prompts, conditions, strict=True)]


def recalled(weights: Weights, facts: Sequence[Fact], slots: Tensor, filled: Tensor) -> list[bool]:
    """Whether the reader's greedy answer to each fact's own prompt is the fact's answer."""
    queries = reading_queries(weights, [fact.prompt for fact in facts], slots, filled)
    said = greedy(weights, queries, [fact.answer for fact in facts])
    return [text == fact.answer.strip() for text, fact in zip(said, facts, strict=True)]


def greedy(weights: Weights, queries: Sequence[Query], answers: Sequence[str]) -> list[str]:
    """The reader's greedy continuation of each query, cut at as many tokens as the expected answer has."""
    said = [""] * len(queries)
    for sampling, at in _by_length(weights, answers):
        texts = weights.reading.generate([queries[i] for i in at], sampling)
        for i, text in zip(at, texts, strict=True):
            said[i] = text[0].strip()
    return said


def answered(model: Larimar, facts: Sequence[Fact]) -> list[bool]:
    """Whether the whole model, scope detector and all, answers each fact's prompt with the fact's answer."""
    said = [""] * len(facts)
    for sampling, at in _by_length(model.weights, [fact.answer for fact in facts]):
        for i, text in zip(
            at, model.generate([facts[i].prompt for i in at], **asdict(sampling)), strict=True
        ):
            said[i] = text[0].strip()
    return [text == fact.answer.strip() for text, fact in zip(said, facts, strict=True)]


def _by_length(weights: Weights, answers: Sequence[str]) -> list[tuple[Sampling, list[int]]]:
    """Indices of answers by their number of tokens, and the sampling that says so many greedily."""
    groups: dict[int, list[int]] = defaultdict(list)
    for i, answer in enumerate(answers):
        groups[len(weights.tokens(spaced(answer)))].append(i)
    return [(Sampling(greedy=True, max_tokens=length), at) for length, at in groups.items()]


def preferred(weights: Weights, rewrites: Sequence[Rewrite], slots: Tensor, filled: Tensor) -> list[bool]:
    """Edit success: the new answer is likelier a token than the true one, teacher-forced."""
    queries = reading_queries(weights, [r.fact.prompt for r in rewrites], slots, filled)
    targets = [spaced(r.fact.answer) for r in rewrites] + [spaced(r.true) for r in rewrites]
    scores = weights.reading.log_likelihoods(queries * 2, targets)
    return [new > true for new, true in zip(scores[: len(queries)], scores[len(queries) :], strict=True)]


def share(hits: Sequence[bool]) -> float:
    """Share of hits, rounded to four places."""
    return round(sum(hits) / len(hits), 4)
