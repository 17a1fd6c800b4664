"""Two reports side by side: changes are called changes only where the intervals do not touch."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from audit.compare import compare
from audit.compare_page import sentence
from audit.report import Report, pool
from tests.audit.fakes import NOW, report
from tests.audit.golden_files import comparison
from tests.audit.markup import assert_self_contained

EARLIER = NOW - timedelta(days=30)


def censor(after: float, **more: object) -> Report:
    return report("censor", 20, after=after, **more)[0]  # type: ignore[arg-type]


def test_a_report_beside_itself_shows_no_change_and_nothing_in_the_way() -> None:
    made = censor(0.1)
    found = compare(made, made)
    (group,) = found.groups
    assert {pair.change for pair in group.rates} == {"same"}
    assert {pair.change for pair in group.facts} == {"same"}
    assert all(pair.same for pair in (*group.state, *found.method))
    assert found.not_comparable == ()
    assert "no evidence of a change" in sentence(group)


def test_a_change_is_one_only_where_intervals_do_not_touch() -> None:
    changes = {}
    for after in (0.0, 0.004, 1.0):
        (group,) = compare(censor(0.0), censor(after)).groups
        changes[after] = next(pair.change for pair in group.rates if pair.name == "after, facts")
    assert changes == {0.0: "same", 0.004: "within chance", 1.0: "higher"}
    (back,) = compare(censor(1.0), censor(0.0)).groups
    assert "the rate is lower in B" in sentence(back)
    assert {pair.change for pair in back.facts} == {"told no more"}


def test_bounds_and_verdicts_are_those_of_the_reports() -> None:
    a, b = censor(0.0), censor(0.5)
    (group,) = compare(a, b).groups
    assert group.verdicts == ("pass", "fail")
    assert group.bounds == (a.groups[0].verdict.upper, b.groups[0].verdict.upper)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"prefix": "other"}, "share no fact"),
        ({"count": 25}, "20 facts are in both, 0 only in A, 5 only in B"),
        ({"count": 3}, "A counts facts, B counts prompts"),
        ({"kind": "forget"}, "only report B has such facts"),
        ({"seed": 2}, "drawn anew"),
        ({"request": "req_another"}, "paired by id alone"),
    ],
)
def test_what_cannot_be_compared_is_said_in_words(other: dict[str, object], words: str) -> None:
    given: dict[str, object] = {"kind": "censor", "count": 20} | other
    found = compare(censor(0.0), report(**given)[0])  # type: ignore[arg-type]
    assert any(words in line for line in found.not_comparable)


def test_other_detectors_policies_and_models_stand_in_the_way() -> None:
    a = censor(0.0)
    group = a.groups[0]
    phase = group.after.model_copy(update={"detector": "another", "attack": "another", "temperature": 0.7})
    b = a.model_copy(
        update={
            "groups": (group.model_copy(update={"after": phase}),),
            "policy": a.policy.model_copy(update={"threshold": 0.05}),
            "method": a.method.model_copy(update={"checkpoint": "another"}),
            "schema_version": "1",
        }
    )
    said = " ".join(compare(a, b).not_comparable)
    for words in (
        "detectors differ",
        "attacks differ",
        "drawn differently",
        "policies differ",
        "checkpoint differs",
        "schema",
    ):
        assert words in said


def test_an_endpoint_whose_top_k_nobody_knows_is_told_apart() -> None:
    known = censor(0.0)
    phase = known.groups[0].after.model_copy(update={"top_k": None})
    unknown = known.model_copy(update={"groups": (known.groups[0].model_copy(update={"after": phase}),)})
    found = compare(known, unknown)
    assert [(pair.a, pair.b) for pair in found.method if pair.name == "top k"] == [
        ("50", "the endpoint's own")
    ]
    assert any("drawn differently" in line for line in found.not_comparable)


def test_many_requests_are_compared_as_well() -> None:
    both = pool(
        [report("forget", 20)[0], report("censor", 3, prefix="b", request="req_b")[0]], produced_at=NOW
    )
    found = compare(report("forget", 20)[0], both)
    assert [group.kind for group in found.groups] == ["forget", "censor"]
    assert found.groups[1].verdicts == (None, both.groups[1].verdict.value)
    assert_self_contained(found.to_html().decode())


def test_it_holds_no_personal_data() -> None:
    (a, known), (b, _) = report("censor", 20, after=0.5), report("censor", 20)
    found = compare(a, b)
    said = found.to_html().decode() + found.to_json().decode()
    assert not any(text in said for fact in known for text in (fact.prompt, fact.subject, *fact.answers))


def test_the_page_is_well_formed_and_self_contained_and_the_json_reads_back() -> None:
    found = comparison()
    assert_self_contained(found.to_html().decode())
    data = json.loads(found.to_json())
    assert data["comparison_version"] == "1"
    assert type(found).model_validate(data) == found
    assert found.to_html() == comparison().to_html()
