"""A split's evaluation: shuffled texts, the tracks that may compete, failures, and models that cannot be used."""

from dataclasses import replace

import pytest

from core.candidates import competing
from core.errors import CheckpointError, InputError
from core.types import Source
from tests.factories import make_track_set
from tracksift.ask import Pipeline
from tracksift.evaluate import ORACLE, RANDOM, SELECTOR, SHUFFLED, evaluate, shuffled_texts
from tracksift.jobs import split_jobs, video_job
from tracksift.models import Models


@pytest.fixture
def jobs(world, caches):
    return split_jobs(world, "valid", caches)[1]


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline(device="cpu")


def test_shuffled_expressions_keep_their_targets_and_take_another_videos_words(jobs):
    borrowed = shuffled_texts(jobs)
    for job, other in zip(jobs, reversed(jobs), strict=True):
        own, taken = job.annotated.expressions, borrowed[job.video_id]
        assert [e.target_ids for e in taken] == [e.target_ids for e in own]
        assert {e.text for e in taken} <= {e.text for e in other.annotated.expressions}


def test_tracks_of_ground_truth_never_compete():
    tracks = make_track_set(3, sources=[Source.GRID, Source.GROUND_TRUTH, Source.GRID])
    assert competing(tracks, "0").tolist() == [0, 2]


def test_every_policy_is_scored_on_every_expression(jobs, pipeline):
    seen = []
    result = evaluate(jobs, pipeline, progress=lambda *step: seen.append(step))
    assert seen == [(1, 2), (2, 2)]
    count = sum(len(j.annotated.expressions) for j in jobs)
    assert {policy: result.figures(policy).n for policy in result.scores} == dict.fromkeys(result.scores, count)
    assert {SELECTOR, ORACLE, RANDOM, SHUFFLED} < set(result.scores)
    assert result.best_blind()[1].jf <= result.figures(ORACLE).jf
    again = evaluate(jobs, pipeline)
    assert {p: again.figures(p) for p in again.scores} == {p: result.figures(p) for p in result.scores}


def test_a_video_without_a_cache_counts_0_in_every_policy(jobs, pipeline, tmp_path):
    absent = replace(jobs[0], cache=tmp_path / "none.h5")
    whole, part = evaluate(jobs, pipeline), evaluate([absent, jobs[1]], pipeline)
    assert list(part.failures) == [jobs[0].video_id]
    assert {p: part.figures(p).n for p in part.scores} == {p: whole.figures(p).n for p in whole.scores}
    assert part.figures(ORACLE).jf < whole.figures(ORACLE).jf
    assert part.figures(SELECTOR).failures == len(jobs[0].annotated.expressions)


def test_a_model_that_cannot_be_used_is_not_a_videos_failure(jobs, tmp_path):
    with pytest.raises(CheckpointError, match=r"gone"):
        evaluate(jobs, Pipeline(Models(selector=str(tmp_path / "gone.safetensors")), "cpu"))


def test_a_video_without_annotations_is_refused(pipeline, tiny_video, tmp_path):
    with pytest.raises(InputError, match="'clip': expected"):
        evaluate([video_job(tiny_video, tmp_path)], pipeline)


def test_the_selectors_losses_add_up_and_its_probabilities_are_judged(jobs, pipeline, tmp_path):
    result = evaluate(jobs, pipeline, baselines=False)
    found = result.selection()
    assert {"no_target_f1", "ece", "presence_ece"} < set(found)
    lost = sum(value for name, value in found.items() if name.startswith("lost_by_"))
    assert lost == pytest.approx(1 - result.figures(SELECTOR).jf, abs=1e-6)
    assert result.reliability.presence.n == result.figures(SELECTOR).n
    part = evaluate([replace(jobs[0], cache=tmp_path / "none.h5"), jobs[1]], pipeline, baselines=False)
    lost = sum(value for name, value in part.selection().items() if name.startswith("lost_by_"))
    assert lost == pytest.approx(1 - part.figures(SELECTOR).jf, abs=1e-6)
    assert part.reliability.presence.n < result.reliability.presence.n
