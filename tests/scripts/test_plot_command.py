"""`tracksift plot`: curves of logs and bars of last lines, in one PNG; what cannot be drawn is one sentence."""

import json

import numpy as np
import pytest
from PIL import Image

from core.charts import COLOURS
from tracksift.plots import figure, read_run


@pytest.fixture
def logs(tmp_path):
    """Two trainings of three steps, and a command's output."""
    for name, slope in (("one", -1.0), ("two", -2.0)):
        lines = [{"step": i, "losses": {"total": 3 + slope * i / 2}, "note": "x"} for i in range(3)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    last = {"speed_ratio": 8.7, "settings": {"row": "A"}}, {"speed_ratio": 7.4, "settings": {"row": "B"}}
    (tmp_path / "speed.jsonl").write_text("┏━━┓ a table\n" + "\n".join(map(json.dumps, last)) + "\n")
    return tmp_path


def colours(path):
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    return {"#" + bytes(c).hex() for c in np.unique(pixels, axis=0)}


def test_curves_of_several_runs_are_drawn_over_steps(command, logs):
    ran = command("plot", logs / "one.jsonl", logs / "two.jsonl", "--x", "step", "--figure", "losses.total",
                  "--out", logs / "a.png")  # fmt: skip
    assert (ran.code, ran.figures["lines"]) == (0, 6), ran.err
    assert set(COLOURS[:2]) <= colours(logs / "a.png")


def test_bars_of_runs_have_the_names_that_are_asked_for_and_lengths_as_their_values(command, logs):
    ran = command("plot", logs / "speed.jsonl", "--figure", "speed_ratio", "--label", "settings.row", "--out",
                  logs / "b.png")  # fmt: skip
    assert ran.code == 0, ran.err
    pixels = np.asarray(Image.open(logs / "b.png").convert("RGB"))
    lengths = [int((pixels == tuple(bytes.fromhex(c[1:]))).all(-1).sum(axis=1).max()) for c in COLOURS[:2]]
    assert lengths[1] / lengths[0] == pytest.approx(7.4 / 8.7, abs=0.01)


def test_figures_are_found_within_objects_and_only_where_they_are_numbers():
    line = {"a": {"b": 2, "c": "x", "d": True}, "e": float("nan")}
    assert [figure(line, name) for name in ("a.b", "a.c", "a.d", "a", "e", "f.g")] == [
        2.0,
        None,
        None,
        None,
        None,
        None,
    ]


def test_lines_that_are_no_objects_are_passed_over(logs):
    assert len(read_run(logs / "speed.jsonl").lines) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.jsonl", "--figure", "x"), "none.jsonl: expected lines of JSON"),
        (("one.jsonl", "--figure", "nothing"), "expected one that a line has, got 'nothing'"),
        (("one.jsonl", "--figure", "losses.total", "--x", "epoch"), "beside 'epoch', got 'losses.total'"),
        (("one.jsonl", "--figure", "step", "--label", "note"), "got 'x' twice"),
        (("one.jsonl", "--figure", "step", "--label", "losses"), "expected a name or number in each line"),
        (("one.jsonl", "--figure", "step", "--x", "step", "--label", "note"), "expected bars, got curves"),
        (("one.jsonl", "--figure", "step", "--out", "a.gif"), "expected a .png"),
        (("one.jsonl", *("--figure", "step") * 5, "--x", "step"), "4 curves at most"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(command, logs, monkeypatch, words, said):
    monkeypatch.chdir(logs)
    ran = command("plot", *words)
    assert (ran.code, said in " ".join(ran.err.split())) == (2, True), ran.err
    assert not list(logs.glob("*.png"))
