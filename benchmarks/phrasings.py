"""Where the certification phrasings of `benchmarks.repair` come from; no repair has seen any of them.

templates     the certification set of the product, what repairs used left out
few-shot      the base decoder, asked by example (`audit.model_rephrase.ModelRephraser`)
counterfact   the data set's own paraphrases behind their distractor sentences
pararel       patterns of the same relation (Elazar et al. 2021), the strongest independent source
trained       a rephraser that was trained on paraphrase pairs (`larimar.rephraser`)
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path
from random import Random

from audit.attacks import RephraseAttack
from audit.facts import AuditFact
from audit.model_rephrase import ModelRephraser, TrainedRephraser
from audit.rephrase import Phrasing, TemplateRephraser
from audit.words import texts
from benchmarks.known import Known
from larimar import Larimar
from larimar.rephraser import Rephraser as Trained


@dataclass(frozen=True)
class Listed:
    """Phrasings that were written down before, by fact id; `shuffled` by seed and fact, or as they stand."""

    name: str
    texts: Mapping[str, Sequence[str]]
    shuffled: bool = True

    def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
        """See `audit.rephrase.Rephraser`."""
        found = list(self.texts.get(fact.id, ()))
        if self.shuffled:
            Random(f"{self.name}/{seed}/{fact.id}").shuffle(found)
        return [Phrasing(text, self.name) for text in islice(found, count)]

    def without(self, used: Collection[str]) -> Listed:
        """The same list without what was asked before, whatever its case and punctuation."""
        gone = {texts(text) for text in used}
        return Listed(
            self.name, {i: [t for t in lines if texts(t) not in gone] for i, lines in self.texts.items()}
        )


def attack_of(source: Listed, phrasings: int, samples: int) -> RephraseAttack:
    """The paper's attack with phrasings of one source alone; where it has too few, fewer are asked."""
    return RephraseAttack(source, phrasings=phrasings, samples=samples, fallback=source)


def templates(known: Sequence[Known], seed: int, most: int = 40) -> Listed:
    """The product's certification templates."""
    rephraser = TemplateRephraser("certify")
    return Listed(
        "templates",
        {row.fact.id: [p.text for p in rephraser.rephrase(row.fact, most, seed)] for row in known},
    )


def in_turn(sources: Sequence[Listed]) -> Listed:
    """All sources as one; each has its turn, so that a few phrasings already come from all."""
    ids = dict.fromkeys(fact_id for source in sources for fact_id in source.texts)
    mixed = {
        i: [t for t in chain.from_iterable(zip_longest(*(s.texts.get(i, ()) for s in sources))) if t]
        for i in ids
    }
    return Listed("all sources", mixed, shuffled=False)


def counterfact(known: Sequence[Known]) -> Listed:
    """CounterFact's own paraphrases, distractors kept."""
    return Listed("counterfact", {row.fact.id: row.paraphrases for row in known})


def pararel(known: Sequence[Known], directory: Path) -> Listed:
    """ParaRel's patterns that end in the answer, up to the answer, with the subject filled in."""
    leads = {path.stem: _leads(path) for path in sorted(directory.rglob("P*.jsonl"))}
    return Listed(
        "pararel",
        {
            row.fact.id: [lead.replace("[X]", row.fact.subject) for lead in leads.get(row.relation, ())]
            for row in known
        },
    )


def _leads(path: Path) -> list[str]:
    """What stands before the answer in the patterns of one relation that have the subject there."""
    patterns = [json.loads(line)["pattern"] for line in path.read_text(encoding="utf-8").splitlines() if line]
    leads = (pattern.partition("[Y]")[0].strip() for pattern in patterns)
    return list(dict.fromkeys(lead for lead in leads if "[X]" in lead))


def modelled(
    name: str, known: Sequence[Known], rephraser: ModelRephraser, *, count: int, seed: int
) -> Listed:
    """What a model makes of the prompts and its rephraser's filters keep, at most `count` a fact."""
    facts = [row.fact for row in known]
    rephraser.prepare(facts, count, seed)
    made = {fact.id: [p.text for p in rephraser.rephrase(fact, count, seed)] for fact in facts}
    return Listed(name, made)


def trained(directory: Path, known: Sequence[Known], model: Larimar, *, count: int, seed: int) -> Listed:
    """The rephraser of a checkpoint directory, with the filters that belong to it."""
    device = str(model.weights.reader.log_sigma_w.device)
    target = Trained.load(directory, device=device)
    return modelled("trained", known, TrainedRephraser(target, model.similarity), count=count, seed=seed)
