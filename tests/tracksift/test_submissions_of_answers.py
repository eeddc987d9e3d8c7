"""Our answers as submissions: what is packed passes its own check and scores as the answers do; damage is refused."""

import json
import zipfile

import numpy as np
import pytest

from benchmarks.evaluation.report import RESULT, Choices
from benchmarks.registry import dataset
from core import rle
from core.errors import InputError
from core.scores import write_scores
from core.types import Answer, Expression, MomentScores, SelectedTrack, TimeSpan
from fusion.writers import write_answers
from tests.benchmarks.tiny_datasets import MAKERS, SIZE, square
from tests.factories import make_video
from tracksift.answer_files import AnswerFiles, best_track, open_answers, open_masks
from tracksift.submissions import FORMATS, check, pack, plan


def silent(done, total):
    """No bar."""


def answer(video="a", expression="0", *, empty=False, frames=2, moments=()):
    meta = make_video(frames=frames, size=SIZE, video_id=video)
    masks = rle.encode(np.stack([square(i) * (not empty) for i in range(frames)]).astype(bool))
    track = SelectedTrack(0, 0.9, masks, rle.boxes(masks, SIZE), meta.spans(np.ones(frames, dtype=bool)))
    tracks = () if empty else (track,)
    return Answer(meta, Expression(expression, "a square"), tracks, masks, moments, empty, 0.1, {})


def answered(root, *answers):
    for video in {a.video.id for a in answers}:
        write_answers(root / video / "answers.json", [a for a in answers if a.video.id == video])
    return root


def scored(name, tiny, predictions):
    choices = Choices(masks=open_masks)
    return dataset(name).evaluate(tiny.data, tiny.split, predictions, choices, silent).rows[RESULT]


@pytest.mark.parametrize(("form", "name"), [("mevis", "mevis"), ("ref_youtube_vos", "ref_youtube_vos")])
def test_masks_are_packed_checked_and_score_as_the_answers_do(form, name, tmp_path):
    tiny = MAKERS[name](tmp_path)
    said = answered(tmp_path / "answers", answer(), *([answer(expression="1", empty=True)] if form == "mevis" else []))
    out = tmp_path / "out.zip"
    packed = pack(form, tiny.data, tiny.split, said, out, silent)
    assert packed.answered == packed.asked
    assert packed.entries == len(zipfile.ZipFile(out).namelist()) == 2 * packed.asked
    found = check(form, tiny.data, tiny.split, out)
    assert (found.good, found.remark_count) == (True, 0)
    assert scored(name, tiny, out) == scored(name, tiny, said)
    assert scored(name, tiny, out)["jf"] == 1


def test_an_expression_without_an_answer_is_packed_empty_and_counted(tmp_path):
    tiny = MAKERS["mevis"](tmp_path)
    packed = pack("mevis", tiny.data, None, answered(tmp_path / "s", answer()), tmp_path / "out.zip", silent)
    assert (packed.answered, packed.asked, packed.entries) == (1, 2, 4)
    assert check("mevis", tiny.data, None, tmp_path / "out.zip").good


def test_boxes_of_the_best_track_count_from_1(tmp_path):
    tiny = MAKERS["lasot"](tmp_path)
    said = answered(tmp_path / "answers", answer("cat-1"))
    assert pack("lasot", tiny.data, None, said, tmp_path / "out", silent).entries == 1
    assert (tmp_path / "out" / "cat-1.txt").read_text() == "3.00,3.00,4.00,4.00\n4.00,4.00,4.00,4.00\n"
    assert check("lasot", tiny.data, None, tmp_path / "out").good
    assert scored("lasot", tiny, tmp_path / "out")["auc"] == pytest.approx(20 / 21)


def test_an_answer_without_tracks_has_no_boxes():
    assert np.isnan(best_track(answer(empty=True))).all()


def moments(queries):
    """A score file's lines that equal the truth."""
    return [
        MomentScores(
            q.video_id, q.id, np.array([0.5, 2.5]), np.array([0.9, 0.1]),
            tuple(TimeSpan(float(s), float(e), 0.9) for s, e in q.windows), text=f"said {q.id}",
        )
        for q in queries
    ]  # fmt: skip


