import pytest

from benchmarks.metrics.mevis_score import ExpressionScore, failed_expression
from benchmarks.metrics.no_target import no_target_f1


def said(no_target, empty):
    return ExpressionScore(0.0, 0.0, no_target, empty)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([said(True, True), said(False, False)], 1.0),
        ([said(True, True), said(True, False), said(False, True)], 0.5),  # a hit, a miss, a false alarm
        ([said(True, False)], 0.0),
        ([said(False, True)], 0.0),
        ([said(False, False)], None),
        ([], None),
        ([said(True, True), failed_expression(no_target=True)], 2 / 3),
        ([said(True, True), failed_expression(no_target=False)], 2 / 3),
    ],
)
def test_f1_counts_misses_and_false_alarms_alike(scores, expected):
    assert no_target_f1(scores) == (None if expected is None else pytest.approx(expected))
