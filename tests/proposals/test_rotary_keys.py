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
from proposals.memory_attention import _keys
from proposals.rotary_keys import write_keys
device = sys.argv[1]
torch.manual_seed(0)
objects, frames, pixels, pointers, width, memory = 3, 2, 49, 5, 64, 32
tokens = torch.randn(objects, frames * pixels + pointers, memory, device=device)
tables, weight = torch.randn(frames, pixels, width, device=device), torch.randn(width, memory, device=device)
angle = torch.randn(pixels, width // 2, device=device)
turn = (angle.cos(), angle.sin())
place = torch.zeros(objects, pointers, memory, device=device)
want = _keys(tokens, tables, place, weight, torch.zeros(width, device=device), turn)
out = torch.full_like(want, float("nan"))
write_keys(out, tokens, tables, weight, turn)
spatial = frames * pixels
error = (out[:, :spatial] - want[:, :spatial]).norm() / want[:, :spatial].norm()
assert error < (1e-2 if device == "cuda" else 1e-5), error
assert out[:, spatial:].isnan().all(), "pointers are not the kernel's"
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
