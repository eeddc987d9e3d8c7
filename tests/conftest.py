"""What tests of whole pipelines share: a tiny rendered world, its caches, a tiny MP4, and a way to run commands."""

import importlib
import json
import sys
from dataclasses import dataclass, replace
from functools import partial

import av
import pytest

from miniature.world import layout, make_clip
from miniature.world.layout import write_split
from scripts import __main__ as entry

FRAMES = 10
SEEDS = (200_041, 200_084)
"""Two seeds of `valid`, cut to FRAMES frames: choices may be made on valid, tests may look at it."""
VIDEOS = ("m200041", "m200084")


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def figures(self):
        """The last line of standard output."""
        return json.loads(self.out.splitlines()[-1])


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `tracksift WORDS...` in this process, through the same door as a shell."""

    def run(*words, app=entry.run, name="tracksift"):
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        capsys.readouterr()
        try:
            app()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def quick_grid(monkeypatch):
    """Fewer grid prompts: tracking takes a third, and finds fewer tracks."""
    ask = importlib.import_module("tracksift.ask")  # the package's own name for it is the function
    monkeypatch.setattr(ask, "MINIATURE_GRID", replace(ask.MINIATURE_GRID, points_per_side=4))


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder in MeViS's layout with the split `valid`: two clips of FRAMES frames."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "make_clip", partial(make_clip, frames=FRAMES))
        write_split(folder / "valid", SEEDS)
    return folder


@pytest.fixture(scope="session")
def caches(world, tmp_path_factory):
    """Caches of `world` by the miniature's weights, grid prompts. Read them; a test that writes takes a copy."""
    from tracksift.ask import Pipeline
    from tracksift.generate import generate
    from tracksift.jobs import split_jobs

    root = tmp_path_factory.mktemp("caches")
    _, jobs = split_jobs(world, "valid", root)
    pipeline = Pipeline(device="cpu")
    made = generate(jobs, pipeline.tracker, pipeline.proposals, image_encoder=pipeline.image_encoder)
    assert [r.state for r in made] == ["made", "made"]
    return root


@pytest.fixture(scope="session")
def tiny_video(tmp_path_factory):
    """An MP4 of 6 frames of the rendered world."""
    path = tmp_path_factory.mktemp("videos") / "clip.mp4"
    clip = make_clip(SEEDS[0], frames=6)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt = *clip.frames.shape[1:3], "yuv420p"
        for picture in clip.frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path
