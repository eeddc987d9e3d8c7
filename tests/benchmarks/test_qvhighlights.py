"""QVHighlights: annotations and submissions read exactly, written as the server takes them, or refused by name."""

import json

import numpy as np
import pytest

from benchmarks.metrics.moments import MomentTotals, score_moments
from benchmarks.moment_baselines import constant_saliency, even_segments, whole_video
from benchmarks.moment_protocol import CaptionedVideo, MomentQuery, MomentReader
from benchmarks.moment_scores import MomentPrediction, blind, score_split
from benchmarks.qvhighlights.reader import open_qvhighlights
from benchmarks.qvhighlights.report import official_report
from benchmarks.qvhighlights.submission import (
    check_submission,
    read_predictions,
    write_submission,
)
from core.errors import AnnotationError, InputError
from tests.real_data import real_data


def line(**values):
    whole = {"qid": 7, "query": "A dog runs", "vid": "a_0.0_10.0", "duration": 10, "relevant_windows": [[2, 6]]}
    return whole | {"relevant_clip_ids": [1, 2], "saliency_scores": [[0, 2, 4], [4, 4, 3]]} | values


def said(**values):
    whole = {"qid": 7, "pred_relevant_windows": [[2, 6, 0.5]], "pred_saliency_scores": [0, 0.5, 1, -1, 0]}
    return whole | values


def write(path, *rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def queries(tmp_path, *rows):
    return list(open_qvhighlights(write(tmp_path / "highlight_val_release.jsonl", *rows)).queries())


def test_a_line_is_read_with_the_saliency_of_every_clip(tmp_path):
    path = write(tmp_path / "highlight_val_release.jsonl", line())
    reader: MomentReader = open_qvhighlights(path)
    (query,) = reader.queries()
    assert (reader.name, reader.split) == ("qvhighlights", "val")
    assert (query.id, query.video_id, query.text, query.duration) == ("7", "a_0.0_10.0", "A dog runs", 10)
    assert query.windows.tolist() == [[2, 6]]
    assert query.saliency.tolist() == [[0, 0, 0], [0, 2, 4], [4, 4, 3], [0, 0, 0], [0, 0, 0]]


def test_hidden_truth_is_none_and_cannot_be_scored(tmp_path):
    row = {key: line()[key] for key in ("qid", "query", "vid", "duration")}
    (query,) = queries(tmp_path, row)
    assert (query.windows, query.saliency, query.expression().spans) == (None, None, None)
    with pytest.raises(InputError, match="expected true windows, got none: its split hides them"):
        score_split([query], {"7": MomentPrediction("7")})


@pytest.mark.parametrize("split", ["val_release", "test_with_gt"])
def test_real_windows_are_the_runs_of_relevant_clips(split):
    for query in open_qvhighlights(real_data(f"qvhighlights/highlight_{split}.jsonl")).queries():
        clips = np.zeros(len(query.saliency) + 2, dtype=int)
        for start, end in query.windows:
            clips[int(start / 2) + 1 : int(end / 2) + 1] = 1
        inside = clips[1:-1].astype(bool)
        assert not query.saliency[~inside].any()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "line 2: expected JSON"),
        ("[]", r"line 2: \(whole entry\): Input should be a valid dictionary"),
        ('{"qid": 1, "qid": 2}', "line 2: expected each key of an object once, got 'qid' twice"),
        (line(), "line 2: qid: expected each id once, got '7' again"),
        (line(qid=7.5), r"line 2: qid\.int: Input should be a valid integer"),
        (line(qid=8, query=" "), "line 2: query: String should match"),
        (line(qid=8, vid=3), "line 2: vid: Input should be a valid string"),
        (line(qid=8, duration=0), "line 2: duration: Input should be greater than 0"),
        (line(qid=8, duration="150"), "line 2: duration: Input should be a valid number"),
        (line(qid=8, duration=1e7), "line 2: duration: Input should be less than or equal to 1000000"),
        (line(qid=8, duration=float("inf")), "line 2: expected finite numbers, got Infinity"),
        (line(qid=8, relevant_windows=[]), "line 2: relevant_windows: List should have at least 1 item"),
        (
            line(qid=8, relevant_windows=[[6, 2]]),
            r"line 2: relevant_windows\.0: expected start < end in seconds, got 6",
        ),
        (
            line(qid=8, relevant_windows=[[-2, 2]]),
            r"line 2: relevant_windows\.0\.0: Input should be greater than or eq",
        ),
        (line(qid=8, relevant_windows=[[2]]), r"line 2: relevant_windows\.0: List should have at least 2 items"),
        (line(qid=8, relevant_clip_ids=[1]), "line 2: saliency_scores: expected 1, one a clip, got 2"),
        (line(qid=8, relevant_clip_ids=[1, 1]), "line 2: relevant_clip_ids: expected each clip once"),
        (line(qid=8, relevant_clip_ids=[1, 5]), "line 2: relevant_clip_ids: expected clips below 5, got 5"),
        (
            line(qid=8, saliency_scores=[[1, 2], [1, 2]]),
            r"line 2: saliency_scores\.0: List should have at least 3 items",
        ),
        (
            line(qid=8, saliency_scores=[[1, 2, 5]] * 2),
            r"line 2: saliency_scores\.0\.2: Input should be less than or eq",
        ),
    ],
)
def test_a_malformed_line_names_file_line_and_key(tmp_path, row, message):
    with pytest.raises(AnnotationError, match=rf"highlight_val_release\.jsonl: {message}"):
        queries(tmp_path, line(), row)


