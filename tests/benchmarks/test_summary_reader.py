"""TVSum and SumMe: the shared HDF5 file read exactly, importance spread over frames, damage named by video and key."""

import json

import h5py
import numpy as np
import pytest

from benchmarks.evaluation.report import RESULT, Choices
from benchmarks.evaluation.summaries import PERSON, evaluate_summaries
from benchmarks.metrics.summaries import Among
from benchmarks.summaries.reader import open_summaries
from core.errors import AnnotationError, InputError
from tests.benchmarks.tiny_datasets import tvsum


def silent(done, total):
    """No bar."""


@pytest.fixture
def tiny(tmp_path):
    return tvsum(tmp_path)


def score(tiny, said, among=Among.MEAN):
    tiny.predictions.write_text(json.dumps(said))
    return evaluate_summaries(open_summaries(tiny.annotations[0]), tiny.predictions, Choices(), silent, among=among)


def test_a_video_is_read_as_it_stands(tiny):
    (video,) = open_summaries(tiny.annotations[0]).videos()
    assert (video.id, video.frames, video.starts.tolist(), len(video.picks)) == ("video_1", 40, [0, 5, 10, 16], 20)
    assert np.flatnonzero(video.people[0]).tolist() == list(range(10, 16))


def test_importance_of_picks_and_of_frames_choose_the_same_shots(tiny):
    frames = [float(10 <= t < 16) for t in range(40)]
    assert score(tiny, {"video_1": frames}).rows[RESULT]["f1"] == 1.0
    assert score(tiny, {"video_1": frames[::2]}).rows[RESULT]["f1"] == 1.0
    assert score(tiny, {"video_1": frames}, Among.BEST).rows[PERSON]["f1"] == 1.0


def test_scores_of_another_length_are_a_failure_and_of_no_video_a_mistake(tiny):
    report = score(tiny, {"video_1": [0.5]})
    assert report.failures == ("video 'video_1': expected 20 scores, one a pick, or 40, got 1",)
    assert report.rows[RESULT] == {"f1": 0.0, "n": 1, "failures": 1}
    with pytest.raises(InputError, match="expected videos of the split, got one of 'video_9'"):
        score(tiny, {"video_9": [0.5]})
    with pytest.raises(AnnotationError, match="video_1: expected an array of finite numbers"):
        score(tiny, {"video_1": ["high"]})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("user_summary", None, "expected user_summary as numbers of 2 axes, found none"),
        ("user_summary", np.zeros(40), "expected user_summary as numbers of 2 axes"),
        ("user_summary", np.full((1, 40), 3.0), "user_summary: expected 0 and 1"),
        ("user_summary", np.full((1, 40), np.nan), "user_summary: expected finite numbers"),
        ("user_summary", np.zeros((2, 39)), "expected as many columns as n_frames, got 39"),
        ("user_summary", np.zeros((0, 40)), "at least one person"),
        ("change_points", np.array([[0, 9], [11, 39]]), "change_points: expected shots that follow each other"),
        ("change_points", np.array([[1, 39]]), "change_points: expected shots"),
        ("change_points", np.zeros((0, 2)), "change_points: expected shots"),
        ("picks", np.array([0, 5, 5]), "picks: expected frames that rise"),
        ("picks", np.array([0, 40]), "picks: expected frames that rise"),
        ("picks", np.array(["a"], dtype="S1"), "expected picks as numbers of 1 axes"),
    ],
)
def test_damage_is_named_by_video_and_key(tiny, key, value, message):
    with h5py.File(tiny.annotations[0], "a") as handle:
        del handle["video_1"][key]
        if value is not None:
            handle["video_1"][key] = value
    with pytest.raises(AnnotationError, match=rf"h5: video_1: .*{message}|h5: video_1: {message}"):
        list(open_summaries(tiny.annotations[0]).videos())
