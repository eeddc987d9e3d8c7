"""Read-outs and compressors side by side: one table, the same budget, and what is refused."""

import json
from dataclasses import replace

import pytest
import torch

from core.errors import CheckpointError, InputError
from llm_grounder.checkpoints import load_grounder, read_record, save_grounder
from miniature import compare_grounders
from miniature.compare_grounders import COLUMNS, SHARED, VARIANTS, compared, variant
from miniature.grounder_training.trainer import Trainer

QUICK = ("--size", "smoke", "--steps", 1, "--workers", 0, "--videos", 1, "--device", "cpu")


@pytest.fixture
def run(command):
    return lambda *words: command(*words, app=compare_grounders.app, name="compare_grounders")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A grounder of the smallest size that reads patches and tracks."""
    folder = tmp_path_factory.mktemp("trained") / "grounder"
    settings = replace(variant(compared("smoke"), VARIANTS["tracks too"]), seed=5)
    save_grounder(folder, Trainer(settings, torch.device("cpu")).average, {})
    return folder


@pytest.mark.slow
def test_one_table_has_all_that_were_asked_for(run, tmp_path):
    ran = run("--out", tmp_path, *QUICK, "--only", "words; none; frames' relevance")
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "compared.json").read_text())["compared"]
    assert list(found) == ["words", "none", "frames' relevance"]
    assert all(tuple(row) == COLUMNS and row["steps"] == 1 for row in found.values())
    assert found["none"]["tokens a video"] > 2 * found["words"]["tokens a video"]


@pytest.mark.slow
def test_all_may_begin_with_what_a_trained_grounder_sees_and_reads(run, trained, tmp_path):
    ran = run("--out", tmp_path, *QUICK, "--only", "average;tracks too", "--start", trained)
    assert ran.code == 0, ran.err
    told = json.loads((tmp_path / "compared.json").read_text())
    assert told["started_from"] == read_record(trained)["weights_sha256"]
    assert {row["steps"] for row in told["compared"].values()} == {1}


def test_what_is_compared_is_not_taken_from_it(trained):
    given = load_grounder(trained)[0].state_dict()
    trainer = Trainer(variant(compared("smoke"), VARIANTS["tracks too"]), torch.device("cpu"))
    before = {name: value.clone() for name, value in trainer.grounder.state_dict().items()}
    trainer.borrow(trained, SHARED)
    for model in (trainer.grounder, trainer.average):
        for name, value in model.state_dict().items():
            assert torch.equal(value, (given if name.startswith(SHARED) else before)[name]), name
    untaken = {name.split(".")[0] for name in before if not name.startswith(SHARED)}
    assert {"span_head", "frame_head", "naming", "track_head"} <= untaken
    assert any(name.startswith("inputs.compressor.") for name in before)
    assert trainer.started


def test_a_part_of_another_shape_is_refused_and_nothing_taken(trained):
    base = compared("smoke")
    trainer = Trainer(replace(base, grounder=replace(base.grounder, patch_width=48)), torch.device("cpu"))
    before = {name: value.clone() for name, value in trainer.grounder.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"--start .*: expected inputs.patches\..* of shape .*48.*, got another"):
        trainer.borrow(trained, SHARED)
    assert all(torch.equal(value, before[name]) for name, value in trainer.grounder.state_dict().items())


def test_a_grounder_of_another_size_is_refused_before_films_are_drawn(run, trained, tmp_path):
    with pytest.raises(CheckpointError, match=r"--start .*: expected a grounder of the same size and words"):
        run("--out", tmp_path / "x", *QUICK[:-2], "--size", "full", "--device", "cpu", "--start", trained)
    assert not (tmp_path / "x").exists()


def test_variants_differ_from_the_first_in_what_they_are_named_after():
    base = compared("full")
    made = {name: variant(base, changes) for name, changes in VARIANTS.items()}
    assert made["span queries, pointer"] == base
    assert made["span queries, mlp"].grounder.span_rule == "mlp"
    assert [made[name].manner.windows for name in ("words", "frames' relevance", "slots")] == [
        "words", "relevance", "spans",
    ]  # fmt: skip
    compressors = [made[name].grounder.compressor for name in list(VARIANTS)[4:8]]
    assert compressors == ["slots", "t_selector", "average", "none"]
    assert base.grounder.compressor == "guided"
    assert (base.most_tracks, made["tracks too"].most_tracks) == (0, base.grounder.tracks)


@pytest.mark.parametrize("size", ["full", "smoke"])
def test_all_of_a_size_read_the_same_films_and_four_tokens_a_frame_where_they_compress(size):
    base = compared(size)
    made = [variant(base, changes) for changes in VARIANTS.values()]  # settings that do not fit are refused here
    assert {each.grounder.visual_tokens for each in made} == {4}
    assert base.first == base.pool
    assert base.refresh == 0


def test_unknown_names_are_refused_before_anything_is_drawn(run, tmp_path):
    with pytest.raises(InputError, match="--only: expected some of span queries, pointer"):
        run("--out", tmp_path / "x", *QUICK, "--only", "magic")
    assert not (tmp_path / "x").exists()
    with pytest.raises(InputError, match="--size: expected one of full, smoke, got 'huge'"):
        compared("huge")
