"""Jobs of a split: several processes give the caches that one gives, and what fails is noted and not tried in vain."""

import json
import os
import shutil
import signal
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from cache import open_cache, verify_cache
from core.errors import CheckpointError, InputError, OutputError
from miniature.clips import SPLIT, write_clips
from proposals.settings import ProposalSettings, Resources
from tests.conftest import SEEDS
from tracksift.generate import JobResult
from tracksift.jobs import Job
from tracksift.scheduling import RayChoice, run_jobs
from tracksift.scheduling.lanes import InlineLane
from tracksift.scheduling.quarantine import note_path, read_note
from tracksift.scheduling.worker import Recipe, Worker, halved


def recipe(jobs, **changes):
    return replace(Recipe(jobs, "tracker", "cpu", ProposalSettings()), **changes)


@pytest.fixture
def jobs(tmp_path):
    """Three videos of a folder each; nobody decodes them."""
    found = []
    for name in "abc":
        (tmp_path / "videos" / name).mkdir(parents=True)
        found.append(Job(name, tmp_path / "videos" / name, tmp_path / "caches" / f"{name}.h5"))
    return found


@pytest.fixture
def ran(jobs):
    """Run the jobs here with a worker that writes a file, or does what `odd` says of a video; lists what it tried."""

    def run(odd=None, only=jobs, **options):
        tried = []

        def work(number):
            job = only[number]
            tried.append(job.video_id)
            if odd is not None and (result := odd(job)) is not None:
                return result
            job.cache.parent.mkdir(exist_ok=True)
            job.cache.write_text("tracks")
            return JobResult(job.video_id, "made", frames=1)

        changes = {name: options.pop(name) for name in ("tracker", "overwrite") if name in options}
        return run_jobs(recipe(only, **changes), here=lambda: work, **options), tried

    return run


def failing(*names, fault="input"):
    return lambda job: JobResult(job.video_id, "failed", cause="no", fault=fault) if job.video_id in names else None


