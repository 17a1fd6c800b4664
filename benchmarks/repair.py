"""Repaired tombstones, certified in words that no repair saw: `make bench-repair ARGS="--pararel DIR"`.

Facts that the base decoder knows are censored in one bank and repaired as the product does it (`audit.repair`).
Base decoder, censor and repaired censor then get the same phrasings from several sources (`benchmarks.phrasings`),
4 phrasings x 5 samples a fact and source. Price: next-token logits of neighbours and of other questions about
the same subjects against the base decoder's, bit for bit; and how many neighbours get another answer, output check
included. For the first facts also 1,000 samples each, read as
leak@k: the chance that any of k samples, drawn from these phrasings, tells. The curve moves the detector's threshold
(no output check) before and after the repair.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from audit.attacks import make_probes
from audit.attacks.base import Attack
from audit.detect import ExactDetector
from audit.facts import AuditFact
from audit.model_rephrase import ModelRephraser
from audit.results import PhaseResult, joined_attacks
from audit.run import run_phase
from audit.statistics import leak_at_k
from audit.target import Sampling, Target
from audit.transcript import Transcript
from benchmarks import phrasings, threshold
from benchmarks.datasets import DATA
from benchmarks.known import LEAST, Known, known_facts, model_fact, neighbour_prompts, same_subject
from benchmarks.leaks import figures, leaking
from benchmarks.plots import draw
from benchmarks.recording import (
    Journal,
    Row,
    checkpoint_digest,
    file_digest,
    make_command,
    parser,
    write_result,
)
from benchmarks.repairing import PHRASINGS, SAMPLES, Repair, repaired, widen
from benchmarks.tombstones import over_blocked
from larimar import Larimar
from larimar.rephraser import default_directory
from workers.targets import DecoderTarget, MemoryTarget

PAPER = {"Larimar, single edits": 17.6, "Larimar, batch": 21.5, "ROME": 29.0, "MEMIT": 49.3}
"""Per cent of facts leaked at budget 20 (Table 5; Patil et al. 2023)."""
BASE, BEFORE, AFTER = "base decoder", "censor", "repaired censor"
TOGETHER = "together"
ANSWERS = "neighbours answered otherwise, output check included, %"
DEEP_PHRASINGS, DEEP_SAMPLES = 20, 50
BUDGETS = (20, 100, 1000)


@dataclass
class Bench:
    """Facts, the censor before and after its repair, and what the journal holds of earlier runs."""

    known: Sequence[Known]
    before: Larimar
    after: Larimar
    sampling: Sampling
    seed: int
    journal: Journal

    @property
    def facts(self) -> list[AuditFact]:
        """The censored facts."""
        return [row.fact for row in self.known]

    def targets(self) -> dict[str, Target]:
        """Base decoder, censor, repaired censor."""
        return {
            BASE: DecoderTarget(BASE, self.before.weights.base),
            BEFORE: MemoryTarget(BEFORE, self.before),
            AFTER: MemoryTarget(AFTER, self.after),
        }

    def attacked(
        self, purpose: str, facts: Sequence[AuditFact], attack: Attack
    ) -> dict[str, tuple[PhaseResult, dict[str, list[str]]]]:
        """Every target under one attack: counts, and the prompts that told; from the journal where it has them."""
        found = {}
        kept = {r["target"]: r for r in self.journal.rows if r.get("purpose") == purpose}
        probes = make_probes(facts, attack, self.seed, max_tokens=self.sampling.max_tokens)
        for name, target in self.targets().items():
            if name not in kept:
                phase, transcript = run_phase(
                    "after", target, facts, attack, ExactDetector(), sampling=self.sampling, seed=self.seed,
                    probes=probes,
                )  # fmt: skip
                kept[name] = _row(purpose, name, phase, transcript)
                self.journal.append([kept[name]])
                print(f"{purpose}, {name}: {phase.facts_leaked} of {len(phase.audited)} facts", flush=True)
            found[name] = (PhaseResult.model_validate(kept[name]["phase"]), kept[name]["told"])
        return found

    def price(self) -> dict[str, Any]:
        """Share (per cent) of other prompts whose next-token logits are the base decoder's, bit for bit."""
        made: dict[str, Any] = {}
        sets = {"neighbours": neighbour_prompts(self.known), "same subject": same_subject(self.known)}
        for kind, prompts in sets.items():
            made[kind] = {"prompts": len(prompts)}
            for name, model in ((BEFORE, self.before), (AFTER, self.after)):
                agreed = sum(model.agrees_with_base(prompts))
                made[kind][name] = round(100 * agreed / len(prompts), 3) if prompts else None
        made[ANSWERS] = {
            name: over_blocked(model, sets["neighbours"], self.sampling.max_tokens)
            for name, model in ((BEFORE, self.before), (AFTER, self.after))
        }
        return made

    def curves(self, told: Sequence[dict[str, list[str]]], asked: dict[str, list[str]]) -> dict[str, Any]:
        """The leak / over-blocking curve of both censors. `told`: prompts that got an answer out of the base."""
        out = {(i, p) for each in told for i, prompts in each.items() for p in prompts}
        flat = [(i, p) for i, prompts in asked.items() for p in prompts]
        others = {"neighbours": neighbour_prompts(self.known), "same subject": same_subject(self.known)}
        made: dict[str, Any] = {}
        for name, model in ((BEFORE, self.before), (AFTER, self.after)):
            chances = dict(zip(flat, threshold.chances(model, [p for _, p in flat]), strict=True))
            pairs = [[(chances[i, p], (i, p) in out) for p in prompts] for i, prompts in asked.items()]
            for kind, prompts in others.items():
                made[f"{name}, {kind}"] = threshold.points(pairs, threshold.chances(model, prompts))
        return made


