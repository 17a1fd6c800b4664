"""`Larimar`: write, forget and censor facts, and generate with or without the memory (paper, Figure 1).

A prompt goes to the scope detector. Out of scope it goes to the base decoder, which nothing here ever
changes. In scope, the memory is read at the key of the nearest fact and the readout conditions the reader;
if that fact is a tombstone, the answer is the readout's own text and nothing else can be said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from larimar import checkpoint as checkpoints
from larimar.bank import Bank
from larimar.decoding import Sampling
from larimar.entry import Entry
from larimar.errors import InvalidInput, UnknownFact
from larimar.given import require_texts
from larimar.index import Stored, widened
from larimar.marks import marks_of
from larimar.names import named
from larimar.output_check import Completion, Sentence, Tombstones, checked
from larimar.precision import present
from larimar.reader import Condition
from larimar.scope import DetectorName
from larimar.serving import BaseDecoder, Route, Weights
from larimar.text import TOMBSTONE, Fact, open_ended, spaced, statement

TombstoneDecoding = Literal["constrained", "free"]


class Larimar:
    """A language model with an episodic memory that can be written and unwritten."""

    name = "guarded Larimar"

    def __init__(
        self,
        weights: Weights,
        bank: Bank,
        tombstone_decoding: TombstoneDecoding = "constrained",
        *,
        output_check: bool = True,
    ) -> None:
        """Use `load`; this constructor shares weights between models.

        `output_check`: what is generated is looked at too, and cut where it tells what a tombstone censors.
        """
        self.weights, self.bank, self.tombstone_decoding = weights, bank, tombstone_decoding
        self.output_check, self._tombstones = output_check, Tombstones()
        self.base = BaseDecoder(weights.base)

    @classmethod
    def load(
        cls, checkpoint: str | Path | None = None, device: str = "auto", detector: DetectorName = "isd"
    ) -> Larimar:
        """The model of a checkpoint directory (None: the shipped one) with an empty bank.

        `device`: `cpu`, `cuda`, or `auto`. `detector`: the scope detector, `isd` or `esd`. Raises the checkpoint and
        weights errors of `larimar.errors`.
        """
        directory = Path(checkpoint) if checkpoint else checkpoints.default_directory()
        weights = Weights.load(directory, present(device), detector)
        return cls(weights, Bank(weights.config))

    def with_bank(self, entries: Iterable[Entry] = ()) -> Larimar:
        """The same weights over an own bank: a rebuild from a ledger, or a never-written twin."""
        bank = Bank(self.weights.config, entries)
        return Larimar(self.weights, bank, self.tombstone_decoding, output_check=self.output_check)

    def write(self, facts: Sequence[Fact]) -> list[Entry]:
        """Write facts (alpha = +1); returns their ledger entries. Raises DuplicateFact, FactTooLong."""
        return self._add(facts, "fact")

    def censor(self, facts: Sequence[Fact]) -> list[Entry]:
        """Write «prompt unknown.» for facts that the decoder itself knows (paper, section 5.4)."""
        return self._add(facts, "tombstone")

    def forget(self, fact_ids: Sequence[str]) -> None:
        """Take facts out (alpha = -1), exactly. Raises InvalidInput, UnknownFact; then nothing changed."""
        require_texts("fact_ids", fact_ids)
        self.bank.remove(fact_ids)
        self._tombstones.drop(fact_ids)

    def widen(self, fact_id: str, phrasings: Sequence[str]) -> Entry:
        """Add the phrasings that are new to a fact's scope; costs no memory row. Returns the new ledger entry.

        Raises UnknownFact, and InvalidInput for no phrasings or what is no list of texts.
        """
        old = self.bank.entries.get(fact_id)
        if old is None:
            raise UnknownFact("a fact with this id is not in the bank")
        require_texts("phrasings", phrasings)
        if not phrasings:
            raise InvalidInput("a scope is widened by at least one phrasing")
        more = self.weights.detector.store(fact_id, phrasings, old.scope.names)
        entry = replace(old, scope=widened(old.scope, more))
        self.bank.replace_scope(entry)
        return entry

    def digest(self, key: bytes = b"") -> str:
        """Keyed SHA-256 (hex) of the bank's state; equal if and only if the states are equal, bit for bit."""
        return self.bank.digest(key)

    def in_scope(self, prompts: Sequence[str]) -> list[str | None]:
        """The id of the fact that answers for each prompt, or None. Raises InvalidInput for no list of texts."""
        require_texts("prompts", prompts)
        hits = self.weights.detector.route(prompts, self.bank.index)
        return [None if hit is None else hit.fact_id for hit in hits]

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Cosine of the sentence embeddings of each pair of texts."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        rows = dict(zip(texts, self.weights.detector.embedder.embed(texts), strict=True))
        return [float(rows[first] @ rows[second]) for first, second in pairs]

    def routes(self, prompts: Sequence[str]) -> list[Route]:
        """What answers for each prompt."""
        return self._routes(prompts, self.in_scope(prompts))

    def reading(self, prompts: Sequence[str], fact_id: str) -> list[Route]:
        """The routes with the scope detector off: every prompt reads the memory at one fact's key."""
        require_texts("prompts", prompts)
        if fact_id not in self.bank.entries:
            raise UnknownFact("a fact with this id is not in the bank")
        return self._routes(prompts, [fact_id] * len(prompts))

    def generate(self, prompts: Sequence[str], **sampling: Any) -> list[list[str]]:
        """`samples` completions of each prompt; keywords are the fields of `Sampling`."""
        drawn = Sampling(**sampling)
        routes = self.routes(prompts)
        made = [[route.said or ""] * drawn.samples for route in routes]
        for decoder, at in self.weights.by_decoder(routes):
            for i, texts in zip(at, decoder.generate([routes[i].query for i in at], drawn), strict=True):
                made[i] = texts
        return self._checked(prompts, [r.fact_id for r in routes], made) if self.output_check else made

    def score(self, prompts: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Mean log-probability a token (nats) of each target after its prompt.

        A constrained tombstone gives its own text probability one and every other text zero.
        """
        return self.weights.score(self.routes(prompts), targets)

    def agrees_with_base(self, prompts: Sequence[str]) -> list[bool]:
        """Whether the next-token logits equal the base decoder's, bit for bit; in the same batches for both."""
        routes = self.routes(prompts)
        agreed = [False] * len(prompts)
        for decoder, at in self.weights.by_decoder(routes):
            own = decoder.next_logits([routes[i].query for i in at])
            base = self.base.next_logits([prompts[i] for i in at])
            for i, mine, others in zip(at, own, base, strict=True):
                agreed[i] = torch.equal(mine, others)
        return agreed

    def readout_answer(self, fact_id: str) -> str:
        """The answer part of what the memory returns at a fact's key, as text with its leading space.

        A pooled latent spells no tokens: a tombstone says its word, a fact is what the reader says greedily.
        Raises UnknownFact.
        """
        entry = self.bank.entries.get(fact_id)
        if entry is None:
            raise UnknownFact("a fact with this id is not in the bank")
        ids = self.weights.reader.spell(self._readout([fact_id])[0])
        if ids is not None:
            return self.weights.base.tokenizer.decode(ids[-entry.answer_tokens :])
        if entry.kind == "tombstone":
            return spaced(TOMBSTONE)
        [route] = self.reading([named(entry.scope.texts[0], entry.scope.names)], fact_id)
        return self.weights.reading.generate([route.query], Sampling(greedy=True))[0][0]

    def _readout(self, fact_ids: Sequence[str]) -> Tensor:
        """Slots (N, S, d) that the memory returns at facts' keys, on the decoder's device."""
        return self.bank.readout(fact_ids).to(self.weights.reader.log_sigma_w.device)

    def _is_constrained(self, fact_id: str) -> bool:
        """Whether only the readout's text may be said."""
        return self.tombstone_decoding == "constrained" and fact_id in self.bank.tombstones

    def _checked(
        self, prompts: Sequence[str], routes: list[str | None], made: list[list[str]]
    ) -> list[list[str]]:
        """Completions, cut where a sentence tells what a tombstone censors; one call of the detector."""
        self._tombstones.follow(self.bank.entries)
        tombstones = self._tombstones.names
        if not tombstones:
            return made
        words = self._tombstones.words()
        at = [i for i, route in enumerate(routes) if not (route and self._is_constrained(route))]

        def censored(texts: Sequence[str]) -> list[str | None]:
            hits = self.weights.detector.route(texts, self.bank.index, among=tombstones)
            return [None if hit is None else self.readout_answer(hit.fact_id) for hit in hits]

        def told(sentence: Sentence) -> str | None:
            found = self._tombstones.told(sentence)
            return None if found is None else self.readout_answer(found)

        asked = [Completion(prompts[i], out, routes[i] in tombstones) for i in at for out in made[i]]
        outputs = iter(checked(asked, words, censored, told))
        replaced = {i: [next(outputs) for _ in made[i]] for i in at}
        return [replaced.get(i, outputs_of) for i, outputs_of in enumerate(made)]

    def _add(self, facts: Sequence[Fact], kind: str) -> list[Entry]:
        """Put facts in the bank, their prompts embedded in one batch, and return their entries."""
        asked = [(fact.id, [fact.prompt], fact.names) for fact in facts]
        scopes = self.weights.detector.store_all(asked)
        entries = [self._entry(fact, kind, scope) for fact, scope in zip(facts, scopes, strict=True)]
        if entries:
            self.bank.add(entries)
        return entries

    def _entry(self, fact: Fact, kind: str, scope: Stored) -> Entry:
        """The ledger entry of a fact."""
        answer = TOMBSTONE if kind == "tombstone" else fact.answer
        value = self.weights.encode(statement(fact.prompt, answer))
        asked = len(self.weights.tokens(spaced(fact.prompt)))
        marks = marks_of(fact) if kind == "tombstone" else ()
        return Entry(fact.id, kind, value, max(1, len(value) - asked), scope, marks)

    def _routes(self, prompts: Sequence[str], fact_ids: Sequence[str | None]) -> list[Route]:
        """Routes of prompts to the facts that answer for them."""
        asked = [i for i in dict.fromkeys(fact_ids) if i is not None]
        said = {i: self.readout_answer(i) for i in asked if self._is_constrained(i)}
        conditions = self._conditions([i for i in asked if i not in said])

        def route(prompt: str, fact_id: str | None) -> Route:
            if fact_id is None:
                return Route(self.weights.base.query(prompt.strip()))
            query = self.weights.reading.query(spaced(open_ended(prompt)), conditions.get(fact_id))
            return Route(query, fact_id, said.get(fact_id))

        return [route(prompt, fact_id) for prompt, fact_id in zip(prompts, fact_ids, strict=True)]

    def _conditions(self, fact_ids: list[str]) -> dict[str, Condition]:
        """What the reader is told of facts: what the memory returns at their keys."""
        if not fact_ids:
            return {}
        slots, reader = self._readout(fact_ids), self.weights.reader
        with torch.inference_mode():
            made = reader.conditions(slots, reader.occupied(slots))
        return dict(zip(fact_ids, made, strict=True))
