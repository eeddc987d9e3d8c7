import json
import signal
import sys
import threading
import time
from functools import partial

import pytest

from core import cli
from core.errors import InputError, TrackSiftError
from miniature import track_world, tracking_crew
from miniature.splits import SPLITS, Split
from miniature.tracking_crew import Block, Crew, Place
from miniature.world.layout import MASKS, META
from tracksift.scheduling.stopping import stop_on_signals

PLACES = [Place(f"place {i}", {"WHERE": str(i)}) for i in range(2)]


@pytest.fixture
def blocks(tmp_path, monkeypatch):
    """Five blocks of a clip each, which are there already."""
    some = [Block(Split("train", seed, 1, False), tmp_path / "parts" / str(seed)) for seed in range(5)]
    for block in some:
        folder = block.data / "train"
        folder.mkdir(parents=True)
        video = {f"m{block.split.first_seed:06d}": {"frames": ["00000"], "expressions": {}, "fps": 8.0}}
        (folder / META).write_text(json.dumps({"videos": video}))
    monkeypatch.setattr(tracking_crew, "STEP", 0.02)
    return some


def crew(tmp_path, code, **more):
    """A crew whose commands run Python code that knows its block and its place's number."""

    def command(block, place):
        return [sys.executable, "-c", code, block.name, str(tmp_path / "out")]

    (tmp_path / "out").mkdir(exist_ok=True)
    return Crew(command, PLACES, tmp_path / "logs", **more)


WRITE = "import os, sys, pathlib; pathlib.Path(sys.argv[2], sys.argv[1]).write_text(os.environ['WHERE'])"
ENDLESS = (
    "import signal, sys, time, pathlib\n"
    "def end(*_):\n"
    "    pathlib.Path(sys.argv[2], sys.argv[1]).write_text('asked'); sys.exit(130)\n"
    "signal.signal(signal.SIGINT, end)\n"
    "pathlib.Path(sys.argv[2], 'begun').write_text('')\n"
    "time.sleep(60)"
)


def test_every_block_is_tracked_once_in_the_environment_of_a_place(blocks, tmp_path):
    looks = []
    assert crew(tmp_path, WRITE).run(blocks, 1, lambda: looks.append(0))
    found = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert sorted(found) == [f"train-{seed}" for seed in range(5)]
    assert set(found.values()) <= {"0", "1"}
    assert looks


def test_shards_of_a_split_are_rendered_once_and_tracked_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking_crew, "STEP", 0.02)
    split = Split("train", 0, 3, False)
    parts = [Block(split, tmp_path / "world", (i, 2)) for i in range(2)]
    assert [part.count for part in parts] == [2, 1]
    assert crew(tmp_path, WRITE).run(parts, 2, lambda: None)  # two renderers would get in each other's way
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["train-0-0of2", "train-0-1of2"]
    videos = json.loads((tmp_path / "world" / "train" / META).read_text())["videos"]
    assert len(videos) == 3
    assert track_world.count_caches(tmp_path, parts) == 0


def test_a_command_that_fails_is_told_with_its_last_line_after_the_others_ended(blocks, tmp_path):
    code = "import sys; print('first'); sys.exit('no room' if sys.argv[1] == 'train-1' else 0)"
    with pytest.raises(TrackSiftError, match="train-1: expected tracking to end well, got exit code 1: no room"):
        crew(tmp_path, code).run(blocks, 1, lambda: None)


def test_at_the_deadline_commands_are_asked_to_stop_and_the_rest_is_left(blocks, tmp_path):
    start = time.monotonic()
    assert not crew(tmp_path, ENDLESS, deadline=start + 12).run(blocks, 1, lambda: None)
    assert time.monotonic() - start < 40
    asked = [path for path in (tmp_path / "out").iterdir() if path.read_text() == "asked"]
    assert 1 <= len(asked) <= len(PLACES)


def test_a_command_that_does_not_stop_is_killed_when_its_grace_is_over(blocks, tmp_path):
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
    start = time.monotonic()
    assert not crew(tmp_path, deaf, deadline=start + 4, grace=0.5).run(blocks, 1, lambda: None)
    assert time.monotonic() - start < 40


def test_an_interrupt_stops_the_commands_and_is_passed_on(blocks, tmp_path):
    def interrupt():
        if (tmp_path / "out" / "begun").exists():
            signal.raise_signal(signal.SIGINT)

    with stop_on_signals(None), pytest.raises(KeyboardInterrupt):  # as the command does, whatever SIGINT does outside
        crew(tmp_path, ENDLESS).run(blocks, 1, interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("place")]
    assert any(path.read_text() == "asked" for path in (tmp_path / "out").iterdir())


