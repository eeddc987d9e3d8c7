"""The window keeps the system prompt and the last of each part, as a mask and as a list, and nothing of a silence."""

import pytest
import torch

from core.errors import InputError
from llm_grounder.window import Part, Segment, Window, kept, window_mask, window_positions

LETTERS = {"s": Part.SYSTEM, "q": Part.QUESTION, "f": Part.FRAME, "r": Part.REPLY, "n": Part.SILENCE}


def segments(text, length=1):
    return [Segment(LETTERS[letter], length) for letter in text]


CASES = [
    ("", Window(), []),
    ("sqffff", Window(frames=2), [0, 1, 4, 5]),
    ("sqfrfrfr", Window(frames=1, replies=2), [0, 1, 5, 6, 7]),
    ("sqfrfrfr", Window(frames=2, replies=0), [0, 1, 4, 6]),
    ("sqqfqf", Window(frames=2, questions=2), [0, 2, 3, 4, 5]),
    ("sfnfnf", Window(frames=9), [0, 1, 3, 5]),
]


@pytest.mark.parametrize(("text", "window", "indices"), CASES)
def test_the_last_of_each_part_is_kept(text, window, indices):
    assert kept(window, segments(text)) == indices


def test_a_segment_sees_itself_up_to_each_token_and_what_was_kept_before_it():
    parts = [Segment(Part.SYSTEM, 1), Segment(Part.FRAME, 2), Segment(Part.FRAME, 1), Segment(Part.FRAME, 1)]
    wanted = [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 0, 0, 1, 1],
    ]
    assert window_mask(Window(frames=1), parts).int().tolist() == wanted


def test_a_silence_sees_as_a_reply_does_and_is_seen_by_none():
    mask = window_mask(Window(), segments("sfnf"))
    assert mask[2].tolist() == [True, True, True, False]
    assert mask[3].tolist() == [True, True, False, True]


def test_a_wide_window_without_silences_is_the_causal_mask():
    parts = segments("sqffrff", length=3)
    assert torch.equal(window_mask(Window(), parts), torch.ones(21, 21, dtype=torch.bool).tril())


def test_positions_go_on_after_a_silence_where_it_began():
    parts = [Segment(Part.SYSTEM, 2), Segment(Part.FRAME, 1), Segment(Part.SILENCE, 2), Segment(Part.FRAME, 2)]
    assert window_positions(parts).tolist() == [0, 1, 2, 3, 4, 3, 4]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"frames": 0}, "window frames: expected 1 or more frames, got 0"),
        ({"questions": 0}, "window questions: expected 1 or more questions, got 0"),
        ({"replies": -1}, "window replies: expected 0 or more replies, got -1"),
        ({"positions": 0}, "window positions: expected 1 or more tokens, got 0"),
    ],
)
def test_windows_that_keep_nothing_are_refused(values, sentence):
    with pytest.raises(InputError, match=sentence):
        Window(**values)


def test_empty_segments_and_sequences_are_refused():
    with pytest.raises(InputError, match="frame segment: expected 1 or more tokens, got 0"):
        Segment(Part.FRAME, 0)
    with pytest.raises(InputError, match="expected at least one segment"):
        window_mask(Window(), [])
