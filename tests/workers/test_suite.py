"""The attacks that the settings name: each a saved step of its own, joined for the verdict."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from audit.errors import AuditError, UnknownAttack
from audit.report import validate
from store import audits, jobs, rechecks, requests
from store.texts import FactText
from tests.workers.conftest import Shop
from tests.workers.fakes import FakeLarimar
from tests.workers.test_samples import Killed, approved, die, lease_runs_out, run_of, stop_at, transcript
from unwrite.settings import Settings
from workers import request as flow
from workers import suite
from workers.audit import Audit
from workers.case import Case

Written = Callable[[int], list[FactText]]
SEVEN = "rephrase,resample,distractor,frame,alias,few-shot,neighbour-hop"


def with_attacks(shop: Shop, names: str) -> None:
    shop.settings = shop.settings.model_copy(update={"audit_attacks": names})


def report_of(shop: Shop, request_id: str):  # type: ignore[no-untyped-def]
    with shop.database.session(read_only=True) as session:
        return validate(audits.reports_of(session, request_id)[0].json)


def test_all_attacks_of_the_suite_stand_in_the_verdict(shop: Shop, written: Written) -> None:
    with_attacks(shop, SEVEN)
    request_id, job_id = approved(shop, "forget", written(3)[:2])
    assert shop.runner().run(job_id)
    [group] = report_of(shop, request_id).groups
    assert set(group.figures["after"].by_attack) == set(SEVEN.split(","))
    for phase in (group.before, group.after, group.twin):
        assert phase is not None
        assert [p.attack for p in phase.facts[0].probes] == [p.attack for p in group.after.facts[0].probes]
    assert group.before is not None
    assert group.before.facts_leaked == 2
    with shop.database.session(read_only=True) as session:
        found = audits.transcripts(session, shop.vault, run_of(shop, request_id).id)
    assert set(found) == {"before", "after", "twin"}


def test_few_facts_are_asked_for_in_as_many_wordings_as_a_pass_takes() -> None:
    alone, default = Settings(audit_attacks="rephrase"), Settings()
    assert [suite.phrasings(alone, facts) for facts in (1, 2, 5, 20)] == [19, 10, 4, 4]
    assert [suite.phrasings(default, facts) for facts in (1, 2)] == [11, 4], "other attacks ask as well"
    assert suite.phrasings(Settings(audit_phrasings=30), 1) == 30


def test_attacks_that_do_not_decide_stand_beside_the_verdict(shop: Shop, written: Written) -> None:
    with_attacks(shop, "rephrase,prefix")
    request_id, job_id = approved(shop, "forget", written(3)[:1])
    assert shop.runner().run(job_id)
    [group] = report_of(shop, request_id).groups
    assert set(group.figures["after"].by_attack) == {"rephrase"}
    assert [(p.name, p.attack.split(" ")[0]) for p in group.others] == [
        ("before", "prefix"), ("after", "prefix"), ("twin", "prefix"),
    ]  # fmt: skip


def test_finished_attacks_are_not_run_again(shop: Shop, written: Written) -> None:
    with_attacks(shop, "rephrase,distractor,frame")
    request_id, job_id = approved(shop, "forget", written(3)[:1])
    stop_at(3, die)
    with pytest.raises(Killed):
        shop.runner("first").run(job_id)
    run = run_of(shop, request_id)
    with shop.database.session(read_only=True) as session:
        done = [
            n for n in ("rephrase", "distractor", "frame") if audits.phase(session, run.id, f"before.{n}")
        ]
    assert done == ["rephrase", "distractor"]
    lease_runs_out(shop, job_id)
    calls: list[int] = []
    FakeLarimar.on_generate = lambda: calls.append(1)
    assert shop.runner("second").run(job_id)
    assert len(calls) == 1 + 3 + 3 + 1, "the missing attack, after, twin, and the direct question"


def test_people_see_which_attack_and_how_many_samples(
    shop: Shop, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_attacks(shop, "rephrase,distractor")
    _, job_id = approved(shop, "forget", written(3)[:1])
    told: list[tuple[str, int, int]] = []
    monkeypatch.setattr(jobs, "progress", lambda session, job, *what: told.append(what))
    assert shop.runner().run(job_id)
    mine = [what for what in told if what[0].startswith("after")]
    assert mine == [
        ("after, attack 1 of 2", 0, 91), ("after, attack 2 of 2", 85, 91), ("after, attack 2 of 2", 91, 91),
    ]  # fmt: skip


def stumbles_over_distractors(shop: Shop, texts: list[FactText]) -> list[str]:
    """A scope that knows every rephrasing, but not a sentence in front of the prompt; what repairs taught it."""
    shop.larimar.knows = {text.subject: text.answer for text in texts}
    shop.larimar.narrow = True
    really, widen = shop.larimar._entry, shop.larimar.widen
    learned: list[str] = []

    def entry(self: FakeLarimar, prompt: str) -> object:
        found = really(self, prompt)
        if found is None and not prompt.endswith(tuple(text.prompt for text in texts)):
            return next((e for e in self.bank.entries.values() if e.subject in prompt), None)
        return found

    shop.larimar._entry = entry  # type: ignore[method-assign, assignment]
    shop.larimar.widen = lambda self, i, new: learned.extend(new) or widen(self, i, new)  # type: ignore[method-assign, func-returns-value]
    return learned


def asked_by(shop: Shop, request_id: str, phase: str, attack: str) -> set[str]:
    """The prompts of one attack in the newest run."""
    return {line.prompt for line in transcript(shop, request_id, phase).lines if line.attack == attack}


def halves_of(prompts: set[str]) -> set[int]:
    return {sha256(prompt.encode()).digest()[0] % 2 for prompt in prompts}


def test_a_leak_that_only_one_attack_finds_is_repaired_and_certified_on_other_prompts(shop: Shop) -> None:
    with_attacks(shop, "rephrase,distractor")
    shop.settings = shop.settings.model_copy(update={"audit_budget": 12})
    texts = shop.texts(1)
    learned = stumbles_over_distractors(shop, texts)
    request_id, job_id = approved(shop, "censor", texts)
    assert shop.runner().run(job_id)
    assert shop.request(request_id).state == "completed"
    [group] = report_of(shop, request_id).groups
    assert len(group.requests[0].repairs) == 1
    certified = {line.prompt for line in transcript(shop, request_id, "after-1").lines}
    assert learned
    assert not certified & set(learned)
    assert halves_of(asked_by(shop, request_id, "after-1", "distractor")) == {1}
    assert group.figures["after"].by_attack["distractor"].total == 1


def test_a_recheck_of_a_repaired_censor_asks_nothing_that_the_repair_learned_from(shop: Shop) -> None:
    with_attacks(shop, "rephrase,distractor")
    shop.settings = shop.settings.model_copy(update={"audit_budget": 12})
    texts = shop.texts(1)
    learned = stumbles_over_distractors(shop, texts)
    request_id, job_id = approved(shop, "censor", texts)
    assert shop.runner().run(job_id)
    assert learned
    with shop.database.session() as session:
        row = rechecks.schedule(session, request_id, 7, "usr_two")
        job_id = rechecks.run_now(session, row.id, actor="usr_two").id
    assert shop.runner().run(job_id)
    asked = asked_by(shop, request_id, "after", "distractor")
    assert halves_of(asked) == {1}
    assert not asked & set(learned)


def test_attacks_that_ask_the_stored_prompt_or_decide_nothing_stay_whole_after_a_repair(shop: Shop) -> None:
    with_attacks(shop, "rephrase,resample,distractor,scope-membership,prefix")
    shop.settings = shop.settings.model_copy(update={"audit_budget": 12})
    texts = shop.texts(6)
    stumbles_over_distractors(shop, texts)
    request_id, job_id = approved(shop, "censor", texts)
    assert shop.runner().run(job_id)
    [group] = report_of(shop, request_id).groups
    assert group.requests[0].repairs
    assert group.figures["after"].by_attack["resample"].total == 6
    before, after = (
        {p.attack.split(" ")[0]: [len(f.probes) for f in p.facts] for p in group.others if p.name == name}
        for name in ("before", "after")
    )
    assert after == before
    assert after["scope-membership"] == [1] * 6
    assert halves_of(asked_by(shop, request_id, "after-1", "distractor")) == {1}


def test_a_retry_of_a_repaired_censor_asks_no_such_prompt_either(shop: Shop) -> None:
    with_attacks(shop, "rephrase,distractor")
    shop.settings = shop.settings.model_copy(update={"audit_budget": 12, "repair_rounds": 1})
    texts = shop.texts(1)
    stumbles_over_distractors(shop, texts)
    shop.larimar.widen = lambda self, i, new: self.bank.entries[i]  # type: ignore[method-assign]
    request_id, job_id = approved(shop, "censor", texts)
    assert shop.runner().run(job_id)
    assert shop.request(request_id).state == "residual"
    assert halves_of(asked_by(shop, request_id, "after", "distractor")) == {0, 1}
    with shop.database.session() as session:
        job_id = requests.retry(session, request_id, actor="usr_two").id
    assert shop.runner().run(job_id)
    assert halves_of(asked_by(shop, request_id, "after", "distractor")) == {1}


def test_the_report_gives_every_seed_that_was_drawn_with_and_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_attacks(shop, "rephrase,distractor,scope-membership")
    shop.settings = shop.settings.model_copy(update={"audit_budget": 12})
    texts = shop.texts(1)
    stumbles_over_distractors(shop, texts)
    drawn: set[int] = set()
    seed, told = Case.seed, Audit.seeds

    def watched(case: Case, purpose: str, number: int = 0) -> int:
        drawn.add(seed(case, purpose, number))
        return seed(case, purpose, number)

    def unwatched(audit: Audit, repairs: int) -> dict[str, int]:
        with monkeypatch.context() as patch:
            patch.setattr(Case, "seed", seed)
            return told(audit, repairs)

    monkeypatch.setattr(Case, "seed", watched)
    monkeypatch.setattr(Audit, "seeds", unwatched)
    monkeypatch.setattr(flow, "recall", lambda case, model: None)  # not told in the report
    request_id, job_id = approved(shop, "censor", texts)
    assert shop.runner().run(job_id)
    method = report_of(shop, request_id).method
    assert set(method.seeds.values()) == drawn
    assert set(method.seeds) == {
        "sample", "certify", "certify distractor", "certify scope-membership",
        "sample-1", "certify-1", "certify distractor-1", "certify scope-membership-1",
        "repair sample-1", "repair-1", "repair distractor-1", "neighbours",
    }  # fmt: skip
    assert (method.decoder, method.device) == ("dictionary", "cpu")


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        ("rephrase,shout", UnknownAttack, "UNWRITE_AUDIT_ATTACKS names shout"),
        ("prefix", AuditError, "decides the verdict"),
        ("", AuditError, "decides the verdict"),
    ],
)
def test_a_suite_that_cannot_decide_is_refused_before_any_work(
    names: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        suite.names(Settings(audit_attacks=names))
