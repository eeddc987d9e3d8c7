"""Who may compete for an expression: one rule for scoring, fusion, evaluation and the oracle.

Knows where tracks came from. Does not know their scores, nor the limits on their number, which generation keeps.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.types import Source, TrackSet


def candidates(
    sources: Sequence[Source],
    prompted_for: Sequence[str | None],
    expression_id: str,
    detected: Collection[str] | None = None,
) -> NDArray[np.intp]:
    """Indices of the tracks that may compete for `expression_id`, rising.

    Grid, user and imported tracks always compete. Detector tracks compete for the expression they were detected for;
    an expression that generation never saw competes over all of them. Ground-truth tracks never compete.

    Args:
        sources: where each of the N tracks came from.
        prompted_for: for each track, the id of the expression it was detected for, or None.
        expression_id: the expression asked about.
        detected: ids that the detector ran for; when None, those that any detector track names.

    Raises:
        InputError: when the two sequences differ in length.
    """
    if len(sources) != len(prompted_for):
        raise InputError(f"candidates: expected one prompt for each of {len(sources)} tracks, got {len(prompted_for)}")
    known = {p for p in prompted_for if p is not None} if detected is None else detected
    seen = expression_id in known

    def competes(source: Source, prompt: str | None) -> bool:
        if source is Source.GROUNDING_DINO:
            return not seen or prompt == expression_id
        return source is not Source.GROUND_TRUTH

    pairs = zip(sources, prompted_for, strict=True)
    return np.array([i for i, (source, prompt) in enumerate(pairs) if competes(source, prompt)], dtype=np.intp)


def detected_for(provenance: Mapping[str, Any]) -> frozenset[str] | None:
    """Ids of the expressions that the detector ran for, whether or not it found anything; None without a detector."""
    detector = provenance.get("detector")
    return None if detector is None else frozenset(detector["expressions"])


def competing(tracks: TrackSet, expression_id: str) -> NDArray[np.intp]:
    """`candidates` among the tracks of a set, which knows what the detector ran for."""
    prompted = [track.prompt.expression_id for track in tracks.tracks]
    detected = detected_for(tracks.provenance)
    return candidates([track.source for track in tracks.tracks], prompted, expression_id, detected)
