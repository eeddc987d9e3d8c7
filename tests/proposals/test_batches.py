import pytest
import torch

from core.errors import TrackSiftError
from core.types import Source
from proposals.batches import Batches
from proposals.features import FeatureStore
from proposals.prompts import MaskPrompt
from proposals.propagation import propagate
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources


def fits(most):
    """Work that runs out of memory over `most` objects."""

    def work(start, stop):
        if stop - start > most:
            raise torch.OutOfMemoryError("none left")
        return list(range(start, stop))

    return work


@pytest.mark.parametrize(("limit", "most", "left"), [(64, 64, 64), (64, 9, 5), (4, 100, 4), (10, 1, 1)])
def test_out_of_memory_halves_the_batch_and_goes_on(limit, most, left):
    batches = Batches(limit)
    parts = batches.run(10, fits(most))
    assert [i for part in parts for i in part] == list(range(10))
    assert batches.limit == left


def test_what_was_found_to_fit_is_remembered():
    batches, calls = Batches(8), []

    def work(start, stop):
        calls.append(stop - start)
        return fits(2)(start, stop)

    batches.run(8, work)
    batches.run(4, work)
    assert calls == [8, 4, 2, 2, 2, 2, 2, 2]


def test_one_object_that_does_not_fit_is_a_sentence():
    with pytest.raises(TrackSiftError, match="memory for at least one object"):
        Batches(4).run(3, fits(0))


def test_a_tracker_that_runs_out_of_memory_gives_the_same_tracks(make_model, clip, monkeypatch):
    reader, masks = clip
    prompts = [MaskPrompt(4, mask[4], Source.GRID) for mask in masks.values()]
    tracker = Sam2Tracker(make_model())
    want = propagate(tracker, FeatureStore(reader, tracker, Resources()), prompts)
    real, failed = Sam2Tracker._follow, []

    def tight(self, frame, maps, members, start, stop):
        if stop - start > 1:
            failed.append(stop - start)
            raise torch.OutOfMemoryError("none left")
        return real(self, frame, maps, members, start, stop)

    monkeypatch.setattr(Sam2Tracker, "_follow", tight)
    got = propagate(tracker, FeatureStore(reader, tracker, Resources()), prompts)
    assert failed == [2]
    assert [track.masks for track in got] == [track.masks for track in want]
