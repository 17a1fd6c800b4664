"""ZsRE single edits (paper, Table 12): `python -m benchmarks.zsre`.

ROME's protocol: the share of an answer's tokens that greedy decoding would choose, each given the tokens before
it. For each record the question with its answer is written into an empty bank.

    edit success   on the question that was written
    paraphrase     on its rephrasing
    specificity    of the right answer on a natural question about something else

The detector and the memory see the question only. (The paper's code addressed the memory with the question and
the answer's earlier tokens, which tells the memory what it is asked to tell.)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.datasets import DATA, ZsreEdit, zsre_edits
from benchmarks.editing import check, chunks, edited
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
from larimar.serving import Route
from larimar.text import spaced

KINDS = ("edit success", "paraphrase", "specificity")
PAPER = {
    "Larimar-6B": dict(zip(KINDS, (94.5, 70.4, 25.1), strict=True)),
    "Larimar-1.3B": dict(zip(KINDS, (98.1, 81.6, 19.7), strict=True)),
    "ROME on GPT-J": dict(zip(KINDS, (99.8, 95.9, 27.2), strict=True)),
    "GPT-J": dict(zip(KINDS, (26.4, 25.8, 27.0), strict=True)),
}
_TOGETHER = 64
"""Records whose prompts share batches."""


def accuracies(model: Larimar, routes: Sequence[Route], targets: Sequence[str]) -> list[float]:
    """Token accuracy of each target where its route leads; routes of several banks mix."""
    found = [0.0] * len(routes)
    for decoder, at in model.weights.by_decoder(routes):
        forced = decoder.force([routes[i].query for i in at], [spaced(targets[i]) for i in at])
        for i, one in zip(at, forced, strict=True):
            found[i] = one.accuracy
    return found


def score(model: Larimar, records: Sequence[ZsreEdit], first: int) -> list[dict[str, Any]]:
    """Accuracies before and after each record's own edit, in order of `KINDS`; the first is checked alone."""
    empty = model.with_bank()
    routes: list[Route] = []
    targets: list[str] = []
    for number, record in enumerate(records, first):
        prompts = [record.prompt, record.rephrase, record.elsewhere]
        wanted = [record.answer, record.answer, record.elsewhere_answer]
        twin, _ = edited(model, Fact(str(number), record.prompt, record.answer, record.subject))
        routes += [*empty.routes(prompts), *twin.routes(prompts)]
        targets += wanted * 2
        if number == first:
            check(twin, prompts, wanted)
    found = accuracies(model, routes, targets)
    inside = [route.fact_id is not None for route in routes]
    return [
        {"base": found[at : at + 3], "edited": found[at + 3 : at + 6], "inside": inside[at + 3 : at + 6]}
        for at in range(0, len(found), 6)
    ]


def means(rows: Sequence[dict[str, Any]], which: str) -> dict[str, float]:
    """Mean over records in per cent, kind by kind."""
    return {
        kind: round(100 * sum(row[which][n] for row in rows) / len(rows), 2) for n, kind in enumerate(KINDS)
    }


def rows_of(own: dict[str, float], base: dict[str, float]) -> list[Row]:
    """Accuracies next to the paper's."""
    reach = dict(zip(KINDS, ("≥ 99", "≥ 95", f"= base = {base['specificity']}"), strict=True))
    paper = PAPER["Larimar-6B"]
    return [
        Row(f"{kind}, token accuracy in %", paper[kind], reach[kind], own[kind], base[kind]) for kind in KINDS
    ]


def main() -> None:
    """Run the benchmark and write its result."""
    options = parser("benchmarks.zsre", __doc__)
    options.add_argument("--data", type=Path, default=DATA / "zsre_edits.json")
    options.add_argument("--records", type=int, help="the first so many; default: all")
    arguments = options.parse_args()
    started = time.time()
    records = zsre_edits(arguments.data, arguments.records)
    settings = {
        "benchmark": "ZsRE, single edits (Table 12)",
        "records": len(records),
        "data_sha256": file_digest(arguments.data),
        "checkpoint_sha256": checkpoint_digest(arguments.checkpoint),
    }
    journal = Journal(arguments.results / "zsre.jsonl", settings)
    model = Larimar.load(arguments.checkpoint)
    with tqdm(total=len(records), initial=len(journal.rows), unit="record") as bar:
        for some in chunks(records[len(journal.rows) :], _TOGETHER):
            journal.append(score(model, some, len(journal.rows)))
            bar.update(len(some))
    own, base = means(journal.rows, "edited"), means(journal.rows, "base")
    result = {
        **settings,
        "larimar": own,
        "base_decoder": base,
        "in_scope": means(journal.rows, "inside"),
        "paper": PAPER,
        "seconds_of_last_run": round(time.time() - started),
    }
    command = make_command("bench-zsre", options, arguments)
    path = write_result("zsre", result, rows=rows_of(own, base), command=command, directory=arguments.results)
    journal.close()
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
