from dataclasses import replace

import numpy as np
import pytest

from cache import open_cache, read_frames
from core.errors import InputError
from core.images import load_image_encoder
from core.types import VideoMeta
from tracksift.features import FeatureSettings, extract, frame_index
from tracksift.jobs import split_jobs, video_job
from tracksift.models import Models


def video(times, end):
    return VideoMeta("v", "", (4, 4), np.array(times, dtype=np.float64), end, "f")


@pytest.mark.parametrize(
    ("times", "end", "per_second", "expected"),
    [
        (np.arange(10) / 5, 2.0, None, range(10)),
        (np.arange(10) / 5, 2.0, 1.0, [0, 5]),
        (np.arange(30) / 29.97, 30 / 29.97, 2.0, [0, 14, 29]),
        ([0, 0.5, 3.0], 4.0, 1.0, [0, 1, 2]),  # a frame that is shown for long counts once
        ([1.0, 2.0, 3.0], 4.0, 1.0, [0, 1, 2]),  # times are counted from the first frame
        ([0.0], 0.1, 30.0, [0]),
        (np.arange(20) / 10, 2.0, 10.0, range(20)),
    ],
)
def test_frames_are_those_shown_at_the_asked_times(times, end, per_second, expected):
    assert frame_index(video(times, end), per_second).tolist() == list(expected)


@pytest.mark.parametrize("values", [{"per_second": 0.0}, {"per_second": float("nan")}, {"grid": -1}])
def test_settings_that_mean_nothing_are_refused(values):
    with pytest.raises(InputError, match="expected"):
        FeatureSettings(**values)


@pytest.fixture(scope="module")
def encoder():
    return load_image_encoder(Models().text_spec, "cpu")


def test_features_are_those_of_the_frames_and_a_second_run_keeps_them(world, tmp_path, encoder):
    _, jobs = split_jobs(world, "valid", tmp_path)
    settings = FeatureSettings(per_second=2.0, grid=2, bare=True)
    assert [r.state for r in extract(jobs, encoder, settings, dry_run=True)] == ["planned"] * 2
    assert list(tmp_path.iterdir()) == []
    made = extract(jobs, encoder, settings)
    assert [r.state for r in made] == ["made"] * 2
    found = read_frames(jobs[0].cache, encoder.sha256)
    assert len(found.index) == made[0].frames
    assert found.patches.shape == (len(found.index), 4, 192)
    frame = jobs[0].open().read([int(found.index[-1])])
    pooled, patches = encoder.encode_frames(frame, 2)
    np.testing.assert_allclose(found.pooled[-1], pooled[0], atol=1e-3)
    np.testing.assert_allclose(found.patches[-1], patches[0], atol=1e-2)
    assert [r.state for r in extract(jobs, encoder, settings)] == ["kept"] * 2
    assert [r.state for r in extract(jobs[:1], encoder, replace(settings, per_second=1.0))] == ["made"]


def test_pooled_features_are_the_towers_own(encoder):
    frames = np.random.default_rng(0).integers(0, 255, (2, 30, 40, 3), dtype=np.uint8)
    plain, none = encoder.encode_frames(frames)
    beside, _ = encoder.encode_frames(frames, 2)
    assert none is None
    np.testing.assert_allclose(plain, beside, atol=1e-5)
    with pytest.raises(InputError, match="uint8"):
        encoder.encode_frames(frames.astype(np.float32))


def test_a_video_without_a_cache_fails_by_name_and_the_others_go_on(world, caches, tmp_path, encoder):
    import shutil

    copy = shutil.copytree(caches, tmp_path / "caches")
    _, jobs = split_jobs(world, "valid", copy)
    content = open_cache(jobs[1].cache).content_sha256
    jobs[0].cache.unlink()
    failed, made = extract(jobs, encoder, FeatureSettings(per_second=2.0))
    assert (failed.state, made.state) == ("failed", "made")
    assert "expected a cache file, got none" in failed.cause
    assert open_cache(jobs[1].cache).content_sha256 == content


def test_a_cache_of_other_frames_is_refused(world, tiny_video, caches, tmp_path, encoder):
    _, jobs = split_jobs(world, "valid", caches)
    job = video_job(tiny_video, tmp_path)
    job.cache.parent.mkdir(parents=True)
    job.cache.write_bytes(jobs[0].cache.read_bytes())
    (failed,) = extract([job], encoder, FeatureSettings())
    assert "got one of other frames" in failed.cause
