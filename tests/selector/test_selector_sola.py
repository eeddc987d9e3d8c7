import json
import math
from dataclasses import asdict, replace

import pytest
import torch
from torch.nn import functional as F

from core.errors import InputError
from selector.masked import MaskedGroupNorm, StandardisedConv1d
from selector.recipes import SOLA
from selector.settings import SolaSettings, settings_from_json
from selector.sola import SolaSelector

TINY = SolaSettings(
    token_width=6, text_width=16, embed_width=16, heads=2, motion_widths=(8, 8, 16, 16), motion_kernels=(3, 3, 3, 1),
    motion_strides=(2, 2, 1, 1), negatives=3, groups=4,
)  # fmt: skip
OTHER_WORDS = replace(TINY, text_width=10, layers=3)


def build(settings=TINY, seed=0):
    torch.manual_seed(seed)
    return SolaSelector(settings).eval()


def plain_score(model, tokens, words):
    """SOLA's rule for one expression without any mask: tokens [N, T, D], words [L, E] -> scores [N]."""
    state, heads = model.state_dict(), model.settings.heads

    def group_norm(x, name):  # x [..., P, C], statistics over C / groups channels x all P
        shape = x.shape
        g = x.reshape(*shape[:-1], model.settings.groups, -1)
        mean, var = g.mean((-3, -1), keepdim=True), g.var((-3, -1), keepdim=True, unbiased=False)
        return ((g - mean) / torch.sqrt(var + 1e-5)).reshape(shape) * state[f"{name}.weight"] + state[f"{name}.bias"]

    def attend(q, k, v, name):  # [P, C], [K, C], [K, C]
        q, k, v = (x @ state[f"{name}.{p}.weight"].T + state[f"{name}.{p}.bias"]
                   for x, p in ((q, "q_proj"), (k, "k_proj"), (v, "v_proj")))  # fmt: skip
        size = q.shape[1] // heads
        mixed = [
            torch.softmax(q[:, i : i + size] @ k[:, i : i + size].T / math.sqrt(size), -1) @ v[:, i : i + size]
            for i in range(0, q.shape[1], size)
        ]
        return torch.cat(mixed, 1) @ state[f"{name}.out_proj.weight"].T + state[f"{name}.out_proj.bias"]

    tracks = []
    for track in tokens:
        x, index = track.T, 0
        for i, (kernel, stride) in enumerate(
            zip(model.settings.motion_kernels, model.settings.motion_strides, strict=True)
        ):
            name = f"short_motion_encoder.{index}"
            w = state[f"{name}.weight"]
            w = (w - w.mean((1, 2), keepdim=True)) / (w.std((1, 2), keepdim=True) + 1e-5)
            x = F.conv1d(x[None], w, state[f"{name}.bias"], stride=stride, padding=kernel // 2)[0]
            if i < len(model.settings.motion_kernels) - 1:
                x = F.leaky_relu(group_norm(x.T, f"short_motion_encoder.{index + 1}").T, 0.01)
            index += 4
        tracks.append(x.T)
    objects = torch.stack(tracks)  # [N, T', E]
    count, steps, width = objects.shape
    g = state["positional_encoding_gaussian_matrix"]
    place = torch.stack([torch.cat([torch.sin(2 * math.pi * t * g[0] / 100), torch.cos(2 * math.pi * t * g[0] / 100)])
                         for t in range(steps)])  # fmt: skip
    language = torch.cat([words, state["negative_token.weight"]])
    for layer in range(model.settings.layers):
        name = f"object_lang_align_layers.{layer}"
        for t in range(steps):
            x = objects[:, t]
            objects[:, t] = group_norm(x + attend(x, x, x, f"{name}.obj_attn"), f"{name}.norm.0")
        for n in range(count):
            x = objects[n]
            objects[n] = group_norm(x + attend(x + place, x + place, x, f"{name}.motion_attn"), f"{name}.norm.1")
        x = objects.reshape(-1, width)
        x = group_norm(x + attend(x, language, language, f"{name}.object2lang_attn"), f"{name}.norm.2")
        objects = x.reshape(count, steps, width)
    weight = torch.softmax((objects @ language.T).mean(-1), dim=1)  # [N, T']
    pooled = (weight[..., None] * objects).sum(1)
    return (pooled @ language.T).mean(-1)


def expected_sola_shapes():
    shapes = {"negative_token.weight": (32, 1024), "positional_encoding_gaussian_matrix": (1, 512)}
    convolutions = [(512, 256, 3), (512, 512, 3), (512, 512, 3), (1024, 512, 3), (1024, 1024, 3), (1024, 1024, 1)]
    for i, shape in enumerate(convolutions):
        shapes[f"short_motion_encoder.{4 * i}.weight"] = shape
        shapes[f"short_motion_encoder.{4 * i}.bias"] = shape[:1]
        if i < 5:
            shapes |= {f"short_motion_encoder.{4 * i + 1}.{kind}": shape[:1] for kind in ("weight", "bias")}
    for layer in range(2):
        name = f"object_lang_align_layers.{layer}"
        for attention in ("obj_attn", "motion_attn", "object2lang_attn"):
            for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
                shapes[f"{name}.{attention}.{projection}.weight"] = (1024, 1024)
                shapes[f"{name}.{attention}.{projection}.bias"] = (1024,)
        for norm in range(3):
            shapes |= {f"{name}.norm.{norm}.{kind}": (1024,) for kind in ("weight", "bias")}
    return shapes


def test_the_defaults_give_solas_84_tensors_and_32980480_parameters():
    with torch.device("meta"):
        model = SolaSelector(SOLA)
    state = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert state == expected_sola_shapes()
    assert len(state) == 84
    assert sum(p.numel() for p in model.parameters()) == 32_980_480
    assert [name for name, _ in model.named_buffers()] == ["positional_encoding_gaussian_matrix"]


@pytest.mark.parametrize(
    ("tracks", "frames", "length"),
    [(1, 1, 1), (3, 9, 4), (5, 16, 2), (300, 1, 3), (300, 2, 1), (40, 7, 5), (2, 201, 4), (1, 201, 1), (300, 7, 2)],
)
def test_scores_without_masks_equal_the_plain_rule(tracks, frames, length):
    """In float64, where a formula that differs shows and rounding does not; float32 then gives the same scores.

    Of two frames a group may have next to no variance, which enlarges rounding: processors differ by more than 1e-4.
    """
    model = build()
    torch.manual_seed(1)
    tokens, words = torch.randn(tracks, frames, 6), torch.randn(length, 16)
    exact = build().double()
    with torch.no_grad():
        rounded, _ = model(tokens[None], words[None])
        logits, objects = exact(tokens[None].double(), words[None].double())
        expected = plain_score(exact, tokens.double(), words.double())
    assert rounded.dtype == torch.float32
    assert objects.shape == (1, tracks, 16)
    torch.testing.assert_close(logits[0], expected, atol=1e-9, rtol=0)
    differences = (rounded[0] - expected).abs()
    assert differences.quantile(0.99) < 1e-4
    assert differences.max() < 1e-3


@pytest.mark.parametrize("settings", [TINY, OTHER_WORDS], ids=["sola", "projected words"])
def test_padding_changes_no_score(settings):
    model = build(settings)
    torch.manual_seed(2)
    sizes = [(3, 9, 4), (5, 16, 2), (1, 3, 6), (2, 8, 1)]  # N, T, L
    most = [max(column) for column in zip(*sizes, strict=True)]
    # Padding holds garbage, so that a leak would be seen.
    tokens = torch.randn(len(sizes), most[0], most[1], settings.input_width) * 50
    text = torch.randn(len(sizes), most[2], settings.text_width) * 50
    masks = [torch.zeros(len(sizes), m, dtype=torch.bool) for m in most]
    singles = []
    for b, size in enumerate(sizes):
        n, t, length = size
        tokens[b, :n, :t] = torch.randn(n, t, settings.input_width)
        text[b, :length] = torch.randn(length, settings.text_width)
        for mask, count in zip(masks, size, strict=True):
            mask[b, :count] = True
        with torch.no_grad():
            singles.append(model(tokens[b : b + 1, :n, :t], text[b : b + 1, :length]))
    with torch.no_grad():
        logits, objects = model(tokens, text, *masks)
    for b, (single, (n, _, _)) in enumerate(zip(singles, sizes, strict=True)):
        torch.testing.assert_close(logits[b, :n], single[0][0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(objects[b, :n], single[1][0], atol=1e-5, rtol=1e-5)
        assert (logits[b, n:] == 0).all()


def test_gradients_do_not_come_from_padding_and_stay_finite():
    model = build().train()
    tokens = torch.randn(2, 3, 8, 6, requires_grad=True)
    track, frame = torch.tensor([[1, 1, 0], [1, 1, 1]]).bool(), torch.ones(2, 8).bool()
    frame[0, 5:] = False
    logits, _ = model(tokens, torch.randn(2, 4, 16), track, frame, torch.ones(2, 4).bool())
    logits.square().sum().backward()
    assert torch.isfinite(tokens.grad).all()
    assert tokens.grad[0, :2, :5].abs().sum() > 0
    assert tokens.grad[0, 2].abs().sum() == 0
    assert tokens.grad[0, :, 5:].abs().sum() == 0


def test_scores_do_not_depend_on_the_order_of_tracks_but_on_their_company():
    model = build()
    torch.manual_seed(3)
    tokens, words = torch.randn(1, 4, 8, 6), torch.randn(1, 3, 16)
    with torch.no_grad():
        logits = model(tokens, words)[0][0]
        torch.testing.assert_close(model(tokens.flip(1), words)[0][0], logits.flip(0), atol=1e-5, rtol=1e-5)
        assert (model(tokens[:, :3], words)[0][0] - logits[:3]).abs().max() > 1e-4


def test_group_norm_without_mask_is_torchs_own():
    norm = MaskedGroupNorm(2, 6)
    x = torch.randn(3, 6, 5)
    full = torch.ones(3, 5, dtype=torch.bool)
    torch.testing.assert_close(norm(x), F.group_norm(x, 2, norm.weight, norm.bias))
    torch.testing.assert_close(norm(x, full), norm(x), atol=1e-5, rtol=1e-5)


def test_a_standardised_convolution_ignores_the_scale_and_offset_of_its_weight():
    layer = StandardisedConv1d(4, 3, 3, 1, 1)
    x = torch.randn(2, 4, 7)
    before = layer(x)
    with torch.no_grad():
        layer.weight.mul_(10).add_(2)
    torch.testing.assert_close(layer(x), before, atol=1e-3, rtol=1e-3)


def test_settings_survive_json_and_refuse_unknown_names():
    values = json.loads(json.dumps(asdict(OTHER_WORDS)))
    assert settings_from_json("sola", values) == OTHER_WORDS
    with pytest.raises(InputError, match="depth"):
        settings_from_json("sola", {**values, "depth": 3})
    with pytest.raises(InputError, match="sola, relational, got 'other'"):
        settings_from_json("other", values)
    del values["heads"]
    with pytest.raises(InputError, match="heads"):
        settings_from_json("sola", values)


@pytest.mark.parametrize(
    "changes",
    [
        {"motion_widths": (8, 8, 16, 12)}, {"motion_strides": (2, 2)}, {"motion_kernels": (2, 3, 3, 1)}, {"heads": 3},
        {"motion_widths": (9, 8, 16, 16)}, {"groups": 3},
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(changes):
    with pytest.raises(InputError, match="selector settings"):
        replace(TINY, **changes)
