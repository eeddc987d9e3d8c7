import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import CheckpointError
from core.frames import ArrayReader, open_video
from core.types import Source
from proposals import propagation
from proposals.features import FeatureStore
from proposals.prompts import MaskPrompt
from proposals.propagation import model_masks, propagate, track, video_masks
from proposals.settings import Resources

OFFICIAL = "sam2.sam2_video_predictor.SAM2VideoPredictor"


def official(model, folder, mask, key):
    """The package's predictor on a folder of JPEGs, one object: video-size logits [T, H, W], pointers, scores."""
    state = model.init_state(str(folder))
    model.add_new_mask(state, key, 1, torch.from_numpy(mask))
    logits = {t: value[0, 0] for t, _, value in model.propagate_in_video(state, start_frame_idx=key)}
    logits |= {t: value[0, 0] for t, _, value in model.propagate_in_video(state, start_frame_idx=key, reverse=True)}
    outputs = state["output_dict_per_obj"][0]
    every = {**outputs["non_cond_frame_outputs"], **outputs["cond_frame_outputs"]}
    order = range(len(logits))
    return (
        torch.stack([logits[t] for t in order]),
        torch.stack([every[t]["obj_ptr"][0] for t in order]),
        torch.stack([every[t]["object_score_logits"][0, 0] for t in order]),
    )


@pytest.fixture
def write_jpegs(tmp_path):
    def write(frames):
        for i, picture in enumerate(frames):
            Image.fromarray(picture).save(tmp_path / f"{i:03d}.jpg", quality=95)
        return tmp_path

    return write


def prompts_of(masks, key):
    return [MaskPrompt(key, mask[key], Source.GRID, score=0.8) for mask in masks]


@pytest.mark.parametrize(
    ("frames", "key", "options"),
    [
        (12, 0, {}),
        (12, 11, {}),
        (24, 9, {}),
        (12, 5, {"maskmem": 3, "pointers": 4, "past": False}),
        (20, 8, {"maskmem": 4, "stride": 3, "binarize": True}),
    ],
)
@pytest.mark.parametrize("size", [(64, 64), (40, 72)])
def test_all_objects_at_once_equal_the_packages_predictor_one_at_a_time(
    make_model, moving_squares, write_jpegs, frames, key, options, size
):
    pictures, masks = moving_squares(frames, size)
    folder = write_jpegs(pictures)
    model = make_model(OFFICIAL, **options)
    reader = open_video(folder, fps=8)
    store = FeatureStore(reader, model, Resources(encoder_batch=5))
    told = model_masks(prompts_of(masks, key), 64, torch.device("cpu"))
    steps = sorted(track(model, store, told, key), key=lambda step: step.frame)
    assert store.passes == frames
    for i, mask in enumerate(masks):
        logits, pointers, scores = official(model, folder, mask[key], key)
        mine = torch.cat([step.logits[i : i + 1] for step in steps])
        mine = torch.nn.functional.interpolate(mine, size, mode="bilinear", align_corners=False)[:, 0]
        assert (mine - logits).abs().max() < 2e-5
        assert (torch.stack([step.pointer[i] for step in steps]) - pointers).abs().max() < 2e-5
        assert (torch.stack([step.object_score[i] for step in steps]) - scores).abs().max() < 2e-5
        assert (logits[np.arange(frames) != key] > 0).any(), "nothing was tracked: the comparison would be empty"
        ours = torch.stack([video_masks(step.logits, size)[i] for step in steps])
        assert (ours != (logits > 0)).float().mean() < 1e-3


def test_the_comparison_can_fail(make_model, moving_squares, write_jpegs):
    pictures, masks = moving_squares(12)
    folder = write_jpegs(pictures)
    model = make_model(OFFICIAL)
    store = FeatureStore(open_video(folder, fps=8), model, Resources())
    told = model_masks(prompts_of(masks, 3), 64, torch.device("cpu"))
    steps = sorted(track(model, store, told, 3), key=lambda step: step.frame)
    _, pointers, _ = official(model, folder, masks[1][4], 4)
    assert (torch.stack([step.pointer[0] for step in steps]) - pointers).abs().max() > 1e-2


def test_an_unseen_object_has_an_empty_mask_and_no_box(make_model, clip):
    reader, masks = clip
    model = make_model()
    with torch.no_grad():
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias -= 40.0
    (found,) = propagate(model, FeatureStore(reader, model, Resources()), prompts_of([masks["a"]], 4))
    assert np.flatnonzero(found.present).tolist() == [4]
    assert np.isnan(found.boxes[[3, 5]]).all()
    assert found.object_score[4] == 10
    assert (found.object_score[[3, 5]] < 0).all()


@pytest.mark.parametrize("flush", [1, 5, 100])
def test_tracks_hold_every_frame_in_time_order_however_they_are_flushed(make_model, clip, monkeypatch, flush):
    reader, masks = clip
    model = make_model()
    store = FeatureStore(reader, model, Resources())
    prompts = prompts_of(masks.values(), 4)
    told = model_masks(prompts, 64, torch.device("cpu"))
    steps = sorted(track(model, store, told, 4), key=lambda step: step.frame)
    monkeypatch.setattr(propagation, "FLUSH", flush)
    calls = []
    tracks = propagate(model, store, prompts, lambda: calls.append(1))
    assert len(calls) == 12
    for i, found in enumerate(tracks):
        want = torch.stack([video_masks(step.logits, (64, 64))[i] for step in steps]).numpy()
        np.testing.assert_array_equal(found.decode(), want)
        np.testing.assert_allclose(found.tokens, torch.stack([s.pointer[i] for s in steps]).numpy(), atol=2e-3)
        np.testing.assert_allclose(
            np.delete(found.predicted_iou, 4), [float(s.predicted_iou[i]) for s in steps if s.frame != 4]
        )
        assert found.predicted_iou[4] == np.float32(0.8)
        assert (found.source, found.prompt.frame, found.tokens.shape) == (Source.GRID, 4, (12, 32))


def test_the_told_mask_comes_back_at_the_key_frame(make_model, clip):
    reader, masks = clip
    model = make_model()
    (found,) = propagate(model, FeatureStore(reader, model, Resources()), prompts_of([masks["a"]], 6))
    back, told = found.decode()[6], masks["a"][6]
    assert (back & told).sum() / (back | told).sum() > 0.8


def test_states_that_no_frame_will_read_are_freed(make_model, moving_squares, monkeypatch):
    pictures, masks = moving_squares(60)
    model = make_model()
    held = []
    real = propagation._forget

    def watched(model, states, coming):
        real(model, states, coming)
        held.append((len(states), sum("maskmem_features" in state for state in states.values())))

    monkeypatch.setattr(propagation, "_forget", watched)
    reader = ArrayReader(pictures, video_id="long", fps=8.0)
    propagate(model, FeatureStore(reader, model, Resources()), prompts_of(masks, 20))
    assert max(pointers for pointers, _ in held) <= 2 * 16
    assert max(memories for _, memories in held) <= 2 * 7


def test_no_prompts_are_no_tracks(make_model, clip):
    model = make_model()
    assert propagate(model, FeatureStore(clip[0], model, Resources()), []) == []


def test_a_model_whose_objects_exclude_each_other_is_refused(make_model, clip):
    reader, masks = clip
    model = make_model()
    model.non_overlap_masks_for_mem_enc = True
    with pytest.raises(CheckpointError, match="non_overlap_masks_for_mem_enc"):
        propagate(model, FeatureStore(reader, model, Resources()), prompts_of(masks.values(), 0))
