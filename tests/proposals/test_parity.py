"""Ours against the package's predictor with one object at a time, on objects that are there, hide and come back.

Logits within 1e-4 in float32, memories included, and to the bit in bfloat16 on a CPU with one object and one frame at a
time; at least 90 % of the compared masks cover 1 to 90 % of the frame, or they prove nothing.
"""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from core.frames import open_video
from core.types import Source
from proposals import features, sam2_tracker
from proposals.benchmark.parity import AWAY, BIRTHS, FRAMES, SAME, SIDE, disc_scene
from proposals.benchmark.stage import follow_memory, raise_objects, settle_masks
from proposals.benchmark.ways import as_predictor, quiet_progress
from proposals.checkpoints import build_sam2, load_sam2
from proposals.features import FeatureStore
from proposals.prompts import MaskPrompt
from proposals.propagation import propagate
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import EXACT, Resources
from tests.proposals.test_propagation import Watched, official

WEIGHTS = Path(__file__).parents[2] / "miniature" / "weights" / "sam2.safetensors"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A folder of JPEGs, and the visible masks [O, T, H, W] of three discs: the first is away for a while."""
    folder = tmp_path_factory.mktemp("scene")
    return folder, disc_scene(folder)


@pytest.fixture(scope="module", params=["miniature", "random"])
def model(request, scene):
    """The miniature, or the same with random weights that see objects."""
    quiet_progress()
    if request.param == "miniature":
        return as_predictor(load_sam2(str(WEIGHTS)).model)
    torch.manual_seed(1)
    model = build_sam2(WEIGHTS.with_suffix(".yaml")).eval().requires_grad_(False)
    raise_objects(model)
    follow_memory(model)
    settle_masks(model, scene[0], [MaskPrompt(0, scene[1][0, 0], Source.GRID)], share=0.2)
    return as_predictor(model)


class _Float32(ModuleType):
    """torch with float32 for bfloat16: the predictor rounds memories to bfloat16 even on a CPU, and a difference of
    1e-7 that crosses a rounding edge grows to 1e-3 in the logits of some frame."""

    def __getattr__(self, name):
        return torch.float32 if name == "bfloat16" else getattr(torch, name)


@pytest.fixture
def exact(monkeypatch):
    """Memories kept in float32, by the package and by us."""
    keep_exact(monkeypatch)


def keep_exact(monkeypatch):
    for module in ("sam2.sam2_video_predictor", "proposals.sam2_heads", "proposals.sam2_tracker"):
        monkeypatch.setattr(f"{module}.torch", _Float32("torch"))


@pytest.fixture(scope="module")
def wanted(model, scene):
    """The package's logits, pointers and scores of every birth, with memories in float32."""
    folder, masks = scene
    with pytest.MonkeyPatch.context() as monkeypatch:
        keep_exact(monkeypatch)
        return [official(model, folder, masks[o, key], key) for o, key in BIRTHS]


def compare(model, scene, wanted, births=BIRTHS, resources=None, **options):
    """The largest difference of logits, pointers and scores in every frame of every birth, [births, T]."""
    folder, masks = scene
    resources = resources or Resources()
    tracker = Watched(model, resources, **options)
    store = FeatureStore(open_video(folder, fps=8), tracker, resources)
    propagate(tracker, store, [MaskPrompt(key, masks[o, key], Source.GRID) for o, key in births])
    assert store.passes == FRAMES
    rows = []
    places = [(0, 0), (1, 0), (3, 0), (0, 1), (2, 0)] if births == BIRTHS else [(0, 0)]  # by birth
    for place, want in zip(places, wanted, strict=True):
        low, *rest = tracker.object(*place)
        fine = torch.nn.functional.interpolate(low[:, None], (SIDE, SIDE), mode="bilinear", align_corners=False)[:, 0]
        pairs = zip((fine, *rest), want, strict=True)
        rows.append(torch.stack([(one - other).abs().reshape(FRAMES, -1).amax(1) for one, other in pairs]).amax(0))
    return torch.stack(rows)


@pytest.mark.parametrize(("narrow", "plain"), [(False, True), (False, False), (True, False)])
def test_logits_and_tokens_equal_the_packages_forward_backward_and_hidden(exact, model, scene, wanted, narrow, plain):
    assert compare(model, scene, wanted, narrow=narrow, plain=plain).max() < 1e-4


