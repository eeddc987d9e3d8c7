"""train-grounder and predict-moments on a made-up split of QVHighlights, and on a rendered one of MeViS's layout."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from cache import FrameFeatures, cache_path, read_frames, write_cache, write_frames
from core.errors import StoppedError
from core.images import load_image_encoder
from core.scores import read_scores
from core.types import TrackSet, VideoMeta
from llm_grounder.checkpoints import load_grounder
from llm_grounder.training import STATE
from tests.documented import ROOT
from tests.factories import make_track_set
from tracksift import grounder_training
from tracksift.clips import Inputs, read_clip, read_inputs
from tracksift.models import Models

SHORT = ("--steps", 2, "--most", 2, "--device", "cpu")


@pytest.fixture(scope="module")
def sha256():
    return load_image_encoder(Models().text_spec, "cpu").sha256


@pytest.fixture
def split(tmp_path, sha256):
    """Two videos of 10 seconds with features, three sentences."""
    rows = [
        {"qid": k, "query": f"the red star spins {k}", "vid": vid, "duration": 10, "relevant_windows": [[2, 6]],
         "relevant_clip_ids": [1, 2], "saliency_scores": [[0, 2, 4], [4, 4, 3]]}
        for k, vid in enumerate(("a", "b", "a"))
    ]  # fmt: skip
    (tmp_path / "highlight_val_release.jsonl").write_text("\n".join(map(json.dumps, rows)))
    rng = np.random.default_rng(0)
    for vid in ("a", "b"):
        path = cache_path(tmp_path / "caches", "qvhighlights", "val", vid)
        write_cache(path, TrackSet(VideoMeta(vid, vid, (8, 8), np.arange(10.0), 10.0, "f" * 64), (), {}))
        facts = {"encoder_sha256": sha256, "grid": 2, "per_second": None}
        pooled, patches = rng.random((10, 5)).astype(np.float16), rng.random((10, 4, 3)).astype(np.float16)
        write_frames(path, FrameFeatures(np.arange(10, dtype=np.int32), pooled, patches, facts))
    return tmp_path


def words(split):
    return ("--data", f"qvhighlights:val={split}", "--cache", split / "caches", "--grid", 2)


@pytest.mark.parametrize("recipe", ["tcs", "vtg"])
def test_a_grounder_is_trained_and_its_moments_are_scored(command, split, recipe):
    trained = command("train-grounder", *words(split), "--out", split / "run", "--recipe", recipe, *SHORT)
    assert (trained.code, trained.figures["examples"], trained.figures["videos"]) == (0, 3, 2), trained.err
    assert trained.figures["drawn_moments"] >= 2
    lines = [json.loads(line) for line in (split / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1]
    said = command("predict-moments", split / "run" / "grounder", *words(split)[:4], "--out", split / "m.jsonl")
    assert (said.code, said.figures["written"], said.figures["failures"]) == (0, 3, 0), said.err
    scores = list(read_scores(split / "m.jsonl"))
    assert [s.expression_id for s in scores] == ["0", "2", "1"]
    assert all(s.spans and s.cache and s.spans[0].end <= 10 for s in scores)
    figures = command(
        "evaluate", "--dataset", "qvhighlights", "--data", split, "--split", "val", "--predictions", split / "m.jsonl"
    )
    assert figures.code == 0, figures.err


@pytest.fixture
def tracked(split, sha256):
    """The same two videos; the second has three tracks with looks, and features of every other frame."""
    path = cache_path(split / "caches", "qvhighlights", "val", "b")
    features = read_frames(path, sha256)
    write_cache(path, make_track_set(3, frames=10, fps=1.0, width=6, look=4, absent=((), (2,), ()), video_id="b"))
    write_frames(path, replace(features, index=features.index[::2], pooled=features.pooled[::2],
                               patches=features.patches[::2]))  # fmt: skip
    return split


@pytest.mark.parametrize(("flag", "width"), [("--track-tokens", 6), ("--track-numbers", 19 + 4)])
def test_a_grounder_that_reads_tracks_is_trained_and_finds_moments(command, tracked, sha256, flag, width):
    run = tracked / "run"
    trained = command("train-grounder", *words(tracked), "--out", run, "--tracks", 2, flag, *SHORT)
    assert trained.code == 0, trained.err
    grounder, record = load_grounder(run / "grounder")
    inputs = read_inputs(record)
    assert inputs == Inputs(sha256, 2, tracks=2, numbers=flag == "--track-numbers")
    assert (grounder.settings.track_width, grounder.settings.tracks) == (width, 2)
    clip = read_clip(cache_path(tracked / "caches", "qvhighlights", "val", "b"), inputs)
    seen = clip.track_tokens[~clip.track_boxes[..., 0].isnan()].float()
    assert len(seen) == 2 * 5 - 1
    torch.testing.assert_close(grounder.inputs.tracks.mean, seen.mean(0))
    said = command("predict-moments", run / "grounder", *words(tracked)[:4], "--out", tracked / "m.jsonl")
    assert (said.code, said.figures["written"]) == (0, 3), said.err


def test_tracks_that_are_not_there_are_missed_in_a_sentence(command, split):
    run = ("train-grounder", *words(split), "--out", split / "run", *SHORT)
    for flags, message in (
        (("--tracks", 2), "--tracks: expected a cache with tracks, got none among 2; run `tracksift generate`"),
        (("--track-numbers",), "expected 1 track or more for numbers"),
    ):
        outcome = command(*run, *flags)
        assert (outcome.code, message in outcome.err) == (2, True), outcome.err


@pytest.mark.parametrize("where", ["train_grounder", "save_grounder"])
def test_a_stopped_training_ends_with_the_signal_s_code_and_goes_on(command, split, monkeypatch, where):
    whole = getattr(grounder_training, where)

    def stopped(*args, **values):
        if where == "train_grounder":
            values["progress"] = lambda *_: os.kill(os.getpid(), signal.SIGTERM)
            return whole(*args, **values)
        raise StoppedError("stopped while weights are written", signal.SIGTERM)

    run = (*words(split), "--out", split / "run", *SHORT)
    with monkeypatch.context() as patch:
        patch.setattr(grounder_training, where, stopped)
        ended = command("train-grounder", *run)
    assert (ended.code, "stopped: " in ended.err) == (128 + signal.SIGTERM, True), ended.err
    again = command("train-grounder", *run)
    assert (again.code, "add --resume" in again.err) == (2, True), again.err
    resumed = command("train-grounder", *run, "--resume")
    assert resumed.code == 0, resumed.err
    assert not (split / "run" / STATE).exists()


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_one_of_them_speaks_and_writes(split):
    for out, more in (("one", ("--accumulate", 2)), ("two", ("--devices", 2, "--strategy", "ddp"))):
        program = [sys.executable, "-m", "scripts", "train-grounder", *words(split), *SHORT[2:], *more]
        done = subprocess.run(
            [*map(str, program), "--steps", "12", "--out", str(split / out)],
            cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},  # sums of several threads are rounded in another order
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        assert [done.stdout.count(word) for word in ("learns from", '"drawn_moments": 48')] == [1, 1]
        assert done.stderr.count("steps: 12") <= 1
        assert {path.name for path in (split / out).iterdir()} == {"grounder", "log.jsonl"}
    one, two = (
        [json.loads(line) for line in (split / out / "log.jsonl").read_text().splitlines()] for out in ("one", "two")
    )
    assert [line["step"] for line in two] == [0, 10, 11]
    for a, b in zip(one, two, strict=True):
        assert b.pop("drawn") == a.pop("drawn")
        assert {**b, "seconds": 0} == pytest.approx({**a, "seconds": 0}, abs=1e-4)
    (a, _), (b, record) = (load_grounder(split / out / "grounder") for out in ("one", "two"))
    assert (record["processes"], record["drawn"]) == (2, {"moments": 48})
    for (name, mine), others in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        np.testing.assert_allclose(others.float(), mine.float(), atol=1e-4, err_msg=name)


def test_a_dry_run_writes_nothing(command, split):
    planned = command("train-grounder", *words(split), "--out", split / "run", "--dry-run")
    assert (planned.code, planned.figures["examples"]) == (0, 3)
    assert not (split / "run").exists()


def test_expressions_of_masks_get_moments_by_a_grounder_of_such_features(command, split, world, caches, tmp_path):
    root = shutil.copytree(caches, tmp_path / "copy")
    assert command("extract-features", "--data", world, "--cache", root, "--grid", 2, "--device", "cpu").code == 0
    data = ("--data", f"mevis:valid={world}", "--cache", root)
    trained = command("train-grounder", *data, "--grid", 2, "--out", tmp_path / "run", *SHORT)
    assert trained.code == 0, trained.err
    said = command("predict-moments", tmp_path / "run" / "grounder", *data, "--limit", 5, "--out", tmp_path / "m.jsonl")
    assert (said.code, said.figures["written"]) == (0, 5), said.err
    foreign = command(
        "predict-moments", tmp_path / "run" / "grounder", *words(split)[:4], "--out", tmp_path / "n.jsonl"
    )
    assert foreign.code == 2
    assert "expected features of [4, 384] patches and width" in foreign.err
    assert not (tmp_path / "n.jsonl").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("--recipe", "sola"), "--recipe: expected one of vtg, tcs, duet, track"),
        (("--grid", 4), "expected features made with {'grid': 4"),
        (("--data", "qvhighlights"), "--data: expected NAME=PATH"),
        (("--data", "tvsum=nowhere"), "which is not learnt here"),
        (("--recipe", "track"), "expected examples of reg, rsot, sot"),
        (("--devices", 2), "--strategy: expected ddp or fsdp with 2 processes"),
        (("--cache", "nowhere"), "run `tracksift extract-features`"),
    ],
)
def test_bad_input_is_one_sentence(command, split, changed, message):
    outcome = command("train-grounder", *words(split), "--out", split / "run", *SHORT, *changed)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err


def test_a_training_beside_another_is_refused(command, split):
    (split / "run" / "grounder").mkdir(parents=True)
    outcome = command("train-grounder", *words(split), "--out", split / "run", *SHORT)
    assert (outcome.code, "expected a folder without a grounder" in outcome.err) == (2, True)


def test_without_a_folder_the_miniature_s_grounder_is_meant_and_missed_in_a_sentence(command, split, monkeypatch):
    monkeypatch.setattr("tracksift.models.WEIGHTS", split / "nothing")
    outcome = command("predict-moments", *words(split)[:4])
    assert (outcome.code, "expected the JSON record of a grounder" in outcome.err) == (2, True)
