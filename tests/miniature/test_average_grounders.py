import json
from dataclasses import replace

import pytest
import torch

from core.errors import CheckpointError, InputError
from llm_grounder.checkpoints import load_grounder, read_record, save_grounder
from miniature import average_grounders
from miniature.average_grounders import average, mean_state
from miniature.grounder_training.settings import SMOKE
from miniature.grounder_training.trainer import make_grounder

RECORD = {"inputs": {"grid": 4}, "manner": {"style": "tokens"}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two grounders of the smallest size whose weights differ."""
    root = tmp_path_factory.mktemp("grounders")
    for name, seed in (("a", 1), ("b", 2)):
        torch.manual_seed(seed)
        save_grounder(root / name, make_grounder(SMOKE), {**RECORD, "steps": seed})
    return root / "a", root / "b"


@pytest.fixture
def run(command):
    return lambda *words: command(*words, app=average_grounders.app, name="average_grounders")


def test_the_mean_of_two_lies_between_them_and_says_whose_it_is(folders, run, tmp_path):
    ran = run(*folders, "--out", tmp_path / "mean")
    assert ran.code == 0, ran.err
    a, b, mean = (load_grounder(folder)[0].state_dict() for folder in (*folders, tmp_path / "mean"))
    moved = 0
    for name, value in mean.items():
        if value.is_floating_point():
            apart = float((a[name] - b[name]).abs().max())
            wanted = (a[name] + b[name]) / 2
            # In bytes a matrix keeps 1 in 254 of the largest number of each row.
            assert (value - wanted).abs().max() <= wanted.abs().max() / 250 + 1e-6, name
            moved += apart > 0.01
    assert moved > 10
    record = read_record(tmp_path / "mean")
    assert [each["steps"] for each in record["mean_of"]] == [1, 2]
    assert [each["weights_sha256"] for each in record["mean_of"]] == [
        read_record(folder)["weights_sha256"] for folder in folders
    ]
    assert {name: record[name] for name in RECORD} == RECORD
    assert json.loads(ran.out.splitlines()[-1])["weights_sha256"] == record["weights_sha256"]


def test_a_try_writes_nothing(folders, run, tmp_path):
    assert run(*folders, "--out", tmp_path / "mean", "--dry-run").code == 0
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_go_together_is_refused(folders, run, tmp_path):
    other = replace(SMOKE, grounder=replace(SMOKE.grounder, patch_width=48))
    save_grounder(tmp_path / "wide", make_grounder(other), RECORD)
    save_grounder(tmp_path / "asked", make_grounder(SMOKE), {**RECORD, "inputs": {"grid": 8}})
    for name, what in (("wide", "settings"), ("asked", "inputs")):
        with pytest.raises(InputError, match=rf"{name}: expected the {what} of .*/a, got others"):
            average([folders[0], tmp_path / name])
    with pytest.raises(InputError, match="expected two grounders or more, got 1"):
        average(folders[:1])
    with pytest.raises(CheckpointError):
        average([folders[0], tmp_path / "nothing"])
    with pytest.raises(InputError, match=r"--out .*: expected a folder that is not there yet"):
        run(*folders, "--out", tmp_path / "wide")


def test_weights_of_other_names_shapes_or_whole_numbers_are_refused():
    one = {"w": torch.tensor([1.0, 3.0]), "n": torch.tensor([1])}
    mean = mean_state([one, {"w": torch.tensor([3.0, 5.0]), "n": torch.tensor([1])}])
    assert mean["w"].tolist() == [2.0, 4.0]
    with pytest.raises(InputError, match="expected w of shape"):
        mean_state([one, {"w": torch.tensor([1.0]), "n": torch.tensor([1])}])
    with pytest.raises(InputError, match="the same names in all"):
        mean_state([one, one | {"more": torch.tensor([1.0])}])
    with pytest.raises(InputError, match="the same n in all"):
        mean_state([one, one | {"n": torch.tensor([2])}])