def _row(purpose: str, target: str, phase: PhaseResult, transcript: Transcript) -> dict[str, Any]:
    return {
        "purpose": purpose, "target": target, "phase": phase.model_dump(mode="json"),
        "told": transcript.leaking(),
    }  # fmt: skip


def sources(
    arguments: argparse.Namespace, known: Sequence[Known], model: Larimar, used: Sequence[str]
) -> list[phrasings.Listed]:
    """The certification's sources, without anything that the repair loop asked."""
    base, seed = DecoderTarget(BASE, model.weights.base), arguments.seed
    made = [
        phrasings.templates(known, seed),
        phrasings.counterfact(known),
        phrasings.modelled(
            "few-shot", known, ModelRephraser(base, model.similarity), count=PHRASINGS, seed=seed
        ),
    ]  # fmt: skip
    if arguments.pararel:
        made.append(phrasings.pararel(known, arguments.pararel))
    made.append(phrasings.trained(arguments.rephraser, known, model, count=PHRASINGS, seed=seed))
    return [source.without(used) for source in made]


def deep_figures(phase: PhaseResult) -> dict[str, Any]:
    """Facts leaked at all samples, and leak@k with the facts that had at least k samples.

    A fact of which the sources said too little has fewer samples than others.
    """
    counts = [(fact.scored, fact.leaked) for fact in phase.audited]
    most = max((total for total, _ in counts), default=0)
    at = {
        k: [(n, c) for n, c in counts if n >= k] for k in (1, 2, 5, 10, *BUDGETS, 50, 200, 500) if k <= most
    }
    return {
        **figures(phase),
        "leak_at_k": {
            str(k): round(100 * fmean(leak_at_k(n, c, k) for n, c in some), 3)
            for k, some in sorted(at.items())
        },
        "facts_at_k": {str(k): len(some) for k, some in sorted(at.items())},
    }


