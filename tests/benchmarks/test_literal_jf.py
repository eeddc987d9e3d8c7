"""J and F equal the definition's words on random and adversarial masks of every size, void pixels included."""

import json

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.label_maps import read_labels
from benchmarks.metrics.boundary import boundary_f
from benchmarks.metrics.davis import without_void
from benchmarks.metrics.literal import disk, literal_f, literal_j
from benchmarks.metrics.region import region_similarity
from tests.real_data import real_data

EXACT = 1e-9
# Widths around the 64 pixels of a packed word, degenerate ones, and frames lower than the tolerance's disk.
SIZES = [
    (1, 1),
    (1, 2),
    (2, 1),
    (1, 64),
    (1, 65),
    (1, 300),
    (300, 1),
    (2, 2),
    (3, 3),
    (7, 5),
    (5, 63),
    (6, 64),
    (6, 65),
]
SIZES += [(9, 127), (9, 128), (9, 129), (2, 700), (31, 37), (48, 70), (90, 120)]


def smooth(random, frames, size, share):
    """Random blobs that cover about `share` of each frame."""
    field = ndimage.gaussian_filter(random.normal(size=(frames, *size)), (0, 2, 2))
    return field > np.quantile(field, 1 - share)


def special(random, size):
    """Masks that break careless code: empty, full, single pixels, edges, corners, stripes, checks, noise."""
    height, width = size
    empty = np.zeros(size, dtype=bool)
    masks = [empty, ~empty]
    for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1), (height // 2, width // 2), (0, width // 2), (height // 2, -1)):
        one = empty.copy()
        one[y, x] = True
        masks += [one, ~one]
    for cut in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1], np.s_[:, : width // 2], np.s_[height // 2 :]):
        edge = empty.copy()
        edge[cut] = True
        masks.append(edge)
    y, x = np.indices(size)
    masks += [(y + x) % 2 == 0, y % 2 == 0, x % 2 == 0, x % 64 == 63, x % 64 == 0, random.random(size) < 0.5]
    return np.stack(masks)


def check(predicted, truth, void=None):
    voids = [None] * len(truth) if void is None else void
    j = [literal_j(*frames) for frames in zip(predicted, truth, voids, strict=True)]
    f = [literal_f(*frames) for frames in zip(predicted, truth, voids, strict=True)]
    predicted, truth = without_void(predicted, void), without_void(truth, void)
    np.testing.assert_allclose(region_similarity(predicted, truth), j, rtol=0, atol=EXACT)
    np.testing.assert_allclose(boundary_f(predicted, truth), f, rtol=0, atol=EXACT)
    np.testing.assert_allclose(boundary_f(truth, predicted), f, rtol=0, atol=EXACT)  # symmetric
    return len(truth)


@pytest.mark.parametrize("size", SIZES)
def test_every_pair_of_adversarial_masks_scores_as_the_definition_says(size):
    masks = special(np.random.default_rng(1), size)
    if size[0] * size[1] > 3000:
        masks = masks[::3]
    first, second = np.divmod(np.arange(len(masks) ** 2), len(masks))
    upper = first <= second
    assert check(masks[first[upper]], masks[second[upper]]) >= 50


@pytest.mark.parametrize("size", SIZES)
def test_random_masks_score_as_the_definition_says_with_and_without_void_pixels(size):
    random = np.random.default_rng(2)
    for share in (0.02, 0.3, 0.7):
        predicted, truth = smooth(random, 12, size, share), smooth(random, 12, size, 0.3)
        check(predicted, truth)
        check(predicted, truth, smooth(random, 12, size, 0.2))
        check(truth ^ smooth(random, 12, size, 0.02), truth)


@pytest.mark.parametrize("left", [0, 60, 64, 640 - 90])
def test_objects_in_a_part_of_a_wide_frame_score_as_the_definition_says(left):
    random = np.random.default_rng(5)
    predicted, truth = np.zeros((2, 10, 50, 640), dtype=bool)
    for masks in (predicted, truth):
        masks[:, 5:45, left : left + 90] = smooth(random, 10, (40, 90), 0.4)
    check(predicted, truth)


def test_the_literal_disk_is_every_offset_within_the_radius():
    assert disk(0).tolist() == [[True]]
    assert disk(1).tolist() == [[False, True, False], [True, True, True], [False, True, False]]
    assert [int(disk(r).sum()) for r in (2, 3, 8, 18)] == [13, 29, 197, 1009]


def test_the_literal_reading_gives_the_official_figures_of_a_real_sequence():
    """The yardstick itself is right: 40 frames of real masks, by nothing but the definition."""
    record = json.loads(real_data("expected.json").read_text())["davis_osvos_vs_real_gt_13seq"]
    truth, predicted = (
        np.stack([read_labels(path) > 0 for path in sorted(real_data(folder).glob("*.png"))])
        for folder in ("davis_eorvos/Annotations/480p/car-shadow", "davis_eval_results/osvos/car-shadow")
    )
    pairs = list(zip(predicted, truth, strict=True))
    found = [np.mean([metric(p, t) for p, t in pairs]) for metric in (literal_j, literal_f)]
    expected = record["unsupervised(all frames)"]["per_sequence_J_F"]["car-shadow"]
    assert found == pytest.approx(expected, abs=1e-6)


def test_frames_far_apart_in_a_clip_do_not_change_each_other():
    random = np.random.default_rng(3)
    predicted, truth = smooth(random, 40, (70, 200), 0.05), smooth(random, 40, (70, 200), 0.05)
    order = random.permutation(40)
    np.testing.assert_array_equal(boundary_f(predicted, truth)[order], boundary_f(predicted[order], truth[order]))


@pytest.mark.slow
@pytest.mark.parametrize(("size", "frames"), [((480, 854), 12), ((720, 1280), 6), ((1080, 1920), 4)])
def test_large_frames_score_as_the_definition_says(size, frames):
    random = np.random.default_rng(4)
    truth = np.concatenate([smooth(random, frames, size, 0.1), special(random, size)[::5]])
    predicted = np.roll(truth, (7, -11), axis=(1, 2))
    check(predicted, truth)
    check(predicted, truth, smooth(random, len(truth), size, 0.05))
