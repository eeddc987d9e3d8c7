"""J and F by hand, against a plain reading of the definition, and against the official evaluator's figures."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.metrics.bits import pack, without_last_column
from benchmarks.metrics.boundary import boundary_f, outlines, tolerance
from benchmarks.metrics.literal import disk, grow, outline_map
from benchmarks.metrics.region import region_similarity
from core.errors import InputError
from tests.real_data import real_data


def square(top, left, side, size=(40, 50)):
    mask = np.zeros((1, *size), dtype=bool)
    mask[0, top : top + side, left : left + side] = True
    return mask


EMPTY = np.zeros((1, 40, 50), dtype=bool)
FULL = ~EMPTY


@pytest.mark.parametrize(
    ("predicted", "truth", "j"),
    [
        (EMPTY, EMPTY, 1.0),
        (square(5, 5, 10), EMPTY, 0.0),
        (EMPTY, square(5, 5, 10), 0.0),
        (square(5, 5, 10), square(5, 5, 10), 1.0),
        (square(5, 5, 10), square(5, 10, 10), 50 / 150),
        (square(0, 0, 4), square(0, 0, 2), 4 / 16),
    ],
)
def test_j_is_intersection_over_union_and_1_where_both_are_empty(predicted, truth, j):
    assert region_similarity(predicted, truth).tolist() == [j]


def test_each_frame_is_scored_apart():
    predicted = np.concatenate([EMPTY, square(5, 5, 10), square(0, 0, 4)])
    truth = np.concatenate([EMPTY, EMPTY, square(0, 0, 2)])
    assert region_similarity(predicted, truth).tolist() == [1.0, 0.0, 0.25]
    assert boundary_f(predicted, truth)[:2].tolist() == [1.0, 0.0]
    assert region_similarity(predicted[:0], truth[:0]).shape == boundary_f(predicted[:0], truth[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("size", "pixels"), [((480, 854), 8), ((720, 1280), 12), ((1080, 1920), 18), ((120, 160), 2), ((256, 256), 3)]
)
def test_the_tolerance_grows_with_the_diagonal(size, pixels):
    assert tolerance(*size) == pixels


def outline(mask):
    """The outline of one mask [H, W] by the packed rule."""
    height, width = mask.shape
    words = pack(mask[None], spare=1)
    words = outlines(words, without_last_column(width, words.shape[2]), 1).bits[0]
    bits = np.unpackbits(words.view(np.uint8).reshape(height, -1), axis=1, bitorder="little")
    assert not bits[:, width:].any()
    return bits[:, :width].astype(bool)


def test_the_outline_lies_half_a_pixel_up_and_left():
    mask = np.zeros((4, 5), dtype=bool)
    mask[2, 2] = True
    assert np.argwhere(outline(mask)).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_at_the_last_row_and_column_the_outline_follows_the_edge_only():
    mask = np.zeros((3, 3), dtype=bool)
    mask[2, 2] = True
    assert np.argwhere(outline(mask)).tolist() == [[1, 1], [1, 2], [2, 1]]
    assert not outline(np.ones((3, 3), dtype=bool)).any()


@pytest.mark.parametrize("radius", [1, 2, 3, 8, 12, 18, 36, 63, 64, 65, 80])
def test_the_reach_of_an_outline_is_the_whole_disk_whatever_its_radius(radius):
    mask = np.zeros((90, 200), dtype=bool)
    mask[40:43, [0, 64, 130, 199]] = True
    words = pack(mask[None], spare=radius)
    found = outlines(words, without_last_column(200, words.shape[2]), radius)
    bits = np.unpackbits(found.reach[0].view(np.uint8).reshape(90, -1), axis=1, bitorder="little", count=200)
    assert (bits.astype(bool) == grow(outline_map(mask), disk(radius))).all()


@pytest.mark.parametrize(
    ("predicted", "truth", "f"),
    [
        (EMPTY, EMPTY, 1.0),
        (square(5, 5, 10), EMPTY, 0.0),
        (EMPTY, square(5, 5, 10), 0.0),
        (FULL, EMPTY, 1.0),  # a full frame has no outline
        (square(5, 5, 20), square(5, 5, 20), 1.0),
        (square(5, 5, 20), square(5, 6, 20), 1.0),  # tolerance 1
        (square(0, 0, 4), square(30, 40, 4), 0.0),
    ],
)
def test_f_of_plain_cases(predicted, truth, f):
    assert boundary_f(predicted, truth).tolist() == [f]


@pytest.mark.parametrize("metric", [region_similarity, boundary_f])
def test_masks_that_cannot_be_compared_are_refused(metric):
    with pytest.raises(InputError, match="expected predicted and true ones of one shape"):
        metric(EMPTY, EMPTY[:, :-1])
    with pytest.raises(InputError, match="predicted masks: expected bool"):
        metric(EMPTY.astype(np.uint8), EMPTY)
    with pytest.raises(InputError, match="true masks: expected bool"):
        metric(EMPTY, EMPTY[0])


SEQUENCES = "blackswan breakdance camel car-roundabout cows dance-twirl dog drift-straight goat libby parkour"


def check_official(sequence):
    record = json.loads(real_data("expected.json").read_text())["davis_osvos_vs_real_gt_13seq"]
    truth = load_masks(real_data(f"davis_eorvos/Annotations/480p/{sequence}"))
    predicted = load_masks(real_data(f"davis_eval_results/osvos/{sequence}"))
    for rule, frames in (("unsupervised(all frames)", slice(None)), ("semi_supervised(frames 1..-1)", slice(1, -1))):
        j, f = record[rule]["per_sequence_J_F"][sequence]
        assert region_similarity(predicted[frames], truth[frames]).mean() == pytest.approx(j, abs=1e-6)
        assert boundary_f(predicted[frames], truth[frames]).mean() == pytest.approx(f, abs=1e-6)


def load_masks(folder):
    return np.stack([np.asarray(Image.open(path)) > 0 for path in sorted(folder.glob("*.png"))])


@pytest.mark.parametrize("sequence", ["car-shadow", "drift-chicane"])
def test_official_figures_of_two_davis_sequences(sequence):
    check_official(sequence)


@pytest.mark.slow
@pytest.mark.parametrize("sequence", SEQUENCES.split())
def test_official_figures_of_the_other_davis_sequences(sequence):
    check_official(sequence)
