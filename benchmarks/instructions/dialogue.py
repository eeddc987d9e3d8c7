"""What every file of instructions gives: turns of a user and an assistant, with times where the data has them.

Knows texts and seconds. Does not know any file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.errors import InputError
from core.validators import check_text


class Role(StrEnum):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True)
class Turn:
    """One turn. time: when it is said, seconds; span: what it is about; both None where unknown.

    learn: whether a model is meant to learn to say it.
    """

    role: Role
    text: str
    time: float | None = None
    span: tuple[float, float] | None = None
    learn: bool = True


@dataclass(frozen=True)
class Dialogue:
    """The turns about one video, in order."""

    id: str
    video_id: str
    turns: tuple[Turn, ...]

    def __post_init__(self) -> None:
        """Refuse blank ids, no turns, and times that go back."""
        check_text("dialogue id", self.id)
        check_text(f"dialogue {self.id!r}: video id", self.video_id)
        if not self.turns:
            raise InputError(f"dialogue {self.id!r}: expected at least one turn, got none")
        times = [turn.time for turn in self.turns if turn.time is not None]
        if times != sorted(times):
            raise InputError(
                f"dialogue {self.id!r}: expected turns in the order of their times, got one that goes back"
            )
