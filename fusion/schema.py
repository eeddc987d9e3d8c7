"""The JSON form of an answer, in both directions; `ANSWER.md` is its contract for readers of other programs.

Knows field names, units and nulls. Does not know files.
"""

from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core import rle
from core.errors import InputError
from core.types import Answer, Expression, SelectedTrack, TimeSpan, VideoMeta

ANSWER_FORMAT: Final = "tracksift-answer/1"
Probability = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[int, Field(ge=1)]
Box = tuple[float, float, float, float]


class _Form(BaseModel):
    """Strict: an unknown field or a text where a number belongs is a mistake, and never ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Span(_Form):
    start: float
    end: float
    score: Probability | None


class _Mask(_Form):
    size: Annotated[list[Pixels], Field(min_length=2, max_length=2)]
    counts: Annotated[str, Field(pattern=r"^[0-o]*$")]  # the characters of compressed counts


class _Video(_Form):
    id: str
    source: str
    size: Annotated[list[Pixels], Field(min_length=2, max_length=2)]
    frames: Annotated[int, Field(ge=1)]
    timestamps: list[float]
    end: float
    fingerprint: str


class _Expression(_Form):
    id: str
    text: str
    kind: str
    target_ids: list[str] | None
    spans: list[_Span] | None


class _Track(_Form):
    index: Annotated[int, Field(ge=0)]
    score: Probability
    presence: list[_Span]
    boxes: list[Annotated[list[float], Field(min_length=4, max_length=4)] | None]
    masks: list[_Mask | None]


class _Answer(_Form):
    format: Literal["tracksift-answer/1"]
    video: _Video
    expression: _Expression
    no_target: bool
    no_target_probability: Probability
    moments: list[_Span]
    tracks: list[_Track]
    masks: list[_Mask | None]
    why: dict[str, Any]


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """The JSON-able form of `ANSWER.md`."""
    video, expression = answer.video, answer.expression
    return {
        "format": ANSWER_FORMAT,
        "video": {
            "id": video.id,
            "source": video.source,
            "size": list(video.size),
            "frames": video.frames,
            "timestamps": [float(t) for t in video.timestamps],
            "end": float(video.end),
            "fingerprint": video.fingerprint,
        },
        "expression": {
            "id": expression.id,
            "text": expression.text,
            "kind": expression.kind,
            "target_ids": None if expression.target_ids is None else list(expression.target_ids),
            "spans": None if expression.spans is None else [_span_json(s) for s in expression.spans],
        },
        "no_target": answer.no_target,
        "no_target_probability": float(answer.no_target_probability),
        "moments": [_span_json(s) for s in answer.moments],
        "tracks": [
            {
                "index": track.index,
                "score": float(track.score),
                "presence": [_span_json(s) for s in track.presence],
                "boxes": [None if np.isnan(b).any() else [float(v) for v in b] for b in track.boxes],
                "masks": _masks_json(track.masks, video.size),
            }
            for track in answer.tracks
        ],
        "masks": _masks_json(answer.masks, video.size),
        "why": dict(answer.why),
    }


def answer_from_json(value: object, where: str = "answer") -> Answer:
    """The answer that `answer_to_json` wrote.

    Args:
        value: parsed JSON.
        where: name of the value in errors, for example its file.

    Raises:
        InputError: for an unknown format, a missing, unknown or malformed field (named), or lengths that disagree.
    """
    given = value.get("format") if isinstance(value, dict) else None
    if given != ANSWER_FORMAT:
        raise InputError(f"{where}: expected format {ANSWER_FORMAT!r}, got {given!r}")
    try:
        form = _Answer.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}: field {field}: {first['msg'].lower()}, got {str(first['input'])[:60]!r}") from error
    video = VideoMeta(
        form.video.id,
        form.video.source,
        (form.video.size[0], form.video.size[1]),
        np.array(form.video.timestamps, dtype=np.float64),
        form.video.end,
        form.video.fingerprint,
    )
    if form.video.frames != video.frames:
        raise InputError(f"{where}: expected {form.video.frames} timestamps, got {video.frames}")
    asked = form.expression
    expression = Expression(
        asked.id,
        asked.text,
        None if asked.target_ids is None else tuple(asked.target_ids),
        None if asked.spans is None else _spans(asked.spans),
        asked.kind,
    )
    return Answer(
        video=video,
        expression=expression,
        tracks=tuple(_track(t, video, f"{where}: track {t.index}") for t in form.tracks),
        masks=_masks(form.masks, video, where),
        moments=_spans(form.moments),
        no_target=form.no_target,
        no_target_probability=form.no_target_probability,
        why=form.why,
    )


def _span_json(span: TimeSpan) -> dict[str, float | None]:
    return {"start": span.start, "end": span.end, "score": span.score}


def _masks_json(masks: tuple[bytes, ...], size: tuple[int, int]) -> list[dict[str, Any] | None]:
    there = rle.areas(masks, size) > 0
    return [rle.to_json(m, size) if full else None for m, full in zip(masks, there, strict=True)]


def _spans(spans: list[_Span]) -> tuple[TimeSpan, ...]:
    return tuple(TimeSpan(s.start, s.end, s.score) for s in spans)


def _track(form: _Track, video: VideoMeta, where: str) -> SelectedTrack:
    if len(form.boxes) != video.frames:
        raise InputError(f"{where}: expected {video.frames} boxes, got {len(form.boxes)}")
    boxes: NDArray[np.float32] = np.array([b or [np.nan] * 4 for b in form.boxes], dtype=np.float32)
    return SelectedTrack(form.index, form.score, _masks(form.masks, video, where), boxes, _spans(form.presence))


def _masks(forms: list[_Mask | None], video: VideoMeta, where: str) -> tuple[bytes, ...]:
    """Masks [T] as counts, checked here, so that a bad one is found before it is drawn."""
    if len(forms) != video.frames:
        raise InputError(f"{where}: expected {video.frames} masks, got {len(forms)}")
    counts = tuple(rle.from_json(None if f is None else f.model_dump(), video.size) for f in forms)
    rle.check(counts, video.size)
    return counts
