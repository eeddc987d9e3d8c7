"""`tracksift fuse` by hand-made scores of real caches: its files, its figures, and what it refuses."""

import json

import numpy as np
import pytest

from cache import open_cache
from core.scores import read_scores, write_scores
from core.types import MomentScores, TimeSpan, TrackScores
from fusion.settings import FusionSettings, Weights, read_weights, write_weights
from fusion.writers import read_answers
from tests.conftest import VIDEOS
from tracksift.jobs import split_jobs


@pytest.fixture(scope="module")
def scored(world, caches, tmp_path_factory):
    """Scores of the first expression of each video, by which its first track is meant, in the video's first half."""
    place, lines, spans = tmp_path_factory.mktemp("scores"), [], []
    for job in split_jobs(world, "valid", caches)[1]:
        file = open_cache(job.cache)
        ids = (job.video_id, job.annotated.expressions[0].id)
        probability = np.where(np.arange(len(file)) == 0, 0.9, 0.1)
        lines.append(TrackScores(*ids, probability, 0.9, "s" * 64, file.content_sha256))
        spans.append(MomentScores(*ids, np.zeros(0), np.zeros(0), (TimeSpan(0.0, file.video.end / 2, 0.9),)))
    write_scores(place / "tracks.jsonl", lines)
    write_scores(place / "moments.jsonl", spans)
    return place


def words(scored, caches, *more):
    return ("fuse", "--tracks", scored / "tracks.jsonl", "--caches", caches, *more)


def test_scores_kept_by_predict_give_the_same_answers(command, world, caches, tmp_path):
    places = ("--cache", caches, "--out", tmp_path / "predicted", "--scores", tmp_path / "tracks.jsonl")
    predicted = command("predict", "--data", world, "--no-pictures", *places)
    assert predicted.code == 0, predicted.err
    settings = json.loads((tmp_path / "predicted" / VIDEOS[0] / "answers.json").read_text())["answers"][0]["why"]
    rule = settings["weights"]["rule"]
    weights = tmp_path / "weights.json"
    write_weights(weights, Weights(rule=FusionSettings(**rule)))
    fused = command(
        "fuse", "--tracks", tmp_path / "tracks.jsonl", "--caches", caches, "--weights", weights, "--data", world,
        "--out", tmp_path / "fused", "--png",
    )  # fmt: skip
    assert fused.code == 0, fused.err
    assert (
        fused.figures["expressions"]
        == predicted.figures["expressions"]
        == len(list(read_scores(tmp_path / "tracks.jsonl")))
    )
    for name in VIDEOS:
        first, second = (read_answers(tmp_path / way / name / "answers.json") for way in ("predicted", "fused"))
        assert [a.masks for a in first] == [a.masks for a in second]
        assert [a.expression for a in first] == [a.expression for a in second]
        assert (tmp_path / "fused" / "masks" / name).is_dir()


def test_a_mode_is_chosen_by_name_and_explained(command, scored, caches, tmp_path):
    gate = ("--moments", scored / "moments.jsonl", "--mode", "gated", "--out", tmp_path, "--one")
    outcome = command(*words(scored, caches, *gate))
    assert outcome.code == 0, outcome.err
    assert outcome.figures["settings"]["mode"] == "gated"
    (answer,) = read_answers(tmp_path / VIDEOS[0] / "answers.json")
    assert answer.why["mode"] == "gated"
    assert len(answer.tracks) <= 1
    assert all(span.end <= answer.video.end / 2 + 0.1 for track in answer.tracks for span in track.presence)


def test_a_fit_is_written_and_used(command, world, scored, caches, tmp_path):
    place = tmp_path / "weights" / "gated.json"
    place.parent.mkdir()
    more = ("--moments", scored / "moments.jsonl")
    fit = (*more, "--mode", "gated", "--data", world, "--fit", place)
    planned = command(*words(scored, caches, *fit, "--dry-run"))
    assert (planned.code, place.exists()) == (0, False), planned.err
    outcome = command(*words(scored, caches, *fit))
    assert outcome.code == 0, outcome.err
    assert outcome.figures["sha256"] == read_weights(place).sha256
    assert outcome.figures["expressions"] == 2
    assert outcome.figures["without_scores"] > 0
    again = command(*words(scored, caches, *more, "--weights", place, "--out", tmp_path / "out"))
    assert (again.code, again.figures["settings"]["weights_sha256"]) == (0, outcome.figures["sha256"])


def test_a_dry_run_writes_nothing(command, scored, caches, tmp_path):
    outcome = command(*words(scored, caches, "--out", tmp_path / "out", "--dry-run"))
    assert outcome.code == 0, outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--mode", "best"), "expected one of tracks, gated, dtos, reranked, got 'best'"),
        (("--mode", "gated"), "expected moment scores for mode 'gated', got none"),
        (("--fit", "w.json"), "--fit: expected --data and --split"),
        (("--weights", "nowhere.json"), "fusion weights nowhere.json: expected a JSON file"),
        (("--moments", "nowhere.jsonl"), "nowhere.jsonl: expected a readable score file"),
        (("--caches", "nowhere"), "nowhere: expected a cache file or a folder of them"),
    ],
)
def test_what_does_not_fit_is_one_sentence(command, scored, caches, tmp_path, monkeypatch, more, sentence):
    monkeypatch.chdir(tmp_path)
    outcome = command(*words(scored, caches, *more))
    assert (outcome.code, sentence in outcome.err) == (2, True), outcome.err


def test_a_mode_beside_weights_of_another_is_refused(command, scored, caches, tmp_path):
    write_weights(tmp_path / "w.json", Weights("dtos"))
    outcome = command(*words(scored, caches, "--weights", tmp_path / "w.json", "--mode", "gated"))
    assert (outcome.code, "--mode: expected 'dtos', for which" in outcome.err) == (2, True), outcome.err
