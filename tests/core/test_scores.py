"""Score files: what is written comes back; what is not as SCORES.md says is refused by file, line and key."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from core.scores import from_line, read_scores, write_scores
from core.types import BoxScores, MomentScores, TimeSpan, TrackScores


def tracks(**values):
    given = {"probability": np.array([0.9, 0.1]), "presence": 0.75, "scorer": "ab", "cache": "cd"} | values
    return TrackScores(**({"video_id": "clip", "expression_id": "0"} | given))


def moments(**values):
    given = {"times": np.array([0.0, 0.5]), "relevance": np.array([0.25, 1.0])} | values
    spans = (TimeSpan(0.0, 0.5, 0.5), TimeSpan(0.5, 1.0))
    return MomentScores(**({"video_id": "clip", "expression_id": "0", "spans": spans, "text": "0 s\n"} | given))


def line(**values):
    whole = {"format": 1, "kind": "tracks", "video": "v", "expression": "e", "scorer": "", "cache": ""}
    return whole | {"probability": [0.5], "presence": 1} | values


def moment_line(**values):
    whole = {"format": 1, "kind": "moments", "video": "v", "expression": "e", "scorer": "", "cache": ""}
    return whole | {"times": [0.0], "relevance": [0.5], "spans": [], "text": ""} | values


def same(first, second):
    assert type(first) is type(second)
    for name, value in vars(first).items():
        assert np.array_equal(value, getattr(second, name)), name


def test_both_kinds_come_back_as_they_were(tmp_path):
    path = tmp_path / "scores.jsonl"
    whole = [
        tracks(),
        moments(scorer="ef", cache="cd"),
        tracks(expression_id="1", probability=np.zeros(0)),
        moments(expression_id="été", times=np.zeros(0), relevance=np.zeros(0), spans=()),
    ]
    assert write_scores(path, whole) == 4
    for first, second in zip(whole, read_scores(path), strict=True):
        same(first, second)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "scores.jsonl"
    with pytest.raises(InputError, match=r"expected one score .*twice"):
        write_scores(path, [tracks(), tracks()])
    assert list(tmp_path.iterdir()) == []


def test_the_examples_of_the_format_are_read():
    text = (Path(__file__).parents[2] / "core" / "SCORES.md").read_text()
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL).group(1)
    read = [from_line(json.loads(row), "example") for row in example.splitlines()]
    assert [type(score) for score in read] == [TrackScores, MomentScores, BoxScores]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "expected a JSON object, got Exp"),
        ("[" * 100_000, "expected a JSON object, got"),
        ("[]", "expected a JSON object, got list"),
        (line(format=2), "format: expected up to 1, got 2 of a newer"),
        (line(format=True), "format: expected 1, got True"),
        (line(kind="masks"), "kind: expected one of tracks, moments, boxes, got 'masks'"),
        (line(kind=[]), "kind: expected one of"),
        (line(extra=1), r"expected the keys of 'tracks', got none named \[\] and unknown \['extra'\]"),
        ({"format": 1, "kind": "moments"}, r"expected the keys of 'moments', got none named \['cache', 'expression'"),
        (line(video=3), "video: expected text, got int"),
        (line(expression=" "), "expected ids of a video and an expression"),
        (line(probability=0.5), "probability: expected a list of numbers, got 0.5"),
        (line(probability=[True]), "probability: expected a list of numbers"),
        (line(probability=["0.5"]), "probability: expected a list of numbers"),
        (line(probability=[[0.5]]), "probability: expected a list of numbers"),
        (line(probability=[float("nan")]), "probability: expected finite numbers"),
        (line(probability=[10**400]), "probability: expected finite numbers, got one too large"),
        (line(probability=[1.5]), r"track scores: expected probabilities in 0\.\.1"),
        (line(presence=-0.1), r"presence probability: expected probabilities in 0\.\.1"),
        (moment_line(relevance=[0.5, 0.5]), r"moment relevance: expected shape \[1\], got \[2\]"),
        (moment_line(times=[1, 0], relevance=[0, 0]), "moment times: expected rising values, got 0.0 after 1.0"),
        (moment_line(spans=[[0, 1]]), r"spans: expected a list of \[start, end, score\]"),
        (moment_line(spans=[[2, 1, None]]), "span: expected 0 <= start < end"),
        (moment_line(spans=[[0, 1, 2]]), "span score: expected probabilities"),
        (moment_line(spans=[["0", 1, None]]), r"spans\.0: expected a list of numbers"),
        (moment_line(text=None), "text: expected text, got NoneType"),
    ],
)
def test_a_malformed_line_names_file_line_and_key(tmp_path, row, message):
    path = tmp_path / "scores.jsonl"
    path.write_text(json.dumps(line(video="fine")) + "\n" + (row if isinstance(row, str) else json.dumps(row)))
    with pytest.raises(InputError, match=rf"scores\.jsonl: line 2: {message}"):
        list(read_scores(path))


def test_the_same_score_twice_is_refused_and_blank_lines_are_not(tmp_path):
    path = tmp_path / "scores.jsonl"
    path.write_text(json.dumps(line()) + "\r\n\n" + json.dumps(moment_line()) + "\n")
    assert len(list(read_scores(path))) == 2
    path.write_text((json.dumps(line()) + "\n") * 2)
    with pytest.raises(InputError, match=r"line 2: expected one score .*'tracks', 'v', 'e'\) twice"):
        list(read_scores(path))


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    path = tmp_path / "scores.jsonl"
    with pytest.raises(InputError, match="expected a readable score file"):
        list(read_scores(path))
    path.write_bytes(json.dumps(line()).encode("utf-16"))
    with pytest.raises(InputError, match=r"after line 0: expected UTF-8 text"):
        list(read_scores(path))


def box_line(**values):
    whole = {"format": 1, "kind": "boxes", "video": "v", "expression": "e", "scorer": "", "cache": ""}
    return whole | {"frames": [0, 4], "boxes": [[1, 2, 3, 4.5], None], "probability": [0.5, 0]} | values


def test_boxes_come_back_with_nan_where_nothing_was_seen(tmp_path):
    nan = float("nan")
    boxes = np.array([[1, 2, 3, 4.5], [nan] * 4])
    made = BoxScores("v", "e", np.array([0, 4]), boxes, np.array([0.5, 0.0]), cache="ab")
    write_scores(tmp_path / "boxes.jsonl", [made])
    (read,) = read_scores(tmp_path / "boxes.jsonl")
    assert read.frames.tolist() == [0, 4]
    assert np.array_equal(read.boxes, boxes, equal_nan=True)
    assert (read.probability.tolist(), read.cache) == ([0.5, 0.0], "ab")
    assert from_line(box_line(frames=[], boxes=[], probability=[]), "x").boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frames": [4, 0]}, "x: box frames: expected rising"),
        ({"frames": [-1, 0]}, "x: box frames: expected indices from 0"),
        ({"frames": [0, 1.5]}, "x: frames: expected a list of frame indices"),
        ({"frames": [0, 10**30]}, "x: frames: expected a list of frame indices"),
        ({"boxes": [[1, 2, 3]]}, "x: boxes: expected a list of"),
        ({"boxes": [[1, 2, 3, "4"], None]}, "x: boxes.0: expected a list of numbers"),
        ({"boxes": [[3, 2, 1, 4], None]}, "x: boxes: expected x1 < x2"),
        ({"boxes": [None]}, "x: boxes: expected shape"),
        ({"probability": [2, 0]}, "x: box scores: expected probabilities"),
        ({"probability": [0.5]}, "x: box scores: expected shape"),
    ],
)
def test_malformed_boxes_are_refused_by_key(values, message):
    with pytest.raises(InputError, match=re.escape(message)):
        from_line(box_line(**values), "x")
