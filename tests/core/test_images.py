"""Image encoders and crops: what is cut, how it is scaled, and which folders and arrays are refused."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.errors import CheckpointError, InputError
from core.images import CONTEXT, centre, crop_square, image_size, load_image_encoder, scaled
from core.open_clip_folder import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS
from core.text import load_text_encoder

CONFIG = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 16, "layers": 1, "head_width": 8},
    "text_cfg": {"context_length": 48, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}
SCALING = {"mean": [0.5, 0.4, 0.3], "std": [0.5, 0.25, 1.0]}


def write_folder(folder, preprocess):
    import open_clip

    folder.mkdir(exist_ok=True)
    (folder / OPEN_CLIP_CONFIG).write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": preprocess}))
    torch.manual_seed(0)
    save_file({k: v.half() for k, v in open_clip.CLIP(**CONFIG).state_dict().items()}, folder / OPEN_CLIP_WEIGHTS)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("towers") / "tower", SCALING)


@pytest.fixture(scope="module")
def encoder(folder):
    return load_image_encoder(str(folder), "cpu")


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 18, 18, 3), dtype=np.uint8)


def test_features_are_the_towers_own_of_the_scaled_middle(encoder, images):
    assert (encoder.name, encoder.side, encoder.width) == ("tower", 18, 12)
    features = encoder.encode(images)
    assert features.shape == (3, 12)
    assert features.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-6)
    middle = (images[:, 1:17, 1:17] / 255 - SCALING["mean"]) / SCALING["std"]
    with torch.no_grad():
        expected = encoder.model.encode_image(torch.tensor(middle).permute(0, 3, 1, 2).float()).numpy()
    np.testing.assert_allclose(features, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_an_image_has_the_same_feature_alone_and_among_many_batches(encoder, images, monkeypatch):
    monkeypatch.setattr("core.images.IMAGES_AT_ONCE", 2)
    np.testing.assert_allclose(encoder.encode(images)[2], encoder.encode(images[2:])[0], atol=1e-5)
    assert encoder.encode(images[:0]).shape == (0, 12)


def test_both_towers_of_a_folder_have_one_name(encoder, folder):
    assert encoder.sha256 == load_text_encoder(str(folder), "cpu").sha256


def test_images_of_another_size_or_kind_are_refused(encoder, images):
    for wrong in (images[:, :16], images.astype(np.float32), images[0]):
        with pytest.raises(InputError, match=r"expected uint8 \[K, 18, 18, 3\]"):
            encoder.encode(wrong)


def test_a_place_without_an_open_clip_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="expected a folder with open_clip_config"):
        load_image_encoder(str(tmp_path), "cpu")


@pytest.mark.parametrize("preprocess", [{}, {"mean": [0.5] * 3}, {"mean": [0.5], "std": [1.0]}, None,
                                        {"mean": [0.5] * 3, "std": [0.0] * 3}])  # fmt: skip
def test_a_folder_that_does_not_say_how_to_scale_is_refused(folder, tmp_path, preprocess):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / OPEN_CLIP_CONFIG).write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": preprocess}))
    with pytest.raises(CheckpointError, match="mean and std"):
        load_image_encoder(str(tmp_path), "cpu")


def test_only_square_inputs_are_taken():
    assert image_size(64) == image_size((64, 64)) == 64
    with pytest.raises(InputError, match="square"):
        image_size((64, 48))


def test_a_crop_holds_its_box_in_the_middle_with_context_around():
    frame = np.zeros((100, 120, 3), dtype=np.uint8)
    frame[40:60, 50:80] = 255  # 30 wide, 20 high
    crop = crop_square(frame, (50, 40, 80, 60), 41)[..., 0] > 127
    columns, rows = np.flatnonzero(crop.any(0)), np.flatnonzero(crop.any(1))
    assert abs(columns.min() - (40 - columns.max())) <= 2
    assert abs(rows.min() - (40 - rows.max())) <= 2
    side = 2 * (int(np.ceil(29 * CONTEXT / 2)) + 2) + 1
    assert abs(len(columns) - 30 * 41 / side) <= 2
    assert abs(len(rows) - 20 * 41 / side) <= 2


def test_beyond_the_border_the_edge_is_repeated():
    frame = np.zeros((20, 20, 3), dtype=np.uint8)
    frame[:, 0] = 200
    crop = crop_square(frame, (0, 5, 4, 9), 9)
    assert (crop[:, :4, 0] > 150).all()
    assert (crop[:, -2:] == 0).all()


def test_a_box_of_one_pixel_has_a_crop():
    frame = np.full((8, 8, 3), 7, dtype=np.uint8)
    assert (crop_square(frame, (7, 7, 8, 8), 6) == 7).all()


def test_pixels_are_scaled_by_channel_and_their_middle_taken():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(1, 4, 4, 3)
    assert scaled(images)[0, :, 0, 0].tolist() == pytest.approx([-1, -0.6, 1])
    assert scaled(images, (0, 0.2, 0), (1, 1, 0.5))[0, :, 2, 3].tolist() == pytest.approx([0, 0, 2], abs=1e-6)
    assert centre(torch.arange(16.0).reshape(1, 1, 4, 4), 2).flatten().tolist() == [5, 6, 9, 10]
