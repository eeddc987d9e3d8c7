"""Cut-out clips: labels lie on the pixels that were drawn, sources stay apart, and a seed fixes everything."""

import json

import av
import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from core.errors import InputError
from miniature.cutouts import compose, motion, pack, photos, pieces, regions, sheet, silhouettes, things, warp
from miniature.cutouts.compose import make_cutout
from miniature.cutouts.motion import Pose, Wave

STILL = Wave()


def red_square(scale=20.0):
    """A piece of pure red, 20 pixels across, with a margin: red next to it, then green that nobody may see."""
    picture = torch.zeros(4, 40, 40)
    picture[1] = 255.0
    picture[0, 8:32, 8:32], picture[1, 8:32, 8:32], picture[3, 10:30, 10:30] = 255.0, 0.0, 1.0
    return pieces.Piece(picture, scale)


def drawn(pose, *, shutter=(0.0,), frames=5, part=None, side=64):
    """A part pasted over black: canvas [T, 3, S, S] and labels [T, S, S]."""
    canvas, labels = torch.zeros(frames, 3, side, side), torch.zeros(frames, side, side)
    time = np.linspace(0, 1, frames)
    part = part or things.Part(red_square(), (pose,), None, Wave(1.0))
    compose._paste(canvas, labels, part, None, 3, time, shutter)
    return canvas, labels


def moving(size=20.0, angle=0.0):
    return Pose(Wave(32.0, drift=24.0), Wave(30.0), Wave(float(np.log(size))), STILL, Wave(angle))


@pytest.fixture(scope="module")
def clip():
    return make_cutout(5, frames=6, side=128)


def test_a_clip_is_fixed_by_its_seed_and_kind(clip):
    again, other = make_cutout(5, frames=6, side=128), make_cutout(6, frames=6, side=128)
    held_out = make_cutout(5, held_out=True, frames=6, side=128)
    assert np.array_equal(clip.frames, again.frames)
    assert np.array_equal(clip.labels, again.labels)
    assert not np.array_equal(clip.frames, other.frames)
    assert not np.array_equal(clip.frames, held_out.frames)


@pytest.mark.parametrize("seed", range(6))
def test_labels_name_the_objects_that_the_clip_counts(seed):
    made = make_cutout(seed, frames=4, side=64)
    assert made.frames.shape == (4, 64, 64, 3)
    assert (made.frames.dtype, made.labels.dtype) == (np.uint8, np.uint8)
    assert 1 <= made.things <= things.MOST_THINGS
    assert made.things <= made.objects <= things.MOST_THINGS + compose.MOST_REGIONS
    assert set(np.unique(made.labels)) <= set(range(made.objects + 1))


def test_most_things_are_seen_and_some_leave_and_return():
    """Over twenty clips; a thing that returns has a frame of nothing between two frames of something."""
    seen = returned = count = 0
    for seed in range(20):
        made = make_cutout(seed, frames=12, side=64)
        for number in range(1, made.things + 1):
            shown = (made.labels == number).any(axis=(1, 2))
            count += 1
            seen += shown.mean() > 0.5
            at = np.flatnonzero(shown)
            returned += len(at) > 0 and not shown[at[0] : at[-1]].all()
    assert seen > 0.75 * count
    assert returned > 0.03 * count


def test_labels_lie_on_the_pixels_that_were_drawn():
    canvas, labels = drawn(moving(angle=0.3))
    red, green = canvas[:, 0], canvas[:, 1]
    assert green.max() < 1.0  # what lies beyond the outline is never seen
    assert torch.equal(labels == 3, red > 127.5)
    assert 350 < (labels == 3).sum(dim=(1, 2)).float().mean() < 450
    middle = [float((labels[t] == 3).nonzero()[:, 1].float().mean()) + 0.5 for t in range(5)]
    assert middle == pytest.approx([20, 26, 32, 38, 44], abs=0.3)


def test_motion_blur_spreads_light_and_keeps_the_middle():
    sharp, _ = drawn(moving())
    soft, labels = drawn(moving(), shutter=(-0.1, 0.0, 0.1))
    assert (soft[2, 0] > 1).sum() > (sharp[2, 0] > 1).sum()
    assert soft[:, 1].max() < 1.0
    assert float((labels[2] == 3).nonzero()[:, 1].float().mean()) + 0.5 == pytest.approx(32, abs=0.6)


def test_a_window_shows_the_same_as_the_whole_screen(monkeypatch):
    expected, labels = drawn(moving(angle=0.5))
    monkeypatch.setattr(compose, "around", lambda matrices, half, side: warp.whole(len(matrices), side))
    whole, other = drawn(moving(angle=0.5))
    torch.testing.assert_close(whole, expected, atol=0.01, rtol=0)
    assert torch.equal(labels, other)


