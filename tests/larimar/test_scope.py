"""The scope detector: rephrasings in, other subjects and other questions out, removed facts gone."""

import json
import math
import random
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from larimar.errors import CheckpointCorrupt, CheckpointMismatch
from larimar.evidence import sentences_of
from larimar.fit_scope import balanced
from larimar.index import ScopeIndex
from larimar.judge import Judge
from larimar.mean_judges import mean
from larimar.scope import (
    Classifier,
    ScopeDetector,
    load_detector,
    read_classifiers,
    shipped_classifiers,
    whole_words,
)
from larimar.spelling import SPELLINGS


@pytest.fixture(scope="module")
def detector() -> ScopeDetector:
    return load_detector("isd")


@pytest.fixture(scope="module")
def first_stage(detector: ScopeDetector) -> ScopeDetector:
    return ScopeDetector(detector.embedder)


@pytest.fixture
def index(detector: ScopeDetector) -> ScopeIndex:
    index = ScopeIndex()
    index.add(detector.store("tongue", ["The mother tongue of Danielle Darrieux is"], ["Danielle Darrieux"]))
    index.add(detector.store("city", ["In which city was Ada Lovelace born?"], ["Ada Lovelace"]))
    index.add(detector.store("nameless", ["What is the launch code of the silo?"], []))
    return index


class Says:
    """A judge that gives every pair the same logit, and what stored prompts it was shown."""

    def __init__(self, logit: float) -> None:
        self.logit, self.read = logit, set[str]()

    def logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        self.read.update(stored for stored, _ in pairs)
        return np.full(len(pairs), self.logit)


def routed(detector: ScopeDetector, index: ScopeIndex, prompt: str) -> str | None:
    [hit] = detector.route([prompt], index)
    return hit.fact_id if hit else None


@pytest.mark.parametrize(
    ("prompt", "fact"),
    [
        ("The mother tongue of Danielle Darrieux is", "tongue"),
        ("What is the native language of Danielle Darrieux?", "tongue"),
        ("It rained all day. Danielle Darrieux spoke the language", "tongue"),
        ("Ada Lovelace was born in the city of", "city"),
        ("What's the launch code for the silo?", "nameless"),
    ],
)
def test_rephrasings_are_in_scope(detector: ScopeDetector, index: ScopeIndex, prompt: str, fact: str) -> None:
    assert routed(detector, index, prompt) == fact


@pytest.mark.parametrize(
    "prompt",
    [
        "The mother tongue of Léon Blum is",
        "In which city was Alan Turing born?",
        "What does the word silo mean?",
        "How do bees make honey?",
        "",
        " ",
    ],
)
def test_other_subjects_and_questions_are_out(
    detector: ScopeDetector, index: ScopeIndex, prompt: str
) -> None:
    assert routed(detector, index, prompt) is None


def test_a_removed_fact_is_out_of_scope_and_its_vectors_are_gone(
    detector: ScopeDetector, index: ScopeIndex
) -> None:
    prompt = "The mother tongue of Danielle Darrieux is"
    routed(detector, index, prompt)
    index.remove("tongue")
    assert routed(detector, index, prompt) is None
    assert len(index) == len(index.vectors) == 2


def test_a_name_of_invisible_characters_names_nobody(detector: ScopeDetector) -> None:
    stored = detector.store("code", ["What is the launch code of the silo?"], ["\u200b", "\ufeff "])
    assert stored.names == ()
    assert not stored.named.any()


def test_an_empty_index_takes_nothing_and_no_prompts_give_nothing(
    detector: ScopeDetector, index: ScopeIndex
) -> None:
    assert detector.route(["anything"], ScopeIndex()) == [None]
    assert detector.route(["anything"], ScopeIndex(), among={"tongue"}) == [None]
    assert detector.scores(["anything"], ScopeIndex()) == [[]]
    assert detector.scores([], index) == detector.route([], index) == []


