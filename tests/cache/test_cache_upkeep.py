"""Verify, repair, tidy, migrate and describe: every broken file is found, nothing is lost, nothing else is touched."""

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import h5py
import pytest

from cache import (
    cache_path,
    check_file,
    delete,
    describe,
    find_caches,
    find_leftovers,
    find_orphans,
    migrate_cache,
    open_cache,
    quarantine,
    quarantine_folder,
    read_list,
    summarise,
    survey_files,
    verify_cache,
    write_cache,
    write_pack,
)
from core.errors import CacheCorruptError, InputError, OutputError
from core.types import Source
from tests.factories import make_labels, make_track_set

FILES = Path(__file__).parent / "files"
IDS = ("plain", "../../etc/x", "\u00e9", "e\u0301", "a\0b", "x" * 300)


@pytest.fixture
def root(tmp_path):
    """A root with one file for each of IDS."""
    for name in IDS:
        write_cache(cache_path(tmp_path / "caches", "d", "s", name), make_track_set(2, video_id=name), make_labels(2))
    return tmp_path / "caches"


def break_files(root):
    """One file of each way to be broken, by state."""
    corrupt, foreign, newer = (cache_path(root, "d", "s", name) for name in ("plain", "\u00e9", "a\0b"))
    data = bytearray(corrupt.read_bytes())
    data[len(data) // 2] ^= 1
    corrupt.write_bytes(data)
    foreign.write_bytes(b"nothing of ours")
    with h5py.File(newer, "r+", libver="v110") as file:
        file.attrs.modify("schema_version", 99)
    misplaced = root / "d" / "s" / "other.h5"
    shutil.copy(cache_path(root, "d", "s", "../../etc/x"), misplaced)
    return {"corrupt": corrupt, "foreign": foreign, "newer": newer, "misplaced": misplaced}


def test_every_broken_file_is_found_with_its_cause_and_the_sound_ones_are_counted(root):
    whole = survey_files(find_caches(root), workers=2)
    assert {finding.state for finding in whole} == {"sound"}
    assert sum(finding.tracks for finding in whole) == 2 * len(IDS)
    expected, steps = break_files(root), []
    found = survey_files(find_caches(root), workers=2, on_done=lambda done, of: steps.append((done, of)))
    assert {f.state: f.path for f in found if f.state != "sound"} == expected
    causes = {f.state: f.cause for f in found}
    assert "/tracks/" in causes["corrupt"] or "got" in causes["corrupt"]
    assert "got no HDF5 file" in causes["foreign"]
    assert "upgrade TrackSift" in causes["newer"]
    assert "which its video's id has" in causes["misplaced"]
    assert steps[-1] == (len(IDS) + 1, len(IDS) + 1)


def test_a_file_by_itself_may_have_any_name(root, tmp_path):
    shutil.copy(cache_path(root, "d", "s", "plain"), tmp_path / "copy.h5")
    (found,) = survey_files([tmp_path / "copy.h5"], workers=1, placed=False)
    assert found.state == "sound"


def test_broken_files_are_moved_beside_the_root_and_listed_and_the_rest_stays(root):
    expected, before = break_files(root), set(find_caches(root))
    found = survey_files(find_caches(root), workers=2)
    assert len(quarantine(root, found, dry_run=True)) == 3
    assert not quarantine_folder(root).exists()
    moved = quarantine(root, found)
    assert {item.video_id for item in moved} == {"plain", None, "other"}
    assert before - set(find_caches(root)) == {expected[state] for state in ("corrupt", "foreign", "misplaced")}
    assert all((quarantine_folder(root) / item.file).is_file() for item in moved)
    assert read_list(root) == moved
    listed = json.loads((root.parent / "caches.quarantine" / "regenerate.json").read_text())
    assert ["d", "s", "plain"] in [[v["dataset"], v["split"], v["video_id"]] for v in listed["videos"]]
    assert [f.state for f in survey_files(find_caches(root), workers=1) if f.state != "sound"] == ["newer"]


def test_a_file_that_breaks_again_is_kept_beside_the_first_and_listed_once(root):
    path = cache_path(root, "d", "s", "plain")
    for content in (b"first", b"second"):
        path.write_bytes(content)
        quarantine(root, [check_file(path)])
    assert {p.read_bytes() for p in (quarantine_folder(root) / "d" / "s").iterdir()} == {b"first", b"second"}
    assert [item.video_id for item in read_list(root)] == ["plain"]
    write_cache(path, make_track_set(2, video_id="plain"))  # made again
    other = cache_path(root, "d", "s", "\u00e9")
    other.write_bytes(b"")
    quarantine(root, [check_file(other)])
    assert [item.file for item in read_list(root)] == [str(other.relative_to(root))]


def test_repair_refuses_what_is_no_root_and_a_list_that_is_none(root, tmp_path):
    path = cache_path(root, "d", "s", "plain")
    path.write_bytes(b"")
    found = survey_files([path], workers=1)
    for place in (root / "d", tmp_path / "elsewhere"):
        with pytest.raises(InputError, match="expected"):
            quarantine(place, found)
    quarantine_folder(root).mkdir()
    (quarantine_folder(root) / "regenerate.json").write_text("[]")
    with pytest.raises(InputError, match="expected a list that `tracksift cache repair` wrote"):
        quarantine(root, found)
    assert path.exists()


def test_leftovers_are_old_temporary_files_and_stale_packs_alone(root):
    folder = root / "d" / "s"
    for name in (".plain.0123456789ab.tmp.h5", ".plain.ba9876543210.tmp.h5", ".keep.h5", ".other.tmp.h5"):
        (folder / name).write_bytes(b"half")
    os.utime(folder / ".plain.0123456789ab.tmp.h5", (1, 1))
    write_pack(folder)
    assert [item.path.name for item in find_leftovers(root)] == [".plain.0123456789ab.tmp.h5"]
    assert len(find_leftovers(root, older_than_s=0)) == 2
    cache_path(root, "d", "s", "plain").unlink()
    found = find_leftovers(root)
    assert [item.kind for item in found] == ["temporary", "pack"]
    delete(found)
    delete(found)  # gone already
    assert {".plain.ba9876543210.tmp.h5", ".keep.h5", ".other.tmp.h5"} <= set(os.listdir(folder))
    assert len(find_caches(root)) == len(IDS) - 1


def test_orphans_are_files_without_a_video_or_of_other_frames(root):
    files = find_caches(root)
    known = {path: open_cache(path).video.fingerprint for path in files}
    assert find_orphans(files, known) == []
    known.pop(files[0])
    known[files[1]] = "1" * 64
    files[2].write_bytes(b"broken")  # repair's, not ours
    assert [(item.path, item.kind) for item in find_orphans(files, known)] == [
        (files[0], "orphan"), (files[1], "stale"),
    ]  # fmt: skip


def test_a_folder_that_cannot_be_deleted_from_is_a_sentence(root, monkeypatch):
    path = cache_path(root, "d", "s", "plain")

    def refuse(self, missing_ok=False):
        raise OSError(errno.EROFS, "Read-only file system")

    (found,) = find_orphans([path], {})
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError, match="read-only file system"):
        delete([found])


