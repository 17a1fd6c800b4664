"""Training examples from generic text: what is written to memory, what is asked, what must be answered.

Nothing here is an edit or a benchmark record. Four sources: any text file (spans of its sentences),
sentence <-> split-sentence pairs, question <-> rephrased-question pairs (the ZsRE *train* form), and question
templates by property. A share of all examples are tombstones: the answer in memory is «unknown».
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from larimar.asking import put
from larimar.errors import InvalidInput
from larimar.sentences import segmented
from larimar.text import TOMBSTONE, statement


@dataclass(frozen=True)
class Example:
    """One training example, three texts."""

    written: str
    """the statement in memory"""
    query: str
    """what the decoder is asked"""
    target: str
    """what it must go on with"""


HELD_OUT = 200
"""Last question records that no training sees: they validate (`larimar.validate`)."""
ORDERS = 0.35
"""Share of the questions that are put as orders, or politely."""
Source = Callable[[random.Random], Example]
Template = tuple[str, str]
"""the words of a question before and after the subject"""


def sentences(path: Path, shortest: int = 4, longest: int = 40) -> list[str]:
    """Sentences of `shortest` to `longest` words of a text file with one passage a line."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        for sentence in segmented(line.strip()):
            text = " ".join(sentence.split())
            if shortest <= len(text.split()) <= longest and text[-1:] in ".!?":
                kept.append(text)
    return kept


def spans(texts: list[str], least: float = 1 / 3) -> Source:
    """A random span of a sentence is asked (half of the time from its start), its continuation answered.

    `least`: share of the sentence that is asked at least; 0: as little as one word.
    """

    def draw(rng: random.Random) -> Example:
        text = rng.choice(texts)
        words = text.split()
        cut = rng.randint(max(1, int(least * len(words))), len(words) - 1)
        start = 0 if rng.random() < 0.5 else rng.randint(0, max(0, cut - 2))
        asked = " ".join(words[start:cut])
        if rng.random() < 0.2:
            return _tombstone(" ".join(words[:cut]), asked)
        return Example(text, asked, " ".join(words[cut:]))

    return draw


