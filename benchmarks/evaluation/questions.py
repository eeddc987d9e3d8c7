"""Predicted answers of a split: to video questions, and timed ones (MAGQA).

Knows readers of questions and their metrics. Does not know who answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from benchmarks.evaluation.report import RESULT, TRUTH, Choices, Figures, Report, plain
from benchmarks.judges import SharedWords, read_ratings
from benchmarks.magqa.reader import TimelyQuestion, read_replies, score_split
from benchmarks.metrics.question_answers import AnswerScore, AnswerTotals, choice_match, exact_match, read_verdict
from benchmarks.metrics.timely_answers import HIGHEST, LOWEST, Reply, TimelyFigures
from benchmarks.video_qa.predictions import read_answers
from benchmarks.video_qa.reader import VideoQuestion
from core.errors import InputError
from core.reporting import Progress

MAJORITY: Final = "the commonest answer"
JUDGED: Final = "as a judge says"
FIRST_OPTION: Final = "the first option"
SILENCE: Final = "silence"


class QuestionReader(Protocol):
    """A split of questions with one short answer each."""

    def questions(self) -> Iterator[VideoQuestion]:
        """All questions in file order."""


class TimelyReader(Protocol):
    """A split of questions with several timed answers each."""

    def questions(self) -> Iterator[TimelyQuestion]:
        """All questions in file order."""


def evaluate_answers(reader: QuestionReader, predictions: Path, choices: Choices, progress: Progress) -> Report:
    """Accuracy: exact words for open questions, the option named where there is a choice; by kind as parts.

    With `choices.ratings`, a language model's verdicts ({"pred": "yes", "score": 4}) by question id in the forms of
    answers, the row JUDGED stands beside the result's; an answer without a readable verdict is wrong there.

    Raises:
        InputError: for unreadable predictions, one of no question, or a split without questions.
        AnnotationError: where the split's own files are malformed.
    """
    questions, said = list(reader.questions()), read_answers(predictions)
    _known(said, questions, "answers")
    (common, _), *_ = Counter(q.answer for q in questions).most_common(1)
    answers: dict[str, Mapping[str, str]] = {RESULT: said}
    if choices.baselines:
        answers |= {MAJORITY: {q.id: common for q in questions}, TRUTH: {q.id: q.answer for q in questions}}
        if any(q.options for q in questions):
            answers[FIRST_OPTION] = {q.id: q.options[0] if q.options else "" for q in questions}
    totals = {name: AnswerTotals() for name in answers}
    for done, question in enumerate(questions, start=1):
        for name, given in answers.items():
            totals[name].update(_score(question, given.get(question.id, "")))
        progress(done, len(questions))
    if choices.ratings is not None:
        verdicts = read_answers(choices.ratings)
        _known(verdicts, questions, "verdicts")
        totals[JUDGED] = AnswerTotals([read_verdict(verdicts.get(q.id, ""), q.kind) for q in questions])
    rows: dict[str, Figures] = {name: plain(t.compute(), "accuracy", "n", "failures") for name, t in totals.items()}
    parts = {k: plain(f, "accuracy", "n", "failures") for k, f in totals[RESULT].by_kind().items() if k}
    failures = (_failure(q, said.get(q.id, "")) for q in questions)
    return Report(rows, tuple(text for text in failures if text), parts, {"judge": "exact words, or the option named"})


def evaluate_timely(reader: TimelyReader, predictions: Path, choices: Choices, progress: Progress) -> Report:
    """MAGQA's in-span score and PAUC, both in 0..1; a question without replies scores the least and is named.

    Raises:
        InputError: for unreadable replies, some to no question, or a pair of texts that the ratings do not hold.
        AnnotationError: where the split's own file is malformed.
    """
    questions, replies = list(reader.questions()), read_replies(predictions)
    judge = SharedWords() if choices.ratings is None else read_ratings(choices.ratings)
    rows: dict[str, Figures] = {RESULT: _timely(score_split(questions, replies, judge))}
    if choices.baselines:
        # The truth against itself needs no judge's opinion, and a file of ratings does not hold it.
        rows[SILENCE] = _timely(score_split(questions, {}, judge))
        rows[TRUTH] = _timely(score_split(questions, {q.id: _gold(q) for q in questions}, _Same()))
    progress(len(questions), len(questions))
    failures = tuple(f"question {q.id!r}: expected a reply, got none" for q in questions if not replies.get(q.id))
    return Report(rows, failures, rules={"judge": judge.name})


class _Same:
    """The same words are right, others wrong."""

    def rate(self, question: str, truth: str, reply: str) -> int:
        return HIGHEST if truth == reply else LOWEST


def _known(said: Mapping[str, str], questions: Sequence[VideoQuestion], name: str) -> None:
    """Refuse what is said of no question of the split, and a split without questions."""
    strangers = said.keys() - {q.id for q in questions}
    if strangers or not questions:
        got = f"one of {min(strangers)!r}" if strangers else "a split without any"
        raise InputError(f"{name}: expected questions of the split, got {got}")


def _failure(question: VideoQuestion, answer: str) -> str:
    """Why an answer is none, "" where it is one: the same ones that the score counts as failures."""
    if not _score(question, answer).failed:
        return ""
    wanted = f"one of {len(question.options)} options" if question.options and answer.strip() else "an answer"
    return f"question {question.id!r}: expected {wanted}, got {repr(answer[:60]) if answer.strip() else 'none'}"


def _score(question: VideoQuestion, answer: str) -> AnswerScore:
    if question.options:
        return choice_match(answer, question.options, question.options.index(question.answer), question.kind)
    return exact_match(answer, question.answer, question.kind)


def _timely(figures: TimelyFigures) -> Figures:
    """In-span as a share: 1 of the judge's scale is 0, and 5 is 1."""
    share = (figures.in_span - LOWEST) / (HIGHEST - LOWEST)
    return {"in_span": share} | plain(figures, "pauc", "duplicates", "turns", "distinct_turns", "n", "failures")


def _gold(question: TimelyQuestion) -> tuple[Reply, ...]:
    return tuple(Reply(answer.text, answer.start) for answer in question.answers)