def test_two_processes_keep_what_one_has_made(command, world, caches):
    outcome = command("generate", "--data", world, "--cache", caches, "--workers", 2, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    assert (outcome.figures["kept"], outcome.figures["made"]) == (2, 0)
    assert sorted(p.name for p in (caches / "mevis" / "valid").iterdir()) == ["m200041.h5", "m200084.h5"]


def test_processes_make_looks_and_keep_the_tracks(command, world, caches, tmp_path):
    shutil.copytree(caches, tmp_path / "c")
    flags = ("generate", "--data", world, "--cache", tmp_path / "c", "--workers", 2, "--device", "cpu")
    before = {path: open_cache(path) for path in (tmp_path / "c").rglob("m*.h5")}
    tokens = {path: file.tokens() for path, file in before.items()}
    assert command(*flags, "--no-looks").figures["made"] == 2
    assert all(open_cache(path).looks() is None for path in before)
    assert command(*flags).figures["made"] == 2
    for path, file in before.items():
        assert open_cache(path).content_sha256 == file.content_sha256
        np.testing.assert_array_equal(open_cache(path).tokens(), tokens[path])
        assert open_cache(path).looks().shape == (len(file), 128)


def test_videos_tracked_together_are_what_they_are_alone(command, world, caches, tmp_path, quick_grid):
    words = ("generate", "--data", world, "--device", "cpu", "--cache")
    one, both = command(*words, tmp_path / "one"), command(*words, tmp_path / "both", "--together", 2)
    assert (one.code, both.code, both.figures["made"]) == (0, 0, 2), both.err
    compared = command("cache", "diff", tmp_path / "one", tmp_path / "both").figures
    assert (compared["alone"], compared["only_in_b"]) == (0, 0)
    assert compared["tracks"] > 1
    assert min(compared["mean_iou"], compared["least_cosine"]) > 0.999


@pytest.mark.parametrize("flags", [("--workers", 2), ("--ray",)])
def test_videos_together_are_for_one_process(command, world, tmp_path, flags):
    outcome = command("generate", "--data", world, "--cache", tmp_path / "c", "--together", 2, *flags)
    assert outcome.code == 2
    assert "--together: expected" in outcome.err


def test_threads_share_one_worker(jobs):
    opened = []

    def here():
        opened.append(1)
        return lambda number: JobResult(jobs[number].video_id, "made", frames=1)

    ended = run_jobs(recipe(jobs), together=3, here=here)
    assert [result.state for result in ended.results] == ["made"] * 3
    assert opened == [1]
    with pytest.raises(InputError, match="--together"):
        run_jobs(recipe(jobs), together=3, workers=2, here=here)


def test_fewer_than_one_process_is_refused():
    with pytest.raises(InputError, match="--workers"):
        run_jobs(recipe([]), workers=0)


def test_models_that_cannot_be_loaded_are_named_by_a_process_too(jobs):
    with pytest.raises(CheckpointError, match=r"gone\.safetensors"):
        run_jobs(Recipe(jobs, "gone.safetensors", "cpu", ProposalSettings()))
    assert not jobs[0].cache.parent.exists()


def test_a_failed_video_is_left_out_until_it_is_asked_for(ran, jobs):
    (ended, tried) = ran(failing("b"))
    assert sorted(tried) == ["a", "b", "c"]
    assert [r.state for r in ended.results] == ["made", "failed", "made"]
    note = read_note(note_path(jobs[1].cache))
    assert (note.video, note.cause, note.fault) == ("b", "no", "input")
    (ended, tried) = ran()
    assert "b" not in tried
    assert "--retry-failed tries it again: no" in ended.results[1].cause
    (ended, tried) = ran(retry_failed=True)
    assert "b" in tried
    assert [r.state for r in ended.results] == ["made"] * 3
    assert sorted(p.name for p in jobs[0].cache.parent.iterdir()) == ["a.h5", "b.h5", "c.h5"]


@pytest.mark.parametrize("change", ["settings", "video", "overwrite", "gone"])
def test_a_failed_video_is_tried_again_when_something_has_changed(ran, jobs, change):
    if change == "gone":
        jobs[1].frames_path.rmdir()
    ran(failing("b"))
    if change == "video":
        (jobs[1].frames_path / "0.jpg").touch()
    changes = {"settings": {"tracker": "other"}, "overwrite": {"overwrite": True}}.get(change, {})
    assert "b" in ran(**changes)[1]


def test_a_file_that_another_job_made_counts_more_than_a_note(ran, jobs):
    ran(failing("b"))
    jobs[1].cache.write_text("tracks")
    assert "b" in ran()[1]
    assert not note_path(jobs[1].cache).exists()


def test_a_note_that_is_none_of_ours_is_named(ran, jobs):
    jobs[0].cache.parent.mkdir()
    note_path(jobs[0].cache).write_text("{}")
    with pytest.raises(InputError, match=r"a\.failed\.json: expected a note of a failed video"):
        ran()


def test_a_place_that_cannot_be_written_ends_the_job_and_blames_no_video(ran, jobs):
    ended, tried = ran(failing("a", "b", "c", fault="output"))
    assert len(tried) == 2
    assert ended.cause == "no"
    assert len(ended.results) == 2
    assert not any(note_path(job.cache).exists() for job in jobs)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_finishes_the_video_in_work_and_begins_no_more(ran, jobs, kind):
    said = []

    def asked(job):
        os.kill(os.getpid(), kind)

    before = signal.getsignal(kind)
    ended, _ = ran(asked, on_stop=lambda: said.append(True))
    assert ([r.state for r in ended.results], ended.signal, said) == (["made"], kind, [True])
    assert signal.getsignal(kind) == before
    assert len(ran()[0].results) == 3


def test_the_second_signal_discards_the_video_in_work(ran, jobs):
    def asked(job):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ran(asked)
    assert not jobs[0].cache.exists()


def test_videos_without_a_file_come_first_and_the_costliest_of_them_before_all(ran, jobs, monkeypatch):
    from tracksift.scheduling import run
    from tracksift.scheduling.costs import Size

    monkeypatch.setattr(run, "job_size", lambda job: Size({"a": 1, "b": 9, "c": 4}[job.video_id], 10))
    assert ran()[1] == ["b", "c", "a"]
    jobs[0].cache.unlink()
    assert ran()[1] == ["a", "b", "c"]


def test_progress_says_videos_frames_and_what_is_left(ran):
    notes = []
    ran(failing("c"), on_progress=lambda tally: notes.append(tally.note()))
    assert len(notes) == 3
    assert notes[-1].startswith("3/3 videos, ")
    assert notes[-1].endswith("frames/s, 1 failed")


def test_a_surprise_in_one_video_is_noted_with_its_stack_and_the_others_go_on(jobs, monkeypatch):
    from tracksift.scheduling import worker

    def surprise(job, *_, **__):
        raise ZeroDivisionError("by none") if job.video_id == "a" else OutputError("disk")

    monkeypatch.setattr(worker, "generate_one", surprise)
    result = Worker(jobs, Loaded(), ProposalSettings())(0)
    assert (result.state, result.fault) == ("failed", "unexpected")
    assert "ZeroDivisionError: by none" in result.cause
    assert "in surprise" in result.trace


@dataclass(frozen=True)
class Loaded:
    """A tracker of which only the batches matter."""

    resources: Resources = field(default_factory=Resources)


def test_batches_are_halved_until_a_video_fits_and_no_further_than_one(jobs, monkeypatch):
    from tracksift.scheduling import worker

    seen = []

    def tight(job, tracker, *_, **__):
        seen.append(tracker.resources.encoder_batch)
        if tracker.resources.encoder_batch > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return JobResult(job.video_id, "made")

    monkeypatch.setattr(worker, "generate_one", tight)
    fits, work = 2, Worker(jobs, Loaded(), ProposalSettings())
    assert [work(0).state, work(1).state] == ["made", "made"]
    assert seen == [8, 4, 2, 2]
    fits, work = 0, Worker(jobs, Loaded(), ProposalSettings())
    result = work(0)
    assert (result.state, result.fault) == ("failed", "memory")
    assert seen[-4:] == [8, 4, 2, 1]
    assert halved(Resources(encoder_batch=1)) is None


def test_ray_that_is_not_installed_is_said_with_what_to_install(jobs, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'tracksift\[ray\]'"):
        run_jobs(recipe(jobs), ray=RayChoice())


def test_notes_are_json_that_people_can_read(ran, jobs):
    ran(failing("a"))
    assert json.loads(note_path(jobs[0].cache).read_text())["cause"] == "no"


def test_workers_of_this_machine_are_executors_of_the_standard_library(jobs):
    from tracksift.scheduling.lanes import ProcessLane

    assert isinstance(ProcessLane(recipe(jobs).open)._pool, ProcessPoolExecutor)


@pytest.mark.parametrize(
    ("share", "device", "devices"),
    [
        (None, "auto", ["cuda:0", "cuda:1", "cuda:0"]),
        (0.5, "cuda", ["cuda:0", "cuda:1", "cuda:0"]),
        (0.3, "cuda:1", ["cuda:1"] * 3),
    ],
)
def test_every_process_of_a_machine_is_told_its_gpu(jobs, monkeypatch, share, device, devices):
    opened = []

    class Lane(InlineLane):
        def __init__(self, opener):
            recipe = opener.__self__
            opened.append(recipe.device)
            super().__init__(lambda: lambda number: JobResult(recipe.jobs[number].video_id, "made"))

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("tracksift.scheduling.run.ProcessLane", Lane)
    ended = run_jobs(recipe(jobs, device=device), workers=3, gpu_share=share)
    assert [result.state for result in ended.results] == ["made"] * 3
    assert opened == devices
    with pytest.raises(InputError, match="--workers: expected at most"):
        run_jobs(recipe(jobs, device=device), workers=7, gpu_share=share or 0.5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_workers_that_share_a_real_gpu_make_what_one_makes(command, tmp_path):
    write_clips(tmp_path / "data", range(SEEDS[0], SEEDS[0] + 4), 4)
    words = ("generate", "--data", tmp_path / "data", "--split", SPLIT, "--points", 4, "--device", "cuda")
    one = command(*words, "--cache", tmp_path / "one")
    shared = command(*words, "--cache", tmp_path / "two", "--workers", 2, "--gpu-share", 0.5)
    assert (one.code, shared.code, shared.figures["made"]) == (0, 0, 4), one.err + shared.err
    for path in sorted((tmp_path / "one").rglob("*.h5")):
        ours, theirs = (verify_cache(p) for p in (path, tmp_path / "two" / path.relative_to(tmp_path / "one")))
        assert ours.video.fingerprint == theirs.video.fingerprint
        assert len(ours) == len(theirs) > 0
        apart = np.abs(ours.tokens().astype(np.float32) - theirs.tokens())
        assert np.median(apart) < 0.01  # batches of a GPU round in their own order
    room = torch.cuda.device_count() * 2 + 1
    refused = command(*words, "--cache", tmp_path / "three", "--workers", room, "--gpu-share", 0.5)
    assert (refused.code, "--workers: expected at most" in refused.err) == (2, True)
