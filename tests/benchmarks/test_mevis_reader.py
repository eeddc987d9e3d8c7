"""A split in MeViS's layout: read exactly, or refused with file and key."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.mevis.reader import NOMINAL_FPS, open_mevis
from benchmarks.protocol import Reader, target_masks
from core import rle
from core.errors import AnnotationError, InputError
from core.types import TimeSpan

SIZE = (4, 6)


def encoded(*columns):
    """COCO's JSON for a mask of SIZE whose given columns are set; None for no columns."""
    if not columns:
        return None
    mask = np.zeros((1, *SIZE), dtype=bool)
    mask[0][:, list(columns)] = True
    return rle.to_json(rle.encode(mask)[0], SIZE)


def meta():
    return {
        "videos": {
            "clip": {
                "vid_id": 3,
                "frames": ["00000", "00001"],
                "fps": 8,
                "expressions": {
                    "0": {"exp": "the red star", "obj_id": [1], "anno_id": [7], "kind": "attribute"},
                    "1": {"exp": "both, then still", "obj_id": [2, 1], "anno_id": [9, 7], "spans": [[0.125, 0.25]]},
                    "2": {"exp": "the blue star", "obj_id": [], "anno_id": []},
                },
            },
            "hidden": {"frames": ["00005"], "expressions": {"0": {"exp": "a cat"}}},
        }
    }


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "valid"
    for video, names in (("clip", ("00000", "00001")), ("hidden", ("00005",))):
        (folder / "JPEGImages" / video).mkdir(parents=True)
        for name in names:
            Image.new("RGB", SIZE[::-1]).save(folder / "JPEGImages" / video / f"{name}.jpg")
    write(folder / "meta_expressions.json", meta())
    write(folder / "mask_dict.json", {"7": [encoded(0, 1), None], "9": [encoded(1, 2), encoded(5)]})
    return tmp_path


