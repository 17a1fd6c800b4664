"""Unseen rephrasings (paper, Figure 3 and Table 13): `python -m benchmarks.rephrase`.

N facts are written with n phrasings each (further phrasings join the scope and cost no memory row), and the model
is asked in phrasings that it has not seen. Recall: the answer is in what greedy decoding says. F1: tokens of the
answer against those said, without periods and line ends (paper, appendix E). The data has facts that contradict each
other («Which team does X play for?», two answers), and in one bank no memory can tell both; so recall stands also for
the facts whose subject no other fact of their bank is about. The last row adds the first
CounterFact paraphrase to single edits and scores the second.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.counterfact import score, tallies
from benchmarks.datasets import DATA, Rephrased, counterfact, zsre_rephrasings
from benchmarks.editing import chunks
from benchmarks.recording import (
    Journal,
    Row,
    checkpoint_digest,
    file_digest,
    make_command,
    parser,
    write_result,
)
from larimar import Fact, Larimar


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    facts: int
    """in one bank"""
    stored: int
    """phrasings of each fact"""
    banks: int
    """repetitions with other facts"""
    paper: str | None = None
    """recall by pseudo-inverse / Gaussian addressing"""

    @property
    def name(self) -> str:
        """Facts and phrasings, as in Table 13."""
        return f"({self.facts}, {self.stored})"


SETTINGS = (
    Setting(1, 1, 100, "0.63 / 0.68"),
    Setting(20, 10, 10, "0.94 / 0.90"),
    Setting(40, 5, 4, "0.84 / 0.84"),
    Setting(100, 2, 2, "0.66 / 0.78"),
    Setting(200, 1, 1, "0.33 / 0.69"),
    Setting(1000, 1, 1),
    Setting(1000, 5, 1),
)
"""Table 13, then Figure 3's 1,000 facts, asked after all of them were written."""
_MOST = 2
"""unseen phrasings asked of each fact"""
_EDITS = 500
"""CounterFact records of the last rows"""


def f1(said: str, answer: str) -> float:
    """Token F1 of the first line that was said against the answer; words and numbers, whatever their case."""
    lines = said.strip().splitlines() or [""]
    own, wanted = (Counter(re.findall(r"\w+", text.casefold())) for text in (lines[0], answer))
    shared = sum((own & wanted).values())
    return 2 * shared / (sum(own.values()) + sum(wanted.values())) if shared else 0.0


def recalled(said: str, answer: str) -> bool:
    """Whether the answer is in what was said, as whole words."""
    return re.search(rf"(?<!\w){re.escape(answer.casefold())}(?!\w)", said.casefold()) is not None


def ask(
    model: Larimar, facts: Sequence[Rephrased], stored: int, rng: random.Random
) -> list[dict[str, float]]:
    """Write facts with `stored` phrasings into an empty bank and ask unseen ones; one row a question."""
    own, questions = model.with_bank(), []
    about = Counter(fact.subject for fact in facts)
    own.write([Fact(str(n), fact.phrasings[0], fact.answer, fact.subject) for n, fact in enumerate(facts)])
    for number, fact in enumerate(facts):
        others = rng.sample(fact.phrasings[1:], len(fact.phrasings) - 1)
        known, unseen = others[: stored - 1], others[stored - 1 :][:_MOST]
        if known:
            own.widen(str(number), known)
        questions += [(question, fact.answer, about[fact.subject] == 1) for question in unseen]
    prompts = [question for question, *_ in questions]
    said = own.generate(prompts, greedy=True, max_tokens=16)
    routes = own.in_scope(prompts)
    return [
        {
            "recall": recalled(text, answer),
            "f1": f1(text, answer),
            "inside": route is not None,
            "alone": alone,
        }
        for [text], (_, answer, alone), route in zip(said, questions, routes, strict=True)
    ]


def means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of every figure, and how many questions."""
    return {key: round(sum(r[key] for r in rows) / len(rows), 4) for key in rows[0]} | {
        "questions": len(rows)
    }


def measure(model: Larimar, facts: Sequence[Rephrased], setting: Setting) -> dict[str, Any]:
    """One row: several banks of facts that are drawn with a fixed seed."""
    rng = random.Random(f"{setting.facts} {setting.stored}")
    fit = [fact for fact in facts if len(fact.phrasings) > setting.stored]
    drawn = rng.sample(fit, min(len(fit), setting.facts * setting.banks))
    rows = [row for some in chunks(drawn, setting.facts) for row in ask(model, some, setting.stored, rng)]
    alone = means([row for row in rows if row["alone"]])
    return {**asdict(setting), **means(rows), "recall_alone": alone["recall"]}


def paraphrases(model: Larimar, path: Path, count: int) -> dict[str, Any]:
    """CounterFact: edit success on the second paraphrase, with and without the first one in the scope."""
    found: dict[str, Any] = {}
    for name, stored in (("one phrasing", 0), ("two phrasings", 1)):
        records = [
            replace(r, stored=tuple(r.paraphrases[:stored]), paraphrases=r.paraphrases[1:2], neighbours=[])
            for r in counterfact(path, count)
        ]
        rows = [
            asdict(one) for some in tqdm(list(chunks(records, 64)), desc=name) for one in score(model, some)
        ]
        found[name] = tallies(rows, "edited")["paraphrase"]
    return found


def rows_of(measured: Sequence[dict[str, Any]], counterfact_rows: dict[str, Any]) -> list[Row]:
    """Recall next to the paper's; CounterFact last."""
    made = []
    for m in measured:
        name = f"recall of unseen phrasings, (facts, phrasings of each) = ({m['facts']}, {m['stored']})"
        made.append(Row(name, m["paper"], "≥ 0.95", m["recall"]))
        if m["alone"] < 1:
            share = round(100 * m["alone"])
            made.append(
                Row(f"the same, {share} % with the subject to themselves", None, None, m["recall_alone"])
            )
    return made + [
        Row(f"CounterFact, second paraphrase, S in %, {name} stored", None, "≥ 95", row["S"])
        for name, row in counterfact_rows.items()
    ]


def main() -> None:
    """Run the benchmark and write its result."""
    options = parser("benchmarks.rephrase", __doc__)
    options.add_argument("--data", type=Path, default=DATA / "zsre_rephrasings.json")
    options.add_argument("--counterfact", type=Path, default=DATA / "counterfact.json")
    options.add_argument("--records", type=int, help="the first so many facts of each file; default: all")
    arguments = options.parse_args()
    started = time.time()
    facts = zsre_rephrasings(arguments.data)[: arguments.records]
    settings = {
        "benchmark": "Unseen rephrasings (Figure 3, Table 13)",
        "facts": len(facts),
        "data_sha256": file_digest(arguments.data),
        "checkpoint_sha256": checkpoint_digest(arguments.checkpoint),
    }
    journal = Journal(arguments.results / "rephrase.jsonl", settings)
    model = Larimar.load(arguments.checkpoint)
    for setting in tqdm(SETTINGS[len(journal.rows) :], desc="ZsRE"):
        journal.append([measure(model, facts, setting)])
    second = paraphrases(model, arguments.counterfact, min(arguments.records or _EDITS, _EDITS))
    result = {
        **settings,
        "zsre": journal.rows,
        "counterfact": second,
        "seconds_of_last_run": round(time.time() - started),
    }
    path = write_result(
        "rephrase", result, rows=rows_of(journal.rows, second), directory=arguments.results,
        command=make_command("bench-rephrase", options, arguments),
    )  # fmt: skip
    journal.close()
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
