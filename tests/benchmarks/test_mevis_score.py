"""MeViS's rules: empty frames, means over expressions, failures, no-target accuracy, merging."""

import numpy as np
import pytest

from benchmarks.metrics.mevis_score import ExpressionScore, MevisScore, failed_expression, score_expression
from core.errors import InputError


def clip(*frames):
    """[T, 20, 20]: "#" a square, "F" all pixels, "." nothing."""
    masks = np.zeros((len(frames), 20, 20), dtype=bool)
    for mask, what in zip(masks, frames, strict=True):
        if what == "#":
            mask[4:12, 4:12] = True
        elif what == "F":
            mask[:] = True
    return masks


@pytest.mark.parametrize(
    ("predicted", "truth", "j", "f"),
    [
        ("##", "##", 1.0, 1.0),
        ("..", "..", 1.0, 1.0),
        (".#", "##", 0.5, 0.5),
        ("##", "#.", 0.5, 0.5),
        ("#F", "#.", 0.5, 0.5),  # DAVIS's F alone would be 1 in the second frame
        ("..", "#.", 0.5, 0.5),
        ("..", "##", 0.0, 0.0),
    ],
)
def test_frames_without_truth_score_1_when_left_empty_and_0_otherwise(predicted, truth, j, f):
    score = score_expression(clip(*predicted), clip(*truth), no_target=False)
    assert (score.j, score.f) == (j, f)
    assert score.empty == ("#" not in predicted)


def test_expressions_weigh_the_same_and_failures_count_as_zero():
    total = MevisScore([ExpressionScore(1.0, 0.5, False, False), ExpressionScore(0.5, 0.1, False, False)])
    total.update(failed_expression(no_target=False))
    figures = total.compute()
    assert (figures.j, figures.f) == (0.5, pytest.approx(0.2))
    assert figures.jf == pytest.approx(0.35)
    assert (figures.n, figures.failures) == (3, 1)


def test_accuracies_are_shares_of_their_own_expressions():
    rows = [
        score_expression(clip("."), clip("."), no_target=True),
        score_expression(clip("#"), clip("."), no_target=True),
        failed_expression(no_target=True),
        score_expression(clip("#"), clip("#"), no_target=False),
        score_expression(clip("."), clip("#"), no_target=False),
        failed_expression(no_target=False),
        score_expression(clip("#"), clip("."), no_target=False),  # a target that is never visible
    ]
    figures = MevisScore(rows).compute()
    assert figures.no_target_accuracy == pytest.approx(1 / 3)
    assert figures.final_score == pytest.approx((figures.jf + 1 / 3 + figures.target_accuracy) / 3)
    assert figures.target_accuracy == pytest.approx(2 / 4)
    assert figures.target_jf == pytest.approx(1 / 4)
    assert figures.jf == pytest.approx(2 / 7)


def test_figures_without_expressions_of_a_sort_are_none():
    figures = MevisScore([ExpressionScore(1.0, 1.0, True, True)]).compute()
    assert (figures.target_jf, figures.target_accuracy, figures.no_target_accuracy) == (None, None, 1.0)
    figures = MevisScore([ExpressionScore(1.0, 1.0, False, False)]).compute()
    assert figures.no_target_accuracy is None


def test_kinds_are_scored_apart():
    rows = [ExpressionScore(j, j, False, False, kind=kind) for kind, j in (("motion", 0.2), ("attribute", 1.0))]
    kinds = MevisScore([*rows, failed_expression(no_target=False, kind="motion")]).by_kind()
    assert list(kinds) == ["attribute", "motion"]
    assert (kinds["motion"].jf, kinds["motion"].n, kinds["motion"].failures) == (0.1, 2, 1)


def test_merging_in_any_order_gives_the_same_figures():
    random = np.random.default_rng(0)
    rows = [ExpressionScore(*random.random(2), False, False, kind=str(i % 3)) for i in range(50)]
    whole = MevisScore(rows)
    first, second = MevisScore(rows[30:]), MevisScore(rows[:30])
    first.merge(second)
    assert first.compute() == whole.compute()
    assert first.by_kind() == whole.by_kind()


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="at least one expression"):
        MevisScore().compute()
    with pytest.raises(InputError, match="at least one frame"):
        score_expression(clip(), clip(), no_target=False)
    with pytest.raises(InputError, match="no true pixels of a no-target expression, got some in 1 frames"):
        score_expression(clip(".", "."), clip(".", "#"), no_target=True)
    with pytest.raises(InputError, match="of one shape"):
        score_expression(clip("."), clip(".", "."), no_target=False)
    with pytest.raises(InputError, match="j: expected probabilities"):
        ExpressionScore(1.5, 0.0, False, False)
