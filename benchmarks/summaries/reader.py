"""Reads TVSum and SumMe as the field shares them: one HDF5 file, a group a video.

Of a group `user_summary` [U, T] (which frames each person kept), `change_points` [S, 2] (first and last frame of each
shot, both included), `n_frames` and `picks` [K] (the frames that were looked at) are read. Does not know videos, or
the features that the same file holds. T frames, U people, S shots, K picks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from core.errors import AnnotationError


@dataclass(frozen=True)
class SummarisedVideo:
    """people: [U, T], which frames each kept.   starts: [S], first frame of each shot.   picks: [K], rising from 0."""

    id: str
    people: NDArray[np.bool_]
    starts: NDArray[np.int64]
    picks: NDArray[np.int64]

    @property
    def frames(self) -> int:
        """T."""
        return int(self.people.shape[1])


@dataclass(frozen=True)
class SummaryReader:
    """All videos of a file. Made by `open_summaries`."""

    path: Path
    split: str
    name: str = "summaries"

    def videos(self) -> Iterator[SummarisedVideo]:
        """All videos by name, one in memory at a time.

        Raises:
            AnnotationError: where a group is malformed; names file, video and key.
        """
        try:
            with h5py.File(self.path, "r") as handle:
                for name in handle:
                    yield _video(f"{self.path}: {name}", name, handle[name])
        except (OSError, RuntimeError, KeyError) as error:  # what HDF5 says of a damaged file
            raise AnnotationError(f"{self.path}: expected a whole HDF5 file, got {error}") from error


def open_summaries(path: Path, split: str = "all") -> SummaryReader:
    """Open a file; AnnotationError when it is missing or no HDF5."""
    path = Path(path)
    if not path.is_file() or not h5py.is_hdf5(path):
        raise AnnotationError(f"{path}: expected an HDF5 file of summaries, found none")
    return SummaryReader(path, split)


def _video(place: str, name: str, group: Any) -> SummarisedVideo:
    people, shots = _array(place, group, "user_summary", 2), _array(place, group, "change_points", 2)
    frames, starts = people.shape[1], shots[:, 0].astype(np.int64)
    picks = _array(place, group, "picks", 1).astype(np.int64)
    if "n_frames" in group and int(np.asarray(group["n_frames"]).reshape(-1)[0]) != frames:
        raise AnnotationError(f"{place}: user_summary: expected as many columns as n_frames, got {frames}")
    if not len(people) or not np.isin(people, (0, 1)).all():
        raise AnnotationError(f"{place}: user_summary: expected 0 and 1 of at least one person, got others")
    ends = np.append(starts[1:], frames) - 1
    if not len(starts) or starts[0] != 0 or (shots[:, 1] != ends).any() or (np.diff(starts) <= 0).any():
        raise AnnotationError(f"{place}: change_points: expected shots that follow each other over {frames} frames")
    if not len(picks) or picks[0] != 0 or (np.diff(picks) <= 0).any() or picks[-1] >= frames:
        raise AnnotationError(f"{place}: picks: expected frames that rise from 0 to below {frames}")
    return SummarisedVideo(name, people.astype(np.bool_), starts, picks)


def _array(place: str, group: Any, key: str, axes: int) -> NDArray[Any]:
    found = group[key] if isinstance(group, h5py.Group) and key in group else None
    if not isinstance(found, h5py.Dataset) or found.ndim != axes or found.dtype.kind not in "iufb":
        raise AnnotationError(f"{place}: expected {key} as numbers of {axes} axes, found none")
    array = np.asarray(found)
    if not np.isfinite(array).all():
        raise AnnotationError(f"{place}: {key}: expected finite numbers, got others")
    return array
