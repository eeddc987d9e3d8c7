"""What patches show, from a film's truth: the front object of each, its look, and what it does at that time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from miniature.grounder_training.films import Film, Order
from miniature.grounder_training.masklets import NOTHING as NOBODY
from miniature.grounder_training.masklets import Masklets
from miniature.grounder_training.patch_lessons import PatchLessons, patch_truth, track_truth
from miniature.grounder_training.shown import KINDS, NOTHING
from miniature.long_world import make_long_clip, make_story
from miniature.long_world.tell import act_key


def film(story, boxes):
    made = Film(Order(story.seed, 0), torch.zeros(story.frames, 1, 1), boxes)
    made.__dict__["story"] = story  # as if it had been told already
    return made


@pytest.fixture(scope="module")
def story():
    return make_story(3, seconds=24, most=4)


def test_patches_of_a_box_say_its_object_and_what_it_does_in_that_frame(story):
    event = story.events[0]
    o = next(k for k, thing in enumerate(story.objects) if thing.id == event.object_id)
    boxes = np.full((len(story.objects), story.frames, 4), np.nan, dtype=np.float32)
    boxes[o] = (0.0, 0.0, 0.5, 1.0)
    truth = patch_truth(film(story, boxes), slice(0, story.frames), 4).view(-1, 4, 4, len(KINDS))
    assert (truth[:, :, 2:] == NOTHING).all()
    middle = truth[:, 1, 1]
    assert (middle[:, 0] == KINDS["colour"].index(story.objects[o].colour)).all()
    assert (middle[:, 1] == KINDS["shape"].index(story.objects[o].shape)).all()
    acts = [KINDS["act"][k] for k in middle[:, 3].tolist()]
    assert set(acts[event.frames]) == {act_key(event)}
    own = [e for e in story.events if e.object_id == event.object_id]
    assert acts.count("none") == story.frames - sum(e.frames.stop - e.frames.start for e in own)


def test_the_object_in_front_is_seen_and_one_smaller_than_a_patch_too(story):
    boxes = np.full((len(story.objects), story.frames, 4), np.nan, dtype=np.float32)
    boxes[:] = (0.0, 0.0, 1.0, 1.0)
    boxes[:, 1] = np.nan
    boxes[0, 1] = (0.60, 0.60, 0.62, 0.62)
    truth = patch_truth(film(story, boxes), slice(0, 2), 4)
    front = min(story.objects, key=lambda thing: thing.depth)
    assert truth[0, 5, 0] == KINDS["colour"].index(front.colour)
    assert torch.nonzero(truth[1, :, 0] != NOTHING).flatten().tolist() == [10]


def test_boxes_of_a_drawn_film_lie_where_its_objects_are():
    clip = make_long_clip(5, seconds=8, most=4)
    boxes = np.stack([clip.boxes(thing.id) for thing in clip.story.objects]) / 256
    truth = patch_truth(film(clip.story, boxes.astype(np.float32)), slice(0, clip.story.frames), 16)
    shown = torch.from_numpy(clip.labels[:, 8::16, 8::16].reshape(clip.story.frames, 256).astype(np.int64))
    both = (shown > 0) & (truth[..., 0] != NOTHING)
    colours = torch.tensor([KINDS["colour"].index(thing.colour) for thing in clip.story.objects])
    right = colours[shown[both] - 1] == truth[both][:, 0]
    assert both.sum() / (shown > 0).sum() > 0.7
    assert right.float().mean() > 0.9


def test_a_track_shows_its_object_where_it_is_and_nothing_where_it_is_absent_or_nobody_s(story):
    event = story.events[0]
    o = next(k for k, thing in enumerate(story.objects) if thing.id == event.object_id)
    boxes = torch.zeros(3, story.frames, 4)
    boxes[0, ::2] = torch.nan
    other, frames = (o + 1) % len(story.objects), story.frames
    owner = np.array([[o] * frames, [NOBODY] * frames, [other] * (frames - 1) + [o]])  # the last one goes over at last
    seen = film(story, np.zeros((len(story.objects), story.frames, 4), dtype=np.float32))
    truth = track_truth(replace_masklets(seen, Masklets(torch.zeros(3, story.frames, 2), boxes, owner, boxes.numpy())))
    assert truth.shape == (3, story.frames, len(KINDS))
    assert (truth[0, ::2] == NOTHING).all()
    assert (truth[1] == NOTHING).all()
    for row, number in ((truth[0, 1::2], o), (truth[2, :-1], other), (truth[2, -1:], o)):
        thing = story.objects[number]
        wanted = [KINDS["colour"].index(thing.colour), KINDS["shape"].index(thing.shape)]
        assert (row[:, :2] == torch.tensor(wanted)).all()
    acts = [KINDS["act"][k] for k in truth[0, :, 3].tolist()]
    odd = [t for t in range(story.frames)[event.frames] if t % 2]
    assert {acts[t] for t in odd} == {act_key(event)}


def replace_masklets(seen, masklets):
    made = replace(seen, masklets=masklets)
    made.__dict__["story"] = seen.story
    return made


def test_what_patches_show_is_learnt():
    torch.manual_seed(0)
    story = make_story(3, seconds=8, most=4)
    boxes = np.random.default_rng(0).uniform(0, 0.5, (len(story.objects), story.frames, 4)).astype(np.float32)
    boxes[..., 2:] += 0.4
    truth = patch_truth(film(story, boxes), slice(0, story.frames), 4)
    patches = torch.nn.functional.one_hot(truth[..., 0] + 1, 24).float()
    lessons = PatchLessons(24)
    optimizer = torch.optim.Adam(lessons.parameters(), 0.1)
    first = lessons(patches, truth)
    assert set(first) == {"there", *KINDS}
    for _ in range(40):
        optimizer.zero_grad()
        sum(lessons(patches, truth).values()).backward()
        optimizer.step()
    assert sum(v.item() for v in lessons(patches, truth).values()) < 0.4 * sum(v.item() for v in first.values())
