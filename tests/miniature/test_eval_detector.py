import json
from dataclasses import replace

import numpy as np

from core import rle
from core.types import Expression, Source, TrackSet
from miniature import eval_detector
from miniature.eval_detector import CHOICES, allowed, app, follow_clip, oracle_scores, own_tracks
from miniature.splits import find_split
from miniature.world import make_clip
from proposals.detector import Detection
from tests.factories import make_track, make_video
from tracksift.ask import Pipeline


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


class Seeing:
    """A detector that finds the first object for any text."""

    sha256 = name = "seeing"

    def __init__(self, clip):
        self.clip = clip

    def read(self, texts):
        return type("T", (), {"cut": [False] * len(texts), "count": len(texts)})

    def detect(self, image, texts, box_threshold, text_threshold):
        t = next(i for i, frame in enumerate(self.clip.frames) if np.array_equal(frame, image))
        ys, xs = np.nonzero(self.clip.masks[0, t])
        found = [Detection((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), 0.9, "it")] if len(ys) else []
        return [found] * texts.count


def test_a_clips_tracks_of_both_sources_are_scored_by_what_each_allows():
    clip = make_clip(find_split("valid").first_seed, frames=6)
    pipeline = Pipeline(device="cpu")
    tracks = follow_clip(clip, pipeline, Seeing(clip), replace(pipeline.detector_settings, stability=0.1))
    first = Expression("q", "the first", (clip.objects[0].id,))
    truth = {thing.id: rle.encode(masks) for thing, masks in zip(clip.objects, clip.masks, strict=True)}
    assert {track.source for track in tracks.tracks} == {Source.GRID, Source.GROUNDING_DINO}
    own = clip.expressions[0]
    scores = dict(allowed(tracks, [replace(first, id=own.id)], truth))
    assert scores["detector"].j > 0.7
    assert scores["both"].j >= max(scores["detector"].j, scores["grid"].j) - 1e-6


def test_the_command_measures_at_that_threshold(command, tmp_path, monkeypatch):
    (tmp_path / "detector.json").write_text(json.dumps({"threshold": 0.4}))
    monkeypatch.setattr("proposals.detector.load_detector", lambda *_: type("D", (), {"sha256": "f"}))
    monkeypatch.setattr(eval_detector, "measure_split", lambda *_: [])
    ended = command(tmp_path, "--clips", 1, app=lambda: app(standalone_mode=False), name="eval")
    assert (ended.code, ended.figures["valid_threshold"], ended.figures["valid_pairs"]) == (0, 0.4, 0)
