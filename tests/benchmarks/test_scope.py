"""The scope benchmarks' own arithmetic."""

from benchmarks.scope import scaled
from benchmarks.scope_sets import close_questions
from benchmarks.tombstones import tells


def test_scaled_scores_put_the_threshold_at_one_half_and_keep_the_order() -> None:
    low, at, high = (scaled(p, 0.2) for p in (0.1, 0.2, 0.3))
    assert low < 0.5 < high
    assert abs(at - 0.5) < 1e-9


def test_an_answer_is_told_as_words_only() -> None:
    assert tells("She spoke FRENCH.", "French")
    assert not tells("Frenchmen sang", "French")


def test_close_questions_name_their_subject_and_have_both_labels() -> None:
    probes = close_questions()
    assert all(p.subject in p.stored for p in probes)
    assert {p.same for p in probes} == {True, False}
