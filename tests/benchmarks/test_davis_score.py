"""DAVIS: the official figures of real results by both tasks, and what each task's rules say of small cases."""

import json

import numpy as np
import pytest

from benchmarks.label_maps import read_labels
from benchmarks.metrics.davis import VOID, DavisScore, Task, decay, failed_sequence, score_sequence
from benchmarks.metrics.literal import literal_f, literal_j
from core.errors import InputError
from tests.real_data import real_data

RULES = {Task.UNSUPERVISED: "unsupervised(all frames)", Task.SEMI_SUPERVISED: "semi_supervised(frames 1..-1)"}
QUICK = ("car-shadow", "drift-chicane")
SLOW = ("blackswan", "breakdance", "camel", "car-roundabout", "cows", "dance-twirl")
SLOW += ("dog", "drift-straight", "goat", "libby", "parkour")
NAMES = {"J&F": "jf", "J": "j", "J_recall": "j_recall", "J_decay": "j_decay"}
NAMES |= {"F": "f", "F_recall": "f_recall", "F_decay": "f_decay"}


def official(task):
    return json.loads(real_data("expected.json").read_text())["davis_osvos_vs_real_gt_13seq"][RULES[task]]


def load(folder):
    return np.stack([read_labels(path) for path in sorted(folder.glob("*.png"))])


def score_real(sequence, task):
    truth = (load(real_data(f"davis_eorvos/Annotations/480p/{sequence}")) > 0).astype(np.uint8)
    return score_sequence(sequence, load(real_data(f"davis_eval_results/osvos/{sequence}")), truth, task)


@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("sequence", QUICK)
def test_official_figures_of_two_sequences(sequence, task):
    figures = DavisScore(score_real(sequence, task)).compute()
    assert (figures.j, figures.f) == pytest.approx(official(task)["per_sequence_J_F"][sequence], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("task", Task)
def test_official_figures_of_all_thirteen_sequences_and_of_their_mean(task):
    expected, whole = official(task), DavisScore()
    for sequence in (*QUICK, *SLOW):
        whole.update(score_real(sequence, task))
    for sequence, figures in whole.by_sequence().items():
        assert (figures.j, figures.f) == pytest.approx(expected["per_sequence_J_F"][sequence], abs=1e-6)
    figures = whole.compute()
    assert (figures.n, figures.failures, len(expected["per_sequence_J_F"])) == (13, 0, 13)
    for name, field in NAMES.items():
        assert getattr(figures, field) == pytest.approx(expected["global_"][name], abs=1e-6), name


def labels(*frames, size=(12, 16)):
    """Label maps; each frame lists (label, top, left, side)."""
    maps = np.zeros((len(frames), *size), dtype=np.uint8)
    for frame, squares in zip(maps, frames, strict=True):
        for label, top, left, side in squares:
            frame[top : top + side, left : left + side] = label
    return maps


ONE, TWO = (1, 1, 1, 4), (2, 7, 9, 4)
TRUTH = labels([ONE, TWO], [ONE, TWO], [ONE], [ONE, TWO])


def means(scores):
    return [(s.label, s.matched, float(s.j.mean()), float(s.f.mean())) for s in scores]


@pytest.mark.parametrize("task", Task)
def test_a_perfect_result_scores_1_by_both_tasks(task):
    assert means(score_sequence("s", TRUTH, TRUTH, task)) == [(1, 1, 1.0, 1.0), (2, 2, 1.0, 1.0)]


def test_only_the_unsupervised_task_matches_proposals_to_objects():
    swapped = TRUTH.copy()
    swapped[TRUTH == 1], swapped[TRUTH == 2] = 2, 1
    assert means(score_sequence("s", swapped, TRUTH, Task.UNSUPERVISED)) == [(1, 2, 1.0, 1.0), (2, 1, 1.0, 1.0)]
    by_label = means(score_sequence("s", swapped, TRUTH, Task.SEMI_SUPERVISED))
    assert [j for *_, j, _ in by_label] == [0.0, 0.0]


def test_the_matching_maximises_the_mean_over_all_pairs():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, size=(3, 20, 30), dtype=np.uint8)
    truth[0, 0, :2] = 1, 2
    predicted = random.integers(0, 5, size=truth.shape, dtype=np.uint8)
    table = np.array([[pair_value(predicted == s, truth == o) for o in (1, 2)] for s in (1, 2, 3, 4)])
    best = max(table[a, 0] + table[b, 1] for a in range(4) for b in range(4) if a != b)
    scores = score_sequence("s", predicted, truth, Task.UNSUPERVISED)
    assert sum((s.j.mean() + s.f.mean()) / 2 for s in scores) == pytest.approx(best, abs=1e-12)


