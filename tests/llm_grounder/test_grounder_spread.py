"""Several processes learn what one learns that accumulates as many batches: the same steps, to rounding."""

import os
import subprocess
import sys

import numpy as np
import pytest

from llm_grounder.checkpoints import load_grounder
from llm_grounder.training import STATE, Spread
from tests.documented import ROOT
from tracksift.models import grounder_folder

LAUNCHED = ("LOCAL_RANK", "RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def run(folder, *words):
    program = [sys.executable, "-m", "tests.llm_grounder.spread_training", str(folder), *words]
    environment = {k: v for k, v in os.environ.items() if k not in LAUNCHED}
    return subprocess.run(
        program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    done = run(folder, "single")
    assert done.returncode == 0, done.stderr[-3000:]
    return load_grounder(folder / "grounder")


def same_weights(one, other, bound):
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        np.testing.assert_allclose(b.float(), a.float(), atol=bound, err_msg=name)


def test_no_parameter_is_a_scalar_which_fsdp_refuses():
    grounder, _ = load_grounder(grounder_folder("miniature"))
    assert not [name for name, parameter in grounder.named_parameters() if not parameter.ndim]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_follow_the_curve_of_one_that_takes_both_their_batches(alone, tmp_path, strategy):
    done = run(tmp_path, strategy)
    assert done.returncode == 0, done.stderr[-3000:]
    (one, record), (two, other) = alone, load_grounder(tmp_path / "grounder")
    assert [line["step"] for line in other["lines"]] == [0, 10, 11]
    assert other["drawn"] == record["drawn"]
    for a, b in zip(record["lines"], other["lines"], strict=True):
        assert b["drawn"] == a["drawn"]
        assert b["total"] == pytest.approx(a["total"], abs=1e-4)
    assert record["lines"][-1]["total"] < 0.9 * record["lines"][0]["total"]
    # What a softmax cancels has a gradient of nothing but rounding, which FSDP sums in another order.
    same_weights(one, two, 1e-5 if strategy == "ddp" else 3e-4)


@pytest.mark.slow
def test_a_signal_ends_both_processes_and_they_go_on_to_the_same_weights(alone, tmp_path):
    halted = run(tmp_path, "ddp", "halt")
    assert halted.returncode != 0
    assert "ended by SIGTERM; --resume goes on from its last state" in halted.stderr
    assert (tmp_path / STATE).exists()
    resumed = run(tmp_path, "ddp", "resume")
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    grounder, record = load_grounder(tmp_path / "grounder")
    assert record["drawn"] == alone[1]["drawn"]
    same_weights(alone[0], grounder, 1e-5)


def test_a_process_knows_which_it_is(monkeypatch):
    for name in (*LAUNCHED, "SLURM_PROCID", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    assert Spread(devices=2, strategy="ddp").rank == 0
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert (Spread(devices=2, strategy="ddp").rank, Spread().rank) == (1, 0)
