"""How things stand under a root of caches, from its files alone: caches, notes of failures, records of jobs.

Knows where these files lie. Does not know the jobs' videos, nor whether a cache is whole: `cache verify` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from tracksift.scheduling.leftovers import find_temporaries
from tracksift.scheduling.quarantine import SUFFIX, Note, read_note
from tracksift.scheduling.record import Record, read_records


@dataclass(frozen=True)
class Standing:
    """One split. caches: files by count.   records: of jobs that run, were stopped or were killed, oldest first."""

    dataset: str
    split: str
    caches: int
    notes: tuple[Note, ...]
    records: tuple[Record, ...]
    temporaries: int

    @property
    def running(self) -> tuple[Record, ...]:
        """Of jobs that are alive."""
        return tuple(record for record in self.records if record.alive)


def read_standing(root: Path) -> list[Standing]:
    """Every split under `root`, by name; those with neither caches nor notes nor jobs are left out.

    Raises:
        InputError: for a root that is no folder, and a note or record that is none of ours.
    """
    if not root.is_dir():
        raise InputError(f"--cache: expected a folder of caches, got none at {root}")
    found = [_split(root, folder) for folder in sorted(root.glob("*/*")) if folder.is_dir()]
    return [each for each in found if each.caches or each.notes or each.records or each.temporaries]


def _split(root: Path, folder: Path) -> Standing:
    dataset, split = folder.relative_to(root).parts
    notes = [note for path in sorted(folder.glob(f"*{SUFFIX}")) if (note := read_note(path)) is not None]
    records = sorted(read_records(folder).values(), key=lambda record: record.started)
    caches = len([path for path in folder.glob("*.h5") if not path.name.startswith(".")])
    return Standing(dataset, split, caches, tuple(notes), tuple(records), len(find_temporaries(folder)))
