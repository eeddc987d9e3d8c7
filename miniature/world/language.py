"""Chooses the 8 to 12 expressions of a clip: balanced over kinds, some without a target, none doubtful or repeated.

Knows drafts and their truth. Does not know how a meaning is worded or measured.
"""

from collections.abc import Callable

import numpy as np

from core.types import Expression, TimeSpan
from miniature.world.drafts import Draft, attribute, motion
from miniature.world.facts import YES, Facts, sure
from miniature.world.phrases import Wording, wording
from miniature.world.relations import relation

Rng = np.random.Generator
Maker = Callable[[Rng, Facts, Wording, bool], Draft | None]
MAKERS: dict[str, Maker] = {"attribute": attribute, "motion": motion, "relation": relation}
TRIES = 40
NO_TARGET = 0.16
MOST_TARGETS = 4
LEAST_SEEN = 0.25  # share of frames in which every target is seen


def _keep(draft: Draft | None, absent: bool, seen: np.ndarray) -> bool:
    """Whether a draft is certain, has the wanted sort of answer, and targets that are seen long enough."""
    if draft is None or not sure(draft.truth):
        return False
    targets = draft.truth == YES
    count = int(targets.sum())
    if absent or not count:
        return absent and not count
    return count <= min(MOST_TARGETS, len(seen) - 1) and bool((seen[targets] >= LEAST_SEEN).all())


def _merged(spans: list[TimeSpan]) -> tuple[TimeSpan, ...]:
    """Overlapping spans joined, in order."""
    out: list[TimeSpan] = []
    for span in sorted(spans, key=lambda s: s.start):
        if out and span.start <= out[-1].end:
            out[-1] = TimeSpan(out[-1].start, max(out[-1].end, span.end))
        else:
            out.append(span)
    return tuple(out)


def _twin_target(facts: Facts, draft: Draft) -> bool:
    """Whether a target has a twin that is not one."""
    looks = [o.look for o in facts.objects]
    chosen = draft.truth == YES
    return any(
        chosen[i] and not chosen[j] for i, a in enumerate(looks) for j, b in enumerate(looks) if i != j and a == b
    )


def _drawn(
    rng: Rng, facts: Facts, words: Wording, kind: str, absent: bool, seen: np.ndarray, old: set[str]
) -> Draft | None:
    """A new draft of a kind; for motions and relations, one that tells twins apart if one turns up soon."""
    spare: Draft | None = None
    hard = kind != "attribute" and not absent and rng.random() < 0.75
    for attempt in range(TRIES):
        draft = MAKERS[kind](rng, facts, words, absent)
        if draft is None or draft.text in old or not _keep(draft, absent, seen):
            continue
        if not hard or _twin_target(facts, draft):
            return draft
        spare = spare or draft
        if attempt > TRIES // 2:
            break
    return spare


def describe(rng: Rng, facts: Facts, shifted: bool) -> tuple[Expression, ...]:
    """The expressions of a clip; fewer than 8 only where the scene allows no more."""
    words = wording(shifted)
    seen = facts.visible.mean(axis=1)
    count = int(rng.integers(8, 13))
    kinds = [
        ("attribute", "motion", "relation")[(k + int(rng.integers(3)) * (k == count - 1)) % 3] for k in range(count)
    ]
    drafts: list[Draft] = []
    texts: set[str] = set()
    for kind in kinds:
        absent = bool(rng.random() < NO_TARGET)
        draft = _drawn(rng, facts, words, kind, absent, seen, texts)
        if draft is not None:
            drafts.append(draft)
            texts.add(draft.text)
    order = rng.permutation(len(drafts))
    return tuple(_expression(str(k), drafts[int(d)], facts) for k, d in enumerate(order))


def _expression(name: str, draft: Draft, facts: Facts) -> Expression:
    targets = tuple(facts.objects[int(i)].id for i in np.flatnonzero(draft.truth == YES))
    spans = None if draft.spans is None else _merged(list(draft.spans.values()))
    return Expression(name, draft.text, targets, spans, draft.kind)
