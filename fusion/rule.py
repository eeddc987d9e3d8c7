"""The rule that picks tracks by probability, or says that there is no target.

Knows numbers. Does not know tracks, or where the numbers come from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusion.settings import FusionSettings


def choose(
    order: Sequence[int], probability: NDArray[np.float64], presence: float, settings: FusionSettings
) -> tuple[list[int], str]:
    """Indices of the selected tracks, best first, and the rule that picked them as a sentence.

    order: the tracks that may compete, best first.   probability: of each track.   presence: that any target is there.
    """
    above = [i for i in order if probability[i] > settings.threshold]
    absent = 1.0 - presence
    if order and settings.shut(presence):
        return [], f"No target has probability {absent:.2f} (at least {settings.gate:.2f}), so no track is selected."
    if above:
        return above, f"{len(above)} of {len(order)} tracks score above {settings.threshold:.2f}."
    if not order:
        return [], "There is no track that may compete, so the answer is no target."
    if absent >= settings.no_target_threshold:
        return [], (
            f"No track scores above {settings.threshold:.2f}, and no target has probability {absent:.2f} "
            f"(at least {settings.no_target_threshold:.2f})."
        )
    return list(order[:1]), (
        f"No track scores above {settings.threshold:.2f}, but no target has only probability {absent:.2f} "
        f"(below {settings.no_target_threshold:.2f}), so the best track is taken."
    )
