"""`submit`, `data` and `evaluate --predictions`: tables, last lines, exit codes; every dataset of the miniature."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.catalog import CATALOG, Kind
from core import cli
from miniature import render
from scripts import data, submit
from scripts.__main__ import app
from tests.benchmarks.tiny_datasets import MAKERS
from tests.real_data import real_data
from tracksift.submissions import FORMATS

FOLDERS = {
    "activitynet_captions": "activitynet", "rsot": "elysium_track", "video_reg": "elysium_track", "tvsum": "summaries",
    "summe": "summaries", "mmduet_grounding": "mmduet_it", "mmduet_narration": "mmduet_it",
    "mmduet_dialogue": "mmduet_it",
}  # fmt: skip
SPLITS = {"timelens": "miniature-timelens", "ref_youtube_vos": "train"}
HELP = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}


@pytest.mark.parametrize(("group", "name"), [(submit, "pack"), (submit, "check"), (data, "check"), (data, "list")])
def test_the_help_has_examples_and_the_names_of_all(group, name):
    shown = CliRunner().invoke(group.app, [name, "--help"], env=HELP)
    assert shown.exit_code == 0
    assert f"tracksift {group.app.info.name} {name}" in shown.output
    names = {("submit", "pack"): FORMATS, ("submit", "check"): FORMATS, ("data", "check"): CATALOG}
    assert all(n in shown.output for n in names.get((group.app.info.name, name), ()))
    assert ("--dry-run" in shown.output) == (name == "pack")


def test_the_help_of_evaluate_names_every_dataset():
    shown = CliRunner().invoke(app, ["evaluate", "--help"], env=HELP)
    assert all(name in shown.output for name in CATALOG)


def test_the_list_has_every_dataset(command):
    outcome = command("data", "list")
    assert (outcome.code, outcome.figures["datasets"]) == (0, len(CATALOG))
    assert ", ".join(FORMATS) == submit.FORMATS


@pytest.fixture(scope="module")
def long_world(tmp_path_factory):
    """Two long videos, cut short, in every format of the miniature."""
    out = tmp_path_factory.mktemp("long")
    words = ["--long", "--formats", "all", "--seconds", "32", "--seeds", "200100:200102", "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["render", *words])
        with pytest.raises(SystemExit) as end:
            cli.run(render.app)
    assert not end.value.code
    return out / "valid"


@pytest.mark.parametrize("name", CATALOG)
def test_every_dataset_of_the_miniature_passes_its_check(name, command, long_world):
    if name == "elysium_track":
        pytest.skip("the miniature's valid split is RSOT's")
    # Frames lie beside annotations, DiDeMo ships without videos, and Video-REG's ids are of objects.
    alone = CATALOG[name].kind in (Kind.MASKS, Kind.BOXES) or name in ("didemo", "video_reg")
    videos = () if alone else ("--videos", long_world / "videos")
    words = ("--split", SPLITS[name]) if name in SPLITS else ()
    outcome = command("data", "check", name, "--data", long_world / FOLDERS.get(name, name), *words, *videos)
    assert outcome.code == 0, outcome.out
    assert (outcome.figures["good"], outcome.figures["missing"]) == (True, 0)


def test_a_faulty_dataset_is_exit_code_1_and_an_unknown_one_2(command, tmp_path):
    tiny = MAKERS["mevis"](tmp_path)
    (tmp_path / "valid_u" / "JPEGImages" / "a" / "00000.jpg").unlink()
    outcome = command("data", "check", "mevis", "--data", tiny.data)
    assert (outcome.code, outcome.figures["missing"], outcome.figures["good"]) == (1, 1, False)
    assert "found none of 1" in outcome.out
    refused = command("data", "check", "imagenet", "--data", tiny.data)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("error: dataset: expected one of mevis, ")


def test_a_submission_is_packed_checked_and_refused_when_damaged(command, tmp_path):
    tiny = MAKERS["qvhighlights"](tmp_path)
    out = tmp_path / "hl_val_submission.jsonl"
    words = ("--format", "qvhighlights", "--data", tiny.data)
    dry = command("submit", "pack", *words, "--answers", tiny.predictions, "--out", out, "--dry-run")
    assert (dry.code, dry.figures["entries"], out.exists()) == (0, 3, False)
    packed = command("submit", "pack", *words, "--answers", tiny.predictions, "--out", out)
    assert (packed.code, packed.figures["entries"], packed.figures["failures"], out.exists()) == (0, 3, 0, True)
    whole = command("submit", "check", out, *words)
    assert (whole.code, whole.figures["good"]) == (0, True)
    out.write_text("".join(out.read_text().splitlines(keepends=True)[:1]))
    short = command("submit", "check", out, *words, "--most", 1)
    assert (short.code, short.figures["problems"]) == (1, 2)
    assert short.out.count("expected a line, got none") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pack", "--format", "davis"), "--format: expected one of mevis"),
        (("pack", "--format", "qvhighlights", "--answers", "gone.jsonl"), "gone.jsonl: expected a score file"),
        (("pack", "--format", "mevis"), "expected"),
        (("check", "gone.zip", "--format", "mevis"), "gone.zip: expected a submission, found nothing there"),
        (("check", "bad.jsonl", "--format", "qvhighlights"), "bad.jsonl: line 1: expected JSON"),
    ],
)
def test_bad_input_of_submit_is_one_sentence(command, tmp_path, monkeypatch, words, said):
    tiny = MAKERS["qvhighlights"](tmp_path)
    (tmp_path / "bad.jsonl").write_text("no json\n")
    monkeypatch.chdir(tmp_path)
    more = ["--data", tiny.data]
    more += [] if words[0] == "check" else ["--out", tmp_path / "out"]
    more += [] if words[0] == "check" or "--answers" in words else ["--answers", tiny.predictions]
    outcome = command("submit", *words, *more)
    assert (outcome.code, outcome.err.count("\n"), outcome.err.startswith("error: ")) == (2, 1, True), outcome
    assert said in outcome.err
    assert not (tmp_path / "out").exists()


def test_real_predictions_reproduce_the_published_figures_from_the_command_line(command, tmp_path):
    published = json.loads(real_data("qvhighlights/sample_val_preds_metrics_raw.json").read_text())["brief"]
    out = tmp_path / "figures.json"
    outcome = command(
        "evaluate", "--dataset", "qvhighlights", "--data", real_data("qvhighlights/highlight_val_release.jsonl"),
        "--predictions", real_data("qvhighlights/sample_val_preds.jsonl"), "--out", out,
    )  # fmt: skip
    figures = outcome.figures
    assert (outcome.code, figures["n"], figures["failures"]) == (0, 1550, 0)
    expected = {
        "r1_50": "MR-full-R1@0.5", "r1_70": "MR-full-R1@0.7", "map": "MR-full-mAP", "map_75": "MR-full-mAP@0.75",
        "long_map": "MR-long-mAP", "hl_map_verygood": "HL-min-VeryGood-mAP", "hl_hit1_fair": "HL-min-Fair-Hit1",
    }  # fmt: skip
    assert {k: round(100 * figures[k], 2) for k in expected} == {k: published[name] for k, name in expected.items()}
    assert figures["the_whole_video_r1_50"] < 0.2
    written = json.loads(out.read_text())
    assert written == figures | {"failed": []}
    assert set(written["versions"]) >= {"python", "numpy", "tracksift"}
    assert written["settings"]["dataset"] == "qvhighlights"


def test_failures_are_named_and_counted(command, tmp_path):
    tiny = MAKERS["msvd_qa"](tmp_path)
    tiny.predictions.write_text(json.dumps({"0": "cat"}))
    outcome = command("evaluate", "--dataset", "msvd_qa", "--data", tiny.data, "--predictions", tiny.predictions)
    assert (outcome.code, outcome.figures["n"], outcome.figures["failures"]) == (0, 3, 2)
    assert outcome.figures["accuracy"] == pytest.approx(1 / 3)
    assert "failed: question '1': expected an answer, got none" in outcome.err
    silent = command(
        "evaluate", "--dataset", "msvd_qa", "--data", tiny.data, "--predictions", tiny.predictions, "--no-baselines"
    )
    assert not any(key.startswith("the_") for key in silent.figures)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dataset", "imagenet", "--predictions", "."), "dataset: expected one of mevis"),
        (("--dataset", "lasot"), "expected --predictions with them, got none"),
        (("--out", "x.json"), "expected --predictions with them, got none"),
        (("--dataset", "msvd_qa", "--predictions", "gone.json"), "gone.json: expected JSON {question id: answer}"),
        (("--dataset", "vtg_it", "--predictions", "."), "got instructions"),
        (("--predictions", ".", "--tokeniser", "bert"), "--tokeniser: expected one of treebank, plain, got 'bert'"),
    ],
)
def test_bad_input_of_evaluate_is_one_sentence(command, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    tiny = MAKERS["msvd_qa"](tmp_path)
    outcome = command("evaluate", "--data", tiny.data, *words)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1), outcome
    assert said in outcome.err


def test_meteor_that_is_asked_for_and_not_there_is_said(command, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    tiny = MAKERS["youcook2"](tmp_path)
    words = ("evaluate", "--dataset", "youcook2", "--data", tiny.data, "--predictions", tiny.predictions)
    plain = command(*words)
    assert (plain.code, plain.figures["meteor"], plain.figures["tokeniser"]) == (0, None, "plain")
    refused = command(*words, "--meteor")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "meteor" in refused.err.lower() or "Java" in refused.err


@pytest.mark.slow
def test_answers_as_files_and_as_a_submission_score_as_the_caches_do(command, world, caches, tmp_path):
    place = ("--data", world, "--split", "valid")
    whole = command("evaluate", *place, "--cache", caches, "--no-baselines", "--device", "cpu")
    assert command("predict", *place, "--cache", caches, "--out", tmp_path / "answers", "--device", "cpu").code == 0
    packed = command(
        "submit", "pack", "--format", "mevis", *place, "--answers", tmp_path / "answers", "--out", tmp_path / "s.zip"
    )
    assert (packed.code, packed.figures["failures"], packed.figures["n"]) == (0, 0, whole.figures["n"])
    assert command("submit", "check", tmp_path / "s.zip", "--format", "mevis", *place).figures["good"]
    for said in (tmp_path / "answers", tmp_path / "s.zip"):
        found = command("evaluate", *place, "--predictions", said).figures
        for name in ("jf", "j", "f", "target_jf", "no_target_accuracy", "target_accuracy", "n", "failures"):
            assert found[name] == pytest.approx(whole.figures[name], abs=1e-12), name
        assert found["empty_masks_jf"] < found["the_truth_itself_jf"] == 1
