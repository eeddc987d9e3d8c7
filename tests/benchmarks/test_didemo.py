"""DiDeMo: read whole, ranked by hand and to the published upper bound, or refused with file and place."""

import json
from collections import Counter

import pytest

from benchmarks.didemo.reader import open_didemo
from benchmarks.metrics.chunk_ranking import RUNS, ChunkTotals, run_iou, score_ranking
from core.errors import AnnotationError, InputError
from tests.real_data import real_data


@pytest.mark.parametrize(("split", "n"), [("val", 4180), ("test", 4021)])
def test_the_upper_bound_of_real_annotations_is_the_published_one(split, n):
    reader = open_didemo(real_data(f"didemo/{split}_data.json"))
    totals = ChunkTotals()
    for query in reader.chunk_queries():
        best = max(RUNS, key=lambda run, runs=query.runs: sum(sorted(run_iou(run, t) for t in runs)[-3:]))
        by_votes = [run for run, _ in Counter(query.runs).most_common()]
        ranked = [best, *(r for r in by_votes if r != best), *(r for r in RUNS if r != best and r not in by_votes)]
        totals.update(score_ranking(ranked, query.runs))
    figures = totals.compute()
    assert (figures.n, figures.failures, figures.recall_5) == (n, 0, 1.0)
    if split == "test":  # Hendricks et al., table 2: 74.75, 100, 96.05
        assert 100 * figures.recall_1 == pytest.approx(74.75, abs=0.01)
        assert round(100 * figures.miou, 2) == 96.05


def test_the_window_is_the_run_most_annotators_chose():
    queries = list(open_didemo(real_data("didemo/test_data.json")).queries())
    assert (queries[0].id, queries[0].windows.tolist()) == ("1", [[20.0, 25.0]])  # four of seven said chunk 4


@pytest.mark.parametrize(
    ("first", "second", "iou"),
    [((0, 0), (0, 0), 1), ((0, 1), (1, 2), 1 / 3), ((0, 0), (1, 1), 0), ((0, 5), (2, 3), 1 / 3)],
)
def test_runs_include_both_ends(first, second, iou):
    assert run_iou(first, second) == pytest.approx(iou)


def test_the_best_three_annotators_count():
    score = score_ranking([(0, 0), (1, 1)], [(0, 0), (0, 0), (0, 0), (5, 5)])
    assert (score.rank, score.iou) == (1, 1)
    assert score_ranking([(0, 0), (1, 1)], [(0, 0), (0, 0), (1, 1), (1, 1)]).rank == pytest.approx(4 / 3)


def test_an_annotation_that_is_not_ranked_or_no_answer_never_counts_as_found():
    totals = ChunkTotals()
    totals.update(score_ranking([(0, 0)], [(0, 0), (0, 0), (1, 1)]))
    other = ChunkTotals()
    other.update(score_ranking([], [(0, 0)] * 3))
    totals.merge(other)
    figures = totals.compute()
    assert (figures.recall_1, figures.recall_5, figures.failures) == (0, 0, 1)
    assert figures.miou == pytest.approx(1 / 3)


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(InputError, match="expected at least 3 annotations, got 2"):
        score_ranking([(0, 0)], [(0, 0)] * 2)
    with pytest.raises(InputError, match="expected each run once"):
        score_ranking([(0, 0), (0, 0)], [(0, 0)] * 3)
    with pytest.raises(InputError, match=r"expected runs 0 <= first <= last, got 2\.\.1"):
        score_ranking([(2, 1)], [(0, 0)] * 3)
    with pytest.raises(InputError, match="expected at least one query"):
        ChunkTotals().compute()


def entry(**values):
    return {"annotation_id": 1, "video": "a.mov", "description": "x", "num_segments": 6, "times": [[0, 1]]} | values


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, r"expected an array, got \{\}"),
        ([1], r"entry 0: \(whole entry\): Input should be a valid dictionary"),
        ([entry(), entry()], "entry 1: annotation_id: expected each id once, got '1' again"),
        ([entry(times=[])], "entry 0: times: List should have at least 1 item"),
        ([entry(times=[[0, 1, 2]])], r"entry 0: times\.0: List should have at most 2 items"),
        ([entry(times=[[2, 1]])], r"entry 0: times\.0: expected first <= last below 6 chunks, got 2\.\.1"),
        ([entry(times=[[0, 6]])], r"entry 0: times\.0: expected first <= last below 6 chunks, got 0\.\.6"),
        ([entry(times=[[-1, 0]])], r"entry 0: times\.0\.0: Input should be greater than or equal to 0"),
        ([entry(times=[[0.5, 1]])], r"entry 0: times\.0\.0: Input should be a valid integer"),
        ([entry(description="")], "entry 0: description: String should have at least 1 character"),
        ([entry(num_segments=True)], "entry 0: num_segments: Input should be a valid integer"),
    ],
)
def test_malformed_annotations_name_file_and_place(tmp_path, content, message):
    path = tmp_path / "val_data.json"
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match=rf"val_data\.json: {message}"):
        list(open_didemo(path).queries())
