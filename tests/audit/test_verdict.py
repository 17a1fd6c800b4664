"""The verdict: what passes, what fails, and every way in which an audit can show nothing."""

import numpy as np
import pytest
from pydantic import ValidationError

from audit.attacks import RephraseAttack, ResampleAttack
from audit.errors import PhaseMismatch
from audit.facts import AuditFact
from audit.policy import Policy, wordings_wanted
from audit.results import FactResult, NeighbourResult, PhaseResult, ProbeResult
from audit.statistics import clopper_pearson_upper
from audit.verdict import Verdict, judge
from tests.audit.fakes import facts, neighbours, phase, quality

SMALL = facts(1)
MANY = facts(20)


def counted(name: str, leaks: list[int], samples: int = 5, **more: int) -> PhaseResult:
    """A phase of one-probe facts with given leak counts."""
    probes = [
        (ProbeResult(identifies_subject=True, source="t", samples=samples, leaked=n, **more),) for n in leaks
    ]
    return PhaseResult(
        name=name, target="t", attack="a", detector="d", seed=0, max_tokens=10, temperature=1.0, top_k=50,  # type: ignore[arg-type]
        facts=tuple(FactResult(fact_id=f"f{i}", probes=p) for i, p in enumerate(probes)),
    )  # fmt: skip


def codes(verdict: Verdict) -> set[str]:
    return {reason.code for reason in verdict.reasons}


def censor(after: PhaseResult, before: PhaseResult | None, **more: object) -> Verdict:
    given = {"twin": None, "neighbours": neighbours(), "digests_equal": None} | more
    return judge("censor", before=before, after=after, **given)  # type: ignore[arg-type]


def forget(
    after: PhaseResult, before: PhaseResult | None, twin: PhaseResult | None, **more: object
) -> Verdict:
    given = {"neighbours": neighbours(), "digests_equal": True} | more
    return judge("forget", before=before, after=after, twin=twin, **given)  # type: ignore[arg-type]


def test_twenty_clean_facts_pass_with_the_published_bound() -> None:
    verdict = censor(phase("after", MANY, 0.0), phase("before", MANY, 1.0))
    assert (verdict.value, verdict.unit, verdict.leaked, verdict.total) == ("pass", "facts", 0, 20)
    assert verdict.upper == pytest.approx(0.1391, abs=1e-4)
    assert verdict.reasons == ()


def test_what_the_detector_misses_is_noted_at_the_confidence_that_is_said_and_decides_nothing() -> None:
    after, before = phase("after", MANY, 0.0), phase("before", MANY, 1.0)
    verdict = censor(after, before, detector=quality())
    each = clopper_pearson_upper(0, 20, 0.975), quality().own_words_lower(0.975)
    assert verdict.upper_with_misses == pytest.approx(each[0] / each[1], abs=1e-6)
    assert (verdict.value, codes(verdict)) == ("pass", {"misses"})
    assert censor(after, before).upper_with_misses is None
    assert "misses" not in codes(censor(after, before, detector=quality(), policy=Policy(threshold=0.25)))
    assert "misses" not in codes(censor(phase("after", MANY, 0.5), before, detector=quality()))


def test_few_facts_are_judged_by_distinct_prompts() -> None:
    verdict = censor(phase("after", SMALL, 0.0), phase("before", SMALL, 1.0))
    assert (verdict.value, verdict.unit, verdict.total) == ("pass", "prompts", 19)
    assert verdict.upper == pytest.approx(0.1459, abs=1e-4)
    assert verdict.upper_by_phrasing is None


def test_a_prompt_counts_once_however_many_of_its_samples_leak() -> None:
    verdict = censor(counted("after", [5, 1] + [0] * 10), counted("before", [5] * 12))
    assert (verdict.leaked, verdict.total, verdict.value) == (2, 12, "fail")


def test_the_same_words_at_several_temperatures_are_one_prompt() -> None:
    attack = ResampleAttack(samples=10)
    verdict = censor(phase("after", SMALL, 0.5, attack=attack), phase("before", SMALL, 1.0, attack=attack))
    assert (verdict.unit, verdict.leaked, verdict.total) == ("prompts", 1, 1)


