"""What a report counts comes from one state of the bank, whoever commits meanwhile and whichever worker dies; and a
fact that was written again is no part of the memory that never held it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from audit.report import validate
from audit.schema import Group
from store import audits, ledger
from store.texts import FactText
from tests.workers import test_blind_recheck as blind
from tests.workers.conftest import Shop
from tests.workers.fakes import FakeLarimar
from tests.workers.test_samples import Killed, approved, die, lease_runs_out, stop_at, transcript
from workers import request as flow

Written = Callable[[int], list[FactText]]
THREE = "rephrase,distractor,frame"


def commits(shop: Shop, text: FactText) -> None:
    """Another job takes a fact out of the same bank."""
    FakeLarimar.on_generate = None
    _, job_id = approved(shop, "forget", [text])
    assert shop.runner("other").run(job_id)


def group_of(shop: Shop, request_id: str) -> Group:
    with shop.database.session(read_only=True) as session:
        [group] = validate(audits.reports_of(session, request_id)[0].json).groups
    return group


def assert_speaks_of(shop: Shop, request_id: str, revision: int) -> None:
    """Counts, twin and digest are those of one committed revision."""
    group = group_of(shop, request_id)
    state = group.requests[0].state
    with shop.database.session(read_only=True) as session:
        bank_id = ledger.bank(session, "default").id
        digests = {row.revision: row.digest for row in ledger.revisions(session, bank_id)}
    assert group.after.target == f"Larimar, revision {revision}"
    assert (state.revision_after, state.digest_after) == (revision, digests[revision])
    if group.twin is not None:
        assert group.twin.target == f"Larimar that was never given the facts, revision {revision}"
        assert state.equal


def asked(then: Callable[[], object]) -> int:
    """How many batches the model is asked meanwhile."""
    calls: list[int] = []
    FakeLarimar.on_generate = lambda: calls.append(1)
    then()
    FakeLarimar.on_generate = None
    return len(calls)


def dies_at(shop: Shop, job_id: str, call: int) -> None:
    stop_at(call, die)
    with pytest.raises(Killed):
        shop.runner("first").run(job_id)
    FakeLarimar.on_generate = None
    lease_runs_out(shop, job_id)


BATCHES = 3 + 3 + 3 + 1
"""before, after, twin, and the direct question"""


@pytest.mark.parametrize("call", [5, 7, 9, 10])
def test_after_an_interruption_samples_of_two_states_are_not_joined(
    shop: Shop, written: Written, call: int
) -> None:
    shop.settings = shop.settings.model_copy(update={"audit_attacks": THREE})
    texts = written(4)
    request_id, job_id = approved(shop, "forget", texts[:1])
    dies_at(shop, job_id, call)
    commits(shop, texts[1])
    assert asked(lambda: shop.runner("second").run(job_id)) == 3 + 3 + 1, "after and twin begin anew"
    assert_speaks_of(shop, request_id, 3)
    control, after, twin = (
        Counter((line.attack, line.probe) for line in transcript(shop, request_id, name).lines)
        for name in ("before", "after", "twin")
    )
    assert after == twin == control, "no probe twice"


@pytest.mark.parametrize("call", [5, 8, 10])
def test_where_nobody_committed_nothing_is_asked_again(shop: Shop, written: Written, call: int) -> None:
    shop.settings = shop.settings.model_copy(update={"audit_attacks": THREE})
    request_id, job_id = approved(shop, "forget", written(4)[:1])
    dies_at(shop, job_id, call)
    assert asked(lambda: shop.runner("second").run(job_id)) == BATCHES - (call - 1)
    assert_speaks_of(shop, request_id, 2)


def test_a_control_that_was_interrupted_is_of_one_state_as_well(shop: Shop, written: Written) -> None:
    shop.settings = shop.settings.model_copy(update={"audit_attacks": THREE})
    texts = written(4)
    request_id, job_id = approved(shop, "forget", texts[:1])
    dies_at(shop, job_id, 3)
    commits(shop, texts[1])
    assert asked(lambda: shop.runner("second").run(job_id)) == BATCHES
    before = group_of(shop, request_id).before
    assert before is not None
    assert before.target == "Larimar, revision 2"


def test_what_others_commit_meanwhile_does_not_touch_the_audit(shop: Shop, written: Written) -> None:
    texts = written(4)
    request_id, job_id = approved(shop, "forget", texts[:1])
    stop_at(3, lambda: commits(shop, texts[1]))  # during «after»: each phase asks 19 prompts in two batches
    assert shop.runner().run(job_id)
    assert shop.revision() == 3
    assert_speaks_of(shop, request_id, 2)


@pytest.mark.parametrize("step", ["neighbours", "recall"])
def test_a_censor_is_certified_afresh_when_its_neighbours_would_be_of_another_state(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    text, other = shop.texts(2)
    shop.larimar.knows = {text.subject: text.answer}
    request_id, job_id = approved(shop, "censor", [text])
    with monkeypatch.context() as patch:
        patch.setattr(flow, step, lambda case, model: die())
        with pytest.raises(Killed):
            shop.runner("first").run(job_id)
    lease_runs_out(shop, job_id)
    assert shop.runner("writer").run(shop.write([other]).id)
    assert shop.runner("second").run(job_id)
    assert_speaks_of(shop, request_id, 2)


@pytest.mark.parametrize(("call", "again"), [(5, 0), (6, 1), (8, 1)])
def test_a_repair_stands_though_the_state_moves_before_its_certification(
    shop: Shop, call: int, again: int
) -> None:
    text, other = shop.texts(2)
    shop.larimar.knows = {text.subject: text.answer}
    shop.larimar.narrow = True
    request_id, job_id = approved(shop, "censor", [text])
    dies_at(shop, job_id, call)  # before 2, after 2, repair 1, after it 2, the direct question
    with shop.database.session(read_only=True) as session:
        repaired = audits.latest_phase(session, request_id, "repair-1")
    assert (repaired is not None) == bool(again)
    assert shop.runner("writer").run(shop.write([other]).id)
    assert shop.runner("second").run(job_id)
    assert shop.request(request_id).state == "completed"
    assert len(group_of(shop, request_id).requests[0].repairs) == 1
    assert_speaks_of(shop, request_id, 3)


def written_again(shop: Shop, text: FactText) -> str:
    """The id under which the text is in the memory from now on."""
    known = set(shop.ledger_ids())
    assert shop.runner("writer").run(shop.write([text]).id)
    [fact_id] = set(shop.ledger_ids()) - known
    return fact_id


@pytest.mark.parametrize("destroyed", [False, True], ids=["with its answer", "with digests alone"])
def test_a_recheck_fails_when_the_fact_is_in_the_memory_again(shop: Shop, destroyed: bool) -> None:
    request_id = blind.completed(shop, "forget")
    if destroyed:
        blind.destroy_answers(shop, request_id)
    assert blind.rechecked(shop, request_id) == "pass"
    again = replace(
        blind.FACT, prompt=blind.FACT.prompt.upper(), answer=blind.CANARY.lower(), subject="Pat Canary"
    )
    fact_id = written_again(shop, again)
    assert blind.rechecked(shop, request_id) == "fail"
    group = group_of(shop, request_id)
    state = group.requests[0].state
    assert (state.restated, state.equal) == ((fact_id,), False)
    assert {reason.code for reason in group.verdict.reasons} >= {"restated", "not-equal", "leaks"}
    assert group.verdict.leaked == group.verdict.total, "what it tells is no guess"
    with shop.database.session(read_only=True) as session:
        report = validate(audits.reports_of(session, request_id)[0].json)
    assert report.headline.startswith(
        f"A removed fact is in the memory again under another id ({fact_id}): submit a new request for it."
    )
    assert shop.events(request_id).count("recheck.alert") == 1
    _, job_id = approved(shop, "forget", [again])
    assert shop.runner().run(job_id)
    assert blind.rechecked(shop, request_id) == "pass", "as the report advised"


@pytest.mark.parametrize("destroyed", [False, True], ids=["with its answer", "with digests alone"])
def test_another_answer_or_another_question_is_another_fact(shop: Shop, destroyed: bool) -> None:
    request_id = blind.completed(shop, "forget")
    if destroyed:
        blind.destroy_answers(shop, request_id)
    written_again(shop, replace(blind.FACT, answer="Volapük"))
    written_again(shop, FactText("The mother tongue of Bo Stranger is", blind.CANARY, "Bo Stranger"))
    assert blind.rechecked(shop, request_id) == "pass"
    assert group_of(shop, request_id).requests[0].state.restated == ()


def test_what_was_written_again_before_the_first_audit_ended_is_left_to_a_person(
    shop: Shop, written: Written
) -> None:
    texts = written(3)
    request_id, job_id = approved(shop, "forget", texts[:1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "apply", lambda case, real=flow.apply: (real(case), die()))
        with pytest.raises(Killed):
            shop.runner("first").run(job_id)
    lease_runs_out(shop, job_id)
    fact_id = written_again(shop, texts[0])
    assert shop.runner("second").run(job_id)
    assert shop.request(request_id).state == "residual"
    assert group_of(shop, request_id).requests[0].state.restated == (fact_id,)
