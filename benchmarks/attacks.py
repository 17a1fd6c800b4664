"""Which attack is strongest: `make bench-attacks`. Every registered attack on facts that the base decoder knows.

    base        the decoder alone
    naive       tombstones with the shipped scope detector, sampled freely, nothing else
    censor      as shipped: a tombstone says its own words only, and outputs are checked
    repaired    the censor after the product's repair loop (`audit.repair`)

Attacks that decide a verdict make the table; those that need weights, files, a part of the answer, or only ask
whether something is censored stand apart. All facts are censored in one bank.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.attacks import Attack, attack_named, make_probes, registered
from audit.detect import ExactDetector
from audit.errors import AttackImpossible
from audit.facts import AuditFact
from audit.run import run_phase
from audit.target import Sampling, Target
from benchmarks.datasets import DATA
from benchmarks.known import LEAST, known_facts, model_fact
from benchmarks.leaks import figures, leaking
from benchmarks.plots import bars
from benchmarks.recording import (
    Journal,
    Row,
    checkpoint_digest,
    file_digest,
    make_command,
    parser,
    write_result,
)
from benchmarks.repairing import repaired, widen
from larimar import Larimar
from workers.targets import DecoderTarget, MemoryTarget

PAPER = 17.6
"""Per cent of facts leaked at a budget of 20 (Table 5, single edits)."""
BASE, NAIVE, CENSOR, REPAIRED = "base decoder", "naive censor", "censor", "repaired censor"
TARGETS = (BASE, NAIVE, CENSOR, REPAIRED)


@dataclass
class Bench:
    """The targets of one run and what was measured of them so far."""

    model: Larimar
    """with all facts censored"""
    facts: Sequence[AuditFact]
    sampling: Sampling
    seed: int
    journal: Journal

    def repair(self) -> dict[str, Any]:
        """Repair, or take the repair of an earlier run; what it did."""
        kept = next((row["repair"] for row in self.journal.rows if "repair" in row), None)
        if kept is None:
            self.mended, kept = repaired(self.model, self.facts, self.sampling, self.seed)
            self.journal.append([{"repair": kept}])
        else:
            self.mended = self.model.with_bank(self.model.bank.entries.values())
            widen(self.mended, kept["phrasings"])
        return dict(kept)

    def targets(self) -> dict[str, Target]:
        """The four targets, strongest leak first."""
        weights, ids = self.model.weights, [fact.id for fact in self.facts]
        naive = Larimar(weights, self.model.bank, "free", output_check=False)
        return {
            BASE: DecoderTarget(BASE, weights.base),
            NAIVE: MemoryTarget(NAIVE, naive, fact_ids=ids),
            CENSOR: MemoryTarget(CENSOR, self.model, fact_ids=ids),
            REPAIRED: MemoryTarget(REPAIRED, self.mended, fact_ids=ids),
        }

    def run(self, attacks: Sequence[Attack], facts_of: Callable[[Attack], Sequence[AuditFact]]) -> None:
        """Every attack on every target that allows it; what the journal has is not measured again."""
        done = {(row["attack"], row["target"]) for row in self.journal.rows if "attack" in row}
        for attack in attacks:
            facts = facts_of(attack)
            probes = None
            for name, target in self.targets().items():
                if (attack.key, name) in done or not possible(attack, target):
                    continue
                probes = probes or make_probes(facts, attack, self.seed, max_tokens=self.sampling.max_tokens)
                started = time.perf_counter()
                phase, _ = run_phase(
                    "after", target, facts, attack, ExactDetector(), sampling=self.sampling, seed=self.seed,
                    probes=probes,
                )  # fmt: skip
                row = {"attack": attack.key, "target": name, "name": attack.name, "threat": attack.threat,
                       "decides": attack.counts, **self._figures(attack, name, phase),
                       "seconds": round(time.perf_counter() - started, 1)}  # fmt: skip
                self.journal.append([row])
                print(f"{attack.key}, {name}: {row['facts_leaked']} of {row['facts']} facts, "
                      f"{row['samples_percent']} % of samples, {row['seconds']} s", flush=True)  # fmt: skip

    def _figures(self, attack: Attack, name: str, phase: Any) -> dict[str, Any]:
        """Figures of a phase, beside the facts that the base decoder told under this attack."""
        if name == BASE:
            return {**figures(phase), "told": sorted(leaking(phase))}
        base = next(
            (r for r in self.journal.rows if r.get("attack") == attack.key and r["target"] == BASE), None
        )
        return figures(phase, base["told"] if base else None)


def possible(attack: Attack, target: Target) -> bool:
    """Whether the target has what the attack needs."""
    try:
        attack.check(target)
    except AttackImpossible:
        return False
    return True


def table(measured: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Rows by attack and target, the attack that gets most facts out of the base decoder first."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in measured:
        found.setdefault(row["attack"], {})[row["target"]] = row

    def strength(item: tuple[str, dict[str, dict[str, Any]]]) -> float:
        base = item[1].get(BASE)
        return -(base["facts_percent"] if base else 0.0)

    return dict(sorted(found.items(), key=strength))


def rows(tables: dict[str, dict[str, dict[str, Any]]]) -> list[Row]:
    """Facts leaked by attack and target; the deciding attacks first."""
    made: list[Row] = []
    order = sorted(tables.items(), key=lambda item: not next(iter(item[1].values()))["decides"])
    for key, by_target in order:
        base = by_target.get(BASE)
        for name in (NAIVE, CENSOR, REPAIRED):
            if (row := by_target.get(name)) is None:
                continue
            apart = "" if row["decides"] else f" (apart: {row['threat']})"
            told = f"{row['facts_percent']} (≤ {row['facts_upper']})"
            paper = PAPER if key == "rephrase" else None
            beside = base["facts_percent"] if base else None
            made.append(Row(f"{key}{apart}, {name}: facts leaked, %", paper, None, told, beside))
    return made


def draw(tables: dict[str, dict[str, dict[str, Any]]], path: Path) -> None:
    """Facts leaked by attack, with their bounds."""
    deciding = {k: t for k, t in tables.items() if all(row["decides"] for row in t.values())}
    series = {
        name: [
            (t[name]["facts_percent"], t[name]["facts_upper"]) if name in t else (0.0, 0.0)
            for t in deciding.values()
        ]
        for name in TARGETS
    }
    bars(
        path,
        list(deciding),
        series,
        title="Facts leaked by attack",
        x="facts leaked, % (whisker: 95 % bound)",
    )


def main() -> None:
    """Run the benchmark and write its result and picture."""
    made = parser("benchmarks.attacks", __doc__ or "")
    made.add_argument("--counterfact", type=Path, default=DATA / "counterfact.json", help="or full.json")
    made.add_argument("--facts", type=int, default=300)
    made.add_argument("--apart", type=int, default=60, help="facts under the attacks that stand apart")
    made.add_argument("--budget", type=int, default=20, help="samples a fact and attack")
    made.add_argument("--max-tokens", type=int, default=16)
    made.add_argument("--seed", type=int, default=0)
    arguments = made.parse_args()
    model = Larimar.load(arguments.checkpoint)
    known = known_facts(model, arguments.counterfact, arguments.facts, max_tokens=arguments.max_tokens)
    facts = [row.fact for row in known]
    model.censor([model_fact(fact) for fact in facts])
    settings = {
        "facts": len(facts), "apart": arguments.apart, "budget": arguments.budget, "seed": arguments.seed,
        "max_tokens": arguments.max_tokens, "known_from": LEAST,
        "data_sha256": file_digest(arguments.counterfact),
        "checkpoint_sha256": checkpoint_digest(arguments.checkpoint),
    }  # fmt: skip
    journal = Journal(arguments.results / "attacks.jsonl", settings)
    bench = Bench(model, facts, Sampling(max_tokens=arguments.max_tokens), arguments.seed, journal)
    repair = bench.repair()
    attacks = [attack_named(name).with_budget(arguments.budget) for name in sorted(registered())]
    bench.run(attacks, lambda attack: facts if attack.counts else facts[: arguments.apart])
    tables = table([row for row in journal.rows if "attack" in row])
    repair["phrasings"] = sum(map(len, repair["phrasings"].values()))
    result = {"benchmark": "Attacks on facts that the base decoder knows", **settings, "repair": repair,
              "attacks": {k: {n: {f: v for f, v in row.items() if f != "told"} for n, row in t.items()}
                          for k, t in tables.items()}}  # fmt: skip
    draw(tables, arguments.results / "attacks.png")
    command = make_command("bench-attacks", made, arguments)
    write_result("attacks", result, rows=rows(tables), command=command, directory=arguments.results)
    journal.close()


if __name__ == "__main__":
    main()
