"""What is learnt from whole samples under the window is said in a stream: the right words at the right frames."""

import numpy as np
import torch

from llm_grounder.backbone import TinyShape, make_tokenizer, tiny_backbone
from llm_grounder.duet import GrounderDuet, timely
from llm_grounder.events import EventKind, Question
from llm_grounder.grounder import Grounder
from llm_grounder.policy import PolicySettings, Rule
from llm_grounder.settings import GrounderSettings
from llm_grounder.streaming import Stream, run
from llm_grounder.types import Clip, Request, Role, Sample, Targets, Task, Turn
from llm_grounder.window import Window

FRAMES, WIDTH = 10, 8
WORDS = ("it spins", "it sways")
ASKED = "what does the star do?"
WINDOW = Window(frames=4, questions=1, replies=1)


def story(seed):
    """A clip in which both things happen for two frames each, and (frame, words) of what is to be said."""
    draw = np.random.default_rng(seed)
    first = int(draw.integers(1, 4))
    second = int(draw.integers(first + 2, FRAMES - 1))
    kinds = draw.permutation(2)
    shown = torch.from_numpy(draw.normal(0, 0.3, (FRAMES, 1, WIDTH))).float()
    for start, kind in zip((first, second), kinds, strict=True):
        shown[start : start + 2, 0, kind] += 3
    clip = Clip(f"s{seed}", shown, np.arange(FRAMES) / 2, FRAMES / 2)
    return clip, [(first + 1, WORDS[kinds[0]]), (second + 1, WORDS[kinds[1]])]


def lesson(clip, told):
    turns = [timely(ASKED, 0.0), *(Turn(t / 2, Role.ASSISTANT, words) for t, words in told)]
    due = torch.zeros(FRAMES)
    due[[t for t, _ in told]] = 1
    return Sample(clip, Request(Task.TIMED_QA, ASKED), tuple(turns), Targets(informative=due))


def test_a_grounder_that_learnt_from_whole_samples_speaks_in_a_stream_when_and_what_it_should():
    torch.manual_seed(0)
    tokenizer = make_tokenizer([*WORDS, timely(ASKED, 0.0).text] * 4, 330)
    shape = TinyShape(width=32, layers=2, heads=2, mlp=64, vocabulary=330)
    settings = GrounderSettings(WIDTH, 1, compressor="none", spans=0, boxes=0)
    grounder = Grounder(settings, tiny_backbone(tokenizer, shape, spans=0, tracks=settings.tracks))
    optimiser = torch.optim.AdamW(grounder.parameters(), lr=4e-3, weight_decay=0.0)
    for step in range(300):
        batch = [lesson(*story(1000 + 8 * step + i)) for i in range(8)]
        grounder.losses(batch, window=WINDOW)["total"].backward()
        optimiser.step()
        optimiser.zero_grad()
    policy = PolicySettings(Rule.THRESHOLD, ("informative",), threshold=0.5)
    right = wanted = 0
    for seed in range(10):
        clip, told = story(seed)
        stream = Stream(GrounderDuet(grounder.eval()), WINDOW, policy, longest=8)
        events = run(stream, zip(clip.times.tolist(), clip.features, strict=True), [Question(0.0, ASKED)])
        said = {(round(e.time * 2), e.text) for e in events if e.kind is EventKind.REPLY}
        right += len(said & set(told))
        wanted += len(said | set(told))
    assert right / wanted >= 0.9
