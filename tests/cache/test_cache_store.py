"""Writing and reading caches: exact round trips, lazy reads, atomic replacement, resume by integrity."""

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest

from cache import (
    cache_path,
    cache_state,
    describe,
    is_current,
    list_caches,
    open_cache,
    read_cache,
    verify_cache,
    write_cache,
)
from cache import reader as reader_module
from core import rle
from core.errors import CacheError, CacheForeignError, CacheVersionError, InputError, OutputError
from core.hashing import json_sha256
from core.types import Prompt, Source
from tests.factories import make_labels, make_track_set
from tests.real_data import real_data


@pytest.fixture
def path(tmp_path):
    return cache_path(tmp_path, "mevis", "valid", "clip 1")


def assert_same(a, b):
    assert (a.video.id, a.video.source, a.video.size, a.video.end, a.video.fingerprint) == (
        b.video.id,
        b.video.source,
        b.video.size,
        b.video.end,
        b.video.fingerprint,
    )
    np.testing.assert_array_equal(a.video.timestamps, b.video.timestamps)
    assert a.provenance == b.provenance
    assert len(a.tracks) == len(b.tracks)
    for x, y in zip(a.tracks, b.tracks, strict=True):
        assert (x.source, x.prompt, x.size, x.masks) == (y.source, y.prompt, y.size, y.masks)
        for name in ("boxes", "tokens", "object_score", "predicted_iou"):
            np.testing.assert_array_equal(getattr(x, name), getattr(y, name))
            assert getattr(x, name).dtype == getattr(y, name).dtype


def test_what_is_written_is_read_back_exactly(path):
    tracks = make_track_set(3, frames=5, absent=[(), (0, 4), range(5)])
    detected = replace(tracks.tracks[0], source=Source.GROUNDING_DINO, prompt=Prompt(4, "é 1", 1 / 3, 0.1))
    tracks = replace(tracks, tracks=(*tracks.tracks, detected))
    digest = write_cache(path, tracks, make_labels(4))
    assert_same(read_cache(path), tracks)
    file = open_cache(path)
    assert file.content_sha256 == digest
    labels, expected = file.labels(), make_labels(4)
    assert labels.object_ids == expected.object_ids
    for name in ("iou", "precision", "recall"):
        np.testing.assert_array_equal(getattr(labels, name), getattr(expected, name))


@pytest.mark.parametrize(("tracks", "frames"), [(0, 4), (1, 1), (2, 300)])
def test_any_number_of_tracks_and_frames_round_trips(path, tracks, frames):
    track_set = make_track_set(tracks, frames=frames)
    write_cache(path, track_set, make_labels(tracks, objects=0))
    assert_same(read_cache(path), track_set)
    assert open_cache(path).tokens().shape == track_set.tokens().shape
    assert open_cache(path).labels().iou.shape == (tracks, 0)


def test_columns_read_alone_equal_those_of_the_tracks(path):
    sources = (Source.GRID, Source.GROUND_TRUTH, Source.IMPORTED)
    track_set = make_track_set(3, frames=5, sources=sources)
    write_cache(path, track_set)
    file = open_cache(path)
    assert len(file) == 3
    assert file.labels() is None
    assert file.sources() == sources
    assert file.masks() == tuple(t.masks for t in track_set.tracks)
    assert file.prompts() == tuple(t.prompt for t in track_set.tracks)
    for name in ("boxes", "object_score", "predicted_iou"):
        np.testing.assert_array_equal(getattr(file, name)(), np.stack([getattr(t, name) for t in track_set.tracks]))


def test_opening_and_reading_tokens_never_reads_masks(path, monkeypatch):
    write_cache(path, make_track_set())
    seen = []
    real = reader_module.read_dataset
    monkeypatch.setattr(reader_module, "read_dataset", lambda p, f, name, e: seen.append(name) or real(p, f, name, e))
    open_cache(path).tokens()
    assert seen == ["video/info", "video/timestamps", "provenance", "tracks/tokens"]


def test_same_content_makes_the_same_bytes_and_any_change_another_hash(tmp_path):
    track_set = make_track_set()
    digest = write_cache(tmp_path / "a.h5", track_set)
    assert write_cache(tmp_path / "b.h5", track_set) == digest
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert write_cache(tmp_path / "c.h5", track_set, make_labels(3)) == digest  # labels do not make scores stale
    assert write_cache(tmp_path / "d.h5", replace(track_set, provenance={"model": "other"})) != digest
    assert write_cache(tmp_path / "e.h5", replace(track_set, tracks=track_set.tracks[:2])) != digest


def test_an_open_cache_can_be_pickled_and_keeps_no_file_open(path):
    write_cache(path, make_track_set())
    file = pickle.loads(pickle.dumps(open_cache(path)))
    assert file.tokens().shape == (3, 6, 8)
    assert not [f for f in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{f}") == str(path)]


def test_a_file_replaced_after_opening_is_noticed(path):
    write_cache(path, make_track_set(seed=1))
    file = open_cache(path)
    write_cache(path, make_track_set(seed=2))
    with pytest.raises(CacheError, match="another content than when the file was opened"):
        file.tokens()


def test_state_goes_by_integrity_not_existence(path):
    track_set = make_track_set()
    digest = json_sha256(track_set.provenance)
    assert cache_state(path, digest) == "missing"
    write_cache(path, track_set)
    assert cache_state(path, digest) == "complete"
    assert cache_state(path, json_sha256({"model": "other"})) == "stale"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CacheError, match="run `tracksift generate` again"):
        cache_state(path, digest)


