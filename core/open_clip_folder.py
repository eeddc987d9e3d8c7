"""Folders of open_clip's own format: configuration, weights as safetensors, a byte-pair merges file if there is one.

Knows the files and what makes a model of them. Does not know what the towers are for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.errors import CheckpointError
from core.hashing import file_sha256, json_sha256
from core.weights import load_strictly

OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = "open_clip_model.safetensors"
MERGES = "bpe_merges.txt.gz"


def load_open_clip(folder: Path, device: str | torch.device) -> tuple[Any, Any]:
    """(open_clip.CLIP frozen in float32, its tokenizer) from a folder of open_clip's own format.

    The weights must be safetensors and match the configuration exactly: CheckpointError otherwise.
    """
    config = read_open_clip_config(folder)
    if config.get("custom_text") or any(key in config["text_cfg"] for key in ("hf_model_name", "hf_tokenizer_name")):
        raise CheckpointError(f"{folder}: expected open_clip's own text tower, got another or a Hugging Face one")
    model = load_open_clip_towers(folder, device)
    return model, open_clip_tokenizer(folder, int(model.context_length))


def load_open_clip_towers(folder: Path, device: str | torch.device) -> Any:
    """The open_clip model of a folder (CLIP, or SigLIP's kind), frozen in float32; raises as `load_open_clip`."""
    import open_clip  # slow to import

    config = read_open_clip_config(folder)
    weights = folder / OPEN_CLIP_WEIGHTS
    if not weights.is_file():
        raise CheckpointError(f"{folder}: expected {OPEN_CLIP_WEIGHTS} beside {OPEN_CLIP_CONFIG}, got no such file")
    made = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
    try:
        model = made(**config)
    except (TypeError, AssertionError, RuntimeError) as error:
        raise CheckpointError(f"{folder / OPEN_CLIP_CONFIG}: expected open_clip's settings, got: {error}") from error
    load_strictly(model, weights)
    return freeze(model, device)


def open_clip_sha256(folder: Path) -> str:
    """Hash of an open_clip folder's weights, configuration and tokenizer: one name for both towers."""
    names = (OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, MERGES)
    return files_sha256([folder / name for name in names if (folder / name).exists()])


def read_open_clip_config(folder: Path) -> dict[str, Any]:
    """`model_cfg` of a folder's open_clip_config.json; CheckpointError where it is malformed."""
    path = folder / OPEN_CLIP_CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
        missing = {"embed_dim", "vision_cfg", "text_cfg"} - set(config)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: expected JSON with model_cfg, got: {error!r}") from error
    if missing:
        raise CheckpointError(f"{path}: expected model_cfg with embed_dim, vision_cfg and text_cfg, missing {missing}")
    return dict(config)


def open_clip_tokenizer(folder: Path, context_length: int) -> Any:
    """open_clip's byte-pair tokenizer, over the folder's own merges file or else over CLIP's."""
    from open_clip.tokenizer import SimpleTokenizer

    merges = folder / MERGES
    if merges.exists():
        return SimpleTokenizer(bpe_path=str(merges), context_length=context_length)
    return SimpleTokenizer(context_length=context_length)


def files_sha256(paths: Sequence[Path]) -> str:
    """One hash of the names and bytes of several files."""
    return json_sha256({path.name: file_sha256(path) for path in paths})


def freeze(model: nn.Module, device: str | torch.device) -> nn.Module:
    """The model on `device`, in evaluation mode, without gradients."""
    return model.to(device).eval().requires_grad_(False)
