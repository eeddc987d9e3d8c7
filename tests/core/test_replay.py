import pytest
import torch

from core import replay
from core.replay import Replay


class Calls:
    """A function that counts, and a capture that does its work again instead of replaying a graph."""

    def __init__(self):
        self.function, self.captured = 0, 0

    def __call__(self, x, y):
        self.function += 1
        return x * 2 + y, x.sum(dim=-1)

    def capture(self, work, pool):
        assert pool is None
        self.captured += 1
        work()
        return work


@pytest.fixture
def calls():
    return Calls()


def pair(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator), torch.randn(shape[-1], generator=generator)


def equals(got, x, y):
    torch.testing.assert_close(list(got), [x * 2 + y, x.sum(dim=-1)])


def test_the_second_call_of_a_shape_is_captured_and_later_ones_replay_it(calls):
    again = Replay(calls, 100, calls.capture)
    for seed, captured in enumerate((0, 1, 1, 1)):
        given = pair(3, 4, seed=seed)
        equals(again(*given), *given)
        assert calls.captured == captured
    equals(again(*pair(5, 4)), *pair(5, 4))
    assert calls.captured == 1


def test_what_it_gave_stays_when_other_shapes_come_in_the_same_memory(calls):
    again = Replay(calls, 100, calls.capture)
    shapes = [(3, 4), (2, 4), (5, 4), (3, 4), (2, 4), (5, 4)]
    given = [pair(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    for one, (x, y) in zip([again(*each) for each in given], given, strict=True):
        equals(one, x, y)
    assert calls.captured == 3
    held = sum(store.numel() for store in again._stores)
    assert held < sum(2 * x.numel() + y.numel() + len(x) for x, y in given[3:])


def test_tensors_keep_the_order_of_their_numbers_in_memory(calls):
    seen = []

    def look(x):
        seen.append(x.stride())
        return (x + 1,)

    again = Replay(look, 1000, calls.capture)
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    for _ in range(3):
        assert torch.equal(again(x)[0], x + 1)
    part = torch.randn(4, 6)[:, :3]
    for _ in range(3):
        assert torch.equal(again(part)[0], part + 1)
    assert set(seen) == {x.stride(), part.stride(), (3, 1)}


def test_large_calls_and_too_many_shapes_are_not_captured(calls, monkeypatch):
    monkeypatch.setattr(replay, "MOST", 1)
    again = Replay(calls, 12, calls.capture)
    for shape in [(4, 4), (4, 4), (3, 4), (3, 4), (2, 4), (2, 4)]:
        equals(again(*pair(*shape)), *pair(*shape))
    assert calls.captured == 1


def test_where_capturing_fails_it_says_so_once_and_goes_on_without(calls):
    def refuse(work, pool):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    again = Replay(calls, 100, refuse)
    equals(again(*pair(3, 4)), *pair(3, 4))
    with pytest.warns(UserWarning, match="not permitted when stream is capturing"):
        equals(again(*pair(3, 4)), *pair(3, 4))
    for _ in range(2):
        equals(again(*pair(2, 4)), *pair(2, 4))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graph_gives_what_the_function_gives(calls):
    again = Replay(calls, 100)
    for seed in range(4):
        for shape in [(3, 4), (2, 4)]:
            x, y = (each.cuda() for each in pair(*shape, seed=seed))
            equals(again(x, y), x, y)
    assert calls.function == 2 * 4  # as usual; then to see the shapes, to warm up, and to capture
