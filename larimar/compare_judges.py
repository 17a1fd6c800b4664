"""Judges side by side on relations that none was trained on: `python -m larimar.compare_judges FILE ...`.

Among judges of several runs and their means (`mean_judges`) one has to be chosen, and not by what a benchmark says.
Free wordings of held-out relations, beside the relation's other phrasings, are what should be taken; near misses,
other relations and what templates confuse, about the same subject, are what should not.
Prints the equal error rates as a table.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from larimar.errors import LarimarError
from larimar.judge import Judge
from larimar.names import MASK
from larimar.relations import PERSONAL, Relation, add_wordings, alike, from_templates, held_out, told_apart
from larimar.weights import DEFAULT_SENTENCE_ENCODER, load_sentence_encoder

Texts = list[tuple[str, str]]
"""Stored prompts and queries, both with the subject's name masked."""
_SAME = "wordings"


def equal_error_rate(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Per cent; the mean of both error rates where they are nearest to each other."""
    false_accept, true_accept, _ = roc_curve(labels, scores)
    missed = 1 - true_accept
    at = int(np.argmin(np.abs(missed - false_accept)))
    return round(50 * float(missed[at] + false_accept[at]), 2)


def held_out_pairs(
    relations: dict[str, Relation], each: int, rng: random.Random
) -> dict[str, dict[str, Texts]]:
    """Pairs by where the stored prompt's relation is from and by kind, up to `each` of a kind per relation."""
    held = held_out(relations)
    pairs: dict[str, dict[str, Texts]] = {"templates": defaultdict(list), "private": defaultdict(list)}
    for key in sorted(held):
        own = relations[key]
        made = pairs["private" if key.startswith(PERSONAL) else "templates"]
        others = [relations[k] for k in sorted(held) if not alike(own, relations[k])]
        confused = [r for r in relations.values() if alike(own, r) and told_apart(own, r)]
        for _ in range(each if own.wordings else 0):
            for kind, query in _queries(own, others, confused, rng):
                stored = rng.choice(own.wordings if kind == "told apart" else own.phrasings)
                if stored != query:
                    made[kind].append((stored.replace("{}", MASK), query.replace("{}", MASK)))
    return pairs


def _queries(
    own: Relation, others: list[Relation], confused: list[Relation], rng: random.Random
) -> Iterator[tuple[str, str]]:
    """One query of every kind that the relation has."""
    yield _SAME, rng.choice(own.wordings)
    if own.near:
        yield "near misses", rng.choice(own.near)
    if others:
        yield "other relations", rng.choice(rng.choice(others).phrasings)
    if confused:
        yield "told apart", rng.choice(rng.choice(confused).wordings)


def rates(judge: Judge, pairs: dict[str, dict[str, Texts]]) -> dict[str, float]:
    """Equal error rate in per cent of the wordings against every kind, by «from: kind»."""
    found = {}
    for place, kinds in pairs.items():
        good = judge.logits(kinds[_SAME])
        for kind in sorted(kinds.keys() - {_SAME}):
            bad = judge.logits(kinds[kind])
            labels = np.repeat([True, False], [len(good), len(bad)])
            found[f"{place}: {kind}"] = equal_error_rate(labels, np.concatenate([good, bad]))
    return found


def table(rows: dict[str, dict[str, float]]) -> str:
    """Markdown, a judge a line."""
    names = list(next(iter(rows.values())))
    lines = ["| judge | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    return "\n".join(
        lines + [f"| {k} | " + " | ".join(f"{r[n]:.1f}" for n in names) + " |" for k, r in rows.items()]
    )


def main() -> None:
    """Read the judges and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m larimar.compare_judges", description=__doc__.split("\n")[0]
    )
    parser.add_argument("judges", type=Path, nargs="*", help="beside the shipped one")
    parser.add_argument("--templates", type=Path, required=True, help="question templates by property")
    parser.add_argument("--each", type=int, default=40, help="pairs of a kind per relation")
    asked = parser.parse_args()
    relations = from_templates(asked.templates)
    add_wordings(relations)
    pairs = held_out_pairs(relations, asked.each, random.Random(0))
    encoder = load_sentence_encoder(DEFAULT_SENTENCE_ENCODER)
    try:
        judges = {"shipped": Judge.load(encoder)} | {str(p): Judge.load(encoder, p) for p in asked.judges}
    except LarimarError as error:
        raise SystemExit(str(error)) from error
    print(table({name: rates(judge, pairs) for name, judge in judges.items()}))


if __name__ == "__main__":
    main()
