"""Small grammars of replies, a character at a time: what may come next, and the shortest way to a whole reply.

A grammar is a graph of parts, which `grammar_parts` has. A state is the set of places at which a reply may be. Knows
characters. Does not know tasks, tokens or models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from llm_grounder.grammar_parts import Kept, Literal

END: Final = -1  # stands for the reply's end among a part's followers


class Part(Protocol):
    """A piece of a reply. `local` is what it needs of the characters it has read, "" at its beginning."""

    def step(self, local: str, char: str, kept: Kept) -> str | None:
        """`local` after one more character, None where it cannot follow."""

    def done(self, local: str, kept: Kept) -> bool:
        """Whether the part may end here."""

    def finish(self, local: str, kept: Kept) -> str:
        """A short text that ends the part; of what it returns every prefix leads to the rest."""

    def leave(self, local: str, kept: Kept) -> Kept:
        """What is kept after the part's end."""


class Place(NamedTuple):
    """Within part number `part`, with what it and the item remember."""

    part: int
    local: str
    kept: Kept


State = frozenset[Place]


@dataclass(frozen=True)
class Grammar:
    """Parts, the parts that may follow each (`END` for the reply's end, the quickest way out first), and the first."""

    parts: tuple[Part, ...]
    follow: tuple[tuple[int, ...], ...]
    first: tuple[int, ...] = (0,)

    def begin(self) -> State:
        """Before the first character."""
        return frozenset(Place(number, "", ()) for number in self.first)

    def advance(self, state: State, text: str) -> State:
        """After `text`; empty where the grammar has no such reply."""
        for char in text:
            state = frozenset(place for old in state for place in self._after(old, char))
        return state

    def accepts(self, state: State) -> bool:
        """Whether the reply may end here."""
        return any(END in self.follow[p.part] and self.parts[p.part].done(p.local, p.kept) for p in state)

    def ways_out(self, state: State) -> list[str]:
        """Texts that make a whole reply, one a place, sorted."""
        return sorted({self._way_out(place) for place in state})

    def _after(self, place: Place, char: str) -> list[Place]:
        part, found = self.parts[place.part], []
        within = part.step(place.local, char, place.kept)
        if within is not None:
            found.append(Place(place.part, within, place.kept))
        if place.local and part.done(place.local, place.kept):
            kept = part.leave(place.local, place.kept)
            for number in self.follow[place.part]:
                entered = None if number == END else self.parts[number].step("", char, kept)
                if entered is not None:
                    found.append(Place(number, entered, kept))
        return found

    def _way_out(self, place: Place) -> str:
        number, local, kept, text = place.part, place.local, place.kept, ""
        while number != END:
            part = self.parts[number]
            rest = part.finish(local, kept)
            kept = part.leave(local + rest, kept)
            number, local, text = self.follow[number][0], "", text + rest
        return text


def sequence(*parts: Part) -> Grammar:
    """One part after another."""
    return Grammar(parts, tuple((i + 1,) if i + 1 < len(parts) else (END,) for i in range(len(parts))))


def listing(item: tuple[Part, ...], separator: str, closing: str = "") -> Grammar:
    """One item or more with `separator` between and `closing` at the end."""
    count = len(item)
    parts: tuple[Part, ...] = (*item, Literal(separator, clears=True))
    follow: list[tuple[int, ...]] = [(i + 1,) for i in range(count - 1)]
    follow += [(count + 1 if closing else END, count), (0,)]
    if closing:
        return Grammar((*parts, Literal(closing)), (*follow, (END,)))
    return Grammar(parts, tuple(follow))


def either(*grammars: Grammar) -> Grammar:
    """Replies of any of the grammars."""
    parts: list[Part] = []
    follow: list[tuple[int, ...]] = []
    first: list[int] = []
    for grammar in grammars:
        base = len(parts)
        parts += grammar.parts
        follow += [tuple(n if n == END else n + base for n in numbers) for numbers in grammar.follow]
        first += [n + base for n in grammar.first]
    return Grammar(tuple(parts), tuple(follow), tuple(first))
