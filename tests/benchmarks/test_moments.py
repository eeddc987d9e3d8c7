"""R@n, mean IoU and mAP of moments on cases small enough to do by hand; merging; what is refused."""

import numpy as np
import pytest

from benchmarks.metrics.intervals import overlap
from benchmarks.metrics.moments import MomentTotals, average_precision, score_moments
from core.errors import InputError


def windows(*pairs):
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


@pytest.mark.parametrize(
    ("first", "second", "iou"),
    [
        ((0, 10), (0, 10), 1.0),
        ((0, 10), (5, 15), 1 / 3),
        ((0, 10), (10, 20), 0.0),
        ((0, 10), (20, 30), 0.0),
        ((0, 10), (2, 4), 0.2),
        ((8, 2), (0, 10), 0.0),  # ends before it starts
        ((5, 5), (0, 10), 0.0),
        ((5, 5), (5, 5), 0.0),
    ],
)
def test_overlap_is_intersection_over_union(first, second, iou):
    assert overlap(windows(first), windows(second))[0, 0] == pytest.approx(iou)
    assert overlap(windows(second), windows(first))[0, 0] == pytest.approx(iou)


def test_recall_takes_the_first_window_and_map_the_best_scored():
    score = score_moments(windows((50, 60), (0, 10)), windows((0, 10)), scores=[0.1, 0.9])
    full = score.ranges["full"]
    assert full.best == {1: 0.0, 5: 1.0}
    assert full.ap.tolist() == [1.0] * 10
    in_order = score_moments(windows((50, 60), (0, 10)), windows((0, 10)))
    assert in_order.ranges["full"].ap.tolist() == [0.5] * 10


def test_the_first_window_is_compared_with_the_true_window_it_overlaps_most():
    score = score_moments(windows((0, 10)), windows((100, 110), (0, 8)))
    assert score.ranges["full"].best[1] == pytest.approx(0.8)


def test_only_ten_windows_count_for_map():
    many = windows(*[(100 + i, 101 + i) for i in range(10)], (0, 10))
    score = score_moments(many, windows((0, 10)), scores=[0.0] * 10 + [1.0])
    assert score.ranges["full"].ap.max() == 0.0


def test_each_true_window_is_found_once():
    iou = np.array([[0.9, 0.0], [0.8, 0.0], [0.0, 0.6]])
    # Hit, miss (its window is taken), hit: precision 1 and 2/3 at recall 1/2 and 1.
    assert average_precision(iou, [0.5])[0] == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(iou, [0.7])[0] == pytest.approx(0.5)
    assert average_precision(np.zeros((0, 2)), [0.5]).tolist() == [0.0]


def test_a_prediction_takes_the_next_free_window_that_is_good_enough():
    iou = np.array([[0.9, 0.6], [0.9, 0.7]])
    assert average_precision(iou, [0.5])[0] == 1.0
    assert average_precision(iou, [0.8])[0] == 0.5


def test_length_ranges_drop_true_windows_and_no_predicted_ones():
    score = score_moments(windows((0, 100), (0, 10)), windows((0, 10), (0, 100)), scores=[0.9, 0.8])
    assert set(score.ranges) == {"full", "short", "long"}
    assert score.ranges["short"].ap[0] == 0.5  # the long answer, scored higher, is a false positive here
    assert score.ranges["long"].ap[0] == 1.0
    assert score.ranges["short"].best[1] == pytest.approx(0.1)


@pytest.mark.parametrize(("length", "name"), [(10, "short"), (10.5, "middle"), (30, "middle"), (150, "long")])
def test_length_ranges_include_their_upper_end(length, name):
    assert set(score_moments(windows(), windows((0, length))).ranges) == {"full", name}


def test_no_prediction_counts_as_zero_and_as_a_failure():
    totals = MomentTotals()
    totals.update(score_moments(windows((0, 10)), windows((0, 10))), score_moments(windows(), windows((0, 10))))
    full = totals.compute()["full"]
    assert (full.n, full.failures, full.map, full.miou, full.recall[1, 0.5]) == (2, 1, 0.5, 0.5, 0.5)


def test_a_threshold_is_reached_by_equality():
    totals = MomentTotals()
    totals.update(score_moments(windows((0, 5)), windows((0, 10))))
    full = totals.compute()["full"]
    assert (full.recall[1, 0.3], full.recall[1, 0.5], full.recall[1, 0.55]) == (1.0, 1.0, 0.0)


def test_parts_merge_in_any_order_to_the_same_figures():
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(40):
        truth = np.sort(rng.integers(0, 75, (2, 2)) * 2.0, axis=1)
        truth[:, 1] += 2
        scores.append(score_moments(np.sort(rng.random((4, 2)) * 150, axis=1), truth, rng.random(4)))
    whole, left, right = MomentTotals(), MomentTotals(), MomentTotals()
    whole.update(*scores)
    left.update(*scores[25:])
    right.update(*scores[:25])
    left.merge(right)
    assert left.compute() == whole.compute()


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(InputError, match="expected at least one true window"):
        score_moments(windows((0, 1)), windows())
    with pytest.raises(InputError, match="expected 1 finite scores"):
        score_moments(windows((0, 1)), windows((0, 1)), scores=[float("nan")])
    with pytest.raises(InputError, match="expected finite numbers"):
        score_moments(windows((0, float("inf"))), windows((0, 1)))
    with pytest.raises(InputError, match=r"expected shape \[any, 2\]"):
        score_moments(np.zeros((2, 3)), windows((0, 1)))
    with pytest.raises(InputError, match="expected at least one query"):
        MomentTotals().compute()
    with pytest.raises(InputError, match="expected thresholds"):
        MomentTotals().merge(MomentTotals((0.5,)))
