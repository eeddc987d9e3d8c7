"""Caches compared, and taken to other layouts and back: masks exactly, tokens to float16, ids inside the folder."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cache import cache_path, open_cache, read_cache, write_cache
from core import rle
from core.errors import AnnotationError, CacheError, InputError
from core.types import Prompt, Source
from proposals.importer import read_png_masks, read_video_json
from tests.factories import make_labels, make_track_set
from tracksift.cache_tools import (
    compare_caches,
    export_pngs,
    export_sola,
    export_video_json,
    find_sola_videos,
    import_sola,
    matched_files,
)

ODD = "../\u00e9 1"


def write(root, video_id="clip", labels=True, **choices):
    """A cache of three tracks (grid, detector, ground truth), one of them absent at times; its path."""
    sources = (Source.GRID, Source.GROUNDING_DINO, Source.GROUND_TRUTH)
    tracks = make_track_set(3, sources=sources, absent=[(), (0, 4), ()], video_id=video_id, **choices)
    asked = replace(tracks.tracks[1], prompt=Prompt(1, "0/1", 0.5, 0.9))
    tracks = replace(tracks, tracks=(tracks.tracks[0], asked, tracks.tracks[2]))
    path = cache_path(root, "mevis", "valid", video_id)
    write_cache(path, tracks, make_labels(3) if labels else None)
    return path


def test_a_cache_equals_itself_and_its_tracks_are_found_in_another_order(tmp_path):
    a, b = tmp_path / "a.h5", tmp_path / "b.h5"
    tracks = make_track_set(3)
    write_cache(a, tracks)
    write_cache(
        b, replace(tracks, tracks=(tracks.tracks[2], tracks.tracks[0]), provenance={"tracker_sha256": "2" * 64})
    )
    same = compare_caches(a, a)
    assert (same.equal, same.mean_iou, same.changed, same.left_over) == (True, 1.0, (), ())
    assert same.least_cosine == pytest.approx(1)
    other = compare_caches(a, b)
    assert [(p.a, p.b, p.iou) for p in other.pairs] == [(0, 1, 1.0), (1, None, 0.0), (2, 0, 1.0)]
    assert other.changed == ("settings", "tracker_sha256")
    assert compare_caches(b, a).left_over == (1,)


def test_iou_and_cosine_are_means_over_frames(tmp_path):
    tracks = make_track_set(1, frames=4)
    (one,) = tracks.tracks
    empty = rle.encode(np.zeros((1, *one.size), dtype=bool))[0]
    tokens = one.tokens.copy()
    tokens[0] *= -1
    masks = (empty, *one.masks[1:])
    changed = replace(one, masks=masks, boxes=rle.boxes(masks, one.size), tokens=tokens)
    write_cache(tmp_path / "a.h5", tracks)
    write_cache(tmp_path / "b.h5", replace(tracks, tracks=(changed,)))
    (pair,) = compare_caches(tmp_path / "a.h5", tmp_path / "b.h5").pairs
    assert pair.iou == pytest.approx(3 / 4)
    assert pair.cosine == pytest.approx((3 - 1) / 4, abs=1e-6)


def test_other_videos_are_refused_and_other_widths_have_no_cosine(tmp_path):
    write_cache(tmp_path / "a.h5", make_track_set(1))
    write_cache(tmp_path / "b.h5", make_track_set(1, frames=7))
    write_cache(tmp_path / "c.h5", make_track_set(1, width=4))
    write_cache(tmp_path / "d.h5", make_track_set(0))
    with pytest.raises(InputError, match="expected frames 6 as in"):
        compare_caches(tmp_path / "a.h5", tmp_path / "b.h5")
    assert compare_caches(tmp_path / "a.h5", tmp_path / "c.h5").pairs[0].cosine is None
    assert compare_caches(tmp_path / "d.h5", tmp_path / "a.h5").mean_iou is None
    assert compare_caches(tmp_path / "a.h5", tmp_path / "d.h5").pairs[0].b is None


def test_roots_are_matched_by_place_and_what_one_has_alone_is_named(tmp_path):
    both, alone = [write(tmp_path / root, "v") for root in "ab"], write(tmp_path / "a", "w")
    assert matched_files(tmp_path / "a", tmp_path / "b") == ([tuple(both)], [alone])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected a cache file where"):
        matched_files(tmp_path / "a", tmp_path / "empty")


def test_a_coco_vid_file_is_read_back_by_the_importer_with_the_same_masks(tmp_path):
    files = [write(tmp_path / "c", name) for name in ("clip", ODD)]
    assert export_video_json(files, tmp_path / "out.json") == 6
    read = read_video_json(tmp_path / "out.json")
    for path in files:
        held = read_cache(path)
        found = read.masklets(read.entry(held.video.id), held.video)
        assert [m.masks for m in found] == [t.masks for t in held.tracks]
        assert [m.score for m in found] == [t.prompt.score for t in held.tracks]
    content = json.loads((tmp_path / "out.json").read_text())
    second = content["annotations"][1]
    assert [mask is None for mask in second["segmentations"]] == [t in (0, 4) for t in range(6)]
    assert second["bboxes"][1] == [2.0, 5.0, 4.0, 4.0]
    assert (second["areas"][:2], second["source"]) == ([None, 16], "grounding_dino")
    with pytest.raises(InputError, match="expected one file a video"):
        export_video_json([files[0], write(tmp_path / "d", "clip")], tmp_path / "two.json")
    assert not (tmp_path / "two.json").exists()


def test_folders_of_pngs_are_read_back_by_the_importer_with_the_same_masks(tmp_path):
    path = write(tmp_path / "c", ODD)
    assert export_pngs([path], tmp_path / "out") == 18
    (video,) = (tmp_path / "out").iterdir()
    held = read_cache(path)
    assert [m.masks for m in read_png_masks(video, held.video)] == [t.masks for t in held.tracks]
    with pytest.raises(InputError, match="expected a new or an empty folder"):
        export_pngs([path], tmp_path / "out")
    assert Image.open(video / "000" / "00000.png").size == (20, 16)


@pytest.fixture
def sola(tmp_path):
    """A cache and the same tracks in SOLA's layout: the file, and the root of the layout."""
    path = write(tmp_path / "c", ODD)
    assert export_sola([("mevis", "valid", path)], tmp_path / "sola") == 3
    return path, tmp_path / "sola"


