"""What only a GPU can show: the same figures in bfloat16 batches, and the speed that is promised for an H200."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.types import Expression
from selector.benchmark import full, make_videos, random_roberta, time_answers
from selector.calibration import Calibration
from selector.modules import build
from selector.scoring import Selector
from selector.training import train_selector
from tests.selector.colour_world import FAST, TINY, WordEncoder

NAME = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not NAME, reason="needs a CUDA device"),
]


def test_training_in_bfloat16_learns_what_training_in_float32_learns(look_examples, tmp_path):
    # After FAST's 8 epochs one seed in four still stands at .7, in float32 and on a CPU too; 12 suffice for each.
    e, recipe = look_examples, replace(FAST, alignment_weight=0.0, epochs=12)
    trained = train_selector(
        e[:40], e[40:50], e[50:], WordEncoder(), TINY, recipe, tmp_path / "o", torch.device("cuda", 0)
    )
    assert trained.figures["calib_score"] > 0.85


def test_an_answer_and_a_text_replayed_are_what_they_are_step_by_step():
    device, settings = torch.device("cuda", 0), replace(full(1), videos=2, text_layers=2)
    videos, encoder = make_videos(settings), random_roberta(settings, device)
    torch.manual_seed(0)
    model = build(settings.ours).to(device).eval().requires_grad_(False)
    selector = Selector(model, Calibration(), "0" * 64, encoder.sha256, "", "0" * 64, {})
    memory = {}
    for text in ("a", "bb", "ccc", "dddd"):  # seen, captured, replayed
        twice = encoder.encode([text, text])
        torch.testing.assert_close(encoder.encode([text]).tokens, twice.tokens[:1], atol=1e-3, rtol=1e-3)
        for video in videos:
            asked = Expression("0", text)
            (alone,) = selector.score_tracks(video.tracks, [asked], encoder, memory=memory)
            plain = selector.score_tracks(video.tracks, [asked, asked], encoder)[0]
            np.testing.assert_allclose(alone.probability, plain.probability, atol=2e-3)


@pytest.mark.skipif(
    "H200" not in ((torch.cuda.is_available() and torch.cuda.get_device_name()) or ""), reason="an H200"
)
def test_a_new_expression_about_a_video_in_memory_takes_5_ms():
    device, settings = torch.device("cuda", 0), replace(full(5), videos=1)
    figures = time_answers(settings, make_videos(settings)[0], random_roberta(settings, device), device)
    assert figures["answer_ms"] <= 5
