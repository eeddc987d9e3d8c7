"""VTG-IT and MMDuetIT: times in tokens and turns with times read exactly, or refused with file and place."""

import json

import pytest

from benchmarks.instructions.dialogue import Dialogue, Role, Turn
from benchmarks.instructions.mmduet_it import read_conversations, read_groundings, read_narrations
from benchmarks.instructions.vtg_it import plain_times, read_vtg_it, time_tokens
from core.errors import AnnotationError, InputError

TWELVE = "<TIME_ZERO><TIME_ZERO><TIME_ONE><TIME_TWO><TIME_DOT><TIME_FIVE>"


def write(tmp_path, content):
    path = tmp_path / "it.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(("seconds", "said"), [(12.5, "12.5"), (0, "0"), (9999.9, "9999.9"), (100.04, "100"), (3, "3")])
def test_times_go_into_tokens_and_back(seconds, said):
    assert plain_times(f"at {time_tokens(seconds)} seconds") == f"at {said} seconds"


def test_tokens_are_four_digits_a_dot_and_a_digit():
    assert time_tokens(12.5) == TWELVE
    assert plain_times(f"{TWELVE} - {TWELVE}, {TWELVE}.") == "12.5 - 12.5, 12.5."
    for text in ("<TIME_ONE>", TWELVE + "<TIME_ONE>", TWELVE.replace("DOT", "COMMA")):
        with pytest.raises(InputError, match="expected up to four digits, a dot and a digit"):
            plain_times(text)
    assert plain_times("<TIME_ONE><TIME_TWO><TIME_DOT><TIME_ZERO>") == "12"  # VTG-LLM pads only where it met a dot
    for seconds in (-1, 10_000, float("nan")):
        with pytest.raises(InputError, match=r"expected 0\.\.9999\.9 seconds"):
            time_tokens(seconds)


def test_vtg_it_is_read(tmp_path):
    path = write(tmp_path, [{"video": "a.mp4", "QA": [{"q": "when?", "a": f"{TWELVE} seconds."}], "source": "x"}])
    turns = (Turn(Role.USER, "when?"), Turn(Role.ASSISTANT, "12.5 seconds."))
    assert list(read_vtg_it(path)) == [Dialogue("0", "a.mp4", turns)]


def test_an_instruction_stands_in_for_an_empty_question(tmp_path):
    pairs = [{"i": "find it", "q": " ", "a": "no"}, {"i": "find it", "q": "when?", "a": "no"}]
    (only,) = read_vtg_it(write(tmp_path, [{"video": "a", "QA": pairs}]))
    assert [turn.text for turn in only.turns] == ["find it", "no", "when?", "no"]
    with pytest.raises(AnnotationError, match=r"entry 0: QA\.0: expected a question q, or an instruction i"):
        list(read_vtg_it(write(tmp_path, [{"video": "a", "QA": [{"q": "", "a": "no"}]}])))


def test_narrations_are_the_assistants_turns(tmp_path):
    said = [{"text": "a dog", "time": 2.5, "timespan": [0, 4]}, {"text": "a cat", "time": 6, "learn": False}]
    (only,) = read_narrations(write(tmp_path, {"v": {"human": said, "empty": []}}))
    assert only == Dialogue(
        "v_human",
        "v",
        (Turn(Role.ASSISTANT, "a dog", 2.5, (0, 4)), Turn(Role.ASSISTANT, "a cat", 6, None, learn=False)),
    )


def turn(role="user", time=1.0, **values):
    return {"role": role, "content": "x", "time": time} | values


def test_conversations_and_groundings_are_read(tmp_path):
    rows = [{"video_uid": "v", "conversation": [turn(), turn("assistant", 3, timespan=[2, 4])]}]
    (only,) = read_conversations(write(tmp_path, rows))
    assert [(t.role, t.time, t.span) for t in only.turns] == [("user", 1, None), ("assistant", 3, (2, 4))]
    assert list(read_conversations(write(tmp_path, [{"video_uid": "v", "conversation": []}]))) == []
    (query,) = read_groundings(write(tmp_path, [{"video_uid": "v", "query": "a dog", "timestamps": [[0, 2], [4, 5]]}]))
    assert (query.video_id, query.text, query.windows.tolist()) == ("v", "a dog", [[0, 2], [4, 5]])


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_vtg_it, {}, "expected an array"),
        (read_vtg_it, [{"video": "a", "QA": []}], "entry 0: QA: List should have at least 1 item"),
        (read_vtg_it, [{"video": "a", "QA": [{"q": "x"}]}], r"entry 0: QA\.0\.a: Field required"),
        (
            read_vtg_it,
            [{"video": "a", "QA": [{"q": "x", "a": "<TIME_ONE>"}]}],
            r"entry 0: QA\.0: time tokens: expected",
        ),
        (read_narrations, {"v": []}, "v: expected an object of annotations, got list"),
        (read_narrations, {"v": {"a": {}}}, r"v\.a: expected an array of narrations, got dict"),
        (read_narrations, {"v": {"a": [{"text": "x"}]}}, r"v\.a\.0: time: Field required"),
        (
            read_narrations,
            {"v": {"a": [{"text": "x", "time": 3}, {"text": "y", "time": 1}]}},
            r"v\.a: .*expected turns in the order of their times",
        ),
        (
            read_conversations,
            [{"video_uid": "v", "conversation": [turn("stream")]}],
            r"conversation\.0: role: expected u",
        ),
        (
            read_conversations,
            [{"video_uid": "v", "conversation": [turn(time=-1)]}],
            r"conversation\.0\.time: Input should",
        ),
        (
            read_conversations,
            [{"video_uid": "v", "conversation": [turn(timespan=[4, 2])]}],
            r"conversation\.0: timespan: expected start <= end",
        ),
        (
            read_groundings,
            [{"video_uid": "v", "query": "x", "timestamps": [[2, 1]]}],
            r"entry 0: timestamps\.0: expected start < end",
        ),
        (
            read_groundings,
            [{"video_uid": "v", "query": "x", "timestamps": []}],
            "entry 0: timestamps: List should have",
        ),
    ],
)
def test_malformed_instructions_name_file_and_place(tmp_path, read, content, message):
    with pytest.raises(AnnotationError, match=rf"it\.json: .*{message}"):
        list(read(write(tmp_path, content)))


def test_a_dialogue_checks_itself():
    with pytest.raises(InputError, match="expected at least one turn"):
        Dialogue("1", "v", ())
    with pytest.raises(InputError, match="video id: expected a non-empty text"):
        Dialogue("1", " ", (Turn(Role.USER, "x"),))
