"""Dense-caption figures on cases small enough to do by hand: matching, F1 both ways, CIDEr, SODA_c, merging."""

import math

import numpy as np
import pytest

from benchmarks.metrics.cider import cider
from benchmarks.metrics.dense_captions import (
    Captions,
    CaptionTotals,
    paragraph_pairs,
    score_captions,
    segment_iou,
    soda_f,
)
from core.errors import InputError


def captions(*rows):
    return Captions(np.array([row[:2] for row in rows], dtype=np.float64).reshape(-1, 2), [row[2] for row in rows])


class SameWords:
    """A pair scorer whose figure of one pair is the share of the said words that the reference has."""

    def __init__(self):
        self.asked = []

    def score(self, pairs):
        self.asked.append(list(pairs))
        each = np.array([len(set(a.split()) & set(b.split())) / max(len(a.split()), 1) for a, b in pairs])
        return float(each.mean()), each


def test_segments_count_as_found_by_any_overlap_above_the_threshold():
    truth = captions((0, 10, "a"), (20, 30, "b"))
    score = score_captions(captions((0, 9, "x"), (1, 10, "y"), (50, 60, "z")), truth)
    assert score.precision.tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0])  # IoU .9 is not above .9
    assert score.recall.tolist() == pytest.approx([0.5, 0.5, 0.5, 0])


def test_reversed_segments_are_swapped_as_the_official_code_does():
    assert segment_iou(np.array([[10.0, 0.0]]), np.array([[0.0, 10.0]]))[0, 0] == pytest.approx(1)
    assert segment_iou(np.array([[5.0, 5.0]]), np.array([[5.0, 5.0]]))[0, 0] == 0


def test_the_two_f1_averagings_differ_and_are_named():
    totals = CaptionTotals()
    truth = captions((0, 10, "a"), (20, 30, "b"))
    totals.update(score_captions(captions((0, 10, "a")), truth))  # P 1, R .5
    totals.update(
        score_captions(captions((0, 10, "a"), (20, 30, "b"), (50, 60, "c"), (60, 70, "d")), truth)
    )  # P .5, R 1
    figures = totals.compute()
    assert figures.f1_by_video == pytest.approx(2 / 3)
    assert figures.f1_by_threshold == pytest.approx(0.75)


def test_no_captions_score_zero_and_count_as_a_failure():
    totals, truth = CaptionTotals(), captions((0, 10, "a"))
    totals.update(score_captions(captions(), truth, SameWords()), score_captions(truth, truth, SameWords()))
    figures = totals.compute()
    assert (figures.n, figures.failures, figures.precision, figures.recall) == (2, 1, 0.5, 0.5)
    assert (figures.soda_c, figures.soda_c_answered) == (pytest.approx(0.5), pytest.approx(1.0))


def test_captions_are_compared_in_all_pairs_and_unmatched_ones_with_a_word_of_their_own():
    scorer = SameWords()
    truth = captions((0, 10, "a b"), (0, 10, "c"))
    score_captions(captions((0, 10, "a"), (80, 90, "e"), (90, 99, "f")), truth, scorer)
    pairs = scorer.asked[0]
    assert pairs[:2] == [("a", "a b"), ("a", "c")]
    assert [said for said, _ in pairs[2:]] == ["e", "f"]
    first, second = (unsaid for _, unsaid in pairs[2:])
    assert first != second
    assert all(10 <= len(word) <= 20 and word.isalpha() for word in (first, second))


def test_of_several_annotators_the_best_counts_and_all_their_captions_are_compared():
    first, second = captions((0, 10, "a")), captions((50, 60, "b"), (70, 80, "c"))
    scorer = SameWords()
    score = score_captions(captions((50, 60, "b"), (0, 10, "a")), first, scorer, others=[second])
    assert score.precision.tolist() == [0.5] * 4
    assert score.recall.tolist() == [1.0] * 4  # of the first, which has one segment
    assert scorer.asked[:4] == [[("b", "b"), ("a", "a")]] * 4
    assert score.soda_c == pytest.approx((2 / 3, 1 / 2))  # each annotator's own
    totals = CaptionTotals()
    totals.update(score, score_captions(captions((0, 10, "a")), first, SameWords()))
    assert totals.compute().soda_c == pytest.approx(((2 / 3 + 1) / 2 + 1 / 2) / 2)


