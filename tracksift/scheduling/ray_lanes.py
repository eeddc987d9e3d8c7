"""Workers on a Ray cluster: one actor a lane, placed by Ray where its share of a GPU is free.

Ray is an extra, and imported only when it is asked for. Knows actors and resources. Does not know jobs.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from core.errors import InputError, TrackSiftError
from tracksift.generate import JobResult
from tracksift.scheduling.lanes import Opener, Work

CONNECT = 10.0
"""Seconds for a cluster to answer."""
LOCAL = "local"
"""Ray's name for a cluster of this machine that ends with the job."""


@contextmanager
def ray_lanes(address: str | None, opener: Opener, share: float | None) -> Iterator[Callable[[int], RayLane]]:
    """A maker of lanes on the cluster at `address` (None: RAY_ADDRESS, or a cluster of this machine for this job).

    opener: is stored in the cluster once, not once a worker.   share: of a GPU for each worker, 0 for none; None for
    a whole one where the cluster has any.

    Raises:
        InputError: without Ray, for an address where no cluster answers, and a cluster without the GPU asked for.
    """
    ray = _ray()
    address = address or os.environ.get("RAY_ADDRESS") or LOCAL  # Ray itself would try the last cluster seen here
    mine = not ray.is_initialized()
    if mine:
        _check_address(address)
        try:
            ray.init(
                address=address, include_dashboard=False if address == LOCAL else None, log_to_driver=False,
                logging_level=logging.ERROR,
            )  # fmt: skip
        except (ConnectionError, ValueError) as error:
            raise InputError(f"--ray-address: expected a running Ray cluster at {address}, got {error}") from error
    try:
        gpus = float(ray.cluster_resources().get("GPU", 0))
        share = min(1.0, gpus) if share is None else share
        if share > gpus:
            raise InputError(f"--gpu-share: expected {share} of a GPU for each worker, got none in the Ray cluster")
        actor = ray.remote(_Actor).options(num_cpus=1, num_gpus=share, max_restarts=0)
        held = ray.put(opener)
        yield lambda _: RayLane(ray, actor, held)
    finally:
        if mine:
            ray.shutdown()


class RayLane:
    """A worker in a Ray actor; an actor that finds no room yet is simply not ready."""

    def __init__(self, ray: Any, actor: Any, opener: Any) -> None:
        self._ray, self._maker, self._opener = ray, actor, opener
        self._actor: Any = None

    def open(self) -> Future[TrackSiftError | None]:
        """Ask for an actor and load its models."""
        self._actor = self._maker.remote()
        return self._actor.open.remote(self._opener).future()  # type: ignore[no-any-return]

    def submit(self, number: int) -> Future[JobResult]:
        """Begin a job; its future fails when the actor or its node is lost."""
        return self._actor.run.remote(number).future()  # type: ignore[no-any-return]

    def close(self, *, now: bool = False) -> None:
        """End the actor; an idle one and one whose job is given up end the same way."""
        if self._actor is not None:
            self._ray.kill(self._actor)


class _Actor:
    """Runs on the cluster."""

    def __init__(self) -> None:
        self._work: Work | None = None

    def open(self, opener: Opener) -> TrackSiftError | None:
        try:
            self._work = opener()
        except TrackSiftError as error:
            return error
        return None

    def run(self, number: int) -> JobResult:
        assert self._work is not None, "opened before it is used"
        return self._work(number)


def _check_address(address: str) -> None:
    """Refuse HOST:PORT where nobody listens, for which Ray would wait many minutes; InputError."""
    host, colon, port = address.rpartition("//")[2].rpartition(":")
    if not (colon and port.isdigit()):
        return  # a name, such as auto, that Ray resolves
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--ray-address: expected a running Ray cluster at {address}, got {error}") from error


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise InputError("--ray: expected Ray, which is an extra: run `pip install 'tracksift[ray]'`") from error
    return ray
