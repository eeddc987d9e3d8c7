"""Damaged, foreign and newer files: always a named error that says what to run next, never other data."""

import shutil
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from cache import open_cache, schema, verify_cache, write_cache
from core.errors import CacheCorruptError, CacheError, CacheForeignError, CacheVersionError
from tests.factories import make_labels, make_track_set


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "clip.h5"
    write_cache(path, make_track_set(2, frames=4), make_labels(2))
    return path


def edit(path, change):
    """Change a file as someone with h5py would."""
    with h5py.File(path, "r+", libver="v110") as file:
        change(file)


def everything(path):
    """All that can be read, as comparable values."""
    file = verify_cache(path)
    arrays = [file.tokens(), file.boxes(), file.object_score(), file.predicted_iou(), file.labels().iou]
    data = b"".join(a.tobytes() for a in arrays)
    return data, file.masks(), file.prompts(), file.sources(), file.provenance, file.video.timestamps.tobytes()


def test_a_missing_file_says_to_generate(tmp_path):
    with pytest.raises(CacheError, match="got none; run `tracksift generate` first"):
        open_cache(tmp_path / "none.h5")


@pytest.mark.parametrize("part", range(60))
def test_truncation_anywhere_is_a_named_error(path, part):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * part // 60])
    with pytest.raises(CacheCorruptError, match="run `tracksift generate` again"):
        verify_cache(path)


def test_the_loss_of_the_last_byte_is_a_named_error(path):
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CacheCorruptError):
        verify_cache(path)


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_is_a_named_error_or_without_effect(path, seed):
    whole, sound = path.read_bytes(), everything(path)
    random = np.random.default_rng(seed)
    refused = []
    for _ in range(40):
        data = bytearray(whole)
        data[random.integers(len(data))] ^= 1 << random.integers(8)
        path.write_bytes(data)
        try:
            found = everything(path)
        except CacheError as error:
            refused.append(str(error))
        else:
            assert found == sound
    assert refused
    assert all("tracksift generate" in message for message in refused)


def test_every_stored_byte_of_a_dataset_is_guarded(path):
    sound = path.read_bytes()
    with h5py.File(path, "r") as file:
        chunk = file["tracks/tokens"].id.get_chunk_info(0)
    for at in range(chunk.byte_offset, chunk.byte_offset + chunk.size, 7):
        data = bytearray(sound)
        data[at] ^= 0x10
        path.write_bytes(data)
        with pytest.raises(CacheCorruptError, match="/tracks/tokens"):
            open_cache(path).tokens()


@pytest.mark.parametrize("content", [b"not hdf5 at all", b"\x89PNG\r\n\x1a\n" + b"\0" * 100])
def test_a_file_of_another_kind_is_foreign(tmp_path, content):
    path = tmp_path / "clip.h5"
    path.write_bytes(content)
    with pytest.raises(CacheForeignError, match="move it away"):
        open_cache(path)


def test_an_empty_file_is_corrupt_and_a_folder_is_not_readable(tmp_path):
    (tmp_path / "empty.h5").write_bytes(b"")
    with pytest.raises(CacheCorruptError):
        open_cache(tmp_path / "empty.h5")
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(CacheError, match="expected a readable file"):
        open_cache(tmp_path / "folder.h5")


def test_other_hdf5_is_foreign(tmp_path):
    path = tmp_path / "clip.h5"
    with h5py.File(path, "w") as file:
        file["x"] = [1, 2, 3]
    with pytest.raises(CacheForeignError, match="got other HDF5"):
        open_cache(path)
    edit(path, lambda file: file.attrs.create("format", 3))
    with pytest.raises(CacheForeignError):
        open_cache(path)


def test_a_newer_schema_says_to_upgrade(path):
    edit(path, lambda file: file.attrs.modify("schema_version", 99))
    with pytest.raises(CacheVersionError, match="expected schema 3 or older, got 99; upgrade TrackSift"):
        open_cache(path)


def _absurd(file):
    del file["tracks/tokens"]
    item = file.create_dataset("tracks/tokens", shape=(2**40, 4, 8), dtype="<f2", chunks=(1, 4, 8))
    item.attrs["sha256"] = np.bytes_(b"0" * 64)


def _other_data(file):
    file["tracks/boxes"][0, 0] = 1


def _contiguous(file):
    del file["tracks/boxes"]
    file["tracks/boxes"] = np.zeros((2, 4, 4), dtype="<f4")


def _other_dtype(file):
    digest = file["tracks/boxes"].attrs["sha256"]
    del file["tracks/boxes"]
    file.create_dataset("tracks/boxes", data=np.zeros((2, 4, 4)), chunks=(1, 4, 4)).attrs["sha256"] = digest


