from dataclasses import replace

import numpy as np
import pytest
import torch

from core.errors import ScorerMismatchError
from core.text import TextFeatures
from core.types import Expression, Source
from selector.inputs import track_geometry
from selector.zeroshot import ZeroShotSelector, ZeroShotSettings, motion_evidence, motion_numbers
from tests.factories import make_track_set

COLOURS = ("red", "green", "blue")


class Colours:
    """A text's feature is the sum of the colours that it names: looks of the same space are one-hot."""

    name, sha256, width = "colours", "3" * 64, 3

    def encode(self, texts):
        pooled = torch.tensor([[float(colour in text) + 0.01 for colour in COLOURS] for text in texts])
        return TextFeatures(torch.zeros(len(texts), 1, 3), torch.ones(len(texts), 1, dtype=torch.bool), pooled)


def coloured(count=3, **options):
    tracks = make_track_set(count, width=4, look=3, **options)
    return replace(
        tracks, tracks=tuple(replace(t, look=np.eye(3, dtype=np.float16)[i % 3]) for i, t in enumerate(tracks.tracks))
    )


def asked(*texts):
    return [Expression(str(i), text) for i, text in enumerate(texts)]


def test_the_track_that_looks_like_the_words_is_chosen():
    scores = ZeroShotSelector().score(coloured(), asked("the blue one", "something red"), Colours())
    assert [int(s.probability.argmax()) for s in scores] == [2, 0]
    assert [s.presence for s in scores] == [1.0, 1.0]
    np.testing.assert_allclose([s.probability.sum() for s in scores], 1)


def test_tracks_that_do_not_compete_get_nothing():
    sources = [Source.GRID, Source.GRID, Source.GROUND_TRUTH]
    (score,) = ZeroShotSelector().score(coloured(sources=sources), asked("the blue one"), Colours())
    assert score.probability[2] == 0
    assert score.probability.sum() == pytest.approx(1)


def test_a_video_without_tracks_has_no_target():
    (score,) = ZeroShotSelector().score(coloured(0), asked("red"), Colours())
    assert (len(score.probability), score.presence) == (0, 0.0)


def test_looks_of_another_model_and_tracks_without_looks_are_refused():
    other = Colours()
    other.sha256 = "4" * 64
    with pytest.raises(ScorerMismatchError, match="image tower of 'colours'"):
        ZeroShotSelector().score(coloured(), asked("red"), other)
    with pytest.raises(ScorerMismatchError, match="expected tracks with looks"):
        ZeroShotSelector().score(make_track_set(2, width=4), asked("red"), Colours())


def test_templates_are_averaged_and_part_of_the_name_of_a_score():
    plain, two = (ZeroShotSelector(ZeroShotSettings(templates=t)) for t in (("{}",), ("{}", "a red {}")))
    assert plain.sha256 != two.sha256
    assert two.embed(["x"], Colours())[0].argmax() == 0
    np.testing.assert_allclose(np.linalg.norm(two.embed(["x", "green"], Colours()), axis=1), 1)


def geometry():
    """Track 0 moves right and grows, 1 stays on the left, 2 moves up in the second half."""
    boxes = np.zeros((3, 8, 4), dtype=np.float32)
    for t in range(8):
        boxes[0, t] = (40 + 4 * t, 40, 60 + 5 * t, 60 + t)
        boxes[1, t] = (0, 60, 20, 80)
        boxes[2, t] = (60, 80 - 6 * t, 70, 90 - 6 * t)
    score = np.ones((3, 8), dtype=np.float32)
    score[2, :4] = -1
    areas = ((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])).astype(np.int64)
    return track_geometry(boxes, areas, score, score, (100, 100))


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("the one moving to the right", 0), ("the shape on the left", 1), ("it rises", 2), ("it stays still", 1),
        ("the biggest one", 0), ("the tiny one", 2), ("the object that grows", 0), ("what appears later", 2),
    ],
)  # fmt: skip
def test_words_of_motion_place_and_size_speak_for_the_track_that_does_so(text, best):
    assert int(motion_evidence(text, motion_numbers(geometry())).argmax()) == best


def test_a_text_without_such_words_says_nothing():
    assert not motion_evidence("the red disc", motion_numbers(geometry())).any()


def test_equal_tracks_are_told_apart_by_nothing():
    same = np.repeat(geometry()[:1], 3, axis=0)
    np.testing.assert_allclose(motion_evidence("moving left", motion_numbers(same)), 0, atol=1e-6)
