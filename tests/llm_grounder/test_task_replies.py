"""What each task writes and reads: round trips, every accepted form, malformed replies by kind, and random text."""

import random

import pytest

from core.errors import InputError
from core.types import TimeSpan
from llm_grounder.tasks.catalog import FORMATS, conversation
from llm_grounder.tasks.failures import Failure, FailureCounts, FailureKind
from llm_grounder.tasks.spec import Highlight, Terms, TimedAnswer, Told, ask
from llm_grounder.times import write_time
from llm_grounder.types import Request, Role, Task
from miniature.long_world import make_story

END = 60.0
TERMS = Terms(END)
TWO = Terms(END, frames=2)
CHOICE = Terms(END, options=("red star", "blue ring", "spin"))
K = FailureKind
T12 = "<TIME_ZERO><TIME_ZERO><TIME_ONE><TIME_TWO><TIME_DOT><TIME_FIVE>"
T20 = "<TIME_ZERO><TIME_ZERO><TIME_TWO><TIME_ZERO><TIME_DOT><TIME_ZERO>"

MALFORMED = [
    (Task.MOMENTS, "", K.EMPTY),
    (Task.MOMENTS, "   \n\t", K.EMPTY),
    (Task.MOMENTS, "...", K.EMPTY),
    (Task.MOMENTS, "```\n```", K.EMPTY),
    (Task.MOMENTS, "<think>let me see", K.TRUNCATED),
    (Task.MOMENTS, "<think>10 - 20 seconds</think>", K.EMPTY),
    (Task.MOMENTS, "<think>a</think><think>10 - 20 seconds", K.TRUNCATED),
    (Task.MOMENTS, "I cannot tell.", K.NO_ITEMS),
    (Task.MOMENTS, "The star spins in the middle of the video.", K.NO_ITEMS),
    (Task.MOMENTS, "10 - 20 seconds<|im_end|>", K.MARKUP),
    (Task.MOMENTS, "<unk> 10 - 20 seconds", K.MARKUP),
    (Task.MOMENTS, "10 - 20 seconds</s>", K.MARKUP),
    (Task.MOMENTS, "10 - 2\ufffd seconds", K.MARKUP),
    (Task.MOMENTS, "20 - 10 seconds", K.INVERTED),
    (Task.MOMENTS, "from 20 to 10", K.INVERTED),
    (Task.MOMENTS, "10 - 10 seconds", K.INVERTED),
    (Task.MOMENTS, "10 - 20 seconds, 40 - 30 seconds.", K.INVERTED),
    (Task.MOMENTS, "60 - 60.4 seconds", K.INVERTED),
    (Task.MOMENTS, "10 - 61 seconds", K.OUT_OF_RANGE),
    (Task.MOMENTS, "500 - 600 seconds", K.OUT_OF_RANGE),
    (Task.MOMENTS, "10 - 99999999999999999999 seconds", K.OUT_OF_RANGE),
    (Task.MOMENTS, "-3 - 5 seconds", K.OUT_OF_RANGE),
    (Task.MOMENTS, "from -3 to 5 seconds", K.OUT_OF_RANGE),
    (Task.MOMENTS, "[[-3, 5]]", K.OUT_OF_RANGE),
    (Task.MOMENTS, "00:10 - 01:30", K.OUT_OF_RANGE),
    (Task.MOMENTS, "10 - 20 seconds, 30 -", K.TRUNCATED),
    (Task.MOMENTS, "10 - 20 seconds, 30", K.TRUNCATED),
    (Task.MOMENTS, "10 - 20 seconds,", K.TRUNCATED),
    (Task.MOMENTS, "10 - 20 seconds and", K.TRUNCATED),
    (Task.MOMENTS, "10 -", K.TRUNCATED),
    (Task.MOMENTS, "at 12 seconds something happens", K.MISSING_PART),
    (Task.MOMENTS, "3 people spin", K.MISSING_PART),
    (Task.MOMENTS, "2 people spin from 10 to 20 seconds", K.LEFTOVER),
    (Task.MOMENTS, "10 - 20 - 30 seconds", K.LEFTOVER),
    (Task.MOMENTS, "1e1 - 2e1 seconds", K.MISSING_PART),
    (Task.MOMENTS, "10 - 20 seconds (sure: 90.)", K.LEFTOVER),
    (Task.MOMENTS, "1,010 - 20 seconds", K.LEFTOVER),
    (Task.MOMENTS, "1 - 2 minutes", K.BAD_TIME),
    (Task.MOMENTS, "10% - 20%", K.BAD_TIME),
    (Task.MOMENTS, "frames 10 - 20", K.BAD_TIME),
    (Task.MOMENTS, "10 - 20 frames", K.BAD_TIME),
    (Task.MOMENTS, "100 ms - 200 ms", K.BAD_TIME),
    (Task.MOMENTS, "00:75 - 00:80", K.BAD_TIME),
    (Task.MOMENTS, "<TIME_ONE><TIME_TWO> - <TIME_TWO><TIME_ZERO> seconds", K.BAD_TIME),
    (Task.MOMENTS, f"{T12}{T20} seconds", K.BAD_TIME),
    (Task.MOMENTS, f"{T12} - <TIME_TEN><TIME_ZERO> seconds", K.BAD_TIME),
    (Task.MOMENTS, f"{T12} - <TIME_", K.BAD_TIME),
    (Task.MOMENTS, "<TIME_DOT>" * 6 + f" - {T20}", K.BAD_TIME),
    (Task.MOMENTS, f"{T12} - ", K.TRUNCATED),
    (Task.MOMENTS, f"{T20} - {T12} seconds", K.INVERTED),
    (Task.MOMENTS, "No such moment, but 10 - 20 seconds.", K.CONTRADICTION),
    (Task.MOMENTS, '{"start": 10, "end": ', K.BROKEN_JSON),
    (Task.MOMENTS, "[[10, 20], [30, ", K.BROKEN_JSON),
    (Task.MOMENTS, "[[10, NaN]]", K.BROKEN_JSON),
    (Task.MOMENTS, '{"start": 10}', K.MISSING_PART),
    (Task.MOMENTS, '[{"start": 10}]', K.MISSING_PART),
    (Task.MOMENTS, "[[10, 20, 30]]", K.MISSING_PART),
    (Task.MOMENTS, '[["ten", "twenty"]]', K.BAD_TIME),
    (Task.MOMENTS, "[[true, 20]]", K.BAD_TIME),
    (Task.MOMENTS, "[[20, 10]]", K.INVERTED),
    (Task.MOMENTS, "[" * 5000, K.EMPTY),
    (Task.MOMENTS, "[" * 5000 + "1", K.BROKEN_JSON),
    (Task.SUMMARY, "Keep it all.", K.NO_ITEMS),
    (Task.SUMMARY, "0 - 70 seconds.", K.OUT_OF_RANGE),
    (Task.HIGHLIGHTS, "The end is best.", K.NO_ITEMS),
    (Task.HIGHLIGHTS, "10 seconds, a star spins.", K.MISSING_PART),
    (Task.HIGHLIGHTS, "10 seconds, significance score: high.", K.MISSING_PART),
    (Task.HIGHLIGHTS, "10 seconds, significance score: 7.0.", K.OUT_OF_RANGE),
    (Task.HIGHLIGHTS, "10 seconds, significance score: -1.", K.OUT_OF_RANGE),
    (Task.HIGHLIGHTS, "70 seconds, significance score: 4.0.", K.OUT_OF_RANGE),
    (Task.HIGHLIGHTS, "10 seconds, significance score: 4.0.\n12 seconds, signif", K.TRUNCATED),
    (Task.HIGHLIGHTS, "10 seconds, significance score: 4.0. 12 sec", K.TRUNCATED),
    (Task.HIGHLIGHTS, "10 seconds, significance score: 1.2.3.", K.LEFTOVER),
    (Task.CAPTIONS, "A red star spins, then a ring grows.", K.NO_ITEMS),
    (Task.CAPTIONS, "Here are the events: 10 - 20 seconds, a star spins.", K.NO_ITEMS),
    (Task.CAPTIONS, "Sure. 10 - 20 seconds, a star spins.", K.LEFTOVER),
    (Task.CAPTIONS, "Here they are:\n10 - 20 seconds, a star spins.", K.LEFTOVER),
    (Task.CAPTIONS, "10 - 20 seconds, a star spins.\n30 - 4", K.TRUNCATED),
    (Task.CAPTIONS, "10 - 20 seconds, a star spins. 30 - 4", K.TRUNCATED),
    (Task.CAPTIONS, "10 - 20 seconds, a star spins. 30 - 40 seconds,", K.TRUNCATED),
    (Task.CAPTIONS, "10 - 20 seconds,\n30 - 40 seconds, a ring grows.", K.MISSING_PART),
    (Task.CAPTIONS, "10 - 20 seconds, a star 30 - 40 seconds, a ring.", K.LEFTOVER),
    (Task.CAPTIONS, "20 - 10 seconds, a star spins.", K.INVERTED),
    (Task.CAPTIONS, "10 - 80 seconds, a star spins.", K.OUT_OF_RANGE),
    (Task.CAPTIONS, "1 - 2 minutes, a star spins.", K.BAD_TIME),
    (Task.CAPTIONS, "10 - 20 seconds, a star spins.\nand so on", K.LEFTOVER),
    (Task.TIMED_QA, "It spins.", K.NO_ITEMS),
    (Task.TIMED_QA, "10 seconds, .", K.TRUNCATED),
    (Task.TIMED_QA, "10 seconds, spin.\nthen circle.", K.LEFTOVER),
    (Task.TIMED_QA, "90 seconds, spin.", K.OUT_OF_RANGE),
    (Task.QA, "!?", K.EMPTY),
    (Task.QA, "yes\nno", K.LEFTOVER),
    (Task.REG, "a red star<|endoftext|>", K.MARKUP),
    (Task.REG, "\u2026", K.EMPTY),
    (Task.GROUNDING, "on the left", K.MISSING_PART),
    (Task.GROUNDING, "[10,20,30", K.TRUNCATED),
    (Task.GROUNDING, "[10,20,30]", K.BAD_BOX),
    (Task.GROUNDING, "[1,2,3,4,5]", K.BAD_BOX),
    (Task.GROUNDING, "[0.1,0.2,0.3,0.4]", K.BAD_BOX),
    (Task.GROUNDING, "[a,b,c,d]", K.BAD_BOX),
    (Task.GROUNDING, "[30,20,10,40]", K.INVERTED),
    (Task.GROUNDING, "[10,40,30,40]", K.INVERTED),
    (Task.GROUNDING, "[10,20,30,1001]", K.OUT_OF_RANGE),
    (Task.GROUNDING, "[-1,20,30,40]", K.OUT_OF_RANGE),
    (Task.GROUNDING, "[1,2,3,4] [5,6,7,8]", K.CONTRADICTION),
    (Task.GROUNDING, "2 things: [1,2,3,4]", K.LEFTOVER),
    (Task.RSOT, "[1,2,3,4], [1,2,3,4]", K.NO_ITEMS),
    (Task.RSOT, "Frame 1: [1,2,3,4]", K.MISCOUNTED),
    (Task.RSOT, "Frame 1: [1,2,3,4], Frame 1: none", K.CONTRADICTION),
    (Task.RSOT, "Frame 1: [1,2,3,4], Frame 3: none", K.OUT_OF_RANGE),
    (Task.RSOT, "Frame 1: [1,2,3,4], Frame 2: [1,2,", K.TRUNCATED),
    (Task.RSOT, "Boxes: Frame 1: none, Frame 2: none", K.LEFTOVER),
    (Task.SOT, "Frame 1: [1,2,3,4], Frame 2:", K.MISSING_PART),
    (Task.SOT, "Frame 1: [4,2,3,4], Frame 2: none", K.INVERTED),
]

