"""MAGQA: questions and replies read exactly, scored by a judge, or refused with file and place."""

import json

import pytest

from benchmarks.magqa.reader import read_questions, read_replies, score_split
from benchmarks.metrics.timely_answers import GoldAnswer, Reply
from core.errors import AnnotationError, InputError


def example(**values):
    turns = [{"role": "user", "content": "What is shown?", "time": 2}]
    answers = [{"content": "a dog", "time": [0, 4]}, {"content": "a cat", "time": [6, 9.5]}]
    return {"question_id": 3, "video": "a.mp4", "conversation": turns, "answer": answers} | values


def reply(*turns, question_id=3):
    listed = [{"role": role, "content": text, "time": time} for role, text, time in turns]
    return {"question_id": question_id, "model_response_list": listed, "video_duration": 10.0}


def write(tmp_path, content, name="magqa.json"):
    path = tmp_path / name
    rows = content if isinstance(content, str) else json.dumps(content)
    path.write_text(rows if name.endswith("json") else "\n".join(json.dumps(row) for row in content))
    return path


class SameText:
    def rate(self, question, truth, reply):
        return 5 if truth == reply else 2


def test_questions_and_replies_are_read(tmp_path):
    (question,) = read_questions(write(tmp_path, [example()]))
    assert (question.id, question.video_id, question.question, question.asked) == ("3", "a.mp4", "What is shown?", 2)
    assert question.answers == (GoldAnswer("a dog", 0, 4), GoldAnswer("a cat", 6, 9.5))
    rows = [reply(("user", "What?", 0), ("assistant", "a dog", 3.5)), reply(("assistant", "all", -1), question_id="4")]
    assert read_replies(write(tmp_path, rows, "replies.jsonl")) == {
        "3": (Reply("a dog", 3.5),),
        "4": (Reply("all", None),),
    }


def test_a_split_is_scored_with_failures_at_the_least(tmp_path):
    questions = list(read_questions(write(tmp_path, [example(), example(question_id=4)])))
    figures = score_split(questions, {"3": (Reply("a dog", 1.0), Reply("a cat", 7.0))}, SameText())
    assert (figures.in_span, figures.n, figures.failures) == ((5 + 1) / 2, 2, 1)
    with pytest.raises(InputError, match="expected questions of the split, got one of '9'"):
        score_split(questions, {"9": ()}, SameText())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, r"expected an array, got \{\}"),
        ([example(), example()], "entry 1: question_id: expected each id once"),
        ([example(conversation=[])], "entry 0: conversation: List should have at least 1 item"),
        (
            [example(conversation=[{"role": "system", "content": "x"}])],
            "entry 0: conversation: expected a turn of the us",
        ),
        ([example(answer=[{"content": "a", "time": [4, 0]}])], r"entry 0: answer\.0\.time: expected start <= end"),
        ([example(answer=[{"content": "a", "time": [4]}])], r"entry 0: answer\.0\.time: List should have at least 2"),
        ([example(answer=[{"content": "", "time": [0, 4]}])], r"entry 0: answer\.0\.content: String should have"),
    ],
)
def test_malformed_questions_name_file_and_place(tmp_path, content, message):
    with pytest.raises(AnnotationError, match=rf"magqa\.json: {message}"):
        list(read_questions(write(tmp_path, content)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (reply(), "line 2: question_id: expected each id once"),
        (
            reply(("assistant", "a", -2), question_id=4),
            r"line 2: model_response_list\.0\.time: Input should be greater",
        ),
        (
            reply(("assistant", "a", -0.5), question_id=4),
            r"line 2: model_response_list\.0\.time: .*expected a time from 0",
        ),
        ({"question_id": 4}, "line 2: model_response_list: Field required"),
    ],
)
def test_malformed_replies_name_file_and_line(tmp_path, row, message):
    with pytest.raises(AnnotationError, match=rf"replies\.jsonl: {message}"):
        read_replies(write(tmp_path, [reply(), row], "replies.jsonl"))
