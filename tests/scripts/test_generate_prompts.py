"""`generate` with a detector and with a user's prompts, through the same door as a shell."""

import numpy as np
import pytest
from PIL import Image

from cache import open_cache
from core.errors import InputError
from scripts.options import read_user_prompts
from tests.tiny_detector import write_folder


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("detector"), limit=64)


@pytest.fixture
def frames(world):
    return world / "valid" / "JPEGImages" / "m200041"


def test_the_flags_read_every_number(tmp_path):
    Image.fromarray(np.eye(4, dtype=np.uint8) * 255).save(tmp_path / "m.png")
    box, points, other, mask = read_user_prompts(
        ["0,1.5,2,30,40"], ["3,5,6", "2,1,1", "3,7,8,0"], [f"4,{tmp_path / 'm.png'}"]
    )
    assert (box.frame, box.box) == (0, (1.5, 2.0, 30.0, 40.0))
    assert (points.frame, points.points) == (3, ((5.0, 6.0, 1), (7.0, 8.0, 0)))
    assert (other.frame, mask.frame, mask.mask.sum()) == (2, 4, 4)
    assert read_user_prompts(None, None, None) == ()


@pytest.mark.parametrize(
    ("box", "point", "mask", "sentence"),
    [
        ("0,1,2,3", None, None, "--box: expected FRAME,X1,Y1,X2,Y2 in numbers, got '0,1,2,3'"),
        ("a,1,2,3,4", None, None, "--box: expected"),
        ("0.5,1,2,3,4", None, None, "--box: expected whole numbers"),
        ("0,5,2,3,4", None, None, "x1 < x2"),
        ("nan,1,2,3,4", None, None, "--box: expected whole numbers"),
        ("0,1,2,inf,4", None, None, "finite numbers"),
        (None, "0,1", None, "--point: expected FRAME,X,Y"),
        (None, "0,1,1,7", None, "labels 1"),
        (None, "0,1,1,0", None, "at least one point on the object"),
        (None, None, "0", "--mask: expected FRAME,FILE"),
        (None, None, "x,m.png", "--mask: expected FRAME,FILE"),
        (None, None, "0,none.png", "expected an image file"),
    ],
)
def test_flags_that_mean_nothing_are_refused(box, point, mask, sentence):
    given = [None if text is None else [text] for text in (box, point, mask)]
    with pytest.raises(InputError, match=sentence):
        read_user_prompts(*given)


def test_a_box_and_points_become_tracks_of_the_user(command, frames, tmp_path):
    ended = command(
        "generate", frames, "--fps", 8, "--cache", tmp_path, "--source", "user", "--no-looks",
        "--box", "0,20,20,120,120", "--point", "5,128,128", "--device", "cpu",
    )  # fmt: skip
    assert (ended.code, ended.figures["tracks"]) == (0, 2), ended.err
    file = open_cache(tmp_path / "videos" / "single" / "m200041.h5")
    assert {source.value for source in file.sources()} == {"user"}
    assert [prompt.frame for prompt in file.prompts()] == [0, 5]


def test_a_detector_looks_for_the_phrases_of_a_video_and_says_what_became_of_them(command, frames, detector, tmp_path):
    words = (
        "generate", frames, "--fps", 8, "--cache", tmp_path, "--source", "grounding_dino", "--detector", detector,
        "-e", "the red star", "-e", "a disc", "--detector-bin-size", 0, "--no-looks", "--device", "cpu",
    )  # fmt: skip
    ended = command(*words, "--box-threshold", 1)
    assert ended.code == 0, ended.err
    assert (ended.figures["detector_expressions"], ended.figures["detector_without_track"]) == (2, 2)
    assert (ended.figures["tracks"], ended.figures["settings"]["sources"]) == (0, ["grounding_dino"])
    facts = open_cache(tmp_path / "videos" / "single" / "m200041.h5").provenance["detector"]
    assert sorted(facts["expressions"].values()) == ["a disc", "the red star"]
    assert command(*words, "--box-threshold", 1).figures["kept"] == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--source", "grounding_dino"], "expected at least one to look for, got none"),
        (["-e", "the disc"], "expected --source grounding_dino"),
        (["--box-threshold", "0.5"], "expected --source grounding_dino"),
        (["--source", "grounding_dino", "-e", "a", "--box-threshold", "2"], "box_threshold"),
        (["--source", "user"], "expected boxes, points or masks"),
        (["--box", "99,1,1,9,9"], "a frame of video 'm200041'"),
        (["--box", "0,1,1,999,9"], "within 256 x 256 pixels"),
        (["--source", "imported"], "expected some of"),
    ],
)
def test_bad_input_ends_with_one_sentence_and_code_2(command, frames, detector, tmp_path, words, sentence):
    ended = command(
        "generate", frames, "--fps", 8, "--cache", tmp_path, "--detector", detector, "--device", "cpu", *words
    )
    assert ended.code == 2
    assert sentence in ended.err
    assert len(ended.err.strip().splitlines()) == 1


def test_prompts_and_phrases_for_a_whole_split_are_refused(command, world, detector, tmp_path):
    base = ("generate", "--data", world, "--cache", tmp_path, "--detector", detector, "--device", "cpu")
    assert "mean one video" in command(*base, "--box", "0,1,1,9,9").err
    assert "annotations have their own" in command(*base, "--source", "grounding_dino", "-e", "a disc").err


def test_predict_can_look_for_its_own_expressions(command, frames, detector, tmp_path, quick_grid):
    words = ("predict", frames, "--fps", 8, "--cache", tmp_path / "c", "--out", tmp_path / "o", "--no-pictures")
    words += ("--detector", detector, "--device", "cpu", "-e", "the red star")
    assert command(*words).code == 0
    path = tmp_path / "c" / "videos" / "single" / "m200041.h5"
    grid = [source.value for source in open_cache(path).sources()]
    ended = command(*words, "--detect")
    assert (ended.code, ended.figures["expressions"]) == (0, 1), ended.err
    file = open_cache(path)
    (asked,) = file.provenance["detector"]["expressions"]
    found = [source.value for source in file.sources()]
    assert found[: len(grid)] == grid
    assert {prompt.expression_id for prompt in file.prompts()} <= {None, asked}
    assert command(*words).code == 0
    assert open_cache(path).content_sha256 == file.content_sha256
