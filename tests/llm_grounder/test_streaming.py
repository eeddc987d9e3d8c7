"""A stream says what one pass over everything would say, at constant memory, whenever it is asked."""

import math
import resource

import pytest
import torch

from core.errors import InputError
from llm_grounder.events import Event, EventKind, Latencies, Question
from llm_grounder.policy import PolicySettings, Rule, Verdict
from llm_grounder.streaming import Stream, run
from llm_grounder.window import Part, Segment, Window
from tests.llm_grounder.tiny_duet import STOP, TinyDuet, features, offline

ALWAYS = PolicySettings(Rule.THRESHOLD, threshold=-1.0, same=1.1)
NEVER = PolicySettings(Rule.THRESHOLD, threshold=3.0)


def frames(count, seed=0, step=0.5):
    return [(i * step, f) for i, f in enumerate(features(count, seed))]


def brief(events):
    return [(event.kind.value, event.time, event.question) for event in events]


def replayed(model, events, shown, most):
    """The segments with embeddings that a stream of these events was made of, and the events of each."""
    pieces = [(Part.SYSTEM, model.system(), None)]
    shown = dict(shown)
    for event in events:
        if event.kind is EventKind.QUESTION:
            pieces.append((Part.QUESTION, model.question(event.text), event))
        elif event.kind is EventKind.FRAME:
            pieces.append((Part.FRAME, model.frame(shown[event.time], event.time), event))
        else:
            ids = [int(word[1:]) for word in event.text.split()]
            part = Part.REPLY if event.kind is EventKind.REPLY else Part.SILENCE
            pieces.append((part, torch.cat([model.opening(), model.words(ids), model.closing()]), event))
            assert len(ids) <= most
    return [(Segment(part, len(e)), e) for part, e, _ in pieces], [event for *_, event in pieces]


WINDOWS = [
    Window(),
    Window(frames=3, questions=1, replies=2),
    Window(frames=2, questions=2, replies=0),
]
POLICIES = [ALWAYS, PolicySettings(Rule.SUM, threshold=2.0, same=0.5), PolicySettings(Rule.TEXT, interval=1.0)]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("policy", POLICIES)
@torch.no_grad()
def test_a_stream_equals_one_pass_under_the_windows_mask(window, policy):
    model, shown, most = TinyDuet(wordy=0.4), frames(10), 4
    questions = [Question(-1.0, "a"), Question(2.2, "bcd"), Question(4.0, "e")]
    events = list(run(Stream(model, window, policy, longest=most), shown, questions))
    assert {EventKind.REPLY, EventKind.QUESTION, EventKind.FRAME} <= {event.kind for event in events}
    pieces, of = replayed(model, events, shown, most)
    hidden = offline(model, window, pieces)
    for states, event in zip(hidden, of, strict=True):
        if event is not None and event.kind is EventKind.FRAME:
            assert event.scores == pytest.approx(model.scores(states[-1]), abs=1e-4)
        elif event is not None and event.kind is not EventKind.QUESTION:
            logits = torch.stack([model.logits(state) for state in states[len(model.opening()) - 1 :]])
            ids = [int(word[1:]) for word in event.text.split()]
            picked = logits[: len(ids)].argmax(-1).tolist()
            assert picked == ids
            assert len(ids) == most or int(logits[len(ids)].argmax()) == STOP


def test_the_window_is_what_bounds_the_keys():
    window = Window(frames=4, questions=1, replies=2)
    model = TinyDuet(wordy=9.0)
    stream = Stream(model, window, ALWAYS, longest=3)
    stream.ask("abc", 0.0)
    most = 3 + 5 + 4 * 3 + 2 * (2 + 3 + 2)
    sizes = []
    for time, shown in frames(10):
        stream.see(shown, time)
        sizes.append(stream.tokens)
    assert max(sizes) == sizes[-1] == most


def test_what_was_not_said_leaves_no_key_and_no_position():
    shown, quiet = frames(6), PolicySettings(Rule.TEXT, threshold=0.0, same=0.01)
    silent, still = TinyDuet(wordy=9.0), TinyDuet(wordy=9.0)
    one, other = Stream(silent, policy=quiet, longest=3), Stream(still, policy=NEVER)
    for stream in (one, other):
        stream.ask("abc", 0.0)
    one._state = one._state.__class__(said=((0.0, frozenset(f"w{i}" for i in range(24))),))
    for time, f in shown:
        a, *words = one.see(f, time)
        (b,) = other.see(f, time)
        assert [w.verdict for w in words] == [Verdict.DUPLICATE]
        assert a.scores == pytest.approx(b.scores, abs=1e-6)
    assert one.tokens == other.tokens
    assert sum(silent.calls) > sum(still.calls)


def test_questions_come_before_the_first_frame_between_frames_and_after_the_last():
    model = TinyDuet(wordy=9.0)
    asked = [Question(9.0, "late"), Question(-5.0, "early"), Question(0.5, "on time")]
    events = list(run(Stream(model, policy=NEVER, longest=2), frames(3), asked))
    assert brief(events) == [
        ("question", -5.0, 0),
        ("frame", 0.0, 0),
        ("question", 0.5, 1),
        ("frame", 0.5, 1),
        ("frame", 1.0, 1),
        ("question", 9.0, 2),
        ("reply", 1.0, 2),
    ]


def test_a_question_that_frames_followed_is_not_answered_by_force():
    stream = Stream(TinyDuet(), policy=NEVER)
    stream.ask("when does it stop?", 0.0)
    stream.see(features(1)[0], 0.0)
    assert stream.finish() == []