def test_prompts_are_judged_alone(detector: ScopeDetector, index: ScopeIndex) -> None:
    prompts = ["Ada Lovelace was born in the city of", "How do bees make honey?"]
    together = [hit and hit.fact_id for hit in detector.route(prompts, index)]
    assert together == [routed(detector, index, p) for p in prompts]


def test_embeddings_have_unit_norm(detector: ScopeDetector) -> None:
    assert np.allclose(np.linalg.norm(detector.embedder.embed(["a", "b c"]), axis=1), 1.0, atol=1e-5)


def test_sentences_come_with_the_whole() -> None:
    assert sentences_of("It rained all day. Who is he?") == [
        "It rained all day. Who is he?",
        "It rained all day.",
        "Who is he?",
    ]


@pytest.mark.parametrize(
    "prompt",
    [
        "Danielle Darrieux was born in the year",
        "Who directed the first film of Danielle Darrieux?",
        "Danielle Darrieux died in",
        "Ada Lovelace's mother was",
        "Who painted Ada Lovelace?",
        "What is the mother tongue of Danielle Steel?",
    ],
)
def test_other_questions_about_a_stored_subject_are_out(
    detector: ScopeDetector, index: ScopeIndex, prompt: str
) -> None:
    assert routed(detector, index, prompt) is None


@pytest.mark.parametrize("spelling", list(SPELLINGS))
def test_other_spellings_of_the_name_are_in_scope(
    detector: ScopeDetector, index: ScopeIndex, spelling: str
) -> None:
    written = [SPELLINGS[spelling]("Danielle Darrieux", random.Random(seed)) for seed in range(3)]
    hits = detector.route([f"The mother tongue of {name} is" for name in written], index)
    assert [hit and hit.fact_id for hit in hits] == ["tongue"] * 3, written


def test_a_fact_asked_by_initials_is_found_however_many_are_nearer(detector: ScopeDetector) -> None:
    index, prompt = ScopeIndex(), "The religion of P. M. is"
    others = [
        f"{first} {last}" for first in ("Qadir", "Qasim", "Quentin") for last in ("Zane", "Zorn", "Zola")
    ]
    facts = [(name, [f"The religion of {name} is"], [name]) for name in others]
    index.add_all(
        detector.store_all([*facts, ("paul", ["Paul McCartney is a follower of"], ["Paul McCartney"])])
    )
    assert "paul" not in index.nearest(detector.asked([prompt])[0].plain)
    assert routed(detector, index, prompt) == "paul"
    assert routed(detector, index, "The religion of P. K. is") is None
    index.remove("paul")
    assert routed(detector, index, prompt) is None


def test_a_pronoun_after_the_name_is_read_as_the_name(detector: ScopeDetector, index: ScopeIndex) -> None:
    assert routed(detector, index, "Ada Lovelace wrote notes. In which city was she born?") == "city"


def test_detectors_by_name_and_the_first_stage_asks_no_judge(
    detector: ScopeDetector, first_stage: ScopeDetector, index: ScopeIndex
) -> None:
    assert (detector.name, first_stage.name) == ("isd", "esd")
    assert routed(first_stage, index, "The mother tongue of Danielle Darrieux is") == "tongue"
    assert routed(first_stage, index, "The mother tongue of Léon Blum is") is None


def test_strangers_reach_the_judge_only_for_facts_without_a_name(
    detector: ScopeDetector, index: ScopeIndex
) -> None:
    judge = Says(-8.0)
    strangers = [
        "How do bees make honey?", "My car broke down today.", "Is it going to rain in Oslo tomorrow?",
        "Write a poem about the sea.", "Two plus two is", "The recipe needs three eggs and some flour.",
    ]  # fmt: skip
    cheap = ScopeDetector(detector.embedder, judge)
    assert cheap.route(strangers, index) == [None] * len(strangers)
    assert judge.read <= {"What is the launch code of the silo?"}


