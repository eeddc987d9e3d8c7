from dataclasses import replace

import pytest
import torch

from core.errors import InputError
from selector.fitting import Spread
from selector.settings import RelationalSettings
from selector.shared import fitting, share
from selector.training import Run, read_splits
from tests.selector.colour_world import FAST, SMALL, TINY, WordEncoder

CPU = torch.device("cpu")
RECIPE = replace(FAST, epochs=2, alignment_weight=0.0, truth_share=0.0)


@pytest.fixture(scope="module")
def splits(look_examples):
    e = look_examples
    return read_splits((e[:6], e[6:8], e[8:10]), WordEncoder(), TINY, RECIPE, CPU)


def run(splits, settings, out, recipe=RECIPE):
    return Run(splits, "a" * 64, settings, CPU, Spread()).train(recipe, out)


def test_a_training_on_shared_splits_is_the_training_on_the_splits_themselves(splits, tmp_path):
    opened = share(splits, tmp_path / "splits.safetensors").open(CPU)
    one, other = (run(s, TINY, tmp_path / name) for name, s in (("a", splits), ("b", opened)))
    assert {k: v for k, v in one.figures.items() if k != "minutes"} == {
        k: v for k, v in other.figures.items() if k != "minutes"
    }
    assert one.calibration == other.calibration


def test_what_is_sent_along_is_small(splits, tmp_path):
    shared = share(splits, tmp_path / "splits.safetensors")
    assert shared.rest.train.items == ()
    assert all(tensor.numel() == 0 for tensor in (shared.rest.train.words, shared.rest.train.rows.values))
    assert all(video.tracks.parts.shape[2] == 0 for video, _ in shared.rest.valid.items)


def test_solas_module_reads_the_tokens_of_what_was_read_for_ours(splits, look_examples, tmp_path):
    e = look_examples
    own = read_splits((e[:6], e[6:8], e[8:10]), WordEncoder(), SMALL, RECIPE, CPU)
    found = fitting(splits, SMALL)
    assert torch.equal(found.train.rows.values, own.train.rows.values)
    assert found.train.look == own.train.look == ""
    assert run(found, SMALL, tmp_path / "o").figures["steps"] == 4


def test_a_module_without_outlines_reads_what_was_read_for_one_with_them(splits, look_examples, tmp_path):
    e = look_examples
    wide = read_splits((e[:6], e[6:8], e[8:10]), WordEncoder(), replace(TINY, outline=True), RECIPE, CPU)
    found = fitting(wide, TINY)
    assert wide.train.rows.width == found.train.rows.width + 11
    assert torch.equal(found.train.rows.values, splits.train.rows.values)
    assert found.train.look == splits.train.look != ""
    assert run(fitting(wide, replace(TINY, outline=True)), replace(TINY, outline=True), tmp_path).figures["steps"] == 4


def test_a_module_without_tokens_reads_none(splits, look_examples, tmp_path):
    e, settings = look_examples, replace(TINY, token_width=0)
    own = read_splits((e[:6], e[6:8], e[8:10]), WordEncoder(), settings, RECIPE, CPU, workers=1)
    found = fitting(splits, settings)
    assert own.packed == 0
    assert found.train.widths == own.train.widths == (0, 8, 3)
    assert torch.equal(found.train.rows.values, own.train.rows.values)
    assert run(own, settings, tmp_path).figures["steps"] == 4


def test_a_module_that_reads_other_numbers_is_refused(splits):
    for wrong in ({"look_width": 2}, {"token_width": 5}, {"outline": True}):
        with pytest.raises(InputError, match=r"at most \(4, 8, 3\) numbers of tokens, boxes and looks, got"):
            fitting(splits, replace(TINY, **wrong))
    assert fitting(splits, RelationalSettings(token_width=4, text_width=8, look_width=3)) == splits
