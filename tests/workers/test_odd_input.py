"""What an audit does with what nobody hoped for: no clean verdict ever comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from audit.detect import ExactDetector
from audit.rephrase import TemplateRephraser
from store import audits, log
from store.texts import FactText
from tests.workers.conftest import Shop
from tests.workers.fakes import FakeLarimar
from tests.workers.test_samples import approved, stop_at

Written = Callable[[int], list[FactText]]


def group_of(shop: Shop, request_id: str) -> dict[str, object]:
    with shop.database.session(read_only=True) as session:
        [group] = json.loads(audits.reports_of(session, request_id)[0].json)["groups"]
    return dict(group)


def codes(shop: Shop, request_id: str) -> set[str]:
    verdict = group_of(shop, request_id)["verdict"]
    assert isinstance(verdict, dict)
    return {reason["code"] for reason in verdict["reasons"]}


def fails(*_: object, **__: object) -> str:
    raise RuntimeError("the answer is Tongue0")


def test_what_the_model_never_told_cannot_be_shown_to_be_silenced(shop: Shop) -> None:
    request_id, job_id = approved(shop, "censor", shop.texts(1))  # the fake decoder knows nothing of it
    assert shop.runner().run(job_id)
    assert shop.request(request_id).state == "residual"
    assert group_of(shop, request_id)["verdict"]["value"] == "inconclusive"  # type: ignore[index]
    assert "no-power" in codes(shop, request_id)


def test_a_detector_that_fails_makes_samples_unscored_and_never_clean(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = shop.texts(1)
    shop.larimar.knows = {texts[0].subject: texts[0].answer}
    monkeypatch.setattr(ExactDetector, "judge", fails)
    monkeypatch.setattr("workers.report.measure", lambda *_: None)
    request_id, job_id = approved(shop, "censor", texts)
    assert shop.runner().run(job_id)
    assert shop.request(request_id).state == "residual"
    group = group_of(shop, request_id)
    assert group["verdict"]["value"] == "inconclusive"  # type: ignore[index]
    assert group["after"]["detector_failures"] == 19 * 5  # type: ignore[index]
    assert "no-result" in codes(shop, request_id)
    assert "Tongue0" not in capsys.readouterr().out


def test_a_rephraser_that_fails_leaves_nothing_to_judge_and_says_so(
    shop: Shop, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id, job_id = approved(shop, "forget", written(2)[:1])
    monkeypatch.setattr(TemplateRephraser, "rephrase", fails)
    assert shop.runner().run(job_id)
    assert shop.request(request_id).state == "residual"
    assert {"rephraser-failed", "no-result"} <= codes(shop, request_id)


def test_a_clock_that_is_set_back_in_the_middle_loses_nothing(shop: Shop, written: Written) -> None:
    request_id, job_id = approved(shop, "forget", written(12))
    shop.runner()
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        stop_at(4, lambda: clock.shift(timedelta(hours=-5)))
        assert shop.runner().run(job_id)
    FakeLarimar.on_generate = None
    assert shop.request(request_id).state == "completed"
    assert shop.events(request_id).count("audit.reported") == 1
    with shop.database.session(read_only=True) as session:
        times = [event.at for event in shop_events(session)]
        assert len(log.hashes(session, after=0, limit=1000)) == len(times)
    assert times == sorted(times), "the log's time never runs backwards"


def shop_events(session):  # type: ignore[no-untyped-def]
    from store import events

    return events.list_events(session, limit=1000)
