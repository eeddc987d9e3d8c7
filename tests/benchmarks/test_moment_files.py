"""Predicted moments in each form: told apart by what they hold, and a score file's relevance becomes saliency."""

import json

import numpy as np
import pytest

from benchmarks.moment_files import clip_saliency, read_moments, texts_of
from benchmarks.moment_protocol import MomentQuery
from core.errors import InputError
from core.scores import write_scores
from core.types import MomentScores, TimeSpan, TrackScores

QUERIES = [
    MomentQuery("0", "a", "a cat", 8.0, np.array([[0.0, 4.0]])),
    MomentQuery("1", "a", "a dog", 8.0, np.array([[4.0, 8.0]])),
]


def moment(expression="0", spans=(), video="a"):
    return MomentScores(video, expression, np.array([0.5, 1.5, 5.0]), np.array([0.2, 0.4, 0.9]), spans, text="so")


def scores(tmp_path, *found):
    write_scores(tmp_path / "s.jsonl", found)
    return tmp_path / "s.jsonl"


def test_spans_of_a_score_file_come_best_first_and_relevance_by_clip(tmp_path):
    spans = (TimeSpan(0, 1, 0.2), TimeSpan(2, 3, 0.9), TimeSpan(4, 5, 0.2))
    tracks = TrackScores("a", "0", np.array([0.5]), 0.5, "", "")
    path = scores(tmp_path, moment(spans=spans), tracks)
    (found,) = read_moments(path, QUERIES).values()
    assert found.windows.tolist() == [[2, 3], [0, 1], [4, 5]]
    assert found.scores.tolist() == [0.9, 0.2, 0.2]
    assert found.saliency.tolist() == pytest.approx([0.3, 0.4, 0.9, 0.9])  # means within, the nearest where none is
    assert texts_of(path) == {"0": "so"}


def test_spans_of_which_one_has_no_score_keep_their_order_and_none_are_an_empty_answer(tmp_path):
    path = scores(tmp_path, moment(spans=(TimeSpan(0, 1, 0.2), TimeSpan(2, 3))), moment("1"))
    first, second = read_moments(path, QUERIES).values()
    assert (first.windows.tolist(), first.scores) == ([[0, 1], [2, 3]], None)
    assert second.windows.shape == (0, 2)


@pytest.mark.parametrize("stranger", [moment("7"), moment(video="b")])
def test_a_score_of_no_query_is_refused(tmp_path, stranger):
    with pytest.raises(InputError, match=r"expected videos and expressions of the split, got \('"):
        read_moments(scores(tmp_path, stranger), QUERIES)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", json.dumps({"qid": 0, "pred_relevant_windows": [[0, 4, 1]]})),
        ("a.json", json.dumps([{"qid": 0, "pred_relevant_windows": [[0, 4, 1]]}])),
        ("a.json", json.dumps({"0": {"timestamp": [[0, 4]]}})),
        ("a.json", json.dumps({"a.mp4>>>a cat>>>[0.0, 4.0]": {"timestamps": [[0, 4]], "answers": ""}})),
    ],
    ids=["qvhighlights lines", "qvhighlights array", "charades", "timelens"],
)
def test_other_forms_are_told_apart(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert {i: p.windows.tolist() for i, p in read_moments(tmp_path / name, QUERIES).items()} == {"0": [[0, 4]]}


def test_saliency_of_one_time_is_the_same_everywhere():
    assert clip_saliency(np.array([3.0]), np.array([0.5]), 4).tolist() == [0.5] * 4
