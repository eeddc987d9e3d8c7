"""TimeLens: both of its forms read, results written as its evaluator takes them, or refused with file and key."""

import json

import numpy as np
import pytest

from benchmarks.moment_protocol import MomentQuery
from benchmarks.moment_scores import MomentPrediction
from benchmarks.timelens.reader import open_timelens
from benchmarks.timelens.submission import check_results, read_results, write_results
from core.errors import AnnotationError, InputError

BENCH = {"3MSZA": {"duration": 30.96, "spans": [[24.3, 30.4], [0, 2]], "queries": ["Person turns  a light on.", "b"]}}
TRAIN = {"video_path": "didemo/a.mp4", "duration": 30, "events": [{"query": "a dog.", "span": [[0, 5], [8, 9]]}]}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_benchmark_form_is_read(tmp_path):
    reader = open_timelens(write(tmp_path / "charades-timelens.json", BENCH))
    first, second = reader.queries()
    assert (reader.name, reader.split) == ("timelens", "charades-timelens")
    assert (first.id, first.video_id, first.text, first.duration) == (
        "3MSZA_0",
        "3MSZA",
        "Person turns a light on",
        30.96,
    )
    assert (second.id, second.windows.tolist()) == ("3MSZA_1", [[0, 2]])


def test_the_training_form_is_read_a_line_at_a_time(tmp_path):
    path = write(tmp_path / "timelens-100k.jsonl", json.dumps(TRAIN) + "\n\n" + json.dumps(TRAIN) + "\n")
    first, second = open_timelens(path).queries()
    assert (first.id, first.text, first.windows.tolist()) == ("didemo/a_0", "a dog", [[0, 5], [8, 9]])
    assert second.id == "didemo/a_1"


def test_results_are_named_by_video_query_and_true_span(tmp_path):
    queries = list(open_timelens(write(tmp_path / "a.json", BENCH)).queries())
    said = {"3MSZA_0": MomentPrediction("3MSZA_0", np.array([[24.0, 30.0]]))}
    path = tmp_path / "out.json"
    assert write_results(path, queries, said, {"3MSZA_0": "24 - 30 seconds"}) == 2
    assert json.loads(path.read_text()) == {
        "3MSZA.mp4>>>Person turns a light on>>>[24.3, 30.4]": {
            "timestamps": [[24.0, 30.0]],
            "answers": "24 - 30 seconds",
        },
        "3MSZA.mp4>>>b>>>[0.0, 2.0]": {"timestamps": [], "answers": ""},
    }
    back = read_results(path, queries)
    assert {i: p.windows.tolist() for i, p in back.items()} == {"3MSZA_0": [[24, 30]], "3MSZA_1": []}
    check = check_results(path, queries)
    assert (check.good, check.remark_count) == (True, 1)
    with pytest.raises(InputError, match="expected each query once"):
        write_results(tmp_path / "twice.json", [*queries, *queries], {})
    assert not (tmp_path / "twice.json").exists()


def test_results_that_an_evaluator_would_leave_out_are_problems(tmp_path):
    queries = list(open_timelens(write(tmp_path / "a.json", BENCH)).queries())
    path = write(tmp_path / "out.json", {"x.mp4>>>b>>>[0, 1]": {"answers": "0 - 1"}})
    check = check_results(path, queries)
    assert check.problem_count == 3
    assert "expected a query of the split, got one that is not in it" in check.problems[2]
    hidden = MomentQuery("1", "v", "a", 9.0, None)
    with pytest.raises(InputError, match="expected its true window, which the format names"):
        write_results(path, [hidden], {})
    with pytest.raises(InputError, match="expected queries of the split, got one of 'y'"):
        write_results(path, queries, {"y": MomentPrediction("y")})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"v": {"duration": 0, "spans": [], "queries": []}}, r"v: duration: Input should be greater than 0"),
        ({"v": {"duration": 9, "spans": [[1, 2]], "queries": []}}, "v: expected one span a query, got 1 for 0 queries"),
        (
            {"v": {"duration": 9, "spans": [[2, 1]], "queries": ["a"]}},
            r"v: 0: expected start < end in seconds, got 2\.0\.\.1",
        ),
        ({"v": {"duration": 9, "spans": [[1, 2]], "queries": ["..."]}}, r"v: 0: expected a query, got '\.\.\.'"),
        (
            {"v": {"duration": 9, "spans": [[1, None]], "queries": ["a"]}},
            r"v: spans\.0\.1: Input should be a valid number",
        ),
        ({"v": {"duration": 9, "queries": ["a"]}}, "v: spans: Field required"),
        (
            {"v": {"duration": 1e300, "spans": [], "queries": []}},
            "v: duration: Input should be less than or equal to 1000000",
        ),
        ('{"v": 1, "v": 2}', "expected each key of an object once, got 'v' twice"),
        ('{"v": {"duration": NaN}}', "expected finite numbers, got NaN"),
        ("[" * 100_000, "expected JSON of a few levels, got too many levels"),
        ("1" * 5000, "expected JSON, got"),
        ("", "expected JSON, got Expecting value"),
    ],
)
def test_malformed_files_name_file_and_key(tmp_path, content, message):
    path = write(tmp_path / "a.json", content)
    with pytest.raises(AnnotationError, match=rf"a\.json: {message}"):
        list(open_timelens(path).queries())


def test_malformed_lines_name_the_line(tmp_path):
    path = write(tmp_path / "a.jsonl", json.dumps(TRAIN) + '\n{"video_path": "b.mp4"}\n')
    with pytest.raises(AnnotationError, match=r"a\.jsonl: line 2: duration: Field required"):
        list(open_timelens(path).queries())
    with pytest.raises(AnnotationError, match="found no such file"):
        open_timelens(tmp_path / "b.jsonl")
