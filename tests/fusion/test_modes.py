"""Each mode on two rectangles that are present in halves of six frames of 1/8 s, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from core import rle
from core.errors import InputError, ScorerMismatchError
from core.types import BoxScores, Expression, MomentScores, TimeSpan, TrackScores, TrackSet
from fusion.fuse import fuse
from fusion.modes import mix
from fusion.settings import FusionSettings, GrounderSettings, MomentSettings, Weights
from tests.factories import make_track, make_track_set, make_video, moving_masks

ASKED = Expression("e1", "the red star")
NAN = float("nan")
FIRST, SECOND = TimeSpan(0.0, 0.375, 0.9), TimeSpan(0.375, 0.75, 0.8)
"""The first and the last three of the six frames."""


def scores(probability, presence=0.9, **changes):
    values = {"video_id": "clip", "expression_id": "e1", "scorer": "s" * 64, "cache": "c" * 64} | changes
    return TrackScores(probability=np.array(probability, dtype=np.float64), presence=presence, **values)


def moments(*spans, times=(), relevance=(), **changes):
    values = {"video_id": "clip", "expression_id": "e1", "scorer": "g" * 64} | changes
    return MomentScores(times=np.array(times, dtype=float), relevance=np.array(relevance, float), spans=spans, **values)


def boxes(frames, rows, probability=None):
    sure = np.ones(len(frames)) if probability is None else np.array(probability)
    return BoxScores("clip", "e1", np.array(frames), np.array(rows, dtype=float), sure)


def halves():
    """Track 0 in frames 0 to 2, track 1 in frames 3 to 5."""
    return make_track_set(2, absent=[[3, 4, 5], [0, 1, 2]])


def weights(mode, threshold=0.5, *, moments=None, grounder=None, **rule):
    rule = FusionSettings(threshold, **rule)
    return Weights(mode, rule, moments or MomentSettings(), grounder or GrounderSettings())


def there(masks):
    return (rle.areas(masks, (16, 20)) > 0).tolist()


def indices(answer):
    return [track.index for track in answer.tracks]


def test_tracks_alone_are_not_moved_by_spans():
    answer = fuse(halves(), scores([0.8, 0.6]), ASKED, weights("tracks"), moments(SECOND))
    assert (indices(answer), there(answer.masks)) == ([0, 1], [True] * 6)
    assert answer.moments == (SECOND,)
    assert (answer.why["mode"], answer.why["grounders"]) == ("tracks", {"moments": "g" * 64})


def test_gated_masks_boxes_and_presence_hold_inside_the_spans_alone():
    answer = fuse(make_track_set(1), scores([0.9]), ASKED, weights("gated"), moments(SECOND))
    assert there(answer.masks) == there(answer.tracks[0].masks) == [False] * 3 + [True] * 3
    assert np.isnan(answer.tracks[0].boxes[:, 0]).tolist() == [True] * 3 + [False] * 3
    assert [(s.start, s.end) for s in answer.tracks[0].presence] == [(0.375, 0.75)]
    assert "3 of 6 frames inside 1 span." in answer.why["rule"]


def test_gated_keeps_a_chosen_track_that_the_moment_leaves_out_as_long_as_another_is_there():
    answer = fuse(halves(), scores([0.8, 0.6]), ASKED, weights("gated"), moments(SECOND))
    assert indices(answer) == [0, 1]
    assert answer.tracks[0].presence == ()
    assert there(answer.masks) == [False] * 3 + [True] * 3


@pytest.mark.parametrize(
    ("spans", "settings", "said"),
    [
        ((), MomentSettings(), "No span counts"),
        ((SECOND,), MomentSettings(least=0.85), "No span counts"),
        ((SECOND,), MomentSettings(), "No selected track is there inside"),
    ],
)
def test_gated_masks_hold_everywhere_where_the_moment_would_leave_nothing(spans, settings, said):
    answer = fuse(halves(), scores([0.8, 0.1]), ASKED, weights("gated", moments=settings), moments(*spans))
    assert there(answer.masks) == [True] * 3 + [False] * 3
    assert said in answer.why["rule"]


def test_a_grounder_that_sees_nothing_makes_a_no_target_by_its_share_of_presence():
    word = moments(times=[0.1], relevance=[0.01])
    low = scores([0.4, 0.1], presence=0.7)
    assert indices(fuse(halves(), low, ASKED, weights("gated"), word)) == [0]
    answer = fuse(halves(), low, ASKED, weights("gated", grounder=GrounderSettings(presence=0.5)), word)
    assert answer.no_target
    assert answer.tracks == answer.moments == ()
    assert there(answer.masks) == [False] * 6
    assert answer.no_target_probability == pytest.approx(1 - mix(np.array(0.7), np.array(0.01), 0.5))


def test_dtos_takes_the_track_of_the_moment_though_the_other_scores_more_and_keeps_it_in_all_frames():
    tracks = make_track_set(2, absent=[[3, 4, 5], [0, 1]])
    word, sure = moments(SECOND), GrounderSettings(tracks=1.0)
    answer = fuse(tracks, scores([0.8, 0.6]), ASKED, weights("dtos", grounder=sure), word)
    assert indices(answer) == [1]
    assert there(answer.masks) == [False, False, True, True, True, True]  # not cut at the span
    assert (answer.why["key_frames"], answer.why["agreement"]) == ([3, 4, 5], [0.0, 1.0])
    assert "3 key frames from 1 span" in answer.why["rule"]
    none = fuse(tracks, scores([0.8, 0.6]), ASKED, weights("dtos", grounder=GrounderSettings(tracks=0)), word)
    assert indices(none) == [0, 1]


def test_dtos_without_spans_looks_at_the_whole_video():
    answer = fuse(halves(), scores([0.8, 0.6]), ASKED, weights("dtos", 0.3), moments())
    assert answer.why["key_frames"] == [0, 1, 2, 3, 4, 5]
    assert answer.why["agreement"] == [0.5, 0.5]
    assert [t.score for t in answer.tracks] == pytest.approx([0.8 * 0.5**0.5, 0.6 * 0.5**0.5])
    assert "no span counts" in answer.why["rule"]


def test_dtos_weighs_tracks_by_the_grounders_boxes_on_the_key_frames():
    tracks = make_track_set(2)
    told = tracks.tracks[1].boxes  # the grounder sees track 1, but on frame 1, which is no key frame
    seen = boxes([1, 3, 4], [tracks.tracks[0].boxes[1], told[3], [NAN] * 4])
    sure = weights("dtos", 0.3, grounder=GrounderSettings(tracks=1.0))
    answer = fuse(tracks, scores([0.9, 0.4]), ASKED, sure, moments(SECOND), boxes=seen)
    assert indices(answer) == [1]
    assert answer.tracks[0].score == pytest.approx(0.4)
    assert answer.why["agreement"] == [0.0, 1.0]
    assert "overlap with the grounder's boxes" in answer.why["rule"]
    elsewhere = fuse(tracks, scores([0.9, 0.4]), ASKED, sure, moments(FIRST), boxes=boxes([5], told[5:]))
    assert "presence there" in elsewhere.why["rule"]  # no box on a key frame


def test_reranked_mixes_the_grounders_scores_into_the_best_tracks_alone():
    given, word = scores([0.6, 0.5, 0.4]), scores([0.1, 0.9, 1.0], scorer="r" * 64)
    mode = weights("reranked", grounder=GrounderSettings(tracks=0.5, top=2))
    answer = fuse(make_track_set(3), given, ASKED, mode, reranks=word)
    assert indices(answer) == [1]
    assert answer.tracks[0].score == pytest.approx(0.75)  # the middle of the logits of 1/2 and 9/10
    assert [(row["index"], row["score"]) for row in answer.why["ranking"]][1] == (2, 0.4)  # untouched
    assert answer.why["word"] == {"0": 0.1, "1": 0.9}
    assert answer.why["grounders"] == {"reranks": "r" * 64}


def test_reranked_without_the_grounders_scores_reads_the_relevance_of_the_frames():
    word = moments(times=[0.0, 0.374, 0.376, 0.75], relevance=[0.9, 0.9, 0.1, 0.1])
    answer = fuse(halves(), scores([0.6, 0.7]), ASKED, weights("reranked"), word)
    assert indices(answer) == [0]
    assert answer.why["word"] == {"1": 0.1, "0": 0.9}
    assert answer.tracks[0].score == pytest.approx(float(mix(np.array(0.6), np.array(0.9), 0.5)))


@pytest.mark.parametrize("mode", ["gated", "dtos", "reranked"])
def test_a_mode_without_the_grounders_word_is_refused_by_name(mode):
    with pytest.raises(InputError, match=rf"'clip', expression 'e1': expected .*moment scores for mode '{mode}'"):
        fuse(halves(), scores([0.8, 0.6]), ASKED, weights(mode))


def test_overlapping_tracks_keep_their_identities_and_share_no_pixel():
    masks = np.zeros((2, 3, 16, 20), dtype=bool)
    masks[0, :, 2:8, 2:8], masks[1, :2, 2:8, 5:12], masks[1, 2, 3:5, 3:5] = True, True, True
    tracks = TrackSet(make_video(frames=3), tuple(make_track(mask) for mask in masks))
    best, other = fuse(tracks, scores([0.9, 0.8]), ASKED, weights("tracks")).tracks
    decoded = [rle.decode(track.masks, (16, 20)) for track in (best, other)]
    assert (decoded[0] == masks[0]).all()
    assert (decoded[1][:2] == (masks[1] & ~masks[0])[:2]).all()
    assert other.boxes[0].tolist() == [8, 2, 12, 8]
    assert np.isnan(other.boxes[2]).all()  # covered entirely
    assert [(s.start, s.end) for s in other.presence] == [(0.0, 0.25)]
    answer = fuse(tracks, scores([0.9, 0.8]), ASKED, weights("tracks"))
    assert (rle.decode(answer.masks, (16, 20)) == masks.any(axis=0)).all()


def test_a_second_track_of_the_same_object_is_left_out_and_the_best_alone_is_taken_where_one_is_tracked():
    track = make_track(moving_masks(0, 6, (16, 20)))
    tracks = TrackSet(make_video(), (track, track, make_track(moving_masks(1, 6, (16, 20)))))
    given = scores([0.9, 0.8, 0.7])
    assert indices(fuse(tracks, given, ASKED, weights("tracks"))) == [0, 1, 2]
    answer = fuse(tracks, given, ASKED, weights("tracks", same_iou=0.7))
    assert indices(answer) == [0, 2]
    assert "better track stands for it" in answer.why["ranking"][1]["reason"]
    single = fuse(tracks, given, ASKED, weights("tracks", most=1))
    assert indices(single) == [0]
    assert np.array_equal(single.tracks[0].boxes, track.boxes)


@pytest.mark.parametrize(
    ("extra", "error", "message"),
    [
        ({"reranks": scores([0.9])}, InputError, "a score for each of 2 tracks, got 1"),
        ({"reranks": scores([0.9, 0.1], cache="d" * 64)}, ScorerMismatchError, "grounder's track scores made for"),
        ({"moments": moments(FIRST, cache="d" * 64)}, ScorerMismatchError, "moment scores made for cache cccc"),
        ({"boxes": replace(boxes([0], [[1, 2, 3, 4]]), video_id="other")}, InputError, "boxes: expected those of"),
        ({"boxes": boxes([6], [[1, 2, 3, 4]])}, InputError, "frames below 6, got one on 6"),
    ],
)
def test_a_grounders_word_about_something_else_is_refused(extra, error, message):
    with pytest.raises(error, match=message):
        fuse(halves(), scores([0.9, 0.1]), ASKED, cache_sha256="c" * 64, **extra)


def test_a_grounder_that_looked_at_no_cache_is_fused_with_any():
    assert fuse(halves(), scores([0.9, 0.1]), ASKED, moments=moments(FIRST), cache_sha256="c" * 64).tracks
