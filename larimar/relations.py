"""Relations and the many ways to ask for them, for training the judge of the scope detector.

A relation's phrasings, with «{}» for the subject, come from question templates by property, from the prompts of
CounterFact records that no benchmark scores, and from the shipped `data/wordings.json`. Statements are made of
questions («what is the capital of {}?» -> «The capital of {} is»), and labels of properties («capital») serve to
nest questions.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path

from larimar.restate import label, open_statements, statements

_ALIKE = [
    {"P17", "P131", "P276", "P30", "P706", "P495", "P27", "P937", "P551", "P740", "P159", "P19", "P20", "-P150"},
    {"P103", "P1412", "P37", "P364", "P407", "P2936"}, {"P176", "P178", "P127", "P50", "P170", "P61", "P112"},
    {"P106", "P101", "P39", "P413"}, {"P449", "P264", "P750", "P127"}, {"P108", "P463", "P102", "P54", "P69"},
    {"P140", "P463"}, {"P140", "P172"}, {"P136", "P101", "P1303"}, {"P641", "P413", "P101"}, {"P138", "P61"},
    {"personal-spouse", "P26", "-P26"}, {"personal-conviction", "P1399"}, {"personal-blood-type", "P1853"},
    {"personal-employer", "personal-previous-employer", "P108"}, {"personal-employer", "P937"},
    {"personal-sexual-orientation", "P91"}, {"personal-job-title", "P106", "P39", "P101"},
    {"personal-job-title", "-P1308"}, {"personal-job-title", "P425"}, {"personal-birth-date", "P569"},
    {"personal-home-address", "P551", "P263", "P669"}, {"personal-previous-address", "P551"},
    {"personal-ex-partner", "P451"}, {"personal-hometown", "P19", "P551"}, {"personal-daughter", "P40"},
    {"personal-boss", "P1037"}, {"personal-union", "P463"}, {"personal-nickname", "P1449"},
    {"personal-diagnosis", "personal-cause-of-sick-leave", "P1050"}, {"personal-maiden-name", "P1477"},
    {"personal-medication", "-P2175", "-P2176"},
]  # fmt: skip
_APART = [("P19", "P20"), ("P27", "P20"), ("P27", "P19"), ("P37", "P103"), ("P937", "P20"), ("P19", "P937"),
          ("P159", "P17"), ("P740", "P159"), ("P495", "P740"), ("P106", "P413"), ("P463", "P69"),
          ("P413", "P101"), ("P127", "P50"), ("personal-employer", "personal-previous-employer")]  # fmt: skip
_SYNONYMS = [
    {"-P527", "P361"}, {"-P1056", "P176"}, {"P1071", "P740"}, {"P1387", "P1142"}, {"-P1383", "P131"},
    {"P39", "-P1308"}, {"P1299", "-P674", "P1441"}, {"-P1366", "P155"}, {"P1366", "P156"}, {"-P1365", "P156"},
    {"P1365", "P155"}, {"-P1366", "P1365"}, {"P272", "P178", "P176"}, {"P50", "-P800"}, {"P2341", "P172"},
    {"P937", "P108"}, {"P106", "P425"}, {"-P397", "P398"}, {"P509", "P1196"}, {"P189", "P65"}, {"P31", "P136"},
    {"-P180", "P1299"}, {"P607", "P1344"},
]  # fmt: skip
"""Relations whose free wordings, too, ask the same."""

COUNTERFACT = frozenset(
    "P101 P103 P106 P108 P127 P1303 P131 P136 P138 P140 P1412 P159 P17 P176 P178 P19 P190 P20 P264 P27 P276 P30 "
    "P36 P364 P37 P39 P407 P413 P449 P463 P495 P641 P740 P937".split()
)
"""The relations of CounterFact."""
PERSONAL = "personal-"
"""Begins the ids of attributes of private persons."""
_RARE = frozenset(
    "personal-appointment personal-bonus personal-donation personal-eyesight personal-job-start personal-landlord "
    "personal-roommate personal-sentence personal-weight personal-work-colleague".split()
)
"""Personal ones that few people will store."""


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
    wordings: list[str] = field(default_factory=list)
    """free ones, which are among the phrasings and in every source"""
    near: list[str] = field(default_factory=list)
    """what is asked in like words and is not the same"""

    @cached_property
    def groups(self) -> list[list[str]]:
        """The sources with the statements made of them, where there are two phrasings or more."""
        made = [list(dict.fromkeys(t for q in source for t in (q, *_stated(q)))) for source in self.sources]
        return [group for group in made if len(group) > 1]


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
        labels = Counter(name for s in relation.sources for q in s if (name := label(q)))
        relation.label = labels.most_common(1)[0][0] if labels else ""
        relation.phrasings = list(dict.fromkeys(questions + [s for q in questions for s in _stated(q)]))
    return {p: r for p, r in relations.items() if len(set(r.phrasings)) > 1}


def _stated(question: str) -> list[str]:
    """Statements made of a question."""
    return [*statements(question), *open_statements(question)]


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


def add_wordings(relations: dict[str, Relation], path: Path | None = None) -> None:
    """Put free wordings and near misses of a file (None: the shipped one) with their relations.

    A JSON dictionary by property: `same`, texts with «{}» that ask for it in other words, and `other`, texts that
    ask something else in like words. The shipped one was written for this project by a language model. Its relations
    `personal-…` are attributes of private persons, which no template has.
    """
    path = path or Path(str(resources.files("larimar") / "data" / "wordings.json"))
    for key, row in json.loads(path.read_text(encoding="utf-8")).items():
        if key.startswith(PERSONAL):
            relations[key] = Relation(key, sources=[[]])
        if relation := relations.get(key):
            relation.sources = [[*source, *row["same"]] for source in relation.sources]
            relation.phrasings += row["same"]
            relation.wordings += row["same"]
            relation.near += row["other"]


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
    """Ids of relations that the judge never trains on: they validate it and calibrate the detector.

    So many of the templates', and the rare personal ones.
    """
    plain = sorted(key for key in relations.keys() - COUNTERFACT if not key.startswith(("-", PERSONAL)))
    return frozenset(random.Random(0).sample(plain, min(count, len(plain)))) | (_RARE & relations.keys())


def same_question(one: str, other: str) -> bool:
    """Whether wordings of two relations, by id, often ask the same («is located in», «performs»)."""
    pair = {one, other}
    return pair not in [set(p) for p in _APART] and any(pair <= group for group in _ALIKE)


def alike(one: Relation, other: Relation) -> bool:
    """Whether phrasings of the two may ask the same, so that they make no safe negative."""
    return same_question(one.id, other.id) or bool(set(one.phrasings) & set(other.phrasings))


def told_apart(one: Relation, other: Relation) -> bool:
    """Whether free wordings of two relations ask for different things though templates of both may ask the same.

    «What is {}'s date of death?» and «Where did {} die?» share the template «{} died in», and no wording.
    """
    listed = any({one.id, other.id} <= group for group in _SYNONYMS) or same_question(one.id, other.id)
    shared = set(one.wordings) & set(other.wordings)
    return bool(one.wordings and other.wordings) and not shared and not listed


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
    return " ".join(f"{left} {{}}{gap}{right}".split()).lower()
