"""The rows that say how near bfloat16 is to the package's, on a model that runs in a moment."""

import numpy as np
import pytest
import torch

from proposals.benchmark import parity
from proposals.benchmark.parity import CHOICES, Choice, Found, disc_scene
from proposals.benchmark.ways import quiet_progress

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    return folder, disc_scene(folder)


def test_on_a_cpu_every_choice_equals_the_package(make_model, scene, monkeypatch):
    quiet_progress()
    monkeypatch.setattr(parity, "BIRTHS", ((0, 0), (1, 6)))
    monkeypatch.setattr(parity, "CHOICES", {name: c for name, c in CHOICES.items() if not c.compiled and c.frames > 1})
    rows = parity.compare(make_model(), CPU, *scene, "tiny")
    assert [row["choice"] for row in rows] == [*parity.CHOICES, "the package in float32, and in bfloat16"]
    for row in rows:
        assert row["mask_iou"] > 0.999
        assert row["cosine"] > 0.9999
        assert (row["others"], row["gap_others"]) == (0, None)
        assert row["gap_same"] >= 0


def test_tokens_of_another_candidate_are_told_apart_with_the_gap_that_the_package_had():
    logits = torch.ones(3, 4, 4)
    found = Found(logits, torch.eye(3), torch.ones(3), torch.tensor([0.5, 0.001, 0.7]))
    tokens = torch.tensor([[1.0, 0, 0], [0.6, 0.8, 0], [0, 0, 1.0]])
    row = parity._figures([(np.ones((3, 4, 4), dtype=bool), tokens)], [found])
    assert row["mask_iou"] == 1
    assert row["cosine"] == pytest.approx(2.8 / 3)
    assert row["others"] == pytest.approx(1 / 3)
    assert row["cosine_same"] == pytest.approx(1)
    assert (row["gap_others"], row["gap_same"]) == (pytest.approx(0.001), pytest.approx(0.6))


def test_weights_that_are_decided_choose_one_candidate_everywhere(make_model, scene, monkeypatch):
    from proposals.benchmark import stage
    from proposals.benchmark.ways import as_predictor

    model = make_model()
    stage.raise_objects(model)
    monkeypatch.setattr(parity, "random_sam2", lambda size, device: model)
    folder, masks = scene
    chosen = as_predictor(parity.decided(CPU, folder, masks))
    found = parity.official(chosen, folder, masks[0, 0], 0)
    assert (found.gaps > 0.1).all()


def test_both_ways_get_their_settings_back():
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_bf16_reduced_precision_reduction
    with parity._both(Choice(reduced=False, flash=True)):
        assert not matmul.allow_bf16_reduced_precision_reduction
    assert matmul.allow_bf16_reduced_precision_reduction == before