def pair_value(predicted, truth):
    return np.mean([(literal_j(p, t) + literal_f(p, t)) / 2 for p, t in zip(predicted, truth, strict=True)])


def test_the_first_and_last_frame_count_only_in_the_unsupervised_task():
    wrong_ends = TRUTH.copy()
    wrong_ends[[0, -1]] = 0
    assert [s.j.tolist() for s in score_sequence("s", wrong_ends, TRUTH, Task.SEMI_SUPERVISED)] == [[1, 1], [1, 1]]
    assert [s.j.tolist() for s in score_sequence("s", wrong_ends, TRUTH, Task.UNSUPERVISED)] == [
        [0, 1, 1, 0],
        [0, 1, 1, 0],
    ]


def test_void_is_left_out_by_the_unsupervised_task_and_background_to_the_other():
    truth = labels(*[[(1, 1, 1, 4), (VOID, 1, 5, 4)]] * 3)
    predicted = labels(*[[(1, 1, 1, 4), (1, 1, 5, 4)]] * 3)
    (left_out,) = score_sequence("s", predicted, truth, Task.UNSUPERVISED)
    (background,) = score_sequence("s", predicted, truth, Task.SEMI_SUPERVISED)
    assert (left_out.j.tolist(), left_out.f.tolist()) == ([1, 1, 1], [1, 1, 1])
    assert background.j.tolist() == [0.5]


def test_an_object_that_appears_later_is_not_judged():
    late = labels([ONE], [ONE, TWO], [ONE, TWO])
    assert [s.label for s in score_sequence("s", late, late, Task.UNSUPERVISED)] == [1]
    with pytest.raises(InputError, match=r"sequence 's': expected predicted labels of 1\.\.1, got 2"):
        score_sequence("s", late, late, Task.SEMI_SUPERVISED)


def test_an_object_without_prediction_scores_as_an_empty_mask():
    only_one = np.where(TRUTH == 1, TRUTH, 0).astype(np.uint8)
    for task in Task:
        first, second = score_sequence("s", only_one, TRUTH, task)
        assert (first.matched, second.matched) == (1, None)
        assert 0 < second.j.mean() < 1  # 1 in the frame where the object is absent


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        (TRUTH[:, :-1], TRUTH, "expected labels of"),
        (TRUTH.astype(np.int64), TRUTH, "expected predicted labels as uint8"),
        (TRUTH, TRUTH[0], "expected true labels as uint8"),
        (TRUTH, np.zeros_like(TRUTH), "expected an object in the first true frame, got none"),
        (np.full_like(TRUTH, 255), TRUTH, "expected at most 20 proposals, got label 255"),
    ],
)
def test_maps_that_cannot_be_judged_are_refused(predicted, truth, message):
    with pytest.raises(InputError, match=f"sequence 's': {message}"):
        score_sequence("s", predicted, truth, Task.UNSUPERVISED)


def test_parts_merge_in_any_order_and_failures_count_as_0():
    good, bad = score_sequence("a", TRUTH, TRUTH, Task.UNSUPERVISED), failed_sequence("b", TRUTH, Task.UNSUPERVISED)
    one, other = DavisScore(good), DavisScore(bad)
    one.merge(other)
    other.merge(DavisScore(good))
    assert one.compute() == other.compute()
    assert (one.compute().jf, one.compute().n, one.compute().failures) == (0.5, 4, 2)
    assert len(failed_sequence("b", TRUTH, Task.SEMI_SUPERVISED)[0].j) == 2
    with pytest.raises(InputError, match="expected at least one object"):
        DavisScore().compute()


@pytest.mark.parametrize(("frames", "fall"), [(1, 0.0), (4, 2.0), (5, 3.0), (40, 29.0), (400, 299.0)])
def test_decay_is_the_first_quarter_less_the_last_however_long_the_clip(frames, fall):
    assert decay(-np.arange(frames, dtype=np.float64)) == pytest.approx(fall, abs=1e-12)
