from dataclasses import replace

import pytest

from core.candidates import candidates, competing, detected_for
from core.errors import InputError
from core.types import Source
from tests.factories import make_track_set

GRID, DINO, TRUTH, USER = Source.GRID, Source.GROUNDING_DINO, Source.GROUND_TRUTH, Source.USER


@pytest.mark.parametrize(
    ("sources", "prompted_for", "detected", "expected"),
    [
        ([GRID, TRUTH, USER, Source.IMPORTED], [None, None, None, None], None, [0, 2, 3]),
        ([GRID, DINO, DINO], [None, "a", "b"], None, [0, 1]),  # its own detector tracks only
        ([GRID, DINO, DINO], [None, "b", "c"], None, [0, 1, 2]),  # never seen: all detector tracks
        ([GRID, DINO], [None, "b"], ["a", "b"], [0]),  # seen, and the detector found nothing
        ([TRUTH], ["a"], None, []),  # ground truth never competes, even when it names the expression
        ([], [], None, []),
    ],
)
def test_who_may_compete(sources, prompted_for, detected, expected):
    assert candidates(sources, prompted_for, "a", detected).tolist() == expected


def test_sequences_of_different_length_are_refused():
    with pytest.raises(InputError, match="one prompt for each of 2 tracks, got 1"):
        candidates([GRID, GRID], [None], "a")


def test_a_track_set_tells_what_the_detector_ran_for():
    tracks = make_track_set(2, sources=[GRID, DINO])
    own = replace(tracks.tracks[1], prompt=replace(tracks.tracks[1].prompt, expression_id="b"))
    facts = {"detector": {"expressions": {"a": "a dog", "b": "a cat"}}}
    asked = replace(tracks, tracks=(tracks.tracks[0], own), provenance=facts)
    assert detected_for(facts) == {"a", "b"}
    assert detected_for({}) is None
    assert [competing(asked, name).tolist() for name in ("a", "b", "c")] == [[0], [0, 1], [0, 1]]
