"""The policy speaks when its rule says so, not too often, never twice the same, and remembers a bounded lot."""

import math

import pytest

from core.errors import InputError
from llm_grounder.policy import PolicySettings, PolicyState, Rule, Verdict, begin_question, consider, judge

ONE = ("informative",)


def asked(settings, scores, *, state=None, replies=True, step=1.0):
    """Times at which a policy asks for words over frames of `step` seconds; each time it gets new ones, or none."""
    state, times = state or PolicyState(), []
    for i, score in enumerate(scores):
        state, ask = consider(settings, state, i * step, {"informative": score, "relevance": 0.0})
        if ask:
            times.append(i * step)
            state, _ = judge(settings, state, i * step, f"words {i}" if replies else "NO REPLY")
    return times


def said(settings, *replies):
    state, verdicts = PolicyState(), []
    for time, text in replies:
        state, verdict = judge(settings, state, time, text)
        verdicts.append(verdict.value)
    return verdicts


def test_a_threshold_is_exceeded_not_reached():
    settings = PolicySettings(Rule.THRESHOLD, ONE, threshold=0.5)
    assert asked(settings, [0.5, 0.51, 0.2, 0.9, 0.9]) == [1, 3, 4]


def test_scores_below_a_threshold_do_not_add_up_to_it():
    assert asked(PolicySettings(Rule.THRESHOLD, ONE, threshold=0.5), [0.4] * 20) == []


def test_the_sum_is_over_frames_and_starts_anew_when_it_speaks():
    settings = PolicySettings(Rule.SUM, ONE, threshold=1.0)
    assert asked(settings, [0.5] * 9) == [2, 5, 8]
    assert asked(settings, [1.0, 1.0, 0.0, 0.5, 0.25, 0.25, 0.25]) == [1, 6]


def test_a_sum_that_led_to_no_reply_starts_anew_as_well():
    assert asked(PolicySettings(Rule.SUM, ONE, threshold=1.0), [0.5] * 9, replies=False) == [2, 5, 8]


def test_the_rule_text_asks_at_every_frame_and_reads_no_score():
    assert asked(PolicySettings(Rule.TEXT, threshold=9.0), [0.0] * 4) == [0, 1, 2, 3]
    assert consider(PolicySettings(Rule.TEXT), PolicyState(), 0.0, {})[1]


def test_the_interval_holds_from_reply_to_reply_and_the_sum_waits():
    settings = PolicySettings(Rule.THRESHOLD, ONE, threshold=0.5, interval=3.0)
    assert asked(settings, [0.9] * 8) == [0, 3, 6]
    assert asked(settings, [0.9] * 8, replies=False) == [0, 1, 2, 3, 4, 5, 6, 7]
    waiting = PolicySettings(Rule.SUM, ONE, threshold=1.0, interval=4.0)
    assert asked(waiting, [1, 1, 1, 1, 0, 0, 0, 0]) == [1, 5]


def test_an_interval_of_ten_tenths_lasts_ten_frames_of_a_tenth():
    settings = PolicySettings(Rule.TEXT, interval=1.0)
    assert asked(settings, [0.0] * 21, step=0.1) == [0.0, 1.0, 2.0]


def test_both_heads_are_added():
    settings = PolicySettings(Rule.THRESHOLD, threshold=1.0)
    assert consider(settings, PolicyState(), 0.0, {"informative": 0.6, "relevance": 0.6})[1]
    assert not consider(settings, PolicyState(), 0.0, {"informative": 0.6, "relevance": 0.3})[1]


@pytest.mark.parametrize("text", ["NO REPLY", "no reply.", " No  Reply!", "", "  ", "..."])
def test_nothing_to_say_is_no_reply_however_it_is_written(text):
    assert said(PolicySettings(), (0.0, text)) == ["no_reply"]


def test_words_that_contain_no_reply_are_a_reply():
    assert said(PolicySettings(), (0.0, "no reply came from the star")) == ["spoken"]


