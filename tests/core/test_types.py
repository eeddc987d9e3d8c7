"""The shared types: what they derive, and that wrong arrays never become one."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from core.errors import InputError
from core.types import Answer, Expression, Labels, MomentScores, Prompt, SelectedTrack, TimeSpan, TrackScores, TrackSet
from tests.factories import make_labels, make_track_set, make_video

TRACKS = make_track_set(2, frames=4, absent=[(), (1, 2)])
VIDEO = TRACKS.video
FIRST = TRACKS.tracks[0]


def test_types_are_frozen():
    with pytest.raises(FrozenInstanceError):
        VIDEO.id = "other"


@pytest.mark.parametrize(
    ("present", "spans"),
    [
        ([False] * 4, []),
        ([True] * 4, [(0.0, 0.5)]),
        ([True, False, True, True], [(0.0, 0.125), (0.25, 0.5)]),
        ([False, True, False, False], [(0.125, 0.25)]),
    ],
)
def test_presence_becomes_half_open_spans(present, spans):
    assert VIDEO.spans(np.array(present)) == tuple(TimeSpan(*s) for s in spans)


def test_spans_follow_uneven_times():
    video = replace(make_video(frames=3), timestamps=np.array([0.0, 0.1, 1.0]), end=1.5)
    assert video.spans(np.array([False, True, True])) == (TimeSpan(0.1, 1.5),)
    assert video.frames == 3


def test_a_track_is_present_where_it_scores_and_has_a_mask():
    assert TRACKS.tracks[1].present.tolist() == [True, False, False, True]
    hidden = replace(FIRST, object_score=np.array([1, -1, 0, 2], dtype=np.float32))
    assert hidden.present.tolist() == [True, False, False, True]


def test_a_track_decodes_to_its_masks():
    masks = TRACKS.tracks[1].decode()
    assert masks.shape == (4, *VIDEO.size)
    assert masks.any(axis=(1, 2)).tolist() == [True, False, False, True]


def test_tokens_of_all_tracks_stack():
    assert TRACKS.tokens().shape == (2, 4, 8)
    assert TrackSet(VIDEO, ()).tokens().shape == (0, 4, 0)


def test_looks_of_all_tracks_stack_and_are_none_where_nobody_looked():
    assert make_track_set(2, look=3).looks().shape == (2, 3)
    assert TRACKS.looks() is None
    assert TrackSet(VIDEO, ()).looks() is None


def f32(*values):
    return np.array(values, dtype=np.float32)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TimeSpan(1.0, 1.0), "0 <= start < end"),
        (lambda: TimeSpan(-1.0, 1.0), "0 <= start < end"),
        (lambda: TimeSpan(0.0, float("inf")), "0 <= start < end"),
        (lambda: TimeSpan(0.0, 1.0, score=2.0), "span score"),
        (lambda: Expression("", "a cat"), "expression id"),
        (lambda: Expression("1", " "), "expression '1': expected a non-empty text"),
        (lambda: replace(VIDEO, id=""), "video id"),
        (lambda: replace(VIDEO, timestamps=np.zeros(0)), "at least one frame"),
        (lambda: replace(VIDEO, size=(0, 5)), "at least one pixel"),
        (lambda: replace(VIDEO, timestamps=np.array([0.0, 0.0])), "expected rising values"),
        (lambda: replace(VIDEO, end=0.1), "expected rising values"),
        (lambda: replace(VIDEO, end=float("inf")), "finite"),
        (lambda: VIDEO.spans(np.array([True])), "present: expected shape"),
        (lambda: Prompt(-1), "frame index from 0"),
        (lambda: Prompt(0, score=1.5), "prompt score"),
        (lambda: Prompt(0, stability=-0.5), "prompt stability"),
        (lambda: replace(FIRST, boxes=FIRST.boxes[:3]), "track boxes: expected shape"),
        (lambda: replace(FIRST, boxes=-FIRST.boxes), "x1 < x2"),
        (lambda: replace(FIRST, tokens=FIRST.tokens * np.float16("nan")), "track tokens: expected finite"),
        (lambda: replace(FIRST, tokens=FIRST.tokens[0]), "track tokens: expected shape"),
        (lambda: replace(FIRST, object_score=f32(1, 2, 3, np.inf)), "object score: expected finite"),
        (lambda: replace(FIRST, predicted_iou=f32(0, 0, 0, 1.1)), "predicted IoU"),
        (lambda: replace(FIRST, prompt=Prompt(4)), "prompt frame below 4, got 4"),
        (lambda: replace(FIRST, look=f32(0.5, 0.5)), "track look: expected a vector of length 1 or all zeros"),
        (lambda: replace(FIRST, look=f32(np.nan, 1)), "track look: expected a vector"),
        (lambda: replace(FIRST, look=np.eye(2)), "track look: expected shape"),
        (lambda: replace(TRACKS, tracks=(FIRST, replace(FIRST, look=f32(0, 1)))), "for all tracks or none"),
        (
            lambda: replace(TRACKS, tracks=(replace(FIRST, look=f32(1)), replace(FIRST, look=f32(0, 1)))),
            "looks of one width",
        ),
        (lambda: replace(TRACKS, video=make_video(frames=5)), "track 0: expected 5 frames"),
        (lambda: replace(TRACKS, video=make_video(frames=4, size=(9, 9))), r"expected 4 frames of \(9, 9\)"),
        (lambda: TrackScores("v", "e", np.array([1.2]), 0.5, "s", "c"), "track scores"),
        (lambda: TrackScores("v", "e", np.array([0.2]), -0.5, "s", "c"), "presence probability"),
        (lambda: MomentScores("v", "e", np.zeros(2), np.zeros(3), ()), "moment relevance: expected shape"),
        (lambda: MomentScores("v", "e", np.zeros(2), np.array([0.0, 2.0]), ()), "moment relevance"),
        (lambda: replace(make_labels(2), recall=np.zeros((2, 3))), "labels recall: expected shape"),
        (lambda: replace(make_labels(2), iou=np.full((2, 2), 2.0)), "labels iou"),
        (lambda: Labels(("a", "a"), *(np.zeros((1, 2)),) * 3), "distinct object ids"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def make_answer(*, tracks, no_target, masks=FIRST.masks, probability=0.5):
    return Answer(VIDEO, Expression("e", "a cat"), tracks, masks, (), no_target, probability, {})


def test_an_answer_has_tracks_or_no_target():
    chosen = (SelectedTrack(0, 0.9, FIRST.masks, FIRST.boxes, VIDEO.spans(FIRST.present)),)
    assert make_answer(tracks=chosen, no_target=False).tracks == chosen
    assert make_answer(tracks=(), no_target=True).no_target
    refused = [
        (dict(tracks=chosen, no_target=True), "expected no_target to mean no tracks"),
        (dict(tracks=(), no_target=False), "expected no_target to mean no tracks"),
        (dict(tracks=chosen, no_target=False, masks=FIRST.masks[:2]), "expected 4 masks, got 2"),
        (dict(tracks=chosen, no_target=False, probability=1.5), "no-target probability"),
    ]
    for arguments, message in refused:
        with pytest.raises(InputError, match=message):
            make_answer(**arguments)
