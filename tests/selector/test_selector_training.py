import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from cache import open_cache, write_cache
from core.errors import InputError, ScorerMismatchError, StoppedError
from selector import learner, loading
from selector.checkpoints import load_selector
from selector.data import build_data
from selector.fitting import Spread
from selector.loading import read_examples
from selector.modules import build
from selector.recipes import RECIPES, SIZES
from selector.settings import RelationalSettings, TrainingSettings
from selector.training import train_selector
from tests.selector.colour_world import FAST, SMALL, TINY, WordEncoder, colour_video

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(colour_examples, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("selector") / "out"
    e = colour_examples
    calls = []
    trained = train_selector(
        e[:40], e[40:50], e[50:], WordEncoder(), SMALL, FAST, out, CPU, progress=lambda done, total: calls.append(done)
    )
    return out, trained.figures, calls


def test_the_selector_learns_which_channel_a_word_means(trained, colour_examples):
    out, figures, _ = trained
    assert figures["calib_score"] > 0.85
    assert figures["train_expressions"] == 120
    selector = load_selector(out)
    right, chosen = 0, 0
    for seed in range(100, 110):
        track_set, labels, expressions = colour_video(seed, "new")
        scores = selector.score(track_set, expressions, WordEncoder())
        for expression, score in zip(expressions, scores, strict=True):
            truth = [any(labels.iou[i, labels.object_ids.index(t)] > 0.7 for t in expression.target_ids)
                     for i in range(3)]  # fmt: skip
            right += int(((score.probability[:3] > selector.calibration.threshold) == truth).sum())
            chosen += 3
    assert right / chosen > 0.9


def test_a_training_leaves_its_record_log_and_no_state(trained):
    out, figures, calls = trained
    files = {"selector.json", "selector.safetensors", "selector.csv", "selector.curves.png", "events.out.tfevents.0"}
    assert {p.name for p in out.iterdir()} == files
    record = json.loads((out / "selector.json").read_text())
    assert record["figures"] == figures
    assert record["tracker_sha256"] == "1" * 64
    table = (out / "selector.csv").read_text().splitlines()
    assert table[0] == "epoch,train_loss,valid_loss,valid_score,learning_rate"
    assert len(table) == 1 + FAST.epochs
    assert calls[-1] == figures["steps"] == FAST.epochs * 8


def test_a_stopped_training_goes_on_to_the_same_weights(colour_examples, tmp_path):
    e, recipe = colour_examples, replace(FAST, epochs=3, truth_share=1.0)  # nothing random but the order
    arguments = (e[:12], e[12:15], e[15:18], WordEncoder(), SMALL, recipe)
    train_selector(*arguments, tmp_path / "whole", CPU)
    whole = load_selector(tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop(done, total):
        if done > total // 3:
            raise StopError

    with pytest.raises(StopError):
        train_selector(*arguments, tmp_path / "parts", CPU, progress=stop)
    assert (tmp_path / "parts" / "selector.training" / "checkpoints" / "last.ckpt").exists()
    steps = []
    trained = train_selector(*arguments, tmp_path / "parts", CPU, progress=lambda done, total: steps.append(done))
    assert steps[0] == trained.figures["steps"] // 3 + 1
    parts = load_selector(tmp_path / "parts")
    assert parts.record["history"] == whole.record["history"]
    for name, tensor in whole.model.state_dict().items():  # the files also hold how many minutes each took
        assert torch.equal(parts.model.state_dict()[name], tensor), name


def test_another_recipe_does_not_go_on_from_a_stopped_training(colour_examples, tmp_path):
    e = colour_examples

    def stop(done, total):
        if done > total // 2:
            raise KeyError("stopped")

    def run(recipe, **options):
        return train_selector(e[:8], e[8:10], e[10:12], WordEncoder(), SMALL, recipe, tmp_path / "o", CPU, **options)

    with pytest.raises(KeyError):
        run(replace(FAST, epochs=2), progress=stop)
    with pytest.raises(InputError, match="same settings"):
        run(replace(FAST, epochs=2, learning_rate=1e-4))
    assert run(replace(FAST, epochs=1), resume=False).figures["steps"] == 2


def test_solas_published_settings_run_on_a_small_module(colour_examples, tmp_path):
    e = colour_examples
    trained = train_selector(
        e[:2], e[2:3], e[3:4], WordEncoder(), SMALL, TrainingSettings(epochs=2), tmp_path / "o", CPU
    )
    assert trained.figures["steps"] == 2 * 6


def test_a_cache_without_labels_is_refused(tmp_path):
    track_set, _, expressions = colour_video(0, "bare")
    write_cache(tmp_path / "bare.h5", track_set)
    example = [(tmp_path / "bare.h5", expressions)]
    with pytest.raises(InputError, match=r"bare\.h5.*labels"):
        train_selector(example, example, example, WordEncoder(), SMALL, FAST, tmp_path / "o", CPU)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("change", "message"), [({"token_width": 5}, "5 numbers.*got 4"), ({"text_width": 7}, "width 7, got 8 of 'words'")]
)
def test_settings_of_other_widths_are_refused(colour_examples, tmp_path, change, message):
    e = colour_examples[:1]
    with pytest.raises(InputError, match=message):
        train_selector(e, e, e, WordEncoder(), replace(SMALL, **change), FAST, tmp_path / "o", CPU)
    assert not (tmp_path / "o").exists()


def test_caches_of_two_trackers_are_refused(tmp_path, colour_examples):
    track_set, labels, expressions = colour_video(0, "other")
    write_cache(tmp_path / "other.h5", replace(track_set, provenance={"tracker_sha256": "2" * 64}), labels)
    examples = [colour_examples[0], (tmp_path / "other.h5", expressions)]
    with pytest.raises(ScorerMismatchError, match="one tracker"):
        train_selector(examples, examples, examples, WordEncoder(), SMALL, FAST, tmp_path / "o", CPU)


def test_collected_logits_and_labels_belong_to_the_same_tracks(colour_examples):
    videos = read_examples(colour_examples[:2], geometry=0)
    data = build_data(videos, WordEncoder(), CPU)
    index = np.array([0, 4])
    mask = data.batch(index).track_mask
    logits = torch.arange(8.0).reshape(2, 4)
    scored = learner.collect(data, index, logits, mask)
    assert [s.logits.tolist() for s in scored] == [[0, 1, 2], [4, 5, 6]]
    assert [s.expression.id for s in scored] == ["0", "1"]
    np.testing.assert_array_equal(scored[0].labels.iou, videos[0].labels.iou[:3])


def test_noise_lies_on_tokens_and_looks_where_asked_and_never_on_boxes(look_examples):
    videos = read_examples(look_examples[:2], geometry=8, looks=True)
    data = build_data(videos, WordEncoder(), CPU)
    model = build(TINY)
    for change, noisy in (({"token_noise": 0.5}, range(4)), ({"look_noise": 0.5}, range(12, 15))):
        noise = learner.SelectorModule(model, data, data, replace(FAST, **change), None).noise
        assert np.flatnonzero(noise.numpy()).tolist() == list(noisy)
    assert learner.SelectorModule(model, data, data, FAST, None).noise == 0.0


def test_looks_of_nobody_are_refused_before_training(tmp_path):
    track_set, labels, expressions = colour_video(0, "bare", looks=True)
    write_cache(tmp_path / "bare.h5", replace(track_set, provenance={"tracker_sha256": "1" * 64}), labels)
    example = [(tmp_path / "bare.h5", expressions)]
    with pytest.raises(InputError, match="looks of nobody"):
        train_selector(
            example, example, example, WordEncoder(), TINY, replace(FAST, alignment_weight=0.0), tmp_path / "o", CPU
        )
    assert not (tmp_path / "o").exists()


def fitted(settings):
    """The shape for the colour world, and no wider than a test needs."""
    if isinstance(settings, RelationalSettings):
        return replace(settings, token_width=4, text_width=8, look_width=3, embed_width=32, heads=4)
    return replace(settings, token_width=4, text_width=8, embed_width=64, motion_widths=(32, 32, 32, 64, 64, 64))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", RECIPES)
def test_every_shipped_recipe_trains(name, size, look_examples, tmp_path):
    recipe, e = RECIPES[name], look_examples
    trained = train_selector(
        e[:2], e[2:3], e[3:4], WordEncoder(), fitted(recipe.sizes[size]), replace(recipe.training, epochs=1),
        tmp_path / "o", CPU, recipe=name, rates=recipe.rates[:2],
    )  # fmt: skip
    assert trained.figures["steps"] == -(-6 // recipe.training.batch)
    selector = load_selector(tmp_path / "o")
    assert selector.record["recipe"] == name
    assert len(selector.score(open_cache(e[0][0]), e[0][1], WordEncoder())) == 3


def test_recipes_that_are_compared_take_the_same_steps():
    compared = {(r.training.epochs, r.training.batch, r.training.together) for r in RECIPES.values()}
    assert len(compared) == 1
    assert len(RECIPES["sola-tuned"].rates) >= 4


def test_a_search_keeps_the_rate_that_is_best_on_calib(colour_examples, tmp_path):
    e, steps = colour_examples, []
    arguments = (e[:20], e[20:25], e[25:35], WordEncoder(), SMALL, replace(FAST, epochs=3), tmp_path / "o", CPU)
    trained = train_selector(*arguments, rates=(1e-2, 1e-9), progress=lambda done, total: steps.append((done, total)))
    tried = {line["learning_rate"]: line for line in json.loads((tmp_path / "o" / "search.json").read_text())}
    assert tried[1e-2]["calib_score"] > tried[1e-9]["calib_score"]
    assert trained.figures["learning_rate"] == 1e-2
    assert load_selector(tmp_path / "o").record["training"]["learning_rate"] == 1e-2
    assert steps[-1] == (2 * trained.figures["steps"],) * 2
    steps.clear()
    again = train_selector(*arguments, rates=(1e-2, 1e-9), progress=lambda done, total: steps.append(done))
    assert not steps  # what was finished is read, not done again
    assert again.figures == trained.figures


def test_training_stops_when_the_score_no_longer_rises(colour_examples, tmp_path):
    e = colour_examples
    recipe = replace(FAST, epochs=30, learning_rate=1e-9, stop_after=2)
    train_selector(e[:4], e[4:6], e[6:8], WordEncoder(), SMALL, recipe, tmp_path / "o", CPU)
    assert len(load_selector(tmp_path / "o").record["history"]) == 3


def test_settings_of_ablations_train(look_examples, tmp_path):
    e = look_examples
    recipe = replace(
        FAST, epochs=1, alignment_weight=0.0, label_ramp=0.2, word_dropout=0.3, presence_weight=0.1, relative_rule=True
    )
    trained = train_selector(e[:4], e[4:6], e[6:8], WordEncoder(), TINY, recipe, tmp_path / "o", CPU)
    assert trained.figures["steps"] == 1


def test_processes_share_every_batch_and_lose_nothing():
    batch = np.arange(7)
    parts = [loading.part_of(batch, rank, 2) for rank in range(2)]
    assert np.concatenate(parts).tolist() == batch.tolist()
    assert loading.part_of(batch[:1], 1, 2).tolist() == [0]


def test_ranks_come_from_what_starts_processes(monkeypatch):
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK", "SLURM_LOCALID", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert Spread(4, 2).rank == 0
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setenv("NODE_RANK", "1")
    assert Spread(4, 2).rank == 7
    assert Spread().rank == 0  # a single process is the first, whatever its surroundings say


def test_every_step_is_clipped_by_the_recipes_norm(colour_examples, tmp_path, monkeypatch):
    norms, plain = [], torch.nn.utils.clip_grad_norm_

    def clip(parameters, norm):
        norms.append(norm)
        return plain(parameters, norm)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
    e, recipe = colour_examples, replace(FAST, epochs=1, clip_norm=0.25)
    trained = train_selector(e[:8], e[8:10], e[10:12], WordEncoder(), SMALL, recipe, tmp_path / "o", CPU)
    assert norms == [0.25] * trained.figures["steps"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_training_with_a_sentence_and_its_code_and_it_goes_on(name, colour_examples, tmp_path):
    e, recipe, number = colour_examples, replace(FAST, epochs=3, truth_share=1.0), getattr(signal, name)
    arguments = (e[:12], e[12:15], e[15:18], WordEncoder(), SMALL, recipe, tmp_path / "o", CPU)

    def stop(done, total):
        if done == total // 3 + 1:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(StoppedError, match=f"training ended by {name}; the same command goes on") as stopped:
        train_selector(*arguments, progress=stop)
    assert stopped.value.signal == number
    assert signal.getsignal(number) == before
    steps = []
    trained = train_selector(*arguments, progress=lambda done, total: steps.append(done))
    assert steps[0] == trained.figures["steps"] // 3 + 1
    with pytest.raises(StoppedError, match="no epoch was done, and the same command starts anew"):
        train_selector(*arguments[:-2], tmp_path / "p", CPU, progress=lambda *_: os.kill(os.getpid(), number))
