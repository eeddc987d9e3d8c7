"""How well the miniature SAM2 tracks rendered clips and cut-outs from a mask, box or point on the first frame.

Knows splits, prompts and figures. Does not know training, grids, caches or language. The split `cutouts` are the first
cut-out clips of the held-out photographs.

A track is one object with at least LEAST_VISIBLE visible pixels on frame 0 of a clip of 24 frames. J is the IoU of
visible pixels at 256 x 256, 1 where neither shows anything. A track's J is the mean over frames 1 and later; all
figures are then means over tracks. An object counts as visible on a frame where at least one pixel of it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from core import cli
from core.devices import pick_device
from core.errors import InputError
from core.reporting import emit, print_table, track
from miniature.sam2_training.pool import Rendered, cut_many, render_many, split_seeds
from miniature.sam2_training.tracker import PROMPTS, track_clips
from proposals.checkpoints import load_sam2

WEIGHTS = Path(__file__).parent / "weights" / "sam2.safetensors"
LEAST_VISIBLE = 64
LATE = 16
CUTOUTS = "cutouts"
COLUMNS = (
    "split",
    "prompt",
    "tracks",
    "J",
    "median J",
    "J frame 0",
    "J 16+",
    "J < 0.5",
    "present",
    "visible",
    "absent",
)
app = typer.Typer(add_completion=False, help=(__doc__ or "").split("\n", maxsplit=1)[0])


@dataclass(frozen=True)
class Figures:
    """Figures of one prompt, all in 0..1 but `tracks`.

    j: mean J, frames 1 and later.   median_j.   first_j: J on frame 0.   late_j: J, frames 16 and later (NaN in shorter
    clips).   below_half: share of tracks with J < 0.5.   present: share of track-frames from 1 on whose object score
    says rightly whether the object is visible; present_visible and present_absent: the same where it is and where it
    is not (NaN where no such frame exists).
    """

    tracks: int
    j: float
    median_j: float
    first_j: float
    late_j: float
    below_half: float
    present: float
    present_visible: float
    present_absent: float


def evaluate_sam2(
    model: SAM2Base, clips: Iterable[Rendered], prompts: Sequence[str] = PROMPTS, *, together: int = 4
) -> dict[str, Figures]:
    """Figures for each prompt over rendered clips of one length; `together` clips go through the model as one batch.

    The model must be in evaluation mode; on CUDA it runs in bfloat16 autocast.

    Raises:
        InputError: where no clip shows an object on its first frame.
    """
    overlaps: dict[str, list[Tensor]] = {prompt: [] for prompt in prompts}
    right: dict[str, list[Tensor]] = {prompt: [] for prompt in prompts}
    shown: list[Tensor] = []
    for group in _groups(clips, together):
        pixels = torch.stack([torch.from_numpy(clip.pixels) for clip in group])  # [K, T, H, W, 4]
        owner, truth = _objects(pixels, group)
        if not len(owner):
            continue
        visible = truth.flatten(2).any(dim=2)  # [T, N]
        shown.append(visible.T)
        for prompt in prompts:
            tracked = track_clips(model, pixels[..., :3], owner, truth[0], prompt)
            overlaps[prompt].append(_overlap(tracked.masks, truth).T)
            right[prompt].append(((tracked.score > 0) == visible).T)
    if not shown:
        raise InputError("evaluation: expected a clip that shows an object on its first frame, got none")
    return {p: _figures(torch.cat(overlaps[p]), torch.cat(right[p]), torch.cat(shown)) for p in prompts}


def evaluate_split(
    model: SAM2Base, split: str, clips: int, *, workers: int, prompts: Sequence[str] = PROMPTS, together: int = 4
) -> dict[str, Figures]:
    """`evaluate_sam2` on the first clips of a split, rendered by `workers` processes (0: in this one)."""
    made = split_clips(split, clips, workers=workers)
    return evaluate_sam2(model, track(made, f"{split}: clips tracked", total=clips), prompts, together=together)


def split_clips(split: str, clips: int, *, workers: int) -> Iterator[Rendered]:
    """The first clips of a split, or cut-outs; InputError for an unknown split or too many clips."""
    if split == CUTOUTS:
        return cut_many(clips, workers=workers)
    seeds, shifted = split_seeds(split, clips)
    return render_many(seeds, shifted=shifted, workers=workers)


def rows(split: str, figures: dict[str, Figures]) -> list[list[object]]:
    """Table rows under COLUMNS."""
    return [
        [
            *(split, p, f.tracks, f.j, f.median_j, f.first_j, f.late_j, f.below_half),
            *(f.present, f.present_visible, f.present_absent),
        ]
        for p, f in figures.items()
    ]


def flat(split: str, figures: dict[str, Figures]) -> dict[str, float | int]:
    """Figures under flat names such as `test_mask_j`."""
    return {f"{split}_{p}_{name}": value for p, f in figures.items() for name, value in asdict(f).items()}


def _groups(clips: Iterable[Rendered], size: int) -> Iterable[list[Rendered]]:
    group: list[Rendered] = []
    for clip in clips:
        group.append(clip)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _objects(pixels: Tensor, group: Sequence[Rendered]) -> tuple[Tensor, Tensor]:
    """Owner [N] and masks bool [T, N, H, W] of the objects that frame 0 shows well enough."""
    labels = pixels[..., 3]
    pairs = [
        (k, i + 1)
        for k, clip in enumerate(group)
        for i in range(clip.objects)
        if int((labels[k, 0] == i + 1).sum()) >= LEAST_VISIBLE
    ]
    if not pairs:
        return torch.zeros(0, dtype=torch.long), torch.zeros(0)
    return torch.tensor([k for k, _ in pairs]), torch.stack([labels[k] == i for k, i in pairs], dim=1)


def _overlap(predicted: Tensor, truth: Tensor) -> Tensor:
    """J [T, N] of bool masks [T, N, H, W]; 1 where both are empty."""
    both = (predicted & truth).flatten(2).sum(-1)
    either = (predicted | truth).flatten(2).sum(-1)
    return torch.where(either == 0, 1.0, both / either.clamp(min=1))


def _figures(overlap: Tensor, right: Tensor, visible: Tensor) -> Figures:
    """Figures from J, right presence and visibility, each [N, T]."""
    track_j = overlap[:, 1:].mean(dim=1)
    right, visible = right[:, 1:].float(), visible[:, 1:]
    return Figures(
        tracks=len(overlap),
        j=float(track_j.mean()),
        median_j=float(track_j.median()),
        first_j=float(overlap[:, 0].mean()),
        late_j=float(overlap[:, LATE:].mean()),
        below_half=float((track_j < 0.5).float().mean()),
        present=float(right.mean()),
        present_visible=float(right[visible].mean()),
        present_absent=float(right[~visible].mean()),
    )


@app.command()
def main(
    split: Annotated[list[str], typer.Option(help="Split or `cutouts`; may be given several times.")] = ["valid"],  # noqa: B006
    clips: Annotated[int, typer.Option(help="Clips of each split, from its first seed.", min=1)] = 60,
    weights: Annotated[
        str, typer.Option(help="A .safetensors or .pt file with its .yaml beside it.", show_default="the released")
    ] = str(WEIGHTS),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes that render; 0 renders in this one.", min=0)] = 0,
    together: Annotated[int, typer.Option(help="Clips tracked as one batch.", min=1)] = 4,
) -> None:
    """Measure a tracker on rendered clips, and end with one line of JSON."""
    place = pick_device(device)
    tracker = load_sam2(weights, str(place))
    table: list[list[object]] = []
    figures: dict[str, float | int] = {}
    for name in split:
        measured = evaluate_split(tracker.model, name, clips, workers=workers, together=together)
        table += rows(name, measured)
        figures |= flat(name, measured)
    print_table(f"miniature SAM2 {tracker.sha256[:12]}, {clips} clips a split", COLUMNS, table)
    emit(figures, {"split": split, "clips": clips, "weights": tracker.sha256, "device": str(place)})


if __name__ == "__main__":
    cli.run(app)
