"""Whether a selector knows a split already: a zero-shot figure is one of a split that no choice was made on.

Knows what a selector's record tells of its training, and jobs. Does not know scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.errors import InputError
from selector.scoring import Selector
from selector.zeroshot import ZeroShotSelector
from tracksift.jobs import Job


def split_name(cache: Path) -> str:
    """The dataset and split of a cache file, as its place says: "mevis/train"."""
    return "/".join(cache.parts[-3:-1])


def check_zero_shot(selector: Selector | ZeroShotSelector, jobs: Sequence[Job]) -> None:
    """Refuse a selector that was trained, chosen or calibrated on one of the jobs' splits.

    Raises:
        InputError: for such a selector, or for one whose record does not say what it was trained on.
    """
    if isinstance(selector, ZeroShotSelector):
        return
    known = selector.record.get("splits")
    if not isinstance(known, list):
        raise InputError("--zero-shot: expected a selector whose record names its splits, got an older one")
    used = sorted({split_name(job.cache) for job in jobs} & set(known))
    if used:
        named = ", ".join(known)
        raise InputError(f"--zero-shot: expected a split that the selector does not know, got {used[0]!r} of {named}")
