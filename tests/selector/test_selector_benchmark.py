from dataclasses import replace

import numpy as np
import pytest
import torch

from selector.benchmark import full, make_videos, small, time_selector
from selector.calibration import Calibration
from selector.letter import read_layout, write_layout
from selector.modules import build
from selector.scoring import Selector
from tests.selector.colour_world import WordEncoder

CPU = torch.device("cpu")


def test_the_full_sizes_are_those_that_figures_are_told_of():
    settings = full(1)
    assert (settings.tracks, settings.frames, settings.ours.token_width, settings.ours.text_width) == (
        64,
        200,
        256,
        1024,
    )
    assert (settings.text_layers, settings.bulk, settings.sola.embed_width) == (24, 1000, 1024)


def test_every_figure_is_measured_and_its_ratio_beside_the_letter(monkeypatch):
    torch.set_num_threads(1)
    told = []
    figures = time_selector(small(1), CPU, lambda done, total: told.append((done, total)))
    assert set(figures) == {
        "letter_samples_s", "sola_samples_s", "ours_samples_s", "sola_times", "ours_times",
        "first_ms", "answer_ms", "answer_with_text_ms", "bulk_ms", "video_mb",
    }  # fmt: skip
    assert all(value > 0 for value in figures.values())
    assert figures["ours_times"] == pytest.approx(figures["ours_samples_s"] / figures["letter_samples_s"])
    assert told[-1] == (4, 4)


def test_the_letter_reads_the_tracks_and_labels_that_were_written(tmp_path):
    (video,) = make_videos(replace(small(1), videos=1))
    write_layout(tmp_path, video, 256)
    assert len(list(tmp_path.iterdir())) == 2 * 4
    tokens, labels = read_layout(tmp_path, video.expressions[2])
    np.testing.assert_array_equal(tokens.numpy(), video.tracks.values[..., :256].astype(np.float32))
    assert labels.tolist() == [False, False, True, False]


def test_an_answer_from_memory_is_the_first_one(tmp_path):
    settings = small(1)
    (video,) = make_videos(replace(settings, videos=1))
    torch.manual_seed(0)
    model = build(replace(settings.ours, text_width=8)).eval()
    selector = Selector(model, Calibration(), "0" * 64, "a" * 64, "", "0" * 64, {})
    memory = {}
    expressions = [replace(e, text="the red one") for e in video.expressions[:2]]
    first = selector.score_tracks(video.tracks, expressions, WordEncoder(), memory=memory)
    assert list(memory) == [("cache of v0", (0, 1, 2, 3))]
    again = selector.score_tracks(video.tracks, expressions, WordEncoder(), memory=memory)
    for expression, one, two in zip(expressions, first, again, strict=True):
        np.testing.assert_array_equal(one.probability, two.probability)
        (alone,) = selector.score_tracks(video.tracks, [expression], WordEncoder(), memory=memory)
        np.testing.assert_allclose(alone.probability, one.probability, atol=1e-6)
    never_stored = replace(video.tracks, cache="")
    selector.score_tracks(never_stored, expressions, WordEncoder(), memory=memory)
    assert len(memory) == 1  # tracks without a hash have no name to be remembered by