def test_what_a_thing_casts_changes_the_ground_and_is_no_part_of_it():
    rng = np.random.default_rng(0)
    body = things.Part(red_square(), (moving(),), None, Wave(1.0))
    for _ in range(8):
        canvas = torch.full((5, 3, 64, 64), 200.0)
        labels = torch.zeros(5, 64, 64)
        compose._paste(canvas, labels, things._cast(rng, body), None, 3, np.linspace(0, 1, 5), [0.0])
        assert not labels.any()
        assert ((canvas[2] - 200).abs() > 5).sum() > 100


def test_a_limb_hangs_on_its_body():
    rng = np.random.default_rng(1)
    view = things.make_view(rng, 0, False)
    body = things._part(rng, red_square(), (moving(),), 20.0, 0.0)
    limb = things._limb(rng, body, 20.0, 0, False, view)
    assert limb.poses[0] is body.poses[0]
    start, end = limb.matrices(None, np.array([0.0, 1.0]), 64)[:, :2, 2]
    assert end[0] - start[0] == pytest.approx(24, abs=20 * 0.7)


def test_things_attached_to_the_background_follow_the_view():
    camera = Pose(Wave(0.0, drift=0.5), STILL, STILL, STILL, STILL)
    view = things.View(torch.zeros(3, 8, 8), camera, None, 0.0)
    carried = view.carried(np.array([0.0, 1.0]), 64)
    assert np.allclose(carried[0], np.eye(3))
    assert carried[1, 0, 2] == pytest.approx(-0.5 * 32)  # the view goes right by a quarter, its contents left


def test_excursions_leave_the_screen_and_end_where_they_would_have():
    wave = Wave(10.0, leave=200.0, when=0.5, width=0.15)
    values = wave.at(np.array([0.0, 0.5, 1.0]))
    assert values == pytest.approx([10, 210, 10], abs=0.01)


def test_bends_are_smooth_and_about_as_strong_as_asked():
    rng = np.random.default_rng(0)
    places = np.stack(np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)), axis=-1)[None]
    lengths = []
    for _ in range(100):
        moved = motion.bend(rng, 0.1).at(np.array([0.3]), places)
        lengths.append(np.hypot(*moved[0].reshape(-1, 2).T).mean())
        assert np.abs(np.diff(moved, axis=2)).max() < 0.25  # neighbours are a quarter apart: nothing folds
    assert 0.05 < np.mean(lengths) < 0.2


def test_superpixels_keep_to_the_edges_of_colours_and_merge_to_them():
    pixels = np.full((80, 100, 3), 40, dtype=np.uint8)
    pixels[:, 50:] = (200, 90, 60)
    labels = regions.superpixels(pixels)
    assert labels.max() + 1 == len(np.unique(labels)) > 15
    two = regions.merged(np.random.default_rng(0), labels, pixels, 2)
    left, right = np.unique(two[:, :48]), np.unique(two[:, 52:])
    assert (len(left), len(right)) == (1, 1)
    assert left != right


def test_a_region_is_one_piece_without_holes_away_from_the_border_where_asked():
    rng = np.random.default_rng(0)
    labels = np.zeros((60, 60), dtype=np.int32)
    labels[10:40, 10:40] = 1
    labels[20:25, 20:25] = 0  # a hole
    labels[50:53, 50:53] = 1  # a crumb
    mask = regions.pick_region(rng, labels, 0.1, 0.5, inside=True, joined=0)
    assert mask[22, 22]
    assert not mask[51, 51]
    assert mask.sum() == pytest.approx(900, abs=40)
    labels[:10, 10:40] = 1
    assert regions.pick_region(rng, labels, 0.1, 0.5, inside=True, joined=0) is None


def test_filigree_is_no_region():
    comb = np.zeros((60, 60), dtype=bool)
    comb[10:50, 10:50:8] = comb[10:50, 11:50:8] = comb[10:12, 10:50] = True
    block = np.zeros((60, 60), dtype=bool)
    block[20:40, 20:44] = True
    assert not regions.solid(comb)
    assert regions.solid(block)


def test_contrast_is_high_at_edges_of_colour_and_none_in_flat_places():
    pixels = np.full((60, 60, 3), 100, dtype=np.uint8)
    mask = np.zeros((60, 60), dtype=bool)
    mask[20:40, 20:40] = True
    assert regions.contrast(pixels, mask) == pytest.approx(0, abs=0.01)
    pixels[mask] = (100, 160, 100)
    assert regions.contrast(pixels, mask) > 40


