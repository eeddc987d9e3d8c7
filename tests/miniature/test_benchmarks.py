"""Benchmarks time the right things: ours and the official predictor's masks agree, and both are run."""

import pytest

from miniature import benchmarks


def test_proposals_are_timed_beside_a_predictor_that_says_the_same(command):
    outcome = command("benchmark", "proposals", "--frames", 6, "--repeats", 1, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    figures = outcome.figures
    assert figures["objects"] > 1
    assert figures["mask_error"] < 1e-3
    assert figures["speed_ratio"] == pytest.approx(figures["official_frame_ms"] / figures["ours_frame_ms"])
    assert figures["settings"]["frames"] == 6


def test_an_answer_from_a_cache_is_quicker_than_tracking(command, quick_grid):
    outcome = command("benchmark", "answers", "--frames", 4, "--repeats", 1, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    figures = outcome.figures
    assert figures["speed_ratio"] == pytest.approx(figures["tracking_ms"] / figures["answer_ms"])
    assert figures["speed_ratio"] > 1


def test_orders_and_presets_are_compared_by_what_their_tracks_allow(command, quick_grid):
    outcome = command("benchmark", "presets", "--frames", 4, "--repeats", 1, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    figures = outcome.figures
    for name in ("time_every_8", "area_every_8", "fast", "balanced", "faithful"):
        assert 0 <= figures[f"{name}_j_and_f"] <= 1
        assert figures[f"{name}_seconds"] > 0
        assert figures[f"{name}_duplicates"] <= figures[f"{name}_tracks"]
    assert figures["time_every_8_j_and_f"] > 0.3


def test_what_is_timed_is_run_once_to_warm_up_and_then_repeats_times():
    calls, steps = [], []
    work = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    seconds, _ = benchmarks._alternate(work, 2, lambda *step: steps.append(step))
    assert calls == ["a", "b"] * 3
    assert steps == [(0, 2), (1, 2), (2, 2)]
    assert set(seconds) == {"a", "b"}
