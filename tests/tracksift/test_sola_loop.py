"""SOLA's reading loop, as it is timed: what it gives is what is in its files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tracksift.cache_tools.sola_loop import mask_bytes, read_npy, read_sola, token_folders

TRACK = {"anno_id": 0, "rle": [{"size": [2, 2], "counts": "4"}], "prompt_type": "SAM2 AMG MASK"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two tracks of a grid, one detected for an expression."""
    for place, number in (("grid_tracks/d/s/{}/v", 0), ("grid_tracks/d/s/{}/v", 1), ("gdino_tracks/d/s/{}/v/e", 0)):
        masklets, tokens = (tmp_path / place.format(kind) for kind in ("sam2_masklets", "sam2_object_tokens"))
        masklets.mkdir(parents=True, exist_ok=True)
        tokens.mkdir(parents=True, exist_ok=True)
        overlaps = {key: {"0": 0.25, "1": 0.5 + number / 4, "7": 1.0} for key in ("iou", "precision", "recall")}
        value = TRACK | {"anno_id": number} | overlaps
        (masklets / f"{number:05d}.json").write_text(json.dumps(value, indent=4))
        np.save(tokens / f"{number:05d}.npy", np.full((3, 4), number, dtype=np.float32))
    return tmp_path


def test_every_folder_is_one_batch_of_one_sample_with_labels_of_its_targets(root: Path) -> None:
    detected, grid = read_sola(token_folders(root))
    assert detected.tokens.shape == (1, 1, 3, 4)
    assert grid.tokens.shape == (1, 2, 3, 4)
    assert grid.tokens[0, :, 0, 0].tolist() == [0, 1]
    assert grid.labels["iou"].tolist() == [0.5, 0.75]
    assert (grid.numbers, grid.prompt_types) == ([0, 1], ["SAM2 AMG MASK"] * 2)


def test_npy_alone_gives_the_same_tokens(root: Path) -> None:
    folders = token_folders(root)
    for alone, sample in zip(read_npy(folders), read_sola(folders), strict=True):
        assert torch.equal(alone, sample.tokens)


def test_overlaps_do_not_count_as_bytes_of_masks(root: Path) -> None:
    path = root / "grid_tracks/d/s/sam2_masklets/v/00000.json"
    assert mask_bytes(path) == len(json.dumps(TRACK, indent=4))
