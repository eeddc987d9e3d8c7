"""Box tracking: the figures of real LaSOT sequences by both first-frame rules, and each rule by hand."""

import json

import numpy as np
import pytest

from benchmarks.metrics.boxes import box_iou, from_corners
from benchmarks.metrics.general_overlap import OverlapTotal, score_overlap
from benchmarks.metrics.spatio_temporal import TubeScore, TubeTotal, score_tube
from benchmarks.metrics.success import (
    AS_PREDICTED,
    LASOT,
    OTB,
    SuccessScore,
    failed_boxes,
    frozen_first,
    middle_box,
    score_boxes,
)
from core.errors import InputError
from tests.real_data import real_data

NAN = np.nan


def boxes(*rows):
    return np.array(rows, dtype=np.float64)


def load(path):
    return np.loadtxt(path, delimiter=",", dtype=np.float64)


def figures(predicted, truth, rules=OTB, absent=None):
    return SuccessScore([score_boxes("s", predicted, truth, rules=rules, absent=absent)]).compute()


@pytest.mark.parametrize(
    ("rules", "record"),
    [
        (AS_PREDICTED, "mmtracking/elysium-core (first frame scored as predicted)"),
        (OTB, "pytracking/LaSOT matlab (first frame := GT)"),
        (LASOT, "pytracking/LaSOT matlab (first frame := GT)"),
    ],
)
def test_official_figures_of_two_real_sequences_by_both_first_frame_rules(rules, record):
    expected = json.loads(real_data("expected.json").read_text())[
        "lasot_mmtracking_sample(airplane-1,2; 25 frames each)"
    ]
    score = SuccessScore()
    for name in ("airplane-1", "airplane-2"):
        folder = real_data(f"mmtracking_sot/{name}")
        predicted = from_corners(load(folder / "track_results.txt"))
        score.update(score_boxes(name, predicted, load(folder / "groundtruth.txt"), rules=rules))
    found = score.compute()
    assert 100 * found.auc == pytest.approx(expected[record]["AUC"], abs=5e-4)
    assert 100 * found.precision == pytest.approx(expected[record]["P@20"], abs=1e-9)
    assert 100 * found.normalised_precision == pytest.approx(expected[record]["NP@0.2"], abs=1e-9)


def plain_lasot(predicted, truth, absent):
    """LaSOT's toolkit in words, one frame at a time: overlap and both errors of the frames that are not absent."""
    predicted = [list(b) for b in predicted[: len(truth)]]
    for i in range(1, len(predicted)):
        if any(np.isnan(predicted[i])) or predicted[i][2] <= 0 or predicted[i][3] <= 0:
            predicted[i] = predicted[i - 1]
    predicted[0] = list(truth[0])
    found = []
    for p, t, gone in zip(predicted, truth, absent, strict=True):
        if gone:
            continue
        if min(t) <= 0:
            found.append((-1.0, -1.0, -1.0))
            continue
        width = max(0.0, min(p[0] + p[2], t[0] + t[2]) - max(p[0], t[0]))
        height = max(0.0, min(p[1] + p[3], t[1] + t[3]) - max(p[1], t[1]))
        dx, dy = p[0] + (p[2] - 1) / 2 - t[0] - (t[2] - 1) / 2, p[1] + (p[3] - 1) / 2 - t[1] - (t[3] - 1) / 2
        overlap = width * height / (p[2] * p[3] + t[2] * t[3] - width * height)
        found.append((overlap, (dx**2 + dy**2) ** 0.5, ((dx / t[2]) ** 2 + (dy / t[3]) ** 2) ** 0.5))
    overlap, error, share = np.array(found).T
    n = len(truth)
    auc = np.mean([(overlap > t / 20).sum() / n for t in range(21)])
    return auc, (error <= 20).sum() / n, (share <= 0.2).sum() / n


SEQUENCES = ("airplane-1", "basketball-6", "bicycle-2", "bird-15", "cat-20", "coin-18")
SEQUENCES += ("gametarget-13", "kite-15", "monkey-17", "person-5", "volleyball-19", "zebra-17")


