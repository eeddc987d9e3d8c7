import numpy as np
import pytest
import torch
from PIL import Image

from proposals.features import FeatureStore, normalise
from proposals.settings import Resources


@pytest.mark.parametrize("batch", [1, 5, 12, 50])
def test_every_frame_is_encoded_once_whatever_the_batch(make_model, clip, batch):
    reader, _ = clip
    model = make_model()
    store = FeatureStore(reader, model, Resources(encoder_batch=batch))
    for index in [3, 0, 11, 3, *range(12), 5]:
        assert store[index].maps[-1].shape == (1, 32, 4, 4)
    assert store.passes == 12


def test_features_belong_to_their_frame(make_model, clip):
    reader, _ = clip
    model = make_model()
    store = FeatureStore(reader, model, Resources(encoder_batch=5))
    with torch.inference_mode():
        alone = model.forward_image(normalise(reader.read([7]), 64, torch.device("cpu")))
    for mine, want in zip(store[7].maps, alone["backbone_fpn"], strict=True):
        torch.testing.assert_close(mine, want, atol=1e-5, rtol=1e-5)
    for mine, want in zip(store[7].positions, alone["vision_pos_enc"], strict=True):
        torch.testing.assert_close(mine, want)


def test_over_the_budget_frames_are_encoded_again(make_model, clip):
    reader, _ = clip
    store = FeatureStore(reader, make_model(), Resources(encoder_batch=4, feature_bytes=1))
    for index in (0, 1, 4, 0):
        store[index]
    assert store.passes == 12


def test_a_budget_for_two_batches_keeps_the_two_last_used(make_model, clip):
    reader, _ = clip
    model = make_model()
    probe = FeatureStore(reader, model, Resources(encoder_batch=4))
    size = 4 * sum(level.numel() * 4 for level in probe[0].maps)
    store = FeatureStore(reader, model, Resources(encoder_batch=4, feature_bytes=2 * size))
    for index in (0, 4, 0, 8, 0):
        store[index]
    assert store.passes == 12
    store[4]
    assert store.passes == 16


def test_frames_are_resized_as_the_packages_loader_does(tmp_path, moving_squares):
    from sam2.utils.misc import load_video_frames

    frames = moving_squares(2, (40, 72))[0]
    for i, picture in enumerate(frames):
        Image.fromarray(picture).save(tmp_path / f"{i}.jpg")
    read = np.stack([np.asarray(Image.open(tmp_path / f"{i}.jpg")) for i in range(2)])
    want, _, _ = load_video_frames(str(tmp_path), 64, True, compute_device=torch.device("cpu"))
    torch.testing.assert_close(normalise(read, 64, torch.device("cpu")), want, atol=1e-6, rtol=0)
