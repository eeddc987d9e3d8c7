import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import CheckpointError
from core.frames import ArrayReader, open_video
from core.replay import Replay
from core.types import Source
from proposals import mask_writer, memory_attention, sam2_tracker
from proposals.benchmark import parity
from proposals.compilation import BUCKETS
from proposals.features import FeatureStore
from proposals.mask_writer import video_masks
from proposals.memories import MemoryCohort
from proposals.prompts import MaskPrompt
from proposals.propagation import propagate
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources

OFFICIAL = "sam2.sam2_video_predictor.SAM2VideoPredictor"


def official(model, folder, mask, key):
    """The package's predictor, one object: video-size logits [T, H, W], pointers, scores."""
    found = parity.official(model, folder, mask, key)
    return found.logits, found.pointers, found.scores


@pytest.fixture
def write_jpegs(tmp_path):
    def write(frames):
        for i, picture in enumerate(frames):
            Image.fromarray(picture).save(tmp_path / f"{i:03d}.jpg", quality=95)
        return tmp_path

    return write


class Watched(Sam2Tracker):
    """A tracker that keeps what it answered: by the order of cohorts, steps by frame."""

    def prompt(self, maps, masks, moment):
        cohort, step = super().prompt(maps, masks, moment)
        self.answers = {**getattr(self, "answers", {}), id(cohort): {moment.frame: step}}
        return cohort, step

    def step(self, maps, cohorts, moment):
        steps = super().step(maps, cohorts, moment)
        for cohort, step in zip(cohorts, steps, strict=True):
            self.answers[id(cohort)][moment.frame] = step
        return steps

    def object(self, cohort, i):
        """Low-resolution logits [T, h, w], pointers and scores of one object in time order."""
        steps = [step for _, step in sorted(list(self.answers.values())[cohort].items())]
        return (
            torch.cat([step.logits[i] for step in steps]),
            torch.stack([step.pointer[i] for step in steps]),
            torch.stack([step.object_score[i] for step in steps]),
        )


def prompts_of(masks, key):
    return [MaskPrompt(key, mask[key], Source.GRID, score=0.8) for mask in masks]


def assert_equal(mine, want, size, tolerance=2e-5):
    """Logits at the video's size, pointers and scores of one object."""
    logits = torch.nn.functional.interpolate(mine[0][:, None], size, mode="bilinear", align_corners=False)[:, 0]
    for one, other in zip((logits, *mine[1:]), want, strict=True):
        assert (one - other).abs().max() < tolerance


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
    tracker = Watched(model)
    store = FeatureStore(open_video(folder, fps=8), tracker, Resources(encoder_batch=5))
    propagate(tracker, store, prompts_of(masks, key))
    assert store.passes == frames
    for i, mask in enumerate(masks):
        want = official(model, folder, mask[key], key)
        mine = tracker.object(0, i)
        assert_equal(mine, want, size)
        assert (want[0][np.arange(frames) != key] > 0).any(), "nothing was tracked: the comparison would be empty"
        ours = video_masks(mine[0][:, None], size)
        assert (ours != (want[0] > 0)).float().mean() < 1e-3


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("objects", [1, 2, 64])
def test_objects_born_on_different_frames_equal_the_packages_predictor(
    make_model, moving_squares, write_jpegs, narrow, objects
):
    pictures, masks = moving_squares(16, count=2)
    folder = write_jpegs(pictures)
    model = make_model(OFFICIAL)
    births = [(0, 0), (1, 3), (0, 4), (1, 15), (0, 3)]  # object, frame
    tracker = Watched(model, Resources(objects=objects), narrow=narrow)
    store = FeatureStore(open_video(folder, fps=8), tracker, Resources(encoder_batch=5))
    prompts = [MaskPrompt(key, masks[o, key], Source.GRID) for o, key in births]
    tracks = propagate(tracker, store, prompts)
    assert [track.prompt.frame for track in tracks] == [key for _, key in births]
    for (o, key), place in zip(births, [(0, 0), (1, 0), (2, 0), (3, 0), (1, 1)], strict=True):
        assert_equal(tracker.object(*place), official(model, folder, masks[o, key], key), (64, 64))


@pytest.mark.parametrize("limit", [64, 3])
def test_batches_split_and_padded_for_compilation_leave_every_object_its_own_result(
    make_model, moving_squares, write_jpegs, monkeypatch, limit
):
    """Without compiling: what is shown is that buckets, groups and cohorts are cut and joined in the right places."""
    monkeypatch.setattr(sam2_tracker, "compilable", lambda function, compiled: function)
    monkeypatch.setattr(memory_attention, "compilable", lambda function, compiled: function)
    pictures, masks = moving_squares(12, count=2)
    folder = write_jpegs(pictures)
    model = make_model(OFFICIAL)
    births = [(i % 2, 0) for i in range(5)] + [(1, 3)] * 3 + [(0, 4)] + [(1, 11), (0, 11)]
    tracker = Watched(model, Resources(objects=limit, compiled=True))
    seen = set()
    heads = tracker._heads
    tracker._heads = lambda x, *maps: seen.add(len(x)) or heads(x, *maps)
    propagate(tracker, FeatureStore(open_video(folder, fps=8), tracker, Resources()),
              [MaskPrompt(key, masks[o, key], Source.GRID) for o, key in births])  # fmt: skip
    assert seen <= set(BUCKETS)
    wanted = {birth: official(model, folder, masks[birth[0], birth[1]], birth[1]) for birth in set(births)}
    first = {0: 0, 3: 5, 4: 8, 11: 9}
    cohorts = list(first)
    for number, birth in enumerate(births):
        mine = tracker.object(cohorts.index(birth[1]), number - first[birth[1]])
        assert_equal(mine, wanted[birth], (64, 64))


