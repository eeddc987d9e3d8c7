import numpy as np
import pytest
import torch
from sam2.sam2_image_predictor import SAM2ImagePredictor

from proposals.clicks import Clicks, masks_of


@pytest.fixture(scope="module")
def model(make_model):
    return make_model()


@pytest.fixture(scope="module")
def scene(model, moving_squares):
    """A frame of the model's own size, its features, and the package's predictor on it."""
    frames, _ = moving_squares(1)
    predictor = SAM2ImagePredictor(model)
    predictor._bb_feat_sizes = [(16, 16), (8, 8), (4, 4)]  # of a 64-pixel model
    predictor.set_image(frames[0])
    fine, coarse = predictor._features["high_res_feats"], predictor._features["image_embed"]
    return (*fine, coarse - model.no_mem_embed.view(1, -1, 1, 1)), predictor


BOXES = [(6.0, 4.0, 26.0, 24.0), (30.5, 32.25, 60.0, 50.0)]


def test_boxes_mean_what_they_mean_to_the_package(model, scene):
    maps, predictor = scene
    meant = masks_of(model, maps, (64, 64), [Clicks.of_box(box) for box in BOXES])
    for box, one in zip(BOXES, meant, strict=True):
        masks, scores, _ = predictor.predict(box=np.array(box), multimask_output=False)
        np.testing.assert_array_equal(one.mask, masks[0] > 0)
        assert one.score == pytest.approx(float(scores[0]), abs=1e-5)
    assert any(one.mask.any() for one in meant)


@pytest.mark.parametrize(("points", "labels"), [(((16.0, 14.0),), (1,)), (((16.0, 14.0), (40.0, 40.0)), (1, 0))])
def test_points_mean_what_they_mean_to_the_package(model, scene, points, labels):
    maps, predictor = scene
    (one,) = masks_of(model, maps, (64, 64), [Clicks(points, labels)])
    masks, scores, _ = predictor.predict(np.array(points), np.array(labels), multimask_output=len(points) == 1)
    np.testing.assert_array_equal(one.mask, masks[scores.argmax()] > 0)
    assert one.score == pytest.approx(float(scores.max()), abs=1e-5)


def test_pixels_are_those_of_the_frame_whatever_its_size(model, scene):
    maps, _ = scene
    (small,) = masks_of(model, maps, (64, 64), [Clicks.of_box(BOXES[0])])
    wide = tuple(v * s for v, s in zip(BOXES[0], (2, 3, 2, 3), strict=True))
    (large,) = masks_of(model, maps, (192, 128), [Clicks.of_box(wide)])
    assert large.mask.shape == (192, 128)
    assert large.score == pytest.approx(small.score, abs=1e-5)
    assert large.mask.mean() == pytest.approx(small.mask.mean(), abs=0.02)


def test_stability_is_the_share_of_the_low_threshold_that_the_high_one_keeps(model, scene, monkeypatch):
    logits = torch.tensor([[[2.0, 0.5, -0.5, -2.0]]])
    monkeypatch.setattr("proposals.clicks._decode", lambda *_: (logits, torch.tensor([0.4])))
    (one,) = masks_of(model, (logits,), (1, 4), [Clicks.of_box(BOXES[0])])
    assert one.stability == pytest.approx(1 / 3)
    assert one.mask.tolist() == [[True, True, False, False]]


def test_no_clicks_mean_nothing(model, scene):
    assert masks_of(model, scene[0], (64, 64), []) == []
