"""Batches follow from their number, keep to their tokens, and a training that goes wrong says where."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.errors import InputError, StoppedError, TrackSiftError
from llm_grounder.mixture import Mixture, Source, drawn, length_of
from llm_grounder.optimiser import TrainingSettings, make_optimizer, share_at
from llm_grounder.training import Spread, train_grounder
from tests.llm_grounder.tiny_grounder import SETTINGS, make_sample, tiny_grounder

FAST = TrainingSettings(steps=4, most=2, tokens=400)


def source(name="moments", weight=1.0, frames=6):
    return Source(name, 5, weight, lambda number, rng: make_sample(frames, seed=number))


def mixture(*sources, **values):
    return Mixture(sources or (source(),), SETTINGS, **{"tokens": 600, "most": 8, "seed": 0} | values)


def ids(batch):
    return [sample.clip.id for sample in batch]


def test_a_batch_follows_from_its_number_alone():
    walked = iter(mixture())
    first = [ids(next(walked)) for _ in range(4)]
    assert first == [ids(mixture().batch(i)) for i in range(4)]
    later = iter(mixture(first=2))
    assert [ids(next(later)) for _ in range(2)] == first[2:]
    assert len({tuple(each) for each in first}) > 1


def test_processes_share_the_batches_among_them():
    parts = [iter(mixture(rank=rank, processes=2)) for rank in (0, 1)]
    assert [ids(next(part)) for _ in range(2) for part in parts] == [ids(mixture().batch(i)) for i in range(4)]


def test_batches_are_filled_up_to_their_tokens_and_never_empty():
    batch = mixture().batch(0)
    longest = max(length_of(sample, SETTINGS) for sample in batch)
    assert longest * len(batch) <= 600 < longest * (len(batch) + 1)
    assert len(mixture(tokens=1).batch(0)) == 1
    assert len(mixture(most=3, tokens=10_000).batch(0)) == 3


def test_tracks_count_among_a_sample_s_tokens_where_they_are_read():
    plain, tracked = make_sample(6, 0), make_sample(6, 3)
    seen = 3 * 6 - 1  # the first track is absent in the first frame
    assert length_of(tracked, SETTINGS) - length_of(plain, SETTINGS) == seen + 3
    blind = replace(SETTINGS, track_width=0)
    assert length_of(tracked, blind) == length_of(plain, blind)


def test_sources_are_drawn_by_weight():
    often, seldom = source(weight=9.0, frames=4), source("other", 1.0, frames=5)
    batches = [mixture(often, seldom, most=1).batch(i) for i in range(200)]
    lengths = [batch[0].clip.frames for batch in batches]
    assert 160 < lengths.count(4) < 197
    assert drawn(batches) == {"moments": 200}


@pytest.mark.parametrize(("count", "weight"), [(0, 1.0), (1, 0.0), (1, -1.0)])
def test_sources_of_nothing_are_refused(count, weight):
    with pytest.raises(InputError, match="expected samples and a weight"):
        Source("x", count, weight, lambda number, rng: make_sample())


def test_the_rate_rises_and_falls():
    settings = TrainingSettings(steps=100, warm_up=0.1)
    shares = [share_at(step, settings) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) == shares[10] == pytest.approx(1.0)
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert shares[-1] < 0.02


def test_a_grounder_learns_and_tells_what_it_drew(tmp_path):
    grounder, lines = tiny_grounder(), []
    before = [p.clone() for p in grounder.parameters()]
    learnt = train_grounder(grounder, mixture(), FAST, Spread(), tmp_path, tell=lambda **line: lines.append(line))
    assert [line["step"] for line in lines] == [0, 3]
    assert lines[-1]["drawn"] == dict(learnt.drawn)
    assert any(not torch.equal(a, b) for a, b in zip(before, grounder.parameters(), strict=True))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_training_with_a_sentence_and_its_code_and_it_goes_on_to_the_same_weights(name, tmp_path):
    settings, number = replace(FAST, steps=6, warm_up=0.0), getattr(signal, name)
    whole, halted = tiny_grounder(), tiny_grounder()
    train_grounder(whole, mixture(), settings, Spread(), tmp_path / "whole")

    def stop(done, total):
        if done == 4:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    sentence = f"part: training ended by {name}; --resume goes on from its last state$"
    with pytest.raises(StoppedError, match=sentence) as stopped:
        train_grounder(halted, mixture(), settings, Spread(), tmp_path / "part", progress=stop)
    assert stopped.value.signal == number
    assert signal.getsignal(number) == before
    with pytest.raises(InputError, match="expected a folder without a stopped training"):
        train_grounder(halted, mixture(), settings, Spread(), tmp_path / "part")
    resumed = tiny_grounder(seed=3)
    train_grounder(resumed, mixture(), settings, Spread(), tmp_path / "part", resume=True)
    for (name, a), b in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


def test_a_training_ended_before_its_first_state_says_so(tmp_path):
    settings = replace(FAST, steps=300)  # a state every third step
    with pytest.raises(StoppedError, match="ended by SIGTERM; no state was written, and the same command starts"):
        train_grounder(
            tiny_grounder(), mixture(), settings, Spread(), tmp_path,
            progress=lambda *_: os.kill(os.getpid(), signal.SIGTERM),
        )  # fmt: skip


def test_nothing_is_swallowed(tmp_path):
    def broken(number, rng):
        raise InputError("sample 3 is none")

    with pytest.raises(InputError, match="sample 3 is none"):
        train_grounder(
            tiny_grounder(), mixture(Source("x", 5, 1.0, broken)), FAST, Spread(), tmp_path
        )  # fmt: skip
    grounder = tiny_grounder()
    with torch.no_grad():
        next(grounder.frame_head.parameters()).fill_(np.nan)
    with pytest.raises(TrackSiftError, match=r"expected a finite loss.*clip"):
        train_grounder(grounder, mixture(), FAST, Spread(), tmp_path)


def test_gradient_checkpointing_changes_no_loss(tmp_path):
    lines = {}
    for checkpointing in (False, True):
        lines[checkpointing] = []
        settings = replace(FAST, checkpointing=checkpointing)
        train_grounder(
            tiny_grounder(), mixture(), settings, Spread(), tmp_path / str(checkpointing),
            tell=lambda kept=lines[checkpointing], **line: kept.append(line["total"]),
        )  # fmt: skip
    assert lines[True] == pytest.approx(lines[False], rel=1e-4)


@pytest.mark.parametrize("values", [{"devices": 2}, {"strategy": "ring"}, {"strategy": "fsdp"}])
def test_spreads_that_cannot_be_are_refused(values):
    with pytest.raises(InputError, match="--strategy"):
        Spread(**values)


def test_all_frozen_is_refused():
    with pytest.raises(InputError, match="all frozen"):
        make_optimizer(tiny_grounder().requires_grad_(False), FAST)
