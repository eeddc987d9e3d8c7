"""`tracksift convert-selector`: from SOLA's file to answers, and refusals in one sentence."""

import torch

from selector.recipes import SMALL_SOLA
from selector.sola import SolaSelector


def test_a_checkpoint_of_sola_becomes_a_selector_that_evaluate_takes(command, world, caches, tmp_path):
    torch.manual_seed(0)
    torch.save(SolaSelector(SMALL_SOLA).state_dict(), tmp_path / "sola.pth")
    words = ("convert-selector", tmp_path / "sola.pth", "--data", world, "--split", "valid", "--cache", caches)
    words += ("--size", "miniature", "--out", tmp_path / "o")
    assert command(*words, "--dry-run").figures["tensors"] == 86  # SOLA's 84, and words of another width
    assert not (tmp_path / "o").exists()
    made = command(*words, "--device", "cpu")
    assert made.code == 0
    assert made.figures["calib_score"] >= made.figures["plain_score"]
    weights = tmp_path / "o" / "selector.safetensors"
    told = command(
        "evaluate", "--data", world, "--split", "valid", "--cache", caches, "--selector", weights, "--no-baselines",
        "--device", "cpu",
    )  # fmt: skip
    assert told.code == 0
    assert 0 <= told.figures["jf"] <= 1
    missing = command("convert-selector", tmp_path / "no.pth", "--data", world, "--out", tmp_path / "x")
    assert (missing.code, "expected a .pth file" in missing.err) == (2, True)
