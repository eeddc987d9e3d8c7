"""A grounder behind the page's panels: every task becomes remarks within the film, or a sentence why it cannot."""

import shutil

import numpy as np
import pytest

from cache import cache_path, open_cache
from core.errors import CheckpointError, ScorerMismatchError, TrackSiftError
from core.images import load_image_encoder
from core.types import TimeSpan
from llm_grounder import types as asked
from llm_grounder.checkpoints import load_grounder
from tests.tracksift.web.watching import write_grounder
from tracksift import models
from tracksift.jobs import split_jobs
from tracksift.models import WEIGHTS, grounder_folder
from tracksift.web.grounders import Request, Task, check_request
from tracksift.web.spans import best_spans, highlights, relevant_spans
from tracksift.web.watcher import Watcher, learnt, load_watcher, region_of

CLIP = str(WEIGHTS / "clip")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_grounder(tmp_path_factory.mktemp("random") / "grounder")


@pytest.fixture(scope="module")
def watcher(folder):
    return load_watcher(folder, CLIP, "cpu")


@pytest.fixture(scope="module")
def job(world, caches, tmp_path_factory):
    """A clip of 10 frames with tracks and without features."""
    root = shutil.copytree(caches, tmp_path_factory.mktemp("films") / "caches")
    return split_jobs(world, "valid", root)[1][0]


def ask(watcher, job, task, words="", **values):
    request = Request(task, job, words, **values)
    return list(check_request(watcher, request).remarks(request))


def test_it_can_do_what_its_record_counts_and_its_heads_allow(watcher):
    assert watcher.tasks == frozenset(Task)
    assert watcher.name == "grounder"


@pytest.mark.parametrize(
    ("values", "able"),
    [
        ({"tasks": ("qa",)}, {Task.QUESTION, Task.DUET}),
        ({"tasks": ("moments", "captions"), "frame_heads": False, "spans": 0, "manner": {"windows": "words"}},
         {Task.MOMENTS, Task.CAPTIONS}),
        ({"tasks": ("reg",), "group": 0}, {Task.DESCRIBE}),
        ({"tasks": ("qa",), "inputs": {"tracks": 4}}, {Task.QUESTION}),
        ({"tasks": ("qa",), "inputs": {"tracks": 4, "trackless": True}}, {Task.QUESTION, Task.DUET}),
    ],
)  # fmt: skip
def test_what_it_did_not_learn_is_not_offered(tmp_path, values, able):
    assert load_watcher(write_grounder(tmp_path / "g", **values), CLIP, "cpu").tasks == able


def test_moments_are_spans_of_the_film_with_scores_in_the_order_of_time(watcher, job):
    found = ask(watcher, job, Task.MOMENTS, "a red star spins")
    end = open_cache(job.cache).video.end
    assert 1 <= len(found) <= 5
    assert all(r.text == "a red star spins" and 0 <= r.span.start < r.span.end <= end for r in found)
    assert [r.span.start for r in found] == sorted(r.span.start for r in found)
    assert all(0 <= r.span.score <= 1 for r in found)


@pytest.mark.parametrize("windows", ["words", "relevance"])
def test_moments_are_also_said_in_words_or_read_off_the_relevance(tmp_path, job, windows):
    spans = 0 if windows == "words" else 4
    other = load_watcher(write_grounder(tmp_path / "g", manner={"windows": windows}, spans=spans), CLIP, "cpu")
    found = ask(other, job, Task.MOMENTS, "a red star spins")
    assert all(r.span.end <= open_cache(job.cache).video.end for r in found)
    assert found or windows == "words"  # words may say that there is none


def test_captions_are_sentences_with_times(watcher, job):
    found = ask(watcher, job, Task.CAPTIONS)
    assert all(r.text and r.span.start < r.span.end for r in found)


def test_highlights_take_a_share_of_the_film_with_and_without_words(watcher, job):
    for words in ("", "a red star"):
        (one,) = ask(watcher, job, Task.HIGHLIGHTS, words)  # of a film shorter than two seconds
        assert one.text == (words or "highlight")
        assert one.span.start == 0


