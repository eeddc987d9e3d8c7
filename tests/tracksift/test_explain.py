"""Explanations of a split add up with its evaluation, and each cause is told in words."""

from dataclasses import replace

import numpy as np
import pytest

from core import rle
from core.errors import CacheError, CheckpointError, InputError
from core.types import Expression, TrackScores
from fusion.fuse import FusionSettings, fuse
from tests.factories import make_track_set, moving_masks
from tracksift.ask import Pipeline
from tracksift.evaluate import ORACLE, SELECTOR, evaluate
from tracksift.explain import Explanation, explain, explain_split, failures, judge
from tracksift.jobs import split_jobs, video_job
from tracksift.losses import Cause, loss_shares
from tracksift.models import Models
from tracksift.video_scores import VideoScorer

SIZE = (16, 20)


@pytest.fixture
def jobs(world, caches):
    return split_jobs(world, "valid", caches)[1]


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline(device="cpu")


def explained(probability, targets=("1",), presence=0.9, tracks=3):
    """An answer over three moving rectangles, whose objects "0", "1", "2" and "far" are their truth."""
    track_set = make_track_set(tracks)
    truth = {str(i): rle.encode(moving_masks(i, 6, SIZE)) for i in range(3)}
    truth["far"] = rle.encode(np.zeros((6, *SIZE), dtype=bool) | (np.arange(20) > 18))
    expression = Expression("e", "the rectangle", targets)
    scores = TrackScores("clip", "e", np.array(probability), presence, "s", "c")
    answer = fuse(track_set, scores, expression, FusionSettings(0.5, 0.5))
    return Explanation("clip", expression, answer, judge(VideoScorer(track_set), answer, truth))


@pytest.mark.parametrize(
    ("given", "cause", "told"),
    [
        (explained([0.1, 0.9, 0.2]), None, "nothing is lost"),
        (explained([0.1, 0.2, 0.9], ("far",)), Cause.STAGE_1, "stage 1 has lost it"),
        (explained([0.9, 0.2, 0.1]), Cause.RANKING, "#1 at place 2 (0.20), behind #0 (0.90)"),
        (explained([0.1, 0.9, 0.3], ("1", "2")), Cause.THRESHOLD, "could take the first 2 tracks: J&F 1.00"),
        (explained([0.9, 0.8, 0.1], ("0",)), Cause.THRESHOLD, "could take the first track alone: J&F 1.00"),
        (explained([0.1, 0.3, 0.1], presence=0.2), Cause.NO_TARGET, "the answer is that there is none"),
        (explained([0.1, 0.9, 0.1], ()), Cause.NO_TARGET, "no target, but tracks were selected"),
    ],
    ids=["none", "stage 1", "ranking", "too few", "too many", "missed", "invented"],
)
def test_each_cause_is_found_and_told(given, cause, told):
    assert given.loss.cause is cause
    assert given.jf == pytest.approx(1 - given.loss.total)
    assert told in " ".join(given.sentences())
    assert given.answer.why["rule"] in given.sentences()


def test_explanations_of_a_split_add_up_with_its_evaluation(jobs, pipeline):
    found = [one for video in explain_split(jobs, pipeline) for one in video.explanations]
    scored = evaluate(jobs, pipeline, baselines=False)
    figures, oracle = scored.figures(SELECTOR), scored.figures(ORACLE)
    assert len(found) == figures.n
    assert np.mean([one.jf for one in found]) == pytest.approx(figures.jf)
    assert np.mean([one.judged.oracle_jf for one in found]) == pytest.approx(oracle.jf)
    assert sum(loss_shares([one.loss for one in found]).values()) == pytest.approx(1 - figures.jf)
    for one in found:
        assert one.judged.cut_jf <= max(one.judged.oracle_jf, one.jf) + 0.1  # both are found by J alone
        assert set(one.judged.overlap) == {r["index"] for r in one.answer.why["ranking"] if r["competes"]}


def test_some_expressions_and_failures_are_picked_out(jobs, pipeline):
    name = f"{jobs[0].video_id}/{jobs[0].annotated.expressions[2].id}"
    first, second = explain_split(jobs, pipeline, [name])
    assert [f"{one.video_id}/{one.expression.id}" for one in first.explanations] == [name]
    assert second.explanations == ()
    whole = explain(jobs[0], pipeline)
    worst = min(one.jf for one in whole.explanations)
    assert {one.jf for one in failures(whole, worst + 1e-9).explanations} == {worst}
    assert failures(whole, 0.0).explanations == ()


def test_an_unknown_expression_is_named_before_anything_is_explained(jobs):
    with pytest.raises(InputError, match=r"'m1/0': expected one of \d+ as VIDEO/EXPRESSION"):
        explain_split(jobs, Pipeline(Models(selector="gone.safetensors")), ["m1/0"])


def test_a_video_without_a_usable_cache_lost_everything_to_stage_1(jobs, pipeline, tmp_path):
    video = explain(replace(jobs[0], cache=tmp_path / "none.h5"), pipeline)
    assert video.track_set is None
    assert len(video.explanations) == len(jobs[0].annotated.expressions)
    for one in video.explanations:
        assert (one.jf, one.loss.cause, one.loss.total) == (0.0, Cause.STAGE_1, 1.0)
        assert "none.h5" in one.sentences()[0]


def test_without_ground_truth_the_ranking_is_told(caches, pipeline, jobs):
    single = replace(jobs[0], annotated=None, reader=None)
    (one,) = explain(single, pipeline, [Expression("0", "the red star")]).explanations
    assert (one.jf, one.loss, one.judged) == (None, None, None)
    assert one.sentences()[0] == one.answer.why["rule"]
    assert one.sentences()[1].startswith(f"#{one.answer.why['ranking'][0]['index']} (grid, frame ")
    assert failures(explain(single, pipeline, [one.expression]), 1.01).explanations == ()


def test_mistakes_of_the_call_are_no_failures(jobs, pipeline, tiny_video, tmp_path):
    with pytest.raises(CheckpointError, match="gone"):
        explain(jobs[0], Pipeline(Models(selector="gone.safetensors"), "cpu"))
    with pytest.raises(CacheError, match="generate"):
        explain(video_job(tiny_video, tmp_path), pipeline, [Expression("0", "the red star")])
    with pytest.raises(InputError, match="expected expressions to explain"):
        explain(video_job(tiny_video, tmp_path), pipeline)
