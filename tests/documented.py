"""Commands in Markdown, and a folder to run them in: small worlds and tiny weights stand in for large."""

import importlib
import re
import shlex
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file

from core import cli
from core.frames import open_video
from miniature import demo
from miniature.splits import SPLITS
from miniature.world import layout, make_clip
from proposals.checkpoints import build_sam2
from tests.proposals.conftest import TINY

ROOT = Path(__file__).parents[1]
FRAMES = 6
ADDED = {
    "tracksift train-selector": "--epochs 1 --batch 8",
    "python -m miniature.train_sam2": "--dry-run",
    "python -m miniature.train_clip": "--dry-run --clips 1",
    "python -m miniature.report": "--dry-run",
    "python -m miniature.track_world": "--splits calib,valid --train 1 --processes 1 --renderers 1 --device cpu",
}
"""What would take minutes on a GPU is asked for little, or for what it would do."""
HUB = "facebook/sam2.1-hiera-large"
DEMO = "make demo"


def blocks(text, language):
    """The fenced blocks whose info string is exactly `language`."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text, language="bash"):
    """The lines of such blocks, without comments."""
    lines = (line.split(" #")[0].strip() for block in blocks(text, language) for line in block.splitlines())
    return [line for line in lines if line]


def lay_desk(folder, video, monkeypatch):
    """What a reader has in a folder: a video, its frames; and small splits."""
    shutil.copy(video, folder / "clip.mp4")
    (folder / "frames").mkdir()
    for i, frame in enumerate(open_video(video)):
        Image.fromarray(frame).save(folder / "frames" / f"{i:05d}.jpg")
    for name, split in SPLITS.items():
        monkeypatch.setitem(SPLITS, name, replace(split, count=2 if name == "valid" else 1))
    monkeypatch.setattr(layout, "make_clip", partial(make_clip, frames=FRAMES))
    monkeypatch.setattr(demo, "REAL_VIDEO", folder / "clip.mp4")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "home"))
    monkeypatch.chdir(folder)
    return folder


def random_hub(folder):
    """A random tracker of SAM2's classes in place of the hub's."""
    flags = {"maskmem": 7, "pointers": 16, "stride": 1, "binarize": "false", "past": "true"}
    (folder / "large.yaml").write_text(TINY.format(target="sam2.modeling.sam2_base.SAM2Base", **flags))
    torch.manual_seed(0)
    state = build_sam2(folder / "large.yaml").state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "large.safetensors")
    return str(folder / "large.safetensors")


def run_line(line, command, hub=HUB):
    """Run one line of a document in this process, by the fixture `command`; its outcome."""
    line = line.removeprefix(".venv/bin/")
    if line == DEMO:
        return command("demo", "--clips", "1")
    added = next((more for start, more in ADDED.items() if line.startswith(start)), "")
    words = [hub if word == HUB else word for word in shlex.split(f"{line} {added}")]
    if words[0] == "tracksift":
        return command(*words[1:])
    if words[:2] == ["python", "-m"]:
        module = importlib.import_module(words[2])
        return command(*words[3:], app=partial(cli.run, module.app), name=words[2])
    raise AssertionError(f"expected a command of tracksift, python -m or make demo, got {line!r}")
