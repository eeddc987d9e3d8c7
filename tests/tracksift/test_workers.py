"""Several processes give the caches that one gives."""

import shutil

import numpy as np
import pytest

from cache import open_cache
from core.errors import InputError
from proposals.settings import ProposalSettings
from tracksift.models import Models
from tracksift.workers import generate_in_parallel


def test_two_processes_keep_what_one_has_made(command, world, caches):
    outcome = command("generate", "--data", world, "--cache", caches, "--workers", 2, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    assert (outcome.figures["kept"], outcome.figures["made"]) == (2, 0)


def test_fewer_than_one_process_is_refused():
    with pytest.raises(InputError, match="--workers"):
        generate_in_parallel([], Models().tracker_spec, "cpu", ProposalSettings(), 0)


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
