"""The audit benchmarks: whom they ask, in whose words, what they count, and that a stopped run goes on."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from audit.attacks import RephraseAttack, make_probes
from audit.detect import ExactDetector
from audit.facts import AuditFact
from audit.model_rephrase import ModelRephraser
from audit.results import PhaseResult
from audit.run import run_phase
from audit.target import Sampling
from audit.words import texts
from benchmarks import audit_speed, phrasings
from benchmarks import repair as repair_bench
from benchmarks.attacks import BASE, CENSOR, Bench, rows, table
from benchmarks.datasets import DATA
from benchmarks.known import Known, candidates, known_facts, model_fact, neighbour_prompts, same_subject
from benchmarks.leaks import figures, leaking
from benchmarks.plots import bars
from benchmarks.recording import Journal
from benchmarks.repair import deep_figures
from benchmarks.repairing import Repair, repaired
from benchmarks.threshold import THRESHOLDS, points
from larimar import Larimar
from larimar.index import ScopeIndex
from larimar.scope import Hit, ScopeDetector
from tests.audit.fakes import Leaky, facts

FEW = Sampling(max_tokens=4)


def known(count: int) -> list[Known]:
    return candidates(DATA / "counterfact.json", 16)[:count]


def phase(chance: float, count: int = 10) -> PhaseResult:
    people = facts(count)
    return run_phase("after", Leaky(people, chance), people, RephraseAttack(), ExactDetector())[0]


def test_no_candidate_gives_its_answer_away() -> None:
    rows = candidates(DATA / "counterfact.json", 16)
    assert len(rows) > 1000
    assert not any(row.fact.holds_answer(row.fact.prompt) for row in rows)
    assert all(int(row.fact.id) < 2000 for row in rows)


def test_known_facts_are_those_above_the_probability(tiny: Larimar) -> None:
    assert known_facts(tiny, DATA / "counterfact.json", 3, least=1.0) == []
    taken = known_facts(tiny, DATA / "counterfact.json", 3, least=0.0)
    assert [row.fact.id for row in taken] == [row.fact.id for row in known(3)]


def test_what_must_not_change_names_no_censored_question() -> None:
    some = known(40)
    assert not any(row.fact.subject in prompt for prompt in neighbour_prompts(some) for row in some)
    others = same_subject(some)
    assert others
    assert not {row.fact.prompt for row in some} & set(others)


def test_bounds_stand_beside_the_counts_and_are_never_zero() -> None:
    silent, loud = figures(phase(0.0)), figures(phase(1.0), told={"fact_000"})
    assert (silent["facts_leaked"], silent["facts_upper"]) == (0, 25.89)
    assert silent["samples_upper"] > 20
    assert (loud["facts_percent"], loud["samples_percent"]) == (100.0, 100.0)
    assert loud["of_those_the_base_tells"]["facts"] == 1


def test_pararel_gives_only_what_stands_before_the_answer(tmp_path: Path) -> None:
    patterns = ("The tongue of [X] is [Y].", "[Y] is what [X] speaks.", "[X], who speaks [Y], sang.")
    lines = "".join(json.dumps({"pattern": p}) + "\n" for p in patterns)
    (tmp_path / "P103.jsonl").write_text(lines)
    some = [Known(AuditFact("f", "The mother tongue of Ann is", ("Dutch",), "Ann"), 0.1, "P103")]
    assert phrasings.pararel(some, tmp_path).texts == {"f": ["The tongue of Ann is", "Ann, who speaks"]}


def test_a_source_is_never_topped_up_by_another() -> None:
    some = facts(1)
    source = phrasings.Listed("own", {"fact_000": [f"Say it: {some[0].prompt}"]})
    made = make_probes(some, phrasings.attack_of(source, 4, 5), seed=0)
    assert [(p.source, p.prompt) for p in made.probes] == [("own", f"Say it: {some[0].prompt}")]
    assert (
        make_probes(some, phrasings.attack_of(source.without([f"say it {some[0].prompt}"]), 4, 5), 0).probes
        == ()
    )


def test_all_sources_take_turns() -> None:
    a, b = (phrasings.Listed(n, {"f": [f"{n} {i}" for i in range(2)]}) for n in "ab")
    mixed = phrasings.in_turn([a, b])
    fact = AuditFact("f", "?", ("x",))
    assert [p.text for p in mixed.rephrase(fact, 4, 0)] == ["a 0", "b 0", "a 1", "b 1"]


class Counts:
    name = "counts"

    def __init__(self) -> None:
        self.calls = 0

    def sample(self, prompts: Sequence[str], **_: object) -> list[list[str]]:
        self.calls += 1
        return [[f" {prompt} again"] for prompt in prompts]


def test_a_model_is_asked_for_all_facts_in_one_call() -> None:
    target, some = Counts(), known(5)
    rephraser = ModelRephraser(target, lambda pairs: [1.0] * len(pairs))
    made = phrasings.modelled("few-shot", some, rephraser, count=2, seed=0)
    assert target.calls == 1
    assert set(made.texts) == {row.fact.id for row in some}


def test_the_curve_counts_what_stays_outside_and_what_comes_in() -> None:
    drawn = dict(
        (t, (leaked, inside)) for t, leaked, inside in points([[(0.3, True)], [(0.6, True)]], [0.3, 0.02])
    )
    assert len(drawn) == len(THRESHOLDS)
    assert drawn[0.5] == (50.0, 0.0)
    assert drawn[0.01] == (0.0, 100.0)
    assert drawn[0.99] == (100.0, 0.0)


def test_leak_at_k_is_read_of_facts_with_all_their_samples() -> None:
    told = phase(0.5)
    short = told.facts[0].model_copy(update={"probes": told.facts[0].probes[:1]})
    cut = told.model_copy(update={"facts": (short, *told.facts[1:])})
    whole, found = deep_figures(told), deep_figures(cut)
    assert whole["leak_at_k"]["20"] == whole["facts_percent"]
    assert whole["leak_at_k"]["1"] == pytest.approx(whole["samples_percent"], abs=0.01)
    assert found["facts"] == 10, "a fact with fewer samples is still a fact"
    assert found["facts_at_k"]["20"] == 9
    assert found["facts_at_k"]["1"] == 10


def test_a_repair_widens_leaking_tombstones_by_words_that_never_certify(
    tiny: Larimar, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = [row.fact for row in known(2)]
    tiny.censor([model_fact(fact) for fact in some])

    def tells(self: Larimar, prompts: Sequence[str], *, samples: int, **_: object) -> list[list[str]]:
        routes = self.in_scope(prompts)
        outputs = [" unknown" if route else f" {some[0].answers[0]} {some[1].answers[0]}" for route in routes]
        return [[output] * samples for output in outputs]

    monkeypatch.setattr(Larimar, "generate", tells)
    monkeypatch.setattr(tiny.weights.detector, "route", only_stored(tiny.weights.detector))
    mended, did = repaired(tiny, some, FEW, seed=0)
    learned = [text for lines in did["phrasings"].values() for text in lines]
    assert learned
    assert did["rounds"][0]["facts_leaking"] == 2
    assert set(mended.in_scope(learned)) == {fact.id for fact in some}
    assert tiny.in_scope(learned) == [None] * len(learned), "the censor itself stays as it was"
    work = Repair(mended, some, FEW)
    asked = [{texts(p.prompt) for p in work.probes(n).probes} for n in range(3)]
    assert not asked[0] & asked[1]
    assert not (asked[0] | asked[1] | asked[2]) & {texts(text) for text in learned}
    assert {texts(t) for t in work.used()} >= asked[0] | asked[1] | {texts(text) for text in learned}


def only_stored(detector: ScopeDetector) -> Any:
    """Routing that knows a phrasing only as it was stored."""

    def route(prompts: Sequence[str], index: ScopeIndex) -> list[Hit | None]:
        rows = detector.embedder.embed(list(prompts))
        found = [index.candidates(row[None]) if len(index) else [] for row in rows]
        return [
            next((Hit(s.fact_id, 1.0, 1.0) for s in group if float((s.plain @ row).max()) > 0.999), None)
            for group, row in zip(found, rows, strict=True)
        ]

    return route


def test_a_stopped_attack_bench_asks_only_what_is_missing(tiny: Larimar, tmp_path: Path) -> None:
    some = [row.fact for row in known(2)]
    tiny.censor([model_fact(fact) for fact in some])
    attack = RephraseAttack(phrasings=1, samples=1)

    def bench() -> Bench:
        made = Bench(tiny, some, FEW, 0, Journal(tmp_path / "a.jsonl", {"facts": 2}))
        made.repair()
        return made

    first = bench()
    first.run([attack], lambda _: some)
    kept = list(first.journal.rows)
    assert [row["target"] for row in kept if "attack" in row] == list(first.targets())
    again = bench()
    again.run([attack], lambda _: some)
    assert again.journal.rows == kept
    tables = table([row for row in kept if "attack" in row])
    assert set(tables["rephrase"]) >= {BASE, CENSOR}
    assert next(row.name for row in rows(tables)) == "rephrase, naive censor: facts leaked, %"


def test_the_base_decoders_facts_stand_beside_a_censor() -> None:
    assert leaking(phase(1.0, 3)) == {"fact_000", "fact_001", "fact_002"}
    assert leaking(phase(0.0, 3)) == set()


def test_time_is_told_by_seam(tiny_checkpoint: Path) -> None:
    some = [row.fact for row in known(2)]
    row = audit_speed.measure(some, 2, tiny_checkpoint, "cpu")
    assert (row["facts"], row["samples"]) == (2, 8)
    assert row["seconds"] > row["load_s"] > 0
    shares = row["shares_percent"]
    assert sum(shares.values()) == pytest.approx(100, abs=0.3)
    assert shares["decoder"] > 0


def test_bars_are_drawn(tmp_path: Path) -> None:
    bars(tmp_path / "b.png", ["x", "y"], {"a": [(1, 2), (3, 4)]}, title="t", x="%")
    assert (tmp_path / "b.png").read_bytes()[:4] == b"\x89PNG"


def test_the_whole_repair_bench_writes_rows_curves_and_pictures(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair_bench, "known_facts", partial(known_facts, least=0.0))
    monkeypatch.setattr(repair_bench, "DEEP_SAMPLES", 1)
    options = ("--facts", "2", "--deep", "1", "--max-tokens", "4", "--checkpoint", str(tiny_checkpoint))
    monkeypatch.setattr("sys.argv", ["repair", *options, "--results", str(tmp_path)])
    repair_bench.main()
    result = json.loads((tmp_path / "repair.json").read_text())
    assert set(result["sources"]) == {"templates", "counterfact", "few-shot", "trained", "together"}
    assert set(result["sources"]["together"]) == {"base decoder", "censor", "repaired censor"}
    assert {name.split(", ")[1] for name in result["curves"]} == {"neighbours", "same subject"}
    assert result["price"]["neighbours"]["prompts"] > 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "repair.json", "repair_leak_at_k.png", "repair_threshold.png",
    }  # fmt: skip
