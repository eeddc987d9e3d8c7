import json

import numpy as np
import pytest

from core.errors import InputError
from core.types import Expression, Source, TrackSet
from miniature import eval_detector
from miniature.eval_detector import CHOICES, app, oracle_scores, own_tracks, read_threshold
from tests.factories import make_track, make_video


def square(left):
    masks = np.zeros((2, 16, 20), dtype=bool)
    masks[:, 4:10, left : left + 6] = True
    return masks


TRACKS = TrackSet(
    make_video(frames=2),
    (
        make_track(square(0)),
        make_track(square(12), source=Source.GROUNDING_DINO, expression_id="a"),
        make_track(square(6), source=Source.GROUNDING_DINO, expression_id="b"),
        make_track(square(12), source=Source.GROUND_TRUTH),
    ),
)


def test_each_choice_has_its_own_tracks_and_truth_has_none():
    chosen = {name: own_tracks(TRACKS, Expression("a", "x"), sources) for name, sources in CHOICES.items()}
    assert chosen == {"detector": [1], "grid": [0], "both": [0, 1]}


def test_the_oracle_scores_what_each_choice_allows(monkeypatch):
    class Job:
        video_id = "v"
        cache = None
        annotated = type("A", (), {"expressions": (Expression("a", "x", ("1",)), Expression("b", "y", ()))})

        def ground_truth(self):
            return {"1": TRACKS.tracks[1].masks}

    monkeypatch.setattr(eval_detector, "read_cache", lambda _: TRACKS)
    scores = oracle_scores(Job())
    assert [(name, round(score.j, 3)) for name, score in scores] == [
        ("detector", 1.0),
        ("grid", 0.0),
        ("both", 1.0),
        ("detector", 1.0),
        ("grid", 1.0),
        ("both", 1.0),
    ]


@pytest.mark.parametrize("text", [None, "{", "{}", '{"threshold": "x"}'])
def test_a_detector_without_a_threshold_of_its_own_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "detector.json").write_text(text)
    with pytest.raises(InputError, match="expected a record with a threshold"):
        read_threshold(tmp_path)


def test_the_threshold_is_the_records(tmp_path):
    (tmp_path / "detector.json").write_text(json.dumps({"threshold": 0.4}))
    assert read_threshold(tmp_path) == 0.4


def test_the_command_measures_at_that_threshold(command, tmp_path, monkeypatch):
    (tmp_path / "detector.json").write_text(json.dumps({"threshold": 0.4}))
    monkeypatch.setattr(eval_detector, "load_detector", lambda *_: type("D", (), {"sha256": "f"}))
    monkeypatch.setattr(eval_detector, "measure_split", lambda *_: [])
    ended = command("--detector", tmp_path, "--clips", 1, app=lambda: app(standalone_mode=False), name="eval")
    assert (ended.code, ended.figures["valid_threshold"], ended.figures["valid_pairs"]) == (0, 0.4, 0)
