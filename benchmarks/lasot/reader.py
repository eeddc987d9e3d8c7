"""Reads LaSOT: as downloaded (`<class>/<sequence>/`), or the annotations of its evaluation toolkit (`annos/`).

Downloaded: groundtruth.txt, full_occlusion.txt, out_of_view.txt, nlp.txt, img/. Toolkit: annos/<sequence>.txt, and
absent/, att/ and nlp/ beside it. A target is absent where it is fully occluded or out of view: a box is written in most
of these frames, so that its size says nothing. Boxes count from 1. Does not know how frames are decoded. T frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.annotation_files import once, read_lines, read_text
from benchmarks.protocol import BenchmarkVideo, named
from benchmarks.tracking_protocol import TARGET, BoxTruth, frame_files, read_boxes, read_flags
from core.errors import AnnotationError, InputError
from core.types import Expression

LIST: Final = "testing_set.txt"
FPS: Final = 30.0
ATTRIBUTES: Final = ("IV", "POC", "DEF", "MB", "CM", "ROT", "BC", "VC", "SV", "FOC", "FM", "OV", "LR", "ARC")


@dataclass(frozen=True)
class LasotReader:
    """A split of LaSOT. Made by `open_lasot`."""

    root: Path
    split: str
    listed: Mapping[str, Path] = field(repr=False)  # sequence -> its box file
    name: str = "lasot"

    def __len__(self) -> int:
        """The number of sequences."""
        return len(self.listed)

    def videos(self) -> Iterator[BenchmarkVideo]:
        """All sequences, in the order of the list; each is read when it is asked for."""
        return map(self._video, self.listed)  # goes on after a sequence that cannot be read

    def video(self, video_id: str) -> BenchmarkVideo:
        """One sequence; InputError for an unknown name."""
        named(self.listed, video_id, self.root)
        return self._video(video_id)

    def truth(self, video: BenchmarkVideo) -> BoxTruth:
        """Boxes counted from 1, absence flags, and the attributes where the toolkit's files are.

        Raises:
            AnnotationError: where a file is missing or malformed.
        """
        path = self.listed[video.id]
        boxes = read_boxes(path)
        if path.name == "groundtruth.txt":
            gone = [read_flags(path.with_name(f"{n}.txt"), len(boxes)) for n in ("full_occlusion", "out_of_view")]
            return BoxTruth(boxes, 1, (gone[0] | gone[1]) > 0)
        absent = read_flags(path.parent / "absent" / path.name, len(boxes)) > 0
        flags = path.parent / "att" / path.name
        held = read_flags(flags, len(ATTRIBUTES)) if flags.is_file() else ()
        return BoxTruth(boxes, 1, absent, attributes=tuple(a for a, f in zip(ATTRIBUTES, held, strict=False) if f))

    def _video(self, name: str) -> BenchmarkVideo:
        path = self.listed[name]
        whole = path.name == "groundtruth.txt"
        sentence = path.with_name("nlp.txt") if whole else path.parent / "nlp" / path.name
        text = read_text(sentence).strip() if sentence.is_file() else ""
        folder = path.parent / "img" if whole else self.root / name.rsplit("-", 1)[0] / name / "img"
        names = frame_files(folder) or tuple(f"{i:08d}" for i in range(1, len(read_boxes(path)) + 1))
        expressions = (Expression("0", text, (TARGET,)),) if text else ()
        return BenchmarkVideo(name, folder, names, FPS, expressions, (TARGET,))


def open_lasot(root: Path, split: str = "test") -> LasotReader:
    """Open the sequences of `testing_set.txt` (split test), the others (train), or every one (all).

    Without the list, split all is the only one. Sequences of the list whose boxes are not there are left out: `len`
    says how many remain.

    Raises:
        InputError: when nothing of LaSOT is there, or the split cannot be told.
        AnnotationError: when the list is malformed.
    """
    root = Path(root)
    if split not in ("test", "train", "all"):
        raise InputError(f"{root}: expected the split test, train or all of LaSOT, got {split!r}")
    toolkit = sorted((root / "annos").glob("*.txt"))
    found = {p.stem: p for p in toolkit} or {p.parent.name: p for p in sorted(root.glob("*/*/groundtruth.txt"))}
    if not found:
        raise InputError(f"{root}: expected annos/<sequence>.txt or <class>/<sequence>/groundtruth.txt, found neither")
    if split == "all":
        return LasotReader(root, split, found)
    test = _names(root / LIST)
    chosen = [n for n in test if n in found] if split == "test" else [n for n in found if n not in test]
    if not chosen:
        raise InputError(f"{root / LIST}: expected sequences of split {split!r}, found none among {len(found)}")
    return LasotReader(root, split, {name: found[name] for name in chosen})


def _names(path: Path) -> dict[str, None]:
    if not path.is_file():
        raise InputError(f"{path}: expected the list of test sequences, found no such file: use the split all")
    seen: set[str] = set()
    for place, line in read_lines(path):
        name = line.strip()
        if any(c in name for c in "/\\\0") or name in {".", ".."}:
            raise AnnotationError(f"{place}: expected the name of a sequence, got {name[:80]!r}")
        once(seen, name, place)
    return dict.fromkeys(line.strip() for _, line in read_lines(path))