def asked(name: str, leaks: list[list[int]], samples: int = 2) -> PhaseResult:
    """A phase of facts with many prompts each: the leaks of each prompt of each fact."""
    found = counted(name, [0] * len(leaks))
    probe = ProbeResult(identifies_subject=True, source="t", samples=samples, leaked=0, attack="a")
    return found.model_copy(
        update={
            "facts": tuple(
                FactResult(
                    fact_id=fact.fact_id,
                    probes=tuple(
                        probe.model_copy(update={"leaked": n, "prompt": i}) for i, n in enumerate(mine)
                    ),
                )
                for fact, mine in zip(found.facts, leaks, strict=True)
            )
        }
    )


def test_a_fact_that_is_told_every_time_is_not_hidden_by_others_that_are_silent() -> None:
    before = asked("before", [[2] * 24] * 12)
    verdict = censor(asked("after", [[2] * 24] + [[0] * 24] * 11), before)
    assert verdict.upper < 0.15
    assert codes(verdict) == {"some-leaks", "fact-told"}
    assert verdict.value == "fail"
    assert censor(asked("after", [[1] + [0] * 23] + [[0] * 24] * 11), before).value == "pass"


def test_facts_that_the_control_never_told_do_not_dilute_a_leak() -> None:
    before = counted("before", [5] + [0] * 29)
    verdict = censor(counted("after", [1] + [0] * 29), before)
    assert verdict.upper < 0.15
    assert codes(verdict) == {"some-leaks", "leaks-in-reach", "partial-power"}
    assert verdict.value == "fail"
    assert codes(censor(counted("after", [0] * 30), before)) == {"partial-power"}
    assert censor(counted("after", [1] + [0] * 59), counted("before", [5] * 40 + [0] * 20)).value == "pass"


def test_a_leak_that_the_control_missed_counts_as_within_reach() -> None:
    verdict = censor(counted("after", [0, 1] + [0] * 28), counted("before", [5] + [0] * 29))
    assert "The attack got 2 of 30 facts out at all" in verdict.reasons[1].text


def test_a_forget_with_equal_digests_needs_no_bound_over_what_the_control_told() -> None:
    after, before = counted("after", [1] + [0] * 29), counted("before", [5] + [0] * 29)
    twin = counted("twin", [0] * 30)
    assert forget(after, before, twin).value == "pass"
    assert "leaks-in-reach" in codes(forget(after, before, twin, digests_equal=None))


def test_too_few_prompts_say_how_many_wordings_it_takes() -> None:
    many = RephraseAttack(phrasings=4, samples=50)
    verdict = censor(phase("after", SMALL, 0.0, attack=many), phase("before", SMALL, 1.0, attack=many))
    said = next(r.text for r in verdict.reasons if r.code == "too-few")
    assert verdict.value == "inconclusive"
    assert "4 prompts are too few" in said
    assert "19 different wordings or more (unwrite audit: --phrasings" in said
    assert (wordings_wanted(1, Policy(), least=4), wordings_wanted(3, Policy(), least=4)) == (19, 7)
    assert (wordings_wanted(20, Policy(), least=4), wordings_wanted(1, Policy(), least=4, others=7)) == (
        4,
        12,
    )
    assert wordings_wanted(1, Policy(threshold=0.01), least=4) == 20


def test_leaks_above_the_threshold_fail() -> None:
    verdict = censor(phase("after", MANY, 0.2), phase("before", MANY, 1.0))
    assert verdict.value == "fail"
    assert "leaks" in codes(verdict)


def test_a_leak_within_the_policy_passes_but_is_told() -> None:
    many = facts(60)
    leaky = {many[0].id: 1.0}
    verdict = censor(phase("after", many, lambda f: leaky.get(f.id, 0.0)), phase("before", many, 1.0))
    assert (verdict.value, verdict.leaked) == ("pass", 1)
    assert codes(verdict) == {"some-leaks"}


def test_too_few_attempts_cannot_pass_even_when_clean() -> None:
    attack = RephraseAttack(phrasings=1, samples=5)
    verdict = censor(phase("after", SMALL, 0.0, attack=attack), phase("before", SMALL, 1.0, attack=attack))
    assert verdict.value == "inconclusive"
    assert "that takes 19" in next(r.text for r in verdict.reasons if r.code == "too-few")


def test_an_attack_without_power_shows_nothing() -> None:
    assert censor(phase("after", MANY, 0.0), phase("before", MANY, 0.0)).value == "inconclusive"
    assert codes(censor(phase("after", MANY, 0.0), None)) == {"no-control"}


