"""A Ray cluster that loses a node in the middle of a job, on one machine."""

import collections
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cache import verify_cache
from core.errors import InputError
from miniature.clips import SPLIT, write_clips
from tests.conftest import SEEDS
from tracksift.ask import Pipeline
from tracksift.generate import JobResult
from tracksift.jobs import split_jobs
from tracksift.scheduling import RayChoice, run_jobs
from tracksift.scheduling.ray_lanes import ray_lanes
from tracksift.scheduling.schedule import Schedule
from tracksift.scheduling.worker import Recipe

ray = pytest.importorskip("ray", reason="Ray is an extra")
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's workers cannot import a test
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own, of its processes and sockets


@pytest.fixture
def cluster():
    """Two nodes of one CPU each; what runs here is on none of them."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.workers = [made.add_node(num_cpus=1) for _ in range(2)]
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()


class Slow:
    """A worker that writes a line for each job it begins and ends, and begins none before there is a second one."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self):
        (Path(self.folder) / f"ready{os.getpid()}").touch()
        return self.work

    def work(self, number):
        while len(list(Path(self.folder).glob("ready*"))) < 2:
            time.sleep(0.05)
        self._say(f"begin {number}")
        time.sleep(0.4)
        self._say(f"end {number}")
        return JobResult(str(number), "made", tracks=os.getpid())

    def _say(self, text):
        with open(f"{self.folder}/log", "a") as log:
            log.write(text + "\n")


def test_a_job_outlives_a_node_and_does_nothing_twice(cluster, tmp_path):
    results, lost = [], False
    with ray_lanes(cluster.address, Slow(str(tmp_path)), None) as make:
        schedule = Schedule(range(12), make, 2, names=[str(n) for n in range(12)])
        for number, result in schedule.run():
            results.append((number, result))
            if not lost and len({r.tracks for _, r in results}) == 2:
                cluster.remove_node(cluster.workers.pop())
                lost = True
    assert lost
    assert sorted(number for number, _ in results) == list(range(12))
    assert {r.state for _, r in results} == {"made"}
    ended = collections.Counter(line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("end"))
    begun = (tmp_path / "log").read_text().count("begin")
    assert set(ended.values()) == {1}
    assert len(ended) == 12
    assert begun <= 13  # the lost node's one


def test_caches_of_a_cluster_that_lost_a_node_are_those_of_one_process(cluster, tmp_path):
    write_clips(tmp_path / "data", range(SEEDS[0], SEEDS[0] + 5), 6)
    pipeline = Pipeline(device="cpu")
    settings = replace(pipeline.proposals, grid=replace(pipeline.proposals.grid, points_per_side=4))
    made = {}
    for place in ("one", "ray"):
        _, jobs = split_jobs(tmp_path / "data", SPLIT, tmp_path / place)
        recipe = Recipe(jobs, pipeline.models.tracker_spec, "cpu", settings, threads=1)  # two threads round otherwise
        if place == "one":
            ended = run_jobs(recipe)
        else:
            killed = []

            def lose(_, killed=killed):
                if not killed:
                    killed.append(cluster.workers.pop())
                    cluster.remove_node(killed[0])

            ended = run_jobs(recipe, workers=2, ray=RayChoice(cluster.address), on_progress=lose)
            assert killed
        assert [r.state for r in ended.results] == ["made"] * 5
        made[place] = {path.name: path.read_bytes() for path in sorted(jobs[0].cache.parent.iterdir())}
        assert [verify_cache(job.cache).content_sha256 for job in jobs]
    assert made["one"] == made["ray"]


def test_shares_of_gpus_are_places_on_the_cluster(tmp_path):
    ray.init("local", num_cpus=4, num_gpus=2, include_dashboard=False, logging_level="ERROR")
    try:
        with ray_lanes(None, Where(), 0.5) as make:
            lanes = [make(i) for i in range(4)]
            assert [lane.open().result(timeout=120) for lane in lanes] == [None] * 4
            places = [lane.submit(0).result(timeout=60).cause for lane in lanes]
            waiting = make(4)
            assert not waiting.open().done()
            for lane in (*lanes, waiting):
                lane.close()
        assert sorted(places) == ["0", "0", "1", "1"]
        with pytest.raises(InputError, match="--gpu-share"), ray_lanes(None, Where(), 3.0):
            pass
    finally:
        ray.shutdown()


class Where:
    """A worker that says which GPU it may see."""

    def __call__(self):
        return lambda number: JobResult("v", "made", cause=os.environ["CUDA_VISIBLE_DEVICES"])


class Sharing:
    """A worker that notes when it begins and ends a job, on which node and GPU, once there are `wanted` workers."""

    def __init__(self, folder, wanted):
        self.folder, self.wanted = folder, wanted

    def __call__(self):
        self.place = f"{ray.get_runtime_context().get_node_id()} {os.environ['CUDA_VISIBLE_DEVICES']}"
        Path(self.folder, f"ready{os.getpid()}").touch()
        return self.work

    def work(self, number):
        while len(list(Path(self.folder).glob("ready*"))) < self.wanted:
            time.sleep(0.05)
        begun = time.time()
        time.sleep(0.3)
        Path(self.folder, str(number)).write_text(f"{self.place} {begun} {time.time()}")
        return JobResult(str(number), "made", cause=self.place)


@pytest.mark.parametrize(("share", "most"), [(0.4, 2), (1.0, 1)])
def test_workers_of_two_nodes_share_their_gpus_and_no_gpu_has_more_than_fit(tmp_path, share, most):
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            made.add_node(num_cpus=4, num_gpus=1)
        made.wait_for_nodes()
        with ray_lanes(made.address, Sharing(str(tmp_path), 2 * most), share) as make:
            schedule = Schedule(range(12), make, 2 * most + 1, names=[str(n) for n in range(12)])  # one finds no room
            results = dict(schedule.run())
    finally:
        ray.shutdown()
        made.shutdown()
    assert sorted(results) == list(range(12))
    assert {r.state for r in results.values()} == {"made"}
    by_gpu = collections.defaultdict(list)
    for path in tmp_path.glob("[0-9]*"):
        node, gpu, begun, ended = path.read_text().split()
        by_gpu[node, gpu].append((float(begun), float(ended)))
    assert len(by_gpu) == 2
    for times in by_gpu.values():
        together = [sum(a <= begun < b for a, b in times) for begun, _ in times]
        assert max(together) == most


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999", "auto"])
def test_an_address_where_no_cluster_answers_is_named(address):
    with pytest.raises(InputError, match="--ray-address"), ray_lanes(address, Where(), 0.0):
        pass
