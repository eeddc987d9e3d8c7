"""The miniature grounder's training: what it leaves, how it goes on, and what it refuses."""

import json
import os
import signal
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from core.errors import CheckpointError, InputError, StoppedError
from core.images import load_image_encoder
from llm_grounder.checkpoints import load_grounder, save_grounder
from miniature import eval_grounder, train_grounder
from miniature.grounder_training.desk import Desk, write_step
from miniature.grounder_training.films import FIRST_SEED, Film, Order, Sight, Studio
from miniature.grounder_training.settings import SMOKE
from miniature.grounder_training.shown import KINDS
from miniature.grounder_training.trainer import Trainer, make_grounder, read_state
from miniature.training_steps import rate_at
from tracksift.clips import read_inputs
from tracksift.models import Models
from tracksift.recipes import manner_of

QUICK = ("--size", "smoke", "--steps", 2, "--workers", 0, "--videos", 1, "--device", "cpu")


@pytest.fixture
def train(command):
    return lambda *words: command(*words, app=train_grounder.app, name="train_grounder")


@pytest.mark.slow
def test_a_training_leaves_a_grounder_that_is_measured(train, command, tmp_path):
    made = train("--out", tmp_path / "run", *QUICK, "--tasks", "moments,qa=0.5", "--wide")
    assert (made.code, made.figures["steps"]) == (0, 2), made.err
    _, record = load_grounder(tmp_path / "run" / "grounder")
    assert (read_inputs(record).per_second, manner_of(record).windows) == (2.0, "spans")
    assert set(record["asked"]) <= {"moments", "qa"}
    assert record["training"]["wide"] is True
    assert {"held_out"} <= record["curve"][-1].keys()
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "losses" in line] == [1, 2]
    paces = [line["ms"] for line in lines if "losses" in line]
    assert all(set(pace) == {"step", "samples", "launch"} for pace in paces)
    assert all(pace["launch"] > 0 for pace in paces)
    assert [pace["samples"] > 0 for pace in paces] == [False, True]  # the front end's step asks nothing
    assert paces[1]["step"] >= paces[0]["launch"]  # from the first step's begin to the second's
    with pytest.raises(InputError, match="expected a folder without a training"):
        train("--out", tmp_path / "run", *QUICK)
    part = ("--tasks", "moments", "--videos", 1, "--workers", 0, "--device", "cpu", "--out", tmp_path / "f.json")
    measured = command(tmp_path / "run" / "grounder", *part, app=eval_grounder.app, name="eval_grounder")
    assert measured.code == 0, measured.err
    figures = json.loads((tmp_path / "f.json").read_text())["figures"]
    assert set(figures) == {"grounder", "shown nothing", "trivial", "another video's", "oracle"}
    quick = command(tmp_path / "run" / "grounder", *part, "--no-blind", app=eval_grounder.app, name="eval_grounder")
    assert quick.code == 0, quick.err
    seen = json.loads((tmp_path / "f.json").read_text())["figures"]
    assert seen == {who: values for who, values in figures.items() if who != "shown nothing"}


def test_a_dry_run_writes_nothing(train, tmp_path):
    assert train("--out", tmp_path / "run", "--dry-run").code == 0
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def studio():
    sight = Sight(load_image_encoder(Models().text_spec, "cpu"), SMOKE.grid)
    with closing(Studio(2, sight, workers=0, like=Order(0, 0, seconds=8, most=4, tracks=16))) as studio:
        assert list(studio.wait_for(2))
        yield studio


