"""Video questions: each of their three forms read, or refused with file and place."""

import json

import pytest

from benchmarks.video_qa.reader import VideoQuestion, read_one_file, read_table, read_two_files
from core.errors import AnnotationError

HEAD = "gif_name\tquestion\tanswer\tvid_id"
CHOICE = "gif_name\tquestion\ta1\ta2\ta3\ta4\ta5\tanswer"


def write(tmp_path, content, name="qa.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def whole(**values):
    return {"id": 7, "video_id": 1301, "question": "Who cuts a tomato?", "answer": "someone"} | values


def test_one_file(tmp_path):
    rows = [whole(), {"id": 8, "video": "v8", "question": "what", "answer": "dog", "category_id": 3}]
    assert list(read_one_file(write(tmp_path, rows))) == [
        VideoQuestion("7", "1301", "Who cuts a tomato?", "someone", (), "who"),
        VideoQuestion("8", "v8", "what", "dog", (), "what"),
    ]


def test_two_files(tmp_path):
    questions = write(tmp_path, [{"video_name": "v1", "question": "is it red", "question_id": "v1_0"}], "q.json")
    answers = write(tmp_path, [{"answer": "yes", "type": 3, "question_id": "v1_0"}], "a.json")
    assert list(read_two_files(questions, answers)) == [VideoQuestion("v1_0", "v1", "is it red", "yes", (), "3")]
    with pytest.raises(
        AnnotationError, match=r"q\.json: entry 0: expected an answer to 'v1_0' in .*a\.json, found none"
    ):
        list(read_two_files(questions, write(tmp_path, [], "a.json")))
    twice = write(tmp_path, [{"answer": "yes", "question_id": 1}] * 2, "a.json")
    with pytest.raises(AnnotationError, match=r"a\.json: entry 1: question_id: expected each id once"):
        list(read_two_files(questions, twice))


def test_tables(tmp_path):
    open_one = write(tmp_path, f'{HEAD}\r\ntumblr_1\twhat is "it"?\tdog\t5\r\n', "t.csv")
    assert list(read_table(open_one)) == [VideoQuestion("0", "tumblr_1", 'what is "it"?', "dog")]
    choice = write(tmp_path, f"{CHOICE}\ng\tWhat twice?\tjump\trun\tsit\tspin\twave\t3\n", "t.csv")
    (only,) = read_table(choice)
    assert (only.options, only.answer) == (("jump", "run", "sit", "spin", "wave"), "spin")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a head line, got an empty file"),
        ("a\tb\n", "line 1: expected a column 'gif_name', got a, b"),
        (f"{HEAD}\ng\tq\n", "line 2: expected 4 cells, got 2"),
        (f"{HEAD}\ng\t \ta\t5\n", "line 2: question: expected a text, got ' '"),
        (f"{CHOICE}\ng\tq\ta\tb\tc\td\te\t5\n", r"line 2: answer: expected the number of an option in 0\.\.4, got '5'"),
    ],
)
def test_malformed_tables_name_file_and_line(tmp_path, content, message):
    with pytest.raises(AnnotationError, match=rf"t\.csv: {message}"):
        list(read_table(write(tmp_path, content, "t.csv")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, r"expected an array, got \{\}"),
        ([whole(), whole()], "entry 1: id: expected each id once"),
        ([whole(video_id=None)], "entry 0: expected a video_id or a video, got neither"),
        ([whole(answer="")], "entry 0: answer: String should have at least 1 character"),
        ([whole(question=5)], "entry 0: question: Input should be a valid string"),
    ],
)
def test_malformed_files_name_file_and_place(tmp_path, content, message):
    with pytest.raises(AnnotationError, match=rf"qa\.json: {message}"):
        list(read_one_file(write(tmp_path, content)))
