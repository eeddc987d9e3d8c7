"""`train-selector` from flags to files; training itself is tested in tests/selector."""

import subprocess
import sys

import pytest

from miniature.compare_devices import PLAIN
from scripts import __main__ as entry

SPLITS = ("--split", "valid", "--valid-split", "valid", "--calib-split", "valid", "--device", "cpu")


@pytest.fixture
def places(world, caches, tmp_path):
    return ("--data", world, "--cache", caches, "--out", tmp_path / "out")


def test_a_fast_dev_run_goes_the_whole_way_and_keeps_nothing(command, places, tmp_path):
    outcome = command("train-selector", *places, *SPLITS, "--fast-dev-run", "--set", "layers=1", "--set", "epochs=9")
    assert outcome.code == 0, outcome.err
    assert outcome.figures["steps"] == 1
    assert {"valid_score", "calib_score", "valid_ece", "valid_presence_ece"} <= set(outcome.figures)
    assert list(tmp_path.iterdir()) == []


def test_a_search_of_the_baseline_leaves_a_selector_and_the_tried_rates(command, places, tmp_path):
    small = ("--set", "embed_width=64", "--set", "motion_widths=32,32,32,64,64,64")
    outcome = command("train-selector", *places, *SPLITS, "--recipe", "sola-tuned", "--epochs", 1, *small)
    assert outcome.code == 0, outcome.err
    assert outcome.figures["learning_rate"] in (1e-4, 3e-4, 6e-4, 1.2e-3, 2.4e-3)
    files = {p.name for p in (tmp_path / "out").iterdir() if p.is_file()}
    assert files == {
        "selector.safetensors", "selector.json", "selector.csv", "selector.curves.png", "selector.reliability.png",
        "search.json",
    }  # fmt: skip
    assert len([p for p in (tmp_path / "out").iterdir() if p.is_dir()]) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--recipe", "best"), "--recipe: expected one of default, sola, sola-tuned, got 'best'"),
        (("--size", "huge"), "--size: expected one of miniature, full"),
        (("--set", "colour=1"), "--set: expected NAME=VALUE"),
        (("--set", "batch=many"), "--set batch: expected int, got 'many'"),
    ],
)
def test_what_no_recipe_has_is_one_sentence(command, places, words, message):
    outcome = command("train-selector", *places, *SPLITS, *words)
    assert outcome.code == 2
    assert message in outcome.err


@pytest.mark.slow
def test_two_processes_follow_the_loss_curve_of_one(places, tmp_path):
    """DDP of Lightning on the CPU: the processes are started from the command line, so this one must be a program."""
    program = [sys.executable, "-m", entry.__spec__.name.split(".")[0], "train-selector"]
    same = ("--epochs", "3", "--batch", "8", *(word for change in PLAIN for word in ("--set", change)), *SPLITS)
    tables = []
    for devices in ("1", "2"):
        out = tmp_path / devices
        words = [*program, *map(str, places[:4]), "--out", str(out), *same, "--devices", devices]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("valid_score") == 2  # the table and the last line, of the first process alone
        tables.append([line.split(",") for line in (out / "selector.csv").read_text().splitlines()[1:]])
    for one, two in zip(*tables, strict=True):
        assert float(two[2]) == pytest.approx(float(one[2]), abs=0.02)
