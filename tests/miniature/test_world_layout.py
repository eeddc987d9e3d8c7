"""Files: MeViS's layout that the benchmark's reader reads, all or nothing; the command; the splits."""

import json
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks.mevis.reader import open_mevis
from core import rle
from core.errors import InputError, OutputError
from miniature import render
from miniature.splits import LONG_SPLITS, RESERVED, SPLITS, Split, find_split
from miniature.world import layout, make_clip
from miniature.world.layout import run_lengths, video_id, write_split


@pytest.fixture
def short_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "make_clip", partial(make_clip, frames=10))


@pytest.fixture
def split(tmp_path: Path, short_clips: None) -> Path:
    folder = tmp_path / "world" / "valid"
    write_split(folder, range(7, 9))
    return folder


def test_the_benchmark_reader_reads_what_was_drawn(split: Path) -> None:
    reader = open_mevis(split.parent, "valid")
    first = 0
    assert [v.id for v in reader.videos()] == ["m000007", "m000008"]
    for seed, video in zip((7, 8), reader.videos(), strict=True):
        clip = make_clip(seed, frames=10)
        assert video.fps == 8.0
        assert [e.text for e in video.expressions] == [e.text for e in clip.expressions]
        assert [e.kind for e in video.expressions] == [e.kind for e in clip.expressions]
        assert [e.spans for e in video.expressions] == [e.spans for e in clip.expressions]
        for read, drawn in zip(video.expressions, clip.expressions, strict=True):
            assert read.target_ids == tuple(str(first + int(i) - 1) for i in drawn.target_ids or ())
        for anno_id, counts in reader.masks(video).items():
            assert np.array_equal(rle.decode(counts, (256, 256)), clip.masks[int(anno_id) - first])
        first += len(clip.objects)


def test_the_files_are_those_of_mevis(split: Path) -> None:
    meta = json.loads((split / "meta_expressions.json").read_text())["videos"]["m000007"]
    masks = json.loads((split / "mask_dict.json").read_text())
    assert meta["frames"] == [f"{t:05d}" for t in range(10)]
    assert sorted(p.name for p in (split / "JPEGImages" / "m000007").iterdir()) == [f"{t:05d}.jpg" for t in range(10)]
    assert set(meta["expressions"]["0"]) == {"exp", "anno_id", "obj_id", "kind", "spans"}
    assert sorted(masks, key=int) == [str(i) for i in range(len(masks))]
    assert {len(m) for m in masks.values()} == {10}
    drawn = np.asarray(Image.open(split / "JPEGImages" / "m000007" / "00003.jpg")).astype(int)
    assert np.abs(drawn - make_clip(7, frames=10).frames[3]).mean() < 3


def test_an_absent_object_is_null() -> None:
    masks = np.zeros((3, 8, 8), dtype=bool)
    masks[1, 2:4, 2:4] = True
    got = run_lengths(masks)
    assert got[0] is None
    assert got[2] is None
    assert got[1] is not None
    assert got[1]["size"] == [8, 8]


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ((7,), "m000007"),
        ((7, True), "ms000007"),
        ((7, False, True), "ml000007"),
        ((1_234_567, True, True), "msl1234567"),
    ],
)
def test_video_ids(args: tuple[int, ...], name: str) -> None:
    assert video_id(*args) == name


def test_a_full_folder_is_refused_and_stays_as_it_was(split: Path) -> None:
    before = (split / "meta_expressions.json").read_bytes()
    with pytest.raises(OutputError, match="expected an empty or new folder"):
        write_split(split, range(1))
    assert (split / "meta_expressions.json").read_bytes() == before


def test_only_a_rendered_split_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(OutputError, match="expected a rendered split to replace"):
        write_split(tmp_path, range(1), overwrite=True)
    assert (tmp_path / "letter.txt").read_text() == "mine"


def test_overwriting_replaces_the_whole_split(tmp_path: Path, short_clips: None) -> None:
    write_split(tmp_path / "a", range(2))
    write_split(tmp_path / "a", range(3, 4), overwrite=True)
    assert [p.name for p in (tmp_path / "a" / "JPEGImages").iterdir()] == ["m000003"]


def test_an_interrupted_split_leaves_nothing(tmp_path: Path, short_clips: None) -> None:
    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_split(tmp_path / "a", range(2), on_progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_clips(tmp_path: Path, short_clips: None) -> None:
    told: list[tuple[int, int]] = []
    write_split(tmp_path / "a", range(2), on_progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize(("seeds", "workers"), [(range(0), 1), (range(1), 0)])
def test_nothing_to_do_is_refused(tmp_path: Path, seeds: range, workers: int) -> None:
    with pytest.raises(InputError, match="at least one seed and one worker"):
        write_split(tmp_path / "a", seeds, workers=workers)


def test_several_workers_write_the_same_files(tmp_path: Path) -> None:
    write_split(tmp_path / "one", range(40, 42), workers=1)
    write_split(tmp_path / "two", range(40, 42), workers=2)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path / "two") for p in (tmp_path / "two").rglob("*") if p.is_file())
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)


@pytest.mark.parametrize("text", ["5", "5:5", "9:3", "-1:4", "a:b", "", "1:2:3"])
def test_seeds_that_are_no_range_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--seeds: expected A:B"):
        render.parse_seeds(text)


def test_seeds_come_from_the_flag_or_else_from_the_split() -> None:
    assert render.choose_seeds("900000:900002", "mine", True, True) == Split("mine", 900_000, 2, True)
    assert render.choose_seeds(None, "shifted_dev", False, False) == SPLITS["shifted_dev"]
    with pytest.raises(InputError, match="expected one of train"):
        render.choose_seeds(None, "mine", False, False)
    with pytest.raises(InputError, match="--shifted: expected --seeds"):
        render.choose_seeds(None, "valid", True, False)
    assert render.choose_seeds(None, "valid", False, True) == LONG_SPLITS["valid"]


def test_the_command_renders_and_a_dry_run_writes_nothing(tmp_path: Path, short_clips: None) -> None:
    args = ["--seeds", "900000:900001", "--split", "mine", "--out", str(tmp_path / "w")]
    dry = CliRunner().invoke(render.app, [*args, "--dry-run"])
    assert dry.exit_code == 0
    assert "would write" in dry.output
    assert not (tmp_path / "w").exists()
    done = CliRunner().invoke(render.app, args)
    assert done.exit_code == 0
    assert [v.id for v in open_mevis(tmp_path / "w", "mine").videos()] == ["m900000"]
    assert isinstance(CliRunner().invoke(render.app, args).exception, OutputError)


def test_a_split_name_is_a_folder_name(tmp_path: Path) -> None:
    result = CliRunner().invoke(render.app, ["--seeds", "0:1", "--split", "../up", "--out", str(tmp_path)])
    assert isinstance(result.exception, InputError)


def test_splits_are_disjoint_below_the_reserved_seeds_and_say_what_they_are() -> None:
    ranges = sorted((s.first_seed, s.first_seed + s.count) for s in SPLITS.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(ranges))
    assert ranges[-1][1] <= RESERVED
    assert {s.name for s in SPLITS.values() if s.shifted} == {"shifted_dev", "shifted_test"}
    assert find_split("test").seeds == range(400_000, 400_120)
    for name, long in LONG_SPLITS.items():
        assert set(long.seeds) <= set(SPLITS[name].seeds)
        assert long.shifted == SPLITS[name].shifted
    with pytest.raises(InputError, match="split: expected one of"):
        find_split("tset")
