"""How near our bfloat16 is to the package's, and which choice of either moves it: one row a choice.

The package rounds thousands of sums, and where two candidate masks score alike its rounding decides between them: a
token of the other candidate then has a cosine of .8 or .9 among others of 1.0000. So the rows tell tokens below SAME
apart, and how far the package's two best candidates lay from each other there and elsewhere.
Knows the package's predictor and our tracker. Does not know command lines. Axis letters: T frames, D token width.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.frames import open_video
from core.types import Source
from proposals.benchmark.stage import random_sam2, settle_masks
from proposals.benchmark.ways import as_predictor, quiet_progress
from proposals.features import FeatureStore, precision
from proposals.prompts import MaskPrompt
from proposals.propagation import propagate
from proposals.sam2_heads import Heads, Readout
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources
from proposals.tracker import Maps

FRAMES, SIDE = 16, 256
AWAY = (6, 7, 8, 9)  # frames that the first disc is away for
BIRTHS = ((0, 0), (1, 6), (2, 15), (1, 0), (0, 11))  # disc, frame: forward, both ways, backward
SAME = 0.99  # cosine from which a token counts as the same candidate's
FLASH = (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH)

Row = dict[str, float | str | None]


@dataclass(frozen=True)
class Choice:
    """How both run (reduced: sums of matrix products in bfloat16 allowed; flash: FlashAttention alone), and how ours
    does: narrow values, objects and frames a batch, heads in float32, compiled, small batches replayed.
    """

    reduced: bool = True
    flash: bool = False
    narrow: bool | None = None
    objects: int = 64
    frames: int = 8
    fine: bool = False
    compiled: bool = False
    replayed: bool = False


CHOICES = {
    "as it is": Choice(),
    "compiled": Choice(compiled=True),
    "compiled and replayed": Choice(compiled=True, replayed=True),
    "both: products summed in float32": Choice(reduced=False),
    "both: FlashAttention": Choice(flash=True),
    "values narrow": Choice(narrow=True),
    "one object a batch": Choice(objects=1),
    "one frame an encoder pass": Choice(frames=1),
    "one object, one frame": Choice(objects=1, frames=1),
    "as the package: flash, wide, one object, one frame": Choice(flash=True, narrow=False, objects=1, frames=1),
    "heads in float32": Choice(fine=True),
}


@dataclass(frozen=True)
class Found:
    """One object: logits [T, H, W] > 0, pointers [T, D], object scores [T], gaps [T] of the two best candidates."""

    logits: Tensor
    pointers: Tensor
    scores: Tensor
    gaps: Tensor


def disc_scene(folder: Path) -> NDArray[np.bool_]:
    """Write JPEGs of three discs, of which the first is away for a while; their visible masks [O, T, H, W]."""
    rng = np.random.default_rng(3)
    ground = np.asarray(Image.fromarray(rng.integers(60, 120, (16, 16, 3), dtype=np.uint8)).resize((SIDE, SIDE)))
    masks = np.zeros((3, FRAMES, SIDE, SIDE), dtype=bool)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    colours = ((220, 40, 40), (40, 90, 230), (240, 220, 60))
    for t in range(FRAMES):
        picture = ground.copy()
        for o, (y, x, radius) in enumerate(((60, 60 + 4 * t, 32), (140, 220 - 8 * t, 30), (215, 40 + 5 * t, 30))):
            if o or t not in AWAY:
                masks[o, t] = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
                picture[masks[o, t]] = colours[o]
        Image.fromarray(picture).save(folder / f"{t:03d}.jpg", quality=95)
    return masks


def official(model: Any, folder: Path, mask: NDArray[np.bool_], key: int) -> Found:
    """The package's predictor on a folder of JPEGs, one object."""
    gaps: list[float] = []

    def look(module: object, given: object, outcome: tuple[Tensor, ...]) -> None:
        best = outcome[1].float().sort(dim=-1, descending=True).values[0]
        gaps.append(float(best[0] - best[1]) if len(best) > 1 else 1.0)

    hook = model.sam_mask_decoder.register_forward_hook(look)
    logits, apart = {}, {}
    try:
        state = model.init_state(str(folder))
        model.add_new_mask(state, key, 1, torch.from_numpy(mask))
        for reverse in (False, True):
            for t, _, value in model.propagate_in_video(state, start_frame_idx=key, reverse=reverse):
                logits[t], apart[t] = value[0, 0], gaps[-1]
    finally:
        hook.remove()
    outputs = state["output_dict_per_obj"][0]
    every = {**outputs["non_cond_frame_outputs"], **outputs["cond_frame_outputs"]}
    order = range(len(logits))
    return Found(
        torch.stack([logits[t] for t in order]),
        torch.stack([every[t]["obj_ptr"][0] for t in order]),
        torch.stack([every[t]["object_score_logits"][0, 0] for t in order]),
        torch.tensor([apart[t] for t in order]),
    )


