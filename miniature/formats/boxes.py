"""Writers of the single-object tracking formats: LaSOT, OTB, GOT-10k, ElysiumTrack.

Knows their files. Does not know how videos are drawn or in which order they come. Boxes are whole pixels around what is
visible; LaSOT, OTB and GOT-10k count from 1. T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from miniature.formats.files import Role, write_json_lines, write_lines
from miniature.formats.footage import SEEN, SIZE, Footage, longest_run
from miniature.formats.media import link_frames

TARGETS: Final = 3  # objects of a video that become sequences, those that act first
LEAST: Final = 4  # frames of a sequence

_Part = dict[str, Any]


def _targets(footage: Footage) -> list[int]:
    acts = {e.object_id for e in footage.story.events} if footage.story is not None else set()
    order = sorted(range(len(footage.objects)), key=lambda i: (footage.objects[i].id not in acts, i))
    return [i for i in order if int((footage.visible(i) >= SEEN).sum()) >= LEAST][:TARGETS]


def _from_one(corners: NDArray[np.int64]) -> NDArray[np.int64]:
    """x, y, w, h counted from 1; zeros where there is no box, [T, 4]."""
    boxes = np.concatenate([corners[:, :2] + 1, corners[:, 2:] - corners[:, :2]], axis=1)
    return np.where(corners[:, 2:3] > 0, boxes, 0)


def _rows(boxes: NDArray[np.int64]) -> list[str]:
    return [",".join(str(v) for v in row) for row in boxes.tolist()]


def lasot_part(footage: Footage, frames: Sequence[Path], folder: Path, role: Role) -> list[str]:
    """As downloaded: a folder a target, from its first visible frame on, absence flags, a sentence; gives the names."""
    names = []
    for i in _targets(footage):
        first = int(np.argmax(footage.visible(i) >= SEEN))
        boxes, whole = _from_one(footage.corners(i))[first:], footage.whole[i, first:]
        shape = footage.objects[i].shape
        name = f"{shape}-{footage.number * 100 + int(footage.objects[i].id)}"
        place = folder / shape / name
        link_frames(frames[first:], place / "img", "{:08d}.jpg", first=1)
        unseen = boxes[:, 2] == 0
        write_lines(place / "groundtruth.txt", _rows(boxes))
        write_lines(place / "full_occlusion.txt", [",".join(str(int(v)) for v in unseen & (whole > 0))])
        write_lines(place / "out_of_view.txt", [",".join(str(int(v)) for v in unseen & (whole == 0))])
        write_lines(place / "nlp.txt", [footage.descriptions[i].texts[0]])
        names.append(name)
    return names


def lasot_finish(folder: Path, role: Role, parts: Sequence[list[str]]) -> None:
    """The list of test sequences: all, or for training none."""
    write_lines(folder / "testing_set.txt", [] if role is Role.TRAIN else [n for names in parts for n in names])


def otb_part(footage: Footage, frames: Sequence[Path], folder: Path, role: Role) -> None:
    """A folder a video, a box file a target that is seen in every frame: the format knows no absence."""
    always = [i for i in range(len(footage.objects)) if (footage.visible(i) > 0).all()][:TARGETS]
    if not always:
        return
    link_frames(frames, folder / footage.id / "img", "{:04d}.jpg", first=1)
    for number, i in enumerate(always, start=1):
        name = "groundtruth_rect.txt" if len(always) == 1 else f"groundtruth_rect.{number}.txt"
        write_lines(folder / footage.id / name, _rows(_from_one(footage.corners(i))))


def otb_finish(folder: Path, role: Role, parts: Sequence[None]) -> None:
    """Nothing: OTB has no list."""


def got10k_part(footage: Footage, frames: Sequence[Path], folder: Path, role: Role) -> list[str]:
    """A folder a target, from its first to its last visible frame, with visible eighths; gives the names."""
    names, split = [], _got10k_split(role)
    for i in _targets(footage):
        at = np.flatnonzero(footage.visible(i) >= SEEN)
        part = slice(int(at[0]), int(at[-1]) + 1)
        boxes, whole = _from_one(footage.corners(i))[part], footage.whole[i, part]
        cover = np.ceil(8 * footage.visible(i)[part] / np.maximum(whole, 1)).astype(np.int64)
        cut = (boxes[:, 2] > 0) & (
            (boxes[:, :2] == 1).any(axis=1) | (boxes[:, :2] + boxes[:, 2:] > SIZE[0]).any(axis=1)
        )
        name = f"GOT-10k_{split.capitalize()}_{footage.number * 100 + int(footage.objects[i].id):08d}"
        place = folder / split / name
        link_frames(frames[part], place, "{:08d}.jpg", first=1)
        write_lines(place / "groundtruth.txt", [",".join(f"{v:.4f}" for v in row) for row in boxes.tolist()])
        for label, values in (("cover", cover), ("absence", boxes[:, 2] == 0), ("cut_by_image", cut)):
            write_lines(place / f"{label}.label", [str(int(v)) for v in values])
        info = ["[METAINFO]", "url: none", f"anno_fps: {footage.fps:g}Hz", f"object_class: {footage.objects[i].shape}"]
        write_lines(place / "meta_info.ini", [*info, f"resolution: ({SIZE[1]}, {SIZE[0]})"])
        names.append(name)
    return names


def got10k_finish(folder: Path, role: Role, parts: Sequence[list[str]]) -> None:
    """The list of sequences."""
    write_lines(folder / _got10k_split(role) / "list.txt", [n for names in parts for n in names])


def _got10k_split(role: Role) -> str:
    return "train" if role is Role.TRAIN else "val"


def elysium_part(footage: Footage, frames: Sequence[Path], folder: Path, role: Role) -> list[_Part]:
    """A line an object: the longest stretch in which it is seen, boxes as shares of the picture, its description."""
    link_frames(frames, folder / "frames" / footage.id)
    lines = []
    for i, thing in enumerate(footage.objects):
        run = longest_run(footage.visible(i) >= SEEN)
        if run.stop - run.start < LEAST:
            continue
        shares = footage.corners(i)[run] / np.array([SIZE[1], SIZE[0], SIZE[1], SIZE[0]])
        lines.append({
            "id": f"{footage.id}_{thing.id}",
            "vid": footage.id,
            "frames": [f"frames/{footage.id}/{p.name}" for p in frames[run]],
            "box": shares.tolist(),
            "frame_size": [SIZE[1], SIZE[0]],
            "object_class": thing.shape,
            "object_description": footage.descriptions[i].texts[0],
            "source": "miniature",
            "metadata": {},
        })  # fmt: skip
    return lines


def elysium_finish(folder: Path, role: Role, parts: Sequence[list[_Part]]) -> None:
    """All lines in one file: ElysiumTrack-1M.jsonl; for evaluation val.jsonl, and RSOT.jsonl, which is the same."""
    for name in ("ElysiumTrack-1M",) if role is Role.TRAIN else ("val", "RSOT"):
        write_json_lines(folder / f"{name}.jsonl", (line for lines in parts for line in lines))
