"""Three-valued truth: YES, NO or UNSURE for every object, [O] int8.

Knows logic. Does not know what is asked. Whoever asks leaves out an expression when any object is UNSURE.
"""

import numpy as np
from numpy.typing import NDArray

YES, NO, UNSURE = 1, 0, -1
Truth = NDArray[np.int8]


def truth_of(values: list[int]) -> Truth:
    """One value an object, as an array."""
    return np.array(values, dtype=np.int8)


def all_of(*values: int) -> int:
    """YES when all are, NO when any is."""
    return NO if NO in values else UNSURE if UNSURE in values else YES


def both(a: Truth, b: Truth) -> Truth:
    """Three-valued and, object by object."""
    return np.where((a == NO) | (b == NO), NO, np.where((a == YES) & (b == YES), YES, UNSURE)).astype(np.int8)


def opposite(a: Truth) -> Truth:
    """Three-valued not, object by object."""
    return np.where(a == UNSURE, UNSURE, 1 - a).astype(np.int8)


def sure(a: Truth) -> bool:
    """Whether no object is UNSURE."""
    return bool((a != UNSURE).all())


def chosen(a: Truth) -> list[int]:
    """The objects that are YES."""
    return [int(i) for i in np.flatnonzero(a == YES)]


def only(a: Truth) -> int | None:
    """The one object that is YES where all are certain; None otherwise."""
    found = chosen(a)
    return found[0] if len(found) == 1 and sure(a) else None


def just(index: int, count: int) -> Truth:
    """YES for one object of `count`, NO for the others."""
    return truth_of([YES if i == index else NO for i in range(count)])
