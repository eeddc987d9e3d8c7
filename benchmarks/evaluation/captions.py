"""Predicted captions of a split: of segments (dense captioning), or of one object a video (Video-REG).

CIDEr stands on the words of a tokeniser, METEOR and SODA_c on Java, and the report says on which. Knows readers of
captions and their metrics. Does not know who described.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from benchmarks.activitynet.reader import TwoAnnotators
from benchmarks.annotation_files import entries
from benchmarks.caption_scores import CaptionReport, Said, score_caption_split
from benchmarks.evaluation.report import RESULT, TRUTH, Choices, Figures, Report, plain
from benchmarks.metrics.caption_java import Meteor, PairScorer
from benchmarks.metrics.cider import SCALE, cider
from benchmarks.moment_baselines import even_segments
from benchmarks.moment_protocol import CaptionedVideo, CaptionReader
from core.errors import AnnotationError, InputError
from core.reporting import Progress

EVEN: Final = "even segments, the commonest caption"
COMMONEST: Final = "the commonest description"


class DescriptionReader(Protocol):
    """A split whose videos show one described object each."""

    def descriptions(self) -> Iterator[tuple[str, str]]:
        """Id and true description, in file order."""


def evaluate_dense(
    reader: CaptionReader,
    predictions: Path,
    choices: Choices,
    progress: Progress,
    *,
    read: Callable[[Path], Mapping[str, Said]],
) -> Report:
    """Dense captions read by `read`; a video without captions scores 0 and is named.

    Raises:
        InputError: for unreadable predictions, one of no video, or Java that was asked for and is not found.
        AnnotationError: where the split's own file is malformed.
    """
    videos, said = list(reader.videos()), read(predictions)
    second = reader.others() if isinstance(reader, TwoAnnotators) else None
    answers = {RESULT: said}
    if choices.baselines:
        answers |= {EVEN: _even(videos), TRUTH: {v.id: (v.segments, v.captions) for v in videos}}
    rows = {}
    with ExitStack() as stack:
        meteor = stack.enter_context(Meteor()) if choices.meteor else None
        for name, captions in answers.items():
            found = score_caption_split(videos, captions, choices.tokeniser, meteor, progress, others=second)
            rows[name] = _row(found)
    missed = [v.id for v in videos if v.id not in said or not said[v.id][1]]
    failures = tuple(f"video {name!r}: expected captions, got none" for name in missed)
    annotators = 1 if second is None else 2
    return Report(rows, failures, rules={**_rules(choices), "annotators": annotators})


def evaluate_descriptions(reader: DescriptionReader, predictions: Path, choices: Choices, progress: Progress) -> Report:
    """Video-REG: CIDEr over all videos together, divided by 10, and METEOR of the corpus; none said scores 0.

    Predictions are a JSON object of id -> description.

    Raises:
        InputError: for unreadable predictions, one of no video, no video, or Java that is asked for and not found.
        AnnotationError: where the split's own file is malformed.
    """
    truth, said = dict(reader.descriptions()), read_descriptions(predictions)
    strangers = said.keys() - truth.keys()
    if strangers or not truth:
        got = f"one of {min(strangers)!r}" if strangers else "a split without any"
        raise InputError(f"descriptions: expected videos of the split, got {got}")
    answers: dict[str, Mapping[str, str]] = {RESULT: said}
    if choices.baselines:
        (common, _), *_ = Counter(truth.values()).most_common(1)
        answers |= {COMMONEST: dict.fromkeys(truth, common), TRUTH: truth}
    rows: dict[str, Figures] = {}
    with ExitStack() as stack:
        meteor = stack.enter_context(Meteor()) if choices.meteor else None
        for done, (name, found) in enumerate(answers.items(), start=1):
            rows[name] = _described(truth, found, choices, meteor)
            progress(done, len(answers))
    failures = tuple(f"video {i!r}: expected a description, got none" for i in truth if not said.get(i, "").strip())
    return Report(rows, failures, rules=_rules(choices))


def read_descriptions(path: Path) -> dict[str, str]:
    """Descriptions by id: a JSON object of texts.

    Raises:
        AnnotationError: when the file is something else.
    """
    found = {}
    for key, value in entries(Path(path), dict).items():
        if not isinstance(value, str):
            raise AnnotationError(f"{path}: {key}: expected a text, got {type(value).__name__}")
        found[key] = value
    return found


def _described(
    truth: Mapping[str, str], said: Mapping[str, str], choices: Choices, meteor: PairScorer | None
) -> Figures:
    texts = [said.get(i, "") for i in truth]
    words = choices.tokeniser.tokens([*texts, *truth.values()])
    predicted, true = words[: len(texts)], words[len(texts) :]
    together = float(cider(predicted, [[t] for t in true]).mean()) / SCALE
    aggregate = None if meteor is None else meteor.score(list(zip(predicted, true, strict=True)))[0]
    return {"cider": together, "meteor": aggregate, "n": len(texts), "failures": sum(not t.strip() for t in texts)}


def _row(report: CaptionReport) -> Figures:
    row = plain(report.figures) | {
        "cider": report.figures.cider / SCALE,
        "paragraph_cider": report.paragraph_cider / SCALE,
        "paragraph_meteor": report.paragraph_meteor,
    }
    return {k: v for k, v in row.items() if k not in ("n", "failures")} | plain(report.figures, "n", "failures")


def _rules(choices: Choices) -> dict[str, str]:
    return {"tokeniser": choices.tokeniser.value, "cider_scale": "0..1, a tenth of the official scale"}


def _even(videos: Sequence[CaptionedVideo]) -> dict[str, Said]:
    """Segments of equal length, as many as videos have on average, all with the caption said most often."""
    (common, _), *_ = Counter(c for v in videos for c in v.captions).most_common(1)
    count = max(1, round(float(np.mean([len(v.segments) for v in videos]))))
    return {v.id: (even_segments(v, count), (common,) * count) for v in videos}
