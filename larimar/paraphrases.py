"""Pairs of texts that ask the same, for training the rephraser: the first is given, the second must be said.

A text is a question, an order, an open statement that ends where the answer goes, or a whole sentence. The
second text never holds an answer and always names the subject. Sources: question templates by property with
statements made of them, phrasings of records that no benchmark scores, question <-> rephrased-question records,
and sentence <-> split-sentence pairs.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from larimar.asking import orders
from larimar.corpus import HELD_OUT, detokenised
from larimar.errors import InvalidInput
from larimar.relations import Relation
from larimar.restate import open_statements

_T = TypeVar("_T")


@dataclass(frozen=True)
class Pair:
    """One training example: the given text, the same in other words, and the form of the latter."""

    given: str
    said: str
    form: str
    """`question`, `statement`, `order` or `sentence`"""


Source = Callable[[random.Random], Pair]
Forms = dict[str, list[str]]
"""Phrasings with «{}» for the subject, by their form."""


def form_of_template(phrasing: str) -> str:
    """The form of a phrasing with «{}»; what ends like a finished sentence is an order, as it leaves nothing open."""
    if phrasing.rstrip().endswith("?"):
        return "question"
    begun = re.match(r"(?:name|tell|state|give|say) ", phrasing, re.IGNORECASE)
    return "order" if begun or phrasing.rstrip().endswith((".", "!")) else "statement"


def groups_of(relation: Relation) -> list[Forms]:
    """A relation's phrasings in groups that ask the same, with statements and orders made of the questions."""
    made = []
    for source in relation.sources:
        forms: Forms = {"question": [], "statement": [], "order": []}
        for phrasing in dict.fromkeys(source):
            forms[form_of_template(phrasing)].append(phrasing)
            forms["statement"] += open_statements(phrasing)
            forms["order"] += orders(phrasing)
        kept = {form: list(dict.fromkeys(texts)) for form, texts in forms.items() if texts}
        if sum(map(len, kept.values())) > 1:
            made.append(kept)
    return made


def from_relations(relations: Sequence[Relation], names: list[str]) -> Source:
    """Two phrasings of one relation about one subject; a relation without subjects of its own takes a name.

    Relations with many groups are drawn more often, by the square root of their number.
    """
    stock = [(groups, relation.subjects) for relation in relations if (groups := groups_of(relation))]
    weights = [len(groups) ** 0.5 for groups, _ in stock]
    totals = [sum(weights[: end + 1]) for end in range(len(weights))]

    def draw(rng: random.Random) -> Pair:
        [(groups, subjects)] = rng.choices(stock, cum_weights=totals)
        given, said, form = _two(rng, rng.choice(groups))
        name = rng.choice(subjects if subjects and rng.random() < 0.8 else names)
        return Pair(filled(given, name), filled(said, name), form)

    return draw


def from_questions(path: Path, *, held_out: bool = False) -> Source:
    """Records with `subject`, `src`, `rephrase`, `answers`: either question, or a statement made of one.

    Records whose texts hold an answer or do not name the subject are left out. Raises InvalidInput where none is left.
    """
    records = _part(json.loads(path.read_text(encoding="utf-8")), held_out)
    stock = [(str(record["subject"]), forms) for record in records if (forms := _record(record))]
    if not stock:
        raise InvalidInput(_too_few(path, "question", held_out))

    def draw(rng: random.Random) -> Pair:
        name, forms = rng.choice(stock)
        given, said, form = _two(rng, forms)
        return Pair(filled(given, name), filled(said, name), form)

    return draw


def from_splits(path: Path, *, held_out: bool = False) -> Source:
    """Sentence, tab, the same in two sentences: both ways, where each has 80 % of the other's words.

    Raises InvalidInput where there is none.
    """
    stock = []
    for line in path.read_text(encoding="utf-8").splitlines():
        whole, _, parts = (detokenised(part) for part in line.partition("\t"))
        split = " ".join(parts.replace("<::::>", " ").split())
        if (
            whole
            and split
            and len(whole.split()) <= 30
            and min(_known(whole, split), _known(split, whole)) >= 0.8
        ):
            stock.append((whole, split))
    stock = _part(stock, held_out)
    if not stock:
        raise InvalidInput(_too_few(path, "sentence", held_out))

    def draw(rng: random.Random) -> Pair:
        given, said = rng.sample(rng.choice(stock), 2)
        return Pair(given, said, "sentence")

    return draw


def _part(rows: list[_T], held_out: bool) -> list[_T]:
    """The last rows, which validate, or those before them, which are trained on."""
    return rows[-HELD_OUT:] if held_out else rows[:-HELD_OUT]


def _too_few(path: Path, what: str, held_out: bool) -> str:
    """What is wrong with a file of which nothing is left."""
    place = (
        f"among the last {HELD_OUT}, which validate"
        if held_out
        else f"before the last {HELD_OUT}, which validate"
    )
    return f"{path} holds no {what} that can be used {place}"


def mixed_sources(parts: Sequence[tuple[float, Source]]) -> Source:
    """Draws from weighted sources."""
    weights = [weight for weight, _ in parts]

    def draw(rng: random.Random) -> Pair:
        [(_, source)] = rng.choices(parts, weights)
        return source(rng)

    return draw


def filled(phrasing: str, name: str) -> str:
    """A phrasing about somebody, with a capital letter and single spaces."""
    text = " ".join(phrasing.replace("{}", name).split())
    return text[:1].upper() + text[1:]


def _two(rng: random.Random, forms: Forms) -> tuple[str, str, str]:
    """A given phrasing and another one in a form drawn by chance, preferring other words."""
    drawn = [form for form in forms for _ in range({"order": 1}.get(form, 3))]
    form = rng.choice(drawn)
    given = rng.choice(forms[rng.choice(drawn)])
    others = [text for text in forms[form] if text != given]
    if not others:
        return _two(rng, forms)
    few = rng.sample(others, min(3 if rng.random() < 0.5 else 1, len(others)))
    return given, min(few, key=lambda text: _known(text, given)), form


def _record(record: dict[str, object]) -> Forms:
    """The phrasings of a question record; none where they cannot be used."""
    name, asked = str(record["subject"]), [str(record["src"]), str(record["rephrase"])]
    told = [str(answer) for answer in record["answers"]]  # type: ignore[attr-defined]
    if any(name not in text for text in asked) or any(
        a and a.lower() in t.lower() for a in told for t in asked
    ):
        return {}
    questions = [text.replace(name, "{}", 1) for text in asked]
    made = [s for q in questions for s in open_statements(q.lower())]
    forms = {"question": list(dict.fromkeys(questions)), "statement": list(dict.fromkeys(made))}
    kept = {form: texts for form, texts in forms.items() if texts}
    return kept if sum(map(len, kept.values())) > 1 else {}


def _known(text: str, other: str) -> float:
    """How many of a text's words are in another, as a share."""
    there = set(other.lower().split())
    words = text.lower().split()
    return sum(word in there for word in words) / max(1, len(words))
