"""Comparing selectors: variants by name, runs that go on where they were stopped, and tables of mean and spread."""

import json
import shutil
import time
from dataclasses import replace
from functools import partial

import pytest
import torch
from typer.testing import CliRunner

from core.cli import run
from core.errors import InputError
from miniature.compare_selectors import app
from miniature.selector_runs import Facts, run_folder, search_of, train_all
from miniature.selector_scores import Scores, mean_and_spread, table, write_scores
from miniature.selector_variants import VARIANTS, Plan, Variant, choose_variants, plan
from selector.checkpoints import load_selector
from selector.fitting import Spread
from selector.shared import share
from selector.training import read_splits
from tests.selector.colour_world import FAST, SMALL, TINY, WordEncoder
from tests.selector.conftest import write_examples

CPU = torch.device("cpu")
RECIPE = replace(FAST, epochs=1, alignment_weight=0.0, truth_share=0.0)
FACTS = Facts("a" * 64, ("colours/train",), CPU, Spread())
OURS = Plan(Variant("ours"), TINY, RECIPE)
SEARCHED = Plan(Variant("searched", "sola-tuned"), SMALL, RECIPE, (1e-2, 1e-9))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    root = tmp_path_factory.mktemp("looks")
    e = write_examples(root, looks=True)
    splits = read_splits((e[:12], e[12:15], e[15:18]), WordEncoder(), TINY, RECIPE, CPU)
    return share(splits, root / "splits.safetensors")


def test_every_variant_is_a_recipe_with_changes_that_it_knows():
    for variant in VARIANTS.values():
        found = plan(variant, 128)
        assert (len(found.rates) >= 4) == (variant.recipe == "sola-tuned")
    assert plan(VARIANTS["presence"], 128, ["epochs=3"]).training.epochs == 3
    assert plan(VARIANTS["narrow"], 64).settings.embed_width == 128
    assert plan(VARIANTS["narrow"], 64).settings.text_width == 64


def test_the_former_default_and_each_part_of_the_change_are_variants():
    def told(name):
        found = plan(VARIANTS[name], 128)
        return found.settings.token_width, found.settings.outline, found.training.mirror_share

    assert told("default") == (0, True, 0.5)
    assert told("with-tokens") == (128, True, 0.5)
    assert told("boxes-only") == (0, False, 0.5)
    assert told("no-mirror") == (0, True, 0.0)
    assert told("former") == (128, False, 0.0)


def test_variants_are_chosen_by_name_and_defined_on_the_way():
    chosen = choose_variants("default,mine,slow,clip_zeroshot", ["mine: layers=1 dropout=0", "slow@sola: epochs=2"])
    assert [(v.name, v.recipe, v.changes) for v in chosen] == [
        ("default", "default", ()),
        ("mine", "default", ("layers=1", "dropout=0")),
        ("slow", "sola", ("epochs=2",)),
        ("clip_zeroshot", "clip_zeroshot", ()),
    ]
    with pytest.raises(InputError, match=r"--variants: expected some of default.*got fancy"):
        choose_variants("default,fancy", [])
    for text in ("default: layers=1", "mine", "mine:", ": layers=1"):
        with pytest.raises(InputError, match="--define: expected NAME"):
            choose_variants("default", [text])


def test_runs_are_made_once_and_a_searched_rate_serves_the_other_seeds(shared, tmp_path):
    told = []
    complete = train_all(shared, FACTS, [OURS, SEARCHED], [3, 4], tmp_path, 2, on_done=told.append)
    assert complete == [("ours", 3), ("ours", 4), ("searched", 3), ("searched", 4)]
    assert [done.task.rate for done in told].count(None) == 3
    best = load_selector(run_folder(tmp_path, "searched", 3)).record["training"]["learning_rate"]
    tried = {line["learning_rate"]: line["calib_score"] for line in search_of(run_folder(tmp_path, "searched", 3))}
    assert set(tried) == {1e-2, 1e-9}
    assert tried[best] == max(tried.values())
    later = load_selector(run_folder(tmp_path, "searched", 4)).record
    assert (later["training"]["learning_rate"], later["training"]["seed"]) == (best, 4)
    assert later["splits"] == ["colours/train"]
    assert (run_folder(tmp_path, "ours", 3) / "selector.reliability.png").exists()
    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("selector.safetensors")}
    assert train_all(shared, FACTS, [OURS, SEARCHED], [3, 4], tmp_path, 1) == complete
    assert {p: p.stat().st_mtime_ns for p in written if p.parent.name != "3" or "ours" in str(p)} == {
        p: t for p, t in written.items() if p.parent.name != "3" or "ours" in str(p)
    }


