from dataclasses import asdict, replace

import pytest
import torch

from cache import open_cache
from core.errors import InputError
from selector.checkpoints import load_selector
from selector.recipes import RELATIONAL
from selector.relational import RelationalSelector, VideoState
from selector.settings import settings_from_json
from selector.training import train_selector
from tests.selector.colour_world import FAST, SMALL, TINY, WordEncoder


def build(settings=TINY):
    torch.manual_seed(0)
    return RelationalSelector(settings).eval()


def draw(tracks, frames, words, settings=TINY, seed=1):
    torch.manual_seed(seed)
    values = torch.rand(1, tracks, frames, settings.input_width)
    values[..., settings.token_width + 7] = 1
    return values, torch.randn(1, words, settings.text_width)


@pytest.mark.parametrize("settings", [TINY, replace(TINY, outline=True, token_width=0)], ids=["plain", "more"])
@pytest.mark.parametrize(("tracks", "frames", "words"), [(1, 1, 1), (3, 7, 4), (5, 17, 2)])
def test_padding_changes_no_logit(tracks, frames, words, settings):
    model = build(settings)
    values, text = draw(tracks, frames, words, settings)
    bigger, longer = torch.randn(1, tracks + 2, frames + 5, settings.input_width), torch.randn(1, words + 3, 8)
    bigger[:, :tracks, :frames], longer[:, :words] = values, text
    masks = [torch.arange(n + k)[None] < n for n, k in ((tracks, 2), (frames, 5), (words, 3))]
    with torch.no_grad():
        plain, states = model(values, text)
        padded, _ = model(bigger, longer, *masks)
    assert states.shape == (1, tracks, 32)
    torch.testing.assert_close(padded[:, :tracks], plain, atol=1e-5, rtol=1e-5)
    assert (padded[:, tracks:] == 0).all()


def test_a_video_read_once_answers_as_one_read_for_each_expression():
    model = build()
    values, _ = draw(3, 6, 1)
    text = torch.randn(4, 5, 8)
    mask = torch.ones(4, 5, dtype=torch.bool)
    with torch.no_grad():
        each, _ = model(values.expand(4, -1, -1, -1), text, text_mask=mask)
        once, _ = model.select(model.encode(values, None, None), model.read(text, mask)[None], None, mask[None])
    torch.testing.assert_close(once[0], each, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("moment_width", [0, 8])
def test_a_video_read_is_its_tensors_and_they_are_it(moment_width):
    settings = replace(TINY, moment_width=moment_width)
    with torch.no_grad():
        state = build(settings).encode(draw(3, 6, 1, settings)[0], None, None)
    same = VideoState.of(state.tensors())
    assert [id(x) for x in same.tensors()] == [id(x) for x in state.tensors()]
    assert (len(same.memories), same.keys is None) == (TINY.layers, moment_width == 0)
    assert same.memories[-1].told is state.memories[-1].told
    assert same.there is state.there


def test_who_does_not_compete_shifts_no_logit():
    model = build()
    values, text = draw(4, 6, 3)
    there = torch.tensor([[True, True, True, False]])
    frames, words = torch.ones(1, 6, dtype=torch.bool), torch.ones(1, 3, dtype=torch.bool)
    with torch.no_grad():
        videos = model.encode(values, torch.ones(1, 4, dtype=torch.bool), frames)
        some, _ = model.select(videos, model.read(text, words)[None], there[None], words[None])
        alone, _ = model(values[:, :3], text)
    torch.testing.assert_close(some[0, :, :3], alone, atol=1e-5, rtol=1e-5)


def test_logits_hear_words_and_other_tracks():
    model = build()
    values, text = draw(3, 6, 3)
    with torch.no_grad():
        first, _ = model(values, text)
        other_words, _ = model(values, text.flip(1) + 1)
        moved = values.clone()
        moved[:, 2, :, TINY.token_width] += 0.3  # another place for track 2
        other_company, _ = model(moved, text)
    assert (first - other_words).abs().max() > 1e-4
    assert (first[:, :2] - other_company[:, :2]).abs().max() > 1e-5


def test_the_scale_of_tokens_and_looks_is_taken_out_and_geometrys_is_not():
    model = build()
    values, text = draw(2, 5, 3)
    scaled = values.clone()
    deviation, mean = torch.ones(TINY.input_width), torch.zeros(TINY.input_width)
    parts = [*range(4), *range(12, 15)]
    deviation[parts], mean[parts] = 5.0, 2.0
    scaled[..., parts] = scaled[..., parts] * 5 + 2
    with torch.no_grad():
        before, _ = model(values, text)
        model.fit_input(mean, deviation)
        after, _ = model(scaled, text)
    torch.testing.assert_close(before, after, atol=1e-5, rtol=1e-4)


def test_a_relational_selector_learns_from_looks_and_comes_back(look_examples, tmp_path):
    torch.set_num_threads(1)
    e = look_examples
    recipe = replace(FAST, alignment_weight=0.0, token_noise=0.1, together=2)
    trained = train_selector(e[:40], e[40:50], e[50:], WordEncoder(), TINY, recipe, tmp_path / "o", torch.device("cpu"))
    assert trained.figures["calib_score"] > 0.85
    selector = load_selector(tmp_path / "o")
    assert selector.model.settings == TINY
    assert selector.look == "3" * 64
    blind = replace(recipe, alignment_weight=0.3)
    tokens_alone = train_selector(
        e[:40], e[40:50], e[50:], WordEncoder(), SMALL, blind, tmp_path / "s", torch.device("cpu")
    )
    assert tokens_alone.figures["calib_score"] < trained.figures["calib_score"] - 0.2
    assert len(selector.score(open_cache(e[0][0]), e[0][1], WordEncoder())) == 3


def test_alignment_losses_are_solas_alone(look_examples, tmp_path):
    e = look_examples[:1]
    with pytest.raises(InputError, match="alignment_weight of 0"):
        train_selector(e, e, e, WordEncoder(), TINY, FAST, tmp_path / "o", torch.device("cpu"))


def test_settings_come_back_from_json_and_unknown_names_are_refused():
    assert settings_from_json("relational", asdict(RELATIONAL)) == RELATIONAL
    with pytest.raises(InputError, match=r"unknown: \['depth'\]"):
        settings_from_json("relational", {**asdict(RELATIONAL), "depth": 3})
    with pytest.raises(InputError, match="multiple of heads"):
        replace(TINY, heads=3)
    with pytest.raises(InputError, match="look_width of 0 or more"):
        replace(TINY, look_width=-1)
