"""Score files and caches of two hand-made videos: two rectangles each, in turns of three frames."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.metrics.mevis_score import score_expression
from benchmarks.metrics.spatio_temporal import score_tube
from benchmarks.protocol import BenchmarkVideo
from cache import write_cache
from core import rle
from core.errors import CacheCorruptError, InputError, ScorerMismatchError
from core.scores import write_scores
from core.types import Expression, MomentScores, TimeSpan, TrackScores
from fusion.fuse import fuse
from fusion.modes import MODES
from fusion.score_files import Word, read_words
from fusion.settings import FusionSettings, GrounderSettings, Weights
from tests.factories import make_track_set
from tracksift.choice_scores import FrameScores, TubeScores, tube
from tracksift.fusing import Caches, asked_in, fit_weights, fuse_files
from tracksift.jobs import Job

ASKED = (
    Expression("0", "the first", ("a",)),
    Expression("1", "the second", ("b",)),
    Expression("2", "a purple elephant", ()),
)
LATE, EARLY = TimeSpan(0.375, 0.75, 0.9), TimeSpan(0.0, 0.375, 0.9)


@dataclass(frozen=True)
class Truth:
    """Object a is track 0, b is track 1."""

    tracks: object
    has_masks: bool = True

    def masks(self, _):
        return {name: track.masks for name, track in zip("ab", self.tracks.tracks, strict=True)}


def tracks_of(name):
    return make_track_set(2, video_id=name, absent=[[3, 4, 5], [0, 1, 2]], seed=len(name))


@pytest.fixture
def folder(tmp_path):
    """Caches of two videos, track scores that prefer the wrong track, and spans that know better."""
    lines, spans = [], []
    for name in ("one", "second"):
        content = write_cache(tmp_path / "caches" / f"{name}.h5", tracks_of(name))
        for e, wrong, span in zip("012", ([0.6, 0.7], [0.7, 0.6], [0.3, 0.2]), ((EARLY,), (LATE,), ()), strict=True):
            lines.append(TrackScores(name, e, np.array(wrong), 0.9 if e < "2" else 0.45, "s" * 64, content))
            spans.append(MomentScores(name, e, np.zeros(0), np.zeros(0), span, scorer="g" * 64))
    write_scores(tmp_path / "tracks.jsonl", lines)
    write_scores(tmp_path / "moments.jsonl", spans)
    return tmp_path


def job(name, **changes):
    video = BenchmarkVideo(name, Path(name), None, 8.0, ASKED, ("a", "b"))
    return Job(name, Path(name), Path(name), annotated=video, reader=Truth(tracks_of(name), **changes))


def words_of(folder):
    return read_words(folder / "tracks.jsonl", folder / "moments.jsonl")


@pytest.fixture
def jobs():
    return [job("one"), job("second")]


def test_a_fit_lets_the_moment_decide_and_answers_by_it(folder, jobs):
    words, caches = words_of(folder), Caches.under(folder / "caches")
    told = []
    start = Weights("dtos", grounder=GrounderSettings(tracks=0.0))
    found, missing = fit_weights(words, jobs, caches, start, lambda done, total: told.append((done, total)))
    assert (found.fitted["score"], found.fitted["expressions"], missing) == (1.0, 6, 0)
    assert found.fitted["scorers"] == {"tracks": "s" * 64, "moments": "g" * 64}
    assert len(found.fitted["caches"]) == 64
    assert told[-1][0] == told[-1][1]
    answers = dict(fuse_files(words, caches, found, asked_in(jobs)))
    assert [[t.index for t in a.tracks] for a in answers["one"]] == [[0], [1], []]
    assert [a.expression.text for a in answers["second"]] == [e.text for e in ASKED]
    assert answers["one"][0].why["weights_sha256"] == found.sha256


@pytest.mark.parametrize("mode", sorted(MODES))
def test_a_fit_looks_at_the_score_that_the_answers_get(folder, mode):
    tracks, weights = tracks_of("one"), Weights(mode)
    for word, expression in zip(words_of(folder).by_video["one"], ASKED, strict=True):
        names = expression.target_ids
        target = [rle.union([tracks.tracks["ab".index(n)].masks[t] for n in names], (16, 20)) for t in range(6)]
        answer = fuse(tracks, word.tracks, expression, weights, word.moments)
        decoded = [rle.decode(m, (16, 20)) for m in (answer.masks, target)]
        expected = score_expression(*decoded, no_target=not names)
        choice = MODES[mode](word.evidence(tracks), weights)
        assert FrameScores(tracks, target)(choice) == pytest.approx((expected.j + expected.f) / 2)
        for spans in (None, (EARLY,), (LATE,)):
            said = tube(answer.masks, answer.moments or None, answer.video)
            told = score_tube(said, tube(target, spans, answer.video)).viou
            assert TubeScores(tracks, target, spans)(choice) == pytest.approx(told)


def test_a_video_that_fails_is_named_and_the_others_are_answered(folder):
    (folder / "caches" / "one.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    caches = Caches.under(folder / "caches")
    made = dict(fuse_files(words_of(folder), caches, Weights(), None))
    assert isinstance(made["one"], CacheCorruptError)
    assert [a.expression.text for a in made["second"]] == ["0", "1", "2"]
    (folder / "caches" / "one.h5").unlink()
    gone = dict(fuse_files(words_of(folder), Caches.under(folder / "caches"), Weights(), None))
    assert "expected its cache under" in str(gone["one"])


def test_a_cache_that_was_made_again_is_refused(folder):
    write_cache(folder / "caches" / "one.h5", replace(tracks_of("one"), provenance={"again": True}))
    made = dict(fuse_files(words_of(folder), Caches.under(folder / "caches"), Weights(), None))
    assert isinstance(made["one"], ScorerMismatchError)


def test_weights_are_refused_for_the_scores_of_another_model(folder):
    weights = Weights("gated", FusionSettings(), fitted={"scorers": {"tracks": "s" * 64, "moments": "h" * 64}})
    made = dict(fuse_files(words_of(folder), Caches.under(folder / "caches"), weights, None))
    assert "moments scores of video 'one': expected those of model hhhhhhhhhhhh" in str(made["one"])


def test_expressions_without_scores_are_counted_and_strangers_refused(folder, jobs):
    words, caches = words_of(folder), Caches.under(folder / "caches")
    short = replace(words, by_video={"one": words.by_video["one"][:2]})
    assert fit_weights(short, jobs, caches, Weights())[1] == 4
    assert asked_in([job("one")]).keys() == {("one", "0"), ("one", "1"), ("one", "2")}
    stranger = Word(replace(words.by_video["one"][0].tracks, expression_id="9"))
    with pytest.raises(InputError, match="expression '9': expected one of the split's"):
        fit_weights(replace(words, by_video={"one": [stranger]}), jobs, caches, Weights())


def test_a_split_that_hides_its_targets_and_a_folder_without_caches_are_refused(folder, tmp_path):
    caches = Caches.under(folder / "caches")
    with pytest.raises(InputError, match="a split that hides them"):
        fit_weights(words_of(folder), [job("one", has_masks=False)], caches, Weights())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected cache files, got none"):
        Caches.under(tmp_path / "empty")