CHOICES = [
    ("(D) green", K.UNKNOWN_OPTION),
    ("green", K.UNKNOWN_OPTION),
    ("(A) blue ring", K.CONTRADICTION),
    ("(A) green", K.UNKNOWN_OPTION),
    ("either the red star or the blue ring", K.CONTRADICTION),
    ("(A) and (B)", K.UNKNOWN_OPTION),
]


def _terms(task):
    return TWO if task in (Task.RSOT, Task.SOT) else TERMS


def test_the_list_of_malformed_replies_is_long_and_has_every_kind():
    assert len(MALFORMED) + len(CHOICES) >= 100
    assert {kind for *_, kind in MALFORMED + CHOICES} == set(FailureKind)


@pytest.mark.parametrize(("task", "reply", "kind"), MALFORMED)
def test_a_malformed_reply_is_a_failure_of_its_kind(task, reply, kind):
    found = FORMATS[task].parse(reply, _terms(task))
    assert isinstance(found, Failure), found
    assert found.kind is kind, found.detail
    assert found.detail.startswith("expected ")
    assert reply.startswith(found.text)


@pytest.mark.parametrize(("reply", "kind"), CHOICES)
def test_a_reply_that_names_no_one_option_is_a_failure(reply, kind):
    found = FORMATS[Task.QA].parse(reply, CHOICE)
    assert isinstance(found, Failure), found
    assert found.kind is kind


