"""ActivityNet and YouCook2: captions read in each form, submissions read and written, or refused with file and key."""

import json
from functools import partial

import numpy as np
import pytest

from benchmarks.activitynet.reader import open_activitynet
from benchmarks.activitynet.submission import read_submission, write_submission
from benchmarks.evaluation.report import RESULT, Choices
from benchmarks.moment_protocol import CaptionReader, MomentReader
from benchmarks.registry import dataset
from benchmarks.youcook2.reader import open_youcook2, read_caption_predictions
from core.errors import AnnotationError, InputError
from tests.real_data import real_data


def write(tmp_path, content, name="val_1.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def video(**values):
    return {"v_a": {"duration": 9.5, "timestamps": [[0, 3], [2, 11]], "sentences": [" A man.", "He sits."]} | values}


def annotation(**values):
    whole = {"image_id": "val/a.mp4", "duration": 9.5, "segments": [[0, 3], [2, 9]], "pure_cap": "cut it. fry it"}
    return whole | values


def test_captions_are_queries_too(tmp_path):
    reader = open_activitynet(write(tmp_path, video()))
    moments: MomentReader = reader
    captions: CaptionReader = reader
    assert (moments.name, captions.split) == ("activitynet", "val_1")
    (only,) = captions.videos()
    assert (only.id, only.duration, only.captions) == ("v_a", 9.5, ("A man.", "He sits."))
    first, second = moments.queries()
    assert (first.id, first.text, first.windows.tolist()) == ("v_a_0", "A man.", [[0, 3]])
    assert (first.beyond_duration, second.beyond_duration) == (False, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"expected an object, got \[\]"),
        ({"v_a": []}, r"v_a: \(whole entry\): Input should be a valid dictionary"),
        (video(duration=0), "v_a: duration: Input should be greater than 0"),
        (video(sentences=["A man."]), "v_a: expected one sentence a segment, got 1 for 2"),
        (video(timestamps=[[3, 0], [0, 1]]), r"v_a: segment 0: expected start < end in seconds, got 3\.0\.\.0"),
        (video(timestamps=[[0, 3], [0]]), r"v_a: timestamps\.1: List should have at least 2 items"),
        (video(timestamps=[]), "v_a: timestamps: List should have at least 1 item"),
        (video(sentences=["A man.", "\t"]), r"v_a: sentences\.1: String should match"),
        ({" ": video()["v_a"]}, "expected a video id, got ' '"),
        ('{"v_a": {"duration": 1e999}}', "v_a: duration: Input should be (less than|a finite)"),
        ("\ufeff{}", "expected UTF-8 without a byte order mark"),
        ('{"a":' * 100_000, "expected JSON of a few levels, got too many levels"),
    ],
)
def test_malformed_captions_name_file_and_key(tmp_path, content, message):
    with pytest.raises(AnnotationError, match=rf"val_1\.json: .*{message}"):
        list(open_activitynet(write(tmp_path, content)).videos())


def test_the_sample_submission_of_the_authors_is_read_and_ours_comes_back(tmp_path):
    sample = read_submission(real_data("activitynet/densevid_sample_submission.json"))
    (segments, captions) = sample["v_uqiMw7tQ1Cc"]
    assert (segments.shape, len(captions)) == ((2, 2), 2)
    path = tmp_path / "out.json"
    write_submission(path, sample, "trained on ImageNet")
    assert json.loads(path.read_text())["external_data"] == {"used": True, "details": "trained on ImageNet"}
    again = read_submission(path)["v_uqiMw7tQ1Cc"]
    assert (again[0].tolist(), again[1]) == (segments.tolist(), captions)
    with pytest.raises(InputError, match="expected one caption a segment, at most 1000, got 1 for 2"):
        write_submission(path, {"v": (np.zeros((2, 2)), ("a",))})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"results": {}}, "expected a key 'version', which the evaluator requires"),
        ({"version": "", "results": {}, "external_data": {}}, "external_data: used: Field required"),
        (
            {"version": "", "results": [], "external_data": {"used": False}},
            "results: expected an object of videos, got l",
        ),
        (
            {"version": "", "results": {"v": {}}, "external_data": {"used": False}},
            r"results\.v: expected an array, got d",
        ),
        (
            {"version": "", "results": {"v": [{"sentence": "a"}]}, "external_data": {"used": False}},
            r"results\.v\.0: timestamp: Field required",
        ),
    ],
)
def test_a_malformed_submission_names_file_and_key(tmp_path, content, message):
    with pytest.raises(AnnotationError, match=rf"val_1\.json: {message}"):
        read_submission(write(tmp_path, content))