def test_a_damaged_file_may_be_replaced_and_a_foreign_or_newer_one_may_not(path):
    facts = make_track_set().provenance
    assert not is_current(path, facts)
    write_cache(path, make_track_set())
    assert is_current(path, facts)
    assert not is_current(path, {**facts, "model": "other"})
    with h5py.File(path, "r+", libver="v110") as file:
        file.attrs.modify("schema_version", 99)
    with pytest.raises(CacheVersionError, match="upgrade TrackSift"):
        is_current(path, facts)
    write_cache(path, make_track_set())
    path.write_bytes(path.read_bytes()[:-100])
    assert not is_current(path, facts)
    path.write_bytes(b"somebody's notes")
    with pytest.raises(CacheForeignError, match="move it away"):
        is_current(path, facts)


def test_verify_reads_every_dataset(path, monkeypatch):
    write_cache(path, make_track_set(), make_labels(3))
    seen = set()
    real = reader_module.read_dataset
    monkeypatch.setattr(reader_module, "read_dataset", lambda p, f, name, e: seen.add(name) or real(p, f, name, e))
    assert seen == set()
    assert verify_cache(path).manifest.entries.keys() == seen


def test_every_dataset_is_chunked_checksummed_and_hashed(path):
    write_cache(path, make_track_set(), make_labels(3))
    datasets = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: datasets.append(item.name) if isinstance(item, h5py.Dataset) else None)
        assert len(datasets) == 18
        for name in datasets:
            item = file[name]
            assert item.chunks is not None
            assert (item.fletcher32, item.shuffle, item.compression) == (True, True, "gzip")
            assert len(item.attrs["sha256"]) == 64
        assert list(file.attrs) == ["complete", "content_sha256", "format", "schema_version"]


def test_a_failed_write_leaves_the_old_file_and_no_other(path, monkeypatch):
    write_cache(path, make_track_set(seed=1))
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="no space left"):
        write_cache(path, make_track_set(seed=2))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_an_unwritable_place_is_a_sentence(tmp_path):
    (tmp_path / "mevis").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="expected a place that can be written"):
        write_cache(cache_path(tmp_path, "mevis", "valid", "a"), make_track_set())


def test_other_dtypes_widths_and_provenance_are_refused_before_writing(path):
    track_set = make_track_set()
    wide = replace(track_set.tracks[0], tokens=track_set.tracks[0].tokens.astype(np.float32))
    narrow = replace(track_set.tracks[0], tokens=track_set.tracks[0].tokens[:, :4])
    refused = [
        (replace(track_set, tracks=(wide,)), "expected dtype float16, got float32"),
        (replace(track_set, tracks=(narrow, track_set.tracks[1])), "expected tokens of one width"),
        (replace(track_set, provenance={"model": object()}), "expected values that JSON can hold"),
        (replace(track_set, provenance={"score": float("nan")}), "expected values that JSON can hold"),
    ]
    for bad, message in refused:
        with pytest.raises(InputError, match=message):
            write_cache(path, bad)
    with pytest.raises(InputError, match="expected rows for 3 tracks, got 2"):
        write_cache(path, track_set, make_labels(2))
    assert not path.exists()


@pytest.mark.parametrize("video_id", ["../../etc/x", "/etc/passwd", "a\0b", "x" * 300, "\u00e9", "e\u0301", "..", "."])
def test_no_id_leaves_the_root_or_meets_another(tmp_path, video_id):
    path = cache_path(tmp_path, "mevis", "valid", video_id)
    assert path.parent == tmp_path / "mevis" / "valid"
    assert path.resolve().is_relative_to(tmp_path)
    write_cache(path, make_track_set(tracks=1, video_id=video_id))
    assert read_cache(path).video.id == video_id
    assert list_caches(tmp_path, "mevis", "valid") == [path]


def test_names_of_different_ids_differ(tmp_path):
    ids = ["../../etc/x", "etc/x", "\u00e9", "e\u0301", "x" * 300, "x" * 301, "a", "a.", "%a"]
    assert len({cache_path(tmp_path, "d", "s", i) for i in ids}) == len(ids)
    assert cache_path(tmp_path, "d", "s", "plain_id-1.0") == tmp_path / "d" / "s" / "plain_id-1.0.h5"


def test_unfinished_writes_are_not_listed(path, tmp_path):
    write_cache(path, make_track_set(tracks=1))
    (path.parent / f".{path.name}.123.tmp").write_bytes(b"half")
    assert list_caches(tmp_path, "mevis", "valid") == [path]
    assert list_caches(tmp_path, "mevis", "nowhere") == []


