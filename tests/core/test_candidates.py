import pytest

from core.candidates import candidates
from core.errors import InputError
from core.types import Source

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
