"""`tracksift predict` over a video, a folder of videos and a split, in the forms that are asked for."""

import json
import shutil

import pytest

from tests.conftest import VIDEOS
from tracksift.jobs import videos_in


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
