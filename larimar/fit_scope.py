"""Fit the scope detector's classifiers: `python -m larimar.fit_scope --counterfact full.json core.json ...`.

Pairs of a stored prompt and a query, labelled by whether the query asks for the stored fact. Positives are
rephrasings; negatives are the same question about somebody else and another question about the same subject.
CounterFact records below `--first-case` are what benchmarks score and are never read. Half of the records
fit the weights, the other half choose the threshold and give the rates that are printed and stored.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from larimar.corpus import named_templates, sentences
from larimar.scope import (
    FEATURES,
    Embedder,
    mask_names,
    name_features,
    quadratic,
    sentences_of,
    word_features,
)
from larimar.weights import DEFAULT_SENTENCE_ENCODER, load_sentence_encoder


@dataclass(frozen=True)
class Pair:
    """A stored prompt, a query, and whether the query asks for the stored fact."""

    kind: str
    """`rephrasing`, `neighbour` (other subject), `relation` (same subject, other question)"""
    stored: str
    names: tuple[str, ...]
    query: str

    @property
    def label(self) -> int:
        """1 for a rephrasing."""
        return int(self.kind == "rephrasing")


def counterfact_pairs(full: Path, core: Path, first_case: int, most: int, rng: random.Random) -> list[Pair]:
    """Paraphrases, neighbours, and same-subject prompts of another relation, from case `first_case` on."""
    records = [r for r in json.loads(full.read_text()) if r["case_id"] >= first_case]
    pairs = []
    for record in rng.sample(records, min(most, len(records))):
        rewrite = record["requested_rewrite"]
        stored, names = rewrite["prompt"].format(rewrite["subject"]), (rewrite["subject"],)
        pairs += [Pair("rephrasing", stored, names, q) for q in record["paraphrase_prompts"]]
        pairs += [Pair("neighbour", stored, names, q) for q in rng.sample(record["neighborhood_prompts"], 3)]
    by_subject: dict[str, dict[str, str]] = defaultdict(dict)
    for record in json.loads(core.read_text()):
        if record["case_id"] >= first_case:
            rewrite = record["requested_rewrite"]
            prompt = rewrite["prompt"].format(rewrite["subject"])
            by_subject[rewrite["subject"]][rewrite["relation_id"]] = prompt
    several = [(s, list(p.values())) for s, p in sorted(by_subject.items()) if len(p) > 1]
    pairs += [Pair("relation", a, (s,), b) for s, prompts in several[:most] for a, b in pairwise(prompts)]
    return pairs


def question_pairs(path: Path, rng: random.Random) -> list[Pair]:
    """Question and rephrasing; the same question with another record's subject."""
    records = [r for r in json.loads(path.read_text()) if r["subject"] in r["src"]]
    pairs = []
    for record, other in zip(records, rng.sample(records, len(records)), strict=True):
        names = (record["subject"],)
        pairs.append(Pair("rephrasing", record["src"], names, record["rephrase"]))
        if record["subject"] != other["subject"]:
            swapped = record["rephrase"].replace(record["subject"], other["subject"])
            if swapped != record["rephrase"]:
                pairs.append(Pair("neighbour", record["src"], names, swapped))
    return pairs


def template_pairs(templates: Path, texts: Path, count: int, rng: random.Random) -> list[Pair]:
    """From question templates by property: rephrasings, other names, and other properties of the same name."""
    groups, names, ask = named_templates(templates, sentences(texts))
    pairs = []
    for _ in range(count):
        group, other = rng.sample(groups, 2)
        name, stranger = rng.sample(names, 2)
        first, second = rng.sample(group, 2)
        stored = ask(first, name)
        pairs.append(Pair("rephrasing", stored, (name,), ask(second, name)))
        pairs.append(Pair("neighbour", stored, (name,), ask(second, stranger)))
        pairs.append(Pair("relation", stored, (name,), ask(rng.choice(other), name)))
    return pairs