def test_a_block_that_is_being_rendered_at_the_deadline_is_left_and_leaves_nothing(tmp_path):
    long = Block(Split("train", 0, 2_000, False), tmp_path / "long")
    start = time.monotonic()
    assert not crew(tmp_path, WRITE, deadline=start + 12).run([long], 1, lambda: None)
    assert time.monotonic() - start < 60
    assert not list((tmp_path / "long").iterdir())


def test_a_block_that_cannot_be_rendered_stops_all(tmp_path):
    (tmp_path / "file").write_text("")
    block = Block(Split("train", 0, 1, False), tmp_path / "file")
    with pytest.raises((TrackSiftError, OSError)):
        crew(tmp_path, WRITE).run([block], 1, lambda: None)


def test_small_splits_come_first_and_the_training_split_in_blocks(tmp_path):
    blocks = track_world.plan(tmp_path, ["calib", "test"], 250, 96)
    assert [(b.split.name, b.split.first_seed, b.count) for b in blocks] == [
        ("calib", 100_000, 50), ("calib", 100_000, 50), ("test", 400_000, 60), ("test", 400_000, 60),
        ("train", 0, 96), ("train", 96, 96), ("train", 192, 58),
    ]  # fmt: skip
    assert [b.shard for b in blocks[:4]] == [(0, 2), (1, 2)] * 2
    assert len({b.name for b in blocks}) == len(blocks)
    assert len({b.data for b in blocks}) == 4
    early = track_world.plan(tmp_path, ["shifted_dev"], 250, 96, 2)
    assert [(b.split.name, b.split.first_seed, b.count, b.shard) for b in early] == [
        ("train", 0, 16, None), ("train", 16, 16, None), ("shifted_dev", 300_000, 60, None), ("train", 32, 96, None),
        ("train", 128, 96, None), ("train", 224, 26, None),
    ]  # fmt: skip
    train = SPLITS["train"]
    assert all((b.split.expressions, b.split.no_target) == (train.expressions, train.no_target) for b in blocks[4:])
    with pytest.raises(InputError, match="--train says"):
        track_world.plan(tmp_path, ["train"], 1, 1)
    with pytest.raises(InputError, match="expected one of train"):
        track_world.plan(tmp_path, ["other"], 1, 1)


def test_clips_with_a_cache_become_a_training_split_without_pixels(blocks, tmp_path):
    caches = tmp_path / "caches" / "mevis" / "train"
    caches.mkdir(parents=True)
    for seed in (0, 3, 7):  # the last of nobody's block
        (caches / f"m{seed:06d}.h5").write_bytes(b"")
    track_world.merge(tmp_path)
    track_world.merge(tmp_path)  # again, as a command that goes on does
    folder = tmp_path / "world" / "train"
    assert sorted(json.loads((folder / META).read_text())["videos"]) == ["m000000", "m000003"]
    assert json.loads((folder / MASKS).read_text()) == {}
    assert track_world.count_caches(tmp_path / "caches" / "mevis", blocks) == 2


def test_places_are_spread_over_visible_cards(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    places = track_world.find_places("cuda", 2)
    assert [p.environment["CUDA_VISIBLE_DEVICES"] for p in places] == ["2", "5", "2", "5"]
    mixed = track_world.find_places("cuda", 1, 2)
    assert [(p.name.split()[0], p.environment["CUDA_VISIBLE_DEVICES"]) for p in mixed] == [
        ("GPU", "2"), ("GPU", "5"), ("cpu", ""), ("cpu", "")
    ]  # fmt: skip
    assert [p.environment["CUDA_VISIBLE_DEVICES"] for p in track_world.find_places("cpu", 2)] == ["", ""]


@pytest.mark.slow
def test_two_clips_are_tracked_merged_packed_and_kept(command, tmp_path):
    run = partial(command, app=lambda: cli.run(track_world.app), name="miniature.track_world")
    flags = [
        "--work", tmp_path, "--splits", "", "--train", "2", "--block", "1", "--processes", "2", "--device", "cpu",
        "--renderers", "1",
    ]  # fmt: skip
    outcome = run(*flags)
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out.splitlines()[-1])["clips"] == 2
    assert (tmp_path / "caches" / "mevis" / "train" / "tokens.pack").is_file()
    meta = json.loads((tmp_path / "world" / "train" / META).read_text())
    assert all(len(video["expressions"]) > 40 for video in meta["videos"].values())
    again = run(*flags)
    assert json.loads(again.out.splitlines()[-1])["clips"] == 0
