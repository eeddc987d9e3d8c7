"""What a check of a dataset says: counts, and faults by sort with the first few sentences of each.

Knows sentences. Does not know datasets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

SHOWN: Final = 10


class Fault(StrEnum):
    """MISSING: a file that the annotation names is not there.   UNREADABLE: it is, and cannot be read.

    MISMATCHED: files disagree with each other.   ODD: they agree, and few would expect it; no fault.
    """

    MISSING = "missing"
    UNREADABLE = "unreadable"
    MISMATCHED = "mismatched"
    ODD = "odd"


@dataclass
class Inventory:
    """Collects counts and faults; of each sort the first SHOWN sentences are kept, and all are counted."""

    counts: Counter[str] = field(default_factory=Counter)
    sentences: dict[Fault, list[str]] = field(default_factory=lambda: {fault: [] for fault in Fault})
    _faults: Counter[Fault] = field(default_factory=Counter)

    def count(self, **found: int) -> None:
        """Add to counts."""
        self.counts.update(found)

    def note(self, fault: Fault, sentence: str) -> None:
        """Note one fault."""
        self._faults[fault] += 1
        if len(self.sentences[fault]) < SHOWN:
            self.sentences[fault].append(sentence)

    def faults(self) -> Mapping[Fault, int]:
        """How many of each sort there are."""
        return {fault: self._faults[fault] for fault in Fault}

    @property
    def good(self) -> bool:
        """Whether nothing is missing, unreadable or mismatched."""
        return not any(n for fault, n in self.faults().items() if fault is not Fault.ODD)
