import numpy as np
import pytest
from PIL import Image

from core.errors import InputError
from core.types import Expression, Labels
from selector.calibration import Calibration, Scored
from tracksift.reliability import RELIABILITY, Reliability, write_reliability


def test_tracks_and_presence_are_told_apart():
    counted = Reliability()
    for meant in (True, True, True, False):
        counted.add(np.array([0.75, 0.0]), np.array([meant, False]), 1.0, there=meant)
    assert counted.figures() == {"ece": pytest.approx(0.0), "presence_ece": pytest.approx(0.25)}


def test_what_was_not_counted_has_no_figure(tmp_path):
    counted = Reliability()
    assert counted.figures() == {}
    counted.add(np.zeros(0), np.zeros(0, dtype=bool), 0.0, there=False)
    assert counted.figures() == {"presence_ece": 0.0}
    with pytest.raises(InputError, match="at least one panel"):
        Reliability().draw(tmp_path / "x.png")


def test_scores_of_a_split_are_drawn_and_named(tmp_path):
    iou = np.array([[0.9], [0.1]], dtype=np.float32)
    item = Scored(np.array([4.0, -4.0]), Labels(("0",), iou, iou, iou), Expression("e", "x", ("0",)))
    figures = write_reliability(tmp_path, [item], Calibration())
    assert figures == {
        "valid_ece": pytest.approx(0.018, abs=1e-3),
        "valid_presence_ece": pytest.approx(0.018, abs=1e-3),
    }
    with Image.open(tmp_path / RELIABILITY) as image:
        assert image.size == (920, 300)
