"""A tracker by name, whatever its kind: SAM2 from its package's files, EdgeTAM from a folder in transformers' format.

Knows what a name may stand for. Does not know how either is read, nor imports transformers for a SAM2.
"""

from __future__ import annotations

from pathlib import Path

from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES

from proposals.checkpoints import LoadedTracker, load_sam2


def load_tracker(spec: str, device: str = "cpu") -> LoadedTracker:
    """A SAM2 (a hub id of `facebook/sam2*`, a .pt or a .safetensors) or an EdgeTAM (a folder, or any other hub id).

    Raises:
        CheckpointError: for weights that are missing, unreadable, of other keys or shapes, or hold code.
        InputError: for a device that this machine does not have.
    """
    if spec not in HF_MODEL_ID_TO_FILENAMES and (Path(spec).is_dir() or _is_hub_id(spec)):
        from proposals.edgetam import load_edgetam  # transformers' models take seconds to import

        return load_edgetam(spec, device)
    return load_sam2(spec, device)


def _is_hub_id(spec: str) -> bool:
    """Whether a name has the form owner/name and is no path or file of weights."""
    parts = spec.split("/")
    return len(parts) == 2 and all(parts) and parts[0] not in (".", "..") and Path(spec).suffix not in (
        ".pt", ".safetensors",
    )  # fmt: skip
