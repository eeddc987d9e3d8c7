"""`tracksift import`: masks of another program become caches that answer expressions, kept while they are current."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from cache import open_cache, read_cache
from core import rle
from core.candidates import candidates
from core.types import Source
from miniature.world import make_clip
from tracksift.ask import Pipeline, as_expressions

FRAMES = 3


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Two videos of frames of the rendered world, palette masks, and a JSON file of both: the folder and the masks."""
    root = tmp_path_factory.mktemp("scene")
    videos, objects, truth = [], [], {}
    for number, seed in enumerate((200_041, 200_084)):
        clip, name = make_clip(seed, frames=FRAMES), f"v{seed}"
        masks = clip.masks[clip.masks.any(axis=(1, 2, 3))][:2].copy()
        masks[1] &= ~masks[0]  # a palette has one object a pixel
        truth[name] = masks
        for folder in ("videos", "masks"):
            (root / folder / name).mkdir(parents=True)
        for t in range(FRAMES):
            Image.fromarray(clip.frames[t]).save(root / "videos" / name / f"{t:05d}.png")
            values = masks[0, t] * np.uint8(1) + masks[1, t] * np.uint8(2)
            picture = Image.fromarray(values)
            picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
            picture.save(root / "masks" / name / f"{t:05d}.png")
        videos.append({"id": number, "file_names": [f"{name}/{t:05d}.jpg" for t in range(FRAMES)]})
        for mask in masks:
            found = [rle.to_json(c, mask.shape[1:]) if m.any() else None for c, m in zip(rle.encode(mask), mask)]  # noqa: B905
            objects.append({"id": len(objects), "video_id": number, "segmentations": found})
    (root / "instances.json").write_text(json.dumps({"videos": videos, "annotations": objects}))
    return root, truth


@pytest.fixture
def run(command, scene, tmp_path):
    """The command on the first video with its PNGs, and where its file goes."""
    root, truth = scene
    name = next(iter(truth))

    def run(*more):
        return command(
            "import", root / "videos" / name, "--masks", root / "masks" / name, "--fps", "8",
            "--cache", tmp_path / "caches", "--device", "cpu", *more,
        )  # fmt: skip

    return run, tmp_path / "caches" / "imported" / name / f"{name}.h5"


def counts(outcome):
    return tuple(outcome.figures[key] for key in ("made", "kept", "planned", "failures"))


