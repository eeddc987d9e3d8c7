"""SOLA's label rules: by hand on single frames, and against decoded masks."""

import numpy as np
import pytest

from benchmarks.metrics.track_labels import track_labels
from core import rle
from core.errors import InputError

SIZE = (4, 6)


def rows(*counts):
    """T masks whose first `counts[t]` rows are set."""
    masks = np.zeros((len(counts), *SIZE), dtype=bool)
    for mask, count in zip(masks, counts, strict=True):
        mask[:count] = True
    return rle.encode(masks)


@pytest.mark.parametrize(
    ("track", "thing", "iou", "precision", "recall"),
    [
        (0, 0, 1.0, 1.0, 1.0),
        (0, 2, 0.0, 1.0, 0.0),
        (2, 0, 0.0, 0.0, 1.0),
        (2, 2, 1.0, 1.0, 1.0),
        (1, 2, 0.5, 1.0, 0.5),
        (4, 1, 0.25, 0.25, 1.0),
    ],
)
def test_one_frame_by_the_rules(track, thing, iou, precision, recall):
    labels = track_labels([rows(track)], {"a": rows(thing)}, SIZE)
    assert (labels.iou.item(), labels.precision.item(), labels.recall.item()) == (iou, precision, recall)


def test_frames_are_averaged_and_objects_keep_their_order():
    labels = track_labels([rows(2, 0), rows(1, 1)], {"9": rows(2, 2), "1": rows(0, 0)}, SIZE)
    assert labels.object_ids == ("9", "1")
    assert labels.iou.tolist() == [[0.5, 0.5], [0.5, 0.0]]
    assert labels.precision.tolist() == [[1.0, 0.5], [1.0, 0.0]]
    assert labels.recall.tolist() == [[0.5, 1.0], [0.5, 1.0]]
    assert labels.iou.dtype == np.float32


def test_run_lengths_give_what_decoded_masks_give():
    random = np.random.default_rng(0)
    size = (30, 40)
    tracks, things = random.random((3, 5, *size)) > 0.6, random.random((2, 5, *size)) > 0.5
    labels = track_labels([rle.encode(t) for t in tracks], {str(i): rle.encode(o) for i, o in enumerate(things)}, size)
    both = (tracks[:, None] & things[None]).sum(axis=(-1, -2))  # [N, O, T]
    either = (tracks[:, None] | things[None]).sum(axis=(-1, -2))
    np.testing.assert_allclose(labels.iou, (both / either).mean(axis=-1), rtol=1e-6)
    np.testing.assert_allclose(labels.precision, (both / tracks.sum(axis=(-1, -2))[:, None]).mean(axis=-1), rtol=1e-6)
    np.testing.assert_allclose(labels.recall, (both / things.sum(axis=(-1, -2))[None]).mean(axis=-1), rtol=1e-6)


@pytest.mark.parametrize(("tracks", "things"), [(0, 2), (2, 0), (0, 0)])
def test_no_tracks_or_no_objects_give_empty_labels(tracks, things):
    labels = track_labels([rows(1, 2)] * tracks, {str(i): rows(1, 1) for i in range(things)}, SIZE)
    assert labels.iou.shape == labels.recall.shape == (tracks, things)


def test_other_numbers_of_frames_are_refused():
    with pytest.raises(InputError, match=r"expected tracks and objects of one number of frames, got \[1, 2\]"):
        track_labels([rows(1)], {"a": rows(1, 2)}, SIZE)
    with pytest.raises(InputError, match="one number of frames"):
        track_labels([()], {"a": ()}, SIZE)
