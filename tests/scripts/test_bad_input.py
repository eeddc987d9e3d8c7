"""Bad input is one sentence on standard error and exit code 2, and leaves every folder as it was."""

import json
import re
import shutil

import av
import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from tracksift.models import WEIGHTS


@pytest.fixture
def place(tmp_path):
    """A folder of inputs, apart from where outputs would go."""
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture
def refused(command, tmp_path):
    """Run a command that must be refused; returns its sentence."""

    def run(*words, **options):
        before = everything(tmp_path)
        outcome = command(*words, **options)
        assert outcome.code == 2, outcome
        *progress, sentence = outcome.err.splitlines()
        assert all(re.fullmatch(r"[\w ]+: \d+ in [\d.]+ s", line) for line in progress), outcome.err
        assert re.match(r"error: \S", sentence), outcome.err
        assert everything(tmp_path) == before
        return sentence

    return run


@pytest.fixture
def outputs(tmp_path):
    return "--cache", tmp_path / "caches", "--out", tmp_path / "out"


def everything(folder):
    return {p.relative_to(folder): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def write_frames(folder, sizes):
    folder.mkdir()
    for i, size in enumerate(sizes):
        noise = np.random.default_rng(i).integers(0, 255, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{i:05d}.jpg")
    return folder


def test_a_missing_video(refused, place, outputs):
    assert "found nothing there" in refused("predict", place / "gone.mp4", "-e", "the cup", *outputs)
    assert "gone.mp4" in refused("generate", place / "gone.mp4", *outputs[:2])


def test_a_video_of_no_frames(refused, place, outputs):
    path = place / "empty.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=8)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        out.start_encoding()
    assert "empty.mp4" in refused("predict", path, "-e", "the cup", *outputs)


def test_an_empty_file(refused, place, outputs):
    (place / "empty.mp4").touch()
    assert "empty.mp4" in refused("predict", place / "empty.mp4", "-e", "the cup", *outputs)


def test_a_text_file_as_a_video(refused, place, outputs):
    (place / "notes.mp4").write_text("not a video at all\n" * 100)
    assert "notes.mp4" in refused("generate", place / "notes.mp4", *outputs[:2])


def test_a_jpeg_cut_in_half(refused, place, outputs):
    folder = write_frames(place / "frames", [(64, 64)] * 3)
    cut = folder / "00002.jpg"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    assert "00002.jpg" in refused("predict", folder, "--fps", 8, "-e", "the cup", *outputs)


def test_a_folder_of_mixed_sizes(refused, place, outputs):
    folder = write_frames(place / "frames", [(64, 64), (64, 48)])
    assert "one size" in refused("predict", folder, "--fps", 8, "-e", "the cup", *outputs)


def test_a_folder_without_frames_a_second(refused, place, outputs):
    folder = write_frames(place / "frames", [(64, 64)])
    assert "--fps" in refused("predict", folder, "-e", "the cup", *outputs)


def test_an_empty_folder(refused, place, outputs):
    assert "found none" in refused("predict", place, "--fps", 8, "-e", "the cup", *outputs)


@pytest.mark.parametrize("phrases", [(), ("-e", ""), ("-e", "the cup", "-e", " \t ")], ids=["none", "empty", "blank"])
def test_an_expression_without_words(refused, tiny_video, outputs, phrases):
    assert "expression" in refused("predict", tiny_video, *phrases, *outputs)


def test_a_file_of_expressions_that_is_missing_or_no_text(refused, tiny_video, place, outputs):
    (place / "bytes.txt").write_bytes(b"\xff\xfe\x00\x9f")
    for name in ("bytes.txt", "gone.txt"):
        assert name in refused("predict", tiny_video, "--expressions-file", place / name, *outputs)


def test_a_tracker_of_the_wrong_shape(refused, tiny_video, place, outputs):
    shutil.copy(WEIGHTS / "sam2.yaml", place / "wrong.yaml")
    state = load_file(WEIGHTS / "sam2.safetensors")
    name = next(k for k, v in state.items() if v.ndim == 2)
    save_file(state | {name: state[name][:1].clone()}, place / "wrong.safetensors")
    sentence = refused("generate", tiny_video, *outputs[:2], "--tracker", place / "wrong.safetensors")
    assert name in sentence
    assert "1 of another shape" in sentence


@pytest.mark.parametrize("spec", ["facebook/no-such-tracker", "gone.safetensors"])
def test_a_tracker_that_does_not_exist(refused, tiny_video, outputs, spec):
    assert spec in refused("generate", tiny_video, *outputs[:2], "--tracker", spec)


def test_a_damaged_selector(refused, world, caches, place, tmp_path):
    shutil.copy(WEIGHTS / "selector.json", place)
    path = place / "selector.safetensors"
    path.write_bytes((WEIGHTS / "selector.safetensors").read_bytes()[:100_000])
    words = ("--data", world, "--cache", caches, "--selector", path)
    assert str(path) in refused("predict", *words, "--out", tmp_path / "out")
    assert str(path) in refused("evaluate", *words)


def test_a_selector_of_another_tracker(refused, world, caches, place, tmp_path):
    shutil.copy(WEIGHTS / "selector.safetensors", place)
    record = json.loads((WEIGHTS / "selector.json").read_text())
    (place / "selector.json").write_text(json.dumps(record | {"tracker_sha256": "0" * 64}))
    words = ("--data", world, "--cache", caches, "--selector", place / "selector.safetensors")
    assert "tracker" in refused("evaluate", *words)
    assert "tracker" in refused("predict", *words, "--out", tmp_path / "out")


@pytest.mark.parametrize("blocked", ["--cache", "--out"])
def test_an_output_that_is_a_file(refused, world, tiny_video, caches, tmp_path, blocked):
    (tmp_path / "file").write_text("mine")
    places = {"--cache": caches, "--out": tmp_path / "out"} | {blocked: tmp_path / "file"}
    words = [word for pair in places.items() for word in pair]
    assert "file" in refused("predict", "--data", world, *words)


def test_a_training_whose_output_is_a_file(refused, world, caches, tmp_path):
    (tmp_path / "file").write_text("mine")
    splits = ("--split", "valid", "--valid-split", "valid", "--calib-split", "valid")
    words = ("--data", world, "--cache", caches, "--epochs", 1, "--batch", 8, *splits)
    assert "file" in refused("train-selector", *words, "--out", tmp_path / "file")


def test_a_demo_whose_output_holds_something_else(refused, tmp_path):
    (tmp_path / "world" / "valid").mkdir(parents=True)
    (tmp_path / "world" / "valid" / "thesis.tex").write_text("mine")
    assert "valid" in refused("demo", "--clips", 1, "--out", tmp_path)


@pytest.mark.parametrize("name", ["generate", "evaluate", "predict", "train-selector"])
def test_an_unknown_split(refused, world, tmp_path, name):
    flag = "--valid-split" if name == "train-selector" else "--split"
    words = (name, "--data", world, flag, "nonsense", "--cache", tmp_path / "caches")
    if name in ("predict", "train-selector"):
        words += ("--out", tmp_path / "out")
    if name == "train-selector":
        words += ("--split", "nonsense")
    assert "nonsense" in refused(*words)


@pytest.mark.parametrize("name", ["generate", "predict"])
def test_a_video_and_a_dataset_at_once(refused, world, tiny_video, outputs, name):
    words = (name, tiny_video, "--data", world, *(outputs if name == "predict" else outputs[:2]))
    phrases = ("-e", "the cup") if name == "predict" else ()
    assert "both" in refused(*words, *phrases)
    assert "neither" in refused(name)


def test_flags_that_contradict_each_other(refused, world, tiny_video, outputs):
    assert "--fps" in refused("generate", "--data", world, "--fps", 8, *outputs[:2])
    assert "--expression" in refused("predict", "--data", world, "-e", "the cup", *outputs)
    assert "--fps" in refused("generate", tiny_video, "--fps", 8, *outputs[:2])


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--shard", "2/2"), ("--shard", "half"), ("--limit", 0), ("--source", "guess"), ("--device", "abacus")],
)
def test_values_out_of_range(refused, world, outputs, flag, value):
    assert flag.strip("-") in refused("generate", "--data", world, *outputs[:2], flag, value)


@pytest.mark.parametrize(("flag", "value"), [("--points", 0), ("--bin-size", -1)])
def test_grids_out_of_range(refused, world, outputs, flag, value):
    assert str(value) in refused("generate", "--data", world, *outputs[:2], flag, value)


def test_an_unknown_benchmark_and_an_unknown_recipe(refused, world):
    assert "nonsense" in refused("benchmark", "nonsense")
    assert "nonsense" in refused("train-selector", "--data", world, "--recipe", "nonsense")


def test_damaged_annotations(refused, world, place, outputs):
    broken = shutil.copytree(world, place / "world") / "valid" / "meta_expressions.json"
    broken.write_text(broken.read_text()[:200])
    assert "meta_expressions.json" in refused("generate", "--data", place / "world", *outputs[:2])


def test_an_evaluation_without_ground_truth(refused, world, caches, place):
    hidden = shutil.copytree(world, place / "world")
    (hidden / "valid" / "mask_dict.json").unlink()
    assert "ground-truth" in refused("evaluate", "--data", hidden, "--cache", caches)
