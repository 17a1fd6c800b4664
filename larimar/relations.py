"""Relations and the many ways to ask for them, for training the judge of the scope detector.

A relation's phrasings, with «{}» for the subject, come from question templates by property and from the
prompts of CounterFact records that no benchmark scores. Statements are made of questions («what is the
capital of {}?» -> «The capital of {} is»), and labels of properties («capital») serve to nest questions.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_OF = re.compile(
    r"^(?:what|who|which)(?:'s| is| was| are| were)(?: the name of)? the ([a-z' -]{3,40}?) (?:of|for) \{\}\s*\?*$"
)
_BY = re.compile(r"^who ([a-z]+(?:ed|te|lt|nt|ew|unded)) \{\}\s*\?*$")
_WAS = re.compile(r"^(where|when|in which [a-z]+|in what [a-z]+) (was|is) \{\} ([a-z]+)\s*\?*$")
_DID = re.compile(
    r"^(where|when|in which [a-z]+|in what [a-z]+) did \{\} (die|live|work|study|perform|grow up|happen)\s*\?*$"
)
_WHICH = re.compile(
    r"^(?:what|which) (language|country|city|family|genre|position|religion|sport|league|company|instrument|party|"
    r"gender|team|club|continent|award|industry) (?:is|was|does|did|has) \{\} .*\?*$"
)
_PAST = {"die": "died", "live": "lived", "work": "worked", "study": "studied", "perform": "performed",
         "grow up": "grew up", "happen": "happened"}  # fmt: skip
_ALIKE = [
    {"P17", "P131", "P276", "P30", "P706", "P495", "P27", "P937", "P551", "P740", "P159", "P19", "P20", "-P150"},
    {"P103", "P1412", "P37", "P364", "P407", "P2936"}, {"P176", "P178", "P127", "P50", "P170", "P61", "P112"},
    {"P106", "P101", "P39", "P413"}, {"P449", "P264", "P750", "P127"}, {"P108", "P463", "P102", "P54", "P69"},
    {"P140", "P463"}, {"P140", "P172"}, {"P136", "P101", "P1303"}, {"P641", "P413", "P101"}, {"P138", "P61"},
]  # fmt: skip
_APART = [("P19", "P20"), ("P27", "P20"), ("P27", "P19"), ("P37", "P103"), ("P937", "P20"), ("P19", "P937"),
          ("P159", "P17"), ("P740", "P159"), ("P495", "P740"), ("P106", "P413"), ("P463", "P69"),
          ("P413", "P101"), ("P127", "P50")]  # fmt: skip


COUNTERFACT = frozenset(
    "P101 P103 P106 P108 P127 P1303 P131 P136 P138 P140 P1412 P159 P17 P176 P178 P19 P190 P20 P264 P27 P276 P30 "
    "P36 P364 P37 P39 P407 P413 P449 P463 P495 P641 P740 P937".split()
)
"""The relations of CounterFact."""


@dataclass
class Relation:
    """One relation."""

    id: str
    """Wikidata property; a leading minus asks for the subject of it"""
    phrasings: list[str] = field(default_factory=list)
    sources: list[list[str]] = field(default_factory=list)
    """phrasings that were written for the same kind of subject"""
    subjects: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    label: str = ""


def from_templates(path: Path) -> dict[str, Relation]:
    """Relations of a question template library, with statements made of the questions."""
    relations: dict[str, Relation] = {}
    for row in json.loads(path.read_text(encoding="utf-8")):
        prop = row["template_key"]["p"]
        relation = relations.setdefault(prop, Relation(prop))
        kept = [_filled(t["left"].strip(), t["right"].strip()) for t in row["templates"]]
        relation.sources.append(kept)
    for relation in relations.values():
        questions = list(dict.fromkeys(q for source in relation.sources for q in source))
        labels = Counter(m.group(1) for s in relation.sources for q in s if (m := _OF.match(q)))
        relation.label = labels.most_common(1)[0][0] if labels else ""
        relation.phrasings = questions + [s for q in questions for s in statements(q)]
    return {p: r for p, r in relations.items() if len(set(r.phrasings)) > 1}


def statements(question: str) -> list[str]:
    """Statements, cut before the answer, that ask what a question asks; often none."""
    if m := _OF.match(question):
        label = m.group(1)
        return [f"the {label} of {{}} is", f"the {label} of {{}}", f"{{}}'s {label} is", f"{{}} {label}",
                f"{{}}, whose {label} is", f"the {label} of {{}} was"]  # fmt: skip
    if m := _BY.match(question):
        verb = {"wrote": "written", "drew": "drawn"}.get(m.group(1), m.group(1))
        return [f"{{}} was {verb} by", f"{{}}, {verb} by"]
    if m := _WAS.match(question):
        small = "on" if m.group(1) == "when" else "in"
        return [f"{{}} {m.group(2)} {m.group(3)} {small}", f"{{}}, {m.group(3)} {small}"]
    if m := _DID.match(question):
        small = "on" if m.group(1) == "when" else "in"
        return [f"{{}} {_PAST[m.group(2)]} {small}"]
    if m := _WHICH.match(question):
        return [f"the {m.group(1)} of {{}} is", f"{{}}'s {m.group(1)}"]
    return []


def add_records(relations: dict[str, Relation], full: Path, core: Path, first_case: int) -> None:
    """Put CounterFact's phrasings, subjects and answers of cases from `first_case` on with their relations."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for record in json.loads(core.read_text(encoding="utf-8")):
        if record["case_id"] >= first_case:
            rewrite = record["requested_rewrite"]
            relation = relations.setdefault(rewrite["relation_id"], Relation(rewrite["relation_id"]))
            found[relation.id][rewrite["prompt"]] += 2
            relation.subjects.append(rewrite["subject"])
            relation.answers.append(rewrite["target_true"]["str"])
    for record in json.loads(full.read_text(encoding="utf-8")):
        if record["case_id"] >= first_case:
            rewrite = record["requested_rewrite"]
            found[rewrite["relation_id"]].update(_without(record["paraphrase_prompts"], rewrite["subject"]))
    for key, prompts in found.items():
        own = sorted(prompt for prompt, times in prompts.items() if times > 1)  # once: a distractor's rest
        relations[key].sources += [own] * 3
        relations[key].phrasings += own


