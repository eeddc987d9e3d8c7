"""`python -m miniature.eval_real`: how well the miniature SAM2 tracks real video from a mask on the first frame.

Knows real clips, their masks and J. Does not know training or the rendered world.

Two sets, both outside the repository (TRACKSIFT_FIXTURES, default ../shared/fixtures). `choice` decides between
checkpoints: four clips that training never sees, on a few frames of which `real_outlines.json` has outlines, drawn by
hand for this. `davis` is measured once for a released checkpoint: DAVIS clips with all their masks. J is the
intersection over union at the clip's own size, a clip's J the mean over its frames with a mask, the first excepted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sam2.modeling.sam2_base import SAM2Base

from benchmarks.metrics.region import region_similarity
from core import cli
from core.devices import pick_device
from core.errors import AnnotationError, InputError
from core.frames import open_video
from core.images import resize
from core.reporting import emit, print_table, track
from miniature.eval_sam2 import WEIGHTS
from miniature.sam2_training.tracker import track_clips
from proposals.checkpoints import load_sam2

FIXTURES = Path(os.environ.get("TRACKSIFT_FIXTURES", Path(__file__).parents[2] / "shared" / "fixtures"))
OUTLINES = Path(__file__).parent / "real_outlines.json"
DAVIS = "davis_eorvos"
DAVIS_CLIPS = ("blackswan", "car-shadow", "libby")
FRAMES = 24
COLUMNS = ("clip", "frames", "compared", "J", "J last", "J of the first mask")
_RATE = 24.0  # frames a second given to folders, which nothing here depends on
app = typer.Typer(add_completion=False, help=(__doc__ or "").split("\n", maxsplit=1)[0])

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RealClip:
    """frames: uint8 [T, H, W, 3].   truth: masks bool [H, W] by frame, 0 among them."""

    name: str
    frames: NDArray[np.uint8]
    truth: Mapping[int, Mask]


@dataclass(frozen=True)
class RealFigures:
    """J in 0..1 of one clip: mean and last of the compared frames, and the mean of the first mask left where it was."""

    frames: int
    compared: int
    j: float
    last_j: float
    still_j: float


def outlined_clips(root: Path, outlines: Path = OUTLINES) -> list[RealClip]:
    """The clips of an outline file: by name, `frames` (a path under `root`) and `outlines`, for each frame polygons of
    (x, y) in thousandths of width and height, or the path of a mask image.

    Raises:
        InputError: where a clip is not there.   AnnotationError: for a frame without a usable outline.
    """
    clips = []
    for name, entry in json.loads(outlines.read_text(encoding="utf-8")).items():
        frames = _frames(root / entry["frames"])
        size = (frames.shape[1], frames.shape[2])
        truth = {
            int(frame): _drawn(shape, size) if isinstance(shape, list) else read_mask(root / shape, size)
            for frame, shape in entry["outlines"].items()
        }
        clips.append(RealClip(name, frames, truth))
    return clips


def davis_clips(root: Path, names: tuple[str, ...] = DAVIS_CLIPS) -> list[RealClip]:
    """Clips of a folder in DAVIS's layout, the whole foreground as one object; InputError where one is not there."""
    clips = []
    for name in names:
        frames = _frames(root / DAVIS / "JPEGImages" / "480p" / name)
        folder = root / DAVIS / "Annotations" / "480p" / name
        size = (frames.shape[1], frames.shape[2])
        masks = {t: read_mask(folder / f"{t:05d}.png", size) for t in range(len(frames))}
        clips.append(RealClip(name, frames, masks))
    return clips


SETS: Mapping[str, Callable[[Path], list[RealClip]]] = {"choice": outlined_clips, "davis": davis_clips}


def read_mask(path: Path, size: tuple[int, int]) -> Mask:
    """The foreground (any value but 0) of a mask image, bool of `size` (height, width).

    Raises:
        AnnotationError: for a missing or damaged file, or one of another size.
    """
    try:
        with Image.open(path) as image:
            mask = np.asarray(image) > 0
    except (OSError, SyntaxError, ValueError) as error:
        raise AnnotationError(f"{path}: expected a mask image, got none that decodes") from error
    if mask.shape != size:
        raise AnnotationError(f"{path}: expected a mask of {size[0]} x {size[1]} pixels, got {list(mask.shape)}")
    return mask


