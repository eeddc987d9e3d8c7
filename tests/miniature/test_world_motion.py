"""Motions: exact lengths, the top speed, inside the frame, phases that say what the path does."""

import numpy as np
import pytest

from miniature.world.motion import go_stop, reverse, turn
from miniature.world.passages import PROGRAMS, Program
from miniature.world.spec import SIDE, heading_vector

RADII = (15.0, 42.0)
CASES = [(p, t) for p in PROGRAMS for t in (p.least, 40, 64, 300) if p.least <= t <= p.most]


@pytest.mark.parametrize(("program", "frames"), CASES, ids=[f"{p.name}-{t}" for p, t in CASES])
def test_every_motion_has_its_length_a_bounded_speed_and_a_sane_size(program: Program, frames: int) -> None:
    rng = np.random.default_rng(0)
    for radius in RADII * 4:
        path = program.draw(rng, frames, radius)
        assert len(path.centre) == len(path.radius) == len(path.angle) == len(path.shown) == frames
        if frames > 1:
            assert np.hypot(*np.diff(path.centre, axis=0).T).max() <= 8
        assert path.radius.min() > 13
        assert path.radius.max() < 45
        assert all(0 <= p.start < p.stop for p in path.phases)


@pytest.mark.parametrize("program", [p for p in PROGRAMS if p.name not in ("enter", "leave", "cross_over")])
def test_motions_inside_never_touch_the_border(program: Program) -> None:
    rng = np.random.default_rng(1)
    for radius in RADII * 6:
        path = program.draw(rng, 48, radius)
        assert (path.centre - path.radius[:, None]).min() > 0
        assert (path.centre + path.radius[:, None]).max() < SIDE


@pytest.mark.parametrize(
    ("name", "first", "last"), [("enter", True, False), ("leave", False, True), ("cross_over", True, True)]
)
def test_passages_begin_or_end_wholly_outside(name: str, first: bool, last: bool) -> None:
    program = next(p for p in PROGRAMS if p.name == name)
    rng = np.random.default_rng(2)
    for radius in RADII * 6:
        path = program.draw(rng, 60, radius)
        reach = 1.12 * path.radius[:, None]
        outside = ((path.centre + reach < 0) | (path.centre - reach > SIDE)).any(axis=1)
        assert (outside[0], outside[-1]) == (first, last)
        assert not outside.all()


@pytest.mark.parametrize("draw", [go_stop, turn])
def test_move_phases_go_where_their_heading_says(draw) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        path = draw(rng, 40, 20.0)
        for phase in path.phases:
            way = path.centre[min(phase.stop, 39)] - path.centre[phase.start]
            if phase.kind == "still":
                assert np.abs(way).max() < 1e-6
            else:
                assert way @ heading_vector(phase.heading) == pytest.approx(np.hypot(*way), rel=1e-6)


@pytest.mark.parametrize("program", PROGRAMS, ids=[p.name for p in PROGRAMS])
def test_reversing_twice_gives_the_path_back(program: Program) -> None:
    path = program.draw(np.random.default_rng(4), 60, 20.0)
    again = reverse(reverse(path))
    assert again.phases == path.phases
    assert np.array_equal(again.centre, path.centre)
    assert np.array_equal(again.shown, path.shown)


def test_growing_doubles_and_its_reverse_shrinks() -> None:
    grow = next(p for p in PROGRAMS if p.name == "grow").draw(np.random.default_rng(5), 30, 20.0)
    assert grow.radius[-1] / grow.radius[0] == pytest.approx(2.1, rel=0.02)
    assert [p.kind for p in reverse(grow).phases] == ["shrink"]