def test_replayed_batches_equal_the_packages_predictor(make_model, moving_squares, write_jpegs):
    """What is captured does its work again on the same tensors, as a graph would."""
    pictures, masks = moving_squares(12, count=2)
    folder = write_jpegs(pictures)
    model = make_model(OFFICIAL)
    births = [(0, 0), (1, 3), (0, 4), (1, 11)]
    tracker = Watched(model)
    captured = []
    tracker._remember, tracker._heads = (
        Replay(function, 10**9, lambda work, pool: captured.append(work) or work)
        for function in (tracker._recollect, tracker._heads)
    )
    store = FeatureStore(open_video(folder, fps=8), tracker, Resources())
    for _ in range(2):  # shapes are captured when they come again
        tracker.answers = {}
        propagate(tracker, store, [MaskPrompt(key, masks[o, key], Source.GRID) for o, key in births])
    assert len(captured) > 10
    for number, (o, key) in enumerate(births):
        assert_equal(tracker.object(number, 0), official(model, folder, masks[o, key], key), (64, 64))


def test_the_comparison_can_fail(make_model, moving_squares, write_jpegs):
    pictures, masks = moving_squares(12)
    folder = write_jpegs(pictures)
    model = make_model(OFFICIAL)
    tracker = Watched(model)
    propagate(tracker, FeatureStore(open_video(folder, fps=8), tracker, Resources()), prompts_of(masks, 3))
    with pytest.raises(AssertionError):
        assert_equal(tracker.object(0, 0), official(model, folder, masks[1][4], 4), (64, 64), tolerance=1e-2)


def test_an_unseen_object_has_an_empty_mask_and_no_box(make_model, clip):
    reader, masks = clip
    model = make_model()
    with torch.no_grad():
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias -= 40.0
    tracker = Sam2Tracker(model)
    (found,) = propagate(tracker, FeatureStore(reader, tracker, Resources()), prompts_of([masks["a"]], 4))
    assert np.flatnonzero(found.present).tolist() == [4]
    assert np.isnan(found.boxes[[3, 5]]).all()
    assert found.object_score[4] == 10
    assert (found.object_score[[3, 5]] < 0).all()


@pytest.mark.parametrize("pixels", [1, 5 * 2 * 64 * 64, 2**30])
def test_tracks_hold_every_frame_in_time_order_however_masks_are_written(make_model, clip, monkeypatch, pixels):
    reader, masks = clip
    monkeypatch.setattr(mask_writer, "PIXELS", pixels)
    tracker = Watched(make_model())
    prompts = prompts_of(masks.values(), 4)
    calls = []
    tracks = propagate(tracker, FeatureStore(reader, tracker, Resources()), prompts, lambda: calls.append(1))
    assert len(calls) == 12
    for i, found in enumerate(tracks):
        logits, pointers, scores = tracker.object(0, i)
        np.testing.assert_array_equal(found.decode(), video_masks(logits[:, None], (64, 64)).numpy())
        np.testing.assert_allclose(found.tokens, pointers.numpy(), atol=2e-3)
        np.testing.assert_allclose(found.object_score, scores.numpy(), rtol=1e-6)
        assert found.predicted_iou[4] == np.float32(0.8)
        assert (found.source, found.prompt.frame, found.tokens.shape) == (Source.GRID, 4, (12, 32))


def test_the_told_mask_comes_back_at_the_key_frame(make_model, clip):
    reader, masks = clip
    tracker = Sam2Tracker(make_model())
    (found,) = propagate(tracker, FeatureStore(reader, tracker, Resources()), prompts_of([masks["a"]], 6))
    back, told = found.decode()[6], masks["a"][6]
    assert (back & told).sum() / (back | told).sum() > 0.8


def test_states_that_no_frame_will_read_are_freed(make_model, moving_squares, monkeypatch):
    pictures, masks = moving_squares(60)
    held = []
    real = MemoryCohort.forget

    def watched(self, coming):
        real(self, coming)
        held.append((len(self.found), sum(each.memory is not None for each in self.found.values())))

    monkeypatch.setattr(MemoryCohort, "forget", watched)
    tracker = Sam2Tracker(make_model())
    reader = ArrayReader(pictures, video_id="long", fps=8.0)
    propagate(tracker, FeatureStore(reader, tracker, Resources()), [p for k in (0, 20) for p in prompts_of(masks, k)])
    assert max(pointers for pointers, _ in held) <= 2 * 16
    assert max(memories for _, memories in held) <= 2 * 7
    assert (0, 0) in held  # objects of frame 0 are done after the sweep forward


def test_no_prompts_are_no_tracks(make_model, clip):
    tracker = Sam2Tracker(make_model())
    assert propagate(tracker, FeatureStore(clip[0], tracker, Resources()), []) == []


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda m: setattr(m, "non_overlap_masks_for_mem_enc", True), "non_overlap_masks_for_mem_enc"),
        (lambda m: setattr(m, "use_obj_ptrs_in_encoder", False), "object pointers"),
        (lambda m: setattr(m.memory_attention.layers[0], "pos_enc_at_attn", True), "pos_enc_at_attn"),
        (lambda m: setattr(m.memory_attention.layers[0].self_attn, "num_heads", 2), "one rotary head"),
        (lambda m: setattr(m.memory_attention.layers[0], "activation_str", "gelu"), "relu"),
        (lambda m: setattr(m.memory_attention, "batch_first", False), "batch first"),
        (lambda m: setattr(m, "use_high_res_features_in_sam", False), "use_high_res_features_in_sam"),
    ],
)
def test_models_that_the_engine_does_not_describe_are_refused_by_name(make_model, break_it, words):
    model = make_model()
    break_it(model)
    with pytest.raises(CheckpointError, match=words):
        Sam2Tracker(model)