def test_the_annotations_form_parts_its_captions_at_full_stops(tmp_path):
    reader = open_youcook2(write(tmp_path, {"annotations": [annotation()]}))
    (only,) = reader.videos()
    assert (reader.name, only.id, only.captions) == ("youcook2", "a", ("cut it.", "fry it."))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object, got list"),
        ({"annotations": {}}, r"annotations: expected an array, got \{\}"),
        (
            {"annotations": [annotation(pure_cap="cut it")]},
            "annotations.0: expected one sentence a segment, got 1 for 2",
        ),
        (
            {"annotations": [annotation(), annotation()]},
            "annotations.1: image_id: expected each id once, got 'a' again",
        ),
        ({"annotations": [annotation(segments=[[0, 3], [9, 2]])]}, "annotations.0: segment 1: expected start < end"),
        ({"annotations": [annotation(duration=None)]}, "annotations.0: duration: Input should be a valid number"),
    ],
)
def test_malformed_annotations_name_file_and_key(tmp_path, content, message):
    with pytest.raises(AnnotationError, match=rf"val_1\.json: {message}"):
        list(open_youcook2(write(tmp_path, content)).videos())
    with pytest.raises(AnnotationError, match="found no such file"):
        open_youcook2(tmp_path / "absent.json")


def test_predicted_captions_are_read_as_they_were_said(tmp_path):
    path = write(tmp_path, {"a.mp4": [{"timestamp": [9, 2], "caption": ""}], "b": []}, "pred.json")
    found = read_caption_predictions(path)
    assert (found["a"][0].tolist(), found["a"][1]) == ([[9, 2]], ("",))
    assert found["b"][0].shape == (0, 2)
    for content, message in (({"a": {}}, "a: expected an array"), ({"a": [{}]}, r"a\.0: timestamp: Field required")):
        with pytest.raises(AnnotationError, match=rf"pred\.json: {message}"):
            read_caption_predictions(write(tmp_path, content, "pred.json"))


def test_two_annotators_are_one_split_of_every_video(tmp_path):
    write(tmp_path, video() | {"v_b": video()["v_a"]}, "val_1.json")
    write(tmp_path, {"v_a": {**video()["v_a"], "sentences": ["Other.", "Words."]}, "v_c": video()["v_a"]}, "val_2.json")
    reader = dataset("activitynet_captions").open(tmp_path)
    assert (reader.split, [v.id for v in reader.videos()]) == ("val_1+val_2", ["v_a", "v_b", "v_c"])
    assert {i: v.captions for i, v in reader.others().items()} == {"v_a": ("Other.", "Words.")}
    with pytest.raises(InputError, match=r"expected a folder of val_1\.json and val_2\.json, got a file"):
        dataset("activitynet_captions").open(tmp_path / "val_1.json")


def test_what_either_annotator_said_counts(tmp_path):
    write(tmp_path, {"v_a": {"duration": 20, "timestamps": [[0, 5]], "sentences": ["A man sits."]}}, "val_1.json")
    write(tmp_path, {"v_a": {"duration": 20, "timestamps": [[10, 20]], "sentences": ["A dog runs."]}}, "val_2.json")
    write_submission(tmp_path / "said.json", {"v_a": (np.array([[10.0, 20.0]]), ("A dog runs.",))})
    score = partial(
        dataset("activitynet_captions").evaluate,
        tmp_path,
        predictions=tmp_path / "said.json",
        choices=Choices(),
        progress=lambda done, total: None,
    )
    both, first = score(split="val_1+val_2"), score(split="val_1")
    assert (both.rows[RESULT]["recall"], first.rows[RESULT]["recall"]) == (1, 0)
    assert (both.rules["annotators"], first.rules["annotators"]) == (2, 1)
