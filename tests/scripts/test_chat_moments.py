"""`chat-moments` with a tiny random model of Qwen3-VL's class, and what it refuses."""

import pytest

from core.scores import read_scores
from tests.llm_grounder.tiny_chat import write_folder


def test_a_split_is_asked_and_what_was_said_is_kept(command, world, tmp_path):
    folder, out = write_folder(tmp_path / "chat"), tmp_path / "moments.jsonl"
    places = ("--data", world, "--cache", tmp_path / "none", "--limit", 1, "--frames", 2, "--side", 16, "--tokens", 6)
    planned = command("chat-moments", *places, "--model", folder, "--out", out, "--dry-run")
    assert (planned.code, planned.figures["videos"], out.exists()) == (0, 1, False)
    places = (*places, "--model", folder, "--replies", tmp_path / "said", "--out", out, "--device", "cpu")
    made = command("chat-moments", *places, "--at-once", 8)
    assert made.code == 0, made.err
    count = planned.figures["sentences"]
    assert (made.figures["written"], made.figures["replies"]) == (count, count)
    assert made.figures["failures"] == count  # random words are no windows
    first = [score.text for score in read_scores(out)]
    assert len(first) == count
    assert len(list((tmp_path / "said").rglob("*.json"))) == count
    command("chat-moments", *places)
    assert [score.text for score in read_scores(out)] == first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "x", "--text", "a"), "--text: expected with a VIDEO"),
        (("--model", " "), "--model: expected a hub id"),
        (("--model", "x", "--frames", 0), "--frames: expected 1 or more"),
        (("--model", "x", "--server", "ftp://host"), "chat server: expected a URL"),
        (("--model", "x", "--split", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_sentence(command, world, words, message):
    outcome = command("chat-moments", "--data", world, *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