def test_solas_layout_holds_float32_tokens_and_overlaps_by_object(sola):
    path, root = sola
    tokens = sorted(p.relative_to(root) for p in root.rglob("*.npy"))
    assert [p.parts[0] for p in tokens] == ["gdino_tracks", "grid_tracks", "gt_tracks"]
    assert {p.parts[1:4] for p in tokens} == {("mevis", "valid", "sam2_object_tokens")}
    assert [len(p.parts) for p in tokens] == [7, 6, 6]
    held = open_cache(path)
    array = np.load(root / tokens[1])
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, held.tokens()[0])
    masklet = json.loads(
        (root / str(tokens[1]).replace("sam2_object_tokens", "sam2_masklets")).with_suffix(".json").read_text()
    )
    assert list(masklet) == ["anno_id", "rle", "prompt_type", "precision", "recall", "iou"]
    assert (masklet["anno_id"], len(masklet["rle"]), masklet["prompt_type"]) == (0, 6, "SAM2 AMG MASK")
    assert masklet["iou"]["object 1"] == held.labels().iou[0, 1]


def test_tracks_come_back_from_solas_layout_with_masks_tokens_sources_and_labels(sola, tmp_path):
    path, root = sola
    (video,) = find_sola_videos(root)
    assert import_sola(video, tmp_path / "back", dry_run=True) == "planned"
    assert not (tmp_path / "back").exists()
    assert [import_sola(video, tmp_path / "back") for _ in range(2)] == ["made", "kept"]
    before, after = read_cache(path), read_cache(cache_path(tmp_path / "back", "mevis", "valid", ODD))
    order = [2, 0, 1]  # ground truth, grid, detector
    for track, old in zip(after.tracks, (before.tracks[n] for n in order), strict=True):
        assert (track.source, track.masks, track.prompt.expression_id) == (
            old.source, old.masks, old.prompt.expression_id,
        )  # fmt: skip
        np.testing.assert_array_equal(track.tokens, old.tokens)
        np.testing.assert_array_equal(track.boxes, old.boxes)
        np.testing.assert_array_equal(track.present, old.present)
    assert (after.video.id, after.video.fingerprint) == (before.video.id, before.video.fingerprint)
    assert after.provenance["tracker_sha256"] == before.provenance["tracker_sha256"]
    back = open_cache(cache_path(tmp_path / "back", "mevis", "valid", ODD)).labels()
    np.testing.assert_array_equal(back.iou, open_cache(path).labels().iou[order])


