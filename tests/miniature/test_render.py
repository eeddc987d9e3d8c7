"""`python -m miniature.render`: seeds and splits become folders, contradictions and doubtful places are refused."""

from functools import partial

import pytest

from core import cli
from core.errors import InputError
from miniature import render
from miniature.splits import RESERVED, SPLITS, Split
from miniature.world import layout, make_clip


@pytest.fixture
def rendered(command, monkeypatch):
    monkeypatch.setattr(layout, "make_clip", partial(make_clip, frames=3))
    return partial(command, app=lambda: cli.run(render.app), name="miniature.render")


def test_seeds_become_a_split_in_the_benchmarks_layout(rendered, tmp_path):
    outcome = rendered("--seeds", "7:9", "--split", "mine", "--out", tmp_path)
    assert outcome.code == 0, outcome.err
    assert sorted(p.name for p in (tmp_path / "mine" / "JPEGImages").iterdir()) == ["m000007", "m000008"]
    assert {p.name for p in (tmp_path / "mine").iterdir()} == {"meta_expressions.json", "mask_dict.json", "JPEGImages"}
    assert f"wrote {tmp_path / 'mine'}: 2 clips" in outcome.out


def test_a_dry_run_says_what_it_would_write(rendered, tmp_path):
    outcome = rendered("--split", "test", "--out", tmp_path / "out", "--dry-run")
    assert outcome.code == 0
    assert "120 clips, seeds 400000:400120" in outcome.out
    assert list(tmp_path.iterdir()) == []


def test_reserved_seeds_are_rendered_with_a_word(rendered, tmp_path):
    outcome = rendered("--seeds", f"{RESERVED}:{RESERVED + 1}", "--shifted", "--out", tmp_path)
    assert outcome.code == 0
    assert "never used by the project" in outcome.err
    assert (tmp_path / "valid" / "JPEGImages" / f"ms{RESERVED}").is_dir()


def test_a_folder_with_files_is_replaced_only_when_asked_and_only_a_split(rendered, tmp_path):
    words = ("--seeds", "7:8", "--out", tmp_path)
    assert rendered(*words).code == 0
    refused = rendered(*words)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("error: ")
    assert rendered(*words, "--overwrite").code == 0
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("mine")
    assert rendered(*words, "--split", "thesis", "--overwrite").code == 2
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "words",
    [
        ("--seeds", "9:7"),
        ("--seeds", "7"),
        ("--split", "nonsense"),
        ("--split", "test", "--seconds", "20"),
        ("--split", "test", "--formats", "qvhighlights"),
        ("--split", "test", "--formats", "mevis,nonsense"),
        ("--split", "test", "--long", "--seconds", "21"),
        ("--split", "test", "--formats", ","),
        ("--split", "test", "--shifted"),
        ("--seeds", "7:8", "--split", "../up"),
    ],
    ids=" ".join,
)
def test_contradictions_are_one_sentence(rendered, tmp_path, words):
    outcome = rendered(*words, "--out", tmp_path / "out")
    assert outcome.code == 2
    assert outcome.err.startswith("error: --") or outcome.err.startswith("error: split")
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_a_file_is_refused(rendered, tmp_path):
    (tmp_path / "file").write_text("mine")
    outcome = rendered("--seeds", "7:8", "--out", tmp_path / "file")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_splits_choose_their_own_seeds():
    assert render.choose_seeds(None, "train", False, False) == SPLITS["train"]
    assert render.choose_seeds(None, "train", False, False, 5).expressions == 5
    assert render.choose_seeds(None, "train", False, False, None, 0.0).no_target == 0
    assert render.choose_seeds(None, "shifted_test", True, False).shifted
    assert render.choose_seeds("3:5", "anything", True, True) == Split("anything", 3, 2, True)
    assert not render.choose_seeds("3:5", "anything", False, True).shifted
    assert not render.choose_seeds("400000:400002", "test", False, True).shifted
    assert render.choose_seeds("500000:500002", "shifted_test", False, True).shifted
    with pytest.raises(InputError, match="--seeds"):
        render.parse_seeds("-1:4")