@pytest.mark.parametrize(
    "change",
    [
        _absurd,
        _contiguous,
        _other_dtype,
        _other_data,
        lambda file: file.attrs.__delitem__("complete"),
        lambda file: file.attrs.modify("complete", 0),
        lambda file: file.attrs.modify("schema_version", 0),
        lambda file: file.attrs.__delitem__("content_sha256"),
        lambda file: file.attrs.create("content_sha256", "text of variable size"),
        lambda file: file.attrs.modify("content_sha256", np.bytes_(b"0" * 64)),
        lambda file: file["tracks/boxes"].attrs.modify("sha256", np.bytes_(b"0" * 64)),
        lambda file: file.__delitem__("tracks/tokens"),
        lambda file: file.__delitem__("labels/iou"),
        lambda file: file["labels"].attrs.modify("sha256", np.bytes_(b"0" * 64)),
    ],
)
def test_a_meddled_file_is_corrupt(path, change):
    edit(path, change)
    with pytest.raises(CacheCorruptError, match="run `tracksift generate` again"):
        verify_cache(path)


@pytest.mark.parametrize("column", schema.CORE_COLUMNS, ids=lambda column: column.path)
@pytest.mark.parametrize("shape", [(0,), (2**40,), (2**31, 2**31), (1,) * 9, (2**62,)])
def test_an_absurd_shape_of_any_dataset_is_corrupt_and_allocates_nothing(path, column, shape):
    name = schema.OUTLINES if column.path == schema.MASKS else column.path

    def change(file):
        facts = dict(file[name].attrs)
        del file[name]
        chunks = tuple(min(max(size, 1), 4) for size in shape)
        bounds = tuple(max(size, 1) for size in shape)
        made = file.create_dataset(name, shape=shape, dtype=column.dtype, chunks=chunks, maxshape=bounds)
        made.attrs.update(facts)

    edit(path, change)
    tracemalloc.start()
    with pytest.raises(CacheCorruptError, match="run `tracksift generate` again"):
        verify_cache(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 22


def _link(file, link):
    del file["tracks/tokens"]
    file["tracks/tokens"] = link


@pytest.mark.parametrize(
    "change",
    [
        lambda file: _link(file, h5py.SoftLink("/tracks/tokens")),
        lambda file: _link(file, h5py.SoftLink("/nowhere")),
        lambda file: _link(file, h5py.SoftLink("/tracks")),
        lambda file: _link(file, h5py.ExternalLink("other.h5", "/tracks/tokens")),
        lambda file: file.__delitem__("tracks"),
    ],
)
def test_links_and_missing_groups_are_corrupt(path, change):
    edit(path, change)
    with pytest.raises(CacheCorruptError):
        verify_cache(path)


def test_damage_to_masks_does_not_hide_the_tokens(path):
    tokens = open_cache(path).tokens()
    edit(path, lambda file: file["tracks/outlines"].__setitem__(-1, file["tracks/outlines"][-1] ^ 1))
    np.testing.assert_array_equal(open_cache(path).tokens(), tokens)
    with pytest.raises(CacheCorruptError, match="/tracks/rle: data that do not match their SHA-256"):
        verify_cache(path)


def _other_size(file):
    file["tracks/outlines"][:4] = 255


def _other_length(file):
    file["tracks/outlines"].attrs.modify("bytes", 7)


def _cut(file):
    data, facts = file["tracks/outlines"][:-1], dict(file["tracks/outlines"].attrs)
    del file["tracks/outlines"]
    file.create_dataset("tracks/outlines", data=data, chunks=data.shape).attrs.update(facts)


def _claim_schema_2(file):
    file.attrs.modify("schema_version", 2)


def _both(file):
    data = np.zeros(4, dtype=np.uint8)
    file.create_dataset("tracks/rle", data=data, chunks=(4,)).attrs["sha256"] = np.bytes_(b"0" * 64)


@pytest.mark.parametrize("harm", [_other_size, _other_length, _cut, _claim_schema_2, _both])
def test_outlines_that_were_meddled_with_are_corrupt(path, harm):
    edit(path, harm)
    with pytest.raises(CacheCorruptError, match="tracksift generate"):
        verify_cache(path)


def _drop(file):
    del file["tracks/look"]


def _swap(file):
    look = file["tracks/look"]
    look[0], look[1] = look[1], look[0]


def _claim_schema_1(file):
    file.attrs.modify("schema_version", 1)


@pytest.mark.parametrize("harm", [_drop, _swap, _claim_schema_1])
def test_looks_that_were_taken_away_swapped_or_hidden_are_noticed(tmp_path, harm):
    path = tmp_path / "clip.h5"
    write_cache(path, make_track_set(2, frames=4, look=4))
    edit(path, harm)
    with pytest.raises(CacheCorruptError, match="tracksift generate"):
        open_cache(path).looks()


def test_a_file_of_schema_1_may_hold_another_programs_looks(tmp_path):
    path = Path(shutil.copy(Path(__file__).parent / "files" / "schema1.h5", tmp_path))
    edit(path, lambda file: file.create_dataset("tracks/look", data=np.zeros((9, 9))))
    assert verify_cache(path).looks() is None
