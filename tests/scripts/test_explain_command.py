"""`explain` and `report` tell and write what they are asked for, and say in one sentence what they cannot."""

import re
import shutil

import pytest

from tests.conftest import VIDEOS

LOSSES = {"lost_by_stage_1", "lost_by_ranking", "lost_by_threshold", "lost_by_no_target"}


def rows(path):
    return re.findall(r'"number":(\d+),', path.read_text())


def test_report_writes_every_expression_of_a_split(command, world, caches, tmp_path):
    out = tmp_path / "report.html"
    words = ("report", "--data", world, "--cache", caches, "--out", out)
    planned = command(*words, "--dry-run")
    assert (planned.code, out.exists()) == (0, False)
    outcome = command(*words)
    assert outcome.code == 0, outcome.err
    figures = outcome.figures
    assert figures["expressions"] == planned.figures["expressions"] == len(rows(out))
    assert (figures["videos"], figures["without_pictures"]) == (2, 0)
    assert figures["megabytes"] == pytest.approx(out.stat().st_size / 1e6)
    assert sum(figures[name] for name in LOSSES) == pytest.approx(1 - figures["jf"])


def test_explain_tells_the_failures_of_a_split_and_counts_all_of_it(command, world, caches, tmp_path):
    out = tmp_path / "explain.html"
    words = ("explain", "--data", world, "--cache", caches, "--out", out)
    some = command(*words, "--below", 0.9)
    assert some.code == 0, some.err
    assert 0 < some.figures["explained"] == len(rows(out)) < some.figures["expressions"]
    assert some.out.count("oracle 0.") + some.out.count("oracle 1.") == some.figures["explained"]
    none = command(*words, "--below", 0)
    assert (none.code, none.figures["explained"], rows(out)) == (0, 0, [])
    assert {name: none.figures[name] for name in LOSSES} == {name: some.figures[name] for name in LOSSES}


def test_explain_tells_one_expression_and_a_dry_run_writes_nothing(command, world, caches, tmp_path):
    out = tmp_path / "explain.html"
    words = ("explain", "--data", world, "--cache", caches, "--out", out, "--id", f"{VIDEOS[1]}/0")
    assert (command(*words, "--dry-run").figures["explained"], out.exists()) == (1, False)
    outcome = command(*words)
    assert (outcome.code, outcome.figures["explained"], len(rows(out))) == (0, 1, 1)
    assert outcome.out.startswith(f"{VIDEOS[1]}/0  “")
    assert "oracle" in outcome.out


def test_explain_tells_the_ranking_of_a_single_video(command, tiny_video, tmp_path):
    places = ("--cache", tmp_path / "caches")
    missing = command("explain", tiny_video, "-e", "the red star", *places, "--out", tmp_path / "e.html")
    assert (missing.code, "tracksift generate" in missing.err) == (2, True)
    assert command("generate", tiny_video, "--points", 4, *places).code == 0
    outcome = command("explain", tiny_video, "-e", "the red star", *places, "--out", tmp_path / "e.html")
    assert (outcome.code, outcome.figures["explained"]) == (0, 1), outcome.err
    assert "score" in outcome.out
    assert len(rows(tmp_path / "e.html")) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("explain", "--id", "nobody/0"), "expected one of"),
        (("explain", "-e", "the cup"), "--expression: expected none with --data"),
        (("explain", "--selector", "gone.safetensors"), "gone"),
        (("report", "--split", "nonsense"), "nonsense"),
        (("report", "--limit", 0), "--limit"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(command, world, caches, tmp_path, words, sentence):
    outcome = command(*words, "--data", world, "--cache", caches, "--out", tmp_path / "out.html")
    assert outcome.code == 2
    assert sentence in outcome.err
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_video_has_no_annotated_expressions_to_name(command, tiny_video, tmp_path):
    outcome = command("explain", tiny_video, "--id", "clip/0", "--out", tmp_path / "out.html")
    assert (outcome.code, "--id: expected none with VIDEO" in outcome.err) == (2, True)


def test_a_split_that_hides_its_targets_is_told_without_them(command, world, caches, tmp_path):
    hidden = shutil.copytree(world, tmp_path / "world")
    (hidden / "valid" / "mask_dict.json").unlink()
    words = ("--data", hidden, "--cache", caches, "--out", tmp_path / "out.html")
    refused = command("explain", *words)
    assert (refused.code, "see --id" in refused.err) == (2, True)
    assert command("explain", *words, "--id", f"{VIDEOS[0]}/0").figures["explained"] == 1
    report = command("report", *words)
    assert (report.code, "jf" in report.figures) == (0, False)
    assert report.figures["expressions"] == len(rows(tmp_path / "out.html"))