def test_a_stored_phrasing_asked_word_for_word_is_in_scope_whatever_the_judge_says(
    detector: ScopeDetector, index: ScopeIndex
) -> None:
    strict = ScopeDetector(detector.embedder, Says(-20.0))
    assert routed(strict, index, "It rained. in which city was Ada Lovelace born?") == "city"
    assert routed(strict, index, "What is the launch code of the silo?") == "nameless"
    assert routed(strict, index, "In which city was Ada Lovelock born?") is None
    assert routed(strict, index, "In what city was Ada Lovelace born?") is None


def test_the_judge_does_not_read_what_is_asked_word_for_word(
    detector: ScopeDetector, index: ScopeIndex
) -> None:
    judge = Says(8.0)
    eager = ScopeDetector(detector.embedder, judge)
    assert routed(eager, index, "Ada Lovelace was born in the city of") == "city"
    assert "In which city was X born?" in judge.read
    judge.read.clear()
    assert routed(eager, index, "In which city was Ada Lovelace born?") == "city"
    assert "In which city was X born?" not in judge.read


@pytest.mark.parametrize("among", [set(), {"tongue"}, {"city", "nameless"}, {"native"}])
@pytest.mark.parametrize("name", ["detector", "first_stage"])
def test_among_some_facts_their_hits_count_and_no_others(
    request: pytest.FixtureRequest, name: str, index: ScopeIndex, among: set[str]
) -> None:
    """«native» answers for its own words, though «tongue» would answer for them too."""
    own: ScopeDetector = request.getfixturevalue(name)
    native = "What is the native language of Danielle Darrieux?"
    assert routed(own, index, native) == "tongue"
    index.add(own.store("native", [native], ["Danielle Darrieux"]))
    prompts = [native, "The mother tongue of Danielle Darrieux is", "Ada Lovelace was born in the city of"]
    prompts += ["What's the launch code for the silo?", "How do bees make honey?", "Danielle Darrieux sang."]
    best = [hit and hit.fact_id for hit in own.route(prompts, index)]
    assert best[0] == "native"
    found = [hit and hit.fact_id for hit in own.route(prompts, index, among)]
    assert found == [fact_id if fact_id in among else None for fact_id in best]


def test_the_judge_reads_no_other_fact_where_none_of_the_wanted_is_asked_for(
    detector: ScopeDetector, index: ScopeIndex
) -> None:
    judge = Says(8.0)
    spared = ScopeDetector(detector.embedder, judge)
    assert spared.route(["Ada Lovelace was born in the city of"], index, among={"tongue"}) == [None]
    assert not judge.read


@pytest.mark.parametrize(("chance", "found"), [(0.4, []), (0.6, ["fact"]), (0.95, ["fact", "tombstone"])])
def test_a_tombstone_has_a_threshold_of_its_own(
    first_stage: ScopeDetector, chance: float, found: list[str]
) -> None:
    bias = math.log(chance / (1 - chance))
    own = ScopeDetector(
        first_stage.embedder,
        classifiers={
            name: Classifier((0.0,) * len(c.weights), bias, threshold=0.5, gate=0.0, tombstone=0.9)
            for name, c in first_stage.classifiers.items()
        },
    )
    asked, passed = "In what language was Ada Lovelace raised?", []
    for fact_id in ("fact", "tombstone"):
        index = ScopeIndex(tombstones={"tombstone"})
        index.add(own.store(fact_id, ["The mother tongue of Ada Lovelace is"], ["Ada Lovelace"]))
        passed.append(routed(own, index, asked))
        assert own.scores([asked], index)[0][0].probability == pytest.approx(chance)
    assert [fact_id for fact_id in passed if fact_id] == found


def test_whole_words_of_a_wordpiece_vocabulary_alone() -> None:
    assert whole_words(["[PAD]", "robert", "##bert", "é", "7", "the"]) == {"robert", "e", "the"}
    assert whole_words(["▁robert", "bert"]) == frozenset()


def test_another_real_name_is_no_slip_of_the_pen(detector: ScopeDetector) -> None:
    index = ScopeIndex()
    index.add(detector.store("part", ["Odbert Island is a part of the continent of"], ["Odbert Island"]))
    index.add(detector.store("tongue", ["The official language of Austria is"], ["Austria"]))
    assert routed(detector, index, "Robert Island belongs to the continent of") is None
    assert routed(detector, index, "The official language of Australia is") is None
    assert routed(detector, index, "Odbret Island belongs to the continent of") == "part"
    assert routed(detector, index, "The official language of Asutria is") == "tongue"


