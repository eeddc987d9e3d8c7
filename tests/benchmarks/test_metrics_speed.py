"""`benchmark metrics` compares equal things and says what it measured."""

import tracemalloc

import numpy as np

from benchmarks.metrics.speed import draw, time_metrics


def test_the_benchmark_prints_the_ratio_the_difference_and_the_scaling(command):
    outcome = command("benchmark", "metrics", "--frames", 4, "--expressions", 2)
    assert outcome.code == 0, outcome.err
    figures = outcome.figures
    assert figures["settings"] == {"benchmark": "metrics", "expressions": 2, "frames": 4, "size": [480, 854]}
    assert figures["largest_difference"] < 1e-9
    assert figures["speed_ratio"] > 5  # far more on a quiet machine: the command's own figure is the one to quote
    assert figures["expressions_per_s_1_processes"] > 0
    assert figures["peak_mib"] > 10


def test_memory_does_not_grow_with_the_number_of_expressions():
    """What Python and numpy hold at most while ten times as many expressions are scored; the clip is what counts."""
    peaks = []
    for expressions in (2, 20):
        tracemalloc.start()
        time_metrics(expressions, 2, lambda done, total: None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_the_drawn_answers_are_neither_right_nor_hopeless_and_always_the_same():
    pairs = [draw(seed, 4) for seed in range(10)]
    overlap = [(p & t).sum() / (p | t).sum() for p, t in pairs]
    assert all(0.3 < value < 0.99 for value in overlap[:9])
    assert overlap[9] == 0  # an empty answer
    assert 0.005 < np.mean([t.mean() for _, t in pairs]) < 0.2
    assert all((a == b).all() for a, b in zip(draw(3, 4), pairs[3], strict=True))
    assert not draw(0, 8)[1][6:].any()  # left
