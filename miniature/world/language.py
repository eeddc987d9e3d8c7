"""Chooses the 8 to 12 expressions of a clip: balanced over kinds, some without a target, none doubtful or repeated.

Knows drafts and their truth. Does not know how a meaning is worded or measured.
"""

import numpy as np
from numpy.typing import NDArray

from core.types import Expression, TimeSpan
from miniature.world.drafts import Draft, attribute, motion
from miniature.world.facts import Facts
from miniature.world.phrases import Wording, wording
from miniature.world.relations import draw_topic
from miniature.world.truth import chosen, sure

Rng = np.random.Generator
KINDS = ("attribute", "motion", "relation")
ROUNDS = 16  # topics tried
TRIES = 20  # drafts of a topic
NO_TARGET = 0.15  # usual share of expressions that try to have no target
HARD = 0.7  # share of motions and relations that try to tell a target from its twin
SINGLE = 0.65  # share of attributes that try to have one target
LEAST_SEEN = 0.25  # share of frames in which every target is seen
MOST_TARGETS = 4


def _valid(draft: Draft, absent: bool, seen: NDArray[np.floating]) -> bool:
    """Whether a draft is certain, has the wanted sort of answer, and targets that are seen long enough."""
    if not sure(draft.truth):
        return False
    targets = chosen(draft.truth)
    if absent or not targets:
        return absent and not targets
    return len(targets) <= min(MOST_TARGETS, len(seen) - 1) and all(seen[i] >= LEAST_SEEN for i in targets)


def _tells_twins(facts: Facts, draft: Draft) -> bool:
    """Whether a target has a twin that is not one."""
    targets = chosen(draft.truth)
    looks = [o.look for o in facts.objects]
    return any(looks[i] == look and j not in targets for i in targets for j, look in enumerate(looks))


def _merged(spans: list[TimeSpan]) -> tuple[TimeSpan, ...]:
    """Overlapping spans joined, in order."""
    out: list[TimeSpan] = []
    for span in sorted(spans, key=lambda s: s.start):
        if out and span.start <= out[-1].end:
            out[-1] = TimeSpan(out[-1].start, max(out[-1].end, span.end))
        else:
            out.append(span)
    return tuple(out)


def _draw(
    rng: Rng, facts: Facts, words: Wording, kind: str, seen: NDArray[np.floating], old: list[Draft], no_target: float
) -> Draft | None:
    """A new draft of a kind: with a target or without, and of the wanted difficulty if one turns up in time."""
    asked = {(d.meaning, d.truth.tobytes()) for d in old}
    absent = bool(rng.random() < no_target)
    wanted = bool(rng.random() < (SINGLE if kind == "attribute" else HARD)) and not absent
    spare: Draft | None = None
    for _ in range(ROUNDS):
        maker = {"attribute": attribute, "motion": motion}.get(kind) or draw_topic(rng, absent)
        for _ in range(TRIES):
            draft = maker(rng, facts, words, absent)
            if draft is None or (draft.meaning, draft.truth.tobytes()) in asked or not _valid(draft, absent, seen):
                continue
            fine = len(chosen(draft.truth)) == 1 if kind == "attribute" else _tells_twins(facts, draft)
            if fine or not wanted:
                return draft
            spare = spare or draft
        if spare is not None:
            return spare  # another topic might tell twins, but the rarer topics would never be heard
    return None


def describe(
    rng: Rng, facts: Facts, shifted: bool, most: int | None = None, no_target: float = NO_TARGET
) -> tuple[Expression, ...]:
    """The expressions of a clip, in random order: `most`, or else 8 to 12; fewer where the scene allows no more.

    no_target: share of them that try to have no target.
    """
    words = wording(shifted)
    seen: NDArray[np.floating] = facts.visible.mean(axis=1)
    first = int(rng.integers(3))
    drafts: list[Draft] = []
    for slot in range(int(rng.integers(8, 13)) if most is None else most):
        for turn in range(len(KINDS)):  # another kind where the scene has nothing new of this one
            draft = _draw(rng, facts, words, KINDS[(first + slot + turn) % 3], seen, drafts, no_target)
            if draft is not None:
                drafts.append(draft)
                break
        else:
            if most is not None:
                break  # all has been said
    order = rng.permutation(len(drafts))
    return tuple(_expression(str(k), drafts[int(d)], facts) for k, d in enumerate(order))


def _expression(name: str, draft: Draft, facts: Facts) -> Expression:
    targets = tuple(facts.objects[i].id for i in chosen(draft.truth))
    spans = None if draft.spans is None else _merged(list(draft.spans.values()))
    return Expression(name, draft.text, targets, spans, draft.kind)