def test_a_live_stream_is_asked_between_its_events():
    def camera():
        yield from frames(2)
        events.append(stream.ask("now?", 0.75))
        yield from [(1.0, features(1)[0])]

    stream, events = Stream(TinyDuet(wordy=9.0), policy=ALWAYS, longest=2), []
    for event in run(stream, camera()):
        events.append(event)
    kinds = [("frame", 0.0, None), ("frame", 0.5, None), ("question", 0.75, 0), ("frame", 1.0, 0), ("reply", 1.0, 0)]
    assert brief(events) == kinds


def test_nothing_is_said_before_the_first_question():
    assert {e.kind for e in run(Stream(TinyDuet(wordy=9.0), policy=ALWAYS), frames(5))} == {EventKind.FRAME}


def test_frames_are_taken_one_at_a_time_and_their_events_come_at_once():
    taken = []

    def camera():
        for time, shown in frames(3):
            taken.append(time)
            yield time, shown

    for event in run(Stream(TinyDuet(), policy=NEVER), camera()):
        assert taken[-1] == event.time


def test_raw_frames_are_encoded_within_their_latency():
    events = list(run(Stream(TinyDuet()), [(0.0, 3), (1.0, 4)], encode=lambda seed: features(1, seed)[0]))
    same = list(run(Stream(TinyDuet()), [(0.0, features(1, 3)[0]), (1.0, features(1, 4)[0])]))
    assert [e.scores for e in events] == [e.scores for e in same]
    assert all(e.milliseconds > 0 for e in events)


@torch.no_grad()
def test_positions_start_anew_from_what_is_kept():
    shown, window = frames(9), Window(frames=3, positions=26)
    model = TinyDuet()
    stream = Stream(model, window, NEVER)
    stream.ask("abc", 0.0)  # 3 + 5 tokens, then 3 a frame: 26 hold 6 frames
    scores = [stream.see(f, time)[0].scores for time, f in shown]

    def pieces(first, last):
        made = [(Part.SYSTEM, model.system()), (Part.QUESTION, model.question("abc"))]
        made += [(Part.FRAME, model.frame(f, time)) for time, f in shown[first:last]]
        return [(Segment(part, len(e)), e) for part, e in made]

    begun = [model.scores(h[-1]) for h in offline(model, window, pieces(0, 6))[2:]]
    anew = [model.scores(h[-1]) for h in offline(model, window, pieces(3, 9))[5:]]
    for got, wanted in zip(scores, begun + anew, strict=True):
        assert got == pytest.approx(wanted, abs=1e-4)


def test_a_window_that_does_not_fit_into_its_positions_is_refused():
    stream = Stream(TinyDuet(), Window(frames=50, positions=30), NEVER)
    with pytest.raises(InputError, match="expected segments that fit into 30 positions"):
        [stream.see(f, time) for time, f in frames(20)]


def test_times_must_rise_and_questions_have_words():
    stream = Stream(TinyDuet())
    stream.see(features(1)[0], 1.0)
    with pytest.raises(InputError, match=r"expected a frame after 1.0 s, got one at 1.0 s"):
        stream.see(features(1)[0], 1.0)
    with pytest.raises(InputError, match="expected a frame after"):
        stream.see(features(1)[0], math.nan)
    with pytest.raises(InputError, match=r"question at 1.0 s: expected"):
        stream.ask(" ", 1.0)


def test_latencies_say_count_mean_middle_and_most_at_constant_memory():
    kept = Latencies()
    assert kept.figures() == {"frames": 0, "ms_mean": None, "ms_median": None, "ms_p95": None, "ms_max": None}
    for value in [100.0] + [float(i % 10) for i in range(2000)]:
        kept.add(value)
    figures = kept.figures()
    assert figures["frames"] == 2001
    assert (figures["ms_median"], figures["ms_p95"], figures["ms_max"]) == (5.0, 9.0, 100.0)
    assert figures["ms_mean"] == pytest.approx((100 + 9000) / 2001)


LINES = [
    (Event(EventKind.QUESTION, 1.0, "what?", 0), {"text": "what?"}),
    (Event(EventKind.REPLY, 1.0, "it", 0, verdict=Verdict.SPOKEN), {"text": "it", "verdict": "spoken"}),
    (
        Event(EventKind.FRAME, 1.0, "", 0, {"relevance": 0.5}, None, 2.5),
        {"scores": {"relevance": 0.5}, "milliseconds": 2.5},
    ),
]


@pytest.mark.parametrize(("event", "more"), LINES)
def test_an_event_as_a_line_says_what_belongs_to_its_kind(event, more):
    assert event.line() == {"kind": event.kind.value, "time": 1.0, "question": 0, **more}


@pytest.mark.slow
def test_ten_thousand_frames_are_read_in_constant_memory():
    model = TinyDuet(layers=1, wordy=9.0)
    policy = PolicySettings(Rule.SUM, threshold=20.0, interval=5.0, forget=60.0)
    window = Window(frames=16, questions=1, replies=2, positions=2000)
    stream = Stream(model, window, policy, longest=4)
    shown = features(50)
    events = run(stream, ((i * 0.5, shown[i % 50]) for i in range(10_000)), [Question(0.0, "abc")])
    seen, at = 0, {}
    for event in events:
        seen += event.kind is EventKind.FRAME
        if seen in (2_000, 10_000):
            at.setdefault(seen, (stream.tokens, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
    assert seen == 10_000
    assert stream.tokens <= 3 + 5 + 16 * 3 + 2 * 8
    assert at[10_000][0] == at[2_000][0]
    assert at[10_000][1] - at[2_000][1] < 8_000  # kilobytes; keys of 8,000 frames alone would be 3 MB a layer
