"""Two trainings beside each other: how far their curves lie apart, and how fast each was."""

import json

import pytest

from core.errors import TrackSiftError
from miniature.compare_devices import compare


def training(folder, losses, pace):
    folder.mkdir()
    lines = ["epoch,train_loss,valid_loss,valid_score,learning_rate"]
    lines += [f"{i},{loss},{loss + 1},0.5,0.001" for i, loss in enumerate(losses)]
    (folder / "selector.csv").write_text("\n".join(lines) + "\n")
    (folder / "selector.json").write_text(json.dumps({"steps_per_second": pace}))
    return folder


def test_the_largest_difference_of_any_epoch_counts(tmp_path):
    folders = {1: training(tmp_path / "1", [3.0, 2.0], 10.0), 2: training(tmp_path / "2", [3.25, 2.0], 15.0)}
    figures = compare(folders)
    assert figures["train_loss_difference"] == figures["valid_loss_difference"] == 0.25
    assert figures["valid_score_difference"] == 0
    assert (figures["speedup"], figures["steps_per_second_2"]) == (1.5, 15.0)
    assert figures["train_loss_2"] == 2.0


def test_curves_of_other_lengths_are_refused_and_no_pace_is_no_speedup(tmp_path):
    short, long = training(tmp_path / "1", [3.0], 10.0), training(tmp_path / "2", [3.0, 2.0], None)
    with pytest.raises(TrackSiftError, match="as many epochs, got"):
        compare({1: short, 2: long})
    assert compare({1: training(tmp_path / "3", [3.0, 2.0], 10.0), 2: long})["speedup"] is None
