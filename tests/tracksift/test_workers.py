"""Several processes give the caches that one gives."""

import pytest

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
