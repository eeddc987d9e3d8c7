import shutil

import pytest


@pytest.fixture
def places(world, caches, tmp_path):
    return ("--data", world, "--cache", shutil.copytree(caches, tmp_path / "caches"), "--device", "cpu")


def test_features_are_made_once(command, places):
    planned = command("extract-features", *places, "--per-second", 2, "--dry-run")
    assert (planned.code, planned.figures["planned"], planned.figures["made"]) == (0, 2, 0)
    made = command("extract-features", *places, "--per-second", 2)
    assert (made.code, made.figures["made"], made.figures["failures"]) == (0, 2, 0)
    assert made.figures["frames"] == planned.figures["frames"] > 0
    assert command("extract-features", *places, "--per-second", 2).figures["kept"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--encoder", "nowhere"), "expected a folder with open_clip_config.json"),
        (("--per-second", 0), "--per-second: expected more than 0"),
        (("--grid", 100), "--grid: expected a side of 0 to 64"),
        (("--grid", 3, "--tiles", 2), "--tiles: expected a number that divides --grid 3"),
        (("--split", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_sentence(command, places, words, message):
    outcome = command("extract-features", *places, *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
