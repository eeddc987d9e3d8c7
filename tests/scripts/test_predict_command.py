"""`tracksift predict` over a video, a folder of videos and a split, in the forms that are asked for."""

import json
import shutil

import pytest
import torch

from core.scores import read_scores
from selector.calibration import Calibration
from selector.checkpoints import save_selector
from selector.relational import RelationalSelector
from selector.settings import RelationalSettings
from tests.conftest import VIDEOS
from tracksift.jobs import videos_in
from tracksift.models import WEIGHTS


@pytest.fixture
def videos(tiny_video, tmp_path):
    """A folder with two videos and a text file."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(tiny_video, folder / name)
    (folder / "notes.txt").write_text("no video")
    return folder


def test_a_folder_of_videos_is_answered_video_by_video(command, videos, tmp_path, quick_grid):
    words = ("predict", videos, "-e", "the circle", "-e", "a star", "--cache", tmp_path / "c", "--out", tmp_path / "o")
    ran = command(*words, "--format", "json", "--format", "png", "--json", "--device", "cpu")
    assert ran.code == 0, ran.err
    assert (ran.figures["videos"], ran.figures["expressions"], ran.figures["files"]) == (2, 4, 6)
    lines = [json.loads(line) for line in ran.out.splitlines()[:-1]]
    assert [(line["video"], line["expression"]) for line in lines] == [
        ("a", "the circle"), ("a", "a star"), ("b", "the circle"), ("b", "a star"),
    ]  # fmt: skip
    for line in lines:
        assert line["no_target"] == (not line["tracks"])
        assert 0 <= line["presence"] <= 1
        assert all(len(track["boxes"]) == 6 and track["spans"] for track in line["tracks"])
    assert {p.name for p in (tmp_path / "o").iterdir()} == {"a", "b", "masks"}
    assert {p.name for p in (tmp_path / "o" / "a").iterdir()} == {"answers.json"}
    assert len(list((tmp_path / "o" / "masks" / "b" / "1").iterdir())) == 6


def test_a_split_s_masks_are_named_after_its_frames(command, world, caches, tmp_path):
    words = ("--data", world, "--cache", caches, "--out", tmp_path, "--limit", 1, "--device", "cpu")
    ran = command("predict", *words, "--format", "png")
    assert ran.code == 0, ran.err
    first = next((tmp_path / "masks" / VIDEOS[0]).iterdir())
    frames = sorted(p.stem for p in (world / "valid" / "JPEGImages" / VIDEOS[0]).iterdir())
    assert sorted(p.name for p in first.iterdir()) == [f"{name}.png" for name in frames]
    assert not (tmp_path / VIDEOS[0]).exists()


def test_a_page_without_an_overlay_and_an_overlay_without_a_page(command, world, caches, tmp_path):
    words = ("predict", "--data", world, "--cache", caches, "--limit", 1, "--device", "cpu")
    for form, name in (("html", "page.html"), ("mp4", "overlay.mp4")):
        ran = command(*words, "--out", tmp_path / form, "--format", form)
        assert ran.code == 0, ran.err
        assert [p.name for p in (tmp_path / form / VIDEOS[0]).iterdir()] == [name]


@pytest.fixture(scope="module")
def timely_selector(tmp_path_factory):
    """A selector of random weights with a moment head, for the miniature's tracks and words."""
    record = json.loads((WEIGHTS / "selector.json").read_text())
    torch.manual_seed(0)
    model = RelationalSelector(RelationalSettings(128, 128, 128, 32, 2, 1, 1, 1, moment_width=8))
    path = tmp_path_factory.mktemp("timely") / "selector.safetensors"
    hashes = record["tracker_sha256"], record["text_encoder_sha256"]
    save_selector(path, model, Calibration(), *hashes, {}, record["look_sha256"])
    return path


def test_a_selector_that_tells_when_keeps_its_moments_for_fusion(command, world, caches, timely_selector, tmp_path):
    places = ("--scores", tmp_path / "t.jsonl", "--moments", tmp_path / "m.jsonl", "--out", tmp_path / "o")
    words = ("predict", "--data", world, "--cache", caches, "--no-pictures", *places, "--device", "cpu")
    ran = command(*words, "--selector", timely_selector)
    assert ran.code == 0, ran.err
    assert len(list(read_scores(tmp_path / "m.jsonl"))) == ran.figures["expressions"]
    fused = command("fuse", "--tracks", tmp_path / "t.jsonl", "--moments", tmp_path / "m.jsonl", "--caches", caches,
                    "--mode", "gated", "--data", world, "--out", tmp_path / "f")  # fmt: skip
    assert (fused.code, fused.figures["unused_lines"], fused.figures["failures"]) == (0, 0, 0), fused.err
    refused = command(*words)
    assert (refused.code, "expected a selector with a moment head" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "gif"), "--format: expected some of json, png, mp4, html, got 'gif'"),
        (("--format", "json", "--no-pictures"), "expected no --format with it, got both"),
    ],
)
def test_forms_that_mean_nothing_are_refused(command, videos, words, said):
    ran = command("predict", videos, "-e", "x", *words)
    assert (ran.code, said in ran.err) == (2, True)


def test_a_folder_is_of_videos_or_of_frames_and_names_are_not_shared(videos, command):
    assert [p.name for p in videos_in(videos)] == ["a.mp4", "b.mp4"]
    assert videos_in(videos / "a.mp4") == []
    (videos / "0.png").write_bytes(b"")
    ran = command("predict", videos, "-e", "x")
    assert (ran.code, "expected videos or the frames of one, got both" in ran.err) == (2, True)
    (videos / "0.png").unlink()
    (videos / "a.avi").write_bytes(b"")
    ran = command("predict", videos, "-e", "x")
    assert (ran.code, "got 'a' twice" in ran.err) == (2, True)
