"""Splits of texts and times: whether every entry can be read, and whether their videos are there and as long as said.

Knows readers of moments, captions, questions, instructions, descriptions and summaries. Does not know scores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av

from benchmarks.catalog import Kind
from benchmarks.data_checks.inventory import Fault, Inventory
from benchmarks.moment_protocol import CaptionReader, MomentReader
from benchmarks.summaries.reader import SummaryReader
from benchmarks.text_splits import DescriptionSplit, DialogueSplit, QuestionSplit, TimelySplit
from core.errors import InputError
from core.frames import open_video
from core.reporting import Progress
from core.video_files import SUFFIXES

SLACK: Final = 2.0  # seconds by which a video may be longer or shorter than its annotation says
_FRAMES: Final = (".jpg", ".jpeg", ".png")
# What stands before ids in names of files: ActivityNet's videos, and MSVD's and MSR-VTT's, whose ids are numbers.
_BEFORE: Final = ("v_",)
_BEFORE_NUMBERS: Final = ("vid", "video")


@dataclass(frozen=True)
class _Item:
    """One entry: its video, its length where known, what it counts as, and what is odd about it."""

    video: str
    duration: float | None
    counts: Mapping[str, int]
    odd: str = ""


def check_texts(
    reader: Any, videos: Path | None, progress: Progress, *, thorough: bool = False, kind: Kind
) -> Inventory:
    """Entries of a split, and its videos where their folder is given; `thorough` decodes each to its end.

    An entry that cannot be read ends its file: what comes after it is not looked at, and the sentence says where.
    """
    found, lengths = Inventory(), dict[str, float | None]()
    try:
        for done, item in enumerate(_ITEMS[kind](reader), start=1):
            found.count(**item.counts)
            lengths[item.video] = item.duration if item.duration is not None else lengths.get(item.video)
            if item.odd:
                found.note(Fault.ODD, item.odd)
            if done % 1000 == 0:
                progress(done, None)
    except InputError as error:
        found.note(Fault.UNREADABLE, str(error))
    found.count(videos=len(lengths))
    if not lengths and found.good:
        found.note(Fault.MISSING, f"{reader.name}, split {reader.split!r}: expected entries, got none")
    if videos is not None:
        _check_videos(lengths, videos, progress, found, thorough)
    return found


def _moments(reader: MomentReader) -> Iterator[_Item]:
    for q in reader.queries():
        counts = {"queries": 1, "windows": 0 if q.windows is None else len(q.windows)}
        counts |= {"hidden": int(q.windows is None), "with_saliency": int(q.saliency is not None)}
        odd = f"query {q.id!r}: expected windows within the video's {q.duration} s, got one that ends later"
        yield _Item(q.video_id, q.duration, counts, odd if q.beyond_duration else "")


def _captions(reader: CaptionReader) -> Iterator[_Item]:
    for v in reader.videos():
        late = int((v.segments > v.duration).any(axis=1).sum())
        odd = f"video {v.id!r}: expected segments within its {v.duration} s, got {late} that end later"
        yield _Item(v.id, v.duration, {"captions": len(v.captions)}, odd if late else "")


def _questions(reader: QuestionSplit) -> Iterator[_Item]:
    for q in reader.questions():
        yield _Item(q.video_id, None, {"questions": 1, "with_options": int(bool(q.options))})


def _timed(reader: TimelySplit) -> Iterator[_Item]:
    for q in reader.questions():
        yield _Item(q.video_id, None, {"questions": 1, "answers": len(q.answers)})


def _dialogues(reader: DialogueSplit) -> Iterator[_Item]:
    for d in reader.dialogues():
        yield _Item(d.video_id, None, {"dialogues": 1, "turns": len(d.turns)})


def _summaries(reader: SummaryReader) -> Iterator[_Item]:
    for v in reader.videos():
        yield _Item(v.id, None, {"frames": v.frames, "shots": len(v.starts), "people": len(v.people)})


def _descriptions(reader: DescriptionSplit) -> Iterator[_Item]:
    for name, _ in reader.descriptions():
        yield _Item(name, None, {"descriptions": 1})


_ITEMS: Final[Mapping[Kind, Callable[[Any], Iterator[_Item]]]] = {
    Kind.MOMENTS: _moments,
    Kind.CAPTIONS: _captions,
    Kind.QUESTIONS: _questions,
    Kind.TIMED_ANSWERS: _timed,
    Kind.INSTRUCTIONS: _dialogues,
    Kind.SUMMARIES: _summaries,
    Kind.DESCRIPTIONS: _descriptions,
}


def _check_videos(
    lengths: Mapping[str, float | None], folder: Path, progress: Progress, found: Inventory, thorough: bool
) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of videos, found none")
    for done, (name, said) in enumerate(lengths.items(), start=1):
        path = find_file(folder, name)
        if path is None:
            found.note(Fault.MISSING, f"{folder / name}: expected a video or a folder of frames, found none")
        elif path.is_dir():
            if not any(p.suffix.lower() in _FRAMES for p in path.iterdir()):
                found.note(Fault.MISSING, f"{path}: expected frames, found none")
            found.count(videos_there=1)
        else:
            found.count(videos_there=1)
            _check_length(path, said, found, thorough)
        progress(done, len(lengths))


def find_file(folder: Path, name: str) -> Path | None:
    """The video of an id, with or without its suffix, or its folder of frames; None where there is neither.

    Its name may begin as those of the dataset do: `v_ID`, and for a number `vidID` or `videoID`.
    """
    if not name or Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        return None
    stems = [name, *(name[: -len(s)] for s in SUFFIXES if name.lower().endswith(s))]
    if "/" not in name:
        stems += [before + stem for stem in tuple(stems) for before in _BEFORE]
        stems += [before + name for before in _BEFORE_NUMBERS if name.isdecimal()]
    places = [folder / name, *(folder / f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES)]
    # os.path says no where Path raises: of a name longer than any file's
    return next((p for p in (*places, *(folder / stem for stem in stems)) if os.path.exists(p)), None)


def _check_length(path: Path, said: float | None, found: Inventory, thorough: bool) -> None:
    try:
        length = open_video(path).meta.end if thorough else _header(path)
    except (InputError, OSError, ValueError) as error:  # PyAV's errors are of the last two
        found.note(Fault.UNREADABLE, f"{path}: expected a video, got {error}")
        return
    if said is not None and length is not None and abs(length - said) > SLACK:
        found.note(Fault.MISMATCHED, f"{path}: expected {said:.2f} s as annotated, got {length:.2f} s")


def _header(path: Path) -> float | None:
    """Seconds by the container, after its first frame was decoded."""
    with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
        if not container.streams.video or next(container.decode(video=0), None) is None:
            raise InputError("no frame")
        return None if container.duration is None else container.duration / av.time_base
