"""The schedule alone, over lanes of threads: lost workers, short memory, order, stopping."""

import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from core.errors import CheckpointError, InputError, TrackSiftError
from tracksift.generate import JobResult
from tracksift.scheduling.lanes import ProcessLane
from tracksift.scheduling.placement import place_workers
from tracksift.scheduling.schedule import LOSSES, Schedule
from tracksift.scheduling.stopping import stop_on_signals


class Lane:
    """A thread; what `work` raises means that the worker is gone."""

    def __init__(self, work, error=None):
        self._pool, self._run, self._error = ThreadPoolExecutor(1), work, error

    def open(self):
        return self._pool.submit(lambda: self._error)

    def submit(self, number):
        return self._pool.submit(self._run, number)

    def close(self, *, now=False):
        self._pool.shutdown(wait=False, cancel_futures=True)


class Never(Lane):
    """A worker that finds no room on its cluster."""

    def open(self):
        return Future()


def made(number):
    return JobResult(str(number), "made")


def run(work, jobs=4, width=2, lane=Lane, **options):
    opened = []

    def make(index):
        opened.append(index)
        return lane(work) if isinstance(lane, type) else lane(index, work)

    schedule = Schedule(range(jobs), make, width, names=[str(n) for n in range(jobs)], **options)
    return dict(schedule.run()), opened, schedule


def test_every_job_is_done_once_by_no_more_workers_than_jobs():
    seen = []
    results, opened, _ = run(lambda n: seen.append(n) or made(n), jobs=3, width=8)
    assert sorted(seen) == [0, 1, 2]
    assert sorted(results) == [0, 1, 2]
    assert len(opened) == 3


def test_one_worker_takes_jobs_in_order():
    seen = []
    run(lambda n: seen.append(n) or made(n), width=1)
    assert seen == [0, 1, 2, 3]


def test_a_job_whose_worker_is_lost_is_done_by_another():
    lost = [2]

    def work(number):
        if number in lost:
            lost.remove(number)
            raise BrokenProcessPool("killed")
        return made(number)

    results, _, schedule = run(work)
    assert {r.state for r in results.values()} == {"made"}
    assert schedule.width == 2


def test_a_job_that_takes_its_workers_with_it_is_given_up_and_named():
    tries = []

    def work(number):
        if number == 1:
            tries.append(number)
            raise BrokenProcessPool("killed")
        return made(number)

    results, _, schedule = run(work)
    assert len(tries) == LOSSES
    assert [results[n].state for n in range(4)] == ["made", "failed", "made", "made"]
    assert (results[1].fault, results[1].video_id) == ("lost", "1")
    assert schedule.width == 1


def test_short_memory_takes_a_worker_away_and_the_job_is_tried_again():
    both, held = threading.Barrier(2, timeout=10), []

    def work(number):
        if number < 2 and not held:
            both.wait()
            if number == 1:
                held.append(number)
                return JobResult("1", "failed", fault="memory")
            while not held:
                pass
        return made(number)

    results, _, schedule = run(work)
    assert {r.state for r in results.values()} == {"made"}
    assert schedule.width == 1


def test_short_memory_of_a_lone_worker_is_a_failure():
    results, _, _ = run(lambda n: JobResult(str(n), "failed", fault="memory"), width=1, jobs=2)
    assert [r.state for r in results.values()] == ["failed", "failed"]


def test_a_worker_that_met_something_unexpected_is_replaced():
    results, opened, _ = run(lambda n: JobResult(str(n), "failed", fault="unexpected" if n == 0 else "input"), width=1)
    assert len(results) == 4
    assert len(opened) == 2


def test_workers_that_find_no_room_do_not_hold_the_others_up():
    results, opened, _ = run(made, lane=lambda index, work: (Never if index else Lane)(work))
    assert len(results) == 4
    assert opened == [0, 1]


def test_models_that_cannot_be_loaded_end_the_run():
    with pytest.raises(CheckpointError, match="no weights"):
        run(made, lane=lambda _, work: Lane(work, CheckpointError("no weights")))


def test_workers_that_end_while_they_load_end_the_run():
    class Broken(Lane):
        def open(self):
            future = Future()
            future.set_exception(BrokenProcessPool("killed"))
            return future

    with pytest.raises(TrackSiftError, match="expected them to load their models, got 3 that ended"):
        run(made, lane=Broken)


def test_stopping_begins_no_more_and_keeps_what_is_done():
    seen = []
    results, _, _ = run(lambda n: seen.append(n) or made(n), width=1, stopping=lambda: len(seen) >= 2)
    assert sorted(results) == seen == [0, 1]


@pytest.mark.parametrize("stopped", [False, True])
def test_a_signal_while_workers_end_waits_until_all_have(stopped):
    closed = []

    class Signalled(Lane):
        def close(self, *, now=False):
            if not closed:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)  # Python answers between two of its own steps
            closed.append(self)
            super().close(now=now)

    schedule = Schedule(range(2), lambda _: Signalled(made), 2, names=["0", "1"]).run()
    with stop_on_signals(None) as stop:
        next(schedule)
        with pytest.raises(KeyboardInterrupt):
            schedule.close() if stopped else list(schedule)
    assert (len(closed), stop.signal) == (2, signal.SIGINT)


def _kill_once(folder):
    """A worker that is killed at job 1, as by a system without memory, unless it was before."""

    def work(number):
        if number == 1 and not os.path.exists(f"{folder}/killed"):
            open(f"{folder}/killed", "x").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return JobResult(str(number), "made", tracks=os.getpid())

    return work


class Opener:
    def __init__(self, folder):
        self.folder = folder

    def __call__(self):
        return _kill_once(self.folder)


def test_a_killed_process_costs_its_job_one_try_and_the_others_nothing(tmp_path):
    schedule = Schedule(range(4), lambda _: ProcessLane(Opener(tmp_path)), 2, names=list("0123"))
    results = dict(schedule.run())
    assert (tmp_path / "killed").exists()
    assert {r.state for r in results.values()} == {"made"}
    assert os.getpid() not in {r.tracks for r in results.values()}


@pytest.mark.parametrize(
    ("given", "devices"),
    [
        ((3, "cpu", None, 4), ["cpu"] * 3),
        ((2, "auto", None, 0), ["auto"] * 2),
        ((5, "auto", None, 2), ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]),
        ((4, "cuda", 0.5, 2), ["cuda:0", "cuda:1"] * 2),
        ((2, "cuda:3", 0.5, 4), ["cuda:3"] * 2),
        ((10, "auto", 0.1, 1), ["cuda:0"] * 10),
    ],
)
def test_workers_are_spread_over_gpus_by_their_share(given, devices):
    assert place_workers(*given) == devices


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((3, "auto", 1.0, 2), "--workers: expected at most 2 on 2 GPUs at --gpu-share 1.0, got 3"),
        ((3, "cuda:1", 0.5, 2), "--workers: expected at most 2 on 1 GPU at"),
        ((1, "auto", 0.5, 0), "--gpu-share: expected a GPU to share"),
        ((1, "cpu", 0.5, 2), "--gpu-share: expected a GPU to share"),
        ((1, "auto", 0.0, 2), "--gpu-share: expected a share of one GPU"),
        ((1, "auto", 1.5, 2), "--gpu-share: expected a share of one GPU"),
    ],
)
def test_shares_that_leave_no_room_are_refused(given, words):
    with pytest.raises(InputError, match=words):
        place_workers(*given)