def test_a_byte_order_mark_utf_16_and_a_missing_file_are_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    with pytest.raises(AnnotationError, match="found no such file"):
        open_qvhighlights(path)
    for encoding, message in (("utf-8-sig", "byte order mark"), ("utf-16", "expected UTF-8 text")):
        path.write_text(json.dumps(line()), encoding=encoding)
        with pytest.raises(AnnotationError, match=message):
            list(open_qvhighlights(path).queries())


def test_a_submission_comes_back_as_it_was_written(tmp_path):
    whole = queries(tmp_path, line(), line(qid=8))
    given = {"7": MomentPrediction("7", np.array([[2.0, 6], [0, 2]]), np.array([0.9, 0.1]), np.arange(5.0))}
    path = tmp_path / "hl_val_submission.jsonl"
    assert write_submission(path, whole, given) == 2
    back = read_predictions(path)
    assert back["7"].windows.tolist() == [[2, 6], [0, 2]]
    assert back["7"].scores.tolist() == [0.9, 0.1]
    assert back["7"].saliency.tolist() == [0, 1, 2, 3, 4]
    assert json.loads(path.read_text().splitlines()[0])["vid"] == "a_0.0_10.0"
    assert check_submission(path, whole).problems == ("qid 8: expected at least one window, got none",)
    with pytest.raises(InputError, match="expected predictions of the split's queries, got one of '9'"):
        write_submission(path, whole, {"9": MomentPrediction("9")})
    assert len(read_predictions(path)) == 2  # the file stays as it was


def test_what_an_evaluator_would_refuse_or_bend_is_said(tmp_path):
    whole = queries(tmp_path, line(), line(qid=8), line(qid=9))
    path = write(
        tmp_path / "s.jsonl",
        said(pred_relevant_windows=[[2, 16, 1], [5, 5, 0]], pred_saliency_scores=[1]),
        said(qid=8, pred_relevant_windows=[[2, 6]]),
        said(qid=10),
    )
    check = check_submission(path, whole)
    assert check.problems == (
        "qid 8: expected [start, end, score], got windows without a score",
        "qid 9: expected a line, got none",
        "qid 10: expected a query of the split, got one that is not in it",
    )
    assert check.remarks == (
        "qid 7: expected start < end, got a window that is not",
        "qid 7: expected windows in 0..10 seconds, got one beyond",
        "qid 7: expected 5 saliency scores, got 1",
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (said(), "line 2: qid: expected each id once"),
        (said(qid=8, pred_relevant_windows=[[1]]), r"line 2: pred_relevant_windows\.0: List should have at least 2"),
        (
            said(qid=8, pred_relevant_windows=[[1, 2, 3], [1, 2]]),
            "line 2: pred_relevant_windows: expected a score for every",
        ),
        (said(qid=8, pred_saliency_scores=[None]), r"line 2: pred_saliency_scores\.0: Input should be a valid number"),
        (said(qid=8, pred_saliency_scores=[1e300]), r"line 2: pred_saliency_scores\.0: Input should be less"),
        ({"pred_saliency_scores": []}, r"line 2: qid: Field required"),
    ],
)
def test_a_malformed_submission_names_file_line_and_key(tmp_path, row, message):
    with pytest.raises(AnnotationError, match=rf"s\.jsonl: {message}"):
        read_predictions(write(tmp_path / "s.jsonl", said(), row))


