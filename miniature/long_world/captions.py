"""What is told about a long clip: captions of its events, descriptions of its tracks, expressions for its objects.

Knows events and what is true of them. Does not know pixels.
"""

from __future__ import annotations

import numpy as np

from core.types import Expression, TimeSpan
from miniature.long_world.moments import clear_acts, windows_of
from miniature.long_world.motion import MOTIONS
from miniature.long_world.spec import Caption, Description, Event
from miniature.long_world.tell import Teller, act_key
from miniature.long_world.words import dialect, fill, forms
from miniature.world.nouns import Look, name_look, near_miss
from miniature.world.spec import TEXTURES, ObjectSpec

Rng = np.random.Generator
OFF = 2.0  # seconds by which the second annotator errs at most
NO_TARGET = 0.15


def draw_captions(rng: Rng, teller: Teller) -> tuple[tuple[Caption, ...], tuple[Caption, ...]]:
    """A caption an event from each of two annotators: exact times, and times up to 2 seconds off."""
    exact, loose = [], []
    for event in teller.events:
        exact.append(Caption(_caption(rng, teller, event), float(event.start), float(event.end)))
        start, end = np.round(np.array([event.start, event.end]) + rng.uniform(-OFF, OFF, 2) * 0.9, 1)
        start, end = max(float(start), 0.0), min(float(end), float(teller.duration))
        loose.append(Caption(_caption(rng, teller, event), start, max(end, round(start + 0.1, 1))))
    return tuple(exact), tuple(sorted(loose, key=lambda c: (c.start, c.end)))


def _caption(rng: Rng, teller: Teller, event: Event) -> str:
    noun = teller.noun(rng, teller.thing(event.object_id))
    return fill(teller.pick(rng, teller.words.caption), teller.act(rng, event), s=noun)


def describe_tracks(rng: Rng, teller: Teller) -> tuple[Description, ...]:
    """Each object's description, in the order of the objects."""
    return tuple(_description(rng, teller, thing) for thing in teller.objects)


def _description(rng: Rng, teller: Teller, thing: ObjectSpec) -> Description:
    known = thing.texture in TEXTURES
    keys = list(dict.fromkeys(act_key(e) for e in teller.of(thing.id)))
    size = thing.size if float(np.ptp(thing.path.radius)) <= 1 else None  # who grows is neither small nor large
    said = {"size": size, "colour": thing.colour, "texture": thing.texture if known else None, "shape": thing.shape}
    attributes = {name: value for name, value in said.items() if value is not None} | {"acts": " ".join(keys)}
    texts = []
    for number in range(3):
        noun = name_look(rng, Look(size, thing.colour, said["texture"], thing.shape)).singular
        texts.append(fill("a {s} that {d}", s=noun, d=_doings(rng, teller, keys, plain=number == 0)))
    article = ("the {s}", "a {s}")
    looks = tuple(fill(a, s=name_look(rng, Look(None, thing.colour, None, thing.shape)).singular) for a in article)
    return Description(thing.id, tuple(texts), looks, attributes)


def _doings(rng: Rng, teller: Teller, keys: list[str], plain: bool) -> str:
    """All that an object does, one after another, in the acts' own names or in any of their phrases."""
    words = dialect(False) if plain else teller.words
    said = [forms(words.acts[k][0]) if plain else teller.phrase(rng, k) for k in keys]
    return " and then ".join(s[1] for s in said) or "stays in place the whole time"


def draw_expressions(rng: Rng, teller: Teller, most: int | None) -> tuple[Expression, ...]:
    """`most` phrases for objects, or else 8 to 12: looks, acts, groups, and about 15 % that fit nothing."""
    out: dict[str, Expression] = {}
    count = int(rng.integers(8, 13)) if most is None else most
    for _ in range(20 * count):
        draw = (_look, _one_act, _group_look, _group_act)[int(rng.choice(4, p=[0.35, 0.35, 0.12, 0.18]))]
        made = _absent(rng, teller) if rng.random() < NO_TARGET else draw(rng, teller)
        if made is not None and made.text not in out:
            out[made.text] = Expression(str(len(out)), made.text, made.target_ids, made.spans, made.kind)
        if len(out) == count:
            break
    return tuple(out.values())


