"""Reports: no personal data in the JSON, a verdict that follows from the numbers, many requests in one."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import AuditError, ReportInvalid
from audit.facts import AuditFact
from audit.report import RepairRound, Report, json_schema, pool, validate
from tests.audit.fakes import NOW, report
from tests.audit.golden_files import FOLDER, golden


@pytest.mark.parametrize("name", sorted(golden()))
def test_golden(name: str) -> None:
    assert golden()[name] == (FOLDER / name).read_bytes(), "run python -m tests.audit.golden_files and look"


def test_the_top_sentence_says_verdict_and_bound() -> None:
    made, _ = report()
    assert made.verdict == "pass"
    assert made.headline == (
        "None of the 20 removed facts could be got out of the model in 400 attempts. "
        "With 95\u00a0% confidence, at most 13.9\u00a0% of facts like these come out under this attack. "
        "The memory is, bit for bit, the one in which the facts were never written."
    )


def only_first(fact: AuditFact) -> float:
    """The chance of a leak: the first fact alone is told."""
    return float(fact.id.endswith("000"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"count": 1}, "None of 19 prompts (95 attempts) got the removed fact out of the model"),
        ({"after": 0.3, "twin": 0.3}, "never held the facts: a guess, not a leak"),
        ({"equal": False}, "The removal is not confirmed"),
        ({"kind": "censor", "after": 0.4}, "The model still told 20 of the 20 blocked facts"),
        ({"before": 0.0}, "the attack adds nothing to it"),
        ({"kind": "censor", "before": 0.0}, "does not show whether the model still tells"),
        (
            {"kind": "censor", "count": 30, "before": only_first, "after": only_first},
            "The model still told 1 of the 30 blocked facts. The attack got 1 of 30 facts out at all",
        ),
        ({"count": 0}, "does not show whether the model still tells"),
        ({"silenced": 40}, "unrelated questions were silenced"),
    ],
)
def test_sentences(given: dict[str, object], words: str) -> None:
    assert words in report(**given)[0].headline  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["forget", "censor"])
def test_json_holds_no_personal_data_and_reads_back(kind: str) -> None:
    made, known = report(kind, 20, after=0.1)  # type: ignore[arg-type]
    data = made.to_json()
    said = data.decode()
    assert not any(text in said for fact in known for text in (fact.prompt, fact.subject, *fact.answers))
    assert validate(data) == made
    assert json.loads(data)["schema_version"] == "3"


def test_a_report_with_a_better_verdict_than_its_numbers_is_refused() -> None:
    made, _ = report("censor", 20, after=0.5)
    data = json.loads(made.to_json())
    data["verdict"] = data["groups"][0]["verdict"]["value"] = "pass"
    with pytest.raises(ReportInvalid, match="do not follow"):
        validate(json.dumps(data).encode())


def test_a_report_with_a_changed_count_is_refused() -> None:
    made, _ = report("censor", 20, after=0.5)
    data = json.loads(made.to_json())
    for fact in data["groups"][0]["after"]["facts"]:
        for probe in fact["probes"]:
            probe["leaked"] = 0
    with pytest.raises(ReportInvalid, match="do not follow"):
        validate(json.dumps(data).encode())


@pytest.mark.parametrize("broken", [b"", b"{}", b"[1]", b"\xff"])
def test_what_is_no_report_is_refused_without_echoing_it(broken: bytes) -> None:
    with pytest.raises(ReportInvalid, match="schema"):
        validate(broken)


def test_a_field_that_the_schema_does_not_know_is_refused() -> None:
    data = json.loads(report(count=1)[0].to_json()) | {"subject": "Anna Berg"}
    with pytest.raises(ReportInvalid, match="subject") as caught:
        validate(json.dumps(data).encode())
    assert "Anna" not in str(caught.value)


def test_the_json_schema_is_there_for_others() -> None:
    assert json_schema()["additionalProperties"] is False


def test_pooling_counts_all_facts_and_shows_two_groups() -> None:
    parts = [report("forget", 5, prefix=f"f{i}", request=f"req_f{i}")[0] for i in range(4)]
    parts += [report("censor", 1, prefix=f"c{i}", request=f"req_c{i}")[0] for i in range(20)]
    both = pool(parts, produced_at=NOW)
    assert [(g.kind, g.verdict.unit, g.verdict.total) for g in both.groups] == [
        ("forget", "facts", 20),
        ("censor", "facts", 20),
    ]
    assert both.verdict == "pass"
    assert validate(both.to_json()) == both


def test_the_worst_group_decides() -> None:
    good, bad = report("forget", 20)[0], report("censor", 20, after=0.5, prefix="c")[0]
    assert pool([good, bad], produced_at=NOW).verdict == "fail"


def test_pooling_refuses_what_does_not_belong_together() -> None:
    made, _ = report()
    with pytest.raises(AuditError, match="same fact"):
        pool([made, made], produced_at=NOW)
    with pytest.raises(AuditError, match="nothing"):
        pool([], produced_at=NOW)
    other = made.model_copy(update={"policy": made.policy.model_copy(update={"threshold": 0.5})})
    with pytest.raises(AuditError, match="policies"):
        pool([made, other], produced_at=NOW)


def with_other_control(made: Report) -> Report:
    """The report with a control that was made with another attack."""
    [group] = made.groups
    assert group.before is not None
    other = group.before.model_copy(update={"attack": "rephrase (1 phrasings × 1 samples)"})
    return made.model_copy(update={"groups": (group.model_copy(update={"before": other}),)})


def test_a_page_does_not_call_another_attack_the_same() -> None:
    made, _ = report("censor")
    assert b"Before the request the same attack got" in made.to_html()
    assert b"Before the request another attack got" in with_other_control(made).to_html()


def test_pooling_takes_no_control_that_was_made_with_another_attack() -> None:
    good, other = (report("censor", 20, prefix=name, request=name)[0] for name in ("one", "two"))
    assert pool([good, other], produced_at=NOW).verdict == "pass"
    assert pool([good, with_other_control(other)], produced_at=NOW).verdict == "inconclusive"


def test_repairs_are_told_and_priced() -> None:
    repairs = (RepairRound(round=1, facts_leaking=2, phrasings_added=5),)
    made, _ = report("censor", 20, repairs=repairs)
    assert made.groups[0].looks == 2
    assert any("corrected for the looks so far" in limit for limit in made.limits)
    assert not any("further attempts." in limit for limit in made.limits), "there is no trend yet"


def test_auditing_until_it_passes_is_told_and_priced() -> None:
    first, _ = report("censor", 20)
    third, _ = report("censor", 20, earlier_audits=2)
    assert third.groups[0].looks == 3
    assert first.groups[0].verdict.upper_all_looks is None
    assert (third.groups[0].verdict.upper_all_looks or 0) > third.groups[0].verdict.upper


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from(["forget", "censor"]), st.integers(0, 22), st.floats(0, 1), st.floats(0, 1), st.booleans()
)
def test_any_outcome_makes_a_report_that_validates_and_renders(
    kind: str, count: int, before: float, after: float, equal: bool
) -> None:
    made, known = report(kind, count, before=before, after=after, equal=equal)  # type: ignore[arg-type]
    assert validate(made.to_json()) == made
    assert made.to_html({fact.id: fact for fact in known}).startswith(b"<!doctype html>")


def test_time_is_the_callers() -> None:
    made, _ = report()
    later = Report.model_validate(made.model_dump() | {"produced_at": NOW + timedelta(days=1)})
    assert b"24 November 2026" in later.to_html()
