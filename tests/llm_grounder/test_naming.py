"""Replies name what tracks show: which tokens are looked at, at what time, and the same in training and in writing."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from llm_grounder.readouts.naming import Spoken, seconds_spoken, spoken_of
from llm_grounder.types import Request as Asked
from llm_grounder.types import Role, Sample, Task, Turn
from tests.llm_grounder.tiny_grounder import make_clip, tiny_grounder

TOKENS = {sign: f"<TIME_{name}>" for sign, name in zip(
    "0123456789.", ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE", "DOT"), strict=True
)}  # fmt: skip


def spelt(seconds):
    return "".join(TOKENS[sign] for sign in f"{seconds:06.1f}")


def sample_of(clip, question, answer=None, given=False):
    turns = (Turn(0.0, Role.USER, question),)
    if answer is not None:
        turns += (Turn(math.inf, Role.ASSISTANT, answer, given=given),)
    return Sample(clip, Asked(Task.QA, question), turns)


def nameable(grounder, samples):
    layouts, batch = grounder.lay_out(samples)
    read = grounder.read(samples, layouts, batch)
    return layouts, batch, read, grounder._nameable(samples, layouts, batch, read)


def test_seconds_are_those_spoken_last_in_this_turn():
    grounder = tiny_grounder()
    encode, ids = grounder.template._words, grounder.backbone.ids
    said = [
        *encode(f"{spelt(2)} - {spelt(4.5)} seconds, red. {spelt(7)} seconds, blue. {TOKENS['.']}"),
        ids["<|im_start|>"],
    ]
    found = seconds_spoken(said, ids)
    changes = [found[0].tolist()]
    for row in found.tolist():
        if not np.array_equal(row, changes[-1], equal_nan=True):
            changes.append(row)
    assert str(changes) == "[[nan, nan], [2.0, 2.0], [2.0, 4.5], [7.0, 7.0], [nan, nan]]"
    assert np.isnan(seconds_spoken(encode(f"{TOKENS['.'] * 6} and {TOKENS['1'] * 6}"), ids)).all()


def test_places_before_words_have_the_seconds_spoken_by_then():
    grounder = tiny_grounder()
    samples = [
        sample_of(make_clip(5, 2), "what?", f"{spelt(1)} - {spelt(3)} red"),
        sample_of(make_clip(4, 0, 1), "what?", "red"),
    ]
    layouts, batch = grounder.lay_out(samples)
    spoken = spoken_of(batch, layouts, grounder.backbone.ids)
    first, second = (spoken.seconds[spoken.row == b] for b in (0, 1))
    assert first[-1].tolist() == [1.0, 3.0]
    assert np.isnan(second).all()
    assert np.isnan(spoken.seconds[0]).all()
    given = [replace(samples[0], turns=(samples[0].turns[0], replace(samples[0].turns[1], given=True)))]
    labels = grounder.lay_out(given)[1].labels
    times = {grounder.backbone.ids[token] for token in TOKENS.values()}
    assert not times & set(labels[labels >= 0].tolist())
    assert (labels >= 0).sum() == (batch.labels[0] >= 0).sum() - 12


@pytest.mark.parametrize("hint", ["named", "timely"])
def test_who_is_named_and_what_is_seen_at_the_time_is_looked_at(hint):
    grounder = tiny_grounder()
    with torch.no_grad():
        for name in ("named", "timely"):
            getattr(grounder.naming, name).fill_(50.0 if name == hint else 0.0)
    sample = sample_of(make_clip(6, 3), "what is <track_1>?")
    _, batch, read, shown = nameable(grounder, [sample])
    window = (2.0, 4.0) if hint == "timely" else (math.nan, math.nan)
    last = read.states[:, -1]
    out = grounder.naming(last, Spoken(np.array([0]), np.array([batch.ids.shape[1]]), np.array([window])), shown)
    frames, tracks = grounder.lay_out([sample])[0][0].objects.T
    meant = (tracks == 1) if hint == "named" else (frames == 2) | (frames == 3)
    others = shown.states.clone()
    others[0, ~meant] = 1e3 * torch.randn_like(others[0, ~meant])
    again = grounder.naming(
        last, Spoken(np.array([0]), np.array([batch.ids.shape[1]]), np.array([window])), replace(shown, states=others)
    )
    assert torch.allclose(out, again, atol=1e-4)
    moved = shown.states.clone()
    moved[0, meant] += 1
    shift = grounder.naming(
        last, Spoken(np.array([0]), np.array([batch.ids.shape[1]]), np.array([window])), replace(shown, states=moved)
    )
    assert torch.allclose(shift - out, grounder.naming.says.weight.sum(1)[None], atol=1e-4)


def test_nothing_later_and_nobody_of_another_sample_is_looked_at():
    grounder = tiny_grounder()
    one, two = sample_of(make_clip(6, 2), "what?"), sample_of(make_clip(4, 3, 1), "what?")
    _, batch, read, shown = nameable(grounder, [one, two])
    early = int(shown.places[0, 3])
    spoken = Spoken(np.array([0, 1]), np.array([early, batch.ids.shape[1]]), np.full((2, 2), np.nan))
    states = read.states[:, -1]
    out = grounder.naming(states, spoken, shown)
    changed = shown.states.clone()
    changed[0, 3:] = 7.0
    again = grounder.naming(states, spoken, replace(shown, states=changed))
    assert torch.equal(out[0], again[0])
    assert torch.allclose(out[1], again[1])
    alone = nameable(grounder, [two])
    own = grounder.naming(
        alone[2].states[:, -1],
        Spoken(np.array([0]), np.array([alone[1].ids.shape[1]]), np.full((1, 2), np.nan)), alone[3],
    )  # fmt: skip
    end = len(alone[0][0].ids) - 1
    own_here = grounder.naming(
        read.states[1:2, end], Spoken(np.array([1]), np.array([batch.ids.shape[1]]), np.full((1, 2), np.nan)), shown
    )
    assert torch.allclose(own, own_here, atol=1e-5)
    assert nameable(grounder, [sample_of(make_clip(4, 0), "what?")])[3] is None


def test_replies_are_learnt_as_they_are_written():
    grounder = tiny_grounder()
    with torch.no_grad():
        grounder.naming.says.weight.normal_(std=0.5)
    clip, question = make_clip(6, 2), "what is <track_1>?"
    seen = []

    class Watch:
        def __call__(self, said, scores):
            seen.append(scores[0].clone())
            return scores

    answer = f"{spelt(1)} - {spelt(3)} red ring"
    (wanted,) = grounder.lay_out([sample_of(clip, question, answer)])[0]
    told = wanted.ids[wanted.labels >= 0].tolist()

    class Forced:
        def __call__(self, said, scores):
            out = torch.full_like(scores, -torch.inf)
            out[0, told[said.shape[1]]] = 0.0
            return out

    grounder.generate([sample_of(clip, question)], most=len(told), processors=lambda *_: [Watch(), Forced()])
    writing = torch.stack([logits.log_softmax(-1)[token] for logits, token in zip(seen, told, strict=False)])
    lesson = sample_of(clip, question, answer)
    layouts, batch, read, shown = nameable(grounder, [lesson])
    speakable = grounder.backbone.speakable
    spoken = spoken_of(batch, layouts, grounder.backbone.ids)
    before = read.states[0, torch.from_numpy(spoken.column)]
    logits = grounder.backbone.logits(before + grounder.naming(before, spoken, shown))
    learning = logits.masked_fill(~speakable, -torch.inf).log_softmax(-1)[torch.arange(len(told)), torch.tensor(told)]
    assert len(seen) == len(told)
    assert torch.allclose(writing, learning, atol=1e-4)
    loss = grounder.losses([lesson])["text"].detach()
    whole = torch.nn.functional.cross_entropy(logits, torch.tensor(told)).detach()
    assert abs(float(loss) - float(whole)) < 1e-5


def test_what_a_track_shows_is_learnt_as_words():
    grounder = tiny_grounder(texts=("red blue what is",) * 5)
    rng = np.random.default_rng(0)

    def lesson(seed):
        clip = make_clip(4, 3, seed)
        sides = torch.from_numpy(rng.choice([-1.0, 1.0], 3)).float()
        tokens = clip.track_tokens.clone()
        tokens[..., 0] = 3 * sides[:, None]
        which = int(rng.integers(3))
        word = "red" if sides[which] > 0 else "blue"
        return sample_of(replace(clip, track_tokens=tokens), f"what is <track_{which}>?", word), word

    grounder.train()
    optimizer = torch.optim.AdamW(grounder.parameters(), 3e-3)
    for step in range(80):
        grounder.losses([lesson(100 * step + i)[0] for i in range(8)])["total"].backward()
        optimizer.step()
        optimizer.zero_grad()
    grounder.eval()
    fresh = [lesson(90_000 + i) for i in range(24)]
    asked = [replace(sample, turns=sample.turns[:1]) for sample, _ in fresh]
    said = [reply.text for reply in grounder.generate(asked, most=4)]
    assert np.mean([word == text for (_, word), text in zip(fresh, said, strict=True)]) >= 0.9
