"""Requests whose words are left out or replaced: how many, by what, and that a training's steps have them so."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.images import load_image_encoder
from miniature.grounder_training.desk import write_step
from miniature.grounder_training.films import Order, Sight, Studio
from miniature.grounder_training.settings import SMOKE
from miniature.grounder_training.trainer import Trainer
from miniature.grounder_training.wording import reword
from tracksift.models import Models

TEXTS = ["the red star spins", "when a ring goes to the left", "", "star"] * 400


def test_no_share_loses_nothing():
    assert reword(TEXTS, 0.0, np.random.default_rng(0)) == TEXTS


def test_a_share_of_the_words_is_left_out_or_another():
    told = reword(TEXTS, 0.2, np.random.default_rng(0))
    first = [text.split() for text in told[::4]]
    kept = np.mean([word in own for own in first for word in ("red", "spins")])  # which stand in one text alone
    assert kept == pytest.approx(0.8, abs=0.05)
    assert np.mean([len(own) for own in first]) == pytest.approx(4 * 0.9, abs=0.1)  # half of what is lost is replaced
    known = {word for text in TEXTS for word in text.split()}
    assert {word for text in told for word in text.split()} == known


def test_a_text_keeps_a_word_of_its_own_and_none_stays_none():
    told = reword(TEXTS, 1.0, np.random.default_rng(0))
    assert all(set(new.split()) & set(old.split()) for new, old in zip(told, TEXTS, strict=True) if old)
    assert set(told[2::4]) == {""}
    assert set(told[3::4]) == {"star"}


def test_steps_ask_in_such_words_and_mean_the_same():
    sight = Sight(load_image_encoder(Models().text_spec, "cpu"), SMOKE.grid)
    settings = replace(SMOKE, asks=6)
    trainer = Trainer(settings, torch.device("cpu"))
    like = Order(0, 0, seconds=8, most=4, tracks=16)
    with closing(trainer), closing(Studio(2, sight, workers=0, like=like)) as studio:
        assert list(studio.wait_for(2))
        plain = write_step(settings, trainer.grounder, 3, studio.films)
        other = write_step(replace(settings, lost_words=0.3), trainer.grounder, 3, studio.films)
    pairs = list(zip(plain.samples, other.samples, strict=True))
    assert [a.request.id for a, _ in pairs] == [b.request.id for _, b in pairs]
    assert {a.request.text == b.request.text for a, b in pairs if a.request.text} == {True, False}
    assert all(len(a.turns) == len(b.turns) for a, b in pairs)
