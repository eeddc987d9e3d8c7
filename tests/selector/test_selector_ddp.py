"""Several processes learn what one learns: the same steps, to rounding."""

import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load_file

from tests.documented import ROOT
from tests.selector.conftest import write_examples


@pytest.mark.slow
def test_two_processes_follow_the_curve_of_one(tmp_path):
    folder = tmp_path / "caches"
    folder.mkdir()
    write_examples(folder, looks=True)
    environment = {k: v for k, v in os.environ.items() if k not in ("LOCAL_RANK", "RANK", "NODE_RANK")}
    for devices in (1, 2):
        words = [sys.executable, "-m", "tests.selector.ddp_training", str(folder), str(devices)]
        done = subprocess.run(
            words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
    curves = [np.loadtxt(tmp_path / f"out{n}" / "selector.csv", delimiter=",", skiprows=1) for n in (1, 2)]
    assert curves[0].shape == (3, 5)
    np.testing.assert_allclose(curves[1], curves[0], atol=2e-3)
    assert curves[0][-1, 1] < curves[0][0, 1]
    one, two = (load_file(tmp_path / f"out{n}" / "selector.safetensors") for n in (1, 2))
    for name, tensor in one.items():
        np.testing.assert_allclose(two[name].float(), tensor.float(), atol=5e-3, err_msg=name)
