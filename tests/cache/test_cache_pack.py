"""The packed tokens of a split: equal to the caches', checked at each read, stale when a cache changes."""

import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from cache import TokenShelf, cache_path, fresh_pack, open_cache, open_pack, verify_pack, write_cache, write_pack
from core.errors import CacheCorruptError, CacheError, CacheForeignError, InputError
from tests.factories import make_labels, make_track_set


@pytest.fixture
def folder(tmp_path):
    """A split of three videos of different shapes, one without tracks."""
    for name, tracks, frames in (("a", 3, 6), ("b b", 0, 4), ("c", 1, 9)):
        write_cache(cache_path(tmp_path, "d", "s", name), make_track_set(tracks, frames=frames, video_id=name))
    return tmp_path / "d" / "s"


def test_packed_tokens_are_those_of_the_caches(folder):
    assert write_pack(folder) == folder / "tokens.pack"
    pack = pickle.loads(pickle.dumps(open_pack(folder)))
    assert len(pack) == 3
    for entry, tokens in zip(pack.entries, pack.all_tokens(), strict=True):
        file = open_cache(folder / entry.file)
        assert (entry.video_id, entry.content_sha256) == (file.video.id, file.content_sha256)
        assert tokens.dtype == np.float16
        np.testing.assert_array_equal(tokens, file.tokens())
    np.testing.assert_array_equal(pack.tokens(2), pack.all_tokens()[2])
    assert len(verify_pack(folder / "tokens.pack")) == 3


def test_a_pack_is_stale_when_a_cache_changes_comes_or_goes_and_not_when_it_is_only_touched(folder):
    write_pack(folder)
    assert len(fresh_pack(folder)) == 3
    os.utime(folder / "a.h5", (1, 1))
    write_cache(folder / "c.h5", open_cache(folder / "c.h5").track_set(), make_labels(1))  # labels are no tokens
    assert len(fresh_pack(folder)) == 3
    write_cache(folder / "a.h5", make_track_set(3, seed=1, video_id="a"))
    with pytest.raises(CacheError, match=r"a\.h5 has other tracks\); run `tracksift cache pack` again"):
        fresh_pack(folder)
    write_pack(folder)
    (folder / "a.h5").rename(folder / "e.h5")
    with pytest.raises(CacheError, match=r"a\.h5 is gone"):
        fresh_pack(folder)
    (folder / "e.h5").unlink()
    write_pack(folder)
    write_cache(folder / "n.h5", make_track_set(1, video_id="n"))
    with pytest.raises(CacheError, match=r"n\.h5 is new"):
        fresh_pack(folder)
    (folder / "c.h5").write_bytes(b"no cache")
    (folder / "n.h5").unlink()
    with pytest.raises(CacheError, match=r"c\.h5 cannot be read"):
        fresh_pack(folder)


def test_every_flipped_byte_of_a_pack_is_noticed_when_it_is_read(folder):
    path = write_pack(folder)
    sound = path.read_bytes()
    random = np.random.default_rng(0)
    for at in sorted({*random.integers(len(sound), size=150).tolist(), 0, 8, 20, len(sound) - 1}):
        data = bytearray(sound)
        data[at] ^= 1 << random.integers(8)
        path.write_bytes(data)
        with pytest.raises(CacheError, match="again"):
            open_pack(path).all_tokens()


@pytest.mark.parametrize("part", range(24))
def test_a_truncated_pack_is_corrupt(folder, part):
    path = write_pack(folder)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * part // 24])
    with pytest.raises(CacheError):
        open_pack(path).all_tokens()
    path.write_bytes(data[:-1])
    with pytest.raises(CacheCorruptError):
        verify_pack(path)


def test_no_pack_and_another_file_are_named(folder):
    with pytest.raises(CacheError, match="got none; run `tracksift cache pack`"):
        open_pack(folder)
    (folder / "tokens.pack").write_bytes(b"something else that is long enough")
    with pytest.raises(CacheForeignError, match="got another file"):
        open_pack(folder)