def test_a_question_is_answered_in_a_line(watcher, job):
    (one,) = ask(watcher, job, Task.QUESTION, "what happens?")
    assert one.text
    assert "\n" not in one.text
    assert one.span is None


def test_a_track_is_described_at_the_frame_that_shows_it(watcher, job):
    cached = open_cache(job.cache)
    (one,) = ask(watcher, job, Task.DESCRIBE, track=0)
    assert one.text.startswith("Track 0: ")
    region = region_of(Request(Task.DESCRIBE, job, track=0))
    track = cached.track_set().tracks[0]
    first = np.flatnonzero(track.present)[0]
    assert region.time == cached.video.timestamps[first]
    assert np.allclose(np.array(region.box) * 256, track.boxes[first], atol=0.01)


def test_the_duet_speaks_in_the_order_of_time_and_not_before_it_is_asked(watcher, job):
    found = ask(watcher, job, Task.DUET, "what happens?", at=0.5)
    assert found
    assert all(r.span.start >= 0.25 for r in found)
    assert [r.span.start for r in found] == sorted(r.span.start for r in found)
    assert ask(watcher, job, Task.DUET, at=99.0)  # a question after the end is answered at the end


def test_features_are_made_once_and_leave_the_tracks_as_they_are(watcher, job):
    before = open_cache(job.cache).content_sha256
    ask(watcher, job, Task.QUESTION, "what?")
    stamp = job.cache.stat().st_mtime_ns
    ask(watcher, job, Task.QUESTION, "who?")
    assert (open_cache(job.cache).content_sha256, job.cache.stat().st_mtime_ns) == (before, stamp)


def test_a_film_whose_cache_is_gone_is_a_sentence(watcher, job, tmp_path):
    gone = type(job)(job.video_id, job.frames_path, cache_path(tmp_path, "a", "b", "c"), job.fps, job.frame_names)
    with pytest.raises(TrackSiftError, match="expected a cache file, got none"):
        ask(watcher, gone, Task.CAPTIONS)


def test_another_encoder_than_that_of_the_training_is_refused(tmp_path):
    other = write_grounder(tmp_path / "g", inputs={"encoder": "0" * 64})
    with pytest.raises(ScorerMismatchError, match="--encoder"):
        load_watcher(other, CLIP, "cpu")


def test_a_record_without_manner_is_refused(folder):
    grounder, record = load_grounder(folder)
    with pytest.raises(CheckpointError, match="manner of asking"):
        Watcher(grounder, {"inputs": record["inputs"]}, load_image_encoder(CLIP, "cpu"), "x")


def test_a_record_that_counts_nothing_promises_everything():
    assert learnt({}) == frozenset(asked.Task)
    assert learnt({"drawn": {"qa": 3, "moments": 0}}) == {asked.Task.QA}


def test_the_miniature_s_grounder_is_found_by_name(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    assert grounder_folder("runs/mine").name == "mine"
    assert grounder_folder("miniature") == tmp_path / "grounder"


def test_the_best_spans_are_told_once_and_the_best_one_always():
    spans = [TimeSpan(0, 2, 0.9), TimeSpan(0.2, 2, 0.8), TimeSpan(4, 5, 0.4), TimeSpan(6, 7, 0.1)]
    assert [s.start for s in best_spans(tuple(spans))] == [0, 4]
    assert best_spans((TimeSpan(6, 7, 0.1), TimeSpan(1, 2, 0.05))) == (TimeSpan(6, 7, 0.1),)
    assert best_spans(()) == ()


def test_relevant_runs_and_highlights_follow_the_relevance():
    times, relevance = np.arange(10.0), np.array([0.1, 0.8, 0.9, 0.1, 0.1, 0.1, 0.1, 0.6, 0.1, 0.1])
    runs = relevant_spans(times, 10.0, relevance)
    assert [(s.start, s.end, s.score) for s in runs] == [(1.0, 3.0, 0.9), (7.0, 8.0, 0.6)]
    (best,) = highlights(times, 10.0, relevance)
    assert (best.start, best.end) == (2.0, 4.0)