def test_an_import_is_made_once_kept_and_made_again_when_it_is_damaged(run, scene):
    run, file = run
    assert counts(run("--dry-run")) == (0, 0, 1, 0)
    assert not file.exists()
    made = run()
    assert (made.code, counts(made), made.figures["tracks"]) == (0, (1, 0, 0, 0), 2)
    held = read_cache(file)
    truth = next(iter(scene[1].values()))
    assert all(np.array_equal(track.decode(), mask) for track, mask in zip(held.tracks, truth, strict=True))
    assert {track.source for track in held.tracks} == {Source.IMPORTED}
    assert all(
        np.array_equal(track.present, mask.any(axis=(1, 2))) for track, mask in zip(held.tracks, truth, strict=True)
    )
    assert held.looks() is not None
    before = file.read_bytes()
    assert counts(run()) == (0, 1, 0, 0)
    assert file.read_bytes() == before
    file.write_bytes(before[: len(before) // 2])
    assert counts(run()) == (1, 0, 0, 0)
    assert file.read_bytes() == before


def test_a_file_that_differs_in_looks_alone_keeps_its_tokens(run, monkeypatch):
    run, file = run
    run()
    tokens = open_cache(file).tokens()
    monkeypatch.setattr("tracksift.imports.import_tracks", None)  # would fail if it were asked
    assert counts(run("--no-looks")) == (1, 0, 0, 0)
    assert open_cache(file).looks() is None
    assert np.array_equal(open_cache(file).tokens(), tokens)


def test_imported_tracks_compete_for_every_expression_and_are_answered_from(run):
    run, file = run
    run()
    held = open_cache(file)
    assert candidates(held.sources(), [p.expression_id for p in held.prompts()], "any").tolist() == [0, 1]
    (answer,) = Pipeline(device="cpu").answer(file, as_expressions(["the shape that moves"]))
    assert {row["source"] for row in answer.why["ranking"]} == {"imported"}


def test_predict_answers_from_an_import_and_refuses_one_that_is_not_there(run, command, scene, tmp_path):
    run, _ = run
    run()
    root, truth = scene
    name, other = truth
    words = ("-e", "the shape that moves", "--fps", "8", "--cache", tmp_path / "caches", "--out", tmp_path / "out")
    words += ("--imported", name, "--no-pictures", "--device", "cpu")
    answered = command("predict", root / "videos" / name, *words)
    assert (answered.code, answered.figures["expressions"]) == (0, 1)
    assert not (tmp_path / "caches" / "videos").exists()
    lacking = command("predict", root / "videos" / other, *words)
    assert (lacking.code, "run `tracksift import`" in lacking.err) == (2, True)
    shutil.copytree(root / "videos" / other, tmp_path / name)
    strange = command("predict", tmp_path / name, *words)
    assert (strange.code, "got one of other frames" in strange.err) == (2, True)
    both = command("predict", root / "videos" / name, *words, "--detect")
    assert (both.code, "expected no --detect" in both.err) == (2, True)


def test_a_file_of_videos_is_imported_over_their_folder_and_names_what_fails(command, scene, tmp_path):
    root, truth = scene
    videos = tmp_path / "videos"
    shutil.copytree(root / "videos", videos)
    words = ("import", videos, "--masks", root / "instances.json", "--fps", "8", "--cache", tmp_path / "c")
    words += ("--no-looks", "--device", "cpu")
    whole = command(*words)
    assert (whole.code, counts(whole)) == (0, (2, 0, 0, 0))
    for name, masks in truth.items():
        held = read_cache(tmp_path / "c" / "imported" / "instances" / f"{name}.h5")
        assert all(np.array_equal(track.decode(), mask) for track, mask in zip(held.tracks, masks, strict=True))
    first, second = truth
    shutil.rmtree(videos / first)
    broken = command(*words)
    assert (broken.code, counts_of_text(broken.out)) == (2, (0, 1, 0, 1))
    assert f"1 of 2 videos failed: {first}: " in broken.err
    assert second not in broken.err


def counts_of_text(out):
    figures = json.loads(out.splitlines()[-1])
    return tuple(figures[key] for key in ("made", "kept", "planned", "failures"))


def test_folders_of_pngs_are_imported_over_a_folder_of_videos(command, scene, tmp_path):
    root, truth = scene
    planned = command(
        "import", root / "videos", "--masks", root / "masks", "--fps", "8", "--cache", tmp_path / "c", "--dry-run"
    )
    assert (planned.code, counts(planned)) == (0, (0, 0, len(truth), 0))
    assert not (tmp_path / "c").exists()


BAD = [
    (
        ["--masks", "none.json", "--fps", "8"],
        "--masks none.json: expected a folder of PNGs or a JSON file, got nothing",
    ),
    (["--masks", "PNGS"], "has no times, expected frames a second; say --fps"),
    (["--masks", "OTHER", "--fps", "8"], "expected masks of the video's size"),
    (["--masks", "PNGS", "--fps", "8", "--tracker", "none"], "tracker 'none': expected a"),
]


@pytest.mark.parametrize(("words", "sentence"), BAD)
def test_bad_input_is_one_sentence(command, scene, tmp_path, words, sentence):
    root, truth = scene
    name = next(iter(truth))
    (tmp_path / "other").mkdir()
    for t in range(FRAMES):
        Image.fromarray(np.ones((8, 8), dtype=np.uint8)).save(tmp_path / "other" / f"{t:05d}.png")
    places = {"PNGS": root / "masks" / name, "OTHER": tmp_path / "other"}
    outcome = command(
        "import", root / "videos" / name, "--cache", tmp_path / "c", *(places.get(word, word) for word in words)
    )
    assert outcome.code == 2
    assert sentence in outcome.err.splitlines()[-1]
    assert not (tmp_path / "c").exists()