def write(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def test_videos_and_expressions_are_read_as_they_stand(root):
    reader: Reader = open_mevis(root, "valid")
    assert (reader.name, reader.split, len(reader), reader.has_masks) == ("mevis", "valid", 2, True)
    clip, hidden = reader.videos()
    assert (clip.id, clip.fps, clip.frame_names, clip.object_ids) == ("clip", 8, ("00000", "00001"), ("7", "9"))
    assert clip.frames_path == root / "valid" / "JPEGImages" / "clip"
    first, second, third = clip.expressions
    assert (first.id, first.text, first.target_ids, first.kind, first.spans) == (
        "0",
        "the red star",
        ("7",),
        "attribute",
        None,
    )
    assert second.target_ids == ("9", "7")
    assert second.spans == (TimeSpan(0.125, 0.25),)
    assert third.target_ids == ()
    assert hidden.expressions[0].target_ids is None
    assert (hidden.fps, hidden.object_ids) == (NOMINAL_FPS, ())
    assert reader.video("hidden") == hidden


def test_masks_follow_the_frames_and_are_empty_where_null(root):
    reader = open_mevis(root, "valid")
    clip = reader.video("clip")
    masks = reader.masks(clip)
    assert reader.mask_size(clip) == SIZE
    assert [rle.areas(masks[i], SIZE).tolist() for i in ("7", "9")] == [[8, 0], [8, 4]]
    union = target_masks(masks, clip.expressions[1], 2, SIZE)
    assert rle.areas(union, SIZE).tolist() == [12, 4]
    assert rle.areas(target_masks(masks, clip.expressions[2], 2, SIZE), SIZE).tolist() == [0, 0]


def test_targets_that_are_hidden_or_without_masks_are_refused(root):
    reader = open_mevis(root, "valid")
    clip, hidden = reader.videos()
    with pytest.raises(InputError, match="its split hides them"):
        target_masks({}, hidden.expressions[0], 1, SIZE)
    with pytest.raises(InputError, match="expected masks of every target"):
        target_masks({"7": ()}, clip.expressions[1], 2, SIZE)


def test_the_size_comes_from_the_frames_where_nothing_is_visible(root):
    write(root / "valid" / "mask_dict.json", {"7": [None, None], "9": [None, None]})
    reader = open_mevis(root, "valid")
    assert reader.mask_size(reader.video("clip")) == SIZE
    assert reader.mask_size(reader.video("hidden")) == SIZE


def test_the_split_folder_itself_can_be_opened(root):
    assert open_mevis(root / "valid").split == "valid"
    assert len(open_mevis(root / "valid", "valid")) == 2
    with pytest.raises(InputError, match="expected split 'train', got the folder of split 'valid'"):
        open_mevis(root / "valid", "train")


def test_an_unknown_split_or_video_says_what_there_is(root, tmp_path):
    with pytest.raises(InputError, match=r"expected train/meta_expressions\.json, found splits valid"):
        open_mevis(root, "train")
    with pytest.raises(InputError, match="found no split"):
        open_mevis(tmp_path / "nowhere")
    with pytest.raises(InputError, match="expected a video 'x'"):
        open_mevis(root, "valid").video("x")


def test_a_split_without_masks_says_so_only_when_asked_for_them(root):
    (root / "valid" / "mask_dict.json").unlink()
    reader = open_mevis(root, "valid")
    assert not reader.has_masks
    with pytest.raises(AnnotationError, match="found no such file: split 'valid' has none"):
        reader.masks(reader.video("clip"))


def changed(*path_and_value):
    *path, value = path_and_value
    whole = meta()
    at = whole["videos"]
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return whole


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"expected JSON"),
        ("[" * 100_000, r"expected JSON"),
        ([], r"\(whole entry\): Input should be a valid dictionary"),
        ({}, "videos: Field required"),
        (changed("clip", "frames", []), "videos.clip.frames: List should have at least 1 item"),
        (changed("clip", "frames", ["a", "a"]), "videos.clip.frames: expected each frame once"),
        (changed("clip", "frames", ["../a"]), "videos.clip: expected names of a folder and its frames, got '../a'"),
        (changed("clip", "fps", 0), "videos.clip.fps: Input should be greater than 0"),
        (changed("..", meta()["videos"]["clip"]), "videos: expected names of a folder and its frames, got '..'"),
        (changed("clip", "expressions", "0", {"anno_id": []}), "videos.clip.expressions.0.exp: Field required"),
        (changed("clip", "expressions", "0", "exp", " "), "videos.clip.expressions.0: .*expected a non-empty text"),
        (
            changed("clip", "expressions", "0", "exp", 5),
            "videos.clip.expressions.0.exp: Input should be a valid string",
        ),
        (changed("clip", "expressions", "0", "anno_id", 7), "videos.clip.expressions.0.anno_id: Input should be"),
        (changed("clip", "expressions", "1", "spans", [[2.0, 1.0]]), "videos.clip.expressions.1: span: expected 0 <="),
    ],
)
def test_a_malformed_meta_file_names_file_and_key(root, content, message):
    write(root / "valid" / "meta_expressions.json", content)
    with pytest.raises(AnnotationError, match=rf"meta_expressions\.json: {message}"):
        open_mevis(root, "valid")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON"),
        ("[" * 100_000, "expected JSON"),
        ([], r"expected an object, got \[\]"),
        ({}, "7: expected 2 masks, one a frame of video 'clip', got NoneType"),
        ({"7": [None], "9": [None, None]}, "7: expected 2 masks, .* got 1"),
        ({"7": [5, None], "9": [None, None]}, "7: expected COCO RLE or null, got 5"),
        ({"7": [encoded(0), {"size": [3, 3], "counts": "9"}], "9": [None, None]}, r"7\.1: .*expected COCO RLE of size"),
        ({"7": [encoded(0), {"size": list(SIZE), "counts": "~"}], "9": [None, None]}, r"7\.1: .*expected COCO run len"),
    ],
)
def test_malformed_masks_name_file_object_and_frame(root, content, message):
    write(root / "valid" / "mask_dict.json", content)
    reader = open_mevis(root, "valid")
    with pytest.raises(AnnotationError, match=rf"mask_dict\.json: {message}"):
        reader.masks(reader.video("clip"))
