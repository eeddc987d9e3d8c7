"""Facts and acts on scenes made by hand: what is clear is YES or NO, what can be argued about is UNSURE."""

from dataclasses import replace

import numpy as np
import pytest

from miniature.world.acts import Act, does, does_one, moment, span
from miniature.world.facts import Facts, unit_area
from miniature.world.paint import paint
from miniature.world.spec import ObjectSpec, Path, Phase
from miniature.world.truth import NO, UNSURE, YES, all_of, both, just, only, opposite, sure, truth_of

T = 24
LINE = np.arange(T, dtype=float)


STAYS = (Phase("still", 0, T),)


def thing(centre, *, radius=18.0, phases=STAYS, shown=None, depth=0, **look) -> ObjectSpec:
    words = {"shape": "square", "colour": "red", "texture": "plain", "size": "small"} | look
    path = Path(
        np.broadcast_to(np.asarray(centre, dtype=float), (T, 2)).copy(),
        np.broadcast_to(np.asarray(radius, dtype=float), T).copy(),
        np.zeros(T),
        np.ones(T, dtype=bool) if shown is None else np.asarray(shown),
        tuple(phases),
    )
    return ObjectSpec("1", **words, motion="", depth=depth, group=0, rgb=(214, 40, 40), mark=(90, 10, 10), path=path)


def facts(*things: ObjectSpec) -> Facts:
    objects = tuple(replace(t, id=str(i + 1)) for i, t in enumerate(things))
    return Facts(objects, paint(np.random.default_rng(0), objects, T, False))


def moving(dx: float, dy: float, x: float = 128, y: float = 128) -> np.ndarray:
    return np.stack([x + dx * LINE, y + dy * LINE], axis=1)


def ask(one: ObjectSpec, act: Act) -> int:
    return does_one(facts(one), 0, act)


STILL = thing((60, 60))
LEFT = thing(moving(-4, 0, 200), phases=[Phase("move", 0, T, 4)])
UP_LEFT = thing(moving(-3, -3, 200, 200), phases=[Phase("move", 0, T, 3)])
LEFT_STOP = thing(
    np.stack([np.maximum(200 - 8 * LINE, 104), np.full(T, 60)], 1),
    phases=[Phase("move", 0, 12, 4), Phase("still", 12, T)],
)
GROWS = thing((60, 60), radius=np.linspace(15, 32, T), phases=[Phase("grow", 0, T)])
APPEARS = thing((60, 60), shown=LINE >= 10, phases=[Phase("still", 10, T)])
GONE = thing((60, 60), shown=LINE < 10, phases=[Phase("still", 0, 10)])
BLINKS = thing((60, 60), shown=(LINE < 8) | (LINE >= 14))
ENTERS = thing(moving(7, 0, -30), phases=[Phase("move", 0, T, 0)])
LEAVES = thing(moving(0, -7, 128, 120), phases=[Phase("move", 0, T, 2)])


@pytest.mark.parametrize(
    ("one", "act", "truth"),
    [
        (STILL, Act("still"), YES),
        (STILL, Act("moving"), NO),
        (STILL, Act("move", 4), NO),
        (LEFT, Act("still"), NO),
        (LEFT, Act("move", 4), YES),
        (LEFT, Act("move", 0), NO),
        (LEFT, Act("move", 3), UNSURE),
        (LEFT, Act("go_stop"), NO),
        (UP_LEFT, Act("move", 4), UNSURE),
        (UP_LEFT, Act("move", 3), YES),
        (LEFT_STOP, Act("go_stop", 4), YES),
        (LEFT_STOP, Act("go_stop"), YES),
        (LEFT_STOP, Act("stop_go", 4), NO),
        (LEFT_STOP, Act("move", 4), UNSURE),
        (LEFT_STOP, Act("move", 0), NO),
        (LEFT_STOP, Act("still"), NO),
        (GROWS, Act("grow"), YES),
        (GROWS, Act("shrink"), NO),
        (GROWS, Act("still"), UNSURE),
        (GROWS, Act("moving"), UNSURE),
        (APPEARS, Act("appear"), YES),
        (APPEARS, Act("enter"), UNSURE),
        (APPEARS, Act("disappear"), NO),
        (GONE, Act("disappear"), YES),
        (GONE, Act("appear"), NO),
        (BLINKS, Act("return"), YES),
        (BLINKS, Act("disappear"), UNSURE),
        (STILL, Act("return"), NO),
        (ENTERS, Act("enter", 4), YES),
        (ENTERS, Act("enter", 0), NO),
        (ENTERS, Act("leave"), NO),
        (ENTERS, Act("appear"), UNSURE),
        (LEAVES, Act("leave", 2), YES),
        (LEAVES, Act("leave"), YES),
        (LEAVES, Act("leave", 6), NO),
        (LEAVES, Act("enter"), NO),
    ],
)
def test_acts_of_single_objects(one: ObjectSpec, act: Act, truth: int) -> None:
    assert ask(one, act) == truth


def test_a_short_way_is_neither_moving_nor_still() -> None:
    crawls = thing(moving(0.5, 0), phases=[Phase("move", 0, T, 0)])
    assert {ask(crawls, Act(n, h)) for n, h in (("still", None), ("move", 0), ("moving", None))} == {UNSURE}


