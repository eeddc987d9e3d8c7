import copy
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

import fusion
from core import rle
from core.errors import InputError, OutputError
from core.types import Expression, MomentScores, TimeSpan, TrackScores
from fusion.fuse import fuse
from fusion.schema import answer_from_json, answer_to_json
from fusion.writers import read_answers, write_answers, write_mask_pngs
from tests.factories import make_track_set


def make_answer(probability=(0.9, 0.2, 0.7), expression_id="e1"):
    expression = Expression(expression_id, "the réd star", ("7",), (TimeSpan(0.0, 0.5),), "attribute")
    scores = TrackScores("clip", expression_id, np.array(probability), max(probability), "s" * 64, "c" * 64)
    moments = MomentScores("clip", expression_id, np.zeros(1), np.zeros(1), (TimeSpan(0.25, 0.5, 0.75),), "text")
    return fuse(make_track_set(3, absent=[[0], [], [5]]), scores, expression, moments=moments)


def same(left, right):
    """Answers hold arrays, so that == does not compare them."""
    assert json.dumps(answer_to_json(left)) == json.dumps(answer_to_json(right))
    assert np.array_equal(left.video.timestamps, right.video.timestamps)
    assert left.masks == right.masks
    for a, b in zip(left.tracks, right.tracks, strict=True):
        assert a.masks == b.masks
        assert np.array_equal(a.boxes, b.boxes, equal_nan=True)
        assert a.boxes.dtype == b.boxes.dtype
        assert a.presence == b.presence


@pytest.mark.parametrize("probability", [(0.9, 0.2, 0.7), (0.1, 0.2, 0.3)])
def test_answers_come_back_as_they_were_written(tmp_path, probability):
    answers = [make_answer(probability), make_answer(probability, "e2")]
    write_answers(tmp_path / "out" / "a.json", answers)
    back = read_answers(tmp_path / "out" / "a.json")
    assert [a.expression.id for a in back] == ["e1", "e2"]
    for left, right in zip(answers, back, strict=True):
        same(left, right)


def test_unknown_ground_truth_stays_unknown():
    answer = make_answer()
    open_question = replace(answer, expression=Expression("e1", "x", None, None))
    assert answer_from_json(answer_to_json(open_question)).expression == open_question.expression
    no_target = replace(answer, expression=Expression("e1", "x", (), None))
    assert answer_from_json(answer_to_json(no_target)).expression.target_ids == ()


def test_masks_are_coco_and_null_where_empty():
    value = json.loads(json.dumps(answer_to_json(make_answer((0.9, 0.1, 0.1)))))
    assert value["masks"][0] is None
    assert value["tracks"][0]["boxes"][0] is None
    decoded = coco.decode(value["masks"][1])
    x1, y1, x2, y2 = (int(v) for v in value["tracks"][0]["boxes"][1])
    assert decoded[y1:y2, x1:x2].all()
    assert decoded.sum() == (y2 - y1) * (x2 - x1)


def edit(value, path, new):
    value = copy.deepcopy(value)
    *parents, last = path
    holder = value
    for key in parents:
        holder = holder[key]
    if new is KeyError:
        del holder[last]
    else:
        holder[last] = new
    return value


@pytest.mark.parametrize(
    ("path", "new", "message"),
    [
        (["format"], "tracksift-answer/2", "expected format 'tracksift-answer/1', got 'tracksift-answer/2'"),
        (["no_target"], KeyError, "field no_target: field required"),
        (["surprise"], 1, "field surprise: extra inputs"),
        (["no_target_probability"], 1.5, "field no_target_probability"),
        (["no_target_probability"], "0.5", "field no_target_probability"),
        (["tracks", 0, "score"], None, "field tracks.0.score"),
        (["tracks", 0, "boxes", 1], [1.0, 2.0], "field tracks.0.boxes.1"),
        (["tracks", 0, "boxes"], [], "track 0: expected 6 boxes, got 0"),
        (["masks"], [None], "expected 6 masks, got 1"),
        (["masks", 1, "size"], [4, 4], r"expected COCO RLE of size \[16, 20\]"),
        (["masks", 1, "counts"], "é", "field masks.1.counts"),
        (["masks", 1, "counts"], "00000000000000", "expected COCO run lengths"),
        (["video", "frames"], 7, "expected 7 timestamps, got 6"),
        (["video", "timestamps", 1], 0.0, "expected rising values"),
        (["moments", 0, "end"], 0.1, "expected 0 <= start < end"),
        (["expression", "text"], " ", "expected a non-empty text"),
        (["no_target"], True, "expected no_target to mean no tracks"),
    ],
)
def test_malformed_answers_are_refused_by_field(path, new, message):
    with pytest.raises(InputError, match=message):
        answer_from_json(edit(answer_to_json(make_answer()), path, new))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "expected format 'tracksift-answers/1', got 'list'"),
        ('{"format": "other"}', "got 'other'"),
        ('{"format": "tracksift-answers/1"}', "expected a list of answers"),
        ('{"format": "tracksift-answers/1", "answers": [3]}', "answer 0: expected format"),
    ],
)
def test_files_of_another_kind_are_refused_by_name(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=rf"a\.json.*{message}"):
        read_answers(tmp_path / "a.json")


def test_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="expected a file, got nothing there"):
        read_answers(tmp_path / "none.json")


def test_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="place that can be written"):
        write_answers(tmp_path / "file" / "a.json", [make_answer()])
    with pytest.raises(OutputError, match="place that can be written"):
        write_mask_pngs(tmp_path / "file", [make_answer()])


def test_png_masks_hold_the_union_in_the_submission_layout(tmp_path):
    answer = make_answer()
    (folder,) = write_mask_pngs(tmp_path, [answer])
    assert folder == tmp_path / "clip" / "e1"
    assert sorted(p.name for p in folder.iterdir()) == [f"{t:05d}.png" for t in range(6)]
    expected = rle.decode(answer.masks, (16, 20))
    for t in range(6):
        image = Image.open(folder / f"{t:05d}.png")
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), expected[t] * np.uint8(255))


def test_png_names_come_from_the_benchmark_and_stay_inside_the_folder(tmp_path):
    answer = replace(make_answer(), expression=Expression("../e", "x"))
    (folder,) = write_mask_pngs(tmp_path / "root", [answer], [f"img.{t}" for t in range(6)])
    assert folder.parent == tmp_path / "root" / "clip"
    assert (folder / "img.5.png").exists()


@pytest.mark.parametrize("names", [["a"] * 6, ["a"]])
def test_png_names_that_do_not_fit_the_frames_are_refused(tmp_path, names):
    with pytest.raises(InputError, match="expected 6 different frame names"):
        write_mask_pngs(tmp_path, [make_answer()], names)
    assert list(tmp_path.iterdir()) == []


def test_contract_names_every_field_of_the_format():
    contract = (Path(fusion.__file__).parent / "ANSWER.md").read_text()
    value = answer_to_json(make_answer())
    fields = set(value) | set(value["video"]) | set(value["expression"]) | set(value["tracks"][0]) | set(value["why"])
    fields |= set(value["why"]["ranking"][0])
    assert {f for f in fields if not re.search(rf"\b{f}\b", contract)} == set()
