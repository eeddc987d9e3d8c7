import numpy as np
import pytest

from core.errors import InputError
from core.types import Expression, Labels
from selector.labels import overlap_score, positives

IOU = np.array([[0.9, 0.0], [0.1, 0.71], [0.7, 0.3], [0.0, 0.1]], dtype=np.float32)
PRECISION = np.array([[0.9, 0.0], [0.1, 0.9], [0.9, 0.3], [0.0, 0.2]], dtype=np.float32)
LABELS = Labels(("a", "b"), IOU, PRECISION, IOU)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [(("a",), [1, 0, 0, 0]), (("b",), [0, 1, 0, 0]), (("a", "b"), [1, 1, 0, 0]), ((), [0, 0, 0, 0])],
)
def test_positive_is_above_the_threshold_on_the_best_target(targets, expected):
    assert positives(LABELS, Expression("e", "x", targets)).tolist() == [bool(v) for v in expected]


@pytest.mark.parametrize("targets", [None, ("c",), ("a", "c")])
def test_unknown_targets_are_refused(targets):
    with pytest.raises(InputError, match="targets"):
        positives(LABELS, Expression("e", "x", targets))


@pytest.mark.parametrize(
    ("targets", "chosen", "score"),
    [
        (("a",), [1, 0, 0, 0], 0.9), (("a",), [1, 0, 1, 0], 0.9), (("a",), [1, 0, 0, 1], 0.45), (("a",), [0] * 4, 0.0),
        (("a", "b"), [1, 0, 0, 0], 0.45), (("a", "b"), [1, 1, 0, 0], 0.805), ((), [0] * 4, 1.0),
        ((), [1, 0, 0, 0], 0.0),
    ],
)  # fmt: skip
def test_overlap_score_counts_covered_targets_and_foreign_tracks(targets, chosen, score):
    flags = np.array(chosen, dtype=bool)
    assert overlap_score(LABELS, Expression("e", "x", targets), flags) == pytest.approx(score)


def test_a_target_that_no_track_covers_well_is_meant_by_its_best_track_where_asked():
    overlap = np.array([[0.9, 0.1], [0.75, 0.35], [0.1, 0.5], [0.2, 0.05]], dtype=np.float32)
    labels = Labels(("a", "b"), overlap, overlap, overlap)
    both = Expression("e", "x", ("a", "b"))
    assert positives(labels, both).tolist() == [True, True, False, False]
    assert positives(labels, both, least=0.2).tolist() == [True, True, True, False]
    assert positives(labels, both, least=0.5).tolist() == [True, True, False, False]  # not by more
    assert positives(labels, Expression("e", "x", ("a",)), least=0.2).tolist() == [True, True, False, False]
    assert not positives(labels, Expression("e", "x", ()), least=0.2).any()
    nothing = np.zeros((0, 2), dtype=np.float32)
    assert positives(Labels(("a", "b"), nothing, nothing, nothing), both, least=0.2).shape == (0,)
