"""Flags of generate that decide the order of births and how the tracker runs."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def frames(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    for i in range(2):
        Image.fromarray(np.full((32, 48, 3), 90, dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize(
    ("flags", "order", "bin_size"),
    [
        ([], "time", 12),
        (["--preset", "faithful"], "area", 12),
        (["--preset", "faithful", "--order", "time"], "time", 12),
        (["--bin-size", "0"], "time", 0),
        (["--preset", "fast"], "time", 10**9),
    ],
)
def test_presets_and_orders_are_said_in_the_settings(command, frames, tmp_path, flags, order, bin_size):
    outcome = command(
        "generate", frames, "--fps", 8, "--cache", tmp_path / "caches", "--dry-run", "--device", "cpu", *flags
    )
    assert outcome.code == 0, outcome.err
    settings = outcome.figures["settings"]
    assert (settings["order"], settings["bin_size"]) == (order, bin_size)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--preset", "slow"], "preset: expected one of fast, balanced, faithful"),
        (["--order", "size"], "order: expected one of time, area"),
        (["--compile", "--workers", "2"], "--compile: expected --workers 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(command, frames, flags, words):
    outcome = command("generate", frames, "--fps", 8, "--dry-run", "--device", "cpu", *flags)
    assert outcome.code == 2
    assert words in outcome.err
