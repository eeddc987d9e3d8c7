"""A folder of results against a split: the official figures end to end, failures counted, baselines beside."""

import json
import shutil

import numpy as np
import pytest

from benchmarks.box_evaluation import FROZEN, MIDDLE, RESULT, TRUTH, evaluate_boxes
from benchmarks.elysium_track.reader import open_elysium_track
from benchmarks.lasot.reader import open_lasot
from benchmarks.metrics.boxes import from_corners
from benchmarks.metrics.success import AS_PREDICTED, LASOT, OTB
from benchmarks.submissions.box_text import write_results
from core.errors import InputError
from tests.real_data import real_data

PLANES = ("airplane-1", "airplane-2")


def silent(done, total):
    """No bar."""


@pytest.fixture
def planes(tmp_path):
    """The two real sequences in the toolkit's layout, never absent."""
    (tmp_path / "annos" / "absent").mkdir(parents=True)
    for name in PLANES:
        shutil.copy(real_data(f"mmtracking_sot/{name}/groundtruth.txt"), tmp_path / "annos" / f"{name}.txt")
        (tmp_path / "annos" / "absent" / f"{name}.txt").write_text("0\n" * 25)
    return open_lasot(tmp_path, "all")


def real_results(folder, names=PLANES):
    paths = ((name, real_data(f"mmtracking_sot/{name}/track_results.txt")) for name in names)
    write_results(folder, ((name, from_corners(np.loadtxt(path, delimiter=","))) for name, path in paths))
    return folder


@pytest.mark.parametrize(("rules", "first"), [(AS_PREDICTED, "mmtracking"), (OTB, "pytracking"), (LASOT, "pytracking")])
def test_official_figures_of_real_results_from_files_to_the_last_digit(planes, tmp_path, rules, first):
    expected = json.loads(real_data("expected.json").read_text())[
        "lasot_mmtracking_sample(airplane-1,2; 25 frames each)"
    ]
    (record,) = (figures for name, figures in expected.items() if name.startswith(first))
    found = evaluate_boxes(planes, real_results(tmp_path / "out"), rules, silent)
    result = found.figures[RESULT]
    percent = (100 * result.auc, 100 * result.precision, 100 * result.normalised_precision)
    assert percent == pytest.approx((record["AUC"], record["P@20"], record["NP@0.2"]), abs=5e-4)
    assert found.failures == ()
    assert found.figures[TRUTH].auc == pytest.approx(20 / 21)
    assert found.figures[FROZEN].auc < 1
    assert MIDDLE not in found.figures  # LaSOT's files do not say how large a picture is


def test_missing_and_broken_results_score_0_and_are_named(planes, tmp_path):
    folder = real_results(tmp_path / "out", PLANES[:1])
    whole = evaluate_boxes(planes, real_results(tmp_path / "whole"), OTB, silent).figures[RESULT]
    missing = evaluate_boxes(planes, folder, OTB, silent)
    assert (missing.figures[RESULT].n, missing.figures[RESULT].failures) == (2, 1)
    assert missing.failures[0].startswith("sequence 'airplane-2': ")
    assert missing.figures[RESULT].auc < whole.auc
    (folder / "airplane-2.txt").write_text("1,2,3,4\n")
    short = evaluate_boxes(planes, folder, OTB, silent)
    assert "expected 25 boxes, one a frame, got 1" in short.failures[0]
    with pytest.raises(InputError, match="expected a folder of results"):
        evaluate_boxes(planes, tmp_path / "none", OTB, silent)


def test_where_sizes_are_known_the_middle_of_the_picture_is_a_baseline(tmp_path):
    line = {"id": "x", "vid": "v", "frames": ["v/0.jpg", "v/1.jpg"], "frame_size": [40, 20], "object_class": "dog"}
    line["box"] = [[0.25, 0.25, 0.75, 0.75], [0.0, 0.0, 0.1, 0.1]]
    (tmp_path / "rsot.jsonl").write_text(json.dumps(line))
    write_results(tmp_path / "out", [("x", np.array([[10.0, 5, 20, 10]] * 2))])
    found = evaluate_boxes(open_elysium_track(tmp_path / "rsot.jsonl"), tmp_path / "out", OTB, silent)
    assert list(found.figures) == [RESULT, FROZEN, MIDDLE, TRUTH]
    assert found.figures[MIDDLE] == found.figures[RESULT] == found.figures[FROZEN]
    assert found.figures[RESULT].auc == pytest.approx(10 / 21)
