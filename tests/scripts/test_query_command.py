"""`query` answers from caches without their videos: as a table, as JSON lines, and as files with masks."""

import json

import pytest

from fusion.writers import read_answers
from tests.conftest import VIDEOS

TEXTS = ("the red star", "the shape that moves left")


@pytest.fixture
def one(caches):
    return caches / "mevis" / "valid" / f"{VIDEOS[0]}.h5"


def test_a_split_is_answered_as_a_table(command, caches):
    outcome = command("query", caches, *TEXTS)
    assert outcome.code == 0, outcome.err
    assert all(word in outcome.out for word in ("the red star", "probability", "presence"))
    figures = outcome.figures
    assert (figures["videos"], figures["expressions"], figures["files"]) == (2, 2, 0)
    assert 0 < figures["megabytes"] < 10
    assert figures["milliseconds_an_expression"] == pytest.approx(figures["milliseconds"] / 2)


def test_lines_of_json_hold_scores_spans_and_boxes(command, caches, one, tmp_path):
    phrases = tmp_path / "phrases.txt"
    asked = ("the red star", "the hearts")  # the clip has hearts, and no red star
    phrases.write_text("\n".join(asked))
    outcome = command("query", one, "--expressions-file", phrases, "--json", "--top", 2)
    *lines, last = [json.loads(line) for line in outcome.out.splitlines()]
    assert last["expressions"] == 2
    assert [line["expression"] for line in lines] == list(asked)
    for line in lines:
        assert line["no_target"] == (not any(track["selected"] for track in line["tracks"]))
        assert 0 <= line["presence"] <= 1
        for track in line["tracks"]:
            assert (track["boxes"] is not None) == track["selected"]
            if track["selected"]:
                assert len(track["boxes"]) == 10
    assert [line["no_target"] for line in lines] == [True, False]
    alike = [json.loads(line) for line in command("query", caches, *TEXTS, "--json").out.splitlines()[:-1]]
    assert len(alike) == 4


def test_answers_are_written_with_masks_where_they_are_wanted(command, caches, tmp_path):
    out = tmp_path / "found"
    assert command("query", caches, *TEXTS, "--out", out, "--dry-run").code == 0
    assert not out.exists()
    outcome = command("query", caches, *TEXTS, "--out", out)
    assert outcome.figures["files"] == 2
    for name in VIDEOS:
        answers = read_answers(out / name / "answers.json")
        assert [a.expression.text for a in answers] == list(TEXTS)


def test_an_overlay_needs_the_video_that_the_cache_was_made_of(command, world, caches, one, tmp_path):
    frames = {name: world / "valid" / "JPEGImages" / name for name in VIDEOS}
    words = ("query", one, TEXTS[0], "--fps", 8, "--out", tmp_path / "found", "--video")
    assert command(*words, frames[VIDEOS[0]]).figures["files"] == 2
    assert (tmp_path / "found" / VIDEOS[0] / "overlay.mp4").stat().st_size > 1000
    outcome = command(*words, frames[VIDEOS[1]])
    assert (outcome.code, "made of" in outcome.err) == (2, True)
    outcome = command("query", caches, *words[2:], frames[VIDEOS[0]])
    assert (outcome.code, "one cache file" in outcome.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "at least one --expression"),
        (("the cup", "--video", "clip.mp4"), "--video: expected --out"),
        (("the cup", "--selector", "gone.safetensors"), "gone"),
        (("  ",), "non-empty"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(command, caches, words, sentence):
    outcome = command("query", caches, *words)
    assert outcome.code == 2
    assert sentence in outcome.err
    assert "Traceback" not in outcome.err


def test_a_place_without_caches_is_named(command, tmp_path):
    outcome = command("query", tmp_path / "gone", "the cup")
    assert (outcome.code, "gone" in outcome.err) == (2, True)
    outcome = command("query", tmp_path, "the cup")
    assert (outcome.code, "tracksift generate" in outcome.err) == (2, True)
