import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from cache import (
    FrameFeatures,
    list_frames,
    migrate_cache,
    open_cache,
    read_cache,
    read_frames,
    rewrite_cache,
    verify_cache,
    write_cache,
    write_frames,
)
from core.errors import CacheCorruptError, CacheError, InputError
from core.types import Labels
from tests.factories import make_track_set

A, B = "a" * 64, "b" * 64


def features(encoder=A, index=(0, 2), patches=True):
    rng = np.random.default_rng(0)
    count = len(index)
    return FrameFeatures(
        np.array(index, dtype=np.int32), rng.random((count, 5)).astype(np.float16),
        rng.random((count, 4, 3)).astype(np.float16) if patches else None, {"encoder_sha256": encoder, "grid": 2},
    )  # fmt: skip


@pytest.fixture
def path(tmp_path):
    iou = np.ones((3, 1), dtype=np.float32)
    write_cache(tmp_path / "v.h5", make_track_set(3, width=4), Labels(("0",), iou, iou, iou))
    return tmp_path / "v.h5"


@pytest.mark.parametrize("patches", [True, False])
def test_features_come_back_and_everything_else_stays_as_it_was(path, patches):
    before, tracks, labels = open_cache(path), read_cache(path), open_cache(path).labels()
    write_frames(path, features(patches=patches))
    found, after = read_frames(path, A), open_cache(path)
    np.testing.assert_array_equal(found.index, [0, 2])
    np.testing.assert_array_equal(found.pooled, features().pooled)
    assert (found.patches is not None) == patches
    assert found.facts == {"encoder_sha256": A, "grid": 2}
    assert after.content_sha256 == before.content_sha256
    np.testing.assert_array_equal(after.labels().iou, labels.iou)
    for one, two in zip(read_cache(path).tracks, tracks.tracks, strict=True):
        assert one.masks == two.masks
        np.testing.assert_array_equal(one.tokens, two.tokens)


def test_each_encoder_has_its_own_and_replaces_only_its_own(path):
    write_frames(path, features(A))
    write_frames(path, features(B, index=(1,)))
    write_frames(path, features(A, index=(0, 1, 2), patches=False))
    assert list_frames(path) == (A[:16], B[:16])
    assert read_frames(path, A).patches is None
    assert len(read_frames(path, A).index) == 3
    assert len(read_frames(path, B).index) == 1
    verify_cache(path)


def test_features_of_nobody_and_of_frames_that_are_not_there_are_refused(path):
    with pytest.raises(CacheError, match=r"got none at all; run `tracksift extract-features`"):
        read_frames(path, A)
    with pytest.raises(InputError, match=r"frames 0..\d+, got some of 99"):
        write_frames(path, features(index=(0, 99)))
    assert list_frames(path) == ()
    with pytest.raises(InputError, match="expected rising values"):
        features(index=(2, 0))
    with pytest.raises(InputError, match="pooled"):
        replace(features(), index=np.array([1], dtype=np.int32))


def test_a_changed_number_is_found_by_reading_and_by_verifying(path):
    write_frames(path, features())
    with h5py.File(path, "r+") as file:
        file[f"frames/{A[:16]}/pooled"][0, 0] += 1
    with pytest.raises(CacheCorruptError, match="frames"):
        read_frames(path, A)
    with pytest.raises(CacheCorruptError, match="frames"):
        verify_cache(path)


def test_a_video_without_tracks_holds_features(tmp_path):
    write_cache(tmp_path / "v.h5", make_track_set(0))
    write_frames(tmp_path / "v.h5", features(index=(0,)))
    assert len(open_cache(tmp_path / "v.h5")) == 0
    assert len(read_frames(tmp_path / "v.h5", A).index) == 1


def test_tracks_made_anew_keep_the_features_of_the_same_frames(path):
    write_frames(path, features(A))
    write_frames(path, features(B, index=(1,)))
    rewrite_cache(path, make_track_set(5, width=4))
    assert (len(verify_cache(path)), list_frames(path)) == (5, (A[:16], B[:16]))
    np.testing.assert_array_equal(read_frames(path, A).patches, features().patches)


def test_features_of_other_frames_or_of_a_broken_file_are_not_kept(path):
    write_frames(path, features())
    tracks = make_track_set(3, width=4)
    rewrite_cache(path, replace(tracks, video=replace(tracks.video, fingerprint="f" * 64)))
    assert list_frames(path) == ()
    write_frames(path, features())
    path.write_bytes(path.read_bytes()[:-50])
    rewrite_cache(path, tracks)
    assert list_frames(path) == ()


def test_a_migrated_file_keeps_its_features(tmp_path):
    path = tmp_path / "v.h5"
    shutil.copy(Path(__file__).parent / "files" / "schema1.h5", path)
    write_frames(path, features(index=(1,)))
    assert (open_cache(path).version, migrate_cache(path), open_cache(path).version) == (1, "migrated", 3)
    np.testing.assert_array_equal(read_frames(path, A).index, [1])
