"""Made-up explanations of videos for tests of the failure browser."""

from types import SimpleNamespace

import numpy as np

from core import rle
from core.types import Expression, TimeSpan, TrackScores
from fusion.fuse import FusionSettings, fuse
from tests.factories import make_track_set, moving_masks
from tracksift.explain import ExplainedVideo, Explanation, judge
from tracksift.video_scores import VideoScorer

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
SIZE = (16, 20)


class Frames:
    """A reader of grey frames, or of noise."""

    def __init__(self, size, noise):
        self._size, self._noise = size, noise

    def read(self, indices):
        rng = np.random.default_rng(0)
        for i in indices:
            shape = (*self._size, 3)
            yield rng.integers(0, 256, shape, np.uint8) if self._noise else np.full(shape, i, np.uint8)

    def close(self):
        pass


def make_video(name="clip", texts=("the square",), *, size=SIZE, noise=False, truth=True, probability=(0.9, 0.2, 0.1)):
    """Expressions "e0", "e1", ... about three moving rectangles; the truth of each is the second one."""
    tracks = make_track_set(3, size=size, video_id=name)
    masks = {"1": rle.encode(moving_masks(1, 6, size))}
    found = []
    for i, text in enumerate(texts):
        expression = Expression(f"e{i}", text, ("1",), (TimeSpan(0.0, 0.5),), "motion")
        scores = TrackScores(name, f"e{i}", np.array(probability), 0.9, "s", "c")
        answer = fuse(tracks, scores, expression, FusionSettings(0.5, 0.5))
        judged = judge(VideoScorer(tracks), answer, masks) if truth else None
        found.append(Explanation(name, expression, answer, judged))
    job = SimpleNamespace(video_id=name, open=lambda: Frames(size, noise))
    return ExplainedVideo(job, tracks, tuple(found))


def failed(name="gone"):
    one = Explanation(name, Expression("e0", "the cup", ("1",)), None, None, "no cache file")
    return ExplainedVideo(SimpleNamespace(video_id=name), None, (one,))
