"""The demonstration: rendered clips and the real MP4, from frames to files that a person can open."""

import json
from functools import partial
from pathlib import Path

import pytest

from miniature import demo
from miniature.world import layout, make_clip


@pytest.fixture(autouse=True)
def short_clips(monkeypatch, quick_grid):
    monkeypatch.setattr(layout, "make_clip", partial(make_clip, frames=8))


def test_the_demonstration_answers_about_clips_and_a_real_video(command, tiny_video, tmp_path):
    out = tmp_path / "out"
    outcome = command("demo", "--clips", 1, "--out", out, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    figures = outcome.figures
    assert {"jf", "j", "f", "oracle_jf", "no_target_accuracy", "n", "failures"} <= set(figures)
    assert figures["expressions"] == figures["n"] > 4
    assert figures["seconds"] > 0
    assert figures["failures"] == 0
    made = [p for p in (out / "answers").rglob("*") if p.is_file()]
    assert len(made) == figures["files"] == 6
    for folder in ("m200000", "cups"):
        assert {"answers.json", "overlay.mp4", "page.html"} == {p.name for p in (out / "answers" / folder).iterdir()}
    named = [Path(line.split(": open ")[1]) for line in outcome.out.splitlines() if ": open " in line]
    assert len(named) == 2
    assert all(path.is_file() for path in named)
    assert "not meant for real video" in outcome.out
    answers = json.loads((out / "answers" / "cups" / "answers.json").read_text())
    assert all(text in json.dumps(answers) for text in demo.REAL_EXPRESSIONS)


def test_a_dry_run_writes_nothing(command, tmp_path):
    outcome = command("demo", "--out", tmp_path / "out", "--dry-run")
    assert (outcome.code, outcome.figures["files"], outcome.figures["clips"]) == (0, 0, demo.CLIPS)
    assert list(tmp_path.iterdir()) == []


def test_the_real_video_comes_with_its_licence():
    assert demo.REAL_VIDEO.is_file()
    assert (demo.REAL_VIDEO.parent / "LICENSE.EdgeTAM").is_file()
