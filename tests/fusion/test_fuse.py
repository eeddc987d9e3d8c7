import json

import numpy as np
import pytest

from core import rle
from core.errors import InputError, ScorerMismatchError
from core.types import Expression, MomentScores, Source, TimeSpan, TrackScores, TrackSet
from fusion.fuse import FusionSettings, describe, fuse
from tests.factories import make_track, make_track_set, make_video, moving_masks

ASKED = Expression("e1", "the red star")


def scores(probability, presence=0.9, **changes):
    values = {"video_id": "clip", "expression_id": "e1", "scorer": "s" * 64, "cache": "c" * 64} | changes
    return TrackScores(probability=np.array(probability, dtype=np.float64), presence=presence, **values)


def moments(**changes):
    values = {"video_id": "clip", "expression_id": "e1", "text": "from 0.5 s"} | changes
    spans = (TimeSpan(0.5, 0.75, 0.4), TimeSpan(0.0, 0.25, 0.8))
    return MomentScores(times=np.array([0.0]), relevance=np.array([0.5]), spans=spans, **values)


def test_tracks_above_the_threshold_are_united_best_first():
    tracks = make_track_set(3)
    answer = fuse(tracks, scores([0.6, 0.5, 0.8]), ASKED)
    assert [t.index for t in answer.tracks] == [2, 0]
    assert [t.score for t in answer.tracks] == [0.8, 0.6]
    expected = tracks.tracks[0].decode() | tracks.tracks[2].decode()
    assert (rle.decode(answer.masks, tracks.video.size) == expected).all()
    assert not answer.no_target
    assert answer.no_target_probability == pytest.approx(0.1)


def test_presence_spans_boxes_and_masks_agree_where_a_track_is_absent():
    answer = fuse(make_track_set(1, absent=[[0, 3]]), scores([0.9]), ASKED)
    track = answer.tracks[0]
    assert [(s.start, s.end) for s in track.presence] == [(0.125, 0.375), (0.5, 0.75)]
    assert np.isnan(track.boxes[:, 0]).tolist() == [True, False, False, True, False, False]
    assert (rle.areas(track.masks, (16, 20)) == 0).tolist() == [True, False, False, True, False, False]


def test_mask_of_a_frame_whose_object_score_says_absent_does_not_count():
    track = make_track(moving_masks(0, 3, (16, 20)))
    track.object_score[1] = -1.0
    answer = fuse(TrackSet(make_video(frames=3), (track,)), scores([0.9]), ASKED)
    assert (rle.areas(answer.masks, (16, 20)) > 0).tolist() == [True, False, True]
    assert np.isnan(answer.tracks[0].boxes[1]).all()


def test_best_track_is_taken_when_none_is_above_but_a_target_is_there():
    answer = fuse(make_track_set(3), scores([0.1, 0.4, 0.2], presence=0.7), ASKED)
    assert [t.index for t in answer.tracks] == [1]
    assert "best track" in answer.why["rule"]
    assert "best track" in answer.why["ranking"][0]["reason"]


def test_no_target_when_none_is_above_and_no_target_is_likely():
    answer = fuse(make_track_set(2), scores([0.1, 0.4], presence=0.5), ASKED, moments=moments())
    assert answer.no_target
    assert answer.tracks == answer.moments == ()
    assert (rle.areas(answer.masks, (16, 20)) == 0).all()


def test_both_thresholds_come_from_the_settings():
    tracks, low = make_track_set(2), scores([0.3, 0.1], presence=0.4)
    assert fuse(tracks, low, ASKED).no_target
    assert [t.index for t in fuse(tracks, low, ASKED, FusionSettings(threshold=0.2)).tracks] == [0]
    assert [t.index for t in fuse(tracks, low, ASKED, FusionSettings(0.9, no_target_threshold=0.7)).tracks] == [0]


def test_a_shut_gate_selects_nothing_and_says_so():
    tracks, rule = make_track_set(2), FusionSettings(0.5, 0.5, gate=0.6)
    answer = fuse(tracks, scores([0.9, 0.1], presence=0.25), ASKED, rule)
    assert answer.no_target
    assert answer.why["rule"] == "No target has probability 0.75 (at least 0.60), so no track is selected."
    first, second = (row["reason"] for row in answer.why["ranking"])
    assert first == "Not selected: 0.900 is above 0.50, but no target is too likely."
    assert second == "Not selected: 0.100 is not above 0.50."
    assert (answer.why["threshold"], answer.why["weights"]["rule"]["gate"]) == (0.5, 0.6)
    assert fuse(tracks, scores([0.9, 0.1], presence=0.41), ASKED, rule).why["rule"] == "1 of 2 tracks score above 0.50."
    for presence in (0.0, 0.25):
        open_ = fuse(tracks, scores([0.9, 0.1], presence=presence), ASKED)
        assert not open_.no_target
        assert "gate" not in open_.why["weights"]["rule"]


