"""Every command says what it does, and does it: files where they were asked for, figures in the last line."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from scripts.__main__ import app
from tests.conftest import VIDEOS

COMMANDS = {
    "generate": {"--data", "--split", "--source", "--bin-size", "--points", "--fps", "--shard", "--overwrite"}
    | {"--workers", "--gpu-share", "--ray", "--ray-address", "--retry-failed"},
    "status": {"--cache"},
    "import": {"--masks", "--cache", "--fps", "--tracker", "--looks", "--overwrite", "--dry-run"},
    "extract-features": {"--data", "--cache", "--encoder", "--per-second", "--grid", "--bare", "--dry-run"},
    "train-selector": {"--data", "--valid-split", "--calib-split", "--recipe", "--epochs", "--seed"}
    | {"--set", "--devices", "--nodes", "--bf16", "--stop-after", "--fast-dev-run", "--dry-run"},
    "evaluate": {"--data", "--split", "--cache", "--baselines", "--selector"},
    "fuse": {"--tracks", "--moments", "--reranks", "--mode", "--weights", "--fit", "--data", "--out", "--dry-run"},
    "predict": {"--expression", "--expressions-file", "--data", "--out", "--fps", "--selector"}
    | {"--format", "--json", "--scores", "--moments", "--dry-run"},
    "plot": {"--figure", "--x", "--label", "--out", "--dry-run"},
    "query": {"--expressions-file", "--top", "--json", "--out", "--video", "--memory", "--dry-run"},
    "explain": {"--expression", "--data", "--split", "--id", "--below", "--out", "--max-megabytes", "--dry-run"},
    "report": {"--data", "--split", "--out", "--max-megabytes", "--limit", "--dry-run"},
    "stream": {"--question", "--questions", "--grounder", "--fps", "--rule", "--threshold", "--window", "--frames"},
    "train-grounder": {"--data", "--recipe", "--out", "--lm", "--lora-rank", "--strategy", "--resume", "--dry-run"},
    "predict-moments": {"--data", "--out", "--cache", "--limit", "--dry-run"},
    "chat-moments": {"--text", "--data", "--split", "--model", "--server", "--replies", "--out", "--dry-run"},
    "demo": {"--out", "--clips"},
    "benchmark": {"--frames", "--repeats"},
    "web": {"--host", "--port", "--max-megabytes", "--max-frames", "--max-visitors", "--folder", "--dry-run"}
    | {"--grounder", "--encoder"},
    "convert-detector": {"--out", "--tokenizer", "--dry-run"},
    "convert-selector": {"--data", "--split", "--out", "--size", "--fit", "--text-encoder", "--dry-run"},
}
WITHOUT_DEVICE = {"convert-detector", "fuse", "plot", "status"}
SPLIT_OF = "mevis/valid"


@pytest.fixture
def copy(caches, tmp_path):
    """A copy of the caches that a test may harm."""
    return shutil.copytree(caches, tmp_path / "caches")


def cache_files(root):
    return {p.stem: p for p in root.rglob("*.h5")}


def everything(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_help_lists_every_command():
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert all(name in shown.output for name in COMMANDS)
    assert {c.name for c in app.registered_commands} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_names_its_flags(name):
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert shown.exit_code == 0
    flags = COMMANDS[name] | (set() if name in WITHOUT_DEVICE else {"--device"})
    assert all(flag in shown.output for flag in flags)


def test_generate_keeps_whole_files_and_remakes_a_damaged_one(command, world, copy):
    words = ("generate", "--data", world, "--cache", copy, "--device", "cpu")
    files = cache_files(copy)
    assert set(files) == set(VIDEOS)
    before = everything(copy)
    kept = command(*words)
    assert (kept.code, kept.figures["kept"], kept.figures["made"]) == (0, 2, 0)
    damaged = bytearray(files[VIDEOS[0]].read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    files[VIDEOS[0]].write_bytes(damaged)
    remade = command(*words)
    assert (remade.code, remade.figures["kept"], remade.figures["made"]) == (0, 1, 1)
    assert command(*words).figures["kept"] == 2
    assert set(everything(copy)) == set(before)


def test_other_settings_make_a_cache_stale(command, world, copy):
    outcome = command("generate", "--data", world, "--cache", copy, "--points", 4, "--dry-run", "--limit", 1)
    assert (outcome.code, outcome.figures["planned"]) == (0, 1)


def test_shards_cover_a_split_and_a_dry_run_writes_nothing(command, world, caches, tmp_path):
    root = tmp_path / "none"
    listed = []
    for part in ("0/2", "1/2"):
        outcome = command("generate", "--data", world, "--cache", root, "--shard", part, "--dry-run")
        assert (outcome.code, outcome.figures["planned"]) == (0, 1)
        listed += [name for name in VIDEOS if name in outcome.out]
    assert sorted(listed) == sorted(VIDEOS)
    assert not root.exists()


def test_a_video_that_fails_is_named_and_the_others_are_made(command, world, caches, tmp_path):
    broken = shutil.copytree(world, tmp_path / "world")
    frame = broken / "valid" / "JPEGImages" / VIDEOS[0] / "00003.jpg"
    frame.write_bytes(frame.read_bytes()[: frame.stat().st_size // 2])
    root = tmp_path / "caches"
    outcome = command("generate", "--data", broken, "--cache", root, "--points", 4)
    assert outcome.code == 2
    assert "1 of 2 videos failed" in outcome.err
    assert VIDEOS[0] in outcome.err
    assert VIDEOS[1] not in outcome.err
    assert "Traceback" not in outcome.err
    assert (outcome.figures["made"], outcome.figures["failures"]) == (1, 1)
    assert set(cache_files(root)) == {VIDEOS[1]}


def test_evaluate_ends_with_its_figures(command, world, caches):
    outcome = command("evaluate", "--data", world, "--cache", caches)
    assert outcome.code == 0
    figures = outcome.figures
    assert {"jf", "j", "f", "oracle_jf", "no_target_accuracy", "n", "failures"} <= set(figures)
    assert {"device", "versions", "settings"} <= set(figures)
    assert figures["failures"] == 0
    assert figures["jf"] == pytest.approx((figures["j"] + figures["f"]) / 2)
    # The oracle chooses among the same tracks with the truth in hand.
    assert 0 <= figures["jf"] <= figures["oracle_jf"] <= 1
    assert figures["oracle_jf"] > 0.8
    assert max(figures["random_jf"], figures["blind_jf"], figures["shuffled_jf"]) <= figures["oracle_jf"]


def test_evaluate_counts_a_video_without_a_usable_cache_as_a_failure(command, world, copy):
    cache_files(copy)[VIDEOS[0]].unlink()
    outcome = command("evaluate", "--data", world, "--cache", copy, "--no-baselines")
    meta = json.loads((world / "valid" / "meta_expressions.json").read_text())["videos"]
    assert outcome.code == 0
    assert outcome.figures["n"] == sum(len(v["expressions"]) for v in meta.values())
    assert outcome.figures["failures"] == len(meta[VIDEOS[0]]["expressions"])
    assert f"failed: {VIDEOS[0]}" in outcome.err


def test_evaluate_without_any_cache_is_a_mistake_and_no_score_of_0(command, world, tmp_path):
    outcome = command("evaluate", "--data", world, "--cache", tmp_path / "none")
    assert outcome.code == 2
    assert "expected a usable cache, got none for any of 2 videos" in outcome.err


def test_predict_answers_every_expression_of_a_split_from_its_caches(command, world, caches, tmp_path):
    before = everything(caches)
    outcome = command("predict", "--data", world, "--cache", caches, "--out", tmp_path / "out", "--no-pictures")
    meta = json.loads((world / "valid" / "meta_expressions.json").read_text())["videos"]
    assert outcome.code == 0
    assert outcome.figures["videos"] == 2
    assert outcome.figures["expressions"] == sum(len(v["expressions"]) for v in meta.values())
    for name in VIDEOS:
        assert [p.name for p in (tmp_path / "out" / name).iterdir()] == ["answers.json"]
    assert everything(caches) == before


def test_predict_tracks_a_video_file_and_writes_what_a_person_can_open(command, tiny_video, tmp_path):
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("the circle moving left\n\n")
    words = ("--cache", tmp_path / "caches", "--out", tmp_path / "out")
    outcome = command("predict", tiny_video, "-e", "the red star", "--expressions-file", phrases, *words)
    assert outcome.code == 0
    assert (outcome.figures["videos"], outcome.figures["expressions"], outcome.figures["files"]) == (1, 2, 3)
    folder = tmp_path / "out" / "clip"
    assert sorted(p.name for p in folder.iterdir()) == ["answers.json", "overlay.mp4", "page.html"]
    assert "the circle moving left" in (folder / "page.html").read_text()
    answers = json.loads((folder / "answers.json").read_text())
    assert "the red star" in json.dumps(answers)


def test_predict_takes_tracks_of_any_preset_and_makes_them_anew_only_when_told(command, tiny_video, tmp_path):
    places = ("--cache", tmp_path / "c", "--device", "cpu")
    words = ("predict", tiny_video, "-e", "the red star", "--out", tmp_path / "out", "--no-pictures", *places)
    assert command("generate", tiny_video, "--preset", "fast", *places).code == 0
    (path,) = (tmp_path / "c").rglob("*.h5")
    before = path.read_bytes()
    assert (command(*words).code, path.read_bytes() == before) == (0, True)
    assert (command(*words, "--preset", "fast").code, path.read_bytes() == before) == (0, True)
    assert (command(*words, "--preset", "faithful").code, path.read_bytes() == before) == (0, False)
    refused = command(*words, "--preset", "quick")
    assert (refused.code, "fast, balanced, faithful" in refused.err) == (2, True)


def test_a_dry_run_of_predict_writes_nothing(command, tiny_video, tmp_path):
    places = ("--cache", tmp_path / "caches", "--out", tmp_path / "out")
    outcome = command("predict", tiny_video, "-e", "the red star", *places, "--dry-run")
    assert outcome.code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_selector_trained_by_the_command_answers(command, world, caches, tmp_path):
    out = tmp_path / "selector"
    splits = ("--split", "valid", "--valid-split", "valid", "--calib-split", "valid")
    places = ("--data", world, "--cache", caches, "--out", out)
    planned = command("train-selector", *places, *splits, "--dry-run")
    assert planned.code == 0
    assert not out.exists()
    trained = command("train-selector", *places, *splits, "--epochs", 1, "--batch", 8, "--device", "cpu")
    assert trained.code == 0, trained.err
    assert {"selector.safetensors", "selector.json"} <= {p.name for p in out.iterdir()}
    scored = command(
        "evaluate", "--data", world, "--cache", caches, "--selector", out / "selector.safetensors", "--no-baselines"
    )
    assert scored.code == 0
    assert scored.figures["failures"] == 0


def test_training_without_caches_says_what_to_run(command, world, tmp_path):
    splits = ("--split", "valid", "--valid-split", "valid", "--calib-split", "valid")
    places = ("--data", world, "--cache", tmp_path / "none", "--out", tmp_path / "out")
    outcome = command("train-selector", *places, *splits)
    assert outcome.code == 2
    assert "tracksift generate --data" in outcome.err
    assert list(tmp_path.iterdir()) == []
