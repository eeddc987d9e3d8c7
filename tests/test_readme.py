"""Every command of the README runs, in its order, in one folder: small worlds and tiny weights stand in for large."""

import importlib
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from core import cli
from core.frames import open_video
from miniature.splits import SPLITS
from miniature.world import layout, make_clip
from proposals.checkpoints import build_sam2
from tests.proposals.conftest import TINY

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ADDED = {
    "tracksift train-selector": "--epochs 1 --batch 8",
    "python -m miniature.train_sam2": "--dry-run",
    "python -m miniature.train_clip": "--dry-run --clips 1",
    "python -m miniature.report": "--dry-run",
}
"""What would take minutes on a GPU is asked for little, or for what it would do."""
HUB = "facebook/sam2.1-hiera-large"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line.split(" #")[0].strip() for block in blocks("bash") for line in block.splitlines() if line.strip()]


@pytest.fixture
def desk(tiny_video, tmp_path, monkeypatch, quick_grid):
    """A folder with what a reader of the README has: a video, a folder of frames; and small splits."""
    shutil.copy(tiny_video, tmp_path / "clip.mp4")
    (tmp_path / "frames").mkdir()
    for i, frame in enumerate(open_video(tiny_video)):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{i:05d}.jpg")
    for name, split in SPLITS.items():
        monkeypatch.setitem(SPLITS, name, replace(split, count=2 if name == "valid" else 1))
    monkeypatch.setattr(layout, "make_clip", partial(make_clip, frames=6))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hub(desk):
    """A random tracker of SAM2's classes in place of the hub's."""
    flags = {"maskmem": 7, "pointers": 16, "stride": 1, "binarize": "false", "past": "true"}
    (desk / "large.yaml").write_text(TINY.format(target="sam2.modeling.sam2_base.SAM2Base", **flags))
    torch.manual_seed(0)
    state = build_sam2(desk / "large.yaml").state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, desk / "large.safetensors")
    return str(desk / "large.safetensors")


def test_every_command_runs_as_written(command, desk, hub):
    ran = 0
    for line in COMMANDS:
        added = next((more for start, more in ADDED.items() if line.startswith(start)), "")
        words = [hub if word == HUB else word for word in shlex.split(f"{line} {added}")]
        if words[0] == "tracksift":
            outcome = command(*words[1:])
        elif words[:2] == ["python", "-m"]:
            module = importlib.import_module(words[2])
            outcome = command(*words[3:], app=partial(cli.run, module.app), name=words[2])
        else:
            assert words[0] == "make", f"README: expected commands of tracksift, python -m or make, got {line!r}"
            continue
        assert outcome.code == 0, f"{line}\n{outcome.err}"
        ran += 1
    assert ran >= 8
    for folder in ("answers/clip", "answers/frames", "answers/m200000"):
        assert {"answers.json", "overlay.mp4", "page.html"} == {p.name for p in (desk / folder).iterdir()}


def test_the_python_of_the_readme_runs(desk, capsys):
    (block,) = blocks("python")
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(" True ")[0].split(" False ")[0] for line in printed] == [
        "the yellow disc",
        "the red object on the left",
    ]


def test_every_target_of_make_exists():
    targets = {line.split()[1] for line in COMMANDS if line.startswith("make ")} | set(
        re.findall(r"`make ([\w-]+)`", README)
    )
    assert targets
    for target in targets:
        planned = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert planned.returncode == 0, planned.stderr


def test_every_file_that_the_readme_points_to_exists():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_table_lists_every_command():
    from scripts.__main__ import app

    assert set(re.findall(r"^\| `tracksift ([\w-]+)`", README, re.MULTILINE)) == {
        c.name for c in (*app.registered_commands, *app.registered_groups)
    }