@pytest.mark.parametrize("changes", [{"threshold": 1.5}, {"no_target_threshold": -0.1}, {"threshold": float("nan")}])
def test_thresholds_outside_0_to_1_are_refused(changes):
    with pytest.raises(InputError, match="expected probabilities"):
        FusionSettings(**changes)


def test_ground_truth_tracks_are_never_selected():
    tracks = make_track_set(2, sources=[Source.GROUND_TRUTH, Source.GRID])
    answer = fuse(tracks, scores([0.99, 0.1], presence=0.99), ASKED)
    assert [t.index for t in answer.tracks] == [1]
    assert answer.why["ranking"][1]["competes"] is False
    assert answer.why["ranking"][1]["reason"] == "Does not compete: it was prompted by ground truth."


@pytest.mark.parametrize("tracks", [make_track_set(0), make_track_set(1, sources=[Source.GROUND_TRUTH])])
def test_no_track_that_may_compete_is_a_no_target_that_says_so(tracks):
    answer = fuse(tracks, scores([0.9] * len(tracks.tracks), presence=0.9), ASKED)
    assert answer.no_target
    assert answer.why["rule"].startswith("There is no track that may compete")


def test_moments_are_kept_apart_from_presence_and_sorted_by_start():
    answer = fuse(make_track_set(1), scores([0.9]), ASKED, moments=moments())
    assert [(m.start, m.score) for m in answer.moments] == [(0.0, 0.8), (0.5, 0.4)]
    assert [(s.start, s.end) for s in answer.tracks[0].presence] == [(0.0, 0.75)]
    assert answer.why["moment_text"] == "from 0.5 s"


def test_why_ranks_every_track_with_its_facts_and_is_json():
    answer = fuse(make_track_set(2, absent=[[], [0, 1, 2]]), scores([0.2, 0.7]), ASKED)
    ranking = json.loads(json.dumps(answer.why))["ranking"]
    assert [r["index"] for r in ranking] == [1, 0]
    assert ranking[0]["present_share"] == 0.5
    assert ranking[0]["mean_area"] == 16.0
    assert ranking[0]["prompt_frame"] == 3
    assert ranking[0]["reason"] == "Selected: 0.700 is above 0.50."
    assert ranking[1]["reason"] == "Not selected: 0.200 is not above 0.50."


def test_facts_of_a_track_that_is_never_there_are_zero():
    facts = describe(make_track(np.zeros((3, 4, 4), dtype=bool)))
    assert (facts.mean_area, facts.present_share) == (0.0, 0.0)


def test_facts_given_are_used_and_counted():
    tracks = make_track_set(2)
    facts = [describe(t) for t in tracks.tracks]
    assert fuse(tracks, scores([0.9, 0.1]), ASKED, facts=facts).why == fuse(tracks, scores([0.9, 0.1]), ASKED).why
    with pytest.raises(InputError, match="facts of 2 tracks, got 1"):
        fuse(tracks, scores([0.9, 0.1]), ASKED, facts=facts[:1])


@pytest.mark.parametrize(
    ("given", "extra", "error", "message"),
    [
        (scores([0.9]), {}, InputError, "a score for each of 2 tracks, got 1"),
        (scores([0.9, 0.1], video_id="other"), {}, InputError, "track scores: expected those of video 'clip'"),
        (scores([0.9, 0.1], expression_id="e2"), {}, InputError, "got video 'clip', expression 'e2'"),
        (scores([0.9, 0.1]), {"moments": moments(video_id="other")}, InputError, "moment scores: expected those"),
        (scores([0.9, 0.1]), {"cache_sha256": "d" * 64}, ScorerMismatchError, "score the cache again"),
    ],
)
def test_scores_of_something_else_are_refused(given, extra, error, message):
    with pytest.raises(error, match=message):
        fuse(make_track_set(2), given, ASKED, **extra)


def test_scores_of_the_same_cache_are_taken():
    assert fuse(make_track_set(1), scores([0.9]), ASKED, cache_sha256="c" * 64).tracks
