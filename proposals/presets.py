"""Three sets of settings by name: what each gives up is measured by `tracksift benchmark presets`.

Knows settings. Does not know how they act.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from core.errors import InputError
from proposals.settings import ProposalSettings

Preset = Literal["fast", "balanced", "faithful"]
NEVER_AGAIN = 10**9  # frames to the second key frame


def with_preset(settings: ProposalSettings, name: str) -> ProposalSettings:
    """Settings as a preset has them; what it does not name stays.

    fast: prompts on the first frame alone, so that what enters later is missed, and half the points a side.
    balanced: the settings as they are.   faithful: SOLA's order by area, four prompts at once, scenery and tracks that
    turn out the same kept.

    Raises:
        InputError: for another name.
    """
    grid = settings.grid
    if name == "fast":
        points = max(1, grid.points_per_side // 2)
        return replace(settings, grid=replace(grid, bin_size=NEVER_AGAIN, points_per_side=points))
    if name == "balanced":
        return settings
    if name == "faithful":
        return replace(settings, order="area", together=4, duplicate_iou=1.0, grid=replace(grid, max_area=1.0))
    raise InputError(f"preset: expected one of {', '.join(get_args(Preset))}, got {name!r}")
