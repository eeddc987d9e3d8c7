"""Answers and score files -> what evaluation servers and toolkits take, and the check of such files, as a table.

Knows formats by name, the datasets that they belong to, and our answers. Does not know command lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.charades import submission as charades
from benchmarks.metrics.boxes import Boxes
from benchmarks.moment_files import texts_of
from benchmarks.moment_protocol import MomentReader
from benchmarks.protocol import BenchmarkVideo, Reader
from benchmarks.qvhighlights import submission as qvhighlights
from benchmarks.registry import dataset
from benchmarks.submissions import box_text
from benchmarks.submissions.check import SubmissionCheck
from benchmarks.submissions.mask_zip import Answer, Server, check_masks, pack_masks
from benchmarks.timelens import submission as timelens
from benchmarks.tracking_protocol import BoxReader
from core import rle
from core.errors import AnnotationError, InputError
from core.reporting import Progress
from tracksift.answer_files import AnswerFiles, best_track, holds_answers, moments_of, open_answers


@dataclass(frozen=True)
class Packed:
    """entries: what was written (PNGs, lines, files).   answered of asked: expressions or queries with an answer."""

    entries: int
    answered: int
    asked: int


@dataclass(frozen=True)
class Format:
    """A form of submission. answers: what it is packed from.   product: what it is, for help."""

    dataset: str
    answers: str
    product: str
    packer: Callable[[Any, Path, Path, Progress], Packed]
    checker: Callable[[Any, Path], SubmissionCheck]


def pack(name: str, data: Path, split: str | None, answers: Path, out: Path, progress: Progress) -> Packed:
    """Write a submission of a split.

    Raises:
        InputError: for another format, answers that are malformed or fit nothing in the split, or a missing split.
        OutputError: when `out` cannot be written.
    """
    chosen = _format(name)
    return chosen.packer(dataset(chosen.dataset).open(data, split), answers, out, progress)


def plan(name: str, data: Path, split: str | None, answers: Path, out: Path, progress: Progress) -> Packed:
    """All that `pack` does but for the file at `out`: it is written to a temporary folder and forgotten."""
    with TemporaryDirectory() as folder:
        return pack(name, data, split, answers, Path(folder) / out.name, progress)


def check(name: str, data: Path, split: str | None, file: Path) -> SubmissionCheck:
    """What is wrong with a submission for a split.

    Raises:
        InputError: for another format, a missing split, or a file that is none of the format at all.
    """
    chosen = _format(name)
    return chosen.checker(dataset(chosen.dataset).open(data, split), file)


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise InputError(f"--format: expected one of {', '.join(FORMATS)}, got {name!r}")
    return FORMATS[name]


def _pack_masks(server: Server, reader: Reader, answers: Path, out: Path, progress: Progress) -> Packed:
    source, videos = open_answers(answers), list(reader.videos())
    answered = 0

    def found() -> Iterator[Answer]:
        nonlocal answered
        for done, video in enumerate(videos, start=1):
            for expression in video.expressions:
                answer = source.find(video.id, expression.id)
                if answer is not None:
                    answered += 1
                    yield video.id, expression.id, answer.masks, answer.video.size
            progress(done, len(videos))
        _some(answers, answered)

    entries = pack_masks(out, server, videos, found(), _sizes(reader, videos))
    return Packed(entries, answered, sum(len(v.expressions) for v in videos))


def _check_masks(server: Server, reader: Reader, file: Path) -> SubmissionCheck:
    videos = list(reader.videos())
    return check_masks(file, server, videos, _sizes(reader, videos))


def _sizes(reader: Reader, videos: list[BenchmarkVideo]) -> dict[str, rle.Size]:
    """(H, W) of the videos whose frames or masks are there."""
    sizes = {}
    for video in videos:
        try:
            sizes[video.id] = reader.mask_size(video)
        except AnnotationError:  # a split without its frames: sizes are then those of the answers
            continue
    return sizes


def _pack_boxes(reader: BoxReader, answers: Path, out: Path, progress: Progress) -> Packed:
    source, asked = open_answers(answers), len(reader)
    done = 0

    def found() -> Iterator[tuple[str, Boxes]]:
        nonlocal done
        for number, video in enumerate(reader.videos(), start=1):
            boxes = _boxes(source, reader, video)
            if boxes is not None:
                done += 1
                yield video.id, boxes
            progress(number, asked)
        _some(answers, done)

    entries = box_text.write_results(out, found())
    return Packed(entries, done, asked)


def _boxes(source: AnswerFiles, reader: BoxReader, video: BenchmarkVideo) -> Boxes | None:
    answer = next((a for e in video.expressions if (a := source.find(video.id, e.id)) is not None), None)
    if answer is None:
        return None
    frames = len(video.frame_names or ())
    if answer.video.frames != frames:
        raise InputError(f"sequence {video.id!r}: expected an answer of {frames} frames, got {answer.video.frames}")
    return box_text.result_boxes(best_track(answer), reader.truth(video).origin)


def _check_boxes(reader: BoxReader, file: Path) -> SubmissionCheck:
    return box_text.check_results(file, {video.id: len(video.frame_names or ()) for video in reader.videos()})


def _pack_moments(
    write: Callable[..., int], reader: MomentReader, answers: Path, out: Path, progress: Progress
) -> Packed:
    if not answers.exists():
        raise InputError(f"{answers}: expected a score file or answers, found nothing there")
    queries = list(reader.queries())
    found = moments_of(answers, queries)
    _some(answers, len(found))
    more = {"texts": texts_of(answers)} if write is timelens.write_results and not holds_answers(answers) else {}
    entries = write(out, queries, found, **more)
    progress(len(queries), len(queries))
    return Packed(entries, len(found), len(queries))


def _check_queries(of: Callable[[Path, Any], SubmissionCheck], reader: MomentReader, file: Path) -> SubmissionCheck:
    return of(file, reader.queries())


def _some(answers: Path, answered: int) -> None:
    """Refuse answers of which none is to the split, before anything is written."""
    if not answered:
        raise InputError(f"{answers}: expected answers to the split's expressions, got none")


_ANSWERS: Final = "answers.json of predict, or its folder"
_SCORES: Final = "a score file of moments (core/SCORES.md), or answers with moments"


def _moments(name: str, product: str, write: Callable[..., int], of: Callable[[Path, Any], SubmissionCheck]) -> Format:
    return Format(name, _SCORES, product, partial(_pack_moments, write), partial(_check_queries, of))


def _masks(name: str, server: Server) -> Format:
    return Format(
        name, _ANSWERS, "a zip of grey PNG", partial(_pack_masks, server), partial(_check_masks, server)
    )  # fmt: skip


FORMATS: Final[Mapping[str, Format]] = {
    "mevis": _masks("mevis", Server.MEVIS),
    "ref_youtube_vos": _masks("ref_youtube_vos", Server.REF_YOUTUBE_VOS),
    "lasot": Format("lasot", _ANSWERS, "a folder of <sequence>.txt", _pack_boxes, _check_boxes),
    "qvhighlights": _moments(
        "qvhighlights", "hl_<split>_submission.jsonl", qvhighlights.write_submission, qvhighlights.check_submission
    ),
    "charades": _moments(
        "charades_sta", "JSON by query number", charades.write_predictions, charades.check_predictions
    ),
    "timelens": _moments("timelens", "JSON by video, query and span", timelens.write_results, timelens.check_results),
}
