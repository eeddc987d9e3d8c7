"""Judges without a model: shared words by hand, ratings from a file, and no guess where one is missing."""

import json
from functools import partial

import pytest

from benchmarks.evaluation.questions import JUDGED
from benchmarks.evaluation.report import RESULT, Choices
from benchmarks.judges import SHARED_WORDS, SharedWords, read_ratings
from benchmarks.registry import dataset
from core.errors import AnnotationError, InputError
from tests.benchmarks.tiny_datasets import magqa, msvd_qa

RATED = {"question": "What is shown?", "truth": "a dog", "reply": "a dog", "rating": 4}


def ratings(tmp_path, *rows):
    path = tmp_path / "ratings.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("truth", "reply", "rating"), [("a dog", "A dog", 5), ("a dog", "a cat", 3), ("dog", "cat", 1), ("dog", "", 1)]
)
def test_shared_words(truth, reply, rating):
    assert SharedWords().rate("", truth, reply) == rating


def test_a_files_ratings_are_used_and_named(tmp_path):
    tiny = magqa(tmp_path)
    second = {**RATED, "truth": "a black cat", "reply": "a black cat", "rating": 2}
    choices = Choices(ratings=ratings(tmp_path, RATED, second))
    report = dataset("magqa").evaluate(tiny.data, None, tiny.predictions, choices, lambda done, total: None)
    assert report.rows[RESULT]["in_span"] == pytest.approx(((4 + 2) / 2 - 1) / 4)
    assert report.rules == {"judge": "ratings.jsonl"}
    plain = dataset("magqa").evaluate(tiny.data, None, tiny.predictions, Choices(), lambda done, total: None)
    assert plain.rules == {"judge": SHARED_WORDS}


def test_a_pair_that_nobody_rated_is_an_error(tmp_path):
    judge = read_ratings(ratings(tmp_path, RATED))
    assert judge.rate("What is shown?", "a dog", "a dog") == 4
    with pytest.raises(InputError, match="expected a rating of the reply 'a cat' to 'a dog', found none"):
        judge.rate("What is shown?", "a dog", "a cat")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([RATED, RATED], "line 2: expected each id once"),
        ([{**RATED, "rating": 6}], "rating: Input should be less than or equal to 5"),
        ([{**RATED, "rating": 4.5}], "rating: Input should be a valid integer"),
        ([{"truth": "a"}], "question: Field required"),
    ],
)
def test_malformed_ratings_are_named_by_line(tmp_path, rows, message):
    with pytest.raises(AnnotationError, match=message):
        read_ratings(ratings(tmp_path, *rows))


def test_verdicts_on_short_answers_stand_beside_exact_words(tmp_path):
    tiny = msvd_qa(tmp_path)
    tiny.predictions.write_text(json.dumps({"0": "a kitten", "1": "man", "2": "dog"}))
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({"0": "{'pred': 'yes', 'score': 4}", "1": "Yes.", "2": '{"pred": "no", "score": 1}'}))
    score = partial(dataset("msvd_qa").evaluate, tiny.data, None, tiny.predictions, progress=lambda done, total: None)
    rows = score(choices=Choices(ratings=path)).rows
    assert rows[RESULT]["accuracy"] == pytest.approx(1 / 3)
    assert rows[JUDGED] == {"accuracy": pytest.approx(1 / 3), "n": 3, "failures": 1}  # "Yes." is no verdict
    path.write_text(json.dumps({"9": "{'pred': 'yes', 'score': 4}"}))
    with pytest.raises(InputError, match="verdicts: expected questions of the split, got one of '9'"):
        score(choices=Choices(ratings=path))
