"""`tracksift cache ...`: what each command prints, writes and ends with, on sound and on broken files."""

import json
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cache import cache_path, open_cache, write_cache
from core.types import Source
from scripts.cache import app
from tests.factories import make_labels, make_track_set
from tracksift.scheduling.quarantine import Note
from tracksift.scheduling.record import new_record

NAMES = ("verify", "repair", "info", "gc", "migrate", "pack", "diff", "export", "import")
WRITES = ("repair", "gc", "migrate", "pack", "export", "import")

FILES = Path(__file__).parents[1] / "cache" / "files"


@pytest.fixture
def root(tmp_path):
    """Two videos of `mevis/valid`, labels in the first, and a user's and an absent track."""
    sources = (Source.GRID, Source.USER)
    for name in "ab":
        tracks = make_track_set(2, video_id=name, sources=sources, absent=[(), (0,)], seed=ord(name))
        write_cache(cache_path(tmp_path / "c", "mevis", "valid", name), tracks, make_labels(2) if name == "a" else None)
    return tmp_path / "c"


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def everything(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_command_has_help_with_examples_and_a_dry_run_where_it_writes():
    assert {c.name or c.callback.__name__ for c in app.registered_commands} == set(NAMES)
    for name in NAMES:
        shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
        assert shown.exit_code == 0
        assert f"tracksift cache {name}" in shown.output
        assert ("--dry-run" in shown.output) == (name in WRITES)


def test_verify_counts_sound_files_and_names_broken_ones_with_exit_code_2(command, root):
    whole = command("cache", "verify", root, "--workers", "1")
    assert (whole.code, whole.figures["sound"], whole.figures["broken"]) == (0, 2, 0)
    assert whole.figures["mb_per_worker_second"] > 0
    damage(root / "mevis" / "valid" / "b.h5")
    broken = command("cache", "verify", root, "--workers", "1")
    assert (broken.code, broken.figures["sound"], broken.figures["broken"]) == (2, 1, 1)
    assert broken.err.splitlines()[-1].startswith("error: 1 of 2 files are not sound, first")
    assert "corrupt" in broken.out


def test_repair_moves_what_is_broken_and_leaves_the_rest(command, root):
    damage(root / "mevis" / "valid" / "b.h5")
    before = everything(root)
    planned = command("cache", "repair", root, "--workers", "1", "--dry-run")
    assert (planned.code, planned.figures["planned"], planned.figures["moved"]) == (0, 1, 0)
    assert everything(root.parent) == {("c" / k): v for k, v in before.items()}
    done = command("cache", "repair", root, "--workers", "1")
    assert (done.code, done.figures["moved"]) == (0, 1)
    listed = json.loads((root.parent / "c.quarantine" / "regenerate.json").read_text())["videos"]
    assert [(v["dataset"], v["split"], v["video_id"]) for v in listed] == [("mevis", "valid", "b")]
    assert command("cache", "verify", root, "--workers", "1").code == 0


def test_info_of_a_file_and_of_a_root(command, root):
    one = command("cache", "info", root / "mevis" / "valid" / "a.h5")
    assert {
        "video": "a",
        "tracks": 2,
        "frames": 6,
        "schema": 3,
        "labels": True,
        "tracks_user": 1,
    }.items() <= one.figures.items()
    all_of_it = command("cache", "info", root)
    assert {"folders": 1, "files": 2, "tracks": 4, "unusable": 0}.items() <= all_of_it.figures.items()


def test_diff_of_files_and_roots(command, root, tmp_path):
    a, b = (root / "mevis" / "valid" / f"{name}.h5" for name in "ab")
    one = command("cache", "diff", a, b)
    assert (one.code, one.figures["mean_iou"], one.figures["equal"]) == (0, 1.0, 0)
    assert abs(one.figures["least_cosine"]) < 0.9
    shutil.copytree(root, tmp_path / "copy")
    same = command("cache", "diff", root, tmp_path / "copy")
    assert (same.figures["equal"], same.figures["files"], same.figures["alone"]) == (2, 2, 0)


def test_tracks_go_to_solas_layout_and_back(command, root, tmp_path):
    out = tmp_path / "sola"
    planned = command("cache", "export", root, "--format", "sola", "--out", out, "--dry-run")
    assert (planned.code, out.exists()) == (0, False)
    assert command("cache", "export", root, "--format", "sola", "--out", out).figures["tracks"] == 4
    words = ("cache", "import", out, "--cache", tmp_path / "back")
    assert command(*words, "--dry-run").figures["planned"] == 2
    assert not (tmp_path / "back").exists()
    assert command(*words).figures["made"] == 2
    assert command(*words).figures["kept"] == 2
    assert command(*words, "--overwrite").figures["made"] == 2
    diff = command("cache", "diff", root, tmp_path / "back")
    assert (diff.figures["mean_iou"], round(diff.figures["least_cosine"], 4)) == (1.0, 1.0)
    wrong = command(*words, "--tracker-sha256", "4" * 64)
    assert (wrong.code, "2 of 2 videos failed" in wrong.err) == (2, True)


@pytest.mark.parametrize("form", ["coco-vid", "png"])
def test_masks_go_out_and_are_planned_back_through_import(command, root, tmp_path, form):
    out = tmp_path / ("out.json" if form == "coco-vid" else "out")
    assert command("cache", "export", root, "--format", form, "--out", out).code == 0
    for name in "ab":
        (tmp_path / "videos" / name).mkdir(parents=True)
        for t in range(6):
            Image.fromarray(np.full((16, 20, 3), 9 * t, np.uint8)).save(tmp_path / "videos" / name / f"{t:05d}.png")
    words = ("cache", "import", out, "--cache", tmp_path / "back", "--fps", "8")
    planned = command(*words, "--videos", tmp_path / "videos", "--dry-run", "--device", "cpu")
    assert (planned.code, planned.figures["planned"]) == (0, 2)
    lacking = command(*words)
    assert (lacking.code, "expected --videos" in lacking.err) == (2, True)


def test_gc_deletes_leftovers_and_with_data_what_the_split_does_not_have(command, root, world):
    folder = root / "mevis" / "valid"
    (folder / ".a.0123456789ab.tmp.h5").write_bytes(b"half")
    assert command("cache", "gc", root).figures["files"] == 0  # too young
    assert command("cache", "gc", root, "--older-than", "0", "--dry-run").figures["temporary"] == 1
    assert command("cache", "gc", root, "--older-than", "0").figures["temporary"] == 1
    assert sorted(p.name for p in folder.iterdir()) == ["a.h5", "b.h5"]
    video = "m200041"  # of the split, and of other frames here
    write_cache(folder / f"{video}.h5", make_track_set(1, video_id=video))
    words = ("cache", "gc", root, "--data", world, "--split", "valid")
    refused = command(*words)
    assert (refused.code, "insist with --force" in refused.err, len(list(folder.iterdir()))) == (2, True, 3)
    assert command(*words, "--dry-run").figures["orphans"] == 2
    done = command(*words, "--force")
    assert (done.figures["orphans"], done.figures["stale"]) == (2, 1)
    assert list(folder.iterdir()) == []


def test_gc_deletes_records_of_ended_jobs_and_notes_of_videos_done_or_gone(command, root, world):
    folder = root / "mevis" / "valid"
    now = new_record({}).model_copy(update={"updated": time.time() - 7200})
    ended = {"state": "stopped"}, {"host": "elsewhere"}
    for name, record in zip("abc", (now, *(now.model_copy(update=e) for e in ended)), strict=True):
        (folder / f".job-{name}.json").write_text(record.model_dump_json())
    for name, when in (("a", 0.0), ("b", time.time() + 60), ("gone", 0.0), ("m200041", 0.0)):
        note = Note(video=name, cause="no", fault="input", when=when, settings="0")
        (folder / f"{name}.failed.json").write_text(note.model_dump_json())
    assert command("cache", "gc", root, "--older-than", "3", "--dry-run").figures["jobs"] == 0
    planned = command("cache", "gc", root, "--dry-run")
    assert (planned.figures["jobs"], planned.figures["notes"], planned.figures["files"]) == (2, 1, 3)
    assert command("cache", "gc", root).figures["files"] == 3
    left = {".job-a.json", "b.failed.json", "gone.failed.json", "m200041.failed.json", "a.h5", "b.h5"}
    assert {p.name for p in folder.iterdir()} == left  # the job that runs, and what is not known to be in vain
    done = command("cache", "gc", root, "--data", world, "--split", "valid", "--force")
    assert (done.figures["notes"], done.figures["orphans"]) == (2, 2)
    assert {p.name for p in folder.iterdir()} == {".job-a.json", "m200041.failed.json"}
    (folder / "x.failed.json").write_text("{}")
    assert command("cache", "gc", root).code == 2


def test_migrate_raises_old_files_once(command, root):
    for name, version in (("a", 1), ("b", 2)):
        shutil.copy(FILES / f"schema{version}.h5", root / "mevis" / "valid" / f"{name}.h5")
    hashes = {p: open_cache(p).content_sha256 for p in root.rglob("*.h5")}
    assert command("cache", "migrate", root, "--dry-run").figures["planned"] == 2
    assert command("cache", "migrate", root).figures["migrated"] == 2
    again = command("cache", "migrate", root)
    assert (again.figures["migrated"], again.figures["current"]) == (0, 2)
    assert {p: open_cache(p).content_sha256 for p in hashes} == hashes
    shutil.copy(FILES / "schema1.h5", root / "mevis" / "valid" / "a.h5")
    damage(root / "mevis" / "valid" / "a.h5")
    shutil.copy(FILES / "schema2.h5", root / "mevis" / "valid" / "b.h5")
    broken = command("cache", "migrate", root)
    assert (broken.code, broken.figures["failures"], broken.figures["migrated"]) == (2, 1, 1)


def test_pack_makes_a_file_once_and_again_when_a_cache_changes(command, root):
    folder = root / "mevis" / "valid"
    assert command("cache", "pack", folder, "--dry-run").figures["made"] == 0
    assert not (folder / "tokens.pack").exists()
    made = command("cache", "pack", folder)
    assert (made.figures["made"], made.figures["bytes"]) == (1, (folder / "tokens.pack").stat().st_size)
    assert command("cache", "pack", folder).figures["kept"] == 1
    write_cache(folder / "a.h5", make_track_set(1, video_id="a"))
    assert command("cache", "pack", folder).figures["made"] == 1
    damage(folder / "tokens.pack")
    assert command("cache", "verify", root, "--workers", "1").code == 2


def test_the_benchmark_says_warm_and_cold_times_bytes_and_verifying(command, root, tmp_path):
    done = command("benchmark", "cache", "--folder", root / "mevis" / "valid", "--repeats", "1")
    assert done.code == 0
    for kind in ("warm", "cold"):
        assert all(done.figures[f"{kind}_{way}_ms"] > 0 for way in ("sola", "npy", "h5", "pack", "buffer"))
    assert (done.figures["tracks"], done.figures["verified"]) == (4, 2)
    assert done.figures["verify_mb_s"] > 0
    other = command("benchmark", "answers", "--folder", root)
    assert (other.code, "--folder: expected the benchmark cache" in other.err) == (2, True)


BAD = [
    (["verify", "NONE"], "expected a cache file or a folder of them, got nothing there"),
    (["verify", "EMPTY"], "expected cache files"),
    (["repair", "EMPTY"], "expected cache files"),
    (["info", "NONE"], "got nothing there"),
    (["gc", "NONE"], "expected the root of cache files, got no folder"),
    (["pack", "ROOT"], "expected the folder of one split"),
    (["diff", "ROOT", "NONE"], "got nothing there"),
    (["export", "ROOT", "--out", "x", "--format", "avi"], "expected one of coco-vid, png, sola, got 'avi'"),
    (["export", "ROOT", "--out", "ROOT", "--format", "png"], "expected a new or an empty folder"),
    (["import", "NONE"], "expected --videos"),
]


@pytest.mark.parametrize(("words", "sentence"), BAD)
def test_bad_input_is_one_sentence(command, root, tmp_path, words, sentence):
    (tmp_path / "empty").mkdir()
    places = {"NONE": tmp_path / "none", "EMPTY": tmp_path / "empty", "ROOT": root}
    before = everything(tmp_path)
    outcome = command("cache", *(places.get(word, word) for word in words))
    assert outcome.code == 2
    assert sentence in outcome.err.splitlines()[-1]
    assert everything(tmp_path) == before


def test_a_newer_file_is_left_by_repair_and_said(command, root):
    path = root / "mevis" / "valid" / "b.h5"
    with h5py.File(path, "r+", libver="v110") as file:
        file.attrs.modify("schema_version", 99)
    before = everything(root)
    left = command("cache", "repair", root, "--workers", "1")
    assert (left.code, left.figures["moved"], left.figures["left"]) == (2, 0, 1)
    assert "upgrade TrackSift" in left.err
    assert everything(root) == before


def test_generate_makes_again_what_repair_moved_and_the_rest_is_kept(command, world, caches, tmp_path):
    root = shutil.copytree(caches, tmp_path / "caches")
    path = root / "mevis" / "valid" / "m200041.h5"
    sound = open_cache(path).content_sha256
    damage(path)
    assert command("cache", "repair", root, "--workers", "1").figures["moved"] == 1
    again = command("generate", "--data", world, "--cache", root, "--device", "cpu")
    assert (again.code, again.figures["made"], again.figures["kept"]) == (0, 1, 1)
    assert open_cache(path).content_sha256 == sound
    assert command("cache", "verify", root, "--workers", "1").code == 0