@pytest.mark.parametrize("progress", [0.0, 0.5])
def test_a_stopped_training_goes_on_to_the_same_weights(studio, tmp_path, progress):
    whole = Trainer(SMOKE, torch.device("cpu"))
    whole.progress = progress
    for _ in range(2):
        whole.advance(studio)
    whole.save(tmp_path / "state.pt")
    resumed = Trainer(SMOKE, torch.device("cpu"))
    resumed.restore(tmp_path / "state.pt")
    whole.advance(studio)
    resumed.advance(studio)
    for a, b in zip(whole.average.parameters(), resumed.average.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert (resumed.step, resumed.asked) == (3, whole.asked)


def test_the_front_end_learns_alone_at_first_and_its_average_with_it(studio):
    trainer = Trainer(SMOKE, torch.device("cpu"))
    before = {name: value.clone() for name, value in trainer.grounder.state_dict().items()}
    assert trainer.looking
    shown = {"there", *KINDS}
    assert set(trainer.advance(studio)) == {*shown, *(f"tracks.{name}" for name in (*shown, "words")), "total"}
    changed = {n for n, value in trainer.grounder.state_dict().items() if not torch.equal(value, before[n])}
    assert changed
    assert all(name.startswith(("inputs.patches.", "inputs.tracks.", "naming.says.")) for name in changed)
    assert {"inputs.tracks.mean", "inputs.tracks.enter.weight", "naming.says.weight"} <= changed
    averaged = trainer.average.state_dict()
    assert all(not torch.equal(averaged[name], before[name]) for name in changed)
    assert (trainer.step, trainer.looked) == (1, 1)
    trainer.progress = SMOKE.look_share
    assert "text" in trainer.advance(studio) or trainer.asked
    assert (trainer.step, trainer.looked) == (2, 1)


def test_samples_written_by_another_process_are_those_written_here(studio):
    trainer = Trainer(SMOKE, torch.device("cpu"))
    with closing(Desk(SMOKE, trainer.grounder, make_grounder, 1)) as desk:
        for number in (4, 5, 9):
            here = write_step(SMOKE, trainer.grounder, number, trainer.choose(studio.films, number))
            there = desk.take(number, partial(trainer.choose, studio.films))
            assert there.films == here.films
            assert all(
                torch.equal(a.clip.features, b.clip.features) for a, b in zip(here.samples, there.samples, strict=True)
            )
            for name, value in vars(here.laid[1]).items():
                assert (
                    torch.equal(value, vars(there.laid[1])[name]) if name != "start" else value == there.laid[1].start
                )
            ours, theirs = (trainer.grounder.losses(step.samples, laid=step.laid) for step in (here, there))
            assert {n: v.item() for n, v in ours.items()} == {n: v.item() for n, v in theirs.items()}


def test_a_training_may_start_from_a_grounder_of_the_same_size_and_words(studio, tmp_path):
    first = Trainer(SMOKE, torch.device("cpu"))
    first.advance(studio)
    save_grounder(tmp_path / "first", first.average, {})
    later = Trainer(replace(SMOKE, seed=1), torch.device("cpu"))
    later.start(tmp_path / "first")
    for model in (later.grounder, later.average):
        for name, value in first.average.state_dict().items():
            assert torch.equal(model.state_dict()[name], value)
    mean = later.grounder.inputs.tracks.mean.clone()
    studio.films.reverse()
    later.advance(studio)
    assert (later.step, later.looked) == (1, 1)
    assert torch.equal(later.grounder.inputs.tracks.mean, mean)  # tracks' values are read as they were
    before = first.average.state_dict()
    changed = {name for name, value in later.grounder.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"naming.says.weight"}  # until heads that start anew have caught up
    later.progress = SMOKE.catch_up_share
    later.advance(studio)
    assert (later.step, later.looked) == (2, 1)
    other = Trainer(replace(SMOKE, grounder=replace(SMOKE.grounder, spans=3)), torch.device("cpu"))
    with pytest.raises(CheckpointError, match="same size and words"):
        other.start(tmp_path / "first")


def test_a_grounder_to_start_from_is_refused_before_films_are_drawn(train, tmp_path, monkeypatch):
    other = replace(SMOKE, grounder=replace(SMOKE.grounder, spans=3))
    save_grounder(tmp_path / "other", make_grounder(other), {})
    monkeypatch.setattr(train_grounder, "Studio", lambda *args, **values: pytest.fail("films were drawn"))
    with pytest.raises(CheckpointError, match="same size and words"):
        train("--out", tmp_path / "run", *QUICK, "--start", tmp_path / "other")


def test_a_grounder_without_motion_learns_it_first_when_a_training_starts_from_it(studio, tmp_path):
    plain = replace(SMOKE, grounder=replace(SMOKE.grounder, motion_width=0, moving=0))
    save_grounder(tmp_path / "plain", Trainer(plain, torch.device("cpu")).average, {})
    later = Trainer(SMOKE, torch.device("cpu"))
    later.start(tmp_path / "plain")
    before = {name: value.clone() for name, value in later.grounder.state_dict().items()}
    given = load_grounder(tmp_path / "plain")[0].state_dict()
    assert {name for name in before if "tracks.motion." not in name} == given.keys()
    assert all(torch.equal(before[name], value) for name, value in given.items())
    later.advance(studio)
    later.save(tmp_path / "state.pt")
    resumed = Trainer(SMOKE, torch.device("cpu"))
    resumed.restore(tmp_path / "state.pt")
    for trainer in (later, resumed):
        trainer.advance(studio)
        changed = {n for n, value in trainer.grounder.state_dict().items() if not torch.equal(value, before[n])}
        assert {"inputs.tracks.motion.pace", "inputs.tracks.motion.enter.weight", "naming.says.weight"} <= changed
        assert all(name.startswith(("inputs.tracks.motion.", "naming.says.")) for name in changed)
        assert (trainer.step, trainer.looked) == (2, 2)


@pytest.mark.slow
def test_a_training_stops_at_its_share_and_goes_on(train, tmp_path):
    words = ("--out", tmp_path / "run", "--size", "smoke", "--steps", 4, *QUICK[4:], "--tasks", "moments")
    half = train(*words, "--until", 0.5)
    assert (half.code, half.figures["steps"]) == (0, 2), half.err
    assert load_grounder(tmp_path / "run" / "grounder")[1]["steps"] == 2
    whole = train(*words, "--resume")
    assert whole.figures["steps"] == 4
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["progress"] for line in lines if "held_out" in line] == [0.5, 1.0]
    assert whole.figures["films"] > half.figures["films"]


