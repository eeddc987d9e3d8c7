"""Expressions: true by an independent reading of words and masks, unambiguous, balanced, hard for the text-blind."""

import re

import numpy as np
import pytest

from core.errors import InputError
from core.types import Expression
from miniature.world import FPS, Clip, ObjectSpec, make_clip
from miniature.world.spec import COLOURS

Pair = tuple[Clip, Expression]
SHAPES = {
    "disc": "disc", "circle": "disc", "square": "square", "triangle": "triangle", "star": "star", "ring": "ring",
    "hoop": "ring", "cross": "cross", "plus": "cross", "hexagon": "hexagon", "heart": "heart", "crescent": "crescent",
    "moon": "crescent",
}  # fmt: skip
TEXTURES = {
    "plain": "plain", "solid": "plain", "striped": "striped", "stripes": "striped", "dotted": "dotted",
    "spotted": "dotted", "dots": "dotted", "checkered": "checkered", "checked": "checkered", "checks": "checkered",
}  # fmt: skip
SIZES = {"small": "small", "little": "small", "large": "large", "big": "large"}


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [make_clip(seed) for seed in range(200_000, 200_050)]


@pytest.fixture(scope="module")
def shifted() -> list[Clip]:
    return [make_clip(seed, shifted=True) for seed in range(300_000, 300_010)]


def pairs(clips: list[Clip], kind: str = "", pattern: str = "", present: bool = True) -> list[Pair]:
    return [
        (c, e)
        for c in clips
        for e in c.expressions
        if kind in e.kind and re.search(pattern, e.text) and (e.target_ids or not present)
    ]


def targets(clip: Clip, e: Expression) -> list[tuple[ObjectSpec, np.ndarray]]:
    return [(clip.objects[int(i) - 1], clip.masks[int(i) - 1]) for i in e.target_ids or ()]


def words_of(text: str) -> list[str]:
    words = re.findall(r"[a-z]+", text)
    return [
        {"crosses": "cross", "pluses": "plus"}.get(w, w[:-1] if w.endswith("s") and w[:-1] in SHAPES else w)
        for w in words
    ]


def said(text: str, thing: ObjectSpec) -> bool:
    """Whether an object fits every word of look in a text."""
    for word in words_of(text):
        if word in COLOURS and thing.colour != word:
            return False
        if word in SHAPES and thing.shape != SHAPES[word]:
            return False
        if word in TEXTURES and thing.texture != TEXTURES[word]:
            return False
        if word in SIZES and thing.size != SIZES[word]:
            return False
    return True


def test_attributes_name_exactly_the_objects_that_their_words_fit(clips: list[Clip], shifted: list[Clip]) -> None:
    found = pairs(clips + shifted, "attribute", present=False)
    assert len(found) > 120
    for clip, e in found:
        assert e.target_ids == tuple(o.id for o in clip.objects if said(e.text, o)), e.text


def test_targets_of_motions_fit_the_words_about_their_look(clips: list[Clip], shifted: list[Clip]) -> None:
    for clip, e in pairs(clips + shifted, "motion"):
        text = re.sub(r"(becomes?|becoming) (large|small)|that circles?", "", e.text)
        text = re.sub(r"(moving|going|moves?|that is going) (around )?in (a )?circles?", "", text)
        assert all(said(text, o) for o, _ in targets(clip, e)), e.text


def settled(masks: np.ndarray) -> np.ndarray:
    """Centres [K, 2] of the masks that show nearly all of an object."""
    area = masks.sum(axis=(1, 2))
    return np.array(
        [np.mean(np.nonzero(m), axis=1) for m, a in zip(masks, area, strict=True) if a >= 0.97 * area.max()]
    )


def test_what_moves_one_way_moves_that_way_in_the_masks(clips: list[Clip]) -> None:
    axes = {"left": (1, -1), "right": (1, 1), "up": (0, -1), "down": (0, 1)}
    found = pairs(clips, "motion", r"\b(moving|going|moves|goes) (left|right|up|down)( the whole time)?$")
    assert len(found) > 2
    for clip, e in found:
        word = re.search(r"(left|right|up|down)( the whole time)?$", e.text)
        axis, sign = axes[word[1]] if word and "then" not in e.text and "before" not in e.text else (0, 0)
        for _, masks in targets(clip, e):
            way = settled(masks)
            if sign and len(way) > 4:
                assert sign * (way[-1] - way[0])[axis] > 0, e.text


