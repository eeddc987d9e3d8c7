"""The benchmark of the grounder times what it says it times, on a CPU too."""

import pytest
import torch

from llm_grounder.benchmark import BACKENDS, median_seconds, time_grounder
from llm_grounder.made_up import full, make_grounder, make_samples, make_tower, raw_frames, small

CPU = torch.device("cpu")


def test_the_full_size_is_that_of_qwen3_0_6b_and_siglip_base():
    settings = full(3)
    attention = settings.width * settings.head_width * (2 * settings.heads + 2 * settings.key_heads)
    layer = attention + 3 * settings.width * settings.mlp + 2 * settings.width + 2 * settings.head_width
    assert settings.words * settings.width + settings.layers * layer + settings.width == 596_049_920
    assert (settings.patches, settings.tower_width, settings.repeats) == (196, 768, 3)


def test_made_up_parts_have_the_shapes_that_are_asked_for():
    settings = small(1)
    grounder, samples, tower = make_grounder(settings, CPU), make_samples(settings, CPU), make_tower(settings, CPU)
    assert grounder.backbone.lm.config.num_hidden_layers == settings.layers
    assert [s.clip.features.shape for s in samples] == [(4, settings.patches, settings.tower_width)] * 2
    pixels = raw_frames(settings).permute(0, 3, 1, 2).float()
    assert tower(pixel_values=pixels).last_hidden_state.shape == samples[0].clip.features.shape


def test_every_figure_is_there_and_a_kernel_that_refuses_is_none():
    done = []
    figures = time_grounder(small(1), CPU, lambda *parts: done.append(parts))
    for name in ("read_cached", "read_raw", "read_math", "learn"):
        assert figures[f"{name}_tokens_s"] > figures[f"{name}_videos_s"] > 0
    assert {f"read_{name}_videos_s" for name in BACKENDS} <= set(figures)
    assert figures["read_cudnn_tokens_s"] is None
    assert figures["stream_ms_p95"] >= figures["stream_ms_median"] > 0
    assert "peak_gb" not in figures
    assert done[-1] == (9, 9)


def test_the_first_time_warms_up_and_is_not_counted():
    calls = []
    median_seconds(lambda: calls.append(0), CPU, 3)
    assert len(calls) == 4


def test_the_command_says_rates_and_refuses_scales_it_does_not_know(command):
    ran = command("benchmark", "grounder", "--scale", "small", "--repeats", "1", "--device", "cpu")
    assert (ran.code, ran.figures["settings"]["benchmark"]) == (0, "grounder")
    assert ran.figures["read_cached_videos_s"] > 0
    refused = command("benchmark", "grounder", "--scale", "huge")
    assert (refused.code, "--scale: expected one of full, small, got 'huge'" in refused.err) == (2, True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_has_more_than_one_kernel_of_attention():
    figures = time_grounder(small(1), torch.device("cuda"), lambda *_: None)
    assert sum(figures[f"read_{name}_tokens_s"] is not None for name in BACKENDS) >= 2
    assert figures["peak_gb"] > 0
