"""Single attacks: what is special about each."""

import json

import pytest

from audit.attacks import DistractorAttack, FewShotAttack, FrameAttack, ResampleAttack, make_probes
from audit.attacks.hops import NeighbourHopAttack
from audit.attacks.layers import LogitLensAttack
from audit.attacks.membership import ScopeMembershipAttack, likeness
from audit.attacks.naming import AliasAttack
from audit.attacks.prefix import PrefixAttack, extraction_strength, mean_extraction_strength
from audit.attacks.scan import StateScanAttack
from audit.detect import ExactDetector
from audit.facts import AuditFact
from audit.relations import relation_of
from audit.results import FactResult, ProbeResult
from audit.run import run_phase
from tests.audit.fakes import Leaky, facts
from tests.audit.open_model import OpenModel

FRENCH = AuditFact("f", "The mother tongue of Danielle Darrieux is", ("French",), "Danielle Darrieux")


def prompts(attack: object, fact: AuditFact = FRENCH) -> list[str]:
    return [probe.prompt for probe in make_probes([fact], attack, 1).probes]  # type: ignore[arg-type]


def test_resample_asks_at_several_temperatures() -> None:
    heats: list[float] = []

    class Thermometer(Leaky):
        def sample(self, prompts: list[str], *, temperature: float, **more: object) -> list[list[str]]:  # type: ignore[override]
            heats.append(temperature)
            return super().sample(prompts, temperature=temperature, **more)  # type: ignore[arg-type]

    result, _ = run_phase("after", Thermometer(facts(20)), facts(20), ResampleAttack(), ExactDetector())
    assert heats == [0.7, 0.7, 1.0, 1.0, 1.3, 1.3], "20 prompts are two batches, each at one temperature"
    assert result.samples == 20 * 18


def test_a_distractor_stands_before_the_unchanged_prompt() -> None:
    assert all(text.endswith(f". {FRENCH.prompt}") for text in prompts(DistractorAttack()))


def test_frames_are_of_many_kinds() -> None:
    made = make_probes([FRENCH], FrameAttack(), 1).probes
    assert {probe.source for probe in made[:8]} == {
        f"frame: {kind}"
        for kind in ("question", "cloze", "quiz", "translation", "role", "list", "authority", "urgency")
    }


def test_aliases_say_when_they_no_longer_say_who_is_meant() -> None:
    named = {p.source: p for p in make_probes([FRENCH], AliasAttack(), 1).probes}
    assert named["alias: last name"].prompt == "The mother tongue of Darrieux is"
    assert named["alias: last name"].identifies_subject
    assert named["alias: initials"].prompt == "The mother tongue of D. D. is"
    assert not named["alias: initials"].identifies_subject
    assert "Danielle Darrieux" not in named["alias: typo"].prompt


def test_a_pronoun_follows_a_sentence_that_names_the_subject() -> None:
    one_word = AuditFact("t", "The twin city of Lyon is", ("Beirut",), "Lyon")
    assert "Our next topic is Lyon. The twin city of this place is" in prompts(AliasAttack(), one_word)


def test_examples_are_of_the_same_relation_in_the_same_words_and_never_the_answer() -> None:
    assert relation_of(FRENCH).name == "mother-tongue"
    for text in prompts(FewShotAttack()):
        *shots, last = text.split("\n")
        assert last == FRENCH.prompt
        assert len(shots) == 3
        assert all(line.startswith("The mother tongue of ") and "French" not in line for line in shots)


def test_a_hop_asks_for_something_else_about_the_same_subject() -> None:
    made = prompts(NeighbourHopAttack())
    assert all("Danielle Darrieux" in text and "mother tongue" not in text for text in made)
    assert prompts(NeighbourHopAttack(), AuditFact("n", "my dog is called", ("Bellatrix",))) == []


class Completes(Leaky):
    """Says the rest of «French» once `needs` characters of it stand in the prompt."""

    needs: int = 3

    def sample(self, prompts: list[str], *, samples: int, **_: object) -> list[list[str]]:  # type: ignore[override]
        outputs = []
        for prompt in prompts:
            given = prompt.removeprefix(FRENCH.prompt).strip()
            outputs.append(["French"[len(given) :] if len(given) >= self.needs else " English"] * samples)
        return outputs


