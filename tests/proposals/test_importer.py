"""Outside masks become tracks: the masks as they came, tokens as of prompts; anything else is one sentence."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco

from core import rle
from core.errors import AnnotationError, InputError
from core.frames import ArrayReader, open_video
from core.types import Source, VideoMeta
from proposals.features import FeatureStore
from proposals.importer import Masklet, import_facts, import_tracks, read_png_masks, read_video_json
from proposals.importer.masklets import check_masklets
from proposals.importer.tokens import told_masks
from proposals.prompts import MaskPrompt
from proposals.propagation import propagate
from proposals.settings import Resources
from tests.real_data import real_data

SIZE = (6, 8)
NAMES = ("00000", "00005", "00010")


@pytest.fixture
def video():
    """Three frames of 8 x 6 pixels."""
    return VideoMeta("clip", "clip/", SIZE, np.arange(3) / 8, 3 / 8, "0" * 64)


def frame(*boxes):
    """uint8 [6, 8]: boxes (value, top, left, bottom, right)."""
    values = np.zeros(SIZE, dtype=np.uint8)
    for value, top, left, bottom, right in boxes:
        values[top:bottom, left:right] = value
    return values


def save(path, values, mode="P"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette(list(np.random.default_rng(0).permutation(256).astype(np.uint8)) * 3)
    else:
        image = image.convert(mode)
    image.save(path)


PICTURES = (frame((1, 0, 0, 2, 3), (7, 3, 3, 6, 8)), frame((7, 3, 3, 6, 8)), frame())


def write_palette(folder, pictures=PICTURES):
    for name, values in zip(NAMES, pictures, strict=False):
        save(folder / f"{name}.png", values)
    return folder


def decoded(masklets):
    return {m.id: rle.decode(m.masks, SIZE) for m in masklets}


def test_the_values_of_palette_images_are_the_objects_and_absence_is_empty(video, tmp_path):
    found = decoded(read_png_masks(write_palette(tmp_path / "m"), video, NAMES))
    assert list(found) == ["1", "7"]
    for name, masks in found.items():
        assert np.array_equal(masks, np.stack([values == int(name) for values in PICTURES]))


def test_the_masks_of_a_real_video_are_read_by_the_names_of_its_frames():
    root = real_data("davis_eorvos")
    reader = open_video(root / "JPEGImages" / "480p" / "libby", fps=24)
    names = [path.stem for path in reader.paths]
    (dog,) = read_png_masks(root / "Annotations" / "480p" / "libby", reader.meta, names)
    areas = rle.areas(dog.masks, reader.meta.size)
    assert len(areas) == len(names) == 49
    assert 0.002 < areas.max() / np.prod(reader.meta.size) < 0.2


def test_a_video_files_frames_take_the_pngs_in_order(video, tmp_path):
    assert list(decoded(read_png_masks(write_palette(tmp_path / "m"), video))) == ["1", "7"]


@pytest.mark.parametrize("mode", ["P", "L", "1"])
def test_a_folder_an_object_may_leave_frames_out(video, tmp_path, mode):
    save(tmp_path / "10" / "00005.png", frame((255, 1, 1, 3, 3)), mode)
    save(tmp_path / "9" / "00000.png", frame((255, 0, 0, 1, 1)), mode)
    save(tmp_path / "9" / "00005.png", frame(), mode)
    found = decoded(read_png_masks(tmp_path, video, NAMES))
    assert list(found) == ["9", "10"]
    assert found["10"].any(axis=(1, 2)).tolist() == [False, True, False]
    assert found["9"].any(axis=(1, 2)).tolist() == [True, False, False]
    assert found["10"][1].sum() == 4


def harm_size(folder):
    save(folder / "00005.png", np.zeros((5, 5), dtype=np.uint8))


def harm_all_sizes(folder):
    for name in NAMES:
        save(folder / f"{name}.png", np.ones((5, 5), dtype=np.uint8))


def harm_colour(folder):
    save(folder / "00005.png", np.ones(SIZE, dtype=np.uint8), "RGB")


def harm_bytes(folder):
    whole = (folder / "00000.png").read_bytes()
    (folder / "00000.png").write_bytes(whole[: len(whole) - 30])


def harm_jpeg(folder):
    (folder / "00005.png").unlink()
    Image.fromarray(np.ones(SIZE, dtype=np.uint8)).save(folder / "00005.jpg")


REFUSED = [
    (lambda folder: save(folder / "00007.png", frame()), "00007.png: expected the name of a frame of clip/"),
    (lambda folder: (folder / "00005.png").unlink(), "expected one PNG for each of 3 frames, got none for '00005'"),
    (
        lambda folder: save(folder / "a" / "00000.png", frame()),
        "either one PNG a frame or one folder an object, got both",
    ),
    (harm_size, "all frames of a folder must have one size"),
    (harm_all_sizes, "expected masks of the video's size, 8 x 6, got 5 x 5"),
    (harm_colour, "00005.png: expected a PNG of one channel .* got a PNG of mode RGB"),
    (harm_bytes, "00000.png: expected a .* got .*(broken|cannot be opened)"),
    (harm_jpeg, "00005.jpg: expected a PNG of one channel .* got a JPEG"),
]


@pytest.mark.parametrize(("harm", "sentence"), REFUSED)
def test_other_folders_of_pngs_are_refused_with_the_file(video, tmp_path, harm, sentence):
    folder = write_palette(tmp_path / "m")
    harm(folder)
    with pytest.raises(InputError, match=sentence):
        read_png_masks(folder, video, NAMES)


def test_counts_values_and_empty_folders_are_refused(video, tmp_path):
    with pytest.raises(InputError, match=r"expected a folder of PNG masks, got none"):
        read_png_masks(tmp_path / "none", video)
    with pytest.raises(InputError, match="got neither"):
        read_png_masks(tmp_path, video)
    two = write_palette(tmp_path / "two", PICTURES[:2])
    with pytest.raises(InputError, match=r"one PNG for each of 3 frames of clip/, got 2; give the video as a folder"):
        read_png_masks(two, video)
    save(tmp_path / "object" / "a" / "00000.png", PICTURES[0])
    with pytest.raises(InputError, match=r"00000.png: expected a mask of 0 and one other value, got values \[1, 7\]"):
        read_png_masks(tmp_path / "object", video, NAMES)
    with pytest.raises(InputError, match="expected at least one object in video 'clip', got none"):
        read_png_masks(write_palette(tmp_path / "blank", [frame()] * 3), video, NAMES)


COUNTS = rle.encode(np.stack([values == 7 for values in PICTURES]))


def compressed(t):
    return {"size": list(SIZE), "counts": COUNTS[t].decode()}


def uncompressed(t):
    flat = (PICTURES[t] == 7).ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat])))
    return {"size": list(SIZE), "counts": np.diff([0, *edges, flat.size]).tolist()}


def content(**changes):
    objects = [
        {"id": 4, "video_id": 1, "category_id": 2, "segmentations": [compressed(0), uncompressed(1), None]},
        {"id": 5, "video_id": 2, "category_id": 2, "segmentations": [compressed(0)]},
    ]
    videos = [
        {"id": 1, "width": 8, "height": 6, "length": 3, "file_names": [f"clip/{name}.jpg" for name in NAMES]},
        {"id": 2, "file_names": ["other/0.jpg"]},
    ]
    return {"videos": videos, "annotations": objects} | changes


@pytest.fixture
def write(tmp_path):
    def write(value):
        path = tmp_path / "instances.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    return write


def test_lists_of_run_lengths_compressed_or_not_with_null_where_absent(video, write):
    assert coco.decode(coco.frPyObjects(uncompressed(1), *SIZE)).sum() == (PICTURES[1] == 7).sum()
    file = read_video_json(write(content()))
    entry = file.entry("clip")
    assert (entry.id, entry.name, entry.frame_names) == ("1", "clip", NAMES)
    (found,) = file.masklets(entry, video)
    assert (found.id, found.score) == ("4", 1.0)
    assert np.array_equal(rle.decode(found.masks, SIZE), np.stack([values == 7 for values in PICTURES]))
    assert file.entry("2").name == "other"


def test_a_result_file_is_a_list_of_objects_called_by_their_number(video, write):
    value = {"video_id": 31, "score": 0.25, "category_id": 1, "segmentations": [compressed(0), None, None]}
    file = read_video_json(write([value, value]))
    found = file.masklets(file.entry("clip"), video)  # its one video
    assert [(m.id, m.score) for m in found] == [("0", 0.25), ("1", 0.25)]


FILES = [
    ("{", "expected a JSON file"),
    ({"images": []}, "expected lists `videos` and `annotations`, or a list of objects"),
    ([], "expected at least one object, got none"),
    ([{"segmentations": []}], "object 0: expected an object with `video_id`"),
    (content(videos=[{"name": "a"}]), r"videos\[0\]: expected a video with `id`"),
    (content(videos=[{"id": 1}, {"id": 1}]), "expected videos of distinct ids, got several of '1'"),
    (content(videos=[{"id": 1, "file_names": "a.jpg"}]), r"videos\[0\]: expected `file_names`, a list"),
    (content(videos=[{"id": 1, "file_names": ["a/0.jpg", "b/0.jpg"]}]), "in one folder below the videos"),
    (content(videos=[{"id": 1, "file_names": ["../a/0.jpg"]}]), "in one folder below the videos"),
    (content(videos=[{"id": 1}]), "expected objects of the videos listed, got one of video_id 2"),
]


@pytest.mark.parametrize(("value", "sentence"), FILES)
def test_other_json_files_are_refused_with_the_file(write, value, sentence):
    with pytest.raises(AnnotationError, match=rf"instances\.json.*{sentence}"):
        read_video_json(write(value))


def one(**changes):
    value = {"id": 4, "video_id": 1, "segmentations": [compressed(0), None, None]} | changes
    return {"videos": [{"id": 1}], "annotations": [{k: v for k, v in value.items() if v is not ...}]}


OBJECTS = [
    (one(segmentations=...), "object '4': expected `segmentations`, a list"),
    (one(segmentations=[compressed(0)]), "object '4': expected 3 frames of video 'clip', got 1"),
    (one(segmentations=[None] * 3), "object '4': expected a mask on at least one frame, got none"),
    (one(segmentations=[[[0, 0, 1, 1]], None, None]), r"frame 0: mask: expected COCO RLE of size \[6, 8\]"),
    (one(segmentations=[{"size": [8, 6], "counts": "0"}, None, None]), "frame 0: mask: expected COCO RLE of size"),
    (one(segmentations=[None, {"size": list(SIZE), "counts": [3, 4]}, None]), "frame 1: mask 0: expected COCO run"),
    (one(score=2), "expected a score in 0..1, got 2"),
    ({**one(), "annotations": one()["annotations"] * 2}, "expected one masklet an object, got several of '4'"),
]


@pytest.mark.parametrize(("value", "sentence"), OBJECTS)
def test_other_objects_are_refused_with_the_file_and_their_id(video, write, value, sentence):
    file = read_video_json(write(value))
    with pytest.raises(InputError, match=rf"instances\.json.*{sentence}"):
        file.masklets(file.entry("clip"), video)


def test_a_video_that_the_file_lacks_is_refused_with_those_that_it_has(write):
    with pytest.raises(InputError, match="expected one video called 'none', got 0 among 'clip', 'other'"):
        read_video_json(write(content())).entry("none")


@pytest.fixture
def masklets(moving_squares):
    """Of the two squares in six frames: one is away for two frames, the other shows in one frame alone."""
    _, masks = moving_squares(6)
    masks[0, 2:4] = False
    masks[1, [0, 1, 2, 3, 5]] = False
    return [Masklet(name, rle.encode(stack), score) for name, stack, score in zip("ab", masks, (0.5, 1.0), strict=True)]


def test_tracks_keep_their_masks_and_take_tokens_and_scores_of_prompts_on_every_frame(
    tracker, masklets, moving_squares
):
    frames, _ = moving_squares(6)
    reader = ArrayReader(frames, video_id="clip", fps=8)
    ticks = []
    found = import_tracks(reader, tracker, masklets, lambda done, of: ticks.append((done, of)))
    assert ticks == [(t + 1, 6) for t in range(6)]
    assert found.provenance == import_facts(reader.meta, tracker, masklets)
    assert found.provenance["objects"] == ["a", "b"]
    a, b = found.tracks
    assert {a.source, b.source} == {Source.IMPORTED}
    assert (a.masks, b.masks) == (masklets[0].masks, masklets[1].masks)
    assert (a.prompt.frame, a.prompt.score, b.prompt.frame) == (0, 0.5, 4)
    assert a.present.tolist() == [True, True, False, False, True, True]
    assert a.object_score.tolist() == [10, 10, -10, -10, 10, 10]
    absent = tracker.model.no_obj_ptr[0].numpy().astype(np.float16)
    assert np.array_equal(a.tokens[2], absent)
    assert np.array_equal(b.tokens[0], absent)
    engine = tracker.ready(Resources())
    for t in (0, 4):  # the token of a track of ours on the frame of its prompt
        store = FeatureStore(reader, engine, Resources())
        prompt = MaskPrompt(t, rle.decode([a.masks[t]], (64, 64))[0], Source.USER)
        (ours,) = propagate(engine, store, [prompt])
        assert np.allclose(ours.tokens[t], a.tokens[t], atol=2e-3)
        store.close()


def test_objects_in_parts_give_what_objects_at_once_give(tracker, masklets, moving_squares):
    reader = ArrayReader(moving_squares(6)[0], video_id="clip", fps=8)
    whole = import_tracks(reader, tracker, masklets)
    parts = import_tracks(reader, tracker, masklets, resources=Resources(objects=1))
    assert np.allclose(whole.tokens(), parts.tokens(), atol=2e-3)


def test_an_object_too_small_for_the_tracker_still_shows():
    masks = torch.zeros(3, 40, 60, dtype=torch.bool)
    masks[0, 30, 50] = True
    masks[1, :20, :20] = True
    told = told_masks(masks, 10)
    assert told.shape == (3, 1, 10, 10)
    assert told.flatten(1).sum(dim=1).tolist() == [1, 15, 0]
    assert told[0, 0, 7, 8] == 1
    assert torch.equal(told_masks(masks[:, :20, :20], 20)[:, 0], masks[:, :20, :20].float())


def test_masklets_that_are_not_of_the_video_are_refused(video, tmp_path):
    wrong = rle.encode(np.ones((3, 4, 4), dtype=bool))
    with pytest.raises(InputError, match="object 'x': mask 0: expected COCO run lengths of 6x8"):
        check_masklets(video, [Masklet("x", wrong)], tmp_path)
    with pytest.raises(InputError, match="masklet id: expected a non-empty text"):
        Masklet(" ", wrong)