def test_failures_are_counted_by_kind():
    counts = FailureCounts()
    for task, reply, _ in MALFORMED:
        counts.update(FORMATS[task].parse(reply, _terms(task)))
    counts.update(FORMATS[Task.MOMENTS].parse("10 - 20 seconds.", TERMS))
    figures = counts.compute()
    assert (figures["replies"], figures["failures"]) == (len(MALFORMED) + 1, len(MALFORMED))
    assert figures["failure_rate"] == pytest.approx(len(MALFORMED) / (len(MALFORMED) + 1))
    assert figures["failures_inverted"] == sum(kind is K.INVERTED for *_, kind in MALFORMED)
    assert FailureCounts().compute()["failure_rate"] == 0


@pytest.mark.parametrize(
    "reply",
    [
        "12.5 - 20.0 seconds.", "12.5 - 20 s", "from 12.5 to 20.0 seconds", "It happens between 12.5s and 20s.",
        "The event happens in 12.5 - 20.0 seconds.", "0:12.5 - 0:20", "00:00:12.5 --> 00:00:20", "[12.5, 20.0]",
        "(12.5 s, 20 s)", "12.5 \u2013 20", f"{T12} - {T20} seconds", f"From {T12} to {T20}.",
        "start time: 12.5 seconds, end time: 20.0 seconds", "[[12.5, 20]]", '{"start": 12.5, "end": "20 s"}',
        '```json\n[{"start_time": "00:12.5", "end_time": "00:20"}]\n```', '{"moments": [[12.5, 20]]}',
        "<think>10 - 11?</think>\n12.5 - 20",
        T12.replace("><", "> <") + " - " + T20.replace("><", "> <") + " seconds",
    ],
)  # fmt: skip
def test_a_window_is_read_in_every_form(reply):
    assert FORMATS[Task.MOMENTS].parse(reply, TERMS) == (TimeSpan(12.5, 20.0),)


