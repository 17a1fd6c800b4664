"""Banks of 1,000 to 1,000,000 facts: `python -m benchmarks.memory_scale --data DIR`.

For each size, in a process of its own and on one thread: building the bank from its ledger's entries (which is
what a rebuild is), writing and forgetting in batches of 256, reads, scope lookups and their recall against
brute force, memory held, and that write + forget leaves the digests of the shards it touched as they were.

Real facts are made of question templates (kgconv) and subjects (CounterFact, case_id >= 2000) and go through
the tokenizer, the encoder and the sentence encoder. A larger bank repeats them under new ids, each scope
vector moved by Gaussian noise of norm 0.6 and scaled to norm 1; a query is another template of the same property
about the same subject, moved by the noise of one of the facts.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.recording import Row, make_command, parser, write_result
from benchmarks.scale_plot import draw
from larimar import Bank, Entry, Fact, Larimar, LarimarConfig
from larimar.vectors import Floats

NAME = "memory_scale"
SIZES = (1_000, 100_000, 1_000_000)
BATCH = 256
NOISE = 0.6
QUERIES = 300


@dataclass(frozen=True)
class Material:
    """What a size is made of; travels to its process."""

    config: LarimarConfig
    ledger: list[bytes]
    """real entries"""
    queries: Floats
    """(Q, D) embeddings of other wordings of the first Q entries"""


def main() -> None:
    """Measure the sizes that are asked for and put them beside those measured before."""
    arguments = _options().parse_args()
    material, encoding = prepared(arguments)
    before = arguments.results / f"{NAME}.json"
    sizes: dict[str, Any] = json.loads(before.read_text())["sizes"] if before.exists() else {}
    spawn = multiprocessing.get_context("spawn")
    for size in arguments.sizes:
        with ProcessPoolExecutor(1, mp_context=spawn) as apart:
            sizes[str(size)] = apart.submit(measured, size, material).result()
        print(f"{size}: {json.dumps(sizes[str(size)])}", flush=True)
    ordered = {size: sizes[size] for size in sorted(sizes, key=int)}
    arguments.sizes = tuple(int(size) for size in ordered)
    result: dict[str, object] = {
        "benchmark": "Banks of up to a million facts, one thread",
        "vectors": " ".join((__doc__ or "").split("\n\n")[2].split()),
        "real_facts": len(material.ledger), "encoding": encoding, "sizes": ordered,
    }  # fmt: skip
    path = write_result(
        NAME,
        result,
        rows=rows_of(ordered, encoding),
        command=make_command("bench-memory", _options(), arguments),
        directory=arguments.results,
    )
    draw(ordered, path.with_suffix(".png"))


def _options() -> argparse.ArgumentParser:
    """The command line."""
    made = parser("benchmarks.memory_scale", __doc__ or "")
    made.add_argument("--data", type=Path, required=True, help="directory with counterfact/ and kgconv/")
    made.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="facts a bank; default: all three")
    made.add_argument("--real", type=int, default=4_000, help="real facts that the banks are made of")
    return made


def prepared(arguments: argparse.Namespace) -> tuple[Material, dict[str, float]]:
    """Real entries, written once by the model, and what encoding took (ms a fact)."""
    model = Larimar.load(arguments.checkpoint, device="cpu")
    facts, others = questions(arguments.data, arguments.real)
    started, ledger = time.perf_counter(), []
    for start in range(0, len(facts), BATCH):
        ledger += [entry.to_bytes() for entry in model.write(facts[start : start + BATCH])]
        print(f"real facts: {len(ledger)} of {len(facts)}", flush=True)
    whole = (time.perf_counter() - started) / len(facts)
    started = time.perf_counter()
    for fact in facts[:BATCH]:
        model.weights.encode(f"{fact.prompt} {fact.answer}.")
    tokens = (time.perf_counter() - started) / BATCH
    queries = model.weights.detector.embedder.embed(others[:QUERIES])
    taken = {"write_with_sentence_embedding_ms": 1e3 * whole, "tokens_to_latent_ms": 1e3 * tokens}
    return Material(model.weights.config, ledger, queries), taken


def questions(data: Path, count: int) -> tuple[list[Fact], list[str]]:
    """Facts as questions, and another wording of each."""
    groups = [
        [f"{t['left']}{{}}{t['right']}" for t in group["templates"]]
        for group in json.loads((data / "kgconv" / "template_library.json").read_text(encoding="utf-8"))
    ]
    groups = [group for group in groups if len(group) >= 2]
    records = json.loads((data / "counterfact" / "core.json").read_text(encoding="utf-8"))
    rewrites = [r["requested_rewrite"] for r in records if r["case_id"] >= 2000]
    draw_from = random.Random(0)
    facts, others = [], []
    for i in range(count):
        rewrite = rewrites[i % len(rewrites)]
        asked, other = draw_from.sample(draw_from.choice(groups), 2)
        subject, answer = rewrite["subject"], rewrite["target_new"]["str"]
        facts.append(Fact(f"real-{i}", asked.replace("{}", subject), answer, subject))
        others.append(other.replace("{}", subject))
    return facts, others


def measured(size: int, material: Material) -> dict[str, float]:
    """Everything about one size; runs in a process of its own."""
    import torch

    torch.set_num_threads(1)
    made = Maker(material)
    bank, start, build = Bank(material.config), _resident(), 0.0
    for first in range(0, size, 10 * BATCH):
        entries = made.entries(first, min(10 * BATCH, size - first))
        build += _seconds(lambda entries=entries: bank.add(entries))  # type: ignore[misc]
    held = _resident() - start
    figures = {
        "build_us_a_fact": 1e6 * build / size, "resident_gb": held / 1e9, "process_gb": _resident() / 1e9,
        "shards": len(list(bank.routing)),
    }  # fmt: skip
    figures |= changes(bank, made, size) | reads(bank, size)
    return {name: round(value, 5) for name, value in (figures | lookups(bank, made, size)).items()}


class Maker:
    """Entries and queries of any number of facts, from the real ones."""

    def __init__(self, material: Material) -> None:
        """Decode the real entries once."""
        self.real = [Entry.from_bytes(row) for row in material.ledger]
        self.queries = material.queries

    def entries(self, first: int, count: int) -> list[Entry]:
        """Facts number `first` and on; the same number is always the same fact."""
        return [self._entry(number) for number in range(first, first + count)]

    def query(self, number: int) -> Floats:
        """A query (1, D) for one of the facts that have another wording."""
        return self._moved(self.queries[number % len(self.real)][None], number)

    def _entry(self, number: int) -> Entry:
        """A real entry under another id, its vectors moved."""
        entry, name = self.real[number % len(self.real)], f"fact-{number}"
        scope = entry.scope
        plain, masked = self._moved(scope.plain, number), self._moved(scope.masked, number)
        return replace(entry, fact_id=name, scope=replace(scope, fact_id=name, plain=plain, masked=masked))

    def _moved(self, vectors: Floats, number: int) -> Floats:
        """Unit vectors plus the fact's own noise; the first round of facts stays as it is."""
        if number < len(self.real):
            return vectors
        drawn = np.random.Generator(np.random.Philox(number)).standard_normal(vectors.shape[1])
        moved = vectors + NOISE * drawn / np.linalg.norm(drawn)
        unit: Floats = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
        return unit


