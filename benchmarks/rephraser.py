"""How well the rephraser rephrases: `python -m benchmarks.rephraser --rephraser DIR`.

CounterFact prompts of cases below 2,000 and ZsRE evaluation questions, none of them trained on, are said in other
words 20 times by the trained rephraser, by its base decoder shown examples, and by templates. Of all lines:

    answer absent, subject kept    as the audit sees it; the subject only where the prompt names it
    new                            more than the prompt itself
    same question                  the scope detector's judge thinks so (names hidden; logit above 0)
    cosine                         of MiniLM embeddings, names hidden, of different lines
    distinct                       different lines of 20
    overlap                        words (Jaccard) that two different lines share, names left out; low is diverse
    usable                         different lines of 20 that pass all of the audit's filters
    enough                         facts with at least 4 usable lines, what one audit asks

The judge only measures; it filters nothing (docs/adr/0013). CounterFact relations that the rephraser never saw are
also given apart.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from tqdm import tqdm

from audit.facts import AuditFact
from audit.forms import differs, form_of
from audit.model_rephrase import ModelRephraser, TrainedRephraser, hidden
from audit.rephrase import Phrasing, TemplateRephraser, acceptable
from audit.words import texts
from benchmarks.datasets import DATA
from benchmarks.recording import (
    Journal,
    Row,
    checkpoint_digest,
    file_digest,
    make_command,
    parser,
    write_result,
)
from larimar.checkpoint import load
from larimar.judge import Judge
from larimar.names import locate, normalise
from larimar.rephraser import Rephraser, default_directory
from larimar.scope import Embedder
from larimar.weights import DEFAULT_DECODER, DEFAULT_SENTENCE_ENCODER, load_sentence_encoder
from workers.targets import DecoderTarget

DRAWN = 20
ENOUGH = 4
_TOGETHER = 10
"""Facts whose lines are drawn in one batch."""


@dataclass(frozen=True)
class Asked:
    """A fact to be rephrased."""

    fact: AuditFact
    group: str
    """`counterfact` or `zsre`"""
    unseen: bool
    """of a relation that the rephraser was never trained on"""


class Meter:
    """Judges lines: the plain sentence encoder, and the scope detector's judge on top of it."""

    def __init__(self) -> None:
        """Load both."""
        encoder = load_sentence_encoder(DEFAULT_SENTENCE_ENCODER)
        self.embedder, self.judge = Embedder(encoder), Judge.load(encoder)

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Cosine of each pair."""
        made = self.embedder.embed([text for pair in pairs for text in pair])
        return [float(a @ b) for a, b in zip(made[::2], made[1::2], strict=True)]

    def same(self, fact: AuditFact, lines: Sequence[str]) -> list[bool]:
        """Whether the judge takes each line for the fact's question."""
        names = tuple(name for name in (fact.subject, *fact.aliases) if name)
        stored, *queries = (locate(normalise(text), names).text for text in (fact.prompt, *lines))
        return [bool(logit > 0) for logit in self.judge.logits([(stored, query) for query in queries])]


def facts(counterfact: Path, zsre: Path, unseen: Sequence[str], count: int) -> list[Asked]:
    """The first `count` facts of each file, CounterFact below case 2,000."""
    made = []
    records = [r for r in json.loads(counterfact.read_text(encoding="utf-8")) if r["case_id"] < 2000]
    for record in records[:count]:
        told = record["requested_rewrite"]
        fact = AuditFact(
            f"counterfact {record['case_id']}", told["prompt"].format(told["subject"]),
            (told["target_true"]["str"],), told["subject"],
        )  # fmt: skip
        made.append(Asked(fact, "counterfact", told["relation_id"] in unseen))
    for number, record in enumerate(json.loads(zsre.read_text(encoding="utf-8"))[:count]):
        fact = AuditFact(f"zsre {number}", record["src"], tuple(record["answers"]), record["subject"])
        made.append(Asked(fact, "zsre", False))
    return made


def measure(
    asked: Asked, lines: Sequence[str], usable: Sequence[str], meter: Meter, source: str
) -> dict[str, Any]:
    """Figures of one fact's lines; those that passed all filters are `usable`."""
    fact = asked.fact
    once = list({texts(line): line for line in lines if texts(line)}.values())
    same = dict(zip(once, meter.same(fact, once), strict=True)) if once else {}
    cosines = meter.similarity([(hidden(fact, fact.prompt), hidden(fact, line)) for line in once])
    by_words = {texts(line): kept for line, kept in same.items()}
    named = fact.names_subject(fact.prompt)
    row = {
        "answer absent": share(not fact.holds_answer(line) for line in lines),
        "subject kept": share(fact.names_subject(line) for line in lines) if named else None,
        "new": share(bool(texts(line)) and differs(fact, line) for line in lines),
        "same question": share(by_words.get(texts(line), False) for line in lines),
        "cosine": fmean(cosines) if cosines else None,
        "distinct": len(once),
        "overlap": overlap(fact, once),
        "usable": len(usable),
        "enough": float(len(usable) >= ENOUGH),
        "same question, usable": fmean(by_words[texts(line)] for line in usable) if usable else None,
        "overlap, usable": overlap(fact, usable),
        "questions, usable": fmean(form_of(line) == "question" for line in usable) if usable else None,
    }
    return {"source": source, "group": asked.group, "unseen": asked.unseen, **row}


