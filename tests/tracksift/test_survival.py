"""What is left of jobs that are killed, stopped, or lose their ground under them."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cache import verify_cache
from core.atomic import atomic_path
from core.errors import InputError, TrackSiftError
from miniature import survival
from miniature.clips import SPLIT, write_clips
from tests.conftest import SEEDS
from tracksift.jobs import Job
from tracksift.scheduling.costs import Size, costliest_first, job_size
from tracksift.scheduling.leftovers import LONG, Leftovers, find_temporaries
from tracksift.scheduling.record import new_record, recorded
from tracksift.scheduling.standing import read_standing

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clips(tmp_path):
    """A folder with the split `clips`: four clips of 4 frames."""
    write_clips(tmp_path / "data", range(SEEDS[0], SEEDS[0] + 4), 4)
    return tmp_path / "data"


def words(data, root, *more):
    return "generate", "--data", data, "--split", SPLIT, "--cache", root, "--points", 4, "--device", "cpu", *more


def folder_of(root):
    return root / "mevis" / SPLIT


def put(path, age=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half")
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_temporary_file_of_a_dead_writer_goes_and_all_else_stays(tmp_path):
    dead, kept = put(tmp_path / ".v.0123456789ab.tmp.h5"), put(tmp_path / "v.h5")
    other = put(tmp_path / ".v.tmp.h5")
    before = Leftovers(tmp_path)
    assert list(find_temporaries(tmp_path)) == [dead]
    assert before.clear(alone=True) == 1
    assert sorted(tmp_path.iterdir()) == sorted([other, kept])


def test_a_file_that_is_being_written_stays(tmp_path):
    ready, go = threading.Event(), threading.Event()

    def write():
        with atomic_path(tmp_path / "v.h5") as temporary:
            temporary.write_text("half")
            ready.set()
            while not go.wait(0.1):
                with temporary.open("a") as file:
                    file.write("more")

    writer = threading.Thread(target=write)
    writer.start()
    ready.wait()
    assert Leftovers(tmp_path).clear(alone=True) == 0
    go.set()
    writer.join()
    assert [path.name for path in tmp_path.iterdir()] == ["v.h5"]


def test_beside_another_job_only_a_file_of_long_ago_goes(tmp_path):
    put(tmp_path / ".a.0123456789ab.tmp.h5", age=60)
    old = put(tmp_path / ".b.0123456789ab.tmp.h5", age=LONG + 60)
    assert Leftovers(tmp_path).clear(alone=False) == 1
    assert not old.exists()


def test_a_record_lives_with_its_job_and_says_whose_it_was(tmp_path, monkeypatch):
    from tracksift.scheduling import record

    written = threading.Event()
    write = record._write
    monkeypatch.setattr(record, "_write", lambda *words: (write(*words), written.set())[0])
    now = new_record({"workers": 1}).model_copy(update={"in_work": ["a"], "videos": 3, "made": 1})
    with recorded(tmp_path / "mevis" / "valid", lambda: now):
        assert written.wait(5)
        (standing,) = read_standing(tmp_path)
        assert (len(standing.running), standing.running[0].made) == (1, 1)
    assert list(tmp_path.rglob("*.json")) == []
    with pytest.raises(TrackSiftError), recorded(tmp_path / "mevis" / "valid", lambda: now):
        raise TrackSiftError("stop")
    (standing,) = read_standing(tmp_path)
    assert (standing.running, standing.records[0].state) == ((), "stopped")


def test_a_record_of_a_dead_process_or_a_silent_machine_is_not_alive():
    now = new_record({})
    assert now.alive
    assert not now.model_copy(update={"born": now.born + 1}).alive
    assert now.model_copy(update={"host": "elsewhere"}).alive
    assert not now.model_copy(update={"host": "elsewhere", "updated": now.updated - 200}).alive


def test_status_says_what_failed_and_refuses_what_is_none_of_ours(command, tmp_path):
    from tracksift.generate import JobResult
    from tracksift.scheduling.quarantine import note_failure

    folder = tmp_path / "mevis" / "valid"
    note_failure(Job("b", tmp_path, folder / "b.h5"), JobResult("b", "failed", cause="no light"), "s")
    put(folder / "a.h5")
    stopped = new_record({}).model_copy(update={"state": "stopped", "videos": 5, "made": 1})
    (folder / ".job-1.json").write_text(stopped.model_dump_json())
    outcome = command("status", "--cache", tmp_path)
    assert outcome.code == 0, outcome.err
    assert "no light" in outcome.out
    assert "1/5" in outcome.out
    figures = outcome.figures
    assert (figures["caches"], figures["failures"], figures["jobs_running"], figures["jobs_stopped"]) == (1, 1, 0, 1)
    (folder / ".job-2.json").write_text("{}")
    refused = command("status", "--cache", tmp_path)
    assert refused.code == 2
    assert ".job-2.json: expected a record of a job" in refused.err
    with pytest.raises(InputError, match="expected a folder of caches"):
        read_standing(tmp_path / "none")


def test_costs_come_from_headers_and_a_broken_video_is_last(clips, tiny_video, tmp_path):
    place = clips / SPLIT / "JPEGImages" / f"clip{SEEDS[0]}"
    folder = Job("a", place, tmp_path / "a.h5", 8.0, ("00000", "00001"))
    file, broken = Job("b", tiny_video, tmp_path / "b.h5"), Job("c", tmp_path / "gone.mp4", tmp_path / "c.h5")
    sizes = [job_size(job) for job in (broken, folder, file)]
    assert [size.frames for size in sizes] == [0, 2, 6]
    assert sizes[0] == Size(0, 0)
    assert job_size(Job("d", place, tmp_path / "d.h5", 8.0)).frames == 4
    assert costliest_first((broken, folder, file), sizes) == [2, 1, 0]
    put(tmp_path / "b.h5")
    assert costliest_first((broken, folder, file), sizes) == [1, 0, 2]


def test_a_video_deleted_under_a_job_is_named_and_the_others_are_made(command, clips, tmp_path):
    (first, *_) = gone = sorted((clips / SPLIT / "JPEGImages").iterdir())
    shutil.rmtree(first)
    outcome = command(*words(clips, tmp_path / "caches"))
    assert outcome.code == 2
    assert f"1 of 4 videos failed: {first.name}" in outcome.err
    assert "found nothing there" in outcome.err
    assert (outcome.figures["made"], outcome.figures["failures"]) == (3, 1)
    assert len(list(folder_of(tmp_path / "caches").glob("*.h5"))) == len(gone) - 1


def test_killed_jobs_leave_what_a_restart_makes_whole(tmp_path):
    assert survival.survive(tmp_path, 3, clips=2, frames=2).kills == 3


@pytest.mark.slow
def test_thirty_kills_lose_nothing(tmp_path):
    assert survival.survive(tmp_path, 30, seed=2).kills == 30


def start(*more, **options):
    line = [sys.executable, "-m", "scripts", *map(str, more)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def until(there, seconds=120.0):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, "expected it to come about"
        time.sleep(0.02)


def children(process):
    return [int(p) for p in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.slow
def test_workers_of_a_killed_job_end_and_a_restart_goes_on(clips, tmp_path, command):
    root = tmp_path / "caches"
    job = start(*words(clips, root, "--workers", 2))
    until(lambda: list(root.rglob("*.h5")))
    workers = children(job.pid)
    until(lambda: list(folder_of(root).glob(".job-*.json")) or job.poll() is not None)
    if job.poll() is None:
        running = command("status", "--cache", root).figures
        assert (running["jobs_running"], running["videos"]) == (1, 4)
    job.kill()
    job.wait()
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), 30)
    assert command("status", "--cache", root).figures["jobs_stopped"] <= 1
    outcome = command(*words(clips, root))
    assert outcome.code == 0, outcome.err
    assert outcome.figures["made"] + outcome.figures["kept"] == 4
    assert sorted(p.suffix for p in folder_of(root).iterdir()) == [".h5"] * 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_finishes_what_is_in_work(clips, tmp_path, kind, command):
    root = tmp_path / "caches"
    job = start(*words(clips, root, "--workers", 2), start_new_session=True)
    until(lambda: list(root.rglob("*.h5")))
    os.killpg(job.pid, kind)
    out, err = job.communicate(timeout=120)
    assert "Traceback" not in err
    made = json.loads(out.splitlines()[-1])["made"]
    if made < 4:
        assert job.returncode == 128 + kind, err
        assert f"stopped with {4 - made} of 4 videos not begun" in err
    assert len([verify_cache(path) for path in root.rglob("*.h5")]) == made
    assert find_temporaries(folder_of(root)) == {}


@pytest.mark.slow
def test_a_second_signal_discards_what_is_in_work_and_leaves_no_half_file(clips, tmp_path):
    root = tmp_path / "caches"
    job = start(*words(clips, root, "--workers", 2), start_new_session=True)
    until(lambda: list(root.rglob("*.h5")))
    os.killpg(job.pid, signal.SIGINT)
    time.sleep(0.1)
    os.killpg(job.pid, signal.SIGINT)
    _, err = job.communicate(timeout=120)
    assert job.returncode == 130
    assert "Traceback" not in err
    assert all(verify_cache(path) for path in root.rglob("*.h5"))
    assert find_temporaries(folder_of(root)) == {}


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_costs_no_more_than_two_videos(command, clips, tmp_path):
    root, before = tmp_path / "caches", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))  # what a file may grow to here stands for the disk
    try:
        outcome = command(*words(clips, root))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert outcome.code == 2
    assert "stopped with 2 of 4 videos not begun and 2 failed: output" in outcome.err
    assert "expected room to write" in outcome.err
    assert [path.name[:5] for path in folder_of(root).iterdir()] in ([".job-"], [])  # the record of a stopped job
    assert command(*words(clips, root)).figures["made"] == 4
    assert sorted(p.suffix for p in folder_of(root).iterdir()) == [".h5"] * 4


@pytest.fixture
def disk(tmp_path):
    """A tmpfs of its own, and a way to mount it anew with other options."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options):
        told = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        done = subprocess.run(told, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting a small tmpfs needs rights that this user lacks: {done.stderr.strip()}")

    mount("size=1m")
    yield place, lambda options: mount(f"remount,{options}")
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
def test_a_job_on_a_small_disk_keeps_what_is_whole_and_goes_on_when_there_is_room(command, clips, disk):
    place, mount = disk
    assert command(*words(clips, place, "--limit", 1)).figures["made"] == 1
    (whole,) = place.rglob("*.h5")
    before, used = whole.read_bytes(), shutil.disk_usage(place).used
    mount(f"size={used + 4096}")
    outcome = command(*words(clips, place))
    assert (outcome.code, "Traceback" in outcome.err) == (2, False)
    assert "no space left" in outcome.err or "expected room to write" in outcome.err
    assert (list(place.rglob("*.h5")), whole.read_bytes() == before) == ([whole], True)
    assert find_temporaries(folder_of(place)) == {}
    mount("size=1m")
    figures = command(*words(clips, place)).figures
    assert (figures["made"], figures["kept"]) == (3, 1)
    assert len([verify_cache(path) for path in place.rglob("*.h5")]) == 4


@pytest.mark.slow
def test_a_read_only_folder_is_one_sentence_and_whole_files_in_it_still_serve(command, clips, disk, tmp_path):
    place, mount = disk
    assert command(*words(clips, place)).figures["made"] == 4
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    mount("ro")
    outcome = command(*words(clips, place, "--overwrite"))
    assert (outcome.code, "Traceback" in outcome.err) == (2, False)
    assert "permission denied" in outcome.err
    served = ("--data", clips, "--split", SPLIT, "--cache", place, "--out", tmp_path / "out", "--no-pictures")
    assert command("predict", *served).code == 0
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_a_place_that_is_no_folder_is_one_sentence(command, clips, tmp_path):
    put(tmp_path / "file")
    outcome = command(*words(clips, tmp_path / "file"))
    assert outcome.code == 2
    assert "expected a folder, got a file at" in outcome.err


@pytest.mark.slow
def test_two_jobs_on_one_folder_at_once_do_no_harm(clips, tmp_path):
    root = tmp_path / "caches"
    jobs = [start(*words(clips, root)) for _ in range(2)]
    ends = [job.communicate(timeout=240) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], [err for _, err in ends]
    assert len([verify_cache(path) for path in root.rglob("*.h5")]) == 4
    assert sorted(p.suffix for p in folder_of(root).iterdir()) == [".h5"] * 4


@pytest.mark.slow
def test_data_that_vanish_under_a_job_fail_video_by_video_and_come_back_by_themselves(clips, tmp_path, command):
    root = tmp_path / "caches"
    job = start(*words(clips, root))
    until(lambda: list(root.rglob("*.h5")))
    clips.rename(tmp_path / "away")
    _, err = job.communicate(timeout=120)
    assert job.returncode == 2
    assert "Traceback" not in err
    (tmp_path / "away").rename(clips)
    outcome = command(*words(clips, root))
    assert outcome.code == 0, outcome.err
    assert sorted(p.suffix for p in folder_of(root).iterdir()) == [".h5"] * 4


@pytest.mark.slow
def test_caches_that_vanish_under_a_job_are_made_again(clips, tmp_path, command):
    root = tmp_path / "caches"
    job = start(*words(clips, root))
    until(lambda: list(root.rglob("*.h5")))
    shutil.rmtree(root, ignore_errors=True)
    job.communicate(timeout=120)
    outcome = command(*words(clips, root))
    assert outcome.code == 0, outcome.err
    assert len([verify_cache(path) for path in root.rglob("*.h5")]) == 4