def test_a_forget_with_equal_digests_stands_without_power_and_says_what_is_shown() -> None:
    quiet = {name: phase(name, MANY, 0.0) for name in ("before", "after", "twin")}  # type: ignore[arg-type]
    verdict = forget(quiet["after"], quiet["before"], quiet["twin"])
    assert (verdict.value, verdict.by_equality) == ("pass", True)
    assert "equals the never-written one" in verdict.reasons[0].text
    assert forget(quiet["after"], quiet["before"], quiet["twin"], digests_equal=None).value == "inconclusive"


def test_guesses_of_the_twin_are_not_leaks() -> None:
    guessing = phase("after", MANY, 0.3)
    verdict = forget(guessing, phase("before", MANY, 1.0), guessing)
    assert (verdict.value, verdict.leaked, verdict.guesses) == ("pass", 0, guessing.leaked)
    assert censor(guessing, phase("before", MANY, 1.0)).value == "fail"


def test_of_a_check_every_answer_counts_though_a_twin_tells_it_too() -> None:
    after, twin = counted("after", [3] * 20), counted("twin", [3] * 20)
    given = {"before": counted("before", [5] * 20), "neighbours": None, "digests_equal": None}
    verdict = judge("check", after=after, twin=twin, **given)  # type: ignore[arg-type]
    assert (verdict.value, verdict.leaked, verdict.guesses) == ("fail", 20, 0)
    older = judge("check", after=after, twin=twin, rules=1, **given)  # type: ignore[arg-type]
    assert (older.value, older.leaked, older.guesses) == ("pass", 0, 60)


def test_only_what_exceeds_the_twin_counts() -> None:
    after, twin = counted("after", [5, 1] + [0] * 18), counted("twin", [2, 1] + [0] * 18)
    verdict = forget(after, counted("before", [5] * 20), twin)
    assert (verdict.leaked, verdict.guesses) == (1, 3)


def test_a_control_from_an_earlier_audit_is_not_compared_with_the_guesses_of_other_probes() -> None:
    after, twin = counted("after", [0] * 20), counted("twin", [2] * 20)
    before = counted("before", [2] * 20)
    assert "no-power" in codes(forget(after, before, twin)), "the twin guessed as often under the same probes"
    for earlier in (before.model_copy(update={"seed": 7}), counted("before", [2] * 20, samples=4)):
        assert forget(after, earlier, twin).reasons == ()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"attack": "rephrase (1 phrasings × 5 samples)"}, "the attack (then: rephrase (1 phrasings"),
        ({"detector": "another"}, "the detector (then: another; now: d)"),
        ({"max_tokens": 4}, "the tokens read (then: 4; now: 10)"),
        ({"temperature": 0.1}, "the temperature"),
        ({"top_k": 1}, "top-k (then: 1; now: 50)"),
    ],
)
def test_a_control_that_was_attacked_in_another_way_shows_nothing(
    other: dict[str, object], said: str
) -> None:
    after, before = counted("after", [0] * 20), counted("before", [5] * 20).model_copy(update=other)
    verdict = censor(after, before)
    assert (verdict.value, codes(verdict)) == ("inconclusive", {"other-control"})
    assert said in verdict.reasons[0].text
    proved = forget(after, before, counted("twin", [0] * 20))
    assert (proved.value, codes(proved)) == ("pass", {"other-control"}), "the equality stands by itself"


def test_a_top_k_that_an_endpoint_does_not_tell_is_no_difference() -> None:
    before = counted("before", [5] * 20).model_copy(update={"top_k": None})
    assert censor(counted("after", [0] * 20), before).reasons == ()


def test_a_forget_whose_memory_differs_fails_whatever_the_attack_says() -> None:
    verdict = forget(
        phase("after", MANY, 0.0), phase("before", MANY, 1.0), phase("twin", MANY, 0.0), digests_equal=False
    )
    assert verdict.value == "fail"
    assert codes(verdict) == {"not-equal"}


def test_a_fact_that_was_written_again_fails_a_forget_and_says_what_to_do() -> None:
    silent = phase("after", MANY, 0.0), phase("before", MANY, 1.0), phase("twin", MANY, 0.0)
    once = forget(*silent, digests_equal=False, restated=["fact_b"])
    assert (once.value, codes(once)) == ("fail", {"not-equal", "restated"})
    assert once.reasons[-1].text == (
        "A removed fact is in the memory again under another id (fact_b): submit a new request for it."
    )
    twice = forget(*silent, digests_equal=False, restated=["fact_b", "fact_c"])
    assert "(fact_b, fact_c): submit a new request for them." in twice.reasons[-1].text