def distractors(full: Path, first_case: int) -> list[str]:
    """The random sentences that stand before CounterFact's paraphrases."""
    kept = []
    for record in json.loads(full.read_text(encoding="utf-8")):
        if record["case_id"] >= first_case:
            for text in record["paraphrase_prompts"]:
                head, found, _ = text.partition(record["requested_rewrite"]["subject"])
                if found and ". " in head:
                    kept.append(head.rpartition(". ")[0].strip() + ".")
                elif found and "Category:" in head and not head.endswith((" of ", " in ", "In ", "is ")):
                    kept.append(head.strip())
    return kept


def held_out(relations: dict[str, Relation], count: int = 40) -> frozenset[str]:
    """Ids of template relations that the judge never trains on: they validate it and calibrate the detector."""
    plain = sorted(key for key, r in relations.items() if not key.startswith("-") and not COUNTERFACT & {key})
    return frozenset(random.Random(0).sample(plain, count))


def same_question(one: str, other: str) -> bool:
    """Whether wordings of two relations, by id, often ask the same («is located in», «performs»)."""
    pair = {one, other}
    return pair not in [set(p) for p in _APART] and any(pair <= group for group in _ALIKE)


def alike(one: Relation, other: Relation) -> bool:
    """Whether phrasings of the two may ask the same, so that they make no safe negative."""
    return same_question(one.id, other.id) or bool(set(one.phrasings) & set(other.phrasings))


def different(phrasing: str, relation: Relation, other: Relation, rng: random.Random) -> str | None:
    """A phrasing of another relation that this one does not have, or None."""
    own = set(relation.phrasings)
    choices = [p for p in other.phrasings if p not in own and p != phrasing]
    return rng.choice(choices) if choices else None


def _without(paraphrases: Iterable[str], subject: str) -> list[str]:
    """Paraphrases as phrasings, without the distractor sentence before."""
    kept = []
    for text in paraphrases:
        head, found, tail = text.rpartition(subject)
        if not found:
            continue
        before = re.split(r"[.!?\"\n)] +|\n", head)[-1]
        if len(before.split()) <= 6 and len(tail.split()) <= 8:
            kept.append(f"{before}{{}}{tail}".strip())
    return [p for p in kept if p.count("{") == 1]


def _filled(left: str, right: str) -> str:
    """A template as a phrasing in lower case."""
    right = re.sub(r"\s*\?(\s*\?)*$", "?", right)
    gap = "" if right[:1] in ("?", ".", ",", "'") or not right else " "
    text = f"{left} {{}}{gap}{right}".replace("{", "{").strip()
    return " ".join(text.replace("{{}}", "{}").split()).lower()