@pytest.mark.parametrize("reply", ["none", "None.", "There is no such moment.", "not found", "[]", '{"moments": []}'])
def test_no_moment_is_an_answer_and_no_failure(reply):
    assert FORMATS[Task.MOMENTS].parse(reply, TERMS) == ()


def test_windows_keep_the_reply_s_order_and_a_rounded_end_is_the_clip_s():
    found = FORMATS[Task.MOMENTS].parse("40 - 60.3 seconds, 10 - 20 seconds", TERMS)
    assert found == (TimeSpan(40, 60), TimeSpan(10, 20))


VTG = "10.0 - 20.0 seconds, a star spins. 30.0 - 40.0 seconds, 2 rings grow, then stop"


@pytest.mark.parametrize("reply", [VTG, VTG.replace(". 3", "\n3"), f"1. {VTG.replace('. 3', '.' + chr(10) + '2. 3')}."])
def test_captions_are_read_from_lines_and_from_one_line(reply):
    wanted = (Told(10, 20, "a star spins"), Told(30, 40, "2 rings grow, then stop"))
    assert FORMATS[Task.CAPTIONS].parse(reply, TERMS) == wanted


def test_captions_of_clock_times_need_no_unit():
    assert FORMATS[Task.CAPTIONS].parse("0:10 - 0:20: a star", TERMS) == (Told(10, 20, "a star"),)