def split_pairs(path: Path) -> Source:
    """WikiSplit lines (sentence, tab, the same in two sentences): one is written, the other asked and answered.

    Halves that tell more than the whole (under 80 % of their words are in it) teach invention: they are left out.
    """
    pairs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        whole, _, parts = (detokenised(part) for part in line.partition("\t"))
        known = set(whole.lower().split())
        halves = [half.strip() for half in parts.split("<::::>")]
        halves = [h for h in halves if sum(w in known for w in h.lower().split()) >= 0.8 * len(h.split()) > 2]
        if halves and len(known) <= 32:
            pairs.append((whole, halves))
    if not pairs:
        raise InvalidInput(f"{path} holds no sentence beside halves of it (sentence, tab, half <::::> half)")

    def draw(rng: random.Random) -> Example:
        whole, halves = rng.choice(pairs)
        words = rng.choice(halves).split()
        cut = rng.randint(max(1, len(words) // 2), max(1, len(words) - 1))
        return Example(whole, " ".join(words[:cut]), " ".join(words[cut:]) or ".")

    return draw


def question_records(path: Path) -> list[dict[str, Any]]:
    """The records of a file that have answers; of one with many, the last `HELD_OUT` are left out."""
    records = json.loads(path.read_text(encoding="utf-8"))
    records = [r for r in (records[:-HELD_OUT] if len(records) > 2 * HELD_OUT else records) if r["answers"]]
    if not records:
        raise InvalidInput(f"{path} holds no question with an answer")
    return records


def question_pairs(path: Path) -> Source:
    """`question_records` with `src`, `rephrase` and `answers`: one question is written, it or the other is asked."""
    rows = [(r["src"], r["rephrase"], r["answers"][0], r.get("subject", "")) for r in question_records(path)]

    def draw(rng: random.Random) -> Example:
        src, rephrase, answer, subject = rng.choice(rows)
        asked = rephrase if rng.random() < 0.7 else src
        if subject and asked.count(subject) == 1 and rng.random() < ORDERS:
            asked = put(asked.replace(subject, "{}"), rng).replace("{}", subject)
        return _asked(rng, src, asked, answer)

    return draw


def template_pairs(path: Path, texts: list[str], answers: list[str]) -> Source:
    """Question templates by property, filled with names found in `texts`: asked in another template's words.

    Half of the time declarative forms of the same questions take part.
    """
    groups, names, ask = named_templates(path, texts)
    if not groups or not names:
        missing = "two templates that ask the same" if not groups else "names in the texts to put in"
        raise InvalidInput(f"{path} cannot be trained on without {missing}")
    declared = [(group + forms) for group in groups if (forms := declarative_forms(group))]

    def draw(rng: random.Random) -> Example:
        name, group = rng.choice(names), rng.choice(declared if declared and rng.random() < 0.5 else groups)
        first, second = (ask(template, "{}") for template in rng.sample(group, 2))
        if second.endswith("?") and rng.random() < ORDERS:
            second = put(second, rng)
        return _asked(rng, first.replace("{}", name), second.replace("{}", name), rng.choice(answers))

    return draw


def named_templates(
    path: Path, texts: list[str]
) -> tuple[list[list[Template]], list[str], Callable[[Template, str], str]]:
    """Groups of two or more templates that ask the same, names to put in, and how to put a name in."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    groups = [[(t["left"].strip(), t["right"].strip()) for t in row["templates"]] for row in rows]
    return [group for group in groups if len(group) > 1], names_in(texts), _question


def declarative_forms(group: list[Template]) -> list[Template]:
    """«What is the Y of X?» also as «The Y of X is» and «X's Y is», each once."""
    asked = (re.fullmatch(r"(?:what|which|who) (?:is|was|are|were) the (.+) of", left, re.IGNORECASE)
             for left, right in group if right == "?")  # fmt: skip
    things = dict.fromkeys(match.group(1) for match in asked if match)
    return [form for thing in things for form in ((f"the {thing} of", "is"), ("", f"'s {thing} is"))]


def mixture(sources: list[tuple[float, Source]], distractors: list[str], share: float = 0.4) -> Source:
    """Draws from weighted sources; a share of the queries follow an unrelated sentence."""
    weights = [weight for weight, _ in sources]

    def draw(rng: random.Random) -> Example:
        (_, source), *_ = rng.choices(sources, weights)
        example = source(rng)
        if rng.random() < share:
            other = rng.choice(distractors)
            return Example(example.written, f"{other} {example.query}", example.target)
        return example

    return draw


def detokenised(text: str) -> str:
    """Tokenised text (« , », « 's ») as people write it."""
    text = re.sub(r" ([,.;:!?)])| ('s\b|n't\b)", r"\1\2", " ".join(text.split()))
    return text.replace("( ", "(").replace("'' ", '"').replace(" ''", '"')


def _asked(rng: random.Random, written: str, asked: str, answer: str) -> Example:
    """A question example; one in three is a tombstone."""
    if rng.random() < 1 / 3:
        return _tombstone(written, asked)
    return Example(statement(written, answer), asked, f"{answer}.")


def _tombstone(prompt: str, asked: str) -> Example:
    """«prompt unknown.» is in memory, so the answer is «unknown.»."""
    return Example(statement(prompt, TOMBSTONE), asked, f"{TOMBSTONE}.")


def _question(template: Template, name: str) -> str:
    """A filled template with a capital letter."""
    left, right = template
    gap = "" if right[:1] in "?.,'" else " "
    text = f"{left} {name}{gap}{right}".strip()
    return text[:1].upper() + text[1:]


def names_in(texts: list[str]) -> list[str]:
    """Runs of two to four capitalised words inside sentences: stand-ins for subjects."""
    found = set()
    for text in texts:
        run: list[str] = []
        for word in text.split()[1:]:
            if word[:1].isupper() and word.isalpha():
                run.append(word)
                continue
            if 2 <= len(run) <= 4:
                found.add(" ".join(run))
            run = []
    return sorted(found)