def test_what_stays_still_keeps_its_place_in_the_masks(clips: list[Clip]) -> None:
    found = [
        p for p in pairs(clips, "", r"stays? still|does not move|standing still|staying in place") if p[1].spans is None
    ]
    assert found
    for clip, e in found:
        for _, masks in targets(clip, e):
            assert np.ptp(settled(masks), axis=0).max() < 3, e.text


@pytest.mark.parametrize(("pattern", "grows"), [(r"\bgrow|bigger|large$", True), (r"\bshrink|smaller$|small$", False)])
def test_what_grows_or_shrinks_does_so_in_the_masks(clips: list[Clip], pattern: str, grows: bool) -> None:
    found = [p for p in pairs(clips, "motion", pattern) if p[1].spans is not None]
    assert found
    for clip, e in found:
        for _, masks in targets(clip, e):
            area = masks.sum(axis=(1, 2))
            first, last = area[: len(area) // 4].max(), area[-(len(area) // 4) :].max()
            assert (last > 1.2 * first) == grows, e.text


def touches_border(mask: np.ndarray) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


@pytest.mark.parametrize(
    ("pattern", "at_start", "at_border"),
    [
        (r"\b(enters?|entering|comes? in|coming in)\b", True, True),
        (r"\b(leaves?|leaving|goes out|go out|going out)\b", False, True),
        (r"\b(appears?|appearing|not there at first)\b", True, False),
        (r"\b(disappears?|disappearing|vanishe?s?|vanishing)$", False, False),
    ],
)
def test_who_comes_or_goes_is_absent_in_the_masks(
    clips: list[Clip], pattern: str, at_start: bool, at_border: bool
) -> None:
    found = pairs(clips, "motion", pattern)
    assert found
    for clip, e in found:
        for _, masks in targets(clip, e):
            seen = np.flatnonzero(masks.any(axis=(1, 2)))
            assert not masks[0 if at_start else -1].any(), e.text
            assert touches_border(masks[seen[0] if at_start else seen[-1]]) == at_border, e.text


def test_the_named_side_is_the_side_of_the_border(clips: list[Clip]) -> None:
    edges = {"left": np.s_[:, :1], "right": np.s_[:, -1:], "top": np.s_[:1], "bottom": np.s_[-1:]}
    found = pairs(clips, "motion", r"(enter|com|leav|goe?s? out|going out).*the (left|right|top|bottom)$")
    assert found
    for clip, e in found:
        comes = re.search(r"enter|com", e.text) is not None
        for _, masks in targets(clip, e):
            seen = np.flatnonzero(masks.any(axis=(1, 2)))
            assert masks[seen[0] if comes else seen[-1]][edges[e.text.split()[-1]]].any(), e.text


def test_the_one_at_an_edge_is_there_in_the_masks(clips: list[Clip]) -> None:
    found = pairs(clips, "relation", r"(leftmost|rightmost|highest|lowest) [a-z ]+$")
    signs = {"leftmost": (1, 1), "rightmost": (1, -1), "highest": (0, 1), "lowest": (0, -1)}
    assert found
    for clip, e in found:
        axis, sign = next(v for k, v in signs.items() if k in e.text)
        chosen = int((e.target_ids or ("",))[0]) - 1
        for other in range(len(clip.objects)):
            both = clip.masks[chosen].any(axis=(1, 2)) & clip.masks[other].any(axis=(1, 2))
            if other != chosen and said(e.text, clip.objects[other]):
                gaps = [
                    np.nonzero(clip.masks[other, t])[axis].mean() - np.nonzero(clip.masks[chosen, t])[axis].mean()
                    for t in np.flatnonzero(both)
                ]
                assert sign * np.median(gaps) > 0, e.text


def test_a_singular_phrase_has_one_target_and_a_plural_one_several(clips: list[Clip], shifted: list[Clip]) -> None:
    for _, e in pairs(clips + shifted):
        plural = re.match(r"(find )?(all|every|each|both|any|whatever|the group)\b|.*\b(two|three|four)\b", e.text)
        if re.match(r"(the only|an?|that|only|the one|find an?) ", e.text):
            assert len(e.target_ids or ()) == 1, e.text
        if plural and not re.match(
            r"(find )?(anything|everything|whatever|all that is|every \w+ thing|each thing)", e.text
        ):
            assert len(e.target_ids or ()) > 1, e.text
        for number, word in ((2, "two"), (3, "three"), (4, "four")):
            assert word not in e.text.split() or len(e.target_ids or ()) == number, e.text


def test_every_clip_has_enough_expressions_with_ids_in_order(clips: list[Clip], shifted: list[Clip]) -> None:
    for clip in clips + shifted:
        assert 8 <= len(clip.expressions) <= 12
        assert [e.id for e in clip.expressions] == [str(i) for i in range(len(clip.expressions))]
        assert len({e.text for e in clip.expressions}) == len(clip.expressions)


def test_kinds_targets_and_twins_keep_their_shares(clips: list[Clip]) -> None:
    every = pairs(clips, present=False)
    share = {k: sum(e.kind == k for _, e in every) / len(every) for k in ("attribute", "motion", "relation")}
    assert min(share.values()) > 0.28
    counts = [len(e.target_ids or ()) for _, e in every]
    assert 0.1 <= counts.count(0) / len(every) <= 0.2
    assert counts.count(1) > 0.5 * len(every)
    assert max(counts) <= 4
    twins = [
        any(o.look == thing.look and o.id not in (e.target_ids or ()) for o in c.objects)
        for c, e in every
        for thing, _ in targets(c, e)
    ]
    assert np.mean(twins) >= 0.3


def test_targets_are_seen_in_a_quarter_of_the_frames(clips: list[Clip]) -> None:
    for clip, e in pairs(clips):
        assert all(masks.any(axis=(1, 2)).mean() >= 0.25 for _, masks in targets(clip, e))


def test_spans_lie_in_the_clip_and_are_there_for_words_about_moments(clips: list[Clip]) -> None:
    for clip, e in pairs(clips):
        for s in e.spans or ():
            assert 0 <= s.start < s.end <= len(clip.frames) / FPS
        if e.kind == "attribute":
            assert e.spans is None
        if re.search(r"then|enter|leav|appear|vanish|grow|shrink", e.text) and e.kind == "motion":
            assert e.spans, e.text


def test_an_expression_without_target_about_a_moment_has_no_span(clips: list[Clip]) -> None:
    assert all(not e.spans for _, e in pairs(clips, present=False) if not e.target_ids)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    union = (a | b).sum(axis=(1, 2))
    return float(np.where(union == 0, 1, (a & b).sum(axis=(1, 2)) / np.maximum(union, 1)).mean())


def test_choosers_that_do_not_read_stay_low(clips: list[Clip]) -> None:
    scores: dict[str, list[float]] = {"largest": [], "moving": [], "all": [], "none": []}
    for clip, e in pairs(clips[:20], present=False):
        masks = clip.masks[:, :, ::4, ::4]
        truth = masks[[int(i) - 1 for i in e.target_ids or ()]].any(axis=0)
        way = [np.hypot(*np.diff(o.path.centre, axis=0).T).sum() for o in clip.objects]
        scores["largest"].append(overlap(masks[masks.sum(axis=(1, 2, 3)).argmax()], truth))
        scores["moving"].append(overlap(masks[int(np.argmax(way))], truth))
        scores["all"].append(overlap(masks.any(axis=0), truth))
        scores["none"].append(overlap(np.zeros_like(truth), truth))
    assert max(np.mean(v) for v in scores.values()) < 0.35


def test_the_share_without_a_target_is_asked_for_and_the_picture_stays():
    seeds, shares = range(3, 7), ({"no_target": 0}, {}, {"no_target": 0.4})
    drawn = [[make_clip(seed, expressions=40, **share) for seed in seeds] for share in shares]
    for one, other in zip(drawn[0], drawn[2], strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one.masks, other.masks, strict=True))
    empty = [np.mean([not e.target_ids for clip in clips for e in clip.expressions]) for clips in drawn]
    assert empty[0] == 0
    assert empty[1] < 0.27 < 0.33 < empty[2]
    with pytest.raises(InputError, match=r"share in 0\.\.1"):
        make_clip(3, no_target=1.5)
