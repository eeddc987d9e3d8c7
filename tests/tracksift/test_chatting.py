"""Videos and caches become questions to a chat model, and what it says becomes scores."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.protocol import BenchmarkVideo
from cache import write_cache
from core.errors import InputError, ScorerMismatchError
from core.types import Expression, Source, TrackScores
from llm_grounder.chat.asking import ChatReply
from tests.factories import make_track_set, make_video
from tracksift.chatting import Sight, asked_videos, chat_moments, chat_rerank, shown, spread
from tracksift.jobs import Job

SIZE, COUNT, FPS = (40, 60), 12, 4.0
SAID = (Expression("0", "the red star"), Expression("1", "a ring grows"))


class Says:
    """A chat model that says one text after another and notes what it was asked."""

    sha256 = "chat"

    def __init__(self, *texts):
        self.texts, self.asked = list(texts), []

    def answer(self, asks, progress=None):
        self.asked += asks
        return [ChatReply(self.texts.pop(0)) for _ in asks]


@pytest.fixture
def job(tmp_path):
    """Twelve frames of rising brightness, two expressions, and a cache of a grid, a true and a grid track."""
    folder = tmp_path / "clip"
    folder.mkdir()
    names = tuple(f"{i:05d}" for i in range(COUNT))
    for i, name in enumerate(names):
        Image.fromarray(np.full((*SIZE, 3), 10 * i, dtype=np.uint8)).save(folder / f"{name}.png")
    annotated = BenchmarkVideo("clip", folder, names, FPS, SAID, ())
    return Job("clip", folder, tmp_path / "clip.h5", FPS, names, annotated)


@pytest.fixture
def cache_sha256(job):
    sources = [Source.GRID, Source.GROUND_TRUTH, Source.GRID]
    return write_cache(job.cache, make_track_set(3, frames=COUNT, size=SIZE, fps=FPS, sources=sources))


def test_every_expression_gets_scores_at_the_frames_that_were_shown(job, cache_sha256):
    model, done = Says("0.0 - 1.0 seconds.", "sometimes"), []
    scores, counts = chat_moments(asked_videos([job]), model, Sight(4, 30), lambda at, of: done.append((at, of)))
    assert [score.expression_id for score in scores] == ["0", "1"]
    assert scores[0].times.tolist() == [0.25, 1.0, 1.75, 2.5]
    assert scores[0].relevance.tolist() == [1, 0, 0, 0]
    assert (scores[0].spans[0].end, scores[1].spans, scores[1].text) == (1.0, (), "sometimes")
    assert {(score.cache, score.scorer) for score in scores} == {(cache_sha256, "chat")}
    assert (counts.compute()["replies"], counts.compute()["failures_no_items"], done) == (2, 1, [(1, 1)])
    assert [picture.shape for picture in model.asked[0].pictures] == [(20, 30, 3)] * 4
    assert [int(picture[0, 0, 0]) for picture in model.asked[0].pictures] == [10, 40, 70, 100]
    assert "a ring grows" in model.asked[1].parts[-1]


def test_a_video_without_a_cache_is_asked_too(job):
    scores, _ = chat_moments(asked_videos([job]), Says("none", "none"))
    assert [score.cache for score in scores] == ["", ""]
    assert len(scores[0].times) == COUNT


def test_only_competing_tracks_are_numbered_and_a_failure_keeps_the_old_scores(job, cache_sha256):
    old = [
        TrackScores("clip", each.id, np.array([0.2, 0.9, 0.6]), 0.7, "selector", cache_sha256) for each in SAID
    ]  # fmt: skip
    model = Says("2", "the large one")
    new, counts = chat_rerank([job], old, model)
    assert new[0].probability.tolist() == [1, 0, 0]  # number 2 is track 0: the true track has no number
    assert (new[0].scorer, new[0].presence, new[0].cache) == ("chat", 1.0, cache_sha256)
    assert new[1] is old[1]
    assert counts.failures == 1
    assert "from 1 to 2" in model.asked[0].parts[-1]


def test_boxes_shrink_with_the_picture(job, cache_sha256):
    score = TrackScores("clip", "0", np.array([0.9, 0.0, 0.1]), 0.7, "selector", cache_sha256)
    model = Says("1")
    chat_rerank([job], [score], model, top=1, sight=Sight(1, 30))
    picture = model.asked[0].pictures[0].astype(int)
    rows, columns = np.nonzero(np.ptp(picture, axis=-1))
    assert picture.shape == (20, 30, 3)
    assert len(rows)
    assert columns.max() <= 12  # the box of frame 6 ends at pixel 16 of 60, with its number 12 wide at most


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"cache": "other"}, ScorerMismatchError, "expected track scores of cache"),
        ({"probability": np.zeros(2)}, ScorerMismatchError, "expected track scores of cache"),
        ({"expression_id": "9"}, InputError, "expected an expression of it, got '9'"),
        ({"video_id": "else"}, InputError, "got 'else'"),
    ],
)
def test_scores_of_something_else_are_refused(job, cache_sha256, changes, error, message):
    usual = {
        "video_id": "clip", "expression_id": "0", "probability": np.zeros(3), "presence": 0.5, "scorer": "",
        "cache": cache_sha256,
    }  # fmt: skip
    with pytest.raises(error, match=message):
        chat_rerank([job], [TrackScores(**(usual | changes))], Says("1"))


@pytest.mark.parametrize(("most", "wanted"), [(1, [6]), (3, [2, 6, 10]), (12, list(range(12))), (99, list(range(12)))])
def test_frames_are_spread_over_the_video(most, wanted):
    assert spread(make_video(frames=12), most).tolist() == wanted


def test_pictures_only_shrink_and_nothing_is_not_shown():
    frames = np.zeros((2, 10, 30, 3), dtype=np.uint8)
    assert shown(frames, 30) is frames
    assert shown(frames, 15).shape == (2, 5, 15, 3)
    with pytest.raises(InputError, match="--frames"):
        Sight(0)
    with pytest.raises(InputError, match="--side"):
        Sight(4, 8)
