"""The oracle picks the tracks that the truth is made of, and no answer by them beats it by much."""

from itertools import chain, combinations

import numpy as np
import pytest

from benchmarks.metrics.mevis_score import score_expression
from benchmarks.metrics.oracle import Oracle
from benchmarks.metrics.region import region_similarity
from core import rle
from core.errors import InputError

SIZE = (13, 11)  # 143 pixels: neither a multiple of 8 nor of 64


def blocks(*tops, frames=3, side=4):
    """[T, *SIZE] bool: blocks of rows from each top, moving right with time."""
    masks = np.zeros((frames, *SIZE), dtype=bool)
    for top in tops:
        for t in range(frames):
            masks[t, top : top + side, t : t + side] = True
    return masks


def encoded(*masks):
    return [rle.encode(m) for m in masks]


def test_the_union_of_the_right_tracks_is_found():
    tracks = encoded(blocks(0), blocks(4), blocks(8), blocks(0, 4, 8))
    assert sorted(Oracle(tracks, SIZE).choose(rle.encode(blocks(0, 8)))) == [0, 2]
    assert Oracle(tracks, SIZE).choose(rle.encode(blocks(4))) == (1,)


def test_the_score_is_that_of_the_chosen_union():
    tracks, truth = encoded(blocks(0), blocks(4)), blocks(0, 8)
    score = Oracle(tracks, SIZE).score(rle.encode(truth), no_target=False, kind="motion")
    assert score == score_expression(blocks(0), truth, no_target=False, kind="motion")
    assert score.j == 0.5


def test_nothing_is_chosen_where_nothing_helps():
    oracle = Oracle(encoded(blocks(0), blocks(4)), SIZE)
    empty = rle.encode(np.zeros((3, *SIZE), dtype=bool))
    assert oracle.choose(empty) == ()
    assert oracle.score(empty, no_target=True).j == 1.0
    assert oracle.choose(rle.encode(blocks(8))) == ()
    assert Oracle([], SIZE).score(rle.encode(blocks(8)), no_target=False).j == 0.0
    rare = blocks(0)
    rare[1:] = False  # taking the track would spoil two empty frames to win one
    assert oracle.choose(rle.encode(rare)) == ()


def test_only_tracks_that_may_compete_are_chosen():
    oracle = Oracle(encoded(blocks(0), blocks(0, 4), blocks(8)), SIZE)
    truth = rle.encode(blocks(0))
    assert oracle.choose(truth) == (0,)
    assert oracle.choose(truth, among=[1, 2]) == (1,)
    assert oracle.choose(truth, among=[]) == ()


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_close_to_the_best_of_all_subsets(seed):
    random = np.random.default_rng(seed)
    masks = random.random((5, 3, *SIZE)) > 0.8
    truth = masks[0] | masks[3] | (random.random((3, *SIZE)) > 0.95)
    subsets = chain.from_iterable(combinations(range(5), k) for k in range(6))
    best = max(region_similarity(masks[list(s)].any(axis=0), truth).mean() for s in subsets)
    score = Oracle(encoded(*masks), SIZE).score(rle.encode(truth), no_target=False)
    assert 0.95 * best <= score.j <= best + 1e-12


def test_other_numbers_of_frames_are_refused():
    oracle = Oracle(encoded(blocks(0)), SIZE)
    with pytest.raises(InputError, match="expected 3 frames as the tracks have, got 2"):
        oracle.choose(rle.encode(blocks(0, frames=2)))
    with pytest.raises(InputError, match="at least one frame"):
        oracle.choose(())
