"""Answers: exact words, named options and a judge's verdict, with what cannot be read counted as wrong."""

import pytest

from benchmarks.metrics.question_answers import (
    AnswerScore,
    AnswerTotals,
    choice_match,
    exact_match,
    judged,
    read_choice,
    read_verdict,
)
from core.errors import InputError

OPTIONS = ("run", "jump rope", "A", "sit down")


@pytest.mark.parametrize(
    ("answer", "truth", "right"),
    [
        ("Two dogs.", "two dogs", True),
        (" two   DOGS ", "two dogs", True),
        ("the dog", "dog", False),
        ("", "dog", False),
        ("dogs", "dog", False),
    ],
)
def test_exact_match_is_of_words(answer, truth, right):
    score = exact_match(answer, truth)
    assert (score.right, score.failed) == (right, not answer)


@pytest.mark.parametrize(
    ("answer", "option"),
    [
        ("B", 1),
        ("b", 1),
        ("(B) jump rope", 1),
        ("B. something else", 1),
        ("Answer: D", 3),
        ("The answer is (D).", 3),
        ("jump rope", 1),
        ("Sit down.", 3),
        ("A", 2),  # the text of the third option, not the letter of the first
        ("E", None),
        ("A man sits", None),
        ("because", None),
        ("", None),
    ],
)
def test_a_choice_is_read_by_letter_or_text(answer, option):
    assert read_choice(answer, OPTIONS) == option


def test_an_answer_that_names_no_option_is_a_failure():
    assert choice_match("maybe", OPTIONS, 0) == AnswerScore(False, failed=True)
    assert choice_match("(a)", ("run", "walk"), 0, "action") == AnswerScore(True, kind="action")
    with pytest.raises(InputError, match="expected 2 to 26 options"):
        choice_match("a", ("run",), 0)
    with pytest.raises(InputError, match="a truth among them"):
        choice_match("a", ("run", "walk"), 2)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("{'pred': 'yes', 'score': 4}", AnswerScore(True, 0.8)),
        ('Sure: {"pred": "No", "score": "2.5"} as asked', AnswerScore(False, 0.5)),
        ("{'pred': 'yes'}", AnswerScore(False, 0.0, failed=True)),
        ("{'score': 4}", AnswerScore(False, 0.0, failed=True)),
        ("{'pred': 'yes', 'score': 5.5}", AnswerScore(False, 0.0, failed=True)),
        ("{'pred': 'yes', 'score': 45}", AnswerScore(False, 0.0, failed=True)),
        ("{'pred': 'yesterday', 'score': 4}", AnswerScore(False, 0.0, failed=True)),
        ("", AnswerScore(False, 0.0, failed=True)),
    ],
)
def test_a_verdict_that_cannot_be_read_is_wrong_and_counted(text, score):
    assert read_verdict(text) == score


def test_a_blank_answer_is_not_sent_to_the_judge():
    class Judge:
        def judge(self, question, truth, answer):
            return f"{{'pred': '{'yes' if truth in answer else 'no'}', 'score': 5}}"

    assert judged("q", "dog", "a dog", Judge()) == AnswerScore(True, 1.0)
    assert judged("q", "dog", " ", Judge()).failed


def test_figures_by_kind_and_merged():
    totals, other = AnswerTotals(), AnswerTotals()
    totals.update(exact_match("dog", "dog", "what"), exact_match("", "two", "how many"))
    other.update(exact_match("cat", "dog", "what"))
    totals.merge(other)
    figures = totals.compute()
    assert (figures.accuracy, figures.score, figures.n, figures.failures) == (pytest.approx(1 / 3), None, 3, 1)
    assert {kind: part.accuracy for kind, part in totals.by_kind().items()} == {"how many": 0.0, "what": 0.5}
    totals.update(AnswerScore(True, 1.0))
    with pytest.raises(InputError, match="expected a judge's score for all 4 questions or none, got 1"):
        totals.compute()
    with pytest.raises(InputError, match="expected at least one question"):
        AnswerTotals().compute()
