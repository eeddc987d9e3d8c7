"""Where the object of a reply is: on the tracks that are meant, or in each frame's best box."""

import numpy as np
import pytest
import torch

from core.errors import InputError
from llm_grounder.replies import followed
from llm_grounder.types import Clip, Region, Reply, Request, Task

FRAMES = 4


def clip_with(*shown):
    """A clip whose track n has the box (0, 0, (n + 1) / 10, 1) in the frames that are named."""
    boxes = torch.full((len(shown), FRAMES, 4), torch.nan)
    for n, frames in enumerate(shown):
        boxes[n, list(frames)] = torch.tensor([0.0, 0.0, (n + 1) / 10, 1.0])
    features = torch.zeros(FRAMES, 1, 2)
    return Clip("v", features, np.arange(4.0), 4.0, torch.zeros(len(shown), FRAMES, 3), boxes)


def tracks_at(found):
    """The number of the track whose box each frame has, -1 for none."""
    return [-1 if np.isnan(box).all() else round(box[2] * 10) - 1 for box in found]


def test_the_likeliest_track_that_is_meant_comes_first():
    clip = clip_with((0, 1), (1, 2), (0, 1, 2, 3))
    assert tracks_at(followed(clip, Reply(tracks=np.array([0.6, 0.9, 0.4])))) == [0, 1, 1, -1]
    assert tracks_at(followed(clip, Reply(tracks=np.array([0.9, 0.6, 0.5])))) == [0, 0, 1, 2]


def test_the_best_track_is_followed_where_none_is_likely():
    clip = clip_with((0, 1), (1, 2), (3,))
    assert tracks_at(followed(clip, Reply(tracks=np.array([0.1, 0.4, 0.3])))) == [-1, 1, 1, -1]


def test_a_track_that_the_request_names_is_surely_meant():
    clip, reply = clip_with((0, 1), (1, 2), (2, 3)), Reply(tracks=np.array([0.1, 1.0, 0.4]))
    named = Request(Task.SOT, track=0)
    assert tracks_at(followed(clip, reply, named)) == [0, 0, 1, -1]
    assert tracks_at(followed(clip, reply, Request(Task.SOT))) == tracks_at(followed(clip, reply)) == [-1, 1, 1, -1]
    assert reply.tracks.tolist() == [0.1, 1.0, 0.4]


def test_who_is_pointed_at_without_a_track_is_lost_and_not_taken_for_another():
    clip, reply = clip_with((0, 1), (1, 2)), Reply(tracks=np.array([0.1, 1.0]), boxes=np.zeros((FRAMES, 1, 4)))
    where = Region(0.0, (0.5, 0.5, 0.6, 0.6))
    assert tracks_at(followed(clip, reply, Request(Task.SOT, region=where))) == [-1] * FRAMES
    assert tracks_at(followed(clip, reply, Request(Task.SOT, region=where, track=0))) == [0, 0, 1, -1]


def test_without_tracks_it_is_the_best_box_of_each_frame():
    boxes = np.arange(32.0).reshape(FRAMES, 2, 4) / 32
    assert np.array_equal(followed(clip_with(), Reply(boxes=boxes)), boxes[:, 0])
    assert np.array_equal(followed(clip_with((0,)), Reply(boxes=boxes)), boxes[:, 0])  # tracks that nobody read
    assert np.array_equal(followed(clip_with(), Reply(tracks=np.zeros(0), boxes=boxes)), boxes[:, 0])


def test_a_reply_with_neither_tracks_nor_boxes_follows_nothing():
    with pytest.raises(InputError, match="reply of clip 'v': expected tracks or boxes to follow, got neither"):
        followed(clip_with((0,)), Reply())