def test_half_a_turn_is_not_yet_circling() -> None:
    angle = LINE * np.pi / T
    path = np.stack([128 + 40 * np.cos(angle), 128 + 40 * np.sin(angle)], 1)
    assert ask(thing(path, phases=[Phase("circle", 0, T, clockwise=True)]), Act("circle")) == UNSURE
    whole = np.stack([128 + 40 * np.cos(2.3 * angle), 128 + 40 * np.sin(2.3 * angle)], 1)
    circles = thing(whole, phases=[Phase("circle", 0, T, clockwise=True)])
    assert [ask(circles, Act("circle", clockwise=c)) for c in (None, True, False)] == [YES, YES, NO]


def test_an_object_hidden_at_the_start_neither_appears_nor_is_there_for_sure() -> None:
    cover = thing(moving(7, 0, 60, 60), radius=42, phases=[Phase("move", 0, T, 0)])
    scene = facts(replace(STILL, depth=1), cover)
    assert not scene.visible[0, 0]
    assert does_one(scene, 0, Act("appear")) == UNSURE
    assert does_one(scene, 0, Act("enter")) == UNSURE


def test_depth_needs_a_clear_cover() -> None:
    back, front, apart = thing((100, 100), depth=2), thing((115, 100), depth=1), thing((220, 220), depth=0)
    scene = facts(back, front, apart)
    assert scene.behind(0, 1) == YES
    assert scene.behind(1, 0) == NO
    assert scene.behind(0, 2) == NO
    touch = facts(back, replace(front, path=thing((131, 100)).path))
    assert touch.behind(0, 1) == UNSURE


@pytest.mark.parametrize(("heading", "truth"), [(0, NO), (4, YES), (2, UNSURE), (6, UNSURE)])
def test_sides_hold_for_the_whole_joint_presence(heading: int, truth: int) -> None:
    crossing = thing(moving(0, 6, 60, 50), phases=[Phase("move", 0, T, 6)])
    assert facts(crossing, thing((200, 120))).beside(0, 1, heading) == truth


def test_sides_of_objects_that_never_meet_in_time_are_unsure() -> None:
    early, late = thing((50, 50), shown=LINE < 10), thing((200, 50), shown=LINE >= 12)
    assert facts(early, late).beside(0, 1, 4) == UNSURE


def test_looks_are_exact_but_sizes_of_growing_objects_and_unseen_textures_are_unsure() -> None:
    scene = facts(STILL, GROWS, replace(STILL, texture="speckled"), replace(STILL, texture="shaded"))
    assert scene.looks(None, "red", None, None).tolist() == [YES] * 4
    assert scene.looks("small", None, None, None).tolist() == [YES, UNSURE, YES, YES]
    assert scene.looks(None, None, "dotted", None).tolist() == [NO, NO, UNSURE, UNSURE]
    assert scene.looks(None, None, "plain", None).tolist() == [YES, YES, NO, UNSURE]
    assert scene.looks("large", "blue", None, "star").tolist() == [NO] * 4


def test_speed_is_that_of_objects_that_keep_moving() -> None:
    scene = facts(LEFT, LEFT_STOP, STILL)
    assert scene.speed(0) == pytest.approx(4)
    assert scene.speed(1) is None
    assert scene.speed(2) is None


@pytest.mark.parametrize(
    ("one", "act", "start", "end"),
    [
        (LEFT_STOP, Act("go_stop"), 12 / 8, 3.0),
        (GROWS, Act("grow"), 0.0, 3.0),
        (APPEARS, Act("appear"), 6 / 8, 14 / 8),
        (GONE, Act("disappear"), 6 / 8, 14 / 8),
        (BLINKS, Act("return"), 10 / 8, 18 / 8),
    ],
)
def test_spans_in_seconds(one: ObjectSpec, act: Act, start: float, end: float) -> None:
    got = span(facts(one), 0, act)
    assert (got.start, got.end) == (start, end)


def test_entering_lasts_from_the_first_sight_to_the_whole_shape() -> None:
    scene = facts(ENTERS)
    first = moment(scene, 0, "enter")
    got = span(scene, 0, Act("enter"))
    assert got.start == first / 8
    assert scene.picture.area[0, first - 1] == 0
    whole = round(got.end * 8) - 1
    assert scene.picture.area[0, whole] >= 0.93 * scene.picture.area[0].max()


def test_leaving_ends_when_nothing_is_left() -> None:
    scene = facts(LEAVES)
    gone = round(span(scene, 0, Act("leave")).end * 8)
    assert scene.visible[0, gone - 1]
    assert not scene.visible[0, gone:].any()


def test_three_valued_logic() -> None:
    a, b = truth_of([YES, YES, UNSURE, NO, UNSURE]), truth_of([YES, UNSURE, UNSURE, UNSURE, NO])
    assert both(a, b).tolist() == [YES, UNSURE, UNSURE, NO, NO]
    assert opposite(a).tolist() == [NO, NO, UNSURE, YES, UNSURE]
    assert (all_of(YES, NO, UNSURE), all_of(YES, UNSURE), all_of(YES, YES)) == (NO, UNSURE, YES)
    assert only(truth_of([NO, YES])) == 1
    assert only(truth_of([UNSURE, YES])) is None
    assert only(truth_of([YES, YES])) is None
    assert just(1, 3).tolist() == [NO, YES, NO]
    assert not sure(a)


def test_every_object_is_asked() -> None:
    assert does(facts(STILL, LEFT), Act("still")).tolist() == [YES, NO]


def test_areas_of_shapes_of_radius_one() -> None:
    assert unit_area("disc") == pytest.approx(np.pi * 0.95**2, rel=0.02)
    assert unit_area("square") == pytest.approx(1.64**2, rel=0.02)
