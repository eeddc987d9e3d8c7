"""One command compares fusion's modes: worlds, caches and scores are made, weights fitted on calib, one mode chosen."""

import json
from dataclasses import replace
from functools import partial

import pytest

from core import cli
from core.hashing import file_sha256
from fusion.settings import read_weights
from miniature import compare_fusion
from miniature.compare_fusion import read_sources
from miniature.splits import LONG_SPLITS, SPLITS
from miniature.world import layout, make_clip
from tests.tracksift.web.watching import write_grounder
from tracksift.models import FUSION, WEIGHTS

COMPARE = partial(cli.run, compare_fusion.app)


@pytest.fixture
def small(monkeypatch, quick_grid):
    """Splits of one clip of eight frames."""
    for name, split in SPLITS.items():
        monkeypatch.setitem(SPLITS, name, replace(split, count=1, expressions=4))
    monkeypatch.setattr(layout, "make_clip", partial(make_clip, frames=8))


@pytest.fixture
def compare(command):
    def run(*words):
        return command(*words, app=COMPARE, name="compare_fusion")

    return run


def test_the_released_weights_are_those_of_the_default_way_in_the_table_and_of_the_released_models():
    sections = json.loads((WEIGHTS.parent / "results.json").read_text())["sections"]
    rows = [row[0] for name in ("valid", "test") for row in sections[f"fusion_long_{name}"]["rows"]]
    chosen = {name.removesuffix(" (default)") for name in rows if name.endswith(" (default)")}
    released = read_weights(WEIGHTS / FUSION)
    assert {name.split()[0] for name in chosen} == {released.mode}
    files = {"tracks": WEIGHTS / "selector.safetensors", "moments": WEIGHTS / "grounder" / "grounder.safetensors"}
    assert released.fitted["scorers"] == {name: file_sha256(path) for name, path in files.items()}


@pytest.mark.slow
def test_modes_are_fitted_measured_and_chosen_by_one_command(compare, small, tmp_path):
    grounder = write_grounder(tmp_path / "grounder")
    words = ("--work", tmp_path / "work", "--out", tmp_path / "out", "--device", "cpu", "--workers", 1)
    (tmp_path / "out").mkdir()
    ran = compare(*words, "--grounder", grounder, "--clips", 1)
    assert ran.code == 0, ran.err
    names = ["tracks", "gated by grounder", "dtos by grounder", "reranked by grounder"]
    sections = json.loads((tmp_path / "out" / "results.json").read_text())["sections"]
    assert list(sections) == ["fusion_valid", "fusion_shifted_dev"]  # and nothing of test
    for section in sections.values():
        assert [row[0].removesuffix(" (default)") for row in section["rows"]] == names
        assert section["facts"]["command"] == "python -m miniature.compare_fusion --work WORK --grounder FOLDER"
    figures = ran.figures
    for name in ("tracks", "gated_grounder", "dtos_grounder", "reranked_grounder"):
        for kind in ("jf", "viou", "tiou"):
            assert 0 <= figures[f"fusion_valid_{name}_{kind}"] <= 1
    chosen, released = figures["settings"]["chosen"], read_weights(tmp_path / "out" / "weights" / "fusion.json")
    assert released.mode == chosen.split()[0]
    assert released.fitted["expressions"] == 4
    best = max(
        names, key=lambda n: sum(figures[f"fusion_{s}_{n.replace(' by ', '_')}_jf"] for s in ("valid", "shifted_dev"))
    )
    assert chosen == best
    assert {p.name for p in (tmp_path / "out" / "fusion").iterdir()} == {
        "tracks.json", "gated_by_grounder.json", "dtos_by_grounder.json", "reranked_by_grounder.json", "fusion.png",
    }  # fmt: skip


