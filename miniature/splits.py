"""The miniature's splits: disjoint ranges of seeds, each for one purpose.

`train` to learn from; `calib` for thresholds and temperatures only; `valid` and `shifted_dev` to choose on; `test` and
`shifted_test` measured once a released checkpoint. Seeds from RESERVED on are never used in this repository: they are
for whoever wants to test on worlds that it has never seen. Does not know how a seed becomes a clip.
"""

from dataclasses import dataclass, replace

from core.errors import InputError
from miniature.world import NO_TARGET

RESERVED = 900_000


@dataclass(frozen=True)
class Split:
    """A named range of seeds [first_seed, first_seed + count), of shifted clips or not.

    expressions: of a clip at most so many, instead of the usual 8 to 12; of a long one so many of each sort.
    no_target: share of a clip's expressions that try to have no target.
    """

    name: str
    first_seed: int
    count: int
    shifted: bool
    expressions: int | None = None
    no_target: float = NO_TARGET

    @property
    def seeds(self) -> range:
        """All seeds of the split."""
        return range(self.first_seed, self.first_seed + self.count)


SPLITS: dict[str, Split] = {
    s.name: s
    for s in (
        # A clip is tracked once, whatever is asked about it: more questions are the cheapest way to learn language.
        # What is said of no object is what a relation is learnt from, where the words for its looks tell the rest.
        Split("train", 0, 3000, False, expressions=60, no_target=0.4),
        Split("calib", 100_000, 100, False),
        Split("valid", 200_000, 100, False),
        Split("shifted_dev", 300_000, 60, True),
        Split("test", 400_000, 120, False),
        Split("shifted_test", 500_000, 60, True),
    )
}
# Of the long world; its clips share nothing with the others but the numbers of their seeds.
LONG_SPLITS: dict[str, Split] = {
    name: replace(SPLITS[name], count=count, expressions=most, no_target=NO_TARGET)
    for name, count, most in (
        ("train", 1500, 40),
        ("calib", 60, None),
        ("valid", 100, None),
        ("shifted_dev", 60, None),
        ("test", 100, None),
        ("shifted_test", 60, None),
    )
}


def find_split(name: str, long: bool = False) -> Split:
    """The split of a name, of the long world or the short one.

    Raises:
        InputError: for a name that is none of SPLITS.
    """
    if name not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {name!r}")
    return LONG_SPLITS[name] if long else SPLITS[name]