def test_with_memories_in_bfloat16_they_equal_but_for_the_rounding(model, scene):
    folder, masks = scene
    (o, key) = BIRTHS[1]
    differences = compare(model, scene, [official(model, folder, masks[o, key], key)], BIRTHS[1:2])
    # Sums in another order round a few memories the other way, by 4e-3 of their value: how many depends on the weights
    # (a median of 2e-4 was seen). Without that rounding all agree within 1e-4, as the test above says.
    assert differences.median() < 1e-3
    assert differences.max() < 1e-2


def test_in_bfloat16_one_object_and_one_frame_at_a_time_equal_the_packages_to_the_bit(model, scene, monkeypatch):
    """Wherever ours rounded, laid out or summed otherwise, candidate masks that tie would be chosen otherwise."""
    folder, masks = scene
    half = torch.autocast("cpu", dtype=torch.bfloat16)
    for module in (features, sam2_tracker):
        monkeypatch.setattr(module, "precision", lambda device: half)
    with half:
        wanted = [official(model, folder, masks[o, key], key) for o, key in BIRTHS]
    assert compare(model, scene, wanted, resources=EXACT, half=True).max() == 0


def test_the_compared_masks_are_there_and_not_the_whole_frame(wanted):
    share = torch.cat([(logits > 0).float().mean(dim=(1, 2)) for logits, _, _ in wanted])
    shown = torch.cat([scores > 0 for _, _, scores in wanted])
    inside = (share >= 0.01) & (share <= 0.9)
    assert inside[shown].float().mean() >= 0.9
    assert shown.float().mean() > 0.7


def test_an_object_hides_and_returns(model, wanted, request):
    if "miniature" not in request.node.callspec.id:
        pytest.skip("random weights do not miss an object")
    scores = wanted[0][2]
    assert (scores[list(AWAY)] < 0).all()
    assert (scores[[*range(AWAY[0]), *range(AWAY[-1] + 2, FRAMES)]] > 0).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("resources", "iou", "cosine"),
    [
        # As the package does it: on a CPU every bit is the package's, and on an H200 both were 1.0000.
        (EXACT, {"miniature": 0.99, "random": 0.99}, 0.999),
        # Frames are encoded in eights, in sums of another order: how many candidates tie depends on the weights. The
        # miniature's former ones kept .9996, these keep .9979.
        (Resources(objects=1), {"miniature": 0.99, "random": 0.98}, 0.997),
        # Products of many objects are summed in another order, which decides between candidates that tie.
        (Resources(), {"miniature": 0.99, "random": 0.98}, 0.98),
        (Resources(compiled=True), {"miniature": 0.99, "random": 0.98}, 0.98),
        (Resources(compiled=True, replayed=True), {"miniature": 0.99, "random": 0.98}, 0.98),
    ],
)
def test_in_bfloat16_masks_and_tokens_stay_with_the_packages(
    model, scene, request, record_property, resources, iou, cosine
):
    folder, masks = scene
    on_gpu = model.to("cuda")
    tracker = Sam2Tracker(on_gpu, resources)
    store = FeatureStore(open_video(folder, fps=8), tracker, resources)
    tracks = propagate(tracker, store, [MaskPrompt(key, masks[o, key], Source.GRID) for o, key in BIRTHS])
    ious, cosines = [], []
    for track, (o, key) in zip(tracks, BIRTHS, strict=True):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            logits, pointers, _ = official(on_gpu, folder, masks[o, key], key)
        mine, want = track.decode(), (logits > 0).cpu().numpy()
        either = (mine | want).sum(axis=(1, 2))
        ious.append(np.where(either == 0, 1, (mine & want).sum(axis=(1, 2)) / np.maximum(either, 1)))
        tokens = torch.from_numpy(track.tokens).float()
        cosines.append(torch.nn.functional.cosine_similarity(tokens, pointers.float().cpu(), dim=1))
    model.to("cpu")
    kind = "miniature" if "miniature" in request.node.callspec.id else "random"
    every = torch.cat(cosines)
    record_property("mask IoU", round(float(np.concatenate(ious).mean()), 5))  # to be read with --junitxml
    record_property("token cosine", round(float(every.mean()), 5))
    assert np.concatenate(ious).mean() >= iou[kind]
    assert every.mean() >= cosine
    assert every[every >= SAME].mean() >= 0.999  # where both chose the same candidate mask
