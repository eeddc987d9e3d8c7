import json
from dataclasses import replace

import pytest
import torch

from core.errors import InputError
from llm_grounder.compressors import (
    SHARP,
    Average,
    GuidedSlots,
    Slots,
    TSelector,
    compare_tokens,
    count_tokens,
    group_frames,
    make_compressor,
    print_tokens,
)
from llm_grounder.settings import GrounderSettings, settings_from_json
from tests.llm_grounder.tiny_grounder import SETTINGS, make_sample, tiny_grounder

ALL = torch.ones(2, 9, dtype=torch.bool)


def test_slots_are_means_of_patches_that_are_there():
    torch.manual_seed(0)
    slots, patches = Slots(5, 3), torch.randn(2, 9, 5)
    real = ALL.clone()
    real[1, 6:] = False
    assert slots(torch.ones(2, 9, 5), ALL).sub(1).abs().max() < 1e-6
    changed = patches.clone()
    changed[1, 6:] = 100
    assert torch.equal(slots(patches, real), slots(changed, real))


def test_guided_slots_look_where_they_are_directed_and_say_how_much_they_found():
    slots, patches = GuidedSlots(5, 1, 4), torch.zeros(2, 9, 5)
    patches[0, 3, 2] = patches[0, 7, 4] = 1.0  # the second group shows neither
    for axis in (2, 4):
        direction = torch.zeros(5, 1)
        direction[axis] = 20.0
        made = slots(patches, ALL, direction[None])[:, 0]
        assert made[0, :5].argmax() == axis
        assert made[0, axis] > 0.99
        assert made[0, 5] > made[1, 5] + 2
    each = slots(patches, ALL, torch.stack([direction, direction * 0]))
    assert torch.allclose(each[0], slots(patches, ALL, direction[None])[0])
    assert torch.allclose(each[1, 0, :5], patches[1].mean(0))


def test_directions_are_moved_by_the_guide():
    slots = GuidedSlots(5, 3, 4)
    made = slots.directions(torch.stack([torch.zeros(3, 4), torch.ones(3, 4)]))
    assert torch.equal(made[0], SHARP * slots.own)
    assert (made[1] - made[0]).abs().min() > 0


def test_t_selector_keeps_whole_patches_in_their_order():
    torch.manual_seed(0)
    select, patches = TSelector(5, 9, 3), torch.arange(9.0)[None, :, None].expand(2, 9, 5)
    kept = select(patches, ALL)[..., 0]
    assert kept.shape == (2, 3)
    assert torch.equal(kept, kept.round())
    assert (kept.diff(dim=1) > 0).all()


def test_t_selector_is_learnt_by_gradient():
    """What is lost is a patch's own number; the best choice is the three smallest, wherever they lie."""
    torch.manual_seed(0)
    select, patches = TSelector(1, 9, 3), torch.randn(64, 9, 1)
    real = torch.ones(64, 9, dtype=torch.bool)
    best = patches.squeeze(-1).sort(1).values[:, :3].sum(1).mean()
    before = select(patches, real).sum((1, 2)).mean()
    optimiser = torch.optim.Adam(select.parameters(), 0.02)
    for _ in range(100):
        optimiser.zero_grad()
        select(patches, real).sum((1, 2)).mean().backward()
        assert all(p.grad.abs().sum() > 0 for p in select.parameters())
        optimiser.step()
    after = select(patches, real).sum((1, 2)).mean()
    assert after - best < 0.2 * (before - best)


def test_t_selector_never_keeps_patches_that_are_not_there():
    torch.manual_seed(0)
    select = TSelector(1, 8, 3)
    real = torch.arange(8)[None] < 4
    assert (select(torch.where(real, 1.0, 7.0)[..., None], real) == 1).all()


def test_averages_are_of_cells_and_of_the_frames_that_are_there():
    grid = torch.tensor([1.0, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4])[None, :, None]
    assert Average(16, 4)(grid, torch.ones(1, 16, dtype=torch.bool)).flatten().tolist() == [1, 2, 3, 4]
    patches, real = group_frames(torch.tensor([2.0, 4.0, 9.0])[:, None, None], 2)
    assert Average(1, 1)(patches, real).flatten().tolist() == [3, 9]
    with pytest.raises(InputError, match="square grids"):
        Average(16, 3)


@pytest.mark.parametrize("compressor", ["slots", "guided", "t_selector", "average", "none"])
@pytest.mark.parametrize("group", [1, 3, 0])
def test_the_sequence_has_as_many_tokens_as_are_counted(compressor, group):
    if (compressor, group) in {("t_selector", 0), ("none", 3), ("none", 0)}:
        with pytest.raises(InputError, match="expected group 1"):
            replace(SETTINGS, compressor=compressor, group=group)
        return
    grounder = tiny_grounder(compressor=compressor, group=group, visual_tokens=1, frame_times="tokens")
    sample = make_sample(frames=7, tracks=0, learn=False)
    layout, _ = grounder.lay_out([sample])
    framed = sum(len(piece.ids) for piece in layout[0].pieces if piece.group >= 0)
    assert framed == count_tokens(grounder.settings, 7)
    assert len(grounder.outputs([sample])[0].relevance) == 7


def test_tokens_and_costs_of_each_compressor_are_printed(capsys):
    settings = GrounderSettings(feature_width=8, patches=64, visual_tokens=4)
    found = compare_tokens(settings, 100, 5_000_000, 6, 256)
    assert {name: tokens for name, (tokens, _) in found.items()} == {
        "slots": 500, "guided": 500, "t_selector": 500, "average": 500, "none": 6500,
    }  # fmt: skip
    assert found["none"][1] / found["slots"][1] > 13  # attention grows with the square
    print_tokens(settings, 100, 5_000_000, 6, 256)
    out = capsys.readouterr().out
    assert "6500" in out
    assert "t_selector" in out


@pytest.mark.parametrize("tokens", [1, 4])
@pytest.mark.parametrize("compressor", ["slots", "t_selector", "average", "none"])
def test_no_groups_of_frames_give_no_tokens(compressor, tokens):
    made = make_compressor(GrounderSettings(5, 16, compressor=compressor, visual_tokens=tokens))
    assert made(torch.zeros(0, 16, 5), torch.zeros(0, 16, dtype=torch.bool)).shape[::2] == (0, 5)


def test_make_compressor_has_one_of_each_name():
    kinds = {
        type(make_compressor(replace(SETTINGS, compressor=name, visual_tokens=1)))
        for name in ("slots", "guided", "t_selector", "average", "none")
    }
    assert len(kinds) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compressor": "magic"}, "compressor among"), ({"visual_tokens": 0}, "visual_tokens of 1 or more"),
        ({"compressor": "average", "visual_tokens": 9}, "of 4 patches at most"), ({"spans": -1}, "spans of 0 or more"),
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        replace(SETTINGS, **changes)


def test_settings_come_back_from_json_and_only_whole_ones():
    values = json.loads(json.dumps(SETTINGS.__dict__))
    assert settings_from_json(values) == SETTINGS
    for wrong in ({**values, "more": 1}, {**values, "spans": "3"}, {**values, "spans": True}, None):
        with pytest.raises(InputError, match="grounder settings"):
            settings_from_json(wrong)
