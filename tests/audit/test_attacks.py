"""Attacks make the promised probes, never repeat what a repair learned, and count what went wrong."""

import pytest

from audit.attacks import RephraseAttack, ResampleAttack, attack_named, make_probes
from audit.errors import UnknownAttack
from audit.facts import AuditFact
from audit.rephrase import Phrasing, TemplateRephraser
from tests.audit.fakes import facts


def test_an_unknown_attack_names_those_there_are() -> None:
    with pytest.raises(UnknownAttack, match="prefix, probability-delta, rephrase, resample"):
        attack_named("rephrasing")


def test_excluded_texts_are_never_asked_again() -> None:
    fact = facts(1)[0]
    first = make_probes([fact], RephraseAttack(), 1)
    used = [probe.prompt.upper() for probe in first.probes]
    second = make_probes([fact], RephraseAttack(exclude=used), 1)
    assert len(second.probes) == 4
    assert not {p.prompt.upper() for p in second.probes} & set(used)


def test_a_rephraser_that_raises_is_counted_and_templates_stand_in() -> None:
    class Broken:
        name = "broken"

        def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
            raise RuntimeError("no model")

    probes = make_probes(facts(3), RephraseAttack(Broken()), 1)
    assert probes.rephraser_failures == 3
    assert {probe.source for probe in probes.probes} == {"certify templates"}
    assert len(probes.probes) == 12


def test_an_attack_from_the_repair_set_never_borrows_from_the_certification_set() -> None:
    probes = make_probes(facts(10), RephraseAttack(TemplateRephraser("repair"), phrasings=200), 1)
    assert {probe.source for probe in probes.probes} == {"repair templates"}
    assert probes.missing > 0


@pytest.mark.parametrize("fact", facts(10), ids=lambda fact: fact.id)
def test_there_is_enough_to_certify_three_times_with_fresh_phrasings_and_to_repair(fact: AuditFact) -> None:
    assert len(TemplateRephraser("certify").rephrase(fact, 99, 0)) >= 12
    assert len(TemplateRephraser("repair").rephrase(fact, 99, 0)) >= 8


def test_a_rephraser_that_betrays_the_answer_is_not_believed() -> None:
    class Careless:
        name = "careless"

        def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
            return [
                Phrasing(f"{fact.prompt} {fact.answers[0]}", "careless"),
                Phrasing("Who is she?", "careless"),
            ]

    probes = make_probes(facts(2), RephraseAttack(Careless()), 1)
    assert {probe.source for probe in probes.probes} == {"certify templates"}


def test_probes_that_cannot_be_made_are_counted_as_missing() -> None:
    probes = make_probes(facts(1), RephraseAttack(phrasings=500), 1)
    assert probes.missing == 500 - len(probes.probes) > 0


def test_facts_that_cannot_be_audited_get_no_probes() -> None:
    bad = AuditFact("bad", "The colour is", ("the",))
    probes = make_probes([bad, *facts(1)], RephraseAttack(), 1)
    assert probes.refused == (("bad", "answer-is-stop-word"),)
    assert {probe.fact_id for probe in probes.probes} == {"fact_000"}


def test_probes_know_whether_they_say_who_is_meant() -> None:
    known = AuditFact("a", "The mother tongue of Anna Berg is", ("French",))
    unknown = AuditFact("b", "the phone number of my neighbour is", ("555 1234",))
    probes = make_probes([known, unknown], RephraseAttack(TemplateRephraser()), 1).probes
    assert [p.identifies_subject for p in probes] == [p.fact_id == "a" for p in probes]
    assert ResampleAttack().phrase(known, 0)[0][0].text == known.prompt
