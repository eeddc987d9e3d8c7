"""EdgeTAM against transformers' own session with one object at a time: 12 frames, forward, backward, mixed births."""

import json
import shutil

import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from transformers import (
    EdgeTamVideoConfig,
    EdgeTamVideoMaskDecoderConfig,
    EdgeTamVideoModel,
    EdgeTamVideoPromptEncoderConfig,
    EdgeTamVisionConfig,
    TimmWrapperConfig,
)
from transformers.models.edgetam_video.modeling_edgetam_video import EdgeTamVideoInferenceSession

from core import rle
from core.errors import CheckpointError, InputError
from core.frames import ArrayReader
from core.types import Source
from proposals.any_tracker import load_tracker
from proposals.clicks import Clicks, masks_of
from proposals.edgetam import load_edgetam, without_defaults
from proposals.edgetam_image import EdgeTamImage
from proposals.edgetam_tracker import EdgeTamTracker
from proposals.features import FeatureStore, normalise
from proposals.generate import propose
from proposals.importer import Masklet, import_tracks
from proposals.prompts import MaskPrompt
from proposals.propagation import propagate
from proposals.settings import GridSettings, ProposalSettings, Resources

SIDE, FRAMES = 64, 12
BIRTHS = ((0, 0), (1, 5), (1, 11), (0, 5))  # object, frame: forward, both ways, backward, two of one frame


def make_config(vision, released):
    return EdgeTamVideoConfig(
        vision_config=vision,
        prompt_encoder_config=EdgeTamVideoPromptEncoderConfig(hidden_size=128, image_size=SIDE),
        mask_decoder_config=EdgeTamVideoMaskDecoderConfig(hidden_size=128, mlp_dim=64, iou_head_hidden_dim=32),
        image_size=SIDE, memory_attention_hidden_size=128, memory_attention_mlp_hidden_size=64,
        memory_attention_rope_feat_sizes=[4, 4], memory_attention_rope_k_sizes=[2, 2],
        perceiver_resampler_num_latents=8, perceiver_resampler_num_latents_2d=4,
        perceiver_resampler_mlp_intermediate_size=32, memory_encoder_hidden_size=128, mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128, memory_fuser_intermediate_dim=32,
        enable_temporal_pos_encoding_for_object_pointers=not released,
        enable_occlusion_spatial_embedding=not released,
        num_maskmem=7 if released else 4,  # fewer than frames, so that memories and pointers are forgotten
        max_object_pointers_in_encoder=16 if released else 5,
    )  # fmt: skip


def make_model(*, released, presence=6.0):
    """A random EdgeTAM of 64 pixels that sees objects and relies on memory; `released`: the switches of the released
    checkpoint (no time codes of pointers, no mark of absence in memory); `presence` is added to the object score."""
    torch.manual_seed(0)
    backbone = TimmWrapperConfig(
        architecture="test_resnet", model_args={"in_chans": 3, "features_only": True, "out_indices": [1, 2, 3, 4]}
    )
    vision = EdgeTamVisionConfig(
        backbone_config=backbone, backbone_channel_list=[96, 192, 48, 32], fpn_hidden_size=128,
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
    )  # fmt: skip
    with without_defaults():
        config = make_config(vision, released)
        model = EdgeTamVideoModel(config).eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        if weight.ndim > 1 and "backbone" not in name:
            # transformers starts so small that all masks would be flat, and what is remembered would not matter
            weight.normal_(std=weight[0].numel() ** -0.5)
    for layer in model.memory_attention.layers:
        layer.cross_attn_image.q_proj.weight *= 2
        layer.cross_attn_image.o_proj.weight *= 2
    for code in (model.memory_temporal_positional_encoding, model.no_memory_embedding, model.no_object_pointer):
        code.normal_()
    if not released:
        model.occlusion_spatial_embedding_parameter.normal_()
    for layer in model.memory_encoder.memory_fuser.layers:
        layer.scale.fill_(0.5)
    model.mask_decoder.pred_obj_score_head.proj_out.bias += presence
    return model


