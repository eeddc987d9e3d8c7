from pathlib import Path
from types import SimpleNamespace

import pytest

from core.errors import InputError
from selector.zeroshot import ZeroShotSelector
from tracksift.transfer import check_zero_shot, split_name


def job(place):
    return SimpleNamespace(cache=Path("caches") / place / "v.h5")


def test_a_splits_name_is_its_place():
    assert split_name(Path("any/caches/mevis/train/v.h5")) == "mevis/train"


def test_a_split_that_the_selector_knows_is_refused_by_name():
    selector = SimpleNamespace(record={"splits": ["mevis/calib", "mevis/train"]})
    check_zero_shot(selector, [job("ref_davis/valid"), job("mevis/shifted_test")])
    with pytest.raises(InputError, match="does not know, got 'mevis/train' of mevis/calib, mevis/train"):
        check_zero_shot(selector, [job("mevis/shifted_test"), job("mevis/train")])


def test_a_record_that_does_not_say_is_refused_and_nothing_trained_knows_nothing():
    with pytest.raises(InputError, match="record names its splits"):
        check_zero_shot(SimpleNamespace(record={}), [job("mevis/train")])
    check_zero_shot(ZeroShotSelector(), [job("mevis/train")])
