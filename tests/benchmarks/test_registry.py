"""Every dataset of the catalog: scored from its truth to the top and from nothing to the bottom, checked when whole."""

import json
import shutil

import pytest

from benchmarks.catalog import CATALOG, names
from benchmarks.evaluation.report import RESULT, TRUTH, Choices
from benchmarks.registry import DATASETS, dataset
from core.errors import InputError
from tests.benchmarks.tiny_datasets import MAKERS

SCORED = [name for name, found in DATASETS.items() if found.evaluator is not None]
MAIN = {
    "masks": ("jf", "tube_viou"), "boxes": ("auc",), "moments": ("r1_70", "map"), "captions": ("f1_by_video", "cider"),
    "descriptions": ("cider",), "questions": ("accuracy",), "timed answers": ("in_span", "pauc"), "summaries": ("f1",),
}  # fmt: skip
OTHER = {"ref_davis": ("a_jf", "b_jf"), "got10k": ("ao", "sr_75"), "didemo": ("recall_1", "miou")}
COUNTS = {"n", "failures", "sequences", "turns", "distinct_turns", "captions_per_video"}


def silent(done, total):
    """No bar."""


def score(name, tiny, predictions=None, **choices):
    return DATASETS[name].evaluate(tiny.data, tiny.split, predictions or tiny.predictions, Choices(**choices), silent)


def main(name):
    return OTHER.get(name, MAIN[CATALOG[name].kind.value])


def test_the_catalog_the_code_and_the_tiny_datasets_have_the_same_names():
    assert list(CATALOG) == list(DATASETS) == list(MAKERS)
    assert names().split(", ") == list(CATALOG)
    with pytest.raises(InputError, match=r"dataset: expected one of mevis, .*, got 'imagenet'"):
        dataset("imagenet")


@pytest.mark.parametrize("name", SCORED)
def test_predictions_that_equal_the_truth_score_as_the_truth_and_above_every_baseline(name, tmp_path):
    report = score(name, MAKERS[name](tmp_path))
    assert report.failures == ()
    assert next(iter(report.rows)) == RESULT
    assert TRUTH in report.rows
    for figure in main(name):
        values = {row: figures[figure] for row, figures in report.rows.items()}
        assert values[RESULT] == pytest.approx(values[TRUTH]), figure
        assert all(values[RESULT] >= v for v in values.values()), values
        assert min(values.values()) < values[RESULT], values
    assert len({tuple(figures) for figures in report.rows.values()}) == 1
    assert report.rows[RESULT]["n"] > 0


@pytest.mark.parametrize("name", SCORED)
def test_all_shares_lie_in_0_to_1(name, tmp_path):
    report = score(name, MAKERS[name](tmp_path))
    for figures in (*report.rows.values(), *report.parts.values()):
        assert all(0 <= v <= 1 for k, v in figures.items() if k not in COUNTS and v is not None), figures
    assert json.loads(json.dumps(report.flat()))["n"] == report.rows[RESULT]["n"]


@pytest.mark.parametrize("name", SCORED)
def test_no_predictions_are_failures_at_the_bottom_and_every_one_is_named(name, tmp_path):
    tiny = MAKERS[name](tmp_path)
    if tiny.predictions.is_dir():
        empty = tmp_path / "none"
        empty.mkdir()
    else:
        empty = tmp_path / f"none{tiny.predictions.suffix}"
        whole = {"version": "", "results": {}, "external_data": {"used": False}}
        empty.write_text("" if empty.suffix == ".jsonl" else json.dumps(whole if "activitynet_cap" in name else {}))
    report = score(name, tiny, empty, baselines=False)
    assert list(report.rows) == [RESULT]
    result = report.rows[RESULT]
    assert {result[figure] for figure in main(name) if figure != "pauc"} == {0}  # silence earns a little PAUC
    assert result["failures"] == len(report.failures) == result.get("sequences", result["n"])


def test_an_answer_that_names_no_option_is_counted_and_named_as_a_failure(tmp_path):
    tiny = MAKERS["tgif_qa"](tmp_path)
    tiny.predictions.write_text(json.dumps({"0": "a horse", "1": " "}))
    report = score("tgif_qa", tiny)
    assert report.failures == (
        "question '0': expected one of 5 options, got 'a horse'",
        "question '1': expected an answer, got none",
    )
    assert (report.rows[RESULT]["failures"], report.rows[RESULT]["accuracy"]) == (2, 0)


@pytest.mark.parametrize("name", DATASETS)
def test_a_whole_dataset_passes_its_check_with_counts(name, tmp_path):
    tiny = MAKERS[name](tmp_path)
    found = DATASETS[name].check(tiny.data, tiny.split, None, silent, thorough=True)
    assert (found.good, sum(found.counts.values()) > 0) == (True, True), found.sentences


@pytest.mark.parametrize("name", DATASETS)
def test_what_is_not_there_is_refused_by_place(name, tmp_path):
    (tmp_path / "in").mkdir()
    tiny = MAKERS[name](tmp_path / "in")
    found = DATASETS[name]
    with pytest.raises(InputError, match=r"gone: expected .*, found nothing there"):
        found.open(tmp_path / "gone")
    assert tiny.data.is_dir()
    shutil.rmtree(tmp_path / "in")
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match=r"in\b.*: expected"):
        found.open(tmp_path / "in")


@pytest.mark.parametrize("name", ["vtg_it", "mmduet_narration", "mmduet_dialogue"])
def test_instructions_have_no_score(name, tmp_path):
    with pytest.raises(InputError, match="expected one that is scored, got instructions"):
        score(name, MAKERS[name](tmp_path))