@pytest.fixture
def short(monkeypatch):
    """A training of short stories, whose figures take no time."""
    small = Order(0, 0, seconds=8, most=4)
    monkeypatch.setitem(train_grounder.SIZES, "smoke", replace(SMOKE, seconds=8, most=4, pool=2, first=2, short=None))
    monkeypatch.setattr(train_grounder, "held_out", lambda *args, **values: iter([small]))
    monkeypatch.setattr(train_grounder, "watch", lambda trainer, run: {})


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_training_after_its_step_and_it_goes_on(train, short, tmp_path, monkeypatch, name):
    number, plain = getattr(signal, name), Trainer.advance

    def advance(trainer, studio):
        if trainer.step == 1:
            os.kill(os.getpid(), number)
        return plain(trainer, studio)

    words = ("--out", tmp_path / "run", "--size", "smoke", "--steps", 4, *QUICK[4:], "--tasks", "moments")
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", advance)
        with pytest.raises(StoppedError, match=f"run: training ended by {name}; --resume goes on from step 2$") as end:
            train(*words)
    assert (end.value.signal, signal.getsignal(number)) == (number, before)
    assert int(read_state(tmp_path / "run" / "state.pt")["drawn"]) == 2
    whole = train(*words, "--resume")
    assert (whole.code, whole.figures["steps"]) == (0, 4), whole.err


def test_films_are_passed_over_at_first(train, short, tmp_path, monkeypatch):
    plain, seeds = Trainer.advance, set[int]()

    def advance(trainer, studio):
        seeds.update(film.order.seed for film in studio.films)
        return plain(trainer, studio)

    monkeypatch.setattr(Trainer, "advance", advance)
    made = train("--out", tmp_path / "run", *QUICK, "--tasks", "moments", "--passed", 7)
    assert made.code == 0, made.err
    assert min(seeds) == FIRST_SEED + 7
    assert load_grounder(tmp_path / "run" / "grounder")[1]["data"]["stories_from_seed"] == FIRST_SEED + 7


def test_a_training_ended_before_its_first_step_says_that_nothing_was_kept(train, short, tmp_path, monkeypatch):
    monkeypatch.setattr(train_grounder, "prepare", lambda *args, **values: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(StoppedError, match="ended by SIGTERM; nothing was kept, and the same command starts anew"):
        train("--out", tmp_path / "run", *QUICK)


def test_a_step_takes_short_films_at_first_and_long_ones_at_last():
    trainer = Trainer(replace(SMOKE, short_share=1.0), torch.device("cpu"))
    films = [
        Film(Order(i, 0, seconds=seconds), torch.zeros(2 * seconds, 1, 1), np.zeros(1))
        for i, seconds in enumerate((16, 24, 16, 24))
    ]
    assert {film.duration for film in trainer.choose(films, 0)} == {16}
    trainer.progress = 1.0
    assert {film.duration for film in trainer.choose(films, 0)} == {24}


def test_the_rate_warms_up_and_falls():
    assert rate_at(SMOKE, 0, 0.0) == pytest.approx(SMOKE.rate / SMOKE.warm_up)
    assert rate_at(SMOKE, 100, 0.5) < rate_at(SMOKE, 100, 0.0) == pytest.approx(SMOKE.rate)
    assert rate_at(SMOKE, 100, 1.0) == pytest.approx(SMOKE.rate / 100)


@pytest.mark.parametrize(
    ("text", "message"), [("flying", "expected names among"), ("qa=x", "and weights"), ("qa=-1", "weights above 0")]
)
def test_mixtures_that_mean_nothing_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        train_grounder.read_mixture(text)


def test_a_size_that_is_none_is_refused():
    with pytest.raises(InputError, match="--size: expected one of full, small, smoke"):
        train_grounder.choose_settings("huge", mixture=None)
