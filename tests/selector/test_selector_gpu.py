"""What only a GPU can show: the same figures in bfloat16 batches, and the speed that is promised for an H200."""

from dataclasses import replace

import pytest
import torch

from selector.benchmark import full, make_videos, random_roberta, time_answers
from selector.training import train_selector
from tests.selector.colour_world import FAST, TINY, WordEncoder

NAME = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not NAME, reason="needs a CUDA device"),
]


def test_training_in_bfloat16_learns_what_training_in_float32_learns(look_examples, tmp_path):
    e, recipe = look_examples, replace(FAST, alignment_weight=0.0)
    trained = train_selector(
        e[:40], e[40:50], e[50:], WordEncoder(), TINY, recipe, tmp_path / "o", torch.device("cuda", 0)
    )
    assert trained.figures["calib_score"] > 0.85


@pytest.mark.skipif(
    "H200" not in ((torch.cuda.is_available() and torch.cuda.get_device_name()) or ""), reason="an H200"
)
def test_a_new_expression_about_a_video_in_memory_takes_5_ms():
    device, settings = torch.device("cuda", 0), replace(full(5), videos=1)
    figures = time_answers(settings, make_videos(settings)[0], random_roberta(settings, device), device)
    assert figures["answer_ms"] <= 5
