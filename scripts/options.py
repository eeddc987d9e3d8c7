"""Flags that several commands share, so that they read the same everywhere.

Knows typer and the endings of commands. Does not know pipelines.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import InputError

if TYPE_CHECKING:  # commands that need no prompts shall start at once
    from proposals.user import UserPrompt
    from tracksift.models import Models

Tracker = Annotated[
    str,
    typer.Option(
        help="Tracker: 'miniature', a hub id such as facebook/sam2.1-hiera-large, a local .pt or .safetensors with "
        "its .yaml beside it, or EdgeTAM: yonigozlan/EdgeTAM-hf or a local folder in transformers' format."
    ),
]
TextEncoder = Annotated[
    str, typer.Option(help="Text encoder: 'miniature', a hub id of a sentence RoBERTa, or a local folder.")
]
Detector = Annotated[
    str,
    typer.Option(
        help="Detector of the source grounding_dino: 'miniature', a hub id such as IDEA-Research/grounding-dino-tiny, "
        "or a local folder (safetensors; convert-detector makes one of an original .pth)."
    ),
]
Selector = Annotated[
    str, typer.Option(help="Selector: 'miniature', a selector.safetensors of train-selector, or clip_zeroshot.")
]
Grounder = Annotated[str, typer.Option(help="Grounder: 'miniature', or a folder that a training of one left.")]
Encoder = Annotated[
    str, typer.Option(help="'miniature', or a folder in open_clip's format; the one that the grounder learnt from.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Data = Annotated[
    Path | None,
    typer.Option(
        help="A folder in MeViS's layout (DIR/SPLIT/meta_expressions.json, mask_dict.json, JPEGImages/), or in that of "
        "Ref-YouTube-VOS and Ref-DAVIS17."
    ),
]
Split = Annotated[str, typer.Option(help="The split's folder under --data.")]
Cache = Annotated[Path, typer.Option(help="Root of the cache files, one <dataset>/<split>/<video>.h5 a video.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and write nothing.")]
Video = Annotated[
    Path | None, typer.Argument(help="A video file, a folder of videos, or a folder of frames (then with --fps).")
]
Looks = Annotated[
    bool | None,
    typer.Option(help="Also store what each track looks like; default: with trackers that have an encoder for it."),
]
Fps = Annotated[float | None, typer.Option(help="Frames a second of a folder of frames.", min=0.001)]
Limit = Annotated[int | None, typer.Option(help="Only the first so many videos of the split or folder.")]
MaxMegabytes = Annotated[
    int, typer.Option(help="Size of the page; pictures shrink, become fewer and are left out to keep to it.", min=1)
]
Out = Annotated[Path, typer.Option(help="Folder that results are written to.")]


def read_user_prompts(
    boxes: list[str] | None, points: list[str] | None, masks: list[str] | None
) -> tuple[UserPrompt, ...]:
    """The objects of --box FRAME,X1,Y1,X2,Y2, --point FRAME,X,Y[,LABEL] and --mask FRAME,FILE, in that order.

    All points of one frame mean one object; every box and every mask is an object of its own.

    Raises:
        InputError: for another form, numbers that mean nothing, or a file that is no mask.
    """
    from proposals.user import UserPrompt, read_mask

    prompts = []
    for text in boxes or ():
        frame, *corners = _numbers("--box", "FRAME,X1,Y1,X2,Y2", text, (5,))
        prompts.append(UserPrompt(_whole("--box", text, frame), box=(corners[0], corners[1], corners[2], corners[3])))
    by_frame: dict[int, list[tuple[float, float, int]]] = {}
    for text in points or ():
        frame, x, y, *label = _numbers("--point", "FRAME,X,Y[,LABEL]", text, (3, 4))
        kind = _whole("--point", text, label[0]) if label else 1
        by_frame.setdefault(_whole("--point", text, frame), []).append((x, y, kind))
    prompts += [UserPrompt(frame, points=tuple(told)) for frame, told in by_frame.items()]
    for text in masks or ():
        number, comma, path = text.partition(",")
        if not comma or not path:
            raise InputError(f"--mask: expected FRAME,FILE, got {text!r}")
        (frame,) = _numbers("--mask", "FRAME,FILE", number, (1,))
        prompts.append(UserPrompt(_whole("--mask", text, frame), mask=read_mask(Path(path))))
    return tuple(prompts)


def _numbers(flag: str, form: str, text: str, counts: tuple[int, ...]) -> list[float]:
    """The numbers of a text with commas; InputError unless there are as many as one of `counts`."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in counts:
        raise InputError(f"{flag}: expected {form} in numbers, got {text!r}")
    return values


def _whole(flag: str, text: str, value: float) -> int:
    if not value.is_integer():
        raise InputError(f"{flag}: expected whole numbers for frame and label, got {text!r}")
    return int(value)


def choose_looks(asked: bool | None, models: Models) -> str | None:
    """The encoder of looks by --looks and the tracker; None where there is none or none is wanted.

    Raises:
        InputError: when looks are asked for and the tracker has no encoder for them.
    """
    if asked and models.image_spec is None:
        raise InputError(f"--looks: expected a tracker with an image encoder (miniature), got {models.tracker!r}")
    return None if asked is False else models.image_spec


def read_expressions(given: list[str] | None, file: Path | None) -> list[str]:
    """Phrases of --expression and of --expressions-file (one a line), in that order.

    Raises:
        InputError: when there is none, a blank one, or the file cannot be read.
    """
    phrases = list(given or [])
    if file is not None:
        try:
            phrases += [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--expressions-file {file}: expected a text file, got {error}") from error
    if not phrases:
        raise InputError("expected at least one --expression, got none")
    return phrases
