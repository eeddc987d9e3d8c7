"""The miniature SAM2's figures: the tracker is the package's own predictor, and each figure is what its name says."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from core.errors import InputError
from miniature import eval_sam2
from miniature.eval_sam2 import evaluate_sam2
from miniature.sam2_training import tracker
from miniature.sam2_training.pool import MOST_OBJECTS, Rendered, render
from miniature.sam2_training.tracker import Tracked, deepest, tight_box, track_clips
from proposals.checkpoints import build_sam2

CONFIG = Path(eval_sam2.__file__).parent / "weights" / "sam2.yaml"


def clip_of(labels):
    """A clip without colours from a label map [T, H, W]."""
    pixels = np.zeros((*labels.shape, 4), dtype=np.uint8)
    pixels[..., 3] = labels
    count = int(labels.max())
    return Rendered(0, pixels, np.zeros((MOST_OBJECTS, len(labels)), dtype=np.int32), count, count, True)


@pytest.fixture
def two_squares():
    """20 frames: object 1 stays; object 2 leaves after frame 9; object 3 is too small on frame 0 to count."""
    labels = np.zeros((20, 64, 64), dtype=np.uint8)
    labels[:, 0:10, 0:10] = 1
    labels[:10, 30:50, 30:50] = 2
    labels[:, 60:63, 60:63] = 3
    return clip_of(labels)


def answer_with(monkeypatch, masks, score):
    """Let every prompt be answered by the same masks [T, N, H, W] and scores [T, N]."""
    monkeypatch.setattr(eval_sam2, "track_clips", lambda *_: Tracked(torch.from_numpy(masks), torch.from_numpy(score)))


def truth_of(clip):
    return np.stack([clip.pixels[..., 3] == number for number in (1, 2)], axis=1)


def test_a_perfect_tracker_scores_one_everywhere(monkeypatch, two_squares):
    truth = truth_of(two_squares)
    answer_with(monkeypatch, truth, np.where(truth.any((2, 3)), 5.0, -5.0))
    figures = evaluate_sam2(None, [two_squares])["mask"]
    assert figures.tracks == 2
    assert figures.below_half == 0
    values = (figures.j, figures.median_j, figures.first_j, figures.late_j, figures.present)
    assert values == (1.0,) * 5
    assert (figures.present_visible, figures.present_absent) == (1.0, 1.0)


def test_figures_of_a_tracker_that_loses_one_object_and_never_says_absent(monkeypatch, two_squares):
    """Object 1 is half covered from frame 1 on; object 2 is answered, forever, where it was."""
    masks = truth_of(two_squares)
    masks[:, 1] = masks[0, 1]
    masks[1:, 0, :, 5:] = False
    answer_with(monkeypatch, masks, np.full((20, 2), 3.0))
    figures = evaluate_sam2(None, [two_squares], ("box",))["box"]
    assert figures.first_j == 1.0
    assert figures.j == pytest.approx((0.5 + 9 / 19) / 2)
    assert figures.below_half == 0.5
    assert figures.late_j == pytest.approx(0.25)
    assert figures.present_visible == 1.0
    assert figures.present_absent == 0.0
    assert figures.present == pytest.approx((19 + 9) / 38)


def test_short_clips_have_no_late_figure_and_no_absent_frames(monkeypatch):
    labels = np.zeros((3, 64, 64), dtype=np.uint8)
    labels[:, :10, :10] = 1
    clip = clip_of(labels)
    answer_with(monkeypatch, (labels == 1)[:, None], np.ones((3, 1)))
    figures = evaluate_sam2(None, [clip], ("point",))["point"]
    assert math.isnan(figures.late_j)
    assert math.isnan(figures.present_absent)


def test_clips_that_show_nothing_are_refused():
    with pytest.raises(InputError, match="got none"):
        evaluate_sam2(None, [clip_of(np.zeros((2, 64, 64), dtype=np.uint8))])


def test_clips_in_one_batch_and_one_by_one_give_the_same_figures():
    torch.manual_seed(0)
    model = build_sam2(CONFIG).eval()
    clips = [render(200_000 + i, frames=3) for i in range(2)]
    together, apart = (evaluate_sam2(model, clips, ("box",), together=n)["box"] for n in (2, 1))
    assert together.tracks == apart.tracks > 4
    assert together.j == pytest.approx(apart.j, abs=1e-5)


def test_the_point_is_the_deepest_pixel_and_the_box_is_tight():
    mask = np.zeros((20, 20), dtype=bool)
    mask[0:5, 0:5] = True  # at the border, which counts as an edge
    mask[10:19, 8:17] = True
    assert deepest(mask).tolist() == [[12.0, 14.0]]
    assert deepest(mask[:6]).tolist() == [[2.0, 2.0]]
    assert tight_box(mask).tolist() == [[0.0, 0.0], [17.0, 19.0]]


def test_another_prompt_is_refused():
    with pytest.raises(InputError, match="mask, box, point, got 'scribble'"):
        tracker.prompt_inputs(torch.ones(1, 4, 4, dtype=torch.bool), "scribble", torch.device("cpu"))


def shaken_predictor():
    """The package's video predictor with the miniature's modules and random weights, and a plain SAM2 of the same."""
    from omegaconf import OmegaConf

    torch.manual_seed(0)
    model = build_sam2(CONFIG)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.add_(2.0)
    config = OmegaConf.load(CONFIG)
    config.model["_target_"] = "sam2.sam2_video_predictor.SAM2VideoPredictor"
    return model.eval(), config


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("prompt", ["mask", "box", "point"])
def test_the_tracker_gives_the_masks_of_the_packages_video_predictor(tmp_path, prompt):
    """Sixteen frames of two objects, so that pointer times and the memory window are those of a whole clip."""
    clip = render(200_000, frames=16)
    frames = []
    for t, frame in enumerate(clip.pixels[..., :3]):
        Image.fromarray(frame).save(tmp_path / f"{t:05d}.jpg", quality=95)
        frames.append(np.asarray(Image.open(tmp_path / f"{t:05d}.jpg")))
    model, config = shaken_predictor()
    (tmp_path / "predictor.yaml").write_text("")
    from omegaconf import OmegaConf

    OmegaConf.save(config, tmp_path / "predictor.yaml")
    predictor = build_sam2(tmp_path / "predictor.yaml").eval()
    predictor.load_state_dict(model.state_dict())
    first = torch.from_numpy(np.stack([clip.pixels[0, ..., 3] == number for number in (1, 2)]))
    assert first.flatten(1).any(1).all()
    state = predictor.init_state(str(tmp_path))
    for number, mask in enumerate(first.numpy()):
        if prompt == "mask":
            predictor.add_new_mask(state, 0, number, mask)
        elif prompt == "box":
            predictor.add_new_points_or_box(state, 0, number, box=tight_box(mask).ravel())
        else:
            predictor.add_new_points_or_box(state, 0, number, points=deepest(mask), labels=np.array([1], np.int32))
    expected = torch.stack([logits[:, 0] > 0 for _, _, logits in predictor.propagate_in_video(state)])
    stack = torch.from_numpy(np.stack(frames))[None]
    tracked = track_clips(model, stack, torch.zeros(2, dtype=torch.long), first, prompt)
    assert 0.02 < expected.float().mean() < 0.98
    assert (tracked.masks != expected).float().mean() < 1e-3


def test_the_command_prints_a_table_and_one_line_of_json(tmp_path):
    torch.manual_seed(0)
    (tmp_path / "tiny.yaml").write_text(CONFIG.read_text())
    save_file(build_sam2(CONFIG).state_dict(), tmp_path / "tiny.safetensors")
    options = ["--weights", str(tmp_path / "tiny.safetensors"), "--split", "valid", "--clips", "1", "--device", "cpu"]
    run = CliRunner().invoke(eval_sam2.app, options)
    assert run.exit_code == 0, run.output
    figures = json.loads(run.stdout.strip().splitlines()[-1])
    assert {"valid_mask_j", "valid_box_below_half", "valid_point_present"} <= figures.keys()
    assert figures["settings"]["clips"] == 1
    assert "J < 0.5" in run.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [(["--split", "nowhere"], "expected one of train"), (["--split", "valid", "--clips", "101"], "expected 1 to 100")],
)
def test_unknown_splits_and_too_many_clips_are_refused(tmp_path, options, sentence):
    (tmp_path / "tiny.yaml").write_text(CONFIG.read_text())
    save_file(build_sam2(CONFIG).state_dict(), tmp_path / "tiny.safetensors")
    weights = ["--weights", str(tmp_path / "tiny.safetensors"), "--device", "cpu"]
    run = CliRunner().invoke(eval_sam2.app, [*weights, *options])
    assert isinstance(run.exception, InputError)
    assert sentence in str(run.exception)