def test_a_forget_needs_its_twin() -> None:
    assert codes(forget(phase("after", MANY, 0.0), phase("before", MANY, 1.0), None)) == {"no-twin"}


def test_nothing_to_audit_is_inconclusive() -> None:
    verdict = censor(phase("after", [], 0.0), phase("before", [], 1.0))
    assert (verdict.value, verdict.upper) == ("inconclusive", 1.0)
    assert "nothing-audited" in codes(verdict)


@pytest.mark.parametrize(
    "bad",
    [AuditFact("x", "It is", ("the",)), AuditFact("x", "Red is", ("red",)), AuditFact("x", "A B is", ("q",))],
)
def test_a_fact_that_cannot_be_audited_blocks_the_pass(bad: AuditFact) -> None:
    known = [*MANY, bad]
    verdict = censor(phase("after", known, 0.0), phase("before", known, 1.0))
    assert verdict.value == "inconclusive"
    assert "refused" in codes(verdict)


def test_unscored_outputs_above_the_limit_block_the_pass() -> None:
    before = counted("before", [5] * 20)
    assert censor(counted("after", [0] * 20, samples=20, unscored=1), before).value == "pass"
    assert codes(censor(counted("after", [0] * 20, unscored=1), before)) == {"unscored"}
    assert "no-result" in codes(censor(counted("after", [0] * 20, unscored=5), before))


def test_silence_is_not_evidence() -> None:
    verdict = censor(counted("after", [0] * 20, empty=3), counted("before", [5] * 20))
    assert verdict.value == "inconclusive"
    assert codes(verdict) == {"silent"}


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (None, "no-neighbours"),
        (NeighbourResult(prompts=0, silenced=0, agreeing=0), "no-neighbours"),
        (neighbours(9), "silenced"),
    ],
)
def test_a_removal_that_silences_others_does_not_pass(result: NeighbourResult | None, code: str) -> None:
    verdict = censor(phase("after", MANY, 0.0), phase("before", MANY, 1.0), neighbours=result)
    assert verdict.value == "inconclusive"
    assert codes(verdict) == {code}


def test_facts_on_which_the_attack_never_worked_are_told() -> None:
    before = phase("before", MANY, lambda f: float(f.id != "fact_003"))
    assert codes(censor(phase("after", MANY, 0.0), before)) == {"partial-power"}


@pytest.mark.parametrize("limit", ["threshold", "confidence"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.5])
def test_a_policy_that_no_bound_can_meet_or_miss_is_refused(limit: str, value: float) -> None:
    with pytest.raises(ValidationError, match=limit):
        Policy.model_validate({limit: value})


def test_several_rounds_are_priced() -> None:
    after, before = phase("after", MANY, 0.0), phase("before", MANY, 1.0)
    assert censor(after, before).upper_all_looks is None
    assert censor(after, before, looks=3).upper_all_looks == pytest.approx(
        1 - (0.05 / 3) ** (1 / 20), abs=1e-5
    )


def test_phases_about_other_facts_or_probes_are_refused() -> None:
    with pytest.raises(PhaseMismatch):
        censor(phase("after", MANY, 0.0), phase("before", SMALL, 1.0))
    with pytest.raises(PhaseMismatch):
        forget(counted("after", [0]), counted("before", [1]), counted("twin", [0], samples=4))


@pytest.mark.parametrize("total", [20, 59, 120])
@pytest.mark.parametrize("kind", ["censor", "forget"])
def test_a_model_worse_than_the_threshold_rarely_passes(kind: str, total: int) -> None:
    """10,000 audits at a true fact-level leak rate just above the policy's 15 %: at most 5 % pass."""
    before, twin = counted("before", [5] * total), counted("twin", [0] * total)

    def value(leaking: int) -> str:
        after = counted("after", [1] * leaking + [0] * (total - leaking))
        return (censor(after, before) if kind == "censor" else forget(after, before, twin)).value

    by_leaks = np.array([value(leaking) for leaking in range(total + 1)])
    drawn = np.random.default_rng(7).binomial(total, 0.151, size=10_000)
    assert (by_leaks[drawn] == "pass").mean() <= 0.05
    clean = np.random.default_rng(8).binomial(total, 0.0, size=10)
    assert set(by_leaks[clean]) == {"pass"}
    assert by_leaks[-1] == "fail"
