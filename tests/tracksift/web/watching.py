"""A grounder of tiny random weights in a folder, which was never trained: its replies can be read, and mean nothing."""

import torch

from core.open_clip_folder import open_clip_sha256
from llm_grounder.backbone import TinyShape, make_tokenizer, tiny_backbone
from llm_grounder.checkpoints import save_grounder
from llm_grounder.grounder import Grounder
from llm_grounder.settings import GrounderSettings
from tracksift.clips import Inputs
from tracksift.models import WEIGHTS

TEXTS = ["a red star spins", "what happens?", "the blue circle moves to the left and then grows"]


def write_grounder(
    folder, *, manner=None, tasks=("moments", "captions", "summary", "qa", "reg"), inputs=None, **values
):
    """Write one and return its folder.   tasks: those that its record counts samples of."""
    torch.manual_seed(0)
    settings = GrounderSettings(2 * 192, 4, **{"visual_tokens": 1, "spans": 4} | values)
    backbone = tiny_backbone(make_tokenizer(TEXTS, 320), TinyShape(32, 1, 2, 32, 320), spans=settings.spans, tracks=16)
    seen = {"encoder": open_clip_sha256(WEIGHTS / "clip"), "grid": 2, "per_second": 4.0} | (inputs or {})
    record = {
        "inputs": Inputs(**seen).record(), "manner": {"style": "tokens", "windows": "spans"} | (manner or {}),
        "asked": dict.fromkeys(tasks, 1),
    }  # fmt: skip
    save_grounder(folder, Grounder(settings, backbone), record)
    return folder
