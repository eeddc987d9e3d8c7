"""The Triton kernel computes what plain torch does; without a GPU it runs in Triton's interpreter, in a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")

SCRIPT = """
import sys, torch
from proposals.rotary_keys import make_keys, project
device = sys.argv[1]
torch.manual_seed(0)
objects, frames, pixels, pointers, width, memory = 3, 2, 49, 5, 64, 32
tokens = torch.randn(objects, frames * pixels + pointers, memory)
weight, bias = torch.randn(width, memory), torch.randn(width)
angle = torch.randn(pixels, width // 2)
turn = (angle.cos(), angle.sin())
want = make_keys(tokens, weight, bias, turn, frames * pixels)  # on the CPU: plain torch
assert torch.equal(want[:, -pointers:], torch.nn.functional.linear(tokens, weight, bias)[:, -pointers:])
given = [each.to(device) for each in (tokens, weight, bias, *turn)]
for rows, together in ((64, 1), (64, 2), (32, 4)):
    got = project(*given[:3], tuple(given[3:]), frames * pixels, rows=rows, together=together).cpu()
    error = (got - want).norm() / want.norm()
    assert error < (1e-5 if device == "cpu" else 1e-2), (rows, together, error)
"""


def run(device, **environment):
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, device],
        cwd=root,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_keys_in_tritons_interpreter_equal_plain_torch():
    done = run("cpu", TRITON_INTERPRET="1")
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_keys_on_a_gpu_equal_plain_torch():
    done = run("cuda")
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_keys_are_written_on_the_gpu_that_holds_the_tokens():
    done = run("cuda:1")
    assert done.returncode == 0, done.stderr