@pytest.mark.parametrize(("form", "suffix"), [("qvhighlights", ".jsonl"), ("charades", ".json"), ("timelens", ".json")])
def test_moments_of_a_score_file_are_packed_checked_and_score_as_the_truth(form, suffix, tmp_path):
    name = FORMATS[form].dataset
    tiny = MAKERS[name](tmp_path)
    queries = list(dataset(name).open(tiny.data, tiny.split).queries())
    write_scores(tmp_path / "scores.jsonl", moments(queries))
    out = tmp_path / f"out{suffix}"
    packed = pack(form, tiny.data, tiny.split, tmp_path / "scores.jsonl", out, silent)
    assert packed.entries == packed.answered == packed.asked == len(queries)
    assert check(form, tiny.data, tiny.split, out).good
    assert scored(name, tiny, out)["r1_70"] == scored(name, tiny, tmp_path / "scores.jsonl")["r1_70"] == 1
    if form == "timelens":
        assert {entry["answers"] for entry in json.loads(out.read_text()).values()} == {"said A_0", "said A_1"}


def test_moments_of_answers_are_packed_too_best_first(tmp_path):
    tiny = MAKERS["charades_sta"](tmp_path)
    spans = (TimeSpan(0, 1, 0.1), TimeSpan(3, 4, 0.8))
    said = answered(tmp_path / "answers", answer("A", "0", moments=spans), answer("B", "1"))
    packed = pack("charades", tiny.data, None, said, tmp_path / "out.json", silent)
    assert (packed.entries, packed.answered) == (2, 2)
    found = json.loads((tmp_path / "out.json").read_text())
    assert (found["0"]["timestamp"], found["1"]["timestamp"]) == ([[3, 4], [0, 1]], [])
    assert check("charades", tiny.data, None, tmp_path / "out.json").remark_count == 1


def test_a_plan_says_the_same_and_writes_nothing(tmp_path):
    tiny = MAKERS["mevis"](tmp_path / "in")
    said = answered(tmp_path / "answers", answer())
    before = sorted(tmp_path.rglob("*"))
    planned = plan("mevis", tiny.data, None, said, tmp_path / "out.zip", silent)
    assert sorted(tmp_path.rglob("*")) == before
    assert pack("mevis", tiny.data, None, said, tmp_path / "out.zip", silent) == planned


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([answer(frames=3)], "expected 2 masks, one a frame, got 3"),
        ([answer("b")], "expected answers to the split's expressions, got none"),
    ],
)
def test_answers_that_do_not_fit_leave_no_file(given, message, tmp_path):
    tiny = MAKERS["mevis"](tmp_path / "in")
    answered(tmp_path / "answers", *given)
    with pytest.raises(InputError, match=message):
        pack("mevis", tiny.data, None, tmp_path / "answers", tmp_path / "out.zip", silent)
    assert not (tmp_path / "out.zip").exists()


def test_an_answer_of_another_length_is_refused_for_boxes(tmp_path):
    tiny = MAKERS["lasot"](tmp_path)
    with pytest.raises(InputError, match="'cat-1': expected an answer of 2 frames, got 3"):
        pack("lasot", tiny.data, None, answered(tmp_path / "s", answer("cat-1", frames=3)), tmp_path / "out", silent)


def test_answers_in_one_file_and_in_folders_are_the_same(tmp_path):
    write_answers(tmp_path / "answers.json", [answer(), answer("b")])
    answered(tmp_path / "many", answer(), answer("b"))
    for place in (tmp_path, tmp_path / "answers.json", tmp_path / "many"):
        found = open_answers(place)
        assert isinstance(found, AnswerFiles)
        assert [found.find(v, "0").video.id for v in "aba"] == ["a", "b", "a"]
        assert found.find("c", "0") is None


def test_what_holds_no_answers_and_two_answers_to_one_expression_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected a file of answers or a folder"):
        open_answers(tmp_path)
    write_answers(tmp_path / "answers.json", [answer(), answer()])
    with pytest.raises(InputError, match="expected one answer a video and expression"):
        open_answers(tmp_path)


def test_an_unknown_format_is_refused_with_the_names_of_all(tmp_path):
    with pytest.raises(InputError, match=r"--format: expected one of mevis, .*, timelens, got 'davis'"):
        check("davis", tmp_path, None, tmp_path)
