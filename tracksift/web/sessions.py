"""Sessions: one browser tab each, with a folder of its own that nobody else can read and that goes when the tab goes.

A session is found by two secrets together: the cookie of the browser and the number that gradio gave the tab. Knows
folders and clocks. Does not know videos or pages.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from secrets import compare_digest, token_urlsafe

from core.errors import InputError
from tracksift.web.limits import Limits
from tracksift.web.visit import Visit


class SessionEndedError(InputError):
    """There is no such session for this browser."""


@dataclass
class Session:
    """One tab. id: its name in addresses.   owner: the browser's secret.   visit: what it has been shown.

    seen: when it last gave a sign of life, monotonic seconds.   left: whether its tab seems gone.
    """

    id: str
    owner: str
    visit: Visit
    seen: float
    left: bool = False

    @property
    def folder(self) -> Path:
        """Where all of its files lie."""
        return self.visit.folder


class Sessions:
    """All sessions of a server. `root` is theirs alone."""

    def __init__(self, root: Path, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._root, self._clock = root, clock
        self._by_tab: dict[str, Session] = {}
        self._by_id: dict[str, Session] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_id)

    def open(self, owner: str, tab: str) -> Session:
        """A new session for a tab; another one's tab of the same number is refused.

        Raises:
            InputError: without a cookie, or when there are as many sessions as there may be.
        """
        if not owner or not tab:
            raise InputError("session: expected a browser that accepts this page's cookie, got none")
        self.sweep()
        with self._lock:
            if tab in self._by_tab:
                raise InputError("session: expected a new tab, got one that has a session; reload the page")
            if len(self._by_id) >= self.limits.sessions:
                self._drop(next((s for s in self._by_id.values() if s.left), None))
            if len(self._by_id) >= self.limits.sessions:
                raise InputError(
                    f"session: expected at most {self.limits.sessions} visitors at once, got one more; try again later"
                )
            name = token_urlsafe(18)
            folder = self._root / name
            folder.mkdir(parents=True, mode=0o700)
            session = Session(name, owner, Visit(folder), self._clock())
            self._by_tab[tab] = self._by_id[name] = session
            return session

    def of_tab(self, owner: str, tab: str) -> Session:
        """The session of a tab of this browser; SessionEndedError where there is none."""
        return self._mine(self._by_tab.get(tab), owner)

    def of_id(self, owner: str, name: str) -> Session:
        """The session of a name that this browser owns; SessionEndedError where there is none."""
        return self._mine(self._by_id.get(name), owner)

    def leave(self, owner: str, tab: str) -> None:
        """The tab seems gone: its session ends soon, unless it gives a sign of life."""
        session = self._by_tab.get(tab)
        if session is not None and compare_digest(session.owner.encode(), owner.encode()):
            session.left, session.seen = True, self._clock()

    def sweep(self) -> int:
        """End the sessions without a sign of life; returns how many."""
        now = self._clock()
        with self._lock:
            room = self.limits.grace, self.limits.idle
            over = [s for s in self._by_id.values() if now - s.seen > (room[0] if s.left else room[1])]
            for session in over:
                self._drop(session)
        return len(over)

    def close(self) -> None:
        """End all sessions."""
        with self._lock:
            for session in list(self._by_id.values()):
                self._drop(session)

    def _mine(self, session: Session | None, owner: str) -> Session:
        if session is None or not compare_digest(session.owner.encode(), owner.encode()):
            raise SessionEndedError("session: expected one that still runs, got one that has ended; reload the page")
        session.seen, session.left = self._clock(), False
        return session

    def _drop(self, session: Session | None) -> None:
        if session is None:
            return
        del self._by_id[session.id]
        self._by_tab = {tab: other for tab, other in self._by_tab.items() if other is not session}
        session.visit.ended = True
        shutil.rmtree(session.folder, ignore_errors=True)
