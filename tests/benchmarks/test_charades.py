"""Charades-STA: read as its authors ship it, scored as published, or refused with file and line."""

import json

import numpy as np
import pytest

from benchmarks.charades.reader import open_charades
from benchmarks.charades.submission import check_predictions, read_predictions, write_predictions
from benchmarks.moment_protocol import MomentReader
from benchmarks.moment_scores import MomentPrediction, score_split
from benchmarks.qvhighlights.reader import open_qvhighlights
from core.errors import AnnotationError, InputError
from tests.real_data import real_data


def test_the_native_files_are_read_whole():
    reader: MomentReader = open_charades(real_data("charades_sta/charades_sta_test.txt"))
    queries = list(reader.queries())
    assert (reader.name, reader.split, len(queries)) == ("charades_sta", "test", 3720)
    first = queries[0]
    assert (first.id, first.video_id, first.text) == ("0", "3MSZA", "person turn a light on.")
    assert first.windows.tolist() == [[24.3, 30.4]]
    assert first.expression().spans[0].end == 30.4
    train = list(open_charades(real_data("charades_sta/charades_sta_train.txt")).queries())
    assert len(train) == 12408


def test_the_native_test_windows_pass_the_ends_of_562_videos_which_the_clipped_release_does_not():
    native = list(open_charades(real_data("charades_sta/charades_sta_test.txt")).queries())
    clipped = list(
        open_qvhighlights(real_data("charades_sta/lighthouse_charades_test_release.jsonl"), "test").queries()
    )
    assert [q.text for q in native] == [q.text for q in clipped]
    beyond = sum(n.windows[0, 1] > c.duration for n, c in zip(native, clipped, strict=True))
    assert beyond == 562
    assert not any(q.beyond_duration for q in clipped)


def test_the_example_predictions_score_as_the_official_evaluator_says():
    queries = list(open_charades(real_data("charades_sta/vtgllm_tvg_example_gt.json")).queries())
    predictions = read_predictions(real_data("charades_sta/vtgllm_tvg_example_pred.json"))
    expected = json.loads(real_data("expected.json").read_text())["vtgllm_tvg_example(--sample, 500 queries)"]
    answered = score_split(queries, predictions, only_answered=True).moments["full"]
    assert {f"R1@{t}": round(100 * answered.recall[1, t], 1) for t in (0.3, 0.5, 0.7)} == expected
    assert (answered.n, answered.failures) == (500, 280)
    everything = score_split(queries, predictions).moments["full"]
    assert (everything.n, everything.failures) == (3720, 3720 - 220)
    assert score_split(queries, {}).highlights == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A 0.0 5.0##a man sits.\nB 1 2 a man", r"line 2: expected 'VIDEO START END##sentence', got 'B 1 2 a man'"),
        ("A 0.0 5.0##  ", "line 1: expected 'VIDEO"),
        ("A 0.0##a man", "line 1: expected 'VIDEO"),
        ("A nan 5.0##a man", "line 1: expected 'VIDEO"),
        ("A -1 5.0##a man", "line 1: expected 'VIDEO"),
        ("A 5.0 5.0##a man", r"line 1: expected start < end in seconds, got 5.0..5.0"),
        ("A 9.0 5.0##a man", r"line 1: expected start < end in seconds, got 9.0..5.0"),
        ("A 9.0 1" + "0" * 400 + "##a man", "line 1: expected seconds up to 1e"),
        ("\ufeffA 0.0 5.0##a man", "expected UTF-8 without a byte order mark"),
    ],
)
def test_a_malformed_line_is_one_sentence(tmp_path, text, message):
    path = tmp_path / "charades_sta_test.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AnnotationError, match=rf"charades_sta_test\.txt: {message}"):
        list(open_charades(path).queries())


def test_windows_line_ends_are_read_alike(tmp_path):
    path = tmp_path / "charades_sta_test.txt"
    path.write_bytes(b"A 0.0 5.0##a man sits.\r\n\r\n")
    assert [q.text for q in open_charades(path).queries()] == ["a man sits."]


def test_a_file_that_is_no_utf_8_or_not_there_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("A 0.0 5.0##a man".encode("utf-16"))
    with pytest.raises(AnnotationError, match="expected UTF-8 text"):
        list(open_charades(path).queries())
    with pytest.raises(AnnotationError, match="found no such file"):
        open_charades(tmp_path / "b.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"a\.json: expected a key 'annotations', got \[\]"),
        ({"annotations": {}}, r"annotations: expected an array, got \{\}"),
        (
            {"annotations": [{"image_id": "A", "caption": "x", "timestamp": [0], "id": 1}]},
            r"annotations.0: timestamp: L",
        ),
        (
            {"annotations": [{"image_id": "A", "caption": "x", "timestamp": [2, 1], "id": 1}]},
            r"annotations.0: .*start <",
        ),
        (
            {"annotations": [{"image_id": "A", "caption": "x", "timestamp": [0, 1], "id": 1}] * 2},
            r"annotations.1: id: .*'1'",
        ),
    ],
)
def test_malformed_json_names_file_and_key(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match=message):
        list(open_charades(path).queries())


def test_malformed_predictions_name_the_query(tmp_path):
    path = tmp_path / "pred.json"
    path.write_text('{"7": {"timestamp": [[1, 2], [3]]}}')
    with pytest.raises(AnnotationError, match=r"pred\.json: 7: timestamp\.1: List should have at least 2 items"):
        read_predictions(path)


def test_predictions_come_back_as_they_were_written_and_are_checked(tmp_path):
    path = tmp_path / "charades_sta_test.txt"
    path.write_text("A 0.0 5.0##a man sits.\nA 5.0 9.0##a man stands.\nB 1 2##a dog.")
    queries = list(open_charades(path).queries())
    given = {
        "0": MomentPrediction("0", np.array([[0.0, 4.5], [1, 2]])),
        "1": MomentPrediction("1", np.array([[5.0, 3]])),
    }
    out = tmp_path / "out.json"
    assert write_predictions(out, queries, given) == 3
    assert json.loads(out.read_text())["2"] == {"timestamp": [], "query": "a dog.", "vid": "B.mp4"}
    assert read_predictions(out)["0"].windows.tolist() == [[0, 4.5], [1, 2]]
    check = check_predictions(out, queries)
    assert (check.good, check.entries) == (True, 3)
    assert check.remarks == (
        "1: expected start < end in the first window, got one that is not",
        "2: expected a window, got none: it counts as missed",
    )
    out.write_text('{"0": {"timestamp": []}, "9": {"timestamp": []}}')
    assert check_predictions(out, queries[:2]).problems == (
        "1: expected an entry, got none: the evaluator refuses the file",
        "9: expected a query of the split, got one that is not in it",
    )
    with pytest.raises(InputError, match="expected queries of the split, got one of '9'"):
        write_predictions(out, queries, {"9": MomentPrediction("9")})
