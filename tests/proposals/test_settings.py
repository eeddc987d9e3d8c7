import numpy as np
import pytest

from core.errors import InputError
from core.types import Source
from proposals.presets import with_preset
from proposals.prompts import MaskPrompt, by_area
from proposals.settings import GridSettings, ProposalSettings, Resources, key_frames


@pytest.mark.parametrize(
    ("bin_size", "frames", "keys"),
    [(0, 48, (0, 24)), (0, 1, (0,)), (0, 3, (0, 1)), (4, 9, (0, 4, 8)), (4, 8, (0, 4)), (100, 9, (0,))],
)
def test_key_frames_follow_the_bin(bin_size, frames, keys):
    assert key_frames(bin_size, frames) == keys


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GridSettings(bin_size=-1), "bin_size"),
        (lambda: GridSettings(points_per_side=0), "points_per_side"),
        (lambda: GridSettings(pred_iou_thresh=1.1), "pred_iou_thresh"),
        (lambda: GridSettings(part_overlap=-0.1), "part_overlap"),
        (lambda: ProposalSettings(sources=()), "got none"),
        (lambda: ProposalSettings(sources=(Source.IMPORTED,)), "got imported"),
        (lambda: ProposalSettings(sources=("gird",)), "got gird"),
        (lambda: ProposalSettings(max_tracks=0), "max_tracks"),
        (lambda: ProposalSettings(duplicate_iou=float("nan")), "duplicate_iou"),
        (lambda: ProposalSettings(order="size"), "order: expected one of time, area"),
        (lambda: ProposalSettings(together=0), "together"),
        (lambda: Resources(objects=0), "objects"),
        (lambda: Resources(host_bytes=-1), "host_bytes"),
        (lambda: with_preset(ProposalSettings(), "slow"), "fast, balanced, faithful"),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(make, words):
    with pytest.raises(InputError, match=words):
        make()


def prompt(area, **changes):
    return MaskPrompt(0, np.arange(25).reshape(5, 5) < area, Source.GRID, **changes)


def test_prompts_are_ordered_largest_first_and_equals_keep_their_order():
    found = by_area([prompt(3, score=0.1), prompt(9), prompt(3, score=0.2)])
    assert [(p.area, p.score) for p in found] == [(9, 1.0), (3, 0.1), (3, 0.2)]


@pytest.mark.parametrize("changes", [{"score": 1.5}, {"stability": float("nan")}])
def test_prompt_scores_outside_their_range_are_refused(changes):
    with pytest.raises(InputError, match="prompt s"):
        prompt(3, **changes)


def test_a_prompt_mask_must_be_bool():
    with pytest.raises(InputError, match="prompt mask"):
        MaskPrompt(0, np.zeros((4, 4)), Source.GRID)


def test_presets_change_what_they_say():
    plain = ProposalSettings()
    assert with_preset(plain, "balanced") == plain
    fast = with_preset(plain, "fast").grid
    assert (key_frames(fast.bin_size, 5000), fast.points_per_side) == ((0,), 16)
    faithful = with_preset(plain, "faithful")
    assert (faithful.order, faithful.together, faithful.duplicate_iou, faithful.grid.max_area) == ("area", 4, 1.0, 1.0)
