"""SOLA's own checkpoints as selectors here: its `.pth`, by its own names of tensors, and thresholds fitted to caches.

Knows names, caches and calibration. Does not know training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from core.errors import InputError
from core.hashing import file_sha256
from core.reporting import Progress
from core.text import TextEncoder
from core.weights import check_state, read_weights
from selector.calibration import Calibration, fit_calibration, mean_score
from selector.checkpoints import WEIGHTS, save_selector
from selector.data import build_data
from selector.labelled import without_ground_truth
from selector.learner import score_data
from selector.loading import Example, read_examples
from selector.settings import SolaSettings
from selector.sola import SolaSelector

WRAPPED = "module."  # what a training over several processes puts before every name


@dataclass(frozen=True)
class Imported:
    """What came of an import.   calib_score: mean `overlap_score` on the caches, before and after fitting."""

    calibration: Calibration
    plain_score: float
    calib_score: float


def read_sola(path: Path, settings: SolaSettings) -> SolaSelector:
    """SOLA's module with the weights of a `.pth` or `.safetensors` file; every tensor must be known and fit.

    Raises:
        CheckpointError: for a damaged file, a pickle of anything but tensors, or other names or shapes.
    """
    state = {name.removeprefix(WRAPPED): tensor for name, tensor in read_weights(path).items()}
    with torch.device("meta"):
        model = SolaSelector(settings)
    check_state(model, state, path)
    model = model.to_empty(device="cpu")
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def import_sola(
    path: Path, calib: Sequence[Example], encoder: TextEncoder, settings: SolaSettings, out: Path,
    device: torch.device, *, fit: bool = True, workers: int = 0, progress: Progress | None = None,
) -> Imported:  # fmt: skip
    """Write `out` as a training would: the weights, their record, and the thresholds.

    Args:
        path: SOLA's checkpoint.
        calib: caches with labels, of the tracker that the checkpoint was trained with, and their expressions.
        encoder: its text encoder.
        settings: its shape; SOLA's release by default (`selector.recipes.SOLA`).
        out: a folder.
        device: where the caches are scored.
        fit: fit temperature and thresholds on `calib`, instead of SOLA's plain sigmoid above 0.5.
        workers, progress: of reading.

    Raises:
        CheckpointError: as `read_sola`.
        InputError: for caches without labels or of another width, or a text encoder of another.
    """
    model = read_sola(path, settings)
    if encoder.width != settings.text_width:
        raise InputError(
            f"text encoder {encoder.name!r}: expected a width of {settings.text_width}, got {encoder.width}"
        )
    read = read_examples(calib, geometry=0, workers=workers, progress=progress)
    data = build_data([without_ground_truth(video) for video in read], encoder, device)
    if data.rows.width != settings.token_width:
        raise InputError(f"caches: expected object tokens of width {settings.token_width}, got {data.rows.width}")
    scored = score_data(model.to(device), data)
    calibration = fit_calibration(scored) if fit else Calibration()
    fitted_on = sorted({"/".join(cache.parts[-3:-1]) for cache, _ in calib}) if fit else []
    record = {"recipe": "sola", "imported": path.name, "imported_sha256": file_sha256(path), "splits": fitted_on}
    # As they are: SOLA's sums over the embedding are not scaled, and float16 would show in its scores.
    save_selector(out / WEIGHTS, model, calibration, data.tracker, encoder.sha256, record, half=False)
    return Imported(calibration, mean_score(scored, Calibration()), mean_score(scored, calibration))
