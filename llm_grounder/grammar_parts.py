"""What grammars of replies consist of: literals, numbers within bounds, and words that cannot be taken for a time.

Each part reads a character at a time and keeps a short text of what it has read. Knows characters. Does not know how
parts follow each other, or tasks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import InputError

Kept = tuple[int, ...]
"""Numbers of the current item that later ones must exceed."""


@dataclass(frozen=True)
class Literal:
    """Fixed text. clears: an item ends here, and what was kept is forgotten."""

    text: str
    clears: bool = False

    def step(self, local: str, char: str, kept: Kept) -> str | None:
        """See `Part`."""
        said = local + char
        return said if self.text.startswith(said) else None

    def done(self, local: str, kept: Kept) -> bool:
        """See `Part`."""
        return local == self.text

    def finish(self, local: str, kept: Kept) -> str:
        """See `Part`."""
        return self.text[len(local) :]

    def leave(self, local: str, kept: Kept) -> Kept:
        """See `Part`."""
        return () if self.clears else kept


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, in tenths with one decimal where `tenths`, else whole.

    above: the kept number that it must exceed.   keeps: it is kept itself.   width: digits before the point, filled
    with zeros; 0 for as many as it needs.   signs: how each digit and the point are written, themselves where absent.
    """

    low: int
    high: int
    tenths: bool = True
    above: int | None = None
    keeps: bool = False
    width: int = 0
    signs: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        """Refuse bounds that hold no number, and numbers of more digits than there is width."""
        widest = 10 ** (self.width + self.tenths) - 1
        if not 0 <= self.low <= self.high or (self.width and self.high > widest):
            raise InputError(f"number: expected 0 <= low <= high within its width, got {self.low}..{self.high}")

    def step(self, local: str, char: str, kept: Kept) -> str | None:
        """See `Part`."""
        said, rest = self._symbols(local + char)
        if rest is None:
            return None
        if not rest:
            return local + char if self._least(said, kept) is not None else None
        begun = (sign for sign, text in (self.signs or {}).items() if text.startswith(rest))
        return local + char if any(self._least(said + sign, kept) is not None for sign in begun) else None

    def done(self, local: str, kept: Kept) -> bool:
        """See `Part`."""
        said, rest = self._symbols(local)
        if rest or not said or (self.tenths and not re.fullmatch(r"[0-9]+\.[0-9]", said)):
            return False
        value = self._least(said, kept)
        return value is not None and self._spell(value) == said

    def finish(self, local: str, kept: Kept) -> str:
        """See `Part`: the fewest digits, then the least number."""
        said, rest = self._symbols(local)
        tries = [said] if not rest else [said + s for s, t in (self.signs or {}).items() if t.startswith(rest)]
        values = (self._least(each, kept) for each in tries)
        best = next(value for value in values if value is not None)
        return "".join(self._written(sign) for sign in self._spell(best))[len(local) :]

    def leave(self, local: str, kept: Kept) -> Kept:
        """See `Part`."""
        if not self.keeps:
            return kept
        said, _ = self._symbols(local)
        return (*kept, int(said.replace(".", "")))

    def _written(self, sign: str) -> str:
        return sign if self.signs is None else self.signs[sign]

    def _symbols(self, text: str) -> tuple[str, str | None]:
        """Digits and point that `text` says, and what is begun of one more; None where it says something else."""
        if self.signs is None:
            return (text, "") if re.fullmatch(r"[0-9.]*", text) else (text, None)
        said = ""
        while text:
            sign = next((s for s, written in self.signs.items() if text.startswith(written)), None)
            if sign is None:
                return said, text if any(t.startswith(text) for t in self.signs.values()) else None
            said, text = said + sign, text[len(self.signs[sign]) :]
        return said, ""

    def _spell(self, value: int) -> str:
        whole, tenth = divmod(value, 10) if self.tenths else (value, 0)
        return f"{whole:0{self.width}d}" + (f".{tenth}" if self.tenths else "")

    def _least(self, said: str, kept: Kept) -> int | None:
        """The number of fewest digits, and of these the least, that begins with `said` and is allowed."""
        low = self.low if self.above is None else max(self.low, kept[self.above] + 1)
        for first, last in self._ranges(said):
            if max(first, low) <= min(last, self.high):
                return max(first, low)
        return None

    def _ranges(self, said: str) -> list[tuple[int, int]]:
        """Numbers whose writing begins with `said`, as ranges by length."""
        whole, point, tenth = said.partition(".")
        fits = len(whole) == self.width if self.width else re.fullmatch(r"0|[1-9][0-9]*", whole) is not None
        if point:
            if not self.tenths or not fits or len(tenth) > 1 or "." in tenth:
                return []
            value = int(whole) * 10
            return [(value + int(tenth),) * 2] if tenth else [(value, value + 9)]
        scale = 10 if self.tenths else 1
        longest = len(str(self.high // scale))
        if self.width:
            more = [self.width - len(whole)]
        elif whole and (not fits or whole == "0"):
            more = [0] if fits else []
        else:
            more = list(range(0 if whole else 1, longest - len(whole) + 1))
        base = int(whole or "0")
        firsts = [(base * 10**k if whole or self.width or k == 1 else 10 ** (k - 1), k) for k in more if k >= 0]
        return [(first * scale, (base * 10**k + 10**k) * scale - 1) for first, k in firsts]


@dataclass(frozen=True)
class Text:
    """Words on one line that begin with a letter and cannot be taken for a time or a special token.

    After a number neither "s", "sec" nor ":" follows, and "<" and ">" never do.   closing: how the words end after a
    letter, "" for at any letter or digit.   digits: whether they may begin with a digit.
    """

    closing: str = "."
    digits: bool = False

    # Of the characters read one letter is remembered: a letter, o others, n number (blanks may follow), s and e after
    # "3 s" and "3 se", c the closing after a letter.

    def step(self, local: str, char: str, kept: Kept) -> str | None:
        """See `Part`."""
        digit, word = char in "0123456789", char.isalpha()
        if not char.isprintable() or char in "<>" or (not local and not (word or (digit and self.digits))):
            return None
        if (local == "s" and not word) or (local == "e" and char in "cC") or (local == "n" and char == ":"):
            return None
        if digit or (local == "n" and char == " "):
            return "n"
        if word:
            if local == "n" and char.upper() == "S":  # so is that of the long s, an s to patterns that ignore case
                return "s"
            return "e" if local == "s" and char in "eE" else "a"
        return "c" if char == self.closing and local in ("a", "e") else "o"

    def done(self, local: str, kept: Kept) -> bool:
        """See `Part`."""
        return local == "c" if self.closing else local in ("a", "e", "n")

    def finish(self, local: str, kept: Kept) -> str:
        """See `Part`."""
        if self.done(local, kept):
            return ""
        return self.closing if local in ("a", "e") else f"a{self.closing}"

    def leave(self, local: str, kept: Kept) -> Kept:
        """See `Part`."""
        return kept
