"""Real video: outlines and masks are read as they are, J is that of the clip's own size, absence is said by name."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from core.errors import AnnotationError, InputError
from miniature import eval_real
from miniature.eval_real import RealClip, davis_clips, evaluate_real, outlined_clips, read_mask
from miniature.sam2_training.tracker import Tracked
from tests.real_data import real_data


class Square:
    """Stands for a model: only its side is asked for."""

    image_size = 32


def write_clip(root, frames=5, masks=5, width=60, height=40):
    """A folder in DAVIS's layout whose object, 10 by 10 pixels, moves 4 pixels to the right every frame."""
    images = root / "davis_eorvos" / "JPEGImages" / "480p" / "box"
    annotations = root / "davis_eorvos" / "Annotations" / "480p" / "box"
    images.mkdir(parents=True)
    annotations.mkdir(parents=True)
    for t in range(frames):
        Image.new("RGB", (width, height), (0, 0, 60 + t)).save(images / f"{t:05d}.jpg")
    for t in range(masks):
        mask = np.zeros((height, width), dtype=np.uint8)
        mask[10:20, 10 + 4 * t : 20 + 4 * t] = 255
        Image.fromarray(mask).save(annotations / f"{t:05d}.png")
    return root


def answer_with(monkeypatch, masks):
    """Let tracking answer masks [T, H, W]; returns the arguments that it was called with."""
    seen = []

    def track(*arguments):
        seen.append(arguments)
        return Tracked(torch.from_numpy(masks)[:, None], torch.ones(len(masks), 1))

    monkeypatch.setattr(eval_real, "track_clips", track)
    return seen


def test_a_davis_clip_is_compared_at_its_own_size_from_frame_1_on(tmp_path, monkeypatch):
    (clip,) = davis_clips(write_clip(tmp_path), ("box",))
    answer = np.stack([clip.truth[t] for t in range(5)])
    answer[0] = False  # the prompted frame does not count
    answer[4] = np.roll(answer[4], 5, axis=1)  # half of it beside: 50 of 150 pixels
    seen = answer_with(monkeypatch, answer)
    figures = evaluate_real(Square(), clip)
    assert figures.j == pytest.approx((3 + 1 / 3) / 4)
    assert figures.last_j == pytest.approx(1 / 3)
    assert figures.still_j == pytest.approx((60 / 140 + 20 / 180) / 4)
    _, pixels, _, first, prompt, size = seen[0]
    assert (tuple(pixels.shape), prompt, size) == ((1, 5, 32, 32, 3), "mask", (40, 60))
    rows, columns = first[0].any(1).nonzero(), first[0].any(0).nonzero()
    assert (int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())) == (8, 15, 5, 10)


def test_outlines_are_drawn_in_thousandths_and_masks_read_from_files(tmp_path, monkeypatch):
    write_clip(tmp_path)
    square = [[500, 250], [749, 250], [749, 749], [500, 749]]
    entry = {
        "frames": "davis_eorvos/JPEGImages/480p/box",
        "outlines": {"0": "davis_eorvos/Annotations/480p/box/00000.png", "3": [square]},
    }
    (tmp_path / "outlines.json").write_text(json.dumps({"box": entry}))
    (clip,) = outlined_clips(tmp_path, tmp_path / "outlines.json")
    assert clip.truth[0].sum() == 100
    drawn = np.zeros((40, 60), dtype=bool)
    drawn[10:30, 30:45] = True
    assert (clip.truth[3] != drawn).sum() <= 40
    answer_with(monkeypatch, np.repeat(clip.truth[3][None], 5, axis=0))
    figures = evaluate_real(Square(), clip)
    assert (figures.compared, figures.j) == (1, 1.0)


@pytest.mark.parametrize("frames", [{0: True}, {2: True}, {0: False, 2: True}])
def test_clips_without_a_first_mask_or_another_are_refused(frames):
    truth = {t: np.full((8, 8), value) for t, value in frames.items()}
    with pytest.raises(AnnotationError, match="expected a mask on frame 0 and on another one"):
        evaluate_real(Square(), RealClip("box", np.zeros((3, 8, 8, 3), dtype=np.uint8), truth))


def test_missing_clips_and_wrong_masks_are_said(tmp_path):
    with pytest.raises(InputError, match="TRACKSIFT_FIXTURES names the folder"):
        davis_clips(tmp_path)
    with pytest.raises(AnnotationError, match=r"00004\.png: expected a mask image"):
        davis_clips(write_clip(tmp_path, masks=4), ("box",))
    Image.new("L", (9, 9)).save(tmp_path / "small.png")
    with pytest.raises(AnnotationError, match="expected a mask of 40 x 60 pixels"):
        read_mask(tmp_path / "small.png", (40, 60))


def test_flat_names_carry_the_mean_and_every_clip():
    one, other = (eval_real.RealFigures(24, 23, j, j, 0.1) for j in (0.4, 0.8))
    figures = eval_real.flat("davis", {"a": one, "b": other})
    assert figures == {"davis_j": pytest.approx(0.6), "davis_a_j": 0.4, "davis_b_j": 0.8}
    assert eval_real.rows({"a": one, "b": other})[-1][3] == pytest.approx(0.6)


def test_an_unknown_set_is_refused():
    run = CliRunner().invoke(eval_real.app, ["--set", "everything"])
    assert isinstance(run.exception, InputError)
    assert "expected choice or davis" in str(run.exception)


def test_the_outlines_of_the_choice_fit_their_clips():
    for path in ("edgetam_examples", "videos_nogt", "cutie_examples"):
        real_data(path)
    clips = outlined_clips(eval_real.FIXTURES)
    assert [clip.name for clip in clips] == ["dog", "cyclist", "bag", "judo"]
    for clip in clips:
        assert all(0.005 < mask.mean() < 0.3 for mask in clip.truth.values())
        assert max(clip.truth) < len(clip.frames)
