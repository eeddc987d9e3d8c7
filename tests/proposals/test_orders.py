"""Orders of births: what is tracked when, what is explained, and that area's batches change nothing."""

import numpy as np
import pytest

from core.types import Source
from proposals import orders
from proposals.features import FeatureStore
from proposals.orders import Work, in_area_order, in_time_order
from proposals.prompts import MaskPrompt, Prompter, given
from proposals.propagation import propagate
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources


@pytest.fixture
def work_of(make_model, clip):
    """A piece of work over the clip of 12 frames."""
    tracker = Sam2Tracker(make_model())

    def make(together=4, explained=0.7, duplicate=1.0, **more):
        return Work(tracker, FeatureStore(clip[0], tracker, Resources()), explained, duplicate, together, **more)

    return make


def boxes(key, *places):
    """Grid prompts of one frame: squares (y, x, side)."""
    prompts = []
    for y, x, side in places:
        mask = np.zeros((64, 64), dtype=bool)
        mask[y : y + side, x : x + side] = True
        prompts.append(MaskPrompt(key, mask, Source.GRID))
    return prompts


def finder(*prompts, **changes):
    return Prompter(
        Source.GRID,
        tuple(sorted({p.frame for p in prompts})),
        lambda key: [p for p in prompts if p.frame == key.index],
        **changes,
    )


SPREAD = [*boxes(3, (0, 0, 20), (30, 30, 24), (5, 40, 12)), *boxes(8, (40, 2, 22), (2, 2, 30), (44, 44, 8))]


def test_time_visits_every_frame_at_most_twice(work_of):
    work = work_of(explained=1.0)
    tracks = in_time_order([finder(*SPREAD)], work)
    assert [track.prompt.frame for track in tracks] == [3, 3, 3, 8, 8, 8]
    assert work.steps == (2 + 8) + 8  # two births, frames 4 to 11, frames 7 to 0
    assert work.features.passes == 12


def test_time_gives_each_object_the_track_it_has_alone(work_of):
    work = work_of(explained=1.0)
    tracks = in_time_order([finder(*SPREAD)], work)
    for prompt, track in zip(SPREAD, tracks, strict=True):
        (alone,) = propagate(work.tracker, work_of().features, [prompt])
        assert track.masks == alone.masks
        np.testing.assert_allclose(track.tokens, alone.tokens, atol=2e-3)


def test_time_drops_prompts_that_objects_tracked_so_far_explain(work_of):
    (first,) = in_time_order([finder(*boxes(0, (5, 5, 30)))], work_of())
    again = MaskPrompt(6, first.decode()[6], Source.GRID)
    tracks = in_time_order([finder(*boxes(0, (5, 5, 30)), again)], work_of())
    assert [track.prompt.frame for track in tracks] == [0]
    told = given(Source.USER, [again])
    assert len(in_time_order([finder(*boxes(0, (5, 5, 30))), told], work_of())) == 2  # sources do not compete


def naive_area(work, prompts, limit):
    """SOLA's loop as it is written down, tracking a few prompts at a time."""
    waiting, tracks = sorted(prompts, key=lambda p: -p.area), []
    while waiting and len(tracks) < limit:
        batch = [p for p in waiting if p.frame == waiting[0].frame][: min(work.together, limit - len(tracks))]
        found = propagate(work.tracker, work.features, batch)
        tracks += found
        waiting = [p for p in waiting if all(p is not b for b in batch)]
        kept = []
        for p in waiting:
            overlaps = [
                (p.mask & t.decode()[p.frame]).sum() / max((p.mask | t.decode()[p.frame]).sum(), 1) for t in found
            ]
            if max(overlaps) <= work.explained_iou:
                kept.append(p)
        waiting = kept
    return tracks


@pytest.mark.parametrize(("together", "limit", "explained"), [(1, 9, 0.02), (2, 9, 0.05), (4, 4, 0.7), (4, 9, 0.1)])
def test_area_gives_what_tracking_a_few_at_a_time_gives(work_of, together, limit, explained):
    work = work_of(together=together, explained=explained)
    tracks = in_area_order([finder(*SPREAD, limit=limit)], work)
    want = naive_area(work_of(together=together, explained=explained), SPREAD, limit)
    assert [t.prompt for t in tracks] == [t.prompt for t in want]
    assert [t.masks for t in tracks] == [t.masks for t in want]


def test_area_tracks_the_open_prompts_of_a_frame_together(work_of, monkeypatch):
    calls = []

    def watched(tracker, features, prompts, *rest):
        calls.append([p.frame for p in prompts])
        return propagate(tracker, features, prompts, *rest)

    monkeypatch.setattr(orders, "propagate", watched)
    in_area_order([finder(*SPREAD)], work_of(together=1, explained=1.0))
    assert calls == [[8, 8, 8], [3, 3, 3]]


@pytest.mark.parametrize("order", [in_time_order, in_area_order])
def test_progress_never_falls_and_ends_at_its_total(work_of, order):
    seen = []
    work = work_of(explained=1.0, on_progress=lambda done, total: seen.append((done, total)))
    order([finder(*SPREAD)], work)
    assert [d for d, _ in seen] == sorted(d for d, _ in seen)
    assert seen[-1][0] == seen[-1][1]
    assert len(seen) > 10


@pytest.mark.parametrize("order", [in_time_order, in_area_order])
def test_no_sources_and_no_prompts_are_no_tracks(work_of, order):
    assert order([], work_of()) == []
    assert order([Prompter(Source.GRID, (2,), lambda key: [])], work_of()) == []
