"""Steps over batches of few shapes, which CUDA graphs are recorded of, are the steps over tight batches."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.errors import InputError
from selector import graphs
from selector.data import build_data
from selector.fitting import Spread
from selector.graphs import GraphedLoss
from selector.learner import SelectorModule
from selector.loading import read_examples
from selector.modules import build
from selector.training import Run, read_splits, train_selector
from tests.selector.colour_world import FAST, SMALL, TINY, WordEncoder

CPU = torch.device("cpu")
OURS = replace(TINY, dropout=0.0)
RECIPE = replace(FAST, epochs=3, together=2, batch=7, truth_share=0.0)


def module_of(settings, examples, device=CPU):
    own = replace(RECIPE, alignment_weight=0.0 if settings is OURS else 0.3)
    videos = read_examples(examples, geometry=settings.geometry, looks=settings.look_width > 0)
    data = build_data(videos, WordEncoder(), device)
    torch.manual_seed(0)
    return SelectorModule(build(settings).to(device).train(), data, data, own), data


def gradients(module):
    return [None if p.grad is None else p.grad.clone() for p in module.model.parameters()]


@pytest.mark.parametrize("settings", [OURS, SMALL], ids=["ours", "sola"])
def test_batches_of_few_shapes_give_the_losses_and_gradients_of_tight_ones(settings, look_examples):
    module, data = module_of(settings, look_examples[:6])
    graphed = GraphedLoss(lambda batch: module.losses(batch)[0], list(module.model.parameters()))
    shapes = set()
    for index in data.epoch(7, np.random.default_rng(0), 2):
        module.model.zero_grad()
        tight = module.losses(data.batch(index))[0]
        tight.backward()
        wanted, batch = gradients(module), data.batch(index, length=2)
        assert batch.words.shape[:2] == (8, 2)
        shapes.add(tuple(batch.values.shape))
        torch.testing.assert_close(graphed(batch), tight.detach(), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(gradients(module), wanted, atol=1e-5, rtol=1e-4)
    assert len(shapes) == 1


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_a_training_by_whole_steps_is_the_training_by_lightnings(schedule, look_examples, tmp_path):
    e = look_examples
    recipe = replace(RECIPE, schedule=schedule, patience=0, learning_rate=3e-2, alignment_weight=0.0)
    splits = read_splits((e[:6], e[6:8], e[8:10]), WordEncoder(), OURS, recipe, CPU)
    records = []
    for whole in (False, True):
        out = tmp_path / str(whole)
        steps = []
        run = Run(splits, "a" * 64, OURS, CPU, Spread(graphs=whole))
        trained = run.train(recipe, out, lambda done, total, steps=steps: steps.append((done, total)))
        assert steps == [(i + 1, len(steps)) for i in range(trained.figures["steps"])]
        records.append(np.loadtxt(out / "selector.csv", delimiter=",", skiprows=1))
    np.testing.assert_allclose(records[0], records[1], atol=2e-3)


def test_graphs_are_refused_where_nothing_records_them(look_examples, tmp_path):
    e = look_examples[:1]
    for wrong in ({"devices": 2}, {"bf16": True}):
        with pytest.raises(InputError, match="--graphs: expected one process and --no-bf16"):
            Spread(graphs=True, **wrong)
    with pytest.raises(InputError, match="--graphs: expected a GPU, got cpu"):
        train_selector(e, e, e, WordEncoder(), SMALL, RECIPE, tmp_path, CPU, spread=Spread(graphs=True))


def test_a_step_that_cannot_be_captured_is_run_without_and_says_so(look_examples, monkeypatch):
    def refuse(work, parameters, example, beside):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    module, data = module_of(OURS, look_examples[:6])
    graphed = GraphedLoss(lambda batch: module.losses(batch)[0], list(module.model.parameters()))
    monkeypatch.setattr(graphs, "CapturedStep", refuse)
    batch = data.batch(np.arange(7), length=2)
    first = graphed(batch)  # where batches lie on a CPU nothing is captured
    monkeypatch.setattr(graphs, "CAPTURING", ("cpu",))
    with pytest.warns(UserWarning, match="not permitted when stream is capturing"):
        second = graphed(batch)
    assert graphed(batch) == second == first


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("settings", [OURS, SMALL], ids=["ours", "sola"])
def test_replayed_steps_are_plain_steps(settings, look_examples):
    device = torch.device("cuda", 0)
    module, data = module_of(settings, look_examples[:6], device)
    graphed = GraphedLoss(lambda batch: module.losses(batch)[0], list(module.model.parameters()))
    optimiser = torch.optim.SGD(module.model.parameters(), lr=1e-2)
    for _ in range(3):  # seen, recorded, replayed
        for index in data.epoch(7, np.random.default_rng(0), 2):
            batch = data.batch(index, length=2)
            module.model.zero_grad()
            plain = module.losses(batch)[0]
            plain.backward()
            # What is kept of a step ties its gradients to the stream that it ran on, and no other stream can capture.
            plain, wanted = plain.detach(), gradients(module)
            torch.testing.assert_close(graphed(batch), plain, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(gradients(module), wanted, atol=1e-4, rtol=1e-3)
            optimiser.step()