def test_soda_scores_the_truth_as_what_was_said_and_the_prediction_as_reference():
    scorer = SameWords()
    score = score_captions(captions((0, 10, "a b c d")), captions((0, 10, "a b")), scorer)
    assert scorer.asked[-1] == [("a b", "a b c d")]
    assert score.soda_c == pytest.approx((1.0,))
    assert score.meteor.tolist() == pytest.approx([0.5] * 4)


@pytest.mark.parametrize(
    ("worth", "f"),
    [
        ([[1.0]], 1.0),
        ([[1.0, 0.0], [0.0, 1.0]], 1.0),
        ([[0.0, 1.0], [1.0, 0.0]], 0.5),  # crossing pairs: only one can be taken
        ([[0.5], [0.9]], 2 * 0.9 / 3),
        ([[0.0]], 0.0),
    ],
)
def test_soda_matches_in_order(worth, f):
    assert soda_f(np.array(worth)) == pytest.approx(f)


def test_cider_by_hand():
    # Two sentences of one word each: every n-gram is in one of two reference sets, idf = log 2, cosine 1 for n = 1.
    assert cider(["a", "b"], [["a"], ["b"]]).tolist() == pytest.approx([10 / 4, 10 / 4])
    assert cider(["a", "b"], [["b"], ["a"]]).tolist() == [0, 0]
    assert cider(["a"], [["a"]]).tolist() == [0]  # one pair alone: idf is log 1
    same = cider(["a b c d", "e"], [["a b c d"], ["f"]])
    assert same[0] == pytest.approx(10)
    longer = cider(["a b c d a b c d", "e"], [["a b c d"], ["f"]])
    assert 0 < longer[0] < 10 * math.exp(-16 / 72)  # four pairs of words more


def test_cider_clips_repeated_words_and_averages_references():
    once = cider(["a", "x"], [["a"], ["y"]])[0]
    assert cider(["a a", "x"], [["a"], ["y"]])[0] < once
    assert cider(["a", "x"], [["a", "z"], ["y"]])[0] == pytest.approx(once / 2)


def test_paragraphs_are_letters_in_lower_case():
    assert paragraph_pairs([["Cut 2 eggs.", "It's done."], []], [["A"], ["B c."]]) == [
        ("cut eggs it s done", "a"),
        ("", "b c"),
    ]


def test_parts_merge_in_any_order_to_the_same_figures():
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(12):
        said, true = (np.sort(rng.random((n, 2)) * 20, axis=1) for n in (4, 3))
        words = ["a b", "b c", "c d", "a c"]
        scores.append(score_captions(Captions(said, words), Captions(true, words[:3]), SameWords()))
    whole, left, right = CaptionTotals(), CaptionTotals(), CaptionTotals()
    whole.update(*scores)
    left.update(*scores[7:])
    right.update(*scores[:7])
    left.merge(right)
    assert left.compute() == whole.compute()


def test_what_cannot_be_scored_is_refused():
    truth = captions((0, 10, "a"))
    with pytest.raises(InputError, match="expected at least one true segment"):
        score_captions(truth, captions())
    with pytest.raises(InputError, match="expected one a segment, got 1 for 0"):
        Captions(np.zeros((0, 2)), ["a"])
    with pytest.raises(InputError, match="expected references for each"):
        cider(["a"], [[]])
    with pytest.raises(InputError, match="expected at least one video"):
        CaptionTotals().compute()
    totals = CaptionTotals()
    totals.update(score_captions(truth, truth), score_captions(truth, truth, SameWords()))
    with pytest.raises(InputError, match="expected METEOR of all 2 videos or of none, got 1"):
        totals.compute()