def test_absent_predictions_count_as_zero_and_strangers_are_refused(tmp_path):
    whole = queries(tmp_path, line(), line(qid=8))
    perfect = MomentPrediction("7", np.array([[2.0, 6]]), np.ones(1), whole[0].saliency.max(axis=1))
    figures = score_split(whole, {"7": perfect})
    assert (figures.moments["full"].map, figures.moments["full"].failures) == (0.5, 1)
    assert (figures.highlights["VeryGood"].hit1, figures.highlights["VeryGood"].failures) == (0.5, 1)
    assert score_split(whole, {"7": perfect}, only_answered=True).moments["full"].map == 1.0
    assert set(official_report(figures)["brief"]) >= {"MR-full-mAP", "MR-short-mAP", "HL-min-Fair-Hit1"}
    with pytest.raises(InputError, match="expected queries of the split, got one of '9'"):
        score_split(whole, {"9": MomentPrediction("9")})
    with pytest.raises(InputError, match="expected at least one query"):
        score_split([], {})


def test_answers_that_all_failed_score_zero_and_are_not_left_out(tmp_path):
    whole = queries(tmp_path, line())
    for predictions in ({}, {"7": MomentPrediction("7", np.zeros((0, 2)), None, np.zeros(0))}):
        figures = score_split(whole, predictions)
        assert (figures.moments["full"].map, figures.moments["full"].failures) == (0, 1)
        assert (figures.highlights["Fair"].map, figures.highlights["Fair"].failures) == (0, 1)
    only_clips = score_split(whole, {"7": MomentPrediction("7", saliency=np.ones(5))})
    assert (only_clips.moments, set(only_clips.highlights)) == ({}, {"Fair", "Good", "VeryGood"})


def test_looking_at_nothing_scores_little():
    whole = list(open_qvhighlights(real_data("qvhighlights/highlight_val_release.jsonl")).queries())
    brief = official_report(score_split(whole, {q.id: blind(q) for q in whole}))["brief"]
    assert brief["MR-full-R1@0.7"] < 12
    assert brief["HL-min-VeryGood-mAP"] < 25
    charades = real_data("charades_sta/lighthouse_charades_test_release.jsonl")
    totals = MomentTotals()
    for query in open_qvhighlights(charades).queries():
        totals.update(score_moments(whole_video(query), query.windows))
    assert totals.compute()["full"].recall[1, 0.7] < 0.05


def test_baselines_need_what_they_stand_on():
    query = MomentQuery("1", "v", "a", None, None)
    with pytest.raises(InputError, match="expected a duration"):
        whole_video(query)
    with pytest.raises(InputError, match="expected clips"):
        constant_saliency(query)
    video = CaptionedVideo("v", 9.0, np.array([[0.0, 9]]), ("a",))
    assert even_segments(video, 3).tolist() == [[0, 3], [3, 6], [6, 9]]
    with pytest.raises(InputError, match="expected at least one segment"):
        even_segments(video, 0)


def test_queries_and_captions_check_themselves():
    with pytest.raises(InputError, match=r"windows: expected 0 <= start < end in seconds, got 2\.0\.\.1"):
        MomentQuery("1", "v", "a", 9, np.array([[2.0, 1]]))
    with pytest.raises(InputError, match="windows: expected finite numbers"):
        MomentQuery("1", "v", "a", 9, np.array([[0, np.nan]]))
    with pytest.raises(InputError, match="text: expected a non-empty text"):
        MomentQuery("1", "v", " ", 9, None)
    with pytest.raises(InputError, match="expected one caption a segment, got 0 for 1"):
        CaptionedVideo("v", 9.0, np.array([[0.0, 9]]), ())