def evaluate_real(model: SAM2Base, clip: RealClip) -> RealFigures:
    """Track a clip from the mask on its first frame, and compare where there is a mask.

    The model must be in evaluation mode. Frames and the first mask are squeezed to its square, as its inputs are.

    Raises:
        AnnotationError: for a clip without a mask on frame 0, or without another one.
    """
    later = sorted(frame for frame in clip.truth if frame)
    if 0 not in clip.truth or not clip.truth[0].any() or not later:
        raise AnnotationError(f"{clip.name}: expected a mask on frame 0 and on another one, got {sorted(clip.truth)}")
    side = model.image_size
    pixels = torch.from_numpy(np.stack([resize(frame, side) for frame in clip.frames]))[None]
    small = Image.fromarray(clip.truth[0]).convert("L").resize((side, side), Image.Resampling.BOX)
    first = torch.from_numpy(np.asarray(small) > 127)[None]
    size = (clip.frames.shape[1], clip.frames.shape[2])
    tracked = track_clips(model, pixels, torch.zeros(1, dtype=torch.long), first, "mask", size)
    truth = np.stack([clip.truth[frame] for frame in later])
    values = region_similarity(tracked.masks[later, 0].numpy(), truth)
    still = region_similarity(np.broadcast_to(clip.truth[0], truth.shape), truth)
    return RealFigures(len(clip.frames), len(later), float(values.mean()), float(values[-1]), float(still.mean()))


def measure_set(model: SAM2Base, name: str, root: Path = FIXTURES) -> dict[str, RealFigures]:
    """Figures of every clip of a set."""
    return {clip.name: evaluate_real(model, clip) for clip in track(SETS[name](root), f"{name}: clips tracked")}


def rows(figures: Mapping[str, RealFigures]) -> list[list[object]]:
    """Table rows under COLUMNS, the mean last."""
    table: list[list[object]] = [[n, f.frames, f.compared, f.j, f.last_j, f.still_j] for n, f in figures.items()]
    means = [float(np.mean([getattr(f, key) for f in figures.values()])) for key in ("j", "last_j", "still_j")]
    return [*table, ["mean", None, None, *means]]


def flat(name: str, figures: Mapping[str, RealFigures]) -> dict[str, float | int]:
    """Figures under flat names such as `davis_libby_j`, and `davis_j`, the mean."""
    found: dict[str, float | int] = {f"{name}_{clip}_j": f.j for clip, f in figures.items()}
    return {f"{name}_j": float(np.mean([f.j for f in figures.values()])), **found}


def _frames(path: Path) -> NDArray[np.uint8]:
    """Up to FRAMES first frames of a file or folder."""
    if not path.exists():
        raise InputError(f"{path}: expected a real clip, found nothing there; TRACKSIFT_FIXTURES names the folder")
    reader = open_video(path, fps=_RATE if path.is_dir() else None)
    frames = reader.read(range(min(FRAMES, len(reader.meta.timestamps))))
    reader.close()
    return frames


def _drawn(polygons: list[list[list[float]]], size: tuple[int, int]) -> Mask:
    canvas = Image.new("1", (size[1], size[0]))
    for polygon in polygons:
        points = [(x * size[1] / 1000, y * size[0] / 1000) for x, y in polygon]
        ImageDraw.Draw(canvas).polygon(points, fill=1)
    return np.array(canvas)


@app.command()
def main(
    name: Annotated[list[str], typer.Option("--set", help="choice or davis; repeatable.")] = ["choice"],  # noqa: B006
    weights: Annotated[
        str, typer.Option(help="A .safetensors or .pt file with its .yaml beside it.", show_default="the released")
    ] = str(WEIGHTS),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Measure a tracker on real clips, and end with one line of JSON.

    Example: python -m miniature.eval_real --set choice --weights runs/sam2/sam2.safetensors
    """
    unknown = [one for one in name if one not in SETS]
    if unknown:
        raise InputError(f"--set: expected {' or '.join(SETS)}, got {', '.join(unknown)}")
    tracker = load_sam2(weights, str(pick_device(device)))
    figures: dict[str, float | int] = {}
    for one in name:
        measured = measure_set(tracker.model, one)
        print_table(f"miniature SAM2 {tracker.sha256[:12]}, real video, {one}", COLUMNS, rows(measured))
        figures |= flat(one, measured)
    emit(figures, {"sets": list(name), "weights": tracker.sha256})


if __name__ == "__main__":
    cli.run(app)
