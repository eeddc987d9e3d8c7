import numpy as np
import pytest

from core import rle
from core.types import Prompt, Source, Track
from proposals.overlap import distinct, iou_matrix, track_iou

SIZE = (8, 8)
EMPTY = (0, 0)


def make_track(*rows, quality=0.9):
    """A track whose mask at frame t fills the rows rows[t][0] to rows[t][1]."""
    masks = np.zeros((len(rows), *SIZE), dtype=bool)
    for t, (start, end) in enumerate(rows):
        masks[t, start:end] = True
    counts = rle.encode(masks)
    frames = len(rows)
    return Track(
        Source.GRID,
        Prompt(0),
        SIZE,
        counts,
        rle.boxes(counts, SIZE),
        np.zeros((frames, 4), np.float16),
        np.where(masks.any(axis=(1, 2)), 5, -5).astype(np.float32),
        np.full(frames, quality, np.float32),
    )


def test_iou_of_every_pair_of_masks():
    a, b, none = make_track((0, 4)).masks[0], make_track((2, 6)).masks[0], make_track(EMPTY).masks[0]
    np.testing.assert_allclose(iou_matrix([a, none], [a, b, none], SIZE), [[1, 1 / 3, 0], [0, 0, 0]])
    assert iou_matrix([], [a], SIZE).shape == (0, 1)


def test_track_iou_is_the_mean_over_frames_where_either_shows():
    one = make_track((0, 4), (0, 4), EMPTY, EMPTY)
    same_then_gone = make_track((0, 4), EMPTY, EMPTY, EMPTY)
    assert track_iou([one, same_then_gone])[0, 1] == pytest.approx(0.5)


def test_tracks_that_are_absent_together_are_not_alike_for_it():
    first, second = make_track((0, 4), EMPTY, EMPTY, EMPTY), make_track(EMPTY, EMPTY, EMPTY, (4, 8))
    assert track_iou([first, second])[0, 1] == 0


@pytest.mark.parametrize(
    ("tracks", "kept"),
    [
        ([make_track((0, 4)), make_track((4, 8))], [0, 1]),
        ([make_track((0, 4)), make_track((0, 4))], [0]),  # of equals the earlier
        ([make_track((0, 4), quality=0.5), make_track((0, 4), quality=0.9)], [1]),  # else the better
        ([make_track((0, 7)), make_track((0, 5))], [0]),  # 0.714
        ([make_track((0, 8)), make_track((0, 5))], [0, 1]),  # 0.625
        ([make_track(EMPTY), make_track((0, 4))], [1]),
        ([], []),
    ],
)
def test_of_tracks_that_overlap_the_better_stays(tracks, kept):
    assert [id(track) for track in distinct(tracks, 0.7)] == [id(tracks[i]) for i in kept]


def test_a_dropped_track_drops_no_other():
    chain = [make_track((0, 8), quality=0.9), make_track((0, 6), quality=0.8), make_track((1, 6), quality=0.7)]
    assert len(distinct(chain, 0.7)) == 2
