"""Sentences about moments with all windows in which they hold, the saliency of their clips, and what to keep of a clip.

Knows events and when sentences about them hold. Does not know pixels. B clips, A annotators, M windows.

A clip's saliency is 4 (0.45 + 0.6 q) with q = 0.75 (1 at the middle of the event, falling to 0 at its ends) + 0.25 (1
for a large object), plus each annotator's own bias and noise (normal, 0.35 each), rounded into 0..4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.summaries import choose_shots
from miniature.long_world.motion import MOTIONS
from miniature.long_world.spec import ANNOTATORS, CLIP, CLIP_FRAMES, TOP, Event, Moment
from miniature.long_world.tell import Teller, act_key
from miniature.long_world.words import ORDINALS, fill
from miniature.world.nouns import Look, name_look

Rng = np.random.Generator
BIAS, NOISE = 0.35, 0.35
QUIET: Final = 0.3  # importance of a clip in which nothing happens, before noise
_WEIGHTS: Final = {"event": 1.0, "presence": 0.8, "act": 1.0, "order": 0.8}
SEVERAL: Final = 2.0  # how much rather sentences of several windows are asked


@dataclass(frozen=True)
class _Meaning:
    """What a sentence asks for; `number` counts from 0 for `order`."""

    kind: str
    events: tuple[Event, ...]
    number: int = 0


def windows_of(events: Iterable[Event]) -> NDArray[np.float64]:
    """The seconds in which any of the events goes on, joined where they touch, [M, 2]."""
    out: list[list[float]] = []
    for start, end in sorted((e.start, e.end) for e in events):
        if out and start <= out[-1][1]:
            out[-1][1] = max(out[-1][1], end)
        else:
            out.append([start, end])
    return np.array(out, dtype=np.float64).reshape(-1, 2)


def clear_acts(events: Sequence[Event]) -> list[str]:
    """Keys of the acts that "something spins" may ask for: no other act of the clip could be taken for them."""
    keys = {act_key(e): e for e in events}
    found = []
    for key, event in keys.items():
        group = {e.act for e in events if MOTIONS[e.act].group == MOTIONS[event.act].group}
        if event.act != "stay" and len(group) == 1:
            found.append(key)
    return found


def draw_moments(rng: Rng, teller: Teller, most: int | None) -> tuple[Moment, ...]:
    """`most` sentences about moments, or else 6 to 10; fewer where the clip has no more."""
    meanings = _meanings(teller)
    count = min(int(rng.integers(6, 11)) if most is None else most, len(meanings))
    several = np.array([len(windows_of(m.events)) > 1 for m in meanings])
    weights = np.array([_WEIGHTS[m.kind] for m in meanings]) * np.where(several, SEVERAL, 1.0)
    chosen = rng.choice(len(meanings), size=count, replace=False, p=weights / weights.sum())
    return tuple(_moment(rng, teller, str(i), meanings[int(k)]) for i, k in enumerate(chosen))


def _meanings(teller: Teller) -> list[_Meaning]:
    out = []
    for thing in teller.objects:
        own = teller.of(thing.id)
        for key in dict.fromkeys(act_key(e) for e in own):
            same = tuple(e for e in own if act_key(e) == key)
            out.append(_Meaning("event", same))
            if len(same) > 1:
                out += [_Meaning("order", (e,), i) for i, e in enumerate(same)]
        if own and own[0].visit:
            out.append(_Meaning("presence", tuple(own)))
    for key in clear_acts(teller.events):
        out.append(_Meaning("act", tuple(e for e in teller.events if act_key(e) == key)))
    return out


def _moment(rng: Rng, teller: Teller, identifier: str, meaning: _Meaning) -> Moment:
    first = meaning.events[0]
    patterns = {
        "event": teller.words.event,
        "presence": teller.words.presence,
        "act": teller.words.act,
        "order": teller.words.order,
    }[meaning.kind]
    noun = teller.noun(rng, teller.thing(first.object_id))
    if meaning.kind in ("event", "order") and rng.random() < 0.2:
        noun = _shared_noun(rng, teller, meaning) or noun
    text = fill(teller.pick(rng, patterns), teller.act(rng, first), s=noun, n=ORDINALS[meaning.number])
    saliency = rate(rng, teller, meaning.events, 0.0)
    whom = tuple(dict.fromkeys(e.object_id for e in meaning.events))
    return Moment(identifier, text, meaning.kind, windows_of(meaning.events), saliency, whom)


def _shared_noun(rng: Rng, teller: Teller, meaning: _Meaning) -> str | None:
    """The shape alone, "the star spins", where others of that shape do nothing that could be taken for the act."""
    first = meaning.events[0]
    thing, group = teller.thing(first.object_id), MOTIONS[first.act].group
    others = [o for o in teller.objects if o.shape == thing.shape and o.id != thing.id]
    if first.act == "stay" or any(MOTIONS[e.act].group == group for o in others for e in teller.of(o.id)):
        return None
    return name_look(rng, Look(shape=thing.shape)).singular


def quality(teller: Teller, events: Iterable[Event]) -> NDArray[np.float64]:
    """q of the module's formula for each clip, the best of the events; NaN where none goes on, [B]."""
    out = np.full(teller.duration // CLIP, np.nan)
    for event in events:
        at = np.array(event.clips)
        profile = 1 - np.abs(2 * (at - at[0] + 0.5) / len(at) - 1)
        large = float(teller.thing(event.object_id).size == "large")
        out[at] = np.fmax(out[at], 0.75 * profile + 0.25 * large)
    return out


def rate(rng: Rng, teller: Teller, events: Iterable[Event], quiet: float) -> NDArray[np.int64]:
    """Each annotator's score of each clip, int [B, A] in 0..4; a clip without an event gets `quiet` and noise, or 0."""
    q = quality(teller, events)
    happens = ~np.isnan(q)
    base = np.where(happens, TOP * (0.45 + 0.6 * np.nan_to_num(q)), quiet)[:, None]
    bias = rng.normal(0, BIAS, ANNOTATORS)
    scores = np.clip(np.round(base + bias + rng.normal(0, NOISE, (len(q), ANNOTATORS))), 0, TOP).astype(np.int64)
    return scores if quiet > 0 else np.where(happens[:, None], scores, 0)


def summarise(importance: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The frames that each annotator keeps: the clips of highest importance within 15 %, bool [A, T]."""
    starts = np.arange(len(importance), dtype=np.int64) * CLIP_FRAMES
    frames = np.repeat(importance.astype(np.float64), CLIP_FRAMES, axis=0)  # [T, A]
    return np.stack([choose_shots(frames[:, a], starts) for a in range(importance.shape[1])])
