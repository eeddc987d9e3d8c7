"""`tracksift stream`: lines of what happens as it happens, a summary, and one sentence for bad input."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from core.open_clip_folder import open_clip_sha256
from llm_grounder.backbone import TinyShape, make_tokenizer, tiny_backbone
from llm_grounder.checkpoints import save_grounder
from llm_grounder.grounder import Grounder
from llm_grounder.settings import GrounderSettings
from tracksift.clips import Inputs
from tracksift.models import WEIGHTS

FRAMES = 6


def write_grounder(folder, **inputs):
    torch.manual_seed(0)
    settings = GrounderSettings(2 * 192, 4, visual_tokens=1, spans=1, tracks=1)
    backbone = tiny_backbone(make_tokenizer(["it spins"], 300), TinyShape(32, 1, 2, 32, 300), spans=1, tracks=1)
    known = {"encoder": open_clip_sha256(WEIGHTS / "clip"), "grid": 2, "per_second": 2.0} | inputs
    save_grounder(folder, Grounder(settings, backbone), {"inputs": Inputs(**known).record()})
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A grounder of random weights and a folder of frames at 4 a second."""
    root = tmp_path_factory.mktemp("stream")
    write_grounder(root / "grounder")
    (root / "frames").mkdir()
    for i in range(FRAMES):
        noise = np.random.default_rng(i).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / "frames" / f"{i}.png")
    return root


@pytest.fixture
def stream(command, place):
    def run(*words):
        return command(
            "stream", place / "frames", "--fps", 4, "--grounder", place / "grounder", "--device", "cpu", "--longest", 2,
            *words,
        )  # fmt: skip

    return run


def lines(outcome):
    return [json.loads(line) for line in outcome.out.splitlines()]


def test_questions_and_replies_come_in_order_and_the_last_line_sums_up(stream):
    ran = stream("-q", "what?", "-q", "0.7: and now?", "--rule", "threshold", "--threshold", -1, "--same", 2)
    assert ran.code == 0, ran.err
    *events, figures = lines(ran)
    told = [(event["kind"], event["time"]) for event in events if event["kind"] != "silence"]
    replies = [e for e in events if e["kind"] in ("reply", "silence")]
    assert [t for t in told if t[0] == "question"] == [("question", 0.0), ("question", 0.7)]
    assert [event["time"] for event in replies] == [0.0, 0.5, 1.0]  # 2 of 4 frames a second
    assert [event["question"] for event in replies] == [0, 0, 1]
    assert (figures["questions"], figures["frames"]) == (2, 3)
    assert figures["replies"] + figures["silences"] == 3
    assert figures["ms_max"] >= figures["ms_median"] > 0
    assert figures["tokens_held"] > 0


def test_frames_are_told_where_they_are_asked_for(stream):
    quiet = ("-q", "what?", "--rule", "threshold", "--threshold", 3)
    told = [line for line in lines(stream(*quiet, "--frames")) if line.get("kind") == "frame"]
    assert [set(line["scores"]) for line in told] == [{"informative", "relevance"}] * 3
    assert [line["kind"] for line in lines(stream(*quiet))[:-1]] == ["question"]


def test_a_video_file_is_streamed(command, place, tiny_video):
    ran = command("stream", tiny_video, "-q", "what?", "--grounder", place / "grounder", "--device", "cpu",
                  "--threshold", 99)  # fmt: skip
    assert (ran.code, ran.figures["frames"]) == (0, 2)  # 6 frames at 8 a second are 0.75 s


BAD = [
    ((), "expected at least one --question"),
    (("-q", "x", "--rule", "loud"), "--rule: expected one of threshold, sum, text, got 'loud'"),
    (("-q", "x", "--heads", "response"), "policy heads: expected"),
    (("-q", "x", "--same", 0), "policy same: expected"),
    (("-q", "x", "--positions", 5), "expected segments that fit into 5 positions"),
    (("-q", "x", "--lap", 0), "expected a lap above 0"),
    (("-q", "x", "--grounder", "nowhere"), "expected the JSON record of a grounder"),
]


@pytest.mark.parametrize(("words", "sentence"), BAD)
def test_bad_input_is_one_sentence(stream, words, sentence):
    refused = stream(*words)
    assert refused.code == 2
    assert sentence in refused.err.splitlines()[-1]


def test_a_grounder_that_learnt_from_another_encoder_is_refused(stream, tmp_path):
    other = write_grounder(tmp_path / "other", encoder="0" * 64)
    refused = stream("-q", "x", "--grounder", other)
    assert (refused.code, "that it was trained on" in refused.err) == (2, True)
