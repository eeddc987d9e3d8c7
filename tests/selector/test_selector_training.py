import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from cache import open_cache, write_cache
from core.errors import InputError, ScorerMismatchError
from selector import training
from selector.modules import build
from selector.scoring import load_selector
from selector.settings import PRESETS, RelationalSettings
from selector.training import train_selector
from tests.selector.colour_world import FAST, SMALL, TINY, WordEncoder, colour_video

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(colour_examples, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("selector") / "out"
    e = colour_examples
    calls = []
    figures = train_selector(
        e[:40], e[40:50], e[50:], WordEncoder(), SMALL, FAST, out, CPU, progress=lambda done, total: calls.append(done)
    )
    return out, figures, calls


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
    assert sorted(p.name for p in out.iterdir()) == ["selector.json", "selector.jsonl", "selector.safetensors"]
    record = json.loads((out / "selector.json").read_text())
    assert record["figures"] == figures
    assert record["tracker_sha256"] == "1" * 64
    assert len((out / "selector.jsonl").read_text().splitlines()) == FAST.epochs
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
    figures = train_selector(*arguments, tmp_path / "parts", CPU, progress=lambda done, total: steps.append(done))
    assert steps[0] == figures["steps"] // 3 + 1
    parts = load_selector(tmp_path / "parts")
    assert parts.record["history"] == whole.record["history"]
    assert parts.sha256 == whole.sha256


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
    assert run(replace(FAST, epochs=1), resume=False)["steps"] == 2


def test_solas_recipe_runs_on_a_small_module(colour_examples, tmp_path):
    from selector.settings import SOLA_TRAINING

    e = colour_examples
    figures = train_selector(
        e[:2], e[2:3], e[3:4], WordEncoder(), SMALL, replace(SOLA_TRAINING, epochs=2), tmp_path / "o", CPU
    )
    assert figures["steps"] == 2 * 6


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
    videos = training.read_examples(colour_examples[:2], geometry=False)
    data = training.build_data(videos, WordEncoder(), CPU)
    index = np.array([0, 4])
    mask = data.batch(index).track_mask
    logits = torch.arange(8.0).reshape(2, 4)
    scored = training.collect(data, index, logits, mask)
    assert [s.logits.tolist() for s in scored] == [[0, 1, 2], [4, 5, 6]]
    assert [s.expression.id for s in scored] == ["0", "1"]
    np.testing.assert_array_equal(scored[0].labels.iou, videos[0].labels.iou[:3])


def test_noise_spares_boxes_and_looks(look_examples):
    videos = training.read_examples(look_examples[:2], geometry=True, looks=True)
    data = training.build_data(videos, WordEncoder(), CPU)
    model = build(TINY)
    module = training.SelectorModule(model, data, data, replace(FAST, token_noise=0.5), None)
    assert (module.noise[:4] > 0).all()
    assert (module.noise[4:] == 0).all()


def test_looks_of_nobody_are_refused_before_training(tmp_path):
    track_set, labels, expressions = colour_video(0, "bare", looks=True)
    write_cache(tmp_path / "bare.h5", replace(track_set, provenance={"tracker_sha256": "1" * 64}), labels)
    example = [(tmp_path / "bare.h5", expressions)]
    with pytest.raises(InputError, match="looks of nobody"):
        train_selector(
            example, example, example, WordEncoder(), TINY, replace(FAST, alignment_weight=0.0), tmp_path / "o", CPU
        )
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_shipped_recipe_trains(preset, look_examples, tmp_path):
    settings, recipe = PRESETS[preset]
    looks = {"look_width": 3} if isinstance(settings, RelationalSettings) else {}
    settings = replace(settings, token_width=4, text_width=8, **looks)
    e = look_examples
    figures = train_selector(
        e[:2], e[2:3], e[3:4], WordEncoder(), settings, replace(recipe, epochs=1), tmp_path / "o", CPU
    )
    assert figures["steps"] == -(-6 // recipe.batch)
    assert len(load_selector(tmp_path / "o").score(open_cache(e[0][0]), e[0][1], WordEncoder())) == 3