def changes(bank: Bank, made: Maker, size: int) -> dict[str, float]:
    """Writing and forgetting in batches of 256 with as many shards held as may be (ms a fact)."""
    for leaf in list(bank.routing)[:64]:
        bank.memory_of(next(iter(bank.routing.facts(leaf))))
    writing, forgetting = [], []
    for number in range(8):
        entries = made.entries(size + number * BATCH, BATCH)
        ids = [entry.fact_id for entry in entries]
        touched = {bank.routing.leaf(i): None for i in ids[:8]} if number == 0 else {}
        before = {leaf: _shard_digest(bank, leaf) for leaf in touched}
        writing.append(_seconds(lambda e=entries: bank.add(e)))  # type: ignore[misc]
        forgetting.append(_seconds(lambda i=ids: bank.remove(i)))  # type: ignore[misc]
        if any(_shard_digest(bank, leaf) != digest for leaf, digest in before.items()):
            raise RuntimeError("a shard differs from the never-written one after write and forget")
    per_fact = 1e3 / BATCH
    return {
        "write_ms": per_fact * float(np.median(writing)),
        "forget_ms": per_fact * float(np.median(forgetting)),
    }


def reads(bank: Bank, size: int) -> dict[str, float]:
    """Reads of cold shards, of held ones after a change and without one (ms)."""
    draw_from = random.Random(1)
    ids = [f"fact-{draw_from.randrange(size)}" for _ in range(40)]
    cold, after, again = [], [], []
    for fact_id in ids:
        leaf = bank.routing.leaf(fact_id)
        bank.shards.drop(leaf)  # the digest's part goes with it, and nothing else
        cold.append(_seconds(lambda i=fact_id: bank.readout([i])))  # type: ignore[misc]
        removed = bank.entries[fact_id]
        bank.remove([fact_id])
        bank.add([removed])
        after.append(_seconds(lambda i=fact_id: bank.readout([i])))  # type: ignore[misc]
        others = list(bank.routing.facts(leaf))[:20]
        again += [_seconds(lambda i=other: bank.readout([i])) for other in others]  # type: ignore[misc]
    return {
        "cold_read_ms": 1e3 * float(np.median(cold)),
        "first_read_after_change_ms": 1e3 * float(np.median(after)),
        "further_read_ms": 1e3 * float(np.median(again)),
    }