def test_a_single_highlight_is_no_failure_and_several_on_one_line_are_cut():
    read = FORMATS[Task.HIGHLIGHTS].parse
    assert read("10 seconds, significance score: 4.5, a man.", TERMS) == (Highlight(10, 4.5, "a man"),)
    found = read("10 seconds, significance score: 4. 12.0 seconds, saliency score: 3/5, a man waves.", TERMS)
    assert found == (Highlight(10, 4), Highlight(12, 3, "a man waves"))


def test_boxes_follow_their_labels_and_not_their_order():
    found = FORMATS[Task.RSOT].parse("Frame 2: [0,0,500,1000], Frame 1: none", TWO)
    assert found == (None, (0, 0, 0.5, 1))


@pytest.mark.parametrize(
    "reply", ["B", "(B)", "B.", "(B) blue ring", "Blue ring.", "The answer is (B)", "B: blue ring"]
)
def test_an_option_is_read_by_letter_words_or_both(reply):
    found = FORMATS[Task.QA].parse(reply, CHOICE)
    assert found == "blue ring"


ANSWERS = {
    Task.MOMENTS: (TimeSpan(1.5, 20.0), TimeSpan(30.2, 60.0)),
    Task.SUMMARY: (TimeSpan(0.0, 2.0),),
    Task.HIGHLIGHTS: (Highlight(3.0, 4.5, ""), Highlight(59.9, 0.0, "a star")),
    Task.CAPTIONS: (Told(0.0, 9.9, "a red star spins"), Told(10.0, 60.0, "3 rings sway")),
    Task.TIMED_QA: (TimedAnswer(0.1, "spin"), TimedAnswer(30.0, "circle")),
    Task.QA: "red star",
    Task.REG: "a large red star that spins",
    Task.GROUNDING: ((0.1, 0.2, 0.3, 1.0),),
    Task.RSOT: ((0.1, 0.2, 0.3, 0.4), None),
    Task.SOT: (None, (0.0, 0.0, 0.001, 1.0)),
}


@pytest.mark.parametrize("style", ["tokens", "text"])
@pytest.mark.parametrize("task", Task)
def test_what_is_written_is_read_again(task, style):
    terms = Terms(END, style, frames=2)
    reply = FORMATS[task].write(ANSWERS[task], terms)
    assert FORMATS[task].parse(reply, terms) == ANSWERS[task]
    assert ("<TIME_" in reply) == (style == "tokens" and task in list(ANSWERS)[:5])


@pytest.mark.parametrize("style", ["tokens", "text"])
@pytest.mark.parametrize("seed", [200_000, 200_001])
def test_all_that_the_long_world_wants_said_is_read_again_and_within_the_grammar(seed, style):
    story = make_story(seed, seconds=60)
    terms = Terms(float(story.duration), style)
    wanted = [(Task.MOMENTS, tuple(TimeSpan(*map(float, w)) for w in m.windows), terms) for m in story.moments]
    wanted += [(Task.CAPTIONS, tuple(Told(c.start, c.end, c.text) for c in each), terms) for each in story.captions]
    wanted += [(Task.REG, text, terms) for each in story.descriptions for text in each.texts]
    for question in story.timed_questions:
        wanted.append((Task.TIMED_QA, tuple(TimedAnswer(a.start, a.text) for a in question.answers), terms))
    for asked in story.questions:
        wanted.append((Task.QA, asked.answer, Terms(terms.end, style, asked.options)))
    for task, answer, held in wanted:
        reply, grammar = FORMATS[task].write(answer, held), FORMATS[task].grammar(held)
        assert FORMATS[task].parse(reply, held) == answer
        assert grammar.accepts(grammar.advance(grammar.begin(), reply)), reply


@pytest.mark.parametrize("end", [0.1, 0.96, 12.349, 175.17, 9999.94])
def test_a_window_up_to_the_very_end_is_within_the_grammar_and_read(end):
    terms, read = Terms(end), FORMATS[Task.MOMENTS]
    reply = read.write((TimeSpan(0.0, end),), terms)
    grammar = read.grammar(terms)
    assert grammar.accepts(grammar.advance(grammar.begin(), reply))
    (found,) = read.parse(reply, terms)
    assert found.end == pytest.approx(end, abs=0.05)


