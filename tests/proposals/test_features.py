import numpy as np
import pytest
import torch
from PIL import Image

from core.frames import ArrayReader
from proposals import features
from proposals.features import FeatureStore, normalise, resized
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources

CPU = torch.device("cpu")


@pytest.fixture
def store_of(make_model, clip):
    """A store over the clip of 12 frames."""
    model = make_model()
    return lambda **resources: FeatureStore(clip[0], Sam2Tracker(model), Resources(**resources))


@pytest.mark.parametrize("batch", [1, 5, 12, 50])
def test_every_frame_is_encoded_once_whatever_the_batch(store_of, batch):
    store = store_of(encoder_batch=batch)
    for index in [3, 0, 11, 3, *range(12), 5]:
        assert store[index][-1].shape == (1, 32, 4, 4)
    assert store.passes == 12


def test_features_belong_to_their_frame(make_model, clip, store_of):
    reader, _ = clip
    store = store_of(encoder_batch=5)
    with torch.inference_mode():
        alone = make_model().forward_image(normalise(reader.read([7]), CPU))
    for mine, want in zip(store[7], alone["backbone_fpn"], strict=True):
        torch.testing.assert_close(mine, want, atol=1e-5, rtol=1e-5)


def test_over_the_budget_frames_are_encoded_again(store_of):
    store = store_of(encoder_batch=4, feature_bytes=1)
    for index in (0, 1, 4, 0):
        store[index]
    assert store.passes == 12


def test_a_sweep_forward_and_one_backward_encode_no_frame_more_than_twice(store_of):
    store = store_of(encoder_batch=4, feature_bytes=1)
    for index in [*range(12), *reversed(range(11))]:
        store[index]
    assert store.passes == 12 + 8  # the last batch was still held


def test_a_budget_for_two_batches_keeps_the_two_last_used(store_of):
    size = 4 * sum(level.numel() * 4 for level in store_of(encoder_batch=4)[0])
    store = store_of(encoder_batch=4, feature_bytes=2 * size)
    for index in (0, 4, 0, 8, 0):
        store[index]
    assert store.passes == 12
    store[4]
    assert store.passes == 16


def test_over_the_devices_budget_features_wait_in_host_memory(store_of, monkeypatch):
    monkeypatch.setattr(features, "_pinned", lambda level: level.clone())  # no GPU here to lock pages for
    want = [level.clone() for level in store_of(encoder_batch=4)[1]]
    store = store_of(encoder_batch=4, feature_bytes=1)
    store._host_budget = 2**30
    for index in (1, 5, 9, 5, 1):
        got = store[index]
    assert store.passes == 12
    for mine, level in zip(got, want, strict=True):
        torch.testing.assert_close(mine, level)


@pytest.mark.parametrize(("first", "next_one"), [(0, 4), (4, 8)])
def test_the_next_batch_is_read_ahead(make_model, clip, first, next_one):
    reader, _ = clip
    asked = []

    class Watched(ArrayReader):
        def read(self, indices):
            asked.append(list(indices)[:1])
            return super().read(indices)

    watched = Watched(reader.read(range(12)), video_id="clip", fps=8.0)
    store = FeatureStore(watched, Sam2Tracker(make_model()), Resources(encoder_batch=4))
    store[first]
    store._thread.submit(int).result()  # the reading thread has done what it was asked
    assert asked == [[first], [next_one]]
    store[first + 1]
    assert len(asked) == 2


def test_a_sweep_backward_reads_ahead_backward(store_of):
    store = store_of(encoder_batch=4, feature_bytes=1)
    for index in (0, 4, 8, 4):
        store[index]
    assert list(store._ahead) == [0]


def test_a_closed_store_reads_no_more(store_of):
    store = store_of(encoder_batch=4)
    store[0]
    store.close()
    with pytest.raises(RuntimeError):
        store[8]


def test_frames_are_resized_as_the_packages_loader_does(tmp_path, moving_squares):
    from sam2.utils.misc import load_video_frames

    frames = moving_squares(2, (40, 72))[0]
    for i, picture in enumerate(frames):
        Image.fromarray(picture).save(tmp_path / f"{i}.jpg")
    read = np.stack([np.asarray(Image.open(tmp_path / f"{i}.jpg")) for i in range(2)])
    want, _, _ = load_video_frames(str(tmp_path), 64, True, compute_device=CPU)
    mine = normalise(np.stack([resized(frame, 64) for frame in read]), CPU)
    torch.testing.assert_close(mine, want, atol=1e-6, rtol=0)


def test_features_take_a_share_of_the_free_memory_at_most(store_of, monkeypatch):
    monkeypatch.setattr(features, "_free_bytes", lambda device: 1.0)
    store = store_of(encoder_batch=4)
    for index in (0, 4, 0):
        store[index]
    assert store.passes == 12


def test_frames_that_are_read_once_are_not_kept_and_the_others_not_encoded_again(store_of):
    store = store_of(encoder_batch=2)
    store.keep_until(5)
    for index in range(12):
        store[index]
    assert sorted(store._held) == [0, 1, 2, 5]  # batches: of frames 0 to 5, and the one in use
    for index in reversed(range(6)):
        store[index]
    assert store.passes == 12