def compare_weights(miniature: SAM2Base, device: torch.device) -> list[Row]:
    """The rows of given weights and of random ones of the largest size."""
    quiet_progress()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        masks = disc_scene(folder)
        rows = compare(miniature, device, folder, masks, "miniature")
        return rows + compare(decided(device, folder, masks), device, folder, masks, "random, large")


def compare(model: SAM2Base, device: torch.device, folder: Path, masks: NDArray[np.bool_], name: str) -> list[Row]:
    """A row for each choice, and one of the package's two precisions; `name` of the weights."""
    predictor = as_predictor(model.to(device))
    rows: list[Row] = []
    wanted: dict[tuple[bool, bool], list[Found]] = {}
    for label, choice in CHOICES.items():
        with _both(choice):
            key = (choice.reduced, choice.flash)
            if key not in wanted:
                with precision(device):
                    wanted[key] = [official(predictor, folder, masks[o, t], t) for o, t in BIRTHS]
            rows.append(
                {"weights": name, "choice": label, **_figures(_ours(predictor, folder, masks, choice), wanted[key])}
            )
    exact = [official(predictor, folder, masks[o, t], t) for o, t in BIRTHS]
    plain = wanted[True, False]
    other = [((found.logits > 0).cpu().numpy(), found.pointers.float().cpu()) for found in exact]
    return [*rows, {"weights": name, "choice": "the package in float32, and in bfloat16", **_figures(other, plain)}]


def decided(device: torch.device, folder: Path, masks: NDArray[np.bool_], size: str = "large") -> SAM2Base:
    """Random weights that see objects and whose candidate masks do not tie: the first scores best everywhere."""
    model = random_sam2(size, device)
    with torch.no_grad():
        model.sam_mask_decoder.iou_prediction_head.layers[-1].bias[1] += 4
    settle_masks(model, folder, [MaskPrompt(0, masks[0, 0], Source.GRID)], share=0.2)
    return model


class _FineHeads(Sam2Tracker):
    """Decoder and memory encoder in float32."""

    def __init__(self, model: SAM2Base, resources: Resources, **options: Any) -> None:
        super().__init__(model, resources, **options)
        self._fine = Heads(model)

    def _read_out(self, x: Tensor, size: int, maps: Maps) -> Readout:
        with torch.autocast(self.device.type, enabled=False):
            outcome: Readout = self._fine(x.float(), *(level.float() for level in maps))
        return outcome


@contextmanager
def _both(choice: Choice) -> Iterator[None]:
    """Settings that hold for the package and for us."""
    before = torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
    with ExitStack() as stack:
        if choice.flash:
            stack.enter_context(sdpa_kernel(list(FLASH), set_priority=True))
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = choice.reduced
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = before


def _ours(
    model: SAM2Base, folder: Path, masks: NDArray[np.bool_], choice: Choice
) -> list[tuple[NDArray[np.bool_], Tensor]]:
    """Masks [T, H, W] and tokens [T, D] of every birth."""
    resources = Resources(choice.frames, choice.objects, compiled=choice.compiled, replayed=choice.replayed)
    kind = _FineHeads if choice.fine else Sam2Tracker
    tracker = kind(model, resources, narrow=choice.narrow, backends=FLASH if choice.flash else None)
    store = FeatureStore(open_video(folder, fps=8), tracker, resources)
    try:
        tracks = propagate(tracker, store, [MaskPrompt(t, masks[o, t], Source.GRID) for o, t in BIRTHS])
    finally:
        store.close()
    return [(track.decode(), torch.from_numpy(track.tokens).float()) for track in tracks]


def _figures(ours: Sequence[tuple[NDArray[np.bool_], Tensor]], wanted: Sequence[Found]) -> Row:
    ious, cosines = [], []
    for (mine, tokens), found in zip(ours, wanted, strict=True):
        want = (found.logits > 0).cpu().numpy()
        either = (mine | want).sum(axis=(1, 2))
        ious.append(np.where(either == 0, 1, (mine & want).sum(axis=(1, 2)) / np.maximum(either, 1)))
        cosines.append(torch.nn.functional.cosine_similarity(tokens, found.pointers.float().cpu(), dim=1))
    cosine, gaps = torch.cat(cosines), torch.cat([found.gaps for found in wanted])
    same = cosine >= SAME
    return {
        "mask_iou": float(np.concatenate(ious).mean()),
        "cosine": float(cosine.mean()),
        "others": float((~same).float().mean()),
        "cosine_same": _mean(cosine[same]),
        "gap_others": _mean(gaps[~same]),
        "gap_same": _mean(gaps[same]),
    }


def _mean(values: Tensor) -> float | None:
    return float(values.mean()) if len(values) else None