@pytest.fixture(scope="module", params=[True, False], ids=["released", "all switches"])
def model(request):
    return make_model(released=request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model in transformers' format on disk."""
    place = tmp_path_factory.mktemp("models") / "tiny-edgetam"
    model = make_model(released=True)
    place.mkdir()
    (place / "config.json").write_text(json.dumps(model.config.to_dict()))
    save_file(model.state_dict(), place / "model.safetensors", metadata={"format": "pt"})
    return place


class Watched(EdgeTamTracker):
    """Keeps what it answered: by cohort, read-outs by frame."""

    def __init__(self, *words):
        super().__init__(*words)
        self.answers = {}

    def prompt(self, maps, masks, moment):
        cohort, step = super().prompt(maps, masks, moment)
        self.answers[id(cohort)] = {moment.frame: step}
        return cohort, step

    def step(self, maps, cohorts, moment):
        steps = super().step(maps, cohorts, moment)
        for cohort, step in zip(cohorts, steps, strict=True):
            self.answers[id(cohort)][moment.frame] = step
        return steps


def assert_equal(tracker, cohort, i, want):
    """Logits, pointers, scores and predicted IoU of one object."""
    steps = [list(tracker.answers.values())[cohort][t] for t in range(FRAMES)]
    mine = (
        torch.stack([step.logits[i, 0] for step in steps]),
        torch.stack([step.pointer[i] for step in steps]),
        torch.stack([step.object_score[i] for step in steps]),
        torch.stack([step.predicted_iou[i] for step in steps]),
    )
    for one, other in zip(mine, want, strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() < 1e-4


def official(model, frames, mask, key, monkeypatch):
    """transformers' session on one object: low-resolution logits [T, h, w], pointers, scores, predicted IoU [T]."""
    video = normalise(frames, torch.device("cpu"))
    session = EdgeTamVideoInferenceSession(video=video, video_height=SIDE, video_width=SIDE, dtype=torch.float32)
    session.add_mask_inputs(session.obj_id_to_idx(1), key, torch.from_numpy(mask)[None, None].float())
    session.obj_with_new_inputs = [1]
    qualities, forward = [], model._single_frame_forward

    def watched(**words):
        out = forward(**words)
        qualities.append(float(out.iou_scores.max()))
        return out

    monkeypatch.setattr(model, "_single_frame_forward", watched)
    model(session, frame_idx=key)
    qualities.clear()
    order = []
    for reverse in (False, True):
        found = model.propagate_in_video_iterator(session, start_frame_idx=key, reverse=reverse)
        order += [out.frame_idx for out in found if out.frame_idx != key]
    monkeypatch.undo()
    held = session.output_dict_per_obj[0]
    every = {**held["non_cond_frame_outputs"], **held["cond_frame_outputs"]}
    iou = {key: 1.0, **dict(zip(order, qualities, strict=True))}
    each = [every[t] for t in range(FRAMES)]
    return (
        torch.stack([out["pred_masks"].reshape(SIDE // 4, SIDE // 4) for out in each]),
        torch.stack([out["object_pointer"].flatten() for out in each]),
        torch.stack([out["object_score_logits"].flatten()[0] for out in each]),
        torch.tensor([iou[t] for t in range(FRAMES)]),
    )


@pytest.fixture(scope="module")
def wanted(model, moving_squares):
    frames, masks = moving_squares(FRAMES)
    with pytest.MonkeyPatch.context() as patch:
        return [official(model, frames, masks[o, key], key, patch) for o, key in BIRTHS]


@pytest.mark.parametrize("together", [64, 1])
def test_logits_pointers_scores_and_quality_equal_transformers_one_object_at_a_time(
    model, wanted, moving_squares, together
):
    frames, masks = moving_squares(FRAMES)
    tracker = Watched(model, Resources(objects=together))
    store = FeatureStore(ArrayReader(frames, video_id="clip", fps=8), tracker, Resources())
    propagate(tracker, store, [MaskPrompt(key, masks[o, key], Source.GRID) for o, key in BIRTHS])
    assert store.passes == FRAMES
    places = [(0, 0), (1, 0), (2, 0), (1, 1)]  # of each birth: cohort, object
    for (cohort, i), want in zip(places, wanted, strict=True):
        assert_equal(tracker, cohort, i, want)


def test_the_compared_masks_are_there_and_not_the_whole_frame_and_differ_by_object(wanted):
    share = torch.cat([(logits > 0).float().mean(dim=(1, 2)) for logits, _, _, _ in wanted])
    assert ((share >= 0.01) & (share <= 0.9)).float().mean() >= 0.9
    assert torch.cat([scores > 0 for _, _, scores, _ in wanted]).float().mean() >= 0.9
    assert (wanted[1][0][8] - wanted[3][0][8]).abs().max() > 0.1  # one frame, two objects: memory matters


def test_absence_equals_transformers_in_logits_pointers_and_what_is_remembered(moving_squares, monkeypatch):
    model = make_model(released=False, presence=-0.1)
    frames, masks = moving_squares(FRAMES)
    want = official(model, frames, masks[0, 5], 5, monkeypatch)
    assert 0.2 < (want[2] > 0).float().mean() < 0.8
    tracker = Watched(model)
    store = FeatureStore(ArrayReader(frames, video_id="clip", fps=8), tracker, Resources())
    propagate(tracker, store, [MaskPrompt(5, masks[0, 5], Source.GRID)])
    assert_equal(tracker, 0, 0, want)


def test_points_and_boxes_give_the_masks_of_the_packages_image_pass(model, moving_squares):
    frames, _ = moving_squares(1)
    pixels = normalise(frames, torch.device("cpu"))
    side = EdgeTamImage(model)
    tracker = EdgeTamTracker(model)
    for clicks, words in (
        (Clicks(((12.0, 16.0),), (1,)), {"input_points": torch.tensor([[[[12.0, 16.0]]]]), "multimask_output": True}),
        (Clicks.of_box((4, 6, 24, 26)), {"input_boxes": torch.tensor([[[4.0, 6.0, 24.0, 26.0]]]),
                                         "multimask_output": False}),
    ):  # fmt: skip
        want = model._single_frame_forward(pixel_values=pixels, **words)
        both = masks_of(side, tracker.encode(frames), (SIDE, SIDE), [clicks, clicks])
        fine = torch.nn.functional.interpolate(want.pred_masks, (SIDE, SIDE), mode="bilinear")[0, 0] > 0
        assert 0.01 < fine.float().mean() < 0.99
        for meant in both:
            assert np.array_equal(meant.mask, fine.numpy())
            assert meant.score == pytest.approx(float(want.iou_scores.max()), abs=1e-5)


def test_a_folder_of_transformers_loads_strictly_and_proposes_by_grid_and_from_masks(folder, moving_squares):
    tracker = load_tracker(str(folder))
    assert (tracker.name, tracker.image_size, tracker.token_width) == ("tiny-edgetam", SIDE, 128)
    assert tracker.sha256 == load_edgetam(str(folder)).sha256
    frames, masks = moving_squares(3)
    settings = ProposalSettings(
        (Source.GRID, Source.GROUND_TRUTH), GridSettings(points_per_side=2, pred_iou_thresh=0, stability_score_thresh=0)
    )
    found = propose(ArrayReader(frames, video_id="clip", fps=8), tracker, settings, {"a": masks[0]})
    assert {track.source for track in found.tracks} == {Source.GRID, Source.GROUND_TRUTH}
    assert found.tokens().shape[1:] == (3, 128)
    assert found.provenance["tracker_sha256"] == tracker.sha256
    told = found.tracks[-1].decode()[found.tracks[-1].prompt.frame], masks[0, found.tracks[-1].prompt.frame]
    assert (told[0] & told[1]).sum() / (told[0] | told[1]).sum() > 0.8


def test_outside_masks_are_imported_with_edgetams_tokens(folder, moving_squares):
    tracker = load_edgetam(str(folder))
    frames, masks = moving_squares(3)
    masks[0, 1] = False
    reader = ArrayReader(frames, video_id="clip", fps=8)
    (track,) = import_tracks(reader, tracker, [Masklet("a", rle.encode(masks[0]))]).tracks
    assert track.object_score.tolist() == [10, -10, 10]
    absent = tracker.model.video_model.no_object_pointer[0].numpy().astype(np.float16)
    assert np.array_equal(track.tokens[1], absent)
    assert not np.array_equal(track.tokens[0], track.tokens[2])


@pytest.fixture
def broken(folder, tmp_path):
    """A copy of the folder, for a test to harm: its place and its configuration."""
    place = shutil.copytree(folder, tmp_path / "broken")
    return place, json.loads((place / "config.json").read_text())


def test_other_weights_are_refused_by_the_names_of_their_keys(broken):
    place, _ = broken
    weights = load_file(place / "model.safetensors")
    del weights["mask_downsample.weight"]
    save_file({**weights, "stranger": torch.zeros(1)}, place / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 missing \(mask_downsample.weight\); 1 unexpected \(stranger\)"):
        load_edgetam(str(place))


def test_a_cut_file_of_weights_is_refused(broken):
    place, _ = broken
    whole = (place / "model.safetensors").read_bytes()
    (place / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="expected an EdgeTAM that transformers reads"):
        load_edgetam(str(place))


def test_another_model_and_a_folder_without_weights_are_refused_by_name(broken):
    place, config = broken
    (place / "config.json").write_text(json.dumps({**config, "model_type": "sam3_tracker_video"}))
    with pytest.raises(CheckpointError, match="model_type edgetam_video, got 'sam3_tracker_video'"):
        load_edgetam(str(place))
    (place / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"got no model\.safetensors"):
        load_edgetam(str(place))


def test_a_hub_id_that_is_no_sam2_is_sought_as_an_edgetam(monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", absent)
    with pytest.raises(CheckpointError, match=r"'owner/name': expected an EdgeTAM such as .*without a network"):
        load_tracker("owner/name")


def absent(*_, **__):
    raise LocalEntryNotFoundError("none")


@pytest.mark.parametrize("spec", ["nothing", "./weights.pt", "models/none.safetensors", "/none/there"])
def test_other_names_are_judged_as_sam2s(spec):
    with pytest.raises(CheckpointError, match=r"expected a (weight file|\.pt)"):
        load_tracker(spec)


def test_compilation_and_models_of_another_build_are_refused(model, monkeypatch):
    with pytest.raises(InputError, match="expected no compilation"):
        EdgeTamTracker(model, Resources(compiled=True))
    monkeypatch.setattr(model, "num_maskmem", 0)
    with pytest.raises(CheckpointError, match="0 memories of 64"):
        EdgeTamTracker(model)
    monkeypatch.setattr(model, "backbone_feature_sizes", [[8, 8], [4, 4], [2, 2]])
    with pytest.raises(CheckpointError, match="maps of sizes"):
        EdgeTamImage(model)