def lookups(bank: Bank, made: Maker, size: int) -> dict[str, float]:
    """Scope lookups (ms) and how many of the nearest 1 and 8 of brute force they find."""
    draw_from = random.Random(2)
    rounds = max(1, size // len(made.real))
    numbers = [i + len(made.real) * draw_from.randrange(rounds) for i in range(min(size, len(made.queries)))]
    queries = [made.query(number) for number in numbers]
    bank.index.candidates(queries[0])
    taken = [_seconds(lambda q=query: bank.index.candidates(q)) for query in queries]  # type: ignore[misc]
    truth = _nearest_by_brute_force(bank, np.concatenate(queries), 8)
    found = np.array([[cosine for _, cosine in bank.index.vectors.search(query, 8)[:8]] for query in queries])
    owned = [
        fact == bank.index.nearest(q)[0]
        for fact, q in zip(map("fact-{}".format, numbers), queries, strict=True)
    ]
    return {
        "lookup_p50_ms": 1e3 * float(np.percentile(taken, 50)),
        "lookup_p99_ms": 1e3 * float(np.percentile(taken, 99)),
        "recall_at_1": float((found[:, 0] >= truth[:, 0] - 1e-5).mean()),
        "recall_at_8": float((found >= truth[:, 7:] - 1e-5).mean()),
        "own_fact_first": float(np.mean(owned)),
    }


def _nearest_by_brute_force(bank: Bank, queries: Floats, most: int) -> NDArray[np.float32]:
    """Cosines (Q, most) of the nearest vectors in the index, largest first, all rows compared."""
    best = np.full((len(queries), most), -2.0, dtype=np.float32)
    for rows in bank.index.vectors.rows(16_384):
        together = np.concatenate([best, queries @ rows.T], axis=1)
        best = -np.partition(-together, most - 1, axis=1)[:, :most]
    return -np.sort(-best, axis=1)


def _shard_digest(bank: Bank, leaf: str) -> str:
    """The digest of the memory of a leaf's facts, made anew from the entries."""
    bank.shards.drop(leaf)
    return bank.shards.memory(leaf, bank.routing.facts(leaf)).digest()


def _seconds(work: Callable[[], object]) -> float:
    """How long a piece of work takes (s)."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _resident() -> int:
    """Resident memory of this process (bytes)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmRSS:")[1].split()[0])


def rows_of(sizes: dict[str, dict[str, float]], encoding: dict[str, float]) -> Sequence[Row]:
    """Lines of the summary: the targets at each size."""
    reach = {
        "write_ms": ("write, ms a fact in batches of 256, entries made", "≤ 0.5"),
        "forget_ms": ("forget, ms a fact in batches of 256", "≤ 0.5"),
        "first_read_after_change_ms": ("first read after a change, ms", "≤ 20"),
        "further_read_ms": ("further read, ms", "≤ 0.2"),
        "lookup_p99_ms": ("scope lookup, p99, ms", "≤ 10"),
        "recall_at_8": ("scope lookup, recall of the nearest 8", "≥ 0.99"),
        "process_gb": ("memory of the process, GB", "≤ 8"),
    }
    made = [
        Row(f"{int(size):,} facts: {text}", None, target, round(figures[key], 3))
        for size, figures in sizes.items()
        for key, (text, target) in reach.items()
    ]
    whole = round(encoding["write_with_sentence_embedding_ms"], 2)
    return [*made, Row("write with sentence embedding, ms a fact", None, "≤ 0.5", whole)]


if __name__ == "__main__":
    main()
