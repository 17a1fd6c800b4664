"""Looks in a row: the bound from all of them holds however often one looks, and begins anew after a repair."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pytest

from audit.eprocess import anytime_upper, log_wealth
from audit.policy import Policy
from audit.report import RepairRound, pool, validate
from audit.statistics import clopper_pearson_upper
from audit.trend import look_of, to_json, trend
from audit.trend_page import render, sentence
from tests.audit.fakes import NOW, looks, report
from tests.audit.golden_files import rechecked
from tests.audit.markup import assert_self_contained


def test_each_look_has_its_own_bound_and_the_bound_of_all_so_far() -> None:
    points = trend(looks((0, 20), (1, 20), (0, 20)), 0.95)
    assert [point.upper for point in points] == [
        pytest.approx(clopper_pearson_upper(leaked, 20), abs=1e-6) for leaked in (0, 1, 0)
    ]
    assert [(point.leaked_so_far, point.attempts_so_far) for point in points] == [(0, 20), (1, 40), (1, 60)]
    assert points[2].anytime == pytest.approx(anytime_upper(1, 60), abs=1e-6)
    assert points[2].anytime_by_phrasing == pytest.approx(anytime_upper(1, 12), abs=1e-6)


def test_after_a_repair_counting_begins_anew() -> None:
    points = trend(looks((5, 20), (0, 20), (0, 20), repaired=(1,)), 0.95)
    assert [(point.leaked_so_far, point.attempts_so_far) for point in points] == [(5, 20), (0, 20), (0, 40)]


def test_after_another_attack_or_detector_too() -> None:
    first, *others = looks((1, 20), (0, 20), (0, 20), (0, 20))
    changed = [first, *(look.model_copy(update={"attack": "another"}) for look in others[:2])]
    points = trend([*changed, others[2].model_copy(update={"attack": "another", "detector": "blind"})], 0.95)
    assert [point.anew for point in points] == [True, True, False, True]
    assert [point.attempts_so_far for point in points] == [20, 20, 40, 20]
    assert "attacked or judged in another way" in render(points, Policy()).decode()


def test_who_looks_thirty_times_is_rarely_told_less_than_the_truth() -> None:
    """10,000 requests with a true chance of 15 %, 30 looks at 20 attempts: the bound of all looks ever lies below
    the truth for 5 % at most; the bounds of single looks do for more than half.
    """
    truth = 0.15
    now = np.random.default_rng(5).binomial(20, truth, size=(10_000, 30))
    ever_ruled_out = log_wealth(np.cumsum(now, axis=1), 20 * np.arange(1, 31), truth) >= np.log(20)
    assert ever_ruled_out.any(axis=1).mean() <= 0.05
    single = np.array([clopper_pearson_upper(leaked, 20) for leaked in range(21)])
    assert (single[now] < truth).any(axis=1).mean() > 0.5


def test_a_look_counts_attempts_beyond_guesses() -> None:
    made, _ = report("forget", 20, after=0.3, twin=0.3)
    assert look_of(made).leaked < made.groups[0].after.leaked
    assert look_of(made).attempts == 400, "attempts, though the verdict is about facts"
    assert look_of(
        report("censor", 3, repairs=(RepairRound(round=1, facts_leaking=1, phrasings_added=2),))[0]
    ).repaired
    both = pool([made, report("censor", 3, prefix="b")[0]], produced_at=NOW)
    with pytest.raises(ValueError, match="one request"):
        look_of(both)


def test_the_newest_report_shows_the_looks_before_it_and_validates() -> None:
    made = rechecked()
    assert [point.look.at for point in made.groups[0].trend] == [
        NOW - timedelta(days=60),
        NOW - timedelta(days=30),
        NOW,
    ]
    assert made.groups[0].trend[-1].look == look_of(made)
    assert validate(made.to_json()) == made
    page = made.to_html().decode()
    assert "Audit after audit" in page
    assert page.count("<svg role") == 3
    assert "Audit after audit" not in report("censor", 3)[0].to_html().decode()


def test_audits_that_left_no_report_make_the_trend_a_selection() -> None:
    points = rechecked().groups[0].trend
    page = render(points, Policy(), unreported=1).decode()
    assert "1 audit of this request attacked too, but was stopped or failed" in page
    assert "Every audit of this request" not in page
    said = sentence(points, Policy(), left_out=1)
    assert "however often" not in said
    assert said.endswith("1 audit left out: these figures are a selection.")
    assert json.loads(to_json(points, unreported=1))["unreported"] == 1
    whole = rechecked()
    made, _ = report("censor", 3, history=whole.groups[0].requests[0].history, earlier_audits=3, unreported=1)
    assert validate(made.to_json()) == made
    assert "1 audit of this request attacked too" in made.to_html().decode()
    assert any("1 earlier audit left no readable report" in limit for limit in made.limits)
    assert "Every audit of this request" in whole.to_html().decode()


def test_a_trend_that_does_not_follow_from_its_looks_is_refused() -> None:
    data = json.loads(rechecked().to_json())
    data["groups"][0]["trend"][-1]["anytime"] = 0.001
    with pytest.raises(Exception, match="do not follow"):
        validate(json.dumps(data).encode())


def test_the_page_is_self_contained_and_says_what_the_bound_is_about() -> None:
    points = rechecked().groups[0].trend
    page = render(points, Policy(), unread=2).decode()
    assert_self_contained(page)
    assert "2 reports of this request cannot be read" in page
    assert "Every audit" not in page
    assert "fresh" not in page
    assert "however often one looks" in sentence(points, Policy())
    assert "a selection" not in sentence(points, Policy())
    assert json.loads(to_json(points))["points"][0]["look"]["verdict"] == "pass"
    with pytest.raises(ValueError, match="one audit"):
        render((), Policy())