@pytest.mark.parametrize("name", SEQUENCES)
def test_real_lasot_sequences_score_as_the_toolkit_does_it_frame_by_frame(name):
    truth = load(real_data(f"lasot/annos/{name}.txt"))
    absent = load(real_data(f"lasot/annos/absent/{name}.txt")) == 1
    random = np.random.default_rng(0)
    noisy = truth + random.normal(scale=8, size=truth.shape)
    noisy[random.random(len(truth)) < 0.05] = NAN
    noisy[random.random(len(truth)) < 0.05, 2] = 0
    for predicted in (frozen_first(truth), noisy, truth):
        found = figures(predicted, truth, LASOT, absent)
        expected = plain_lasot(predicted, truth, absent)
        assert (found.auc, found.precision, found.normalised_precision) == pytest.approx(expected, abs=1e-12)


def test_a_perfect_tracker_reaches_20_of_21_since_overlap_must_exceed_the_threshold():
    truth = boxes([5, 5, 10, 10], [6, 6, 10, 10])
    assert figures(truth, truth).auc == pytest.approx(20 / 21)
    assert figures(truth, truth).precision == figures(truth, truth).normalised_precision == 1


def test_absent_frames_never_hit_and_stay_in_the_denominator():
    truth = boxes(*[[5, 5, 10, 10]] * 4)
    for rules in (LASOT, OTB):
        found = figures(truth, truth, rules, absent=np.array([False, True, False, False]))
        assert (found.auc, found.precision) == pytest.approx((0.75 * 20 / 21, 0.75))


def test_a_true_box_without_area_is_precise_by_lasots_toolkit_alone_and_never_a_success():
    truth = boxes([5, 5, 10, 10], [0, 0, 0, 0])
    predicted = boxes([5, 5, 10, 10], [500, 5, 10, 10])
    lasot, otb = figures(predicted, truth, LASOT), figures(predicted, truth, OTB)
    assert (lasot.precision, otb.precision) == (1.0, 0.5)
    assert lasot.auc == otb.auc == pytest.approx(10 / 21)


def test_lasots_toolkit_takes_a_true_box_at_the_edge_of_the_picture_for_unusable():
    truth = boxes([5, 5, 10, 10], [0, 5, 10, 10])
    lasot, otb = figures(truth, truth, LASOT), figures(truth, truth, OTB)
    assert (lasot.precision, otb.precision) == (1.0, 1.0)
    assert (lasot.auc, otb.auc) == pytest.approx((10 / 21, 20 / 21))


def test_an_unusable_result_repeats_the_one_before():
    truth = boxes(*[[5, 5, 10, 10]] * 4)
    broken = boxes([5, 5, 10, 10], [NAN, 5, 10, 10], [5, 5, 0, 10], [5, 5, 10, -1])
    assert figures(broken, truth, AS_PREDICTED) == figures(truth, truth)
    nothing = np.full((4, 4), NAN)
    assert figures(nothing, truth, AS_PREDICTED).precision == 0
    assert figures(nothing, truth, OTB).precision == 0.25


def test_precision_counts_20_pixels_and_a_fifth_of_the_box():
    truth = boxes([100, 100, 50, 100], [100, 100, 50, 100], [100, 100, 50, 100])
    predicted = boxes([100, 100, 50, 100], [110, 100, 50, 100], [100, 121, 50, 100])
    found = figures(predicted, truth)
    assert (found.precision, found.normalised_precision) == pytest.approx((2 / 3, 2 / 3))
    assert found.normalised_precision_auc == pytest.approx((51 + 31 + 30) / 153, abs=1e-9)


def test_surplus_results_are_cut_and_missing_ones_refused():
    truth = boxes(*[[5, 5, 10, 10]] * 2)
    assert figures(np.concatenate([truth, truth]), truth) == figures(truth, truth)
    with pytest.raises(InputError, match="sequence 's': expected 2 boxes, one a frame, got 1"):
        figures(truth[:1], truth)


@pytest.mark.parametrize(
    ("predicted", "truth", "absent", "message"),
    [
        (boxes([1, 2, 3, 4]), boxes([1, NAN, 3, 4]), None, "expected finite true boxes, got others in 1 frames"),
        (boxes([1, 2, 3, 4]), np.zeros((0, 4)), None, "expected true boxes as float64"),
        (boxes([1, 2, 3]), boxes([1, 2, 3, 4]), None, "expected boxes as float64"),
        (boxes([1, 2, 3, 4]), boxes([1, 2, 3, 4]), np.array([True, False]), "expected 1 absence flags"),
    ],
)
def test_boxes_that_cannot_be_judged_are_refused(predicted, truth, absent, message):
    with pytest.raises(InputError, match=f"sequence 's': {message}"):
        score_boxes("s", predicted, truth, absent=absent)


