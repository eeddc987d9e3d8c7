"""QVHighlights' published figures of its sample predictions, and those of another model, come out to the last digit."""

import json

import pytest

from benchmarks.moment_scores import score_split
from benchmarks.qvhighlights.reader import open_qvhighlights
from benchmarks.qvhighlights.report import official_report
from benchmarks.qvhighlights.submission import check_submission, read_predictions
from tests.real_data import real_data


@pytest.fixture(scope="module")
def queries():
    return list(open_qvhighlights(real_data("qvhighlights/highlight_val_release.jsonl")).queries())


def test_the_sample_predictions_reproduce_every_field_of_the_published_file(queries):
    predictions = read_predictions(real_data("qvhighlights/sample_val_preds.jsonl"))
    figures = score_split(queries, predictions)
    published = json.loads(real_data("qvhighlights/sample_val_preds_metrics_raw.json").read_text())
    assert official_report(figures) == published
    assert {name: part.n for name, part in figures.moments.items()} == {
        "full": 1550,
        "short": 429,
        "middle": 957,
        "long": 574,
    }
    check = check_submission(real_data("qvhighlights/sample_val_preds.jsonl"), queries)
    assert check.problems == ()
    assert "qid 7527: expected windows in 0..128 seconds, got one beyond" in check.remarks


def test_highlights_of_a_model_that_answered_1463_of_1550_queries(queries):
    predictions = read_predictions(real_data("qvhighlights/vtgllm_vhd_example_pred.json"))
    report = official_report(score_split(queries, predictions, only_answered=True))["brief"]
    expected = json.loads(real_data("expected.json").read_text())["vtgllm_vhd_example"]
    assert {name.removeprefix("HL-min-"): value for name, value in report.items()} == expected
    all_counted = score_split(queries, predictions)
    assert all_counted.highlights["VeryGood"].n == 1550
    assert all_counted.highlights["VeryGood"].failures == 87
    assert all_counted.highlights["VeryGood"].hit1 == pytest.approx(0.1887 * 1463 / 1550, abs=1e-4)
