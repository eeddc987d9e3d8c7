import numpy as np
import pytest

from core.errors import InputError
from core.scores import write_scores
from core.types import BoxScores, Expression, MomentScores, TrackScores
from fusion.fuse import fuse
from fusion.score_files import read_words, scores_of
from fusion.settings import FusionSettings, Weights
from tests.factories import make_track_set


def tracks(expression, video="clip", scorer="s"):
    return TrackScores(video, expression, np.array([0.9, 0.2]), 0.75, scorer, "c")


def moments(expression, scorer="g"):
    return MomentScores("clip", expression, np.zeros(0), np.zeros(0), (), scorer=scorer)


def boxes(expression):
    return BoxScores("clip", expression, np.array([0]), np.array([[1.0, 2, 3, 4]]), np.array([1.0]), "b")


@pytest.fixture
def files(tmp_path):
    write_scores(tmp_path / "tracks.jsonl", [tracks("1"), tracks("0", "other"), tracks("0"), moments("1")])
    write_scores(tmp_path / "moments.jsonl", [moments("0"), boxes("1"), moments("9")])
    write_scores(tmp_path / "reranks.jsonl", [tracks("1", scorer="r"), moments("1")])
    return tmp_path


def test_words_meet_by_video_and_expression_and_strangers_are_counted(files):
    words = read_words(files / "tracks.jsonl", files / "moments.jsonl", files / "reranks.jsonl")
    assert (len(words), words.unused, list(words.by_video)) == (3, 1, ["clip", "other"])
    one, none = words.by_video["clip"]
    assert (one.tracks.expression_id, one.moments) == ("1", None)
    assert one.scorers() == {"tracks": "s", "reranks": "r", "boxes": "b"}
    assert none.scorers() == {"tracks": "s", "moments": "g"}
    assert words.scorers() == {"tracks": "s", "moments": "g", "reranks": "r", "boxes": "b"}
    assert one.evidence(make_track_set(2)).reranks.scorer == "r"


def test_track_scores_alone_are_enough(files):
    words = read_words(files / "tracks.jsonl")
    assert words.unused == 0
    assert words.by_video["clip"][0].moments is None


def test_a_file_without_track_scores_and_two_scorers_of_a_kind_are_refused(files):
    with pytest.raises(InputError, match=r"moments\.jsonl: expected track scores, got none"):
        read_words(files / "moments.jsonl")
    write_scores(files / "two.jsonl", [tracks("0"), tracks("1", scorer="t")])
    with pytest.raises(InputError, match="tracks scores: expected one scorer, got 's' and 't'"):
        read_words(files / "two.jsonl").scorers()


def test_the_scores_behind_an_answer_come_back():
    given = TrackScores("clip", "e", np.array([0.2, 0.9, 0.55]), 0.75, "s", "c")
    back = scores_of(fuse(make_track_set(3), given, Expression("e", "the star")))
    assert back.probability.tolist() == given.probability.tolist()
    assert (back.presence, back.scorer, back.cache) == (0.75, "s", "c")
    fused = fuse(
        make_track_set(2), tracks("e"), Expression("e", "the star"), Weights("gated", FusionSettings()), moments("e")
    )
    with pytest.raises(InputError, match="expected one of mode 'tracks', got one of mode 'gated'"):
        scores_of(fused)