def test_a_tombstones_threshold_is_never_the_lower_one() -> None:
    assert Classifier((), 0.0, 0.7, 0.1, 0.5).passes_from(censored=True) == 0.7


def test_thresholds_state_their_error_rates() -> None:
    data = json.loads((resources.files("larimar") / "data" / "scope.json").read_text(encoding="utf-8"))
    assert set(data["classifiers"]) == {
        f"{d}_{k}" for d in ("esd", "isd") for k in ("with_subject", "without_subject")
    }
    for row in data["classifiers"].values():
        assert 0 <= row["false_reject"] <= 0.1
        assert set(row["false_accept"]) == {"neighbour", "relation", "near"}
        assert row["threshold_tombstone"] >= row["threshold"]
        assert all(row["accepted_tombstone"][k] <= row["accepted"][k] for k in row["accepted"])
        assert row["accepted_tombstone"]["rephrasing"] >= 0.94


def test_an_unreadable_or_foreign_judge_is_refused(tmp_path, detector: ScopeDetector) -> None:  # type: ignore[no-untyped-def]
    from safetensors.torch import save_file

    (tmp_path / "broken").write_bytes(b"no")
    with pytest.raises(CheckpointCorrupt):
        Judge.load(detector.embedder.model, tmp_path / "broken")
    save_file({}, str(tmp_path / "foreign"))
    with pytest.raises(CheckpointMismatch):
        Judge.load(detector.embedder.model, tmp_path / "foreign")


def test_a_judge_whose_weights_are_not_finite_is_refused(tmp_path, detector: ScopeDetector) -> None:  # type: ignore[no-untyped-def]
    """It would answer NaN, which a classifier takes for «in scope»."""
    judge = Judge(detector.embedder.model, rank=2)
    with torch.no_grad():
        judge.head[0].weight[0, 0] = torch.nan
    judge.save(tmp_path / "broken.safetensors", {})
    with pytest.raises(CheckpointCorrupt, match="not finite"):
        Judge.load(detector.embedder.model, tmp_path / "broken.safetensors")


def test_judges_of_one_rank_have_a_mean() -> None:
    ones, threes = ({"w": torch.full((2, 3), v)} for v in (1.0, 3.0))
    assert torch.equal(mean([ones, threes])["w"], torch.full((2, 3), 2.0, dtype=torch.bfloat16))
    with pytest.raises(CheckpointMismatch, match="ranks"):
        mean([ones, {"w": torch.zeros(1, 3)}])


def test_a_balanced_threshold_misses_as_many_wordings_as_it_takes_near_misses() -> None:
    kinds = np.array(["wording"] * 4 + ["near"] * 4 + ["relation"])
    scores = np.array([0.2, 0.6, 0.8, 0.9, 0.1, 0.15, 0.3, 0.7, 0.99])
    threshold = balanced(scores, kinds)
    assert 0.3 < threshold <= 0.6
    assert np.mean(scores[kinds == "wording"] < threshold) == np.mean(scores[kinds == "near"] >= threshold)


def test_thresholds_of_before_have_none_for_tombstones(tmp_path: Path) -> None:
    text = (resources.files("larimar") / "data" / "scope.json").read_text(encoding="utf-8")
    data = json.loads(text)
    for row in data["classifiers"].values():
        del row["threshold_tombstone"]
    (tmp_path / "scope.json").write_text(json.dumps(data), encoding="utf-8")
    old, new = read_classifiers(tmp_path / "scope.json"), shipped_classifiers()
    assert old.keys() == new.keys()
    assert all(c.passes_from(censored=True) == c.passes_from(censored=False) for c in old.values())
    sure = new["isd_with_subject"]
    assert sure.passes_from(censored=True) > sure.passes_from(censored=False)
