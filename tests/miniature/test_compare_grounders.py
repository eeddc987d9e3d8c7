"""Read-outs and compressors side by side: one table, the same budget, and what is refused."""

import json

import pytest

from core.errors import InputError
from miniature import compare_grounders
from miniature.compare_grounders import COLUMNS, VARIANTS, compared, variant

QUICK = ("--size", "smoke", "--steps", 1, "--workers", 0, "--videos", 1, "--device", "cpu")


@pytest.fixture
def run(command):
    return lambda *words: command(*words, app=compare_grounders.app, name="compare_grounders")


@pytest.mark.slow
def test_one_table_has_all_that_were_asked_for(run, tmp_path):
    ran = run("--out", tmp_path, *QUICK, "--only", "words; none; frames' relevance")
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "compared.json").read_text())["compared"]
    assert list(found) == ["words", "none", "frames' relevance"]
    assert all(tuple(row) == COLUMNS and row["steps"] == 1 for row in found.values())
    assert found["none"]["tokens a video"] > 2 * found["words"]["tokens a video"]


def test_variants_differ_from_the_first_in_what_they_are_named_after():
    base = compared("full")
    made = {name: variant(base, changes) for name, changes in VARIANTS.items()}
    assert made["span queries, pointer"] == base
    assert made["span queries, mlp"].grounder.span_rule == "mlp"
    assert [made[name].manner.windows for name in ("words", "frames' relevance", "slots")] == [
        "words", "relevance", "spans",
    ]  # fmt: skip
    compressors = [made[name].grounder.compressor for name in list(VARIANTS)[4:8]]
    assert compressors == ["slots", "t_selector", "average", "none"]
    assert base.grounder.compressor == "guided"
    assert (base.most_tracks, made["tracks too"].most_tracks) == (0, base.grounder.tracks)


def test_unknown_names_are_refused_before_anything_is_drawn(run, tmp_path):
    with pytest.raises(InputError, match="--only: expected some of span queries, pointer"):
        run("--out", tmp_path / "x", *QUICK, "--only", "magic")
    assert not (tmp_path / "x").exists()
    with pytest.raises(InputError, match="--size: expected one of full, smoke, got 'huge'"):
        compared("huge")
