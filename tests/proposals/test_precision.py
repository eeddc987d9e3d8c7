import numpy as np
import pytest
import torch

from core.types import Source
from proposals import features, grid, sam2_tracker
from proposals.features import FeatureStore
from proposals.generate import propose
from proposals.prompts import MaskPrompt
from proposals.propagation import propagate
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import GridSettings, ProposalSettings, Resources

GRID = GridSettings(points_per_side=3, pred_iou_thresh=0.1, stability_score_thresh=0)
SETTINGS = ProposalSettings(sources=(Source.GRID, Source.GROUND_TRUTH), grid=GRID)


def test_a_gpus_precision_runs_through_every_stage_and_gives_nearly_the_same_tracks(clip, tracker, monkeypatch):
    reader, masks = clip
    exact = propose(reader, tracker, SETTINGS, masks)
    for module in (features, grid, sam2_tracker):
        monkeypatch.setattr(module, "precision", lambda device: torch.autocast("cpu", dtype=torch.bfloat16))
    rough = propose(reader, tracker, SETTINGS, masks)
    told = [[t for t in run.tracks if t.source == "ground_truth"] for run in (exact, rough)]
    for one, other in zip(*told, strict=True):
        assert (one.decode() != other.decode()).mean() < 0.05
        assert not np.array_equal(one.tokens, other.tokens)
        np.testing.assert_allclose(one.tokens, other.tokens, atol=0.1)


@pytest.mark.parametrize("narrow", [False, True])
def test_weights_cast_once_give_nearly_the_same_tracks(clip, make_model, monkeypatch, narrow):
    reader, masks = clip
    prompts = [MaskPrompt(key, masks[name][key], Source.GRID) for name, key in (("a", 0), ("b", 5), ("a", 11))]
    model = make_model()
    exact = Sam2Tracker(model)
    want = propagate(exact, FeatureStore(reader, exact, Resources()), prompts)
    monkeypatch.setattr(sam2_tracker, "precision", lambda device: torch.autocast("cpu", dtype=torch.bfloat16))
    half = Sam2Tracker(model, half=True, narrow=narrow)
    got = propagate(half, FeatureStore(reader, half, Resources()), prompts)
    assert model.no_mem_embed.dtype == model.obj_ptr_proj.layers[0].weight.dtype == torch.float32
    for one, other in zip(got, want, strict=True):
        assert (one.decode() != other.decode()).mean() < 0.05
        assert not np.array_equal(one.tokens, other.tokens)
        np.testing.assert_allclose(one.tokens, other.tokens, atol=0.1)