def test_solas_own_files_need_a_video_and_the_name_of_their_tracker(tmp_path):
    path = write(tmp_path / "c", "v", labels=False)
    export_sola([("mevis", "valid", path)], tmp_path / "sola")
    (tmp_path / "sola" / "tracksift_videos" / "mevis" / "valid" / "v.json").unlink()
    (video,) = find_sola_videos(tmp_path / "sola")
    with pytest.raises(InputError, match="expected its frames"):
        import_sola(video, tmp_path / "out", tracker_sha256="3" * 64)
    (tmp_path / "frames" / "v").mkdir(parents=True)
    for t in range(6):
        Image.fromarray(np.full((16, 20, 3), t, dtype=np.uint8)).save(tmp_path / "frames" / "v" / f"{t:05d}.png")
    with pytest.raises(InputError, match="--tracker-sha256"):
        import_sola(video, tmp_path / "out", videos=tmp_path / "frames", fps=4)
    choices = {"videos": tmp_path / "frames", "fps": 4, "tracker_sha256": "3" * 64}
    assert import_sola(video, tmp_path / "out", **choices) == "made"
    held = open_cache(tmp_path / "out" / "mevis" / "valid" / "v.h5")
    assert (held.video.end, held.labels(), held.provenance["tracker_sha256"]) == (1.5, None, "3" * 64)
    Image.fromarray(np.zeros((16, 20, 3), dtype=np.uint8)).save(tmp_path / "frames" / "v" / "00006.png")
    with pytest.raises(AnnotationError, match="expected `rle` with 7 masks"):
        import_sola(video, tmp_path / "out", **choices)


def harm_json(root, change):
    path = next((root / "grid_tracks").rglob("*.json"))
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def harm_tokens(root, value):
    np.save(next((root / "grid_tracks").rglob("*.npy")), value, allow_pickle=True)


HARM = [
    (lambda r: next((r / "grid_tracks").rglob("*.npy")).unlink(), "expected its tokens at"),
    (lambda r: next((r / "grid_tracks").rglob("*.json")).write_text("{"), "expected a JSON file"),
    (lambda r: harm_json(r, lambda v: v["rle"].pop()), "expected `rle` with 6 masks"),
    (lambda r: harm_json(r, lambda v: v.pop("rle")), "expected `rle` with 6 masks"),
    (lambda r: harm_json(r, lambda v: v["rle"][0].update(size=[9, 9])), "expected COCO RLE of size"),
    (lambda r: harm_tokens(r, np.zeros((5, 8), np.float32)), "expected 6 tokens"),
    (lambda r: harm_tokens(r, np.full((6, 8), 1e6, np.float32)), "within float16"),
    (lambda r: harm_tokens(r, np.full((6, 8), math.nan, np.float32)), "expected finite numbers"),
    (lambda r: harm_tokens(r, np.array([{}])), "expected a whole .npy file"),
    (lambda r: next((r / "grid_tracks").rglob("*.npy")).write_bytes(b""), "expected a whole .npy file"),
]


@pytest.mark.parametrize(("harm", "sentence"), HARM)
def test_what_is_not_solas_layout_is_a_sentence(sola, tmp_path, harm, sentence):
    _, root = sola
    harm(root)
    with pytest.raises(InputError, match=sentence):
        import_sola(find_sola_videos(root)[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_empty_root_and_a_detection_without_expression_are_sentences(tmp_path):
    with pytest.raises(InputError, match="expected tracks in SOLA's layout"):
        find_sola_videos(tmp_path)
    path = tmp_path / "a.h5"
    write_cache(path, make_track_set(1, sources=[Source.GROUNDING_DINO]))
    with pytest.raises(InputError, match="expected the expression it was detected for"):
        export_sola([("d", "s", path)], tmp_path / "out")
    with pytest.raises(CacheError, match="got none"):
        export_sola([("d", "s", tmp_path / "none.h5")], tmp_path / "out")
    assert not (tmp_path / "out").exists()
