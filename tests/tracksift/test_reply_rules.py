"""Rules of replies: the vocabulary is read once, one rule serves all requests of the same terms."""

from llm_grounder.types import Task
from tests.llm_grounder.tiny_grounder import make_sample, tiny_grounder
from tracksift import reply_rules
from tracksift.grounding import Manner
from tracksift.reply_rules import KEPT, ReplyRules


def test_a_vocabulary_is_read_once_for_many_requests(monkeypatch):
    read = []
    known = reply_rules.vocabulary_of
    monkeypatch.setattr(reply_rules, "vocabulary_of", lambda *words: read.append(words) or known(*words))
    rules = ReplyRules(tiny_grounder(), Manner(windows="words"), {Task.MOMENTS: 60})
    same = [rules(make_sample(frames=6, learn=False, seed=seed))[0] for seed in range(3)]
    assert len({id(rule) for rule in same}) == 1
    other = [rules(make_sample(frames=frames, learn=False))[0] for frames in range(7, 7 + KEPT)]
    assert len({id(rule) for rule in other}) == KEPT
    assert rules(make_sample(frames=6, learn=False))[0] is not same[0]  # the oldest is forgotten
    assert len(read) == 1
