from dataclasses import replace

import numpy as np
import pytest
import torch
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from sam2.utils.transforms import SAM2Transforms

from core.types import Source
from proposals import grid
from proposals.features import FeatureStore
from proposals.grid import GridPrompter, without_parts
from proposals.prompts import MaskPrompt
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import GridSettings, Resources

LOOSE = {"points_per_side": 4, "pred_iou_thresh": 0.3, "stability_score_thresh": 0.3, "box_nms_thresh": 1.0}
LOOSE |= {"stability_score_offset": 0.02}  # random weights give small logits that fill the frame
ALL = GridSettings(**LOOSE, part_overlap=1.0, max_area=1.0)


def packages_own(model, image):
    """The package's generator as it comes, told only the sizes of this model's feature maps."""
    generator = SAM2AutomaticMaskGenerator(model, **LOOSE)
    generator.predictor._bb_feat_sizes = [(16, 16), (8, 8), (4, 4)]
    return sorted(generator.generate(image), key=lambda mask: -mask["area"])


def prompts_of(model, settings, image, folded, points=5):
    """Prompts by the folded decoder, as on a CPU, or by the package's, as on a GPU."""
    prompter = GridPrompter(model, settings, Resources(points=points))
    assert prompter._predictor.folded is not None
    if not folded:
        prompter._predictor.folded = None
    return prompter.prompts(image, 3)


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("points", [64, 5])
@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_masks_equal_those_of_the_packages_generator(make_model, moving_squares, size, points, folded):
    image = moving_squares(1, size)[0][0]
    model = make_model()
    prompts = prompts_of(model, ALL, image, folded, points)
    want = packages_own(model, image)
    assert len(want) > 1
    assert len(prompts) == len(want)
    for prompt, mask in zip(prompts, want, strict=True):
        np.testing.assert_array_equal(prompt.mask, mask["segmentation"])
        assert prompt.score == pytest.approx(min(mask["predicted_iou"], 1), abs=1e-6)
        assert prompt.stability == pytest.approx(mask["stability_score"], abs=1e-6)
        assert (prompt.frame, prompt.source) == (3, Source.GRID)


@pytest.mark.parametrize("folded", [True, False])
def test_masks_of_low_predicted_iou_are_not_enlarged(make_model, moving_squares, monkeypatch, folded):
    image, model = moving_squares(1)[0][0], make_model()
    enlarged, enlarge = [], SAM2Transforms.postprocess_masks
    monkeypatch.setattr(
        SAM2Transforms,
        "postprocess_masks",
        lambda self, masks, size: enlarged.append(len(masks)) or enlarge(self, masks, size),
    )
    parts, look = [], grid._Predictor.look
    monkeypatch.setattr(grid._Predictor, "look", lambda *a: parts.append((found := look(*a))[1]) or found)
    scores = [prompt.score for prompt in prompts_of(model, ALL, image, folded)]
    every = list(parts)
    assert sum(enlarged[:-1]) == 3 * 16  # three masks a point; last those that are left
    limit = sorted(scores)[len(scores) // 2]
    enlarged.clear()
    left = prompts_of(model, replace(ALL, pred_iou_thresh=limit), image, folded)
    assert enlarged[:-1] == [int((part > limit).sum()) for part in every]
    assert [prompt.score for prompt in left] == [score for score in scores if score > limit]
    assert enlarged[-1] == len(left)
    assert len(left) <= sum(enlarged[:-1]) < 3 * 16


def test_lent_features_give_the_same_masks_without_another_pass(make_model, clip, monkeypatch):
    reader, _ = clip
    model = make_model()
    store = FeatureStore(reader, Sam2Tracker(model), Resources())
    image, features = reader.read([4])[0], store[4]
    prompter = GridPrompter(model, ALL, Resources())
    want = prompter.prompts(image, 4)
    monkeypatch.setattr(model, "forward_image", lambda images: pytest.fail("encoded again"))
    lent = prompter.prompts(image, 4, features)
    assert len(lent) == len(want) > 1
    assert all((a.mask == b.mask).all() for a, b in zip(lent, want, strict=True))


def test_features_of_a_resized_frame_are_not_used(make_model, moving_squares):
    image = moving_squares(1, (48, 80))[0][0]
    model = make_model()
    prompter = GridPrompter(model, ALL, Resources())
    assert len(prompter.prompts(image, 0, features=None)) == len(prompter.prompts(image, 0, features="never looked at"))


def test_scenery_is_dropped_before_parts_are_looked_for(make_model, moving_squares):
    image = moving_squares(1)[0][0]
    model = make_model()
    areas = [prompt.area for prompt in GridPrompter(model, ALL, Resources()).prompts(image, 0)]
    settings = GridSettings(**LOOSE, part_overlap=1.0, max_area=(areas[0] - 0.5) / image[..., 0].size)
    kept = [prompt.area for prompt in GridPrompter(model, settings, Resources()).prompts(image, 0)]
    assert kept == [area for area in areas if area < areas[0]]


def test_nothing_found_is_no_prompts(make_model, moving_squares):
    image = moving_squares(1)[0][0]
    strict = GridSettings(points_per_side=2, pred_iou_thresh=1.0)
    assert GridPrompter(make_model(), strict, Resources()).prompts(image, 0) == []


def test_autocast_is_off_on_the_cpu(make_model, moving_squares):
    prompter = GridPrompter(make_model(), ALL, Resources())
    prompter.prompts(moving_squares(1)[0][0], 0)
    assert not torch.is_autocast_enabled("cpu")


def box(y, x, height, width):
    mask = np.zeros((20, 20), dtype=bool)
    mask[y : y + height, x : x + width] = True
    return MaskPrompt(0, mask, Source.GRID)


@pytest.mark.parametrize(
    ("boxes", "kept"),
    [
        ([box(0, 0, 10, 10), box(2, 2, 4, 4)], [0]),  # wholly inside
        ([box(0, 0, 10, 10), box(3, 0, 10, 9)], [0, 1]),  # exactly 0.7 inside: not more
        ([box(0, 0, 10, 10), box(2, 0, 10, 9)], [0]),  # 0.8 inside
        ([box(0, 0, 10, 10), box(12, 12, 5, 5)], [0, 1]),
        ([box(0, 0, 10, 10), box(0, 0, 10, 10)], [0]),  # twins: the first stays
        # The middle one is a part of the first (0.75), the last a part of the middle one alone: parts mark nothing.
        ([box(0, 0, 10, 16), box(4, 0, 8, 16), box(10, 0, 2, 16)], [0, 2]),
        ([], []),
    ],
)
def test_parts_of_larger_masks_are_dropped(boxes, kept):
    assert [id(prompt) for prompt in without_parts(boxes, 0.7)] == [id(boxes[i]) for i in kept]


def test_the_packages_own_deprecations_do_not_reach_the_user(make_model, recwarn):
    GridPrompter(make_model(), ALL, Resources())
    assert [str(w.message) for w in recwarn] == []
