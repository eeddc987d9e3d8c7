"""The selector's top tracks, shown by number, are ranked anew by the numbers that a chat model names."""

import numpy as np
import pytest

from core.errors import InputError
from core.types import TrackScores
from llm_grounder.chat.asking import ChatReply
from llm_grounder.chat.overlays import number_boxes
from llm_grounder.chat.rerank import TrackQuestion, read_numbers, rerank, rerank_ask, top_tracks
from llm_grounder.tasks.failures import Failure, FailureKind

FRAMES = np.zeros((2, 64, 96, 3), dtype=np.uint8)
TIMES = np.array([0.0, 1.0])
BOXES = np.array([[[10.0 * n, 20, 10 * n + 9, 40]] * 2 for n in range(5)])
BOXES[4, 1] = np.nan
CHOSEN = TrackScores("v", "1", np.array([0.1, 0.9, 0.3, 0.9, 0.5]), 0.8, "selector", "cache")
K = FailureKind


class Says:
    """A chat model that says what it is told to."""

    sha256 = "chat"

    def __init__(self, *texts):
        self.texts, self.asked = list(texts), []

    def answer(self, asks, progress=None):
        self.asked += asks
        return [ChatReply(self.texts.pop(0)) for _ in asks]


def question(**changes):
    return TrackQuestion(
        **({"text": "the star", "frames": FRAMES, "times": TIMES, "boxes": BOXES, "chosen": CHOSEN} | changes)
    )


def test_the_named_among_the_shown_win():
    model = Says("1, 3")
    (scores,), counts = rerank(model, [question()], top=3)
    assert scores.probability.tolist() == [0, 1, 0, 0, 1]  # shown are the tracks 1, 3 and 4
    assert (scores.presence, scores.scorer, scores.cache, scores.expression_id) == (1.0, "chat", "cache", "1")
    assert counts.compute() == {"replies": 1, "failures": 0, "failure_rate": 0}
    assert "from 1 to 3" in model.asked[0].parts[-1]


def test_none_is_an_answer_and_a_failure_keeps_the_old_scores():
    scores, counts = rerank(Says("None.", "The left one."), [question(), question()])
    assert (scores[0].presence, scores[0].probability.any()) == (0.0, False)
    assert scores[1] is None
    assert counts.compute()["failures_no_items"] == 1


def test_a_question_without_tracks_is_not_asked():
    empty = TrackScores("v", "2", np.zeros(0), 0.1, "selector", "cache")
    model = Says("1")
    scores, counts = rerank(model, [question(boxes=BOXES[:0], chosen=empty), question()])
    assert scores[0] is empty
    assert len(model.asked) == counts.replies == 1


def test_the_top_are_ranked_by_probability_then_index():
    assert top_tracks(CHOSEN, 4).tolist() == [1, 3, 4, 2]


def test_only_the_shown_are_drawn_each_in_its_place():
    shown = top_tracks(CHOSEN, 1)
    first = rerank_ask(question(), shown).pictures[0]
    assert first[39, 10:19].any()  # the lower edge of the box of track 1
    assert not first[39, 20:].any()
    assert not first[39, :10].any()
    both = number_boxes(FRAMES, BOXES[[4]])
    assert both[0].any()
    assert not both[1].any()  # absent there
    assert not FRAMES.any()


def test_a_number_stays_in_the_picture_at_its_corner():
    drawn = number_boxes(FRAMES[:1], np.array([[[90.0, 60.0, 96.0, 64.0]]]))
    assert drawn.shape == (1, 64, 96, 3)
    assert (drawn[0].sum(-1) > 0).sum() > 10


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1, 3", (1, 3)), ("3 and 1.", (1, 3)), ("Objects 1, 2, and 4", (1, 2, 4)), ("[2]", (2,)), ("#2", (2,)),
        ("2, 2", (2,)), ("none", ()), ("The answer is: object 4.", (4,)), ("```\n1, 2\n```", (1, 2)),
    ],
)  # fmt: skip
def test_numbers_are_read_in_every_form(text, numbers):
    assert read_numbers(ChatReply(text), 4) == numbers


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", K.EMPTY), ("the red one", K.NO_ITEMS), ("5", K.OUT_OF_RANGE), ("0", K.OUT_OF_RANGE), ("1.5", K.LEFTOVER),
        ("1, 2,", K.LEFTOVER), ("1 of 4", K.LEFTOVER), ("not 3", K.LEFTOVER), ("1-3", K.LEFTOVER), ("-1", K.LEFTOVER),
        ("99999", K.LEFTOVER), ("<think>1", K.TRUNCATED), ("2<|im_end|>", K.MARKUP), ("1, 2 (not 3)", K.LEFTOVER),
    ],
)  # fmt: skip
def test_other_replies_are_failures(text, kind):
    found = read_numbers(ChatReply(text), 4)
    assert isinstance(found, Failure)
    assert found.kind is kind


def test_a_cut_reply_and_boxes_of_other_tracks_are_refused():
    assert read_numbers(ChatReply("1, 2", cut=True), 4).kind is K.TRUNCATED
    with pytest.raises(InputError, match="boxes of 5 tracks, got 2"):
        question(boxes=BOXES[:2])
    with pytest.raises(InputError, match="overlay boxes"):
        number_boxes(FRAMES, BOXES[:, :1])
