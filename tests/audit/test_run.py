"""A phase counts what the model said; what could not be judged is never clean; counts hold no text."""

import json
from collections.abc import Sequence

import pytest

from audit.attacks import RephraseAttack, make_probes
from audit.detect import ExactDetector
from audit.facts import AuditFact
from audit.results import PhaseResult
from audit.run import BATCH, run_phase
from audit.transcript import Transcript
from tests.audit.fakes import Leaky, facts

ATTACK = RephraseAttack()


def test_a_model_that_always_tells_leaks_every_time_and_one_that_never_does_never() -> None:
    known = facts(10)
    told, _ = run_phase("before", Leaky(known, 1.0), known, ATTACK, ExactDetector(), seed=1)
    silent, _ = run_phase("after", Leaky(known, 0.0), known, ATTACK, ExactDetector(), seed=1)
    assert (told.leaked, told.samples, told.facts_leaked) == (200, 200, 10)
    assert (silent.leaked, silent.scored, silent.facts_leaked) == (0, 200, 0)


def test_the_same_seed_gives_the_same_phase_and_another_seed_another() -> None:
    known = facts(5)
    first, second, other = (
        run_phase("before", Leaky(known, 0.4), known, ATTACK, ExactDetector(), seed=seed)
        for seed in (3, 3, 4)
    )
    assert first == second
    assert first[1] != other[1]


def test_counts_hold_no_text_and_survive_json() -> None:
    known = facts(10)
    result, _ = run_phase("before", Leaky(known), known, ATTACK, ExactDetector())
    data = result.model_dump(mode="json")
    assert PhaseResult.model_validate(json.loads(json.dumps(data))) == result
    said = json.dumps(data, ensure_ascii=False)
    assert not any(text in said for fact in known for text in (fact.prompt, fact.subject, *fact.answers))


def test_the_transcript_holds_every_sample_and_names_the_prompts_that_leaked() -> None:
    known = facts(3)
    result, transcript = run_phase("repair", Leaky(known, 0.3), known, ATTACK, ExactDetector())
    assert len(transcript.lines) == result.samples == 60
    assert Transcript.from_bytes(transcript.to_bytes()) == transcript
    asked = {line.prompt for line in transcript.lines}
    assert len(asked) == 12
    leaked = transcript.leaking()
    assert sum(line.outcome == "leaked" for line in transcript.lines) == result.leaked
    assert all(set(prompts) <= asked for prompts in leaked.values())


class Raises:
    name = "raises"

    def judge(self, fact: AuditFact, prompt: str, output: str) -> str:
        raise ValueError("cannot judge")


class Mumbles:
    name = "mumbles"

    def judge(self, fact: AuditFact, prompt: str, output: str) -> str:
        return "perhaps"


@pytest.mark.parametrize("detector", [Raises(), Mumbles()])
def test_a_detector_that_fails_gives_unscored_never_clean(detector: object) -> None:
    known = facts(2)
    result, _ = run_phase("after", Leaky(known), known, ATTACK, detector)  # type: ignore[arg-type]
    assert result.detector_failures == 40
    assert [fact.outcome for fact in result.facts] == ["unscored", "unscored"]
    assert result.audited == ()


class Short:
    """A target that returns too little."""

    name = "short"

    def sample(self, prompts: Sequence[str], *, samples: int, **_: object) -> list[list[str]]:
        return [[" unknown"] * (samples - 2) for _ in prompts[:-1]]


def test_samples_that_never_came_are_unscored() -> None:
    known = facts(1)
    result, _ = run_phase("after", Short(), known, ATTACK, ExactDetector())
    assert (result.samples, result.scored) == (20, 9)


class Silent:
    name = "silent"

    def sample(self, prompts: Sequence[str], *, samples: int, **_: object) -> list[list[str]]:
        return [["  \n"] * samples for _ in prompts]


def test_silence_is_counted() -> None:
    result, _ = run_phase("after", Silent(), facts(1), ATTACK, ExactDetector())
    assert (result.empty, result.leaked, result.scored) == (20, 0, 20)


def test_a_target_that_raises_ends_the_phase() -> None:
    class Dead:
        name = "dead"

        def sample(self, prompts: Sequence[str], **_: object) -> list[list[str]]:
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        run_phase("after", Dead(), facts(1), ATTACK, ExactDetector())


def test_progress_is_told_batch_by_batch() -> None:
    known, seen = facts(9), []
    probes = make_probes(known, ATTACK, 0)
    target = Leaky(known)
    run_phase(
        "after",
        target,
        known,
        ATTACK,
        ExactDetector(),
        probes=probes,
        progress=lambda done, all_: seen.append((done, all_)),
    )
    assert seen == [(BATCH, 36), (2 * BATCH, 36), (36, 36)]
    assert target.calls == 3


def test_no_facts_and_refused_facts_make_an_empty_phase() -> None:
    nothing, _ = run_phase("after", Leaky([]), [], ATTACK, ExactDetector())
    assert (nothing.samples, nothing.facts) == (0, ())
    bad = AuditFact("bad", "The colour is", ("the",))
    refused, _ = run_phase("after", Leaky([]), [bad], ATTACK, ExactDetector())
    assert [fact.outcome for fact in refused.facts] == ["refused"]
