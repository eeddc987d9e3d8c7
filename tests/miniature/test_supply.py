"""What workers make arrives whole, by processes that give way to the one that trains."""

import itertools
import os
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from miniature.supply import GIVE_WAY, Supply


@dataclass(frozen=True)
class Made:
    values: NDArray[np.int64]
    number: int
    priority: int


def make(number):
    return Made(np.arange(5) * number, number, os.nice(0))


def items(supply, count):
    found = []
    while len(found) < count:
        for item in supply.first():
            found.append((np.array(item.values), item.number, item.priority))
    return found


@pytest.mark.parametrize("workers", [0, 1])
def test_items_are_whole_and_their_makers_give_way(workers):
    own = os.nice(0)
    orders = ((n,) for n in itertools.count(1))
    with closing(Supply(make, orders, array="values", workers=workers, ahead=2)) as supply:
        found = items(supply, 3)
    assert sorted(number for _, number, _ in found)[:3] == [1, 2, 3]
    for values, number, priority in found:
        assert values.tolist() == (np.arange(5) * number).tolist()
        assert priority == min(own + (GIVE_WAY if workers else 0), 19)
    assert os.nice(0) == own