@pytest.mark.parametrize("name", ["schema1.h5", "schema2.h5", "schema3.h5"])
def test_migrating_keeps_content_labels_and_content_hash(tmp_path, name):
    path = tmp_path / "clip.h5"
    shutil.copy(FILES / name, path)
    before, labels = open_cache(path), open_cache(path).labels()
    planned = migrate_cache(path, dry_run=True)
    assert path.read_bytes() == (FILES / name).read_bytes()
    assert migrate_cache(path) == ("current" if before.version == 3 else "migrated")
    assert planned == ("current" if before.version == 3 else "planned")
    after = verify_cache(path)
    assert (after.version, after.content_sha256, after.masks()) == (3, before.content_sha256, before.masks())
    assert after.tokens().tobytes() == before.tokens().tobytes()
    assert (after.labels() is None) == (labels is None)
    assert labels is None or after.labels().iou.tobytes() == labels.iou.tobytes()
    assert migrate_cache(path) == "current"


def test_a_damaged_old_file_is_not_migrated(tmp_path):
    path = tmp_path / "clip.h5"
    data = bytearray((FILES / "schema1.h5").read_bytes())
    with h5py.File(FILES / "schema1.h5", "r") as file:
        data[file["tracks/tokens"].id.get_chunk_info(0).byte_offset] ^= 1
    path.write_bytes(data)
    with pytest.raises(CacheCorruptError):
        migrate_cache(path)
    assert path.read_bytes() == data


def test_a_write_under_another_content_hash_than_expected_writes_nothing(tmp_path):
    with pytest.raises(InputError, match="expected to write content 0000"):
        write_cache(tmp_path / "a.h5", make_track_set(1), expected="0" * 64)
    assert os.listdir(tmp_path) == []


def test_a_description_counts_tracks_by_source_and_bytes_by_kind(tmp_path):
    path = tmp_path / "a.h5"
    write_cache(path, make_track_set(3, look=4, sources=[Source.GRID, Source.GRID, Source.USER]), make_labels(3))
    found = describe(path)
    assert (found.tracks, found.frames, found.size, found.width, found.version) == (3, 6, (16, 20), 8, 3)
    assert (found.looks, found.labels, found.tracker_sha256) == (True, True, "1" * 64)
    assert found.sources == {"grid": 2, "user": 1}
    assert sum(found.stored.values()) < path.stat().st_size
    assert min(found.stored[kind] for kind in ("tokens", "masks", "other")) > 0


def test_a_summary_counts_files_that_do_not_open_and_knows_the_state_of_the_pack(root):
    (one,) = summarise(find_caches(root))
    assert (one.files, one.unusable, one.tracks, one.pack) == (len(IDS), 0, 2 * len(IDS), "none")
    write_pack(root / "d" / "s")
    assert summarise(find_caches(root))[0].pack == "current"
    cache_path(root, "d", "s", "plain").write_bytes(b"")
    (one,) = summarise(find_caches(root))
    assert (one.unusable, one.pack, one.versions) == (1, "stale", (3,))


@pytest.mark.slow
def test_a_full_disk_is_a_sentence_and_leaves_the_old_file(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting a small tmpfs needs rights that this user lacks: {mounted.stderr.strip()}")
    try:
        path = place / "a.h5"
        write_cache(path, make_track_set(1))
        before = path.read_bytes()
        with pytest.raises(OutputError, match="no space left"):
            write_cache(path, make_track_set(20, frames=200, width=64))
        assert (os.listdir(place), path.read_bytes()) == (["a.h5"], before)
        assert verify_cache(path)
    finally:
        subprocess.run(["umount", str(place)], check=True)
