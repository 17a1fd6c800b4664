"""From approval to report: what is promised about a request, also when workers die at the worst moment."""

import json
import threading
from collections.abc import Callable

import pytest

from audit.report import validate
from audit.statement import statement
from audit.transcript import Transcript
from store import audits, clocks, jobs, ledger, rechecks, requests
from store.models import Report
from store.texts import FactText
from tests.workers.conftest import Shop
from tests.workers.fakes import FakeLarimar
from workers import request as flow

Written = Callable[[int], list[FactText]]


class Killed(BaseException):
    """Stands for SIGKILL: no `except Exception` sees it."""


def dies(*args: object) -> None:
    """A step at which the worker is killed."""
    raise Killed


def phase(shop: Shop, request_id: str, name: str) -> dict[str, object] | None:
    with shop.database.session(read_only=True) as session:
        return audits.latest_phase(session, request_id, name)


def approved(shop: Shop, kind: str, texts: list[FactText]) -> tuple[str, str]:
    request_id = shop.submit(kind, texts)
    return request_id, shop.approve(request_id).id


def test_controls_ask_for_no_fact_of_the_same_request(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()

    def in_scope(self: FakeLarimar, prompts: list[str]) -> list[None]:
        asked.update(prompts)
        return [None] * len(prompts)

    texts = [
        FactText("The mother tongue of Ann Berg is", "Basque", "Ann Berg"),
        FactText("Ann Berg works as a", "baker", "Ann Berg"),
        FactText("Ann Berg died in", "Rome", "Ann Berg"),
    ]
    assert shop.runner("writer").run(shop.write(texts).id)
    _, job_id = approved(shop, "forget", texts)
    monkeypatch.setattr("workers.audit.SAME_SUBJECT", 20)
    monkeypatch.setattr(FakeLarimar, "in_scope", in_scope)
    assert shop.runner().run(job_id)
    assert "The height of Ann Berg is" in asked
    assert asked.isdisjoint({"The profession of Ann Berg is", "Ann Berg died in the town of"})


def test_forget_takes_exactly_these_facts_out_and_reports_a_pass(shop: Shop, written: Written) -> None:
    texts = written(4)
    before = shop.ledger_ids()
    request_id, job_id = approved(shop, "forget", texts[:1])
    assert shop.runner().run(job_id)
    assert shop.request(request_id).state == "completed"
    assert len(shop.ledger_ids()) == 3
    assert set(shop.ledger_ids()) < set(before)
    told, still = phase(shop, request_id, "before"), phase(shop, request_id, "after")
    assert told is not None
    assert still is not None
    recall = phase(shop, request_id, "recall")
    assert recall == {"asked": 1, "recalled": 0, "retained_asked": 3, "retained_recalled": 3}
    with shop.database.session(read_only=True) as session:
        [report] = audits.reports_of(session, request_id)
        html = audits.report_html(session, shop.vault, report.id)
    assert report.verdict == "pass"
    assert b"Tongue0" not in report.json
    assert b"Pat Sample0" not in report.json
    assert html is not None
    assert b"Tongue0" not in html


def test_censor_silences_what_the_decoder_knows(shop: Shop) -> None:
    texts = shop.texts(1)
    shop.larimar.knows = {texts[0].subject: texts[0].answer}
    request_id, job_id = approved(shop, "censor", texts)
    assert shop.runner().run(job_id)
    assert shop.request(request_id).state == "completed"
    assert len(shop.ledger_ids()) == 1


def test_a_leaking_tombstone_is_repaired_and_certified_afresh(shop: Shop) -> None:
    texts = shop.texts(1)
    shop.larimar.knows = {texts[0].subject: texts[0].answer}
    shop.larimar.narrow = True
    request_id, job_id = approved(shop, "censor", texts)
    assert shop.runner().run(job_id)
    assert shop.request(request_id).state == "completed"
    repair = phase(shop, request_id, "repair-1")
    assert repair is not None
    assert repair["facts_leaking"] == 1
    with shop.database.session(read_only=True) as session:
        [run] = audits.runs_of(session, request_id)
        first, again = (audits.transcript(session, shop.vault, run.id, name) for name in ("after", "after-1"))
    assert first is not None
    assert again is not None
    asked = [{line.prompt for line in Transcript.from_bytes(text).lines} for text in (first, again)]
    assert not asked[0] & asked[1]


def test_a_leak_that_stays_is_left_to_a_person(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = shop.texts(1)
    shop.larimar.knows = {texts[0].subject: texts[0].answer}
    shop.larimar.narrow = True
    monkeypatch.setattr(shop.larimar, "widen", lambda self, fact_id, phrasings: self.bank.entries[fact_id])
    request_id, job_id = approved(shop, "censor", texts)
    assert shop.runner().run(job_id)
    assert shop.request(request_id).state == "residual"
    with shop.database.session(read_only=True) as session:
        assert [report.verdict for report in audits.reports_of(session, request_id)] == ["fail"]


def test_a_removal_that_is_not_exact_fails_loudly_and_commits_nothing(shop: Shop, written: Written) -> None:
    texts = written(3)
    before = shop.ledger_ids()
    shop.larimar.forgets_really = False
    request_id, job_id = approved(shop, "forget", texts[:1])
    assert not shop.runner().run(job_id)
    assert shop.request(request_id).state == "failed"
    assert shop.job(job_id).error_class == "DigestMismatch"
    assert shop.ledger_ids() == before
    assert shop.revision() == 1


STEPS = ["_before", "apply", "neighbours", "recall", "_close", "_save_report"]


@pytest.mark.parametrize("moment", ["before the step", "after the step"])
@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_anywhere_is_followed_by_one_that_completes_once(
    shop: Shop, written: Written, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    texts = written(3)
    request_id, job_id = approved(shop, "forget", texts[:1])
    real = getattr(flow, step)

    def dies(*args: object, **kwargs: object) -> None:
        if moment == "after the step":
            real(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(flow, step, dies)
    with pytest.raises(Killed):
        shop.runner("first").run(job_id)
    monkeypatch.setattr(flow, step, real)
    lease_runs_out(shop, job_id)
    assert shop.runner("second").run(job_id)
    assert shop.request(request_id).state == "completed"
    happened = shop.events(request_id)
    assert happened.count("request.applied") == 1
    assert happened.count("request.audited_clean") == 1
    assert happened.count("audit.reported") == 1
    assert shop.revision() == 2
    assert len(shop.ledger_ids()) == 2


def lease_runs_out(shop: Shop, job_id: str) -> None:
    with shop.database.session() as session:
        jobs.hold(session, job_id, "first").lease_until = clocks.now()


def test_finished_phases_are_not_run_again(
    shop: Shop, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, job_id = approved(shop, "forget", written(3)[:1])
    real = flow._close
    monkeypatch.setattr(flow, "_close", dies)
    with pytest.raises(Killed):
        shop.runner("first").run(job_id)
    monkeypatch.setattr(flow, "_close", real)
    lease_runs_out(shop, job_id)
    calls: list[int] = []
    FakeLarimar.on_generate = lambda: calls.append(1)
    assert shop.runner("second").run(job_id)
    assert calls == []


def test_a_worker_that_lost_its_lease_commits_nothing(shop: Shop, written: Written) -> None:
    texts = written(3)
    request_id, job_id = approved(shop, "forget", texts[:1])

    def taken_over() -> None:
        FakeLarimar.on_generate = None
        with shop.database.session() as session:
            jobs.hold(session, job_id, "slow").worker = "other"

    FakeLarimar.on_generate = taken_over
    assert not shop.runner("slow").run(job_id)
    assert shop.revision() == 1
    assert shop.request(request_id).state == "applying"
    assert shop.job(job_id).worker == "other"


def test_a_graceful_stop_hands_the_job_back_and_costs_no_attempt(shop: Shop, written: Written) -> None:
    texts = written(3)
    request_id, job_id = approved(shop, "forget", texts[:1])
    stop = threading.Event()
    FakeLarimar.on_generate = stop.set
    runner = shop.runner("first", stop)
    woken: list[str] = []
    runner.wake = lambda job, queue: woken.append(job)
    assert not runner.run(job_id)
    FakeLarimar.on_generate = None
    job = shop.job(job_id)
    assert (job.state, job.attempts, woken) == ("queued", 0, [job_id])
    assert shop.runner("second").run(job_id)
    assert shop.request(request_id).state == "completed"


def test_two_workers_on_one_bank_do_not_undo_each_other(shop: Shop, written: Written) -> None:
    texts = written(6)
    both = [approved(shop, "forget", [text]) for text in texts[:2]]
    threads = [
        threading.Thread(target=shop.runner(f"worker{n}").run, args=(job_id,))
        for n, (_, job_id) in enumerate(both)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [shop.request(request_id).state for request_id, _ in both] == ["completed", "completed"]
    assert len(shop.ledger_ids()) == 4
    assert shop.revision() == 3


def test_waking_a_finished_job_again_does_nothing(shop: Shop, written: Written) -> None:
    request_id, job_id = approved(shop, "forget", written(3)[:1])
    runner = shop.runner()
    assert runner.run(job_id)
    happened = shop.events(request_id)
    assert not runner.run(job_id)
    assert not runner.run("job_unknown")
    assert shop.events(request_id) == happened


def test_a_recheck_audits_again_and_raises_an_alert_on_a_leak(shop: Shop) -> None:
    texts = shop.texts(1)
    shop.larimar.knows = {texts[0].subject: texts[0].answer}
    request_id, job_id = approved(shop, "censor", texts)
    runner = shop.runner()
    assert runner.run(job_id)
    assert shop.request(request_id).state == "completed"
    with shop.database.session() as session:
        row = rechecks.schedule(session, request_id, 7, "usr_two")
        first = rechecks.run_now(session, row.id, actor="usr_two").id
    assert runner.run(first)
    assert "recheck.alert" not in shop.events(request_id)
    leaks_again = lambda self, prompt: texts[0].answer  # noqa: E731
    shop.larimar._say = leaks_again  # type: ignore[method-assign]
    with shop.database.session() as session:
        second = rechecks.run_now(session, row.id, actor="usr_two").id
    assert runner.run(second)
    assert shop.events(request_id).count("recheck.alert") == 1
    assert shop.request(request_id).state == "completed"
    with shop.database.session(read_only=True) as session:
        newest, *earlier = audits.reports_of(session, request_id)
    assert [report.verdict for report in (newest, *earlier)] == ["fail", "pass", "pass"]
    (group,) = validate(newest.json).groups
    assert [point.look.leaked for point in group.trend] == [0, 0, group.after.samples]
    assert [point.look.verdict for point in group.trend] == ["pass", "pass", "fail"]
    assert validate(earlier[0].json).groups[0].figures["after"].doubted is not None, (
        "a second opinion was asked"
    )


def test_a_forget_is_rechecked_though_the_attack_has_changed_since(shop: Shop, written: Written) -> None:
    request_id, job_id = approved(shop, "forget", written(3)[:1])
    assert shop.runner().run(job_id)
    shop.settings = shop.settings.model_copy(update={"audit_samples": 6, "audit_phrasings": 5})
    with shop.database.session() as session:
        row = rechecks.schedule(session, request_id, 7, "usr_two")
        job_id = rechecks.run_now(session, row.id, actor="usr_two").id
    assert shop.runner().run(job_id), shop.job(job_id).error_class
    with shop.database.session(read_only=True) as session:
        assert [report.verdict for report in audits.reports_of(session, request_id)] == ["pass", "pass"]


def test_a_censor_is_rechecked_with_a_new_control_when_the_attack_has_changed(shop: Shop) -> None:
    texts = shop.texts(1)
    shop.larimar.knows = {texts[0].subject: texts[0].answer}
    request_id, job_id = approved(shop, "censor", texts)
    assert shop.runner().run(job_id)
    shop.settings = shop.settings.model_copy(update={"audit_samples": 6})
    with shop.database.session() as session:
        row = rechecks.schedule(session, request_id, 7, "usr_two")
        job_id = rechecks.run_now(session, row.id, actor="usr_two").id
    assert shop.runner().run(job_id), shop.job(job_id).error_class
    with shop.database.session(read_only=True) as session:
        newest, first = audits.reports_of(session, request_id)
    assert (newest.verdict, first.verdict) == ("pass", "pass")
    (group,) = validate(newest.json).groups
    assert group.before is not None
    assert group.before.attack == group.after.attack
    assert group.before.facts_leaked == 1
    assert group.before.target == "Larimar without what this request blocks, revision 1"


def test_a_retry_after_a_residual_leak_uses_the_first_control(shop: Shop) -> None:
    texts = shop.texts(1)
    shop.larimar.knows = {texts[0].subject: texts[0].answer}
    shop.larimar.narrow = True
    real = shop.larimar.widen
    shop.larimar.widen = lambda self, i, p: self.bank.entries[i]  # type: ignore[method-assign]
    request_id, job_id = approved(shop, "censor", texts)
    runner = shop.runner()
    assert runner.run(job_id)
    before = phase(shop, request_id, "before")
    shop.larimar.widen = real  # type: ignore[method-assign]
    with shop.database.session() as session:
        again = requests.retry(session, request_id, actor="usr_two").id
    assert runner.run(again)
    assert shop.request(request_id).state == "completed"
    assert phase(shop, request_id, "before") == before
    assert len(shop.ledger_ids()) == 1


def subjects_of(report: Report) -> dict[str, str]:
    """The states that a certificate of this report names, by digest."""
    stated = statement(validate(report.json), report_id=report.id, files={}, issued_at=clocks.now())
    return {one["name"]: one["digest"]["hmac-sha256"] for one in json.loads(stated)["subject"]}


def assert_names_the_certified_state(shop: Shop, request_id: str) -> None:
    with shop.database.session(read_only=True) as session:
        bank, newest = ledger.bank(session, "default"), audits.reports_of(session, request_id)[0]
    (group,) = validate(newest.json).groups
    state = group.requests[0].state
    assert group.after.target == f"Larimar, revision {bank.revision}"
    assert (state.revision_before, state.revision_after, state.digest_after) == (
        0,
        bank.revision,
        bank.digest,
    )
    assert subjects_of(newest)[f"memory/default@{bank.revision}"] == bank.digest


def test_report_and_certificate_of_a_repaired_censor_name_the_repaired_state(shop: Shop) -> None:
    texts = shop.texts(1)
    shop.larimar.knows = {texts[0].subject: texts[0].answer}
    shop.larimar.narrow = True
    request_id, job_id = approved(shop, "censor", texts)
    assert shop.runner().run(job_id)
    assert shop.revision() == 2
    assert_names_the_certified_state(shop, request_id)


def test_so_do_those_of_a_retry(shop: Shop) -> None:
    texts = shop.texts(1)
    shop.larimar.knows = {texts[0].subject: texts[0].answer}
    shop.larimar.narrow = True
    real = shop.larimar.widen
    shop.larimar.widen = lambda self, i, p: self.bank.entries[i]  # type: ignore[method-assign]
    request_id, job_id = approved(shop, "censor", texts)
    assert shop.runner().run(job_id)
    assert shop.request(request_id).state == "residual"
    assert_names_the_certified_state(shop, request_id)
    shop.larimar.widen = real  # type: ignore[method-assign]
    with shop.database.session() as session:
        again = requests.retry(session, request_id, actor="usr_two").id
    assert shop.runner().run(again)
    assert shop.revision() == 4
    assert_names_the_certified_state(shop, request_id)
    with shop.database.session(read_only=True) as session:
        made = [validate(report.json).groups[0].looks for report in audits.reports_of(session, request_id)]
    assert made == [5, 3], "the repairs of the run before are looks as well"


def test_a_report_names_the_certified_state_though_the_bank_has_moved_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, other = shop.texts(2)
    shop.larimar.knows = {text.subject: text.answer}
    request_id, job_id = approved(shop, "censor", [text])
    real = flow._close
    monkeypatch.setattr(flow, "_close", dies)
    with pytest.raises(Killed):
        shop.runner("first").run(job_id)
    monkeypatch.setattr(flow, "_close", real)
    with shop.database.session(read_only=True) as session:
        digest = ledger.bank(session, "default").digest
    lease_runs_out(shop, job_id)
    assert shop.runner("writer").run(shop.write([other]).id)
    assert shop.runner("second").run(job_id)
    with shop.database.session(read_only=True) as session:
        [report] = audits.reports_of(session, request_id)
    assert subjects_of(report)["memory/default@1"] == digest
    assert set(subjects_of(report)) == {"memory/default@0", "memory/default@1"}
