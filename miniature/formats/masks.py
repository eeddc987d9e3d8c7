"""Writers of the video object segmentation formats: MeViS, Ref-YouTube-VOS, Ref-DAVIS17.

Knows their files. Does not know how videos are drawn or in which order they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from miniature.formats.files import Role, write_json, write_lines
from miniature.formats.footage import SEEN, Footage
from miniature.formats.media import link, link_frames, write_labels
from miniature.world.layout import FRAMES, MASKS, META, run_lengths

_Part = dict[str, Any]


def mevis_part(footage: Footage, frames: Sequence[Path], folder: Path, role: Role) -> _Part:
    """Frames under the split's folder; expressions with objects numbered from 0; masks as run lengths."""
    for split in _mevis_splits(role):
        link_frames(frames, folder / split / FRAMES / footage.id)
    index = {o.id: i for i, o in enumerate(footage.objects)}
    expressions = {
        e.id: {
            "exp": e.text,
            "anno_id": [index[i] for i in e.target_ids or ()],
            "obj_id": [index[i] + 1 for i in e.target_ids or ()],
            "kind": e.kind,
            "spans": None if e.spans is None else [[s.start, s.end] for s in e.spans],
        }
        for e in footage.expressions
    }
    video = {"frames": [p.stem for p in frames], "expressions": expressions, "fps": footage.fps}
    return {"id": footage.id, "video": video, "masks": [run_lengths(footage.mask(i)) for i in range(len(index))]}


def mevis_finish(folder: Path, role: Role, parts: Sequence[_Part]) -> None:
    """train and valid_u with masks; for evaluation also valid, whose targets and masks are hidden."""
    masks: dict[str, Any] = {}
    for part in parts:
        first = len(masks)
        for expression in part["video"]["expressions"].values():
            expression["anno_id"] = [first + i for i in expression["anno_id"]]
        masks |= {str(first + i): m for i, m in enumerate(part["masks"])}
    shown, *hidden = _mevis_splits(role)
    write_json(folder / shown / META, {"videos": {p["id"]: p["video"] for p in parts}})
    write_json(folder / shown / MASKS, masks)
    for split in hidden:
        videos = {
            p["id"]: p["video"] | {"expressions": {i: {"exp": e["exp"]} for i, e in p["video"]["expressions"].items()}}
            for p in parts
        }
        write_json(folder / split / META, {"videos": videos})


def _mevis_splits(role: Role) -> tuple[str, ...]:
    return ("train",) if role is Role.TRAIN else ("valid_u", "valid")


def ref_youtube_vos_part(footage: Footage, frames: Sequence[Path], folder: Path, role: Role) -> _Part:
    """Frames and label maps of train; expressions of one object each, since the format knows no others."""
    for split in ("train",) if role is Role.TRAIN else ("train", "valid"):
        link_frames(frames, folder / split / FRAMES / footage.id)
    for t, labels in enumerate(footage.labels):
        write_labels(labels, folder / "train" / "Annotations" / footage.id / f"{t:05d}.png")
    index = {o.id: i + 1 for i, o in enumerate(footage.objects)}
    single = [e for e in footage.expressions if e.target_ids is not None and len(e.target_ids) == 1]
    said = {str(n): {"exp": e.text, "obj_id": str(index[(e.target_ids or ("",))[0]])} for n, e in enumerate(single)}
    return {"id": footage.id, "video": {"frames": [p.stem for p in frames], "expressions": said}}


def ref_youtube_vos_finish(folder: Path, role: Role, parts: Sequence[_Part]) -> None:
    """train with objects; for evaluation also valid without, whose file lists test's every fifth video too."""
    place = folder / "meta_expressions"
    write_json(place / "train" / META, {"videos": {p["id"]: p["video"] for p in parts}})
    if role is Role.TRAIN:
        return
    hidden = {
        p["id"]: p["video"] | {"expressions": {i: {"exp": e["exp"]} for i, e in p["video"]["expressions"].items()}}
        for p in parts
    }
    write_json(place / "valid" / META, {"videos": hidden})
    write_json(place / "test" / META, {"videos": {i: v for n, (i, v) in enumerate(hidden.items()) if n % 5 == 4}})


def ref_davis_part(footage: Footage, frames: Sequence[Path], folder: Path, role: Role) -> _Part:
    """Objects of the first frame, numbered from 1, as DAVIS counts them; four expressions each; raw files as well."""
    split = "train" if role is Role.TRAIN else "valid"
    kept = [i for i in range(len(footage.objects)) if int((footage.labels[0] == i + 1).sum()) >= SEEN]
    renumber = np.zeros(256, dtype=np.uint8)
    renumber[[i + 1 for i in kept]] = np.arange(1, len(kept) + 1)
    link_frames(frames, folder / split / FRAMES / footage.id)
    link_frames(frames, folder / "DAVIS" / FRAMES / "480p" / footage.id)
    for t, labels in enumerate(renumber[footage.labels]):
        path = folder / split / "Annotations" / footage.id / f"{t:05d}.png"
        write_labels(labels, path)
        link(path, folder / "DAVIS" / "Annotations" / "480p" / footage.id / path.name)
    texts = {}
    for number, i in enumerate(kept, start=1):
        told = footage.descriptions[i]
        # First frame and full video of annotator 1, then of annotator 2.
        texts[str(number)] = [told.looks[0], told.texts[0], told.looks[1], told.texts[1]]
    return {"id": footage.id, "frames": [p.stem for p in frames], "texts": texts}


def ref_davis_finish(folder: Path, role: Role, parts: Sequence[_Part]) -> None:
    """The converted file, and the text files and list of sequences as first released."""
    converted = "train" if role is Role.TRAIN else "valid"
    raw = "train" if role is Role.TRAIN else "val"
    videos = {}
    for part in parts:
        said = [(number, text) for number, texts in part["texts"].items() for text in texts]
        expressions = {str(n): {"exp": text, "obj_id": number} for n, (number, text) in enumerate(said)}
        videos[part["id"]] = {"frames": part["frames"], "expressions": expressions}
    write_json(folder / "meta_expressions" / converted / META, {"videos": videos})
    names = ("Davis17_annot1", "Davis17_annot1_full_video", "Davis17_annot2", "Davis17_annot2_full_video")
    for k, name in enumerate(names):
        lines = [f'{p["id"]} {number} "{texts[k]}"' for p in parts for number, texts in p["texts"].items()]
        write_lines(folder / "davis_text_annotations" / f"{name}.txt", lines)
    write_lines(folder / "DAVIS" / "ImageSets" / "2017" / f"{raw}.txt", [p["id"] for p in parts])
