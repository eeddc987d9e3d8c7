"""Flipped and truncated bytes, read in child processes: a signal, a hang or other data is a failure."""

import os
from pathlib import Path

import numpy as np
import pytest

from cache import write_cache
from cache.children import Lost, run_each
from core.errors import CacheError
from core.types import Source
from tests.cache.reading import obey, read_damaged
from tests.factories import make_labels, make_track_set

FILES = Path(__file__).parent / "files"
BATCH = 25


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One file of each past schema, and larger ones of the present: long, many tracks, no tracks, odd ids."""
    folder, sources = tmp_path_factory.mktemp("sound"), tuple(Source)
    sets = [
        make_track_set(5, frames=40, look=16, width=32, sources=sources, absent=[(), (0, 4), range(40), (), ()]),
        make_track_set(0, frames=3),
        make_track_set(40, frames=8, width=16, video_id="../\u00e9\0"),
    ]
    paths = [FILES / f"schema{version}.h5" for version in (1, 2, 3)]
    for number, tracks in enumerate(sets):
        path = folder / f"{number}.h5"
        write_cache(path, tracks, make_labels(len(tracks.tracks)) if number != 1 else None)
        paths.append(path)
    return paths


def damages(files, flips, cuts, seed):
    """(file, (byte, mask) or (length, None)) of every file in turn, from a seed."""
    random, found = np.random.default_rng(seed), []
    for number in range(flips + cuts):
        path = files[number % len(files)]
        at = int(random.integers(path.stat().st_size))
        found.append((path, (at, int(random.integers(1, 256)) if number < flips else None)))
    return found


def read_all(files, folder, flips, cuts, seed):
    """Counts of named errors and harmless damages over all, in batches of one file each."""
    chosen, jobs = damages(files, flips, cuts, seed), []
    for path in files:
        mine = [damage for file, damage in chosen if file == path]
        jobs += [(path, folder, mine[i : i + BATCH]) for i in range(0, len(mine), BATCH)]
    results = run_each(read_damaged, jobs, workers=min(2, os.cpu_count() or 1), limit_s=60)
    assert not [(job[0], job[2], r.cause) for job, r in zip(jobs, results, strict=True) if isinstance(r, Lost)]
    assert not [(job[0], r[2]) for job, r in zip(jobs, results, strict=True) if r[2]]
    named, harmless = sum(r[0] for r in results), sum(r[1] for r in results)
    assert named + harmless == flips + cuts
    return named, harmless


def test_100_flips_and_50_truncations_are_named_or_without_effect(files, tmp_path):
    named, _ = read_all(files, tmp_path, 100, 50, seed=1)
    assert named > 100
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_2000_flips_and_500_truncations_are_named_or_without_effect(files, tmp_path):
    named, _ = read_all(files, tmp_path, 2000, 500, seed=2)
    assert named > 1500


def test_a_child_that_dies_leaves_or_hangs_is_an_answer_and_the_others_go_on():
    orders = ["a", "die", "b", "leave", "hang", "c", "d"]
    found = run_each(obey, orders, workers=2, limit_s=1.5)
    lost = {order: result.cause for order, result in zip(orders, found, strict=True) if isinstance(result, Lost)}
    assert lost == {
        "die": "the end of the reading process by SIGSEGV",
        "leave": "the end of the reading process by exit 3",
        "hang": "no end within 2 s",
    }
    assert [r[0] for r in found if not isinstance(r, Lost)] == ["a", "b", "c", "d"]
    assert os.getpid() not in {r[1] for r in found if not isinstance(r, Lost)}


def test_an_error_of_the_work_is_raised_and_no_work_is_none():
    with pytest.raises(CacheError, match="got fail"):
        run_each(obey, ["a", "fail"], workers=1, limit_s=5)
    assert run_each(obey, [], workers=3, limit_s=5) == []