@pytest.mark.parametrize("task", [Task.MOMENTS, Task.SUMMARY, Task.HIGHLIGHTS, Task.CAPTIONS, Task.TIMED_QA])
def test_nothing_is_written_as_none(task):
    assert FORMATS[task].write((), TERMS) == "none"
    assert FORMATS[task].parse("none", TERMS) == ()


def test_times_are_six_tokens_with_zeros_in_front():
    assert write_time(12.5, "tokens") == T12
    assert write_time(12.46, "text") == "12.5"
    with pytest.raises(InputError, match="expected 0"):
        write_time(12345.6, "tokens")


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        (Task.MOMENTS, (TimeSpan(1.0, 1.01),)),
        (Task.HIGHLIGHTS, (Highlight(1.0, 6.0),)),
        (Task.QA, " "),
        (Task.RSOT, (None,)),
        (Task.GROUNDING, ((0.5, 0.5, 0.5, 0.6),)),
    ],
)
def test_an_answer_that_cannot_be_said_is_refused(task, answer):
    with pytest.raises(InputError, match="expected"):
        FORMATS[task].write(answer, TWO)


def test_every_task_has_a_format_with_wordings_that_take_any_text():
    assert set(FORMATS) == set(Task)
    for task, each in FORMATS.items():
        asked = [ask(each, Request(task, "a {red} star"), i) for i in range(6)]
        assert len(set(asked)) == len(each.prompts) >= 3
        assert all(("a {red} star" in text) == ("{text}" in each.prompts[0]) for text in asked)


def test_a_conversation_has_the_question_when_it_is_asked_and_the_reply_at_the_end():
    request = Request(Task.QA, "Which one?", asked=4.0, options=("red star", "blue ring"))
    terms = Terms(END, options=request.options)
    user, said = conversation(request, terms, "blue ring")
    assert (user.role, user.time, user.text) == (Role.USER, 4.0, "Which one? Options: (A) red star (B) blue ring")
    assert (said.role, said.time, said.text) == (Role.ASSISTANT, float("inf"), "(B) blue ring")
    assert conversation(request, terms) == (user,)


PIECES = [
    *(
        "10",
        " - ",
        "20",
        ".",
        "5",
        " seconds",
        ", ",
        "\n",
        "<TIME_ONE>",
        "<TIME_",
        T12,
        "[",
        "]",
        "{",
        "}",
        '"start"',
        ":",
    ),
    *(
        "Frame 1: ",
        "none",
        "to",
        "from ",
        "significance score: ",
        "spin",
        "(B)",
        "\u00b2",
        "\u0663",
        "\x00",
        "\U0001f600",
    ),
    *("```", "<think>", "</think>", "-", "1e9", "NaN", "\u2028", "1:2:3:4", "9" * 400, "[[1,2]]", "\\"),
]


@pytest.mark.parametrize("task", Task)
def test_no_text_makes_a_parser_raise(task):
    rng = random.Random(7)
    for turn in range(400):
        if turn % 2:
            reply = "".join(rng.choice(PIECES) for _ in range(rng.randrange(14)))
        else:
            reply = "".join(
                chr(rng.choice((rng.randrange(128), rng.randrange(0xD800)))) for _ in range(rng.randrange(40))
            )
        for terms in (TERMS, TWO, CHOICE):
            found = FORMATS[task].parse(reply, terms)
            if isinstance(found, Failure):
                assert found.kind in FailureKind


@pytest.mark.parametrize("task", Task)
def test_every_prefix_of_a_reply_and_every_lost_character_is_read_or_a_failure(task):
    terms = Terms(END, frames=2)
    reply = FORMATS[task].write(ANSWERS[task], terms)
    cut = [reply[:i] for i in range(len(reply))] + [reply[:i] + reply[i + 1 :] for i in range(len(reply))]
    failures = sum(isinstance(FORMATS[task].parse(text, terms), Failure) for text in cut)
    assert failures >= 1


def test_long_garbage_is_refused_in_no_time():
    for text in ("1 - " * 20000, "a " * 50000, "[" * 50000, "<TIME_ONE>" * 20000, "9" * 100000, " " * 100000 + "a"):
        for task in Task:
            FORMATS[task].parse(text, TWO)