def measure(
    bench: Bench, made: Sequence[phrasings.Listed], deep: int
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Figures by source and target, deep figures by target, threshold curves by name."""
    by_source = {
        source.name: bench.attacked(source.name, bench.facts, phrasings.attack_of(source, PHRASINGS, SAMPLES))
        for source in made
    }
    told = {source: leaking(found[BASE][0]) for source, found in by_source.items()}
    shares = {
        source: {name: figures(phase, told[source]) for name, (phase, _) in found.items()}
        for source, found in by_source.items()
    }
    joined = {
        name: joined_attacks([found[name][0] for found in by_source.values()])
        for name in (BASE, BEFORE, AFTER)
    }
    base = leaking(joined[BASE])
    shares[TOGETHER] = {name: figures(phase, base) for name, phase in joined.items()}
    attack = phrasings.attack_of(phrasings.in_turn(made), DEEP_PHRASINGS, DEEP_SAMPLES)
    deeply = {
        name: deep_figures(phase)
        for name, (phase, _) in bench.attacked("deep", bench.facts[:deep], attack).items()
    }
    asked: dict[str, list[str]] = {fact.id: [] for fact in bench.facts}
    for source in made:
        some = phrasings.attack_of(source, PHRASINGS, SAMPLES)
        for probe in make_probes(bench.facts, some, bench.seed, max_tokens=bench.sampling.max_tokens).probes:
            asked[probe.fact_id].append(probe.prompt)
    return shares, deeply, bench.curves([found[BASE][1] for found in by_source.values()], asked)


def rows(shares: dict[str, Any], deeply: dict[str, Any], price: dict[str, Any]) -> list[Row]:
    """What goes on the page."""
    made = []
    for source, each in shares.items():
        for name in (BEFORE, AFTER):
            reach = "≤ 1 (bound ≤ 3)" if name == AFTER else None
            told = f"{each[name]['facts_percent']} (≤ {each[name]['facts_upper']})"
            base, paper = each[BASE]["facts_percent"], PAPER["Larimar, single edits"]
            made.append(Row(f"{name}, {source}: facts leaked, %", paper, reach, told, base))
    for other in ("ROME", "MEMIT"):
        made.append(
            Row(f"the same of {other} on GPT-J (in the paper): facts leaked, %", PAPER[other], None, None)
        )
    for k in map(str, BUDGETS):
        for name in (BEFORE, AFTER):
            if k in (found := deeply[name]["leak_at_k"]):
                base, facts = deeply[BASE]["leak_at_k"].get(k), deeply[name]["facts_at_k"][k]
                made.append(Row(f"{name}, leak@{k} of {facts} facts, %", None, None, found[k], base))
    for kind, each in price.items():
        what, reach = ("", None) if kind == ANSWERS else (": next token as the base decoder's, %", "≥ 99")
        made += [Row(f"{kind}, {name}{what}", None, reach, each[name]) for name in (BEFORE, AFTER)]
    return made


def pictures(deeply: dict[str, Any], curves: dict[str, Any], directory: Path) -> None:
    """leak@k, and the threshold's curve."""
    lines = {n: [(float(k), v) for k, v in each["leak_at_k"].items()] for n, each in deeply.items()}
    if any(lines.values()):
        shown = {n: line for n, line in lines.items() if line}
        draw(directory / "repair_leak_at_k.png", shown, title="leak@k", x="samples k", y="facts, %", log=True)
    moved = {name: [(inside, leaked) for _, leaked, inside in line] for name, line in curves.items()}
    draw(
        directory / "repair_threshold.png", moved, title="Threshold of the scope detector",
        x="other prompts in scope, % (over-blocking)", y="facts leaked through prompts out of scope, %",
    )  # fmt: skip


def censors(
    model: Larimar, facts: Sequence[AuditFact], sampling: Sampling, seed: int, journal: Journal
) -> tuple[Larimar, dict[str, Any]]:
    """The repaired copy of a censor, made anew or from the journal, and what the repair did."""
    kept = next((row["repair"] for row in journal.rows if "repair" in row), None)
    if kept is None:
        after, kept = repaired(model, facts, sampling, seed)
        journal.append([{"repair": kept}])
    else:
        after = model.with_bank(model.bank.entries.values())
        widen(after, kept["phrasings"])
    return after, dict(kept)


def options() -> argparse.ArgumentParser:
    """The command line."""
    made = parser("benchmarks.repair", __doc__ or "")
    made.add_argument("--counterfact", type=Path, default=DATA / "counterfact.json", help="or full.json")
    made.add_argument("--facts", type=int, default=313)
    made.add_argument("--deep", type=int, default=60, help="facts that get 1,000 samples each")
    made.add_argument("--pararel", type=Path, help="directory of ParaRel's patterns")
    made.add_argument(
        "--rephraser", type=Path, default=default_directory(), help="a rephraser; default: the shipped one"
    )
    made.add_argument("--max-tokens", type=int, default=16)
    made.add_argument("--seed", type=int, default=0)
    return made


def main() -> None:
    """Run the benchmark and write its result and pictures."""
    arguments = options().parse_args()
    model, sampling = Larimar.load(arguments.checkpoint), Sampling(max_tokens=arguments.max_tokens)
    known = known_facts(model, arguments.counterfact, arguments.facts, max_tokens=arguments.max_tokens)
    facts = [row.fact for row in known]
    model.censor([model_fact(fact) for fact in facts])
    settings = {
        "facts": len(facts), "deep": arguments.deep, "seed": arguments.seed, "known_from": LEAST,
        "max_tokens": arguments.max_tokens, "pararel": bool(arguments.pararel),
        "rephraser_sha256": checkpoint_digest(arguments.rephraser),
        "data_sha256": file_digest(arguments.counterfact),
        "checkpoint_sha256": checkpoint_digest(arguments.checkpoint),
    }  # fmt: skip
    journal = Journal(arguments.results / "repair.jsonl", settings)
    after, repair = censors(model, facts, sampling, arguments.seed, journal)
    bench = Bench(known, model, after, sampling, arguments.seed, journal)
    made = sources(arguments, known, model, Repair(after, facts, sampling, arguments.seed).used())
    shares, deeply, curves = measure(bench, made, arguments.deep)
    price = bench.price()
    repair["phrasings"] = sum(map(len, repair["phrasings"].values()))
    result = {
        "benchmark": f"Repaired censors, certified in other words: {len(facts)} facts", **settings, "repair": repair,
        "paper": PAPER, "sources": shares, "deep_figures": deeply, "price": price, "curves": curves,
    }  # fmt: skip
    pictures(deeply, curves, arguments.results)
    write_result(
        "repair", result, rows=rows(shares, deeply, price), directory=arguments.results,
        command=make_command("bench-repair", options(), arguments),
    )  # fmt: skip
    journal.close()


if __name__ == "__main__":
    main()