def test_provenance_survives_as_json(path):
    provenance = {"models": {"tracker": {"sha256": "ab" * 32}}, "settings": {"bin_size": 4, "iou": 0.7}, "ü": [1, None]}
    write_cache(path, replace(make_track_set(tracks=1), provenance=provenance))
    assert json.dumps(open_cache(path).provenance, sort_keys=True) == json.dumps(provenance, sort_keys=True)


def test_a_file_of_schema_1_still_opens():
    """Written once by schema 1 and kept: never write it anew."""
    file = verify_cache(Path(__file__).parent / "files" / "schema1.h5")
    expected = make_track_set(2, frames=3, absent=[(), (1,)], sources=[Source.GRID, Source.GROUND_TRUTH])
    assert_same(file.track_set(), expected)
    assert file.content_sha256 == "2c66a50d2e22815a0ca45bc1718ec848eb38208f8f85b2e880c9f72b26d374d5"
    np.testing.assert_array_equal(file.labels().iou, make_labels(2).iou)


def test_looks_are_read_back_and_there_only_where_there_are_some(path):
    with_looks, without = make_track_set(3, look=4), make_track_set(3)
    digest = write_cache(path, with_looks, make_labels(3))
    file = verify_cache(path)
    assert file.content_sha256 == digest
    assert file.looks().dtype == np.float16
    np.testing.assert_array_equal(file.looks(), with_looks.looks())
    np.testing.assert_array_equal(file.track_set().looks(), with_looks.looks())
    assert write_cache(path, without) != digest
    assert open_cache(path).looks() is None


def test_a_file_has_the_lowest_schema_that_holds_it(path):
    """Masks raise it to 3, but for those that would not come back to the byte; looks to 2."""
    masks = replace(make_track_set(1).tracks[0], masks=(b"PZ0",) * 6)  # 320 pixels of nothing, in a byte too many
    tracks = make_track_set(1, look=4).tracks[0]
    versions = []
    for chosen in ((), (tracks,), (masks,), (replace(tracks, masks=masks.masks),)):
        write_cache(path, replace(make_track_set(0), tracks=chosen))
        assert open_cache(path).masks() == tuple(track.masks for track in chosen)
        versions.append(stored_version(path))
    assert versions == [1, 3, 1, 2]


def test_a_video_without_tracks_has_no_looks(path):
    write_cache(path, make_track_set(0, look=4))
    assert open_cache(path).looks() is None


def test_looks_of_another_dtype_are_refused_before_writing(path):
    track_set = make_track_set(1, look=4)
    wide = replace(track_set.tracks[0], look=np.float32([0, 1, 0, 0]))
    with pytest.raises(InputError, match="/tracks/look: expected dtype float16, got float32"):
        write_cache(path, replace(track_set, tracks=(wide,)))


def stored_version(path):
    with h5py.File(path, "r") as file:
        return int(file.attrs["schema_version"])


def test_a_file_of_schema_2_still_opens():
    """Written once by schema 2 and kept: never write it anew."""
    path = Path(__file__).parent / "files" / "schema2.h5"
    file = verify_cache(path)
    expected = make_track_set(2, frames=3, look=4, absent=[(), (1,)], sources=[Source.GRID, Source.GROUND_TRUTH])
    assert stored_version(path) == 2
    assert_same(file.track_set(), expected)
    np.testing.assert_array_equal(file.looks(), expected.looks())
    assert file.content_sha256 == "d7a8fa01135effe21f8cf459c8b93d3300ec63bc7c20a59f3ec99fb3e3a93ba7"


def test_a_file_of_schema_3_still_opens():
    """Written once by schema 3 and kept: never write it anew. Its content is that of the file of schema 2."""
    path = Path(__file__).parent / "files" / "schema3.h5"
    assert stored_version(path) == 3
    with h5py.File(path, "r") as file:
        assert ("rle" in file["tracks"], "outlines" in file["tracks"]) == (False, True)
    older = verify_cache(path.with_name("schema2.h5"))
    assert verify_cache(path).content_sha256 == older.content_sha256
    assert_same(read_cache(path), older.track_set())


def test_masks_of_sam2_take_a_quarter_of_solas_bytes():
    """SA-V's automatic masklets are SAM2's own; SOLA stores a track as JSON indented by 4."""
    tracks = json.loads(real_data("sav_sam2/sav_000001_auto.json").read_text())["masklet"]
    size = tuple(tracks[0][0]["size"])
    masklets = [[frame[n] for frame in tracks] for n in range(len(tracks[0]))]
    track_set = make_track_set(1, frames=len(tracks), size=size)
    counts = [tuple(mask["counts"].encode() for mask in masks) for masks in masklets]
    held = tuple(replace(track_set.tracks[0], masks=masks, boxes=rle.boxes(masks, size)) for masks in counts)
    with TemporaryDirectory() as folder:
        write_cache(Path(folder) / "a.h5", replace(track_set, tracks=held))
        stored = describe(Path(folder) / "a.h5").stored["masks"]
        assert open_cache(Path(folder) / "a.h5").masks() == tuple(counts)
    theirs = sum(len(json.dumps({"rle": masks}, indent=4)) for masks in masklets)
    assert stored <= theirs / 4
