"""The page about the long world says what is measured; blind answers are bad ones; the command prints JSON."""

import re
from pathlib import Path

import numpy as np
import pytest

from core import cli
from core.errors import InputError
from miniature.long_world import __main__ as entry
from miniature.long_world import make_long_clip, make_story
from miniature.long_world.figures import baselines, counts, drawn, words
from miniature.splits import find_split

PAGE = Path(entry.__file__).parents[1] / "LONG_WORLD.md"


def measured(split):
    chosen = find_split(split, long=True)
    stories = [make_story(s, shifted=chosen.shifted) for s in chosen.seeds]
    return counts(stories) | baselines(stories)


@pytest.fixture(scope="module")
def figures():
    return {split: measured(split) for split in ("valid", "shifted_dev")}


def test_the_page_has_the_figures_that_are_measured(figures):
    rows = re.findall(r"^\| (.+?) \| ([\d.]+|-) \| ([\d.]+|-) \|$", PAGE.read_text(), re.MULTILINE)
    page = {name: (a, b) for name, a, b in rows}
    for column, split in enumerate(("valid", "shifted_dev")):
        said = {name: values[column] for name, values in page.items() if values[column] != "-"}
        assert said == {name: f"{value:.3f}" for name, value in figures[split].items()}


def test_the_page_runs_its_example():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(code.replace("200_000", "200_000, seconds=16"), {"print": lambda *a: None})


def test_blind_answers_are_far_from_the_best(figures):
    for found in figures.values():
        assert found["moments, whole video: R1@0.5"] <= 0.30
        assert found["moments, middle third: R1@0.5"] <= 0.30
        assert found["highlights, constant: VeryGood mAP"] < found["highlights, annotators' mean: VeryGood mAP"] / 2
        assert found["questions, the most usual answer of their kind: accuracy"] < 0.4
        assert found["timed answers, the most usual one every 10 s: in-span (1..5)"] < 2
        assert found["timed answers, true ones: duplicates"] == 0
        assert found["summaries, constant importance: F1"] < 0.3


def test_what_is_told_is_seen():
    found = drawn([make_long_clip(5, seconds=16), make_long_clip(6, seconds=16)])
    assert found["visitors seen in exactly the frames of their visits (share)"] == 1
    assert found["frames of events in which the actor is seen (share)"] > 0.95


def test_words_are_those_of_all_texts():
    story = make_story(3)
    said = words(story)
    assert set(re.findall("[a-z]+", story.moments[0].text)) <= set(said)
    assert all(re.fullmatch("[a-z]+", word) for word in said)


def test_the_command_prints_tables_and_a_line_of_json(command, monkeypatch):
    monkeypatch.setattr(entry, "make_story", lambda seed, *, shifted: make_story(seed, shifted=shifted, seconds=60))
    monkeypatch.setattr(
        entry, "make_long_clip", lambda seed, *, shifted: make_long_clip(seed, shifted=shifted, seconds=8)
    )
    outcome = command("--split", "calib", "--drawn", 1, app=lambda: cli.run(entry.app), name="miniature.long_world")
    assert outcome.code == 0, outcome.err
    assert outcome.figures["videos"] == 60
    assert 0 <= outcome.figures["moments_whole_video_r1_0.5"] <= 1
    assert np.isfinite(outcome.figures["milliseconds_a_frame_drawn_and_compared"])


def test_an_unknown_split_is_one_sentence(command):
    outcome = command("--split", "nonsense", app=lambda: cli.run(entry.app), name="miniature.long_world")
    assert outcome.code == 2
    assert outcome.err.startswith("error: split: expected one of train")
    with pytest.raises(InputError):
        find_split("nonsense", long=True)
