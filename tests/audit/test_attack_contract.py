"""What every attack promises, also one of another package: the same by seed, within its budget, never with the
answer, and honest about whom it names."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from audit.attacks import (
    ATTACKS,
    Attack,
    ProbeSet,
    attack_named,
    make_probes,
    registered,
    registry,
)
from audit.detect import ExactDetector
from audit.errors import AttackImpossible, AuditError, UnknownAttack
from audit.facts import AuditFact
from audit.frames import phrasings
from audit.rephrase import Phrasing
from audit.run import run_phase
from audit.words import texts
from tests.audit.fakes import Leaky, facts
from tests.audit.open_model import OpenModel

COUNTERFACT = [
    AuditFact("c0", "The mother tongue of Danielle Darrieux is", ("French",), "Danielle Darrieux"),
    AuditFact("c1", "What is the twin city of Lyon? It is", ("Beirut",), "Lyon"),
    AuditFact("c2", "Toko Yasuda, performing on the", ("guitar",), "Toko Yasuda"),
    AuditFact("c3", "In which country is the Autonomous University of Madrid?", ("Spain",), "University of Madrid"),
    AuditFact("c4", "my neighbour's dog is called", ("Bellatrix",)),
]  # fmt: skip
KNOWN = [*facts(10), *COUNTERFACT]
every_attack = pytest.mark.parametrize("name", sorted(ATTACKS))


@every_attack
def test_it_says_what_it_wants_and_from_whom(name: str) -> None:
    attack = attack_named(name)
    assert attack.key == name
    assert name in attack.name
    assert attack.goal.endswith(".")
    assert attack.threat in ("black-box", "part of the answer", "white-box", "storage")
    assert attack.counts == (attack.threat == "black-box" and name != "scope-membership")


@every_attack
def test_the_same_seed_makes_the_same_probes(name: str) -> None:
    attack = attack_named(name)
    assert make_probes(KNOWN, attack, 7) == make_probes(KNOWN, attack_named(name), 7)


@every_attack
@pytest.mark.parametrize("budget", [1, 7, 20, 100])
def test_the_budget_is_kept(name: str, budget: int) -> None:
    attack = attack_named(name).with_budget(budget)
    target = OpenModel(KNOWN)
    for fact in (KNOWN[0], COUNTERFACT[0]):
        target.draws = 0
        run_phase("after", target, [fact], attack, ExactDetector(), seed=3)
        assert target.draws <= max(budget, 4 if name == "scope-membership" else 0)


@every_attack
def test_no_probe_holds_the_answer_and_each_knows_whether_it_names_the_subject(name: str) -> None:
    by_id = {fact.id: fact for fact in KNOWN}
    made = make_probes(KNOWN, attack_named(name), 7)
    assert made.probes
    for probe in made.probes:
        fact = by_id[probe.fact_id].with_subject()
        assert probe.prompt.strip()
        assert probe.source
        assert not fact.holds_answer(probe.prompt)
        assert probe.identifies_subject == fact.identifies_subject(probe.prompt)


@every_attack
def test_it_never_asks_what_a_repair_may_learn_from(name: str) -> None:
    for probe in make_probes(KNOWN, attack_named(name), 7).probes:
        fact = next(fact for fact in KNOWN if fact.id == probe.fact_id).with_subject()
        repair = {texts(text) for lines in phrasings(fact, "repair").values() for text in lines}
        assert texts(probe.prompt) == texts(fact.prompt) or texts(probe.prompt) not in repair


@every_attack
def test_probes_go_to_json_and_back(name: str) -> None:
    made = make_probes(KNOWN, attack_named(name), 7)
    assert ProbeSet.model_validate_json(made.model_dump_json()) == made


@every_attack
def test_it_finds_what_is_there_and_nothing_in_a_model_that_knows_nothing(name: str) -> None:
    known = [fact for fact in KNOWN if fact.subject]
    told = OpenModel(known, blobs={"disk": b"... tokens of fact_003 ..."})
    if name == "scope-membership":
        told = OpenModel(known, 0.0, tombstones=known)
    silent = OpenModel(known, 0.0, blobs={"disk": b"nothing"})
    attack = attack_named(name)
    loud, _ = run_phase("before", told, known, attack, ExactDetector(), seed=1)
    quiet, _ = run_phase("after", silent, known, attack, ExactDetector(), seed=1)
    assert loud.facts_leaked >= (1 if name == "state-scan" else len(known) - 1)
    assert quiet.leaked == 0


@every_attack
def test_a_target_that_offers_too_little_is_refused(name: str) -> None:
    attack = attack_named(name)
    target = Leaky(KNOWN)
    if attack.needs == ("sample",):
        attack.check(target)
    else:
        with pytest.raises(AttackImpossible, match=name):
            run_phase("after", target, KNOWN, attack, ExactDetector())


@dataclass(frozen=True)
class Shouting(Attack):
    key: ClassVar[str] = "shouting"
    goal: ClassVar[str] = "Shout."
    phrasings: int = 1
    samples: int = 2

    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        return [Phrasing(fact.prompt.upper(), "shouted")], False


def offer(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    points = [EntryPoint(name, value, registry.GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)


def test_another_package_can_bring_an_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "shouting", f"{__name__}:Shouting")
    assert set(registered()) == {*ATTACKS, "shouting"}
    attack = attack_named("shouting", samples=3)
    assert make_probes(KNOWN[:1], attack, 0).probes[0].prompt.isupper()


@pytest.mark.parametrize(
    ("name", "value"),
    [("rephrase", f"{__name__}:Shouting"), ("json", "json:loads"), ("loud", f"{__name__}:Shouting")],
)  # fmt: skip
def test_a_package_that_offers_no_attack_or_a_taken_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    offer(monkeypatch, name, value)
    with pytest.raises(AuditError, match=name):
        registered()


def test_parameters_that_an_attack_does_not_have_are_refused() -> None:
    with pytest.raises(UnknownAttack, match="frame"):
        attack_named("frame", volume=11)
