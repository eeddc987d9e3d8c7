"""A whole grounder streams what its own pass over the whole sample gives, under the mask that it is trained with."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.errors import InputError
from llm_grounder.backbone import TinyShape, make_tokenizer, tiny_backbone
from llm_grounder.duet import GrounderDuet, timely
from llm_grounder.events import EventKind, Question
from llm_grounder.grounder import Grounder
from llm_grounder.policy import PolicySettings, Rule
from llm_grounder.settings import GrounderSettings
from llm_grounder.streaming import Stream, run
from llm_grounder.types import Clip, Request, Role, Sample, Task, Turn
from llm_grounder.window import Window

FRAMES, PATCHES, WIDTH = 8, 4, 6
SETTINGS = GrounderSettings(WIDTH, PATCHES, visual_tokens=2, spans=2)
GUIDED = replace(SETTINGS, compressor="guided", patch_width=5, patch_layers=2, patch_past=2)
TRACKED = replace(SETTINGS, track_width=5)
SAYS = PolicySettings(Rule.THRESHOLD, threshold=-1.0, same=0.9, interval=1.0)


def make(settings=SETTINGS):
    torch.manual_seed(3)
    tokenizer = make_tokenizer(["what does the star do?", "it spins", "it sways", "system words"], 300)
    shape = TinyShape(width=32, layers=2, heads=2, mlp=48, vocabulary=300)
    return Grounder(settings, tiny_backbone(tokenizer, shape, spans=settings.spans, tracks=settings.tracks)).eval()


def film():
    shown = torch.randn(FRAMES, PATCHES, WIDTH, generator=torch.Generator().manual_seed(0))
    return Clip("clip", shown, np.arange(FRAMES) / 2, FRAMES / 2)


def streamed(grounder, clip, window, policy=SAYS, longest=3):
    questions = [Question(0.0, "what does the star do?"), Question(1.7, "what happens?")]
    stream = Stream(GrounderDuet(grounder, system="system words"), window, policy, longest)
    return list(run(stream, zip(clip.times.tolist(), clip.features, strict=True), questions))


@pytest.mark.parametrize(
    "settings",
    [SETTINGS, GUIDED, TRACKED],
    ids=["slots", "guided, looking back", "reads tracks, of which there are none"],
)
@pytest.mark.parametrize("window", [Window(), Window(frames=2, questions=1, replies=1)])
def test_a_stream_of_a_grounder_equals_its_offline_pass_under_the_window(window, settings):
    grounder, clip = make(settings), film()
    # Words that become the same tokens again when they are read as a turn.
    speakable = torch.zeros_like(grounder.backbone.speakable)
    speakable[grounder.backbone.tokenizer.encode("abcdefgh")] = True
    grounder.backbone.speakable &= speakable
    events = streamed(grounder, clip, window)
    replies = [event for event in events if event.kind is EventKind.REPLY]
    assert len(replies) >= 2
    turns = [timely("what does the star do?", 0.0), timely("what happens?", 1.7)]
    turns += [Turn(event.time, Role.ASSISTANT, event.text) for event in replies]
    sample = Sample(
        clip, Request(Task.TIMED_QA, "x"), tuple(sorted(turns, key=lambda turn: turn.time)), system="system words"
    )
    (whole,) = grounder.outputs([sample], window)
    for head in ("relevance", "informative"):
        scores = [event.scores[head] for event in events if event.kind is EventKind.FRAME]
        assert scores == pytest.approx(getattr(whole, head), abs=1e-4)
    (other,) = grounder.outputs([sample], Window(frames=1))
    assert np.abs(other.relevance - whole.relevance).max() > 1e-3


def test_a_frame_is_read_in_the_light_of_the_last_question_and_of_the_frames_before():
    shown = film().features
    with torch.no_grad():
        read = []
        for question, before in (("the star", 0), ("it spins", 0), ("the star", 1)):
            duet = GrounderDuet(make(GUIDED))
            duet.question(question, 0.0)
            for t in range(before):
                duet.frame(shown[t], t / 2)
            read.append(duet.frame(shown[4], 2.0))
    assert (read[0] - read[1]).abs().max() > 1e-4
    assert (read[0] - read[2]).abs().max() > 1e-4
    assert torch.equal(read[0][-1], read[1][-1])  # the marker is its time alone


def test_a_question_is_asked_in_the_words_of_training():
    turn = timely("what does the star do?", 2.0)
    assert (turn.time, turn.role) == (2.0, Role.USER)
    assert turn.text.startswith("what does the star do? ")


def test_a_whole_turn_is_opening_words_and_closing():
    grounder = make()
    duet, ids = GrounderDuet(grounder), grounder.backbone.tokenizer.encode("it spins")
    turn, _ = grounder.embed([grounder.template.turn(Turn(math.inf, Role.ASSISTANT, "it spins"))], film())
    with torch.no_grad():
        assert torch.equal(torch.cat([duet.opening(), duet.words(ids), duet.closing()]), turn[0])
    assert duet.decode(ids) == "it spins"


def test_no_reply_holds_a_token_that_is_not_for_replies():
    grounder = make()
    duet = GrounderDuet(grounder)
    with torch.no_grad():
        logits = duet.logits(torch.zeros(grounder.backbone.width))
    assert torch.isinf(logits[~grounder.backbone.speakable]).all()
    assert all(torch.isfinite(logits[stop]) for stop in duet.stops)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (GrounderSettings(WIDTH, PATCHES, group=2), "expected a grounder of group 1"),
        (GrounderSettings(WIDTH, PATCHES, sequence_rows=4), "got group 1 and sequence_rows 4"),
        (GrounderSettings(WIDTH, PATCHES, frame_heads=False), "expected a grounder with frame heads"),
    ],
)
def test_grounders_that_cannot_stream_are_refused(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        GrounderDuet(make(settings))


def test_times_start_anew_after_a_lap_so_that_a_stream_may_last_for_ever():
    grounder, shown = make(), film().features[0]
    duet, short = GrounderDuet(grounder), GrounderDuet(grounder, lap=100.0)
    with torch.no_grad():
        assert torch.equal(duet.frame(shown, 9999.9 + 12.5), duet.frame(shown, 12.5))
        assert torch.equal(short.frame(shown, 312.5), duet.frame(shown, 12.5))
        assert not torch.equal(short.frame(shown, 99.5), duet.frame(shown, 12.5))
    events = [Stream(duet).see(shown, time)[0] for time in (0.0, 1e6)]
    assert [event.time for event in events] == [0.0, 1e6]
    for lap in (0.0, 1e5):
        with pytest.raises(InputError, match=r"expected a lap above 0 and up to 9999.9 seconds"):
            GrounderDuet(grounder, lap=lap)


def test_positions_are_those_that_the_language_model_was_made_for():
    assert GrounderDuet(make()).positions == 1 << 20


def test_features_of_another_shape_are_refused():
    stream = Stream(GrounderDuet(make()))
    with pytest.raises(InputError, match="expected features of"):
        stream.see(torch.zeros(PATCHES, WIDTH + 1), 0.0)