def test_only_one_splits_folder_is_packed(folder, tmp_path):
    for place in (tmp_path, tmp_path / "nowhere", folder / "a.h5"):
        with pytest.raises(InputError):
            write_pack(place)
    assert not list(tmp_path.rglob("*.pack"))


def test_a_broken_cache_leaves_the_old_pack(folder):
    path = write_pack(folder)
    before = path.read_bytes()
    data = bytearray((folder / "a.h5").read_bytes())
    data[len(data) // 2] ^= 255
    (folder / "a.h5").write_bytes(data)
    with pytest.raises(CacheError):
        write_pack(folder)
    assert path.read_bytes() == before
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def test_wide_ids_fit_the_header(tmp_path):
    name = "\u00e9" * 400
    track_set = make_track_set(1, video_id=name)
    write_cache(cache_path(tmp_path, "d", "s", name), replace(track_set, provenance={}))
    write_pack(tmp_path / "d" / "s")
    assert open_pack(tmp_path / "d" / "s").entries[0].video_id == name


def test_a_shelf_gives_each_caches_tokens_from_the_pack_where_it_holds_the_same_content(folder, tmp_path):
    write_pack(folder)
    write_cache(folder / "c.h5", make_track_set(1, frames=9, seed=1, video_id="c"))  # other tracks than packed
    write_cache(cache_path(tmp_path, "d", "t", "e"), make_track_set(2, video_id="e"))  # of a split without a pack
    shelf = TokenShelf()
    for split, name in (("s", "a"), ("s", "b b"), ("s", "c"), ("t", "e")):
        file = open_cache(cache_path(tmp_path, "d", split, name))
        np.testing.assert_array_equal(shelf.tokens(file), file.tokens())
    assert (shelf.packed, shelf.unpacked) == (2, 2)


def test_a_damaged_pack_is_named_and_not_passed_over(folder):
    path = write_pack(folder)
    data = bytearray(path.read_bytes())
    data[open_pack(path).entries[0].offset] ^= 1
    path.write_bytes(data)
    with pytest.raises(CacheCorruptError, match="run `tracksift cache pack` again"):
        TokenShelf().tokens(open_cache(folder / "a.h5"))
    path.write_bytes(b"no pack of ours")
    with pytest.raises(CacheForeignError):
        TokenShelf().tokens(open_cache(folder / "a.h5"))


def test_float32_tokens_longer_than_a_block_are_those_of_the_caches_and_checked(tmp_path, monkeypatch):
    monkeypatch.setattr("cache.pack._BLOCK", 64)
    for name, tracks in (("a", 5), ("b", 0), ("c", 2)):
        write_cache(cache_path(tmp_path, "d", "s", name), make_track_set(tracks, frames=7, width=6, video_id=name))
    path = write_pack(tmp_path / "d" / "s")
    pack = open_pack(path)
    buffer = torch.full((pack.numbers + 3,), 7.0)
    for found in (pack.float32(), pack.float32(buffer)):
        assert [tuple(tokens.shape) for tokens in found] == [entry.shape for entry in pack.entries]
        for tokens, entry in zip(found, pack.entries, strict=True):
            stored = open_cache(path.parent / entry.file).tokens()
            np.testing.assert_array_equal(tokens.numpy(), stored.astype(np.float32))
    assert buffer[-3:].tolist() == [7.0] * 3
    sound = path.read_bytes()
    for at in (pack.entries[0].offset, len(sound) - 1):
        data = bytearray(sound)
        data[at] ^= 1
        path.write_bytes(data)
        with pytest.raises(CacheCorruptError, match="as they were packed"):
            pack.float32()
    path.write_bytes(sound[:-1])
    with pytest.raises(CacheCorruptError, match="got the file's end"):
        pack.float32()
    with pytest.raises(InputError, match="expected a buffer"):
        pack.float32(torch.zeros(3))