def test_the_same_words_are_said_once_whatever_their_case_and_points():
    verdicts = said(PolicySettings(), (0, "The star spins."), (1, "the star spins"), (2, "The star sways."))
    assert verdicts == ["spoken", "duplicate", "spoken"]


def test_similar_words_are_the_same_from_the_share_that_is_set():
    replies = (0, "the red star spins"), (1, "the star spins")
    assert said(PolicySettings(same=0.75), *replies) == ["spoken", "duplicate"]
    assert said(PolicySettings(same=0.76), *replies) == ["spoken", "spoken"]
    assert said(PolicySettings(same=1.1), (0, "a"), (1, "a")) == ["spoken", "spoken"]


def test_words_may_be_said_again_after_the_time_to_forget_which_a_duplicate_does_not_extend():
    verdicts = said(PolicySettings(forget=10.0), (0, "it spins"), (8, "it spins"), (11, "it spins"))
    assert verdicts == ["spoken", "duplicate", "spoken"]


def test_the_memory_is_bounded():
    settings, state = PolicySettings(memory=2), PolicyState()
    for i in range(100):
        state, verdict = judge(settings, state, float(i), f"word{i}")
        assert verdict is Verdict.SPOKEN
    assert len(state.said) == 2
    assert judge(settings, state, 100.0, "word99")[1] is Verdict.DUPLICATE
    assert judge(settings, state, 100.0, "word97")[1] is Verdict.SPOKEN
    assert judge(PolicySettings(memory=0), PolicyState(), 0.0, "a")[0].said == ()


def test_a_new_question_is_answered_at_once_and_with_the_same_words_if_need_be():
    settings = PolicySettings(Rule.SUM, ONE, threshold=1.0, interval=60.0)
    state, _ = judge(settings, PolicyState(), 5.0, "yes")
    state, _ = consider(settings, state, 6.0, {"informative": 0.9})
    state = begin_question(state)
    assert (state.total, state.last, state.said) == (0.0, -math.inf, ())
    state, ask = consider(settings, state, 7.0, {"informative": 0.9})
    assert not ask
    state, ask = consider(settings, state, 8.0, {"informative": 0.9})
    assert ask
    assert judge(settings, state, 8.0, "yes")[1] is Verdict.SPOKEN


def test_a_policy_does_not_change_its_state_in_place():
    state = PolicyState()
    consider(PolicySettings(), state, 0.0, {"informative": 1.0, "relevance": 1.0})
    judge(PolicySettings(), state, 0.0, "words")
    assert state == PolicyState()


BAD_SETTINGS = [
    ({"rule": "loud"}, "policy rule: expected one of threshold, sum, text, got 'loud'"),
    ({"heads": ()}, "policy heads: expected each of informative, relevance"),
    ({"heads": ("response",)}, r"got \['response'\]"),
    ({"heads": ("relevance", "relevance")}, "at most once"),
    ({"threshold": math.nan}, "policy threshold: expected a finite number"),
    ({"interval": -1.0}, "policy interval: expected 0 or more seconds"),
    ({"forget": -1.0}, "policy forget: expected 0 or more seconds"),
    ({"memory": -1}, "policy memory: expected 0 or more replies"),
    ({"same": 0.0}, "policy same: expected a share of words above 0"),
]


@pytest.mark.parametrize(("values", "sentence"), BAD_SETTINGS)
def test_settings_that_mean_nothing_are_refused(values, sentence):
    with pytest.raises(InputError, match=sentence):
        PolicySettings(**values)


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ({"informative": 0.5}, "expected scores of informative, relevance, got none of relevance"),
        ({"informative": 0.5, "relevance": math.nan}, "score of relevance: expected probabilities"),
        ({"informative": 1.5, "relevance": 0.5}, "score of informative: expected probabilities"),
    ],
)
def test_scores_that_are_missing_or_no_probability_are_refused(scores, sentence):
    with pytest.raises(InputError, match=sentence):
        consider(PolicySettings(), PolicyState(), 0.0, scores)