def _any(rng: Rng, teller: Teller) -> ObjectSpec:
    return teller.objects[int(rng.integers(len(teller.objects)))]


def _look(rng: Rng, teller: Teller) -> Expression | None:
    thing = _any(rng, teller)
    text = fill(teller.pick(rng, teller.words.target), s=teller.noun(rng, thing))
    return Expression("0", text, (thing.id,), None, "attribute")


def _group_look(rng: Rng, teller: Teller) -> Expression | None:
    thing = _any(rng, teller)
    look = Look(colour=thing.colour) if rng.random() < 0.5 else Look(shape=thing.shape)
    fit = teller.fits(look)
    if not 2 <= len(fit) < len(teller.objects):
        return None
    return Expression("0", f"all the {name_look(rng, look).plural}", tuple(o.id for o in fit), None, "attribute")


def _one_act(rng: Rng, teller: Teller) -> Expression | None:
    """Somebody who does something; by shape or "object" alone where nobody else of that kind does the like."""
    event = teller.events[int(rng.integers(len(teller.events)))]
    thing, group = teller.thing(event.object_id), MOTIONS[event.act].group
    pattern = teller.pick(rng, teller.words.target_act)
    look = Look(shape=thing.shape) if rng.random() < 0.4 else Look(None, thing.colour, None, thing.shape)
    rivals = teller.objects if "{s}" not in pattern else teller.fits(look)
    if any(o.id != thing.id and _could(teller, o, group) for o in rivals):
        return None
    text = fill(pattern, teller.act(rng, event), s=name_look(rng, look).singular)
    same = [e for e in teller.of(thing.id) if e.act == event.act]
    return Expression("0", text, (thing.id,), _spans(same), "motion")


def _could(teller: Teller, thing: ObjectSpec, group: str) -> bool:
    """Whether an object does an act of a group; residents are still whenever they do nothing else."""
    stays = group == "stay" and thing.motion == "resident"
    return stays or any(MOTIONS[e.act].group == group for e in teller.of(thing.id))


def _group_act(rng: Rng, teller: Teller) -> Expression | None:
    keys = clear_acts(teller.events)
    if not keys:
        return None
    key = teller.pick(rng, keys)
    events = [e for e in teller.events if act_key(e) == key]
    targets = tuple(dict.fromkeys(e.object_id for e in events))
    text = fill(teller.pick(rng, teller.words.target_acts), teller.phrase(rng, key))
    return Expression("0", text, targets, _spans(events), "motion")


def _absent(rng: Rng, teller: Teller) -> Expression | None:
    """A look that nobody has, or an act that this object and its likes never do."""
    thing = _any(rng, teller)
    if rng.random() < 0.5:
        look = near_miss(rng, Look(None, thing.colour, None, thing.shape))
        if teller.fits(look):
            return None
        text = fill(teller.pick(rng, teller.words.target), s=name_look(rng, look).singular)
        return Expression("0", text, (), None, "attribute")
    keys = [k for k in teller.words.acts if not _could(teller, thing, MOTIONS[k.split("_")[0]].group)]
    if not keys:
        return None
    pattern = next(p for p in teller.words.target_act if "{s}" in p)
    look = Look(None, thing.colour, None, thing.shape)
    text = fill(pattern, teller.phrase(rng, teller.pick(rng, keys)), s=name_look(rng, look).singular)
    return Expression("0", text, (), None, "motion")


def _spans(events: list[Event]) -> tuple[TimeSpan, ...]:
    return tuple(TimeSpan(float(a), float(b)) for a, b in windows_of(events))
