"""A grounder as files: weights as `.safetensors`, and a record that says what it is, both in one folder.

All weights of a tiny language model are kept; of a pretrained one only what was trained, and the record names the hash
of the rest. What was saved is what is loaded, bit by bit, unless fewer bits were asked for. Knows the two files. Does
not know training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.atomic import atomic_folder
from core.errors import CheckpointError, InputError
from core.hashing import file_sha256
from core.weights import from_bytes, misfits, read_weights, to_bytes
from llm_grounder.backbone import (
    Backbone,
    LoraSettings,
    TinyShape,
    pretrained_backbone,
    tiny_backbone,
    wrap_tokenizer,
)
from llm_grounder.grounder import Grounder
from llm_grounder.settings import settings_from_json

WEIGHTS: Final = "grounder.safetensors"
RECORD: Final = "grounder.json"
FORMAT: Final = 1


def save_grounder(
    folder: Path, grounder: Grounder, record: Mapping[str, Any], dtype: torch.dtype | None = None,
    state: Mapping[str, Tensor] | None = None,
) -> str:  # fmt: skip
    """Write a grounder into `folder`, whole or not at all; returns the hash of its weights.

    record: JSON-able facts (encoder, training), kept under their own names.   dtype: of the floating weights in the
    file, as they are by default; int8 for matrices of whole numbers with a scale a row (`core.weights.to_bytes`).
    state: all weights by name, where the grounder's own are spread over processes.

    Raises:
        InputError: when the record uses a name that is taken, or holds what JSON does not.
        OutputError: when the folder cannot be written.
    """
    own = {
        "format": FORMAT,
        "settings": asdict(grounder.settings),
        "backbone": grounder.backbone.facts,
        "weights_sha256": "",
    }
    if taken := set(record) & set(own):
        raise InputError(f"grounder's record: expected names other than {sorted(own)}, got {sorted(taken)}")
    whole = kept_state(grounder, state)
    if dtype is torch.int8:
        whole, dtype = to_bytes(whole), None
    kept = {
        name: (value.to(dtype) if dtype and value.is_floating_point() else value).detach().cpu().contiguous().clone()
        for name, value in whole.items()
    }
    with atomic_folder(folder) as temporary:
        save_file(kept, temporary / WEIGHTS)
        own["weights_sha256"] = file_sha256(temporary / WEIGHTS)
        try:
            text = json.dumps({**own, **record}, indent=2, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"grounder's record: expected what JSON can hold, got: {error}") from error
        (temporary / RECORD).write_text(text + "\n", encoding="utf-8")
    return str(own["weights_sha256"])


def load_grounder(folder: Path, device: str | torch.device = "cpu") -> tuple[Grounder, dict[str, Any]]:
    """The grounder in `folder`, in evaluation mode, and its record (`weights_sha256` names it in score files).

    Raises:
        CheckpointError: where files are missing, damaged, or do not belong to each other or to the language model.
    """
    record = read_record(folder)
    weights = folder / WEIGHTS
    try:
        settings = settings_from_json(record["settings"])
        backbone = _backbone(record["backbone"], settings.spans, settings.tracks)
    except (InputError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / RECORD}: expected the record of a grounder, got: {error}") from error
    state = from_bytes(read_weights(weights))
    if (sha256 := file_sha256(weights)) != record["weights_sha256"]:
        raise CheckpointError(
            f"{weights}: expected the weights {record['weights_sha256'][:12]} that its record names, got {sha256[:12]}"
        )
    grounder = Grounder(settings, backbone)
    wanted = kept_state(grounder)
    wrong = [name for name in wanted.keys() & state.keys() if wanted[name].shape != state[name].shape]
    if complaint := misfits(wanted.keys() - state.keys(), state.keys() - wanted.keys(), wrong):
        raise CheckpointError(f"{weights}: expected the {len(wanted)} tensors of its grounder, got {complaint}")
    grounder.load_state_dict(state, strict=False)  # what a frozen language model has is not in the file
    return grounder.to(device).eval(), record


def kept_state(grounder: Grounder, state: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The tensors that a checkpoint holds: all but those of a pretrained language model that are not trained.

    state: as in `save_grounder`.
    """
    pretrained = grounder.backbone.facts["kind"] == "pretrained"
    head = "backbone.lm.lm_head.weight"  # the same tensor as the embeddings of a tiny model, kept once
    return {
        name: value
        for name, value in (grounder.state_dict() if state is None else state).items()
        if (name != head if not pretrained else not name.startswith("backbone.lm.") or "lora_" in name)
    }


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a grounder's folder; CheckpointError where there is none of this format."""
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: expected the JSON record of a grounder, got: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT or "weights_sha256" not in record:
        raise CheckpointError(f"{path}: expected a grounder's record of format {FORMAT}, got another")
    return record


def _backbone(facts: Mapping[str, Any], spans: int, tracks: int) -> Backbone:
    if facts["kind"] == "tiny":
        return tiny_backbone(
            wrap_tokenizer(facts["tokenizer"]), TinyShape(**facts["shape"]), spans=spans, tracks=tracks
        )
    lora = LoraSettings(**facts["lora"]) if facts["lora"] else None
    dtype = getattr(torch, facts["dtype"])
    made = pretrained_backbone(facts["spec"], spans=spans, tracks=tracks, lora=lora, dtype=dtype)
    if made.facts["sha256"] != facts["sha256"]:
        raise CheckpointError(
            f"language model {facts['spec']!r}: expected the one of hash {facts['sha256'][:12]} that the grounder was "
            f"trained on, got {made.facts['sha256'][:12]}"
        )
    return made
