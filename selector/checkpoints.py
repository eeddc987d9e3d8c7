"""A trained selector as files: weights as `.safetensors` with their record inside, and beside them the same as `.json`.

Knows the two files. Does not know training or scoring. The record beside is what is read where there is one, and names
the weights' hash; without it the weights' own is read, so that one file is enough to hand a selector on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from core.atomic import atomic_path
from core.errors import CheckpointError, InputError
from core.hashing import file_sha256
from core.weights import load_strictly, to_bytes
from selector.calibration import Calibration
from selector.modules import Module, build
from selector.scoring import Selector
from selector.settings import Settings, module_name, settings_from_json

WEIGHTS = "selector.safetensors"
FORMAT = 2
INSIDE = "tracksift"  # the record's name among the metadata of the weights


def save_selector(
    path: Path, model: Module, calibration: Calibration, tracker: str, text_encoder: str,
    record: Mapping[str, Any], look: str = "", *, half: bool = True, in_bytes: bool = False,
) -> None:  # fmt: skip
    """Write weights (in float16 where `half`, or in half of that by `core.weights.to_bytes` where `in_bytes`; buffers
    as they are) to `path`, the record inside and beside them.

    tracker, text_encoder, look: hashes of what it was trained on; look is "" for a selector that reads none.
    record: JSON-able facts about the training, kept under their own names.
    """
    whole = model.state_dict()
    buffers = {name: whole.pop(name) for name, _ in model.named_buffers() if name in whole}
    weights = to_bytes(whole) if in_bytes else {name: t.half() for name, t in whole.items()} if half else whole
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in {**weights, **buffers}.items()}
    values = {
        "format": FORMAT,
        "module": module_name(model.settings),
        "settings": asdict(model.settings),
        "calibration": asdict(calibration),
        "tracker_sha256": tracker,
        "text_encoder_sha256": text_encoder,
        "look_sha256": look,
        **record,
    }
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={INSIDE: json.dumps(values)})
    beside = {**values, "weights_sha256": file_sha256(path)}
    with atomic_path(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(beside, indent=2) + "\n", encoding="utf-8")


def load_selector(path: Path, device: str | torch.device = "cpu") -> Selector:
    """The selector whose weights are `path` (or, in a folder, `selector.safetensors`).

    Raises:
        CheckpointError: where weights or record are missing, damaged, or do not belong to each other.
    """
    path = path / WEIGHTS if path.is_dir() else path
    sha256 = ""
    if path.with_suffix(".json").exists():
        source, record = path.with_suffix(".json"), _record_beside(path.with_suffix(".json"))
    else:
        source, record = path, _record_inside(path)
        sha256 = record["weights_sha256"] = file_sha256(path)
    try:
        settings: Settings = settings_from_json(record["module"], record["settings"])
        calibration = _calibration(record["calibration"])
        tracker, encoder, look, weights = (
            str(record[k]) for k in ("tracker_sha256", "text_encoder_sha256", "look_sha256", "weights_sha256")
        )
        if bool(look) != (settings.look_width > 0):
            raise InputError(f"look_width {settings.look_width} with look_sha256 {look!r}")
    except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{source}: expected the record of a selector, got: {error}") from error
    with torch.device("meta"):
        model = build(settings)
    model = model.to_empty(device="cpu")
    load_strictly(model, path)
    sha256 = sha256 or file_sha256(path)
    if sha256 != weights:
        raise CheckpointError(f"{path}: expected the weights {weights[:12]} that its record names, got {sha256[:12]}")
    model = model.to(device).eval().requires_grad_(False)
    return Selector(model, calibration, tracker, encoder, look, sha256, record)


def _record_beside(path: Path) -> dict[str, Any]:
    try:
        return _checked(json.loads(path.read_text(encoding="utf-8")), path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: expected the JSON record of a selector, got: {error}") from error


def _record_inside(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, "pt") as file:
            inside = (file.metadata() or {}).get(INSIDE)
        return _checked(json.loads(inside) if inside is not None else None, path)
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: expected a selector as safetensors, got: {error}") from error


def _checked(record: Any, path: Path) -> dict[str, Any]:
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise CheckpointError(f"{path}: expected a selector's record of format {FORMAT}, got another or none")
    return record


def _calibration(values: Mapping[str, Any]) -> Calibration:
    known = {field.name for field in fields(Calibration)}
    if set(values) | {"knots", "share", "gate"} != known:  # older records lack these
        raise InputError(f"calibration: expected exactly {sorted(known)}, got {sorted(values)}")
    knots = tuple((float(at), float(level)) for at, level in values.get("knots", ()))
    return Calibration(**{name: float(value) for name, value in values.items() if name != "knots"}, knots=knots)