def test_parts_merge_in_any_order_and_failures_count_as_0():
    truth = boxes(*[[5, 5, 10, 10]] * 2)
    good, bad = score_boxes("a", truth, truth, attributes=("FM",)), failed_boxes("b", ("FM", "OV"))
    one, other = SuccessScore([good]), SuccessScore([bad])
    one.merge(other)
    other.update(good)
    assert one.compute() == other.compute()
    assert (one.compute().precision, one.compute().n, one.compute().failures) == (0.5, 2, 1)
    assert {name: f.precision for name, f in one.by_attribute().items()} == {"FM": 0.5, "OV": 0.0}
    with pytest.raises(InputError, match="expected at least one sequence"):
        SuccessScore().compute()


def test_the_middle_box_lies_in_the_middle():
    assert middle_box(40, 20, 2).tolist() == [[10, 5, 20, 10]] * 2


def test_box_overlap_is_continuous_and_0_without_area():
    first = boxes([0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 0, 0], [0, 0, 2, 2])
    second = boxes([1, 1, 2, 2], [2, 0, 2, 2], [0, 0, 0, 0], [NAN, 0, 2, 2])
    assert box_iou(first, second).tolist() == [1 / 7, 0, 0, 0]


def test_got10k_leaves_out_the_first_frame_and_hidden_targets_and_cuts_boxes_to_the_picture():
    truth = boxes([0, 0, 10, 10], [0, 0, 10, 10], [90, 0, 20, 10], [0, 0, 10, 10])
    predicted = boxes([50, 50, 1, 1], [5, 0, 10, 10], [90, 0, 10, 10], [50, 50, 1, 1])
    score = score_overlap("s", predicted, truth, np.array([8, 8, 8, 0]), (100, 100))
    assert score.overlaps.tolist() == [pytest.approx(1 / 3), 1.0]
    total = OverlapTotal([score])
    total.merge(OverlapTotal([score_overlap("t", None, truth, None, (100, 100))]))
    found = total.compute()
    assert (found.n, found.sequences, found.failures) == (5, 2, 1)
    assert (found.ao, found.sr_50, found.sr_75) == pytest.approx((4 / 3 / 5, 0.2, 0.2))
    with pytest.raises(InputError, match=r"sequence 's': expected finite boxes \[4, 4\]"):
        score_overlap("s", predicted[:3], truth, None, (100, 100))


HERE, GONE = [0, 0, 10, 10], [NAN] * 4


@pytest.mark.parametrize(
    ("predicted", "truth", "viou", "tiou"),
    [
        ([HERE, HERE, GONE], [HERE, HERE, GONE], 1, 1),
        ([HERE, HERE, HERE, GONE], [GONE, HERE, HERE, HERE], 2 / 4, 2 / 4),
        ([[5, 0, 10, 10], HERE], [HERE, GONE], 1 / 3 / 2, 1 / 2),
        ([GONE, HERE], [HERE, GONE], 0, 0),
        ([GONE, GONE], [GONE, GONE], 1, 1),
    ],
)
def test_a_tube_is_judged_over_the_frames_of_either(predicted, truth, viou, tiou):
    score = score_tube(boxes(*predicted), boxes(*truth))
    assert (score.viou, score.tiou) == pytest.approx((viou, tiou))


def test_tubes_merge_and_thresholds_are_exceeded_not_met():
    total = TubeTotal([TubeScore(0.5, 0.6)])
    total.merge(TubeTotal([TubeScore(0.0, 0.0, failed=True), TubeScore(0.3, 1.0), TubeScore(1.0, 1.0)]))
    found = total.compute()
    assert (found.viou, found.tiou, found.viou_30, found.viou_50) == pytest.approx((0.45, 0.65, 0.5, 0.25))
    assert (found.n, found.failures) == (4, 1)
    with pytest.raises(InputError, match="tube: expected predicted boxes of numbers or of NaN"):
        score_tube(boxes([1, NAN, 1, 1]), boxes(HERE))