@pytest.mark.parametrize("shape", silhouettes.SILHOUETTES, ids=lambda shape: shape.__name__)
def test_silhouettes_fill_a_fair_part_of_their_square(shape):
    shares = [shape(np.random.default_rng(seed), 64).mean() for seed in range(20)]
    assert min(shares) > 0.03
    assert max(shares) < 0.95


def test_pieces_end_before_their_border_and_know_their_size():
    for seed in range(12):
        piece = pieces.cut(np.random.default_rng(seed), seed, False)
        weight = piece.picture[3]
        edge = torch.cat([weight[0], weight[-1], weight[:, 0], weight[:, -1]])
        assert float(edge.max()) == 0
        assert piece.scale**2 == pytest.approx(float(weight.sum()), rel=0.1)
        small = piece.reduced(15.0)
        assert small.scale <= 1.4 * 15
        assert small.scale**2 == pytest.approx(float(small.picture[3].sum()), rel=0.2)


def test_camouflage_brings_a_piece_to_the_colour_around_it():
    piece = red_square()
    around = torch.full((3, 10, 10), 120.0)
    hidden = pieces.camouflaged(np.random.default_rng(0), piece, around, 1.0)
    inside = hidden.picture[:3, 10:30, 10:30].mean((1, 2))
    assert (inside - 120).abs().max() < 50


def test_regions_of_a_background_stand_out_and_stay_off_its_border():
    found = 0
    for seed in range(10):
        labels = pieces.scene_regions(np.random.default_rng(seed), seed * 9, False, 3)
        assert set(np.unique(labels)) == set(range(labels.max() + 1))
        assert not labels[[0, -1]].any()
        assert not labels[:, [0, -1]].any()
        found += int(labels.max())
    assert found >= 6


def test_held_out_clips_are_in_no_training_photograph_and_the_pack_is_small():
    training, held_out = photos.read_photos(False), photos.read_photos(True)
    assert {photo.clip for photo in held_out} == set(photos.HELD_OUT)
    assert not {photo.clip for photo in training} & set(photos.HELD_OUT)
    assert len({photo.clip for photo in training}) >= 20
    assert sum(path.stat().st_size for path in photos.FOLDER.glob("*.jpg")) <= 2_000_000


@pytest.mark.parametrize(
    ("size", "sentence"), [((351, 320), "expected 352"), ((352, 300), "multiple of 320"), (None, "does not decode")]
)
def test_other_strips_are_refused(tmp_path, size, sentence):
    path = tmp_path / "strip.jpg"
    if size is None:
        path.write_bytes(b"no image")
    else:
        Image.new("RGB", size).save(path)
    with pytest.raises(InputError, match=sentence):
        photos.read_strip(path)


def test_missing_photographs_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "FOLDER", tmp_path)
    with pytest.raises(InputError, match=r"found none; python -m miniature\.cutouts\.pack"):
        photos.read_photos.__wrapped__(False)


def test_packing_writes_strips_that_read_back(tmp_path):
    with av.open(str(tmp_path / "clip.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for value in range(8):
            grey = np.full((48, 64, 3), 30 * value, dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        out.mux(stream.encode(None))
    options = [str(tmp_path), "--out", str(tmp_path / "strips"), "--frames", "3"]
    assert CliRunner().invoke(pack.app, [*options, "--dry-run"]).exit_code == 0
    assert not (tmp_path / "strips").exists()
    run = CliRunner().invoke(pack.app, options)
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout.splitlines()[-1])["photographs"] == 3
    found = photos.read_strip(tmp_path / "strips" / "clip.jpg")
    means = [photo.pixels.mean() for photo in found]
    assert len(means) == 3
    assert means == sorted(means)
    nothing = CliRunner().invoke(pack.app, [str(tmp_path / "strips")])
    assert isinstance(nothing.exception, InputError)


def test_the_sheet_shows_outlines_on_the_objects_side(tmp_path):
    labels = np.zeros((8, 8), dtype=np.uint8)
    labels[2:6, 2:6] = 1
    picture = sheet.outlined(np.zeros((8, 8, 3), dtype=np.uint8), labels)
    assert (picture.any(axis=-1) == ((labels == 1) & ~np.pad(np.ones((2, 2), dtype=bool), 3))).all()
    run = CliRunner().invoke(sheet.app, ["--out", str(tmp_path / "sheet.png"), "--clips", "1"])
    assert run.exit_code == 0, run.output
    assert Image.open(tmp_path / "sheet.png").size == (256 * (1 + sheet.COLUMNS), 256)
