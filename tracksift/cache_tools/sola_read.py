"""SOLA's own layout (`sola_write` has it) -> caches: masks and tokens as they are, no tracker and no frames needed.

What the layout does not hold is filled as an import's is: an object score of 10 where there is a mask and -10 where
there is none, a predicted IoU of 1, the first frame with a mask as the prompt. Boxes come from the masks. Knows this
layout. Does not know trackers: the tokens' tracker is told. T frames, D token width.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import rle
from core.errors import AnnotationError, InputError
from core.hashing import file_sha256, json_sha256
from core.types import Labels, Prompt, Source, Track, TrackSet, VideoMeta
from tracksift.cache_tools.sola_write import FOLDERS, MASKLETS, TOKENS, VIDEOS

SOURCES = {folder: source for source, folder in FOLDERS.items()}
SHOWN_SCORE = 10.0
"""The object score of an object whose mask was told, as in `proposals.importer.tokens`; its negative where absent."""
OVERLAPS = ("iou", "precision", "recall")
IMPORT = 1  # raise when code changes the tracks that the same files give


@dataclass(frozen=True)
class SolaVideo:
    """One video of the layout. tracks: (source, expression or None, JSON, .npy), in the order of folders and names.

    facts: what `sola_write` keeps beside the layout, or None where another program wrote it.
    """

    dataset: str
    split: str
    name: str
    tracks: tuple[tuple[Source, str | None, Path, Path], ...]
    facts: Mapping[str, Any] | None


def find_sola_videos(root: Path) -> list[SolaVideo]:
    """Every video below a root with some of gt_tracks, grid_tracks and gdino_tracks in it, sorted.

    Raises:
        InputError: where there is none, or a token file lacks.
        AnnotationError: for facts beside the layout that are not ours.
    """
    found: dict[tuple[str, str, str], list[tuple[Source, str | None, Path, Path]]] = {}
    for folder in ("gt_tracks", "grid_tracks", "gdino_tracks"):
        depth = "*/*.json" if folder == "gdino_tracks" else "*.json"
        for path in sorted((root / folder).glob(f"*/*/{MASKLETS}/*/{depth}")):
            dataset, split, _, video, *rest = path.relative_to(root / folder).parts
            tokens = root.joinpath(folder, dataset, split, TOKENS, video, *rest).with_suffix(".npy")
            if not tokens.is_file():
                raise InputError(f"{path}: expected its tokens at {tokens}, got none")
            expression = rest[0] if len(rest) == 2 else None
            found.setdefault((dataset, split, video), []).append((SOURCES[folder], expression, path, tokens))
    if not found:
        raise InputError(f"{root}: expected tracks in SOLA's layout, such as grid_tracks/DATASET/SPLIT/..., got none")
    return [SolaVideo(*place, tuple(found[place]), _facts(root, place)) for place in sorted(found)]


def read_sola_video(
    source: SolaVideo, video: VideoMeta | None, tracker_sha256: str | None
) -> tuple[TrackSet, Labels | None]:
    """The tracks of one video, and its labels where every file has overlaps with the same objects.

    video: where the facts do not say it.   tracker_sha256: names the weights that made the tokens, likewise.

    Raises:
        InputError: when video or tracker are said by nobody, or by both and differently.
        AnnotationError: for files that are not masks and tokens of this video.
    """
    facts = source.facts or {}
    video = _video(source, facts) if video is None else video
    tracker = _agreed(source, "the tracker's SHA-256 (--tracker-sha256)", facts.get("tracker_sha256"), tracker_sha256)
    expressions = facts.get("expressions", {})
    tracks, overlaps = [], []
    for kind, expression, masks, tokens in source.tracks:
        track, overlap = _track(video, kind, expressions.get(expression, expression), masks, tokens)
        tracks.append(track)
        overlaps.append(overlap)
    provenance = {
        "stage": "import_sola",
        "code_version": IMPORT,
        "tracker": facts.get("tracker") or "SOLA's",
        "tracker_sha256": tracker,
        "files_sha256": json_sha256([[file_sha256(m), file_sha256(t)] for _, _, m, t in source.tracks]),
        "video_fingerprint": video.fingerprint,
        "video_end": video.end,
    }
    return TrackSet(video, tuple(tracks), provenance), _labels(overlaps)


def _facts(root: Path, place: tuple[str, str, str]) -> Mapping[str, Any] | None:
    dataset, split, name = place
    path = root / VIDEOS / dataset / split / f"{name}.json"
    if not path.exists():
        return None
    facts = _json(path)
    if not isinstance(facts.get("timestamps"), list) or not isinstance(facts.get("id"), str):
        raise AnnotationError(f"{path}: expected facts that `tracksift cache export` wrote, got others")
    return facts


def _video(source: SolaVideo, facts: Mapping[str, Any]) -> VideoMeta:
    if not facts:
        raise InputError(
            f"video {source.name!r}: expected its frames (--videos, --fps), since SOLA's layout has no times, got none"
        )
    times = np.array(facts["timestamps"], dtype=np.float64)
    height, width = facts["size"]
    return VideoMeta(facts["id"], facts["source"], (height, width), times, facts["end"], facts["fingerprint"])


def _agreed(source: SolaVideo, what: str, known: object, told: str | None) -> str:
    if told is not None and known not in (None, told):
        raise InputError(f"video {source.name!r}: expected {what} {known} as beside the tracks, got {told}")
    if told is None and not isinstance(known, str):
        raise InputError(f"video {source.name!r}: expected {what}, which SOLA's layout does not hold, got none")
    return str(told or known)


def _track(
    video: VideoMeta, source: Source, expression: str | None, path: Path, tokens: Path
) -> tuple[Track, Mapping[str, Any]]:
    """One track, and its overlaps as they stand in the file."""
    value, size = _json(path), video.size
    if not isinstance(value.get("rle"), list) or len(value["rle"]) != video.frames:
        got = len(value["rle"]) if isinstance(value.get("rle"), list) else "none"
        raise AnnotationError(f"{path}: expected `rle` with {video.frames} masks of video {video.id!r}, got {got}")
    try:
        masks = tuple(rle.from_json(mask, size) for mask in value["rle"])
    except InputError as error:
        raise AnnotationError(f"{path}: {error}") from error
    boxes = rle.boxes(masks, size)
    shown = ~np.isnan(boxes[:, 0])
    first = int(np.argmax(shown))  # 0 where it never shows
    score = np.where(shown, SHOWN_SCORE, -SHOWN_SCORE).astype(np.float32)
    prompt = Prompt(first, expression_id=expression)
    track = Track(source, prompt, size, masks, boxes, _tokens(tokens, video), score, np.ones_like(score))
    return track, value


def _tokens(path: Path, video: VideoMeta) -> NDArray[np.float16]:
    try:
        tokens = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise AnnotationError(f"{path}: expected a whole .npy file of numbers, got: {error}") from error
    if not isinstance(tokens, np.ndarray) or tokens.dtype.kind != "f" or tokens.ndim != 2:
        raise AnnotationError(f"{path}: expected tokens [T, D] of floats, got another array")
    if len(tokens) != video.frames or np.abs(tokens).max(initial=0) > np.finfo(np.float16).max:
        raise AnnotationError(f"{path}: expected {video.frames} tokens within float16, got shape {list(tokens.shape)}")
    return tokens.astype(np.float16)


def _labels(overlaps: Sequence[Mapping[str, Any]]) -> Labels | None:
    """SOLA without its flag for overlaps writes none, and a reader that takes 0 for them makes every track negative."""
    named = [tuple(value[key]) for value in overlaps for key in OVERLAPS if isinstance(value.get(key), dict)]
    if len(named) < len(OVERLAPS) * len(overlaps) or len(set(named)) != 1:
        return None
    names, shape = named[0], (len(overlaps), len(named[0]))
    iou, precision, recall = (
        np.array([[value[key][name] for name in names] for value in overlaps], dtype=np.float32).reshape(shape)
        for key in OVERLAPS
    )
    return Labels(names, iou, precision, recall)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise AnnotationError(f"{path}: expected a JSON file, got: {error}") from error
    if not isinstance(value, dict):
        raise AnnotationError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value
