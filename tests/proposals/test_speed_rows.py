"""The speed table compares ways that give the same masks, on objects that are there."""

import numpy as np
import pytest
import torch

from core.errors import InputError
from core.rle import areas
from miniature.sam2_training.record import CONFIG
from proposals.benchmark import rows, stage, ways
from proposals.benchmark.rows import RowSettings, run_row
from proposals.benchmark.stage import make_prompts, random_sam2, write_clip
from proposals.checkpoints import build_sam2
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources

CPU = torch.device("cpu")


@pytest.fixture
def small(make_model, monkeypatch):
    """Rows on a 64-pixel model and a clip of 48 x 80."""
    for module in (stage, rows):
        monkeypatch.setattr(module, "FRAME", (48, 80))
    model = make_model("sam2.modeling.sam2_base.SAM2Base")
    stage.raise_objects(model)
    monkeypatch.setattr(rows, "random_sam2", lambda size, device: model)
    monkeypatch.setattr(rows, "write_clip", lambda folder, frames: write_clip(folder, frames, (48, 80)))
    monkeypatch.setattr(rows, "make_prompts", lambda objects, births: make_prompts(objects, births, (48, 80)))
    return lambda **changes: RowSettings(objects=6, frames=9, resources=Resources(), **changes)


@pytest.mark.parametrize("row", ["A", "B"])
def test_every_way_gives_the_same_masks_of_objects_that_are_there(small, row):
    steps = []
    figures = run_row(small(row=row), CPU, lambda done, total: steps.append((done, total)))
    assert figures["iou_sola"] > 0.999
    assert figures["objects_frames_present"] > 0.9
    assert 0.005 < figures["foreground_50"] < 0.4
    assert figures["ratio_sola"] == pytest.approx(figures["sola_frame_ms"] / figures["ours_frame_ms"])
    assert ("official_frame_ms" in figures) == (row == "A")
    if row == "A":
        assert figures["iou_official"] > 0.999
    assert figures["floor_frame_ms"] > 0
    assert steps[-1][0] == steps[-1][1]


def test_steady_masks_stay_on_1_to_20_percent_of_the_frame(tmp_path):
    ways.quiet_progress()
    torch.manual_seed(0)
    model = build_sam2(CONFIG).eval().requires_grad_(False)
    stage.raise_objects(model)
    stage.steady_masks(model)
    folder, prompts = write_clip(tmp_path, 10), make_prompts(3, [0])
    stage.settle_masks(model, folder, prompts)
    masks = ways.ours(Sam2Tracker(model), folder, prompts, Resources())
    share = np.array([areas(track, stage.FRAME) for track in masks])[:, 1:] / np.prod(stage.FRAME)
    assert ((share >= 0.01) & (share <= 0.2)).mean() > 0.9


def test_prompts_cover_1_to_20_percent_and_are_spread_over_the_key_frames():
    prompts = make_prompts(10, [0, 4, 8], (120, 200))
    assert [p.frame for p in prompts] == [0, 0, 0, 0, 4, 4, 4, 8, 8, 8]
    assert all(0.008 < p.mask.mean() < 0.21 for p in prompts)


def test_solas_way_encodes_again_for_every_four_prompts(make_model, tmp_path, monkeypatch):
    ways.quiet_progress()
    model = make_model()
    folder = write_clip(tmp_path, 3, (48, 80))
    calls = []
    real = model.forward_image
    monkeypatch.setattr(model, "forward_image", lambda images: calls.append(1) or real(images))
    ways.solas(model, folder, make_prompts(8, [0], (48, 80)))
    assert len(calls) >= 2 * 3


def test_ours_alone_runs_no_other_way(small, monkeypatch):
    monkeypatch.setattr(ways, "solas", lambda *_: pytest.fail("run"))
    figures = run_row(small(alone=True), CPU, lambda done, total: None)
    assert "sola_frame_ms" not in figures
    assert figures["ours_host_peak_gib"] > 0


@pytest.mark.parametrize("changes", [{"row": "Z"}, {"objects": 0}, {"frames": 1}])
def test_rows_that_cannot_be_measured_are_refused(changes):
    with pytest.raises(InputError, match="row: expected"):
        RowSettings(**changes)


def test_an_unknown_size_is_refused():
    with pytest.raises(InputError, match="size: expected one of tiny"):
        random_sam2("huge", CPU)