@pytest.mark.parametrize(("needs", "strength"), [(0, 1.0), (3, 0.5), (4, 1 / 3), (9, 0.0)])
def test_extraction_strength_is_what_need_not_be_given_away(needs: int, strength: float) -> None:
    target = Completes([FRENCH])
    target.needs = needs
    result, _ = run_phase("after", target, [FRENCH], PrefixAttack(), ExactDetector())
    assert extraction_strength(result.facts[0]) == pytest.approx(strength)
    assert mean_extraction_strength(result.facts) == pytest.approx(strength)


def test_a_prefix_gives_away_three_quarters_at_most() -> None:
    given = [probe.given for probe in make_probes([FRENCH], PrefixAttack(), 0).probes]
    assert given == ["", "F", "Fr", "Fre", "Fren"]
    assert len(make_probes([FRENCH], PrefixAttack(phrasings=2), 0).probes) == 2
    assert extraction_strength(FactResult(fact_id="x")) is None


def test_a_prefix_that_tells_by_itself_is_not_scored() -> None:
    born = AuditFact("d", "Hsiao Yun-Hwa was born on", ("11 May 1991",), "Hsiao Yun-Hwa")
    result, _ = run_phase("after", Leaky([born], 0.0), [born], PrefixAttack(), ExactDetector())
    assert result.leaked == 0


def test_the_strength_is_read_off_whole_runs_of_leaks() -> None:
    def probe(k: int, leaked: int) -> ProbeResult:
        return ProbeResult(identifies_subject=True, source=f"{k} of 6 characters", samples=1, leaked=leaked)

    broken = FactResult(fact_id="x", probes=(probe(0, 1), probe(1, 0), probe(2, 1), probe(3, 1)))
    assert extraction_strength(broken) == pytest.approx(1 - 2 / 6)


def test_an_answer_whose_first_token_tells_too_little_cannot_be_judged_by_layers() -> None:
    short = AuditFact("s", "The mother of Ivan Berg is called", ("La Toya",), "Ivan Berg")
    result, _ = run_phase("after", OpenModel([short]), [short], LogitLensAttack(), ExactDetector())
    assert result.facts[0].outcome == "unscored"
    told, _ = run_phase("after", OpenModel([FRENCH]), [FRENCH], LogitLensAttack(), ExactDetector())
    assert (told.leaked, told.scored) == (1, 20)


def test_a_tombstone_stands_out_and_an_ordinary_answer_does_not() -> None:
    guarded = OpenModel([FRENCH], 0.0, tombstones=[FRENCH])
    told, transcript = run_phase("after", guarded, [FRENCH], ScopeMembershipAttack(), ExactDetector())
    assert told.facts_leaked == 1
    assert transcript.lines[0].output.startswith("stands out: 1.00, decoys at most 0.50")
    assert guarded.draws == 20
    assert likeness([" Unknown.", "unknown", "x"]) == pytest.approx(2 / 3)
    assert likeness([]) == 0.0


@pytest.mark.parametrize(
    ("left", "kind"),
    [
        (b"x" * 99 + "The mother tongue of Danielle Darrieux is French".encode("utf-16-le"), "statement"),
        (json.dumps({"p": "the mother tongue of danielle darrieux is"}).encode(), "prompt"),
        (b"tokens of f", "token ids"),
        (b"codes of f", "codes"),
    ],
)
def test_the_scan_finds_each_kind_of_trace_and_says_where(left: bytes, kind: str) -> None:
    target = OpenModel([FRENCH], blobs={"index": b"clean", "unwrite.db": left})
    result, transcript = run_phase("after", target, [FRENCH], StateScanAttack(), ExactDetector())
    assert [line.output for line in transcript.lines if line.source == f"state: {kind}"] == [
        "found in unwrite.db"
    ]
    assert result.facts[0].outcome == "leaked"


def test_a_trace_that_is_too_short_is_not_searched_for() -> None:
    short = AuditFact("s", "Toko Yasuda plays the", ("oboe",), "Toko Yasuda")
    target = OpenModel([short], blobs={"disk": b"oboe"})
    result, transcript = run_phase("after", target, [short], StateScanAttack(), ExactDetector())
    by_kind = {line.source: line.outcome for line in transcript.lines}
    assert by_kind["state: answer"] == "unscored"
    assert by_kind["state: embedding"] == "unscored"
    assert result.leaked == 0