def features_of(pairs: list[Pair], embedder: Embedder) -> NDArray[np.float64]:
    """(N, features) of pairs, as the detector computes them."""
    pieces = [sentences_of(pair.query) for pair in pairs]
    texts = {t for p, group in zip(pairs, pieces, strict=True) for t in (p.stored, *group)}
    texts |= {
        mask_names(t, p.names) for p, group in zip(pairs, pieces, strict=True) for t in (p.stored, *group)
    }
    ordered = sorted(texts)
    vector = dict(zip(ordered, embedder.embed(ordered), strict=True))

    def row(pair: Pair, group: list[str]) -> tuple[float, ...]:
        texts, stored = [mask_names(t, pair.names) for t in group], mask_names(pair.stored, pair.names)
        plain = max(float(vector[pair.stored] @ vector[t]) for t in group)
        masked = max(float(vector[stored] @ vector[t]) for t in texts)
        return plain, masked, *name_features(pair.query, pair.names), *word_features(texts, [stored])

    return np.array([row(pair, group) for pair, group in zip(pairs, pieces, strict=True)])


def fit(x: NDArray[np.float64], pairs: list[Pair], columns: list[int], missed: float) -> dict[str, Any]:
    """Weights from the even pairs, every kind weighing the same; threshold and rates from the odd ones.

    The threshold is the one that misses a share `missed` of the rephrasings.
    """
    labels = np.array([pair.label for pair in pairs])
    kinds = np.array([pair.kind for pair in pairs])
    even = np.arange(len(pairs)) % 2 == 0
    share = {"rephrasing": 2.0, "neighbour": 1.0, "relation": 1.0}
    weight = np.array([share[kind] / np.sum(kinds == kind) for kind in kinds]) * len(pairs) / 4
    expanded = np.array([quadratic(list(row[columns])) for row in x])
    centre, spread = expanded[even].mean(axis=0), expanded[even].std(axis=0)
    model = LogisticRegression(C=1.0, max_iter=5000)
    model.fit((expanded[even] - centre) / spread, labels[even], sample_weight=weight[even])
    weights = model.coef_[0] / spread
    bias = float(model.intercept_[0] - weights @ centre)
    scores, kinds = 1 / (1 + np.exp(-(expanded[~even] @ weights + bias))), kinds[~even]
    threshold = float(np.quantile(scores[kinds == "rephrasing"], missed))
    accepted = {k: round(float((scores[kinds == k] >= threshold).mean()), 4) for k in sorted(share)}
    return {
        "features": [FEATURES[c] for c in columns],
        "weights": [round(float(w), 5) for w in weights],
        "bias": round(bias, 5),
        "threshold": round(threshold, 5),
        "accepted": accepted,
        "pairs": {k: int((kinds == k).sum()) for k in sorted(share)},
    }


def main() -> None:
    """Build pairs, fit both classifiers, print and write them."""
    parser = argparse.ArgumentParser(prog="python -m larimar.fit_scope", description=__doc__.split("\n")[0])
    parser.add_argument("--counterfact", type=Path, nargs=2, required=True, help="full.json and core.json")
    parser.add_argument("--first-case", type=int, default=2000, help="benchmarks score the cases below")
    parser.add_argument("--questions", type=Path, required=True, help="ZsRE train records")
    parser.add_argument("--templates", type=Path, required=True, help="question templates by property")
    parser.add_argument("--text", type=Path, required=True, help="text to take names from")
    parser.add_argument("--records", type=int, default=800)
    parser.add_argument("--missed", type=float, default=0.05, help="rephrasings that the threshold misses")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rng = random.Random(0)
    full, core = arguments.counterfact
    pairs = counterfact_pairs(full, core, arguments.first_case, arguments.records, rng)
    pairs += question_pairs(arguments.questions, rng)
    pairs += template_pairs(arguments.templates, arguments.text, arguments.records, rng)
    rng.shuffle(pairs)
    x = features_of(pairs, Embedder(load_sentence_encoder(DEFAULT_SENTENCE_ENCODER)))
    everything = list(range(len(FEATURES)))
    fitted = {
        "with_subject": fit(x, pairs, everything, arguments.missed),
        "without_subject": fit(x, pairs, [0], arguments.missed),
    }
    print(json.dumps(fitted, indent=2))
    arguments.out.write_text(json.dumps(fitted, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