@pytest.mark.slow
def test_files_of_other_scorers_are_compared_and_test_splits_read_when_asked(compare, small, tmp_path):
    words = ("--work", tmp_path / "work", "--out", tmp_path / "out", "--device", "cpu", "--workers", 1, "--clips", 1)
    (tmp_path / "out").mkdir()
    alone = compare(*words, "--grounder", "none", "--read")
    assert (alone.code, alone.figures["settings"]["chosen"]) == (0, "tracks"), alone.err
    assert {"fusion_test_tracks_jf", "fusion_shifted_test_tracks_jf"} <= set(alone.figures)
    (tmp_path / "given").mkdir()
    for name in ("calib", "valid", "shifted_dev"):
        (line,) = (tmp_path / "work" / "scores" / f"{name}_tracks.jsonl").read_text().splitlines()[:1]
        told = {key: json.loads(line)[key] for key in ("format", "video", "expression", "cache")}
        rest = [
            {**told, "expression": json.loads(each)["expression"], "kind": "moments", "scorer": "m", "times": [],
             "relevance": [], "spans": [[0.0, 0.5, 0.9]], "text": ""}
            for each in (tmp_path / "work" / "scores" / f"{name}_tracks.jsonl").read_text().splitlines()
        ]  # fmt: skip
        (tmp_path / "given" / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rest)) + "\n")
    ran = compare(*words, "--grounder", "none", "--moments", f"mine={tmp_path / 'given' / '{split}.jsonl'}")
    assert ran.code == 0, ran.err
    assert 0 <= ran.figures["fusion_valid_gated_mine_tiou"] <= 1
    assert ran.figures["fusion_valid_tracks_jf"] == alone.figures["fusion_valid_tracks_jf"]


@pytest.mark.slow
def test_modes_are_compared_on_films_of_the_long_world(compare, tmp_path, monkeypatch, quick_grid):
    for name, split in LONG_SPLITS.items():
        monkeypatch.setitem(LONG_SPLITS, name, replace(split, expressions=2))
    grounder = write_grounder(tmp_path / "grounder")
    (tmp_path / "out").mkdir()
    ran = compare(
        "--work", tmp_path / "work", "--out", tmp_path / "out", "--device", "cpu", "--workers", 1,
        "--grounder", grounder, "--long", "--seconds", 8, "--clips", 1,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    sections = json.loads((tmp_path / "out" / "results.json").read_text())["sections"]
    assert list(sections) == ["fusion_long_valid", "fusion_long_shifted_dev"]
    assert sections["fusion_long_valid"]["title"] == "fusion, valid, 1 films"
    assert 0 <= ran.figures["fusion_long_valid_gated_grounder_jf"] <= 1
    caches = (tmp_path / "work" / "caches" / "mevis").rglob("*.h5")
    assert {path.name for path in caches} == {"ml100000.h5", "ml200000.h5", "msl300000.h5"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--moments", "mine.jsonl"), "--moments: expected NAME=PATH"),
        (("--reranks", "mine=all.jsonl"), "--reranks: expected NAME=PATH with {split}"),
        (("--moments", "grounder={split}.jsonl"), "a name of its own"),
        (("--clips", 2), "--clips, --seconds: expected --out elsewhere"),
        (("--long", "--seconds", 8), "--clips, --seconds: expected --out elsewhere"),
        (("--seconds", 8, "--out", "elsewhere"), "--seconds: expected --long with it, got 8 for clips"),
        (("--grounder", "nowhere"), "expected the JSON record of a grounder"),
    ],
)
def test_bad_input_is_one_sentence(compare, tmp_path, words, said):
    ran = compare("--work", tmp_path, *words)
    assert (ran.code, said in " ".join(ran.err.split())) == (2, True), ran.err
    assert not list(tmp_path.iterdir())


def test_sources_of_one_name_are_one(small):
    assert read_sources(["a=m/{split}"], ["a=r/{split}", "b=q/{split}"]) == {
        "a": ("m/{split}", "r/{split}"), "b": (None, "q/{split}"),
    }  # fmt: skip