def share(marks: Iterable[bool]) -> float | None:
    """How many marks are set, from 0 to 1; None where a source said nothing (templates do not fit every prompt)."""
    listed = list(marks)
    return fmean(listed) if listed else None


def overlap(fact: AuditFact, lines: Sequence[str]) -> float | None:
    """Mean share of words that two lines have in common, the subject's names left out; None for fewer than two."""
    bags = [set(texts(hidden(fact, line))) - {"x"} for line in lines]
    shared = [len(a & b) / max(1, len(a | b)) for a, b in combinations(bags, 2)]
    return fmean(shared) if shared else None


def by_model(model: ModelRephraser, some: Sequence[Asked], meter: Meter, source: str) -> list[dict[str, Any]]:
    """Rows of a model's lines."""
    rows = []
    for one, said in zip(some, model.lines([a.fact for a in some], DRAWN, seed=0), strict=True):
        fact = one.fact
        once = [Phrasing(line, source) for line in {texts(x): x for x in said if texts(x)}.values()]
        kept = model.near(fact, [line for line in once if model.passes(fact, line.text)])
        rows.append(measure(one, said, [line.text for line in kept], meter, source))
    return rows


def by_templates(some: Sequence[Asked], meter: Meter) -> list[dict[str, Any]]:
    """Rows of the certification templates."""
    rows = []
    for one in some:
        said = [p.text for p in TemplateRephraser().rephrase(one.fact, DRAWN, seed=0)]
        rows.append(measure(one, said, [t for t in said if acceptable(one.fact, t)], meter, "templates"))
    return rows


def means(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The mean of every figure over facts that have it, and how many facts."""
    names = [name for name in rows[0] if name not in ("source", "group", "unseen")]
    found = {name: [row[name] for row in rows if row[name] is not None] for name in names}
    return {name: round(fmean(have), 3) for name, have in found.items() if have} | {"facts": len(rows)}


def tables(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Means by source and group; CounterFact's unseen relations once more."""
    made: dict[str, dict[str, dict[str, float]]] = {}
    for source in dict.fromkeys(row["source"] for row in rows):
        own = [row for row in rows if row["source"] == source]
        groups = {name: [r for r in own if r["group"] == name] for name in ("counterfact", "zsre")}
        groups["counterfact, unseen relations"] = [r for r in groups["counterfact"] if r["unseen"]]
        made[source] = {name: means(some) for name, some in groups.items() if some}
    return made


REACH = {"answer absent": "≥ 0.99", "subject kept": "≥ 0.95", "same question": "≥ 0.85", "distinct": "≥ 10",
         "usable": "≥ 4", "enough": "≥ 0.9", "same question, usable": "≥ 0.9"}  # fmt: skip


def rows_of(found: dict[str, dict[str, dict[str, float]]]) -> list[Row]:
    """The trained rephraser beside its base decoder; templates' figures in the name's own row."""
    made = []
    for group, figures in found["trained"].items():
        for name in (n for n in figures if n != "facts"):
            base = found.get("few-shot", {}).get(group, {}).get(name)
            fixed = found.get("templates", {}).get(group, {}).get(name)
            made.append(
                Row(f"{group}: {name} (templates: {fixed})", None, REACH.get(name), figures[name], base)
            )
    return made


def main() -> None:
    """Run the benchmark and write its result."""
    options = parser("benchmarks.rephraser", __doc__)
    options.add_argument("--rephraser", type=Path, help="its checkpoint directory; default: the shipped one")
    options.add_argument("--counterfact", type=Path, default=DATA / "counterfact.json")
    options.add_argument("--zsre", type=Path, default=DATA / "zsre_edits.json")
    options.add_argument("--facts", type=int, default=100, help="of each file")
    options.add_argument("--device", default="cpu")
    arguments = options.parse_args()
    started, directory = time.time(), arguments.rephraser or default_directory()
    settings = {
        "benchmark": "The rephraser",
        "facts": arguments.facts,
        "drawn": DRAWN,
        "data_sha256": [file_digest(arguments.counterfact), file_digest(arguments.zsre)],
        "checkpoint_sha256": checkpoint_digest(directory),
    }
    journal, meter = Journal(arguments.results / "rephraser.jsonl", settings), Meter()
    unseen = load(directory).training.get("unseen_relations", [])
    asked = facts(arguments.counterfact, arguments.zsre, unseen, arguments.facts)  # type: ignore[arg-type]
    trained = TrainedRephraser(Rephraser.load(directory, device=arguments.device), meter.similarity)
    base = ModelRephraser(DecoderTarget.load(DEFAULT_DECODER, arguments.device), meter.similarity)
    parts = [asked[i : i + _TOGETHER] for i in range(0, len(asked), _TOGETHER)]
    done = len(journal.rows) // 3
    for some in tqdm(parts[-(-done // _TOGETHER) :], desc="facts", unit=f"{_TOGETHER}"):
        journal.append(
            by_model(trained, some, meter, "trained")
            + by_model(base, some, meter, "few-shot")
            + by_templates(some, meter)
        )
    found = tables(journal.rows)
    result = {**settings, "figures": found, "seconds_of_last_run": round(time.time() - started)}
    command = make_command("bench-rephraser", options, arguments)
    path = write_result(
        "rephraser", result, rows=rows_of(found), command=command, directory=arguments.results
    )
    journal.close()
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
