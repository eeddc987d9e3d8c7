"""Rules of replies: the vocabulary is read once, one rule serves all requests of the same terms."""

import math
from dataclasses import replace

import torch

from core.types import TimeSpan
from llm_grounder.tasks.catalog import FORMATS
from llm_grounder.types import Read, Reply, Request, Task
from tests.llm_grounder.tiny_grounder import make_sample, tiny_grounder
from tracksift import reply_rules
from tracksift.grounding import Manner, question, terms_of
from tracksift.reply_rules import KEPT, ReplyRules


def test_a_vocabulary_is_read_once_for_many_requests(monkeypatch):
    read = []
    known = reply_rules.vocabulary_of
    monkeypatch.setattr(reply_rules, "vocabulary_of", lambda *words: read.append(words) or known(*words))
    rules = ReplyRules(tiny_grounder(), Manner(windows="words"), {Task.MOMENTS: 60})
    same = [rules(make_sample(frames=6, learn=False, seed=seed), Reply())[0] for seed in range(3)]
    assert len({id(rule) for rule in same}) == 1
    other = [rules(make_sample(frames=frames, learn=False), Reply())[0] for frames in range(7, 7 + KEPT)]
    assert len({id(rule) for rule in other}) == KEPT
    assert rules(make_sample(frames=6, learn=False), Reply())[0] is not same[0]  # the oldest is forgotten
    assert len(read) == 1


def say(rule, tokenizer):
    """The first reply that the rule leaves, where each next token is the first of those allowed."""
    said = []
    while len(said) < 200:
        scores = rule(torch.tensor([said], dtype=torch.long), torch.zeros(1, rule.vocabulary.size))[0]
        token = int(scores.argmax())
        if token in rule.vocabulary.closing:
            return tokenizer.decode(said)
        said.append(token)
    raise AssertionError("no end")


def test_replies_tell_of_the_windows_that_were_found():
    grounder, manner = tiny_grounder(), Manner(style="text", events=True)
    rules = ReplyRules(grounder, manner, {Task.CAPTIONS: 90, Task.TIMED_QA: 90})
    clip = make_sample(frames=20).clip
    # Of three, one is too unlikely; the best is not the first in time, and one lies around the middle of another.
    spans = (TimeSpan(10.0, 14.0, 0.9), TimeSpan(0.0, 19.0, 0.7), TimeSpan(2.0, 4.0, 0.4))
    for task, wanted in ((Task.CAPTIONS, [(0.0, 19.0), (10.0, 14.0)]), (Task.TIMED_QA, [9.5, 12.0])):
        sample = question(clip, Request(task, "who spins?"), manner)
        assert sample.reads == (Read.SPANS,)
        (rule,) = rules(sample, Reply(spans=spans))
        told = FORMATS[task].parse(say(rule, grounder.backbone.tokenizer), terms_of(clip, sample.request, manner))
        assert [(t.start, t.end) if task is Task.CAPTIONS else t.time for t in told] == wanted
        (rule,) = rules(sample, Reply(spans=spans[2:]))
        assert say(rule, grounder.backbone.tokenizer) == "none"
    free = replace(manner, events=False)
    assert not question(clip, Request(Task.CAPTIONS), free).reads
    (rule,) = ReplyRules(grounder, free, {Task.CAPTIONS: 90})(question(clip, Request(Task.CAPTIONS), free), Reply())
    assert math.isfinite(rule.vocabulary.size)
    assert say(rule, grounder.backbone.tokenizer) != "none"