def test_after_the_deadline_nothing_begins(shared, tmp_path):
    assert train_all(shared, FACTS, [OURS], [0], tmp_path, 1, deadline=time.monotonic()) == []
    assert not any(tmp_path.iterdir())


def test_tables_say_mean_and_spread_of_seeds(tmp_path):
    runs = [
        Scores("ours", seed, {"valid": {"jf": jf, "attribute_jf": jf, "ece": None}})
        for seed, jf in ((0, 0.5), (1, 0.7))
    ]
    runs.append(Scores("clip_zeroshot", None, {"valid": {"jf": 0.4}}))
    mean, spread = mean_and_spread(runs[:2], "valid", "jf")
    assert (mean, spread) == (pytest.approx(0.6), pytest.approx(0.1414, abs=1e-4))
    assert table(runs, "valid", {"jf": "all", "ece": "ECE"}) == [
        ["ours", "2", "0.600 ± 0.141", "-"],
        ["clip_zeroshot", "1", "0.400", "-"],
    ]
    write_scores(tmp_path, runs, ["valid"], {"command": "x"})
    assert {p.name for p in tmp_path.iterdir()} == {"compare.json", "compare.md", "compare.png"}
    assert "| ours | 2 | 0.600 ± 0.141 | 0.600 ± 0.141 | - |" in (tmp_path / "compare.md").read_text()
    assert json.loads((tmp_path / "compare.json").read_text())["runs"][2]["valid"]["jf"] == 0.4


def test_one_command_trains_scores_and_tells(world, caches, command, tmp_path):
    data, root = tmp_path / "world", tmp_path / "caches"
    for split in ("train", "valid", "calib"):
        shutil.copytree(world / "valid", data / split)
        shutil.copytree(caches / "mevis" / "valid", root / "mevis" / split)
    words = ("--data", data, "--cache", root, "--out", tmp_path / "o", "--splits", "valid", "--device", "cpu")
    words += ("--variants", "tiny,clip_zeroshot", "--seeds", "0,1", "--set", "epochs=1", "--set", "batch=8")
    words += ("--define", "tiny: embed_width=32 heads=2 layers=1 text_layers=1 frame_layers=1")
    planned = command(*words, "--dry-run", app=partial(run, app))
    assert (planned.code, planned.figures["runs"], (tmp_path / "o").exists()) == (0, 2, False)
    told = command(*words, app=partial(run, app))
    assert told.code == 0, told.err
    assert (told.figures["runs"], told.figures["left"]) == (2, 0)
    assert 0 <= told.figures["tiny_valid_jf"] <= 1
    assert told.figures["clip_zeroshot_valid_jf_spread"] is None
    assert "lost by" in told.out
    assert {p.name for p in (tmp_path / "o").iterdir()} == {"tiny", "compare.json", "compare.md", "compare.png"}
    runs = json.loads((tmp_path / "o" / "compare.json").read_text())["runs"]
    assert [(r["variant"], r["seed"]) for r in runs] == [("tiny", 0), ("tiny", 1), ("clip_zeroshot", None)]
    again = command(*words, "--minutes", "0", app=partial(run, app))  # nothing is begun, what is done is read
    assert again.figures["tiny_valid_jf"] == told.figures["tiny_valid_jf"]
    shutil.rmtree(root / "mevis" / "train")  # not needed to score what is there
    scored = command(*words, "--score-only", app=partial(run, app))
    assert (scored.figures["runs"], scored.figures["tiny_valid_jf"]) == (2, told.figures["tiny_valid_jf"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--splits", "valid,test"], "--splits: expected splits to choose on, got test"),
        (["--seeds", "0,x"], "--seeds: expected whole numbers"),
        (["--variants", "fancy"], "--variants: expected some of"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_read(flags, message, tmp_path):
    result = CliRunner().invoke(app, ["--data", str(tmp_path), *flags])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
