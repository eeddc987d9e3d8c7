"""What happens when something is done on the page: gradio's events become work of a visit, and replies to the script.

Whatever comes from a browser is read here and trusted nowhere. Knows sessions, the studio and replies. Does not know
how the page looks.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core.errors import InputError, TrackSiftError
from tracksift.web.downloads import make_download
from tracksift.web.grounders import NO_GROUNDER, Remark, Request, Task
from tracksift.web.limits import check_text
from tracksift.web.payloads import boot_data, remark_data, said, visit_data
from tracksift.web.sessions import Sessions
from tracksift.web.studio import Box, Studio, Tell
from tracksift.web.turnstile import Step, Work
from tracksift.web.visit import Visit

_LOG = logging.getLogger(__name__)
Order = Mapping[str, Any]
Reply = dict[str, Any]


class Events:
    """One method an event; `owner` is the browser's secret and `tab` gradio's number of the tab.

    A reply holds `number`, which makes it unlike the one before, and `error`, a sentence or None.
    """

    def __init__(self, studio: Studio, sessions: Sessions) -> None:
        self._studio, self._sessions = studio, sessions
        self._numbers = itertools.count(1)

    def opened(self, owner: str, tab: str) -> Reply:
        """The page is there: a session begins."""
        try:
            session = self._sessions.open(owner, tab)
        except TrackSiftError as error:
            return self._reply(error=said(error, None))
        return self._reply(boot=boot_data(self._studio, session.id))

    def left(self, owner: str, tab: str) -> None:
        """The page seems gone."""
        self._sessions.leave(owner, tab)

    def start(self, owner: str, tab: str, order: Order) -> Iterator[Reply]:
        """A sample, or what was uploaded, becomes the film."""

        def work(visit: Visit, tell: Tell) -> None:
            sample = order.get("sample")
            self._studio.load(visit, None if sample is None else _whole("sample", sample), tell)

        yield from self._work(owner, tab, order, work)

    def ask(self, owner: str, tab: str, order: Order) -> Iterator[Reply]:
        """An expression about the film."""

        def run(visit: Visit) -> Iterator[Reply]:
            self._studio.ask(visit, order.get("words"))
            yield self._reply(**visit_data(visit, _known(order)))

        yield from self._told(owner, tab, run)

    def follow(self, owner: str, tab: str, order: Order) -> Iterator[Reply]:
        """A box on a frame of the film."""

        def work(visit: Visit, tell: Tell) -> None:
            self._studio.follow(visit, _whole("frame", order.get("frame")), _box(order.get("box")), tell)

        yield from self._work(owner, tab, order, work)

    def download(self, owner: str, tab: str, order: Order) -> Iterator[Reply]:
        """A file about an answer is wanted."""
        kind = order.get("kind")
        miniature = self._studio.pipeline.models.is_miniature

        def work(visit: Visit, tell: Tell) -> None:
            serial = _whole("answer", order.get("serial"))
            make_download(
                visit, serial, kind, miniature=miniature, progress=lambda d, t: tell(Step("drawing", d, t or 0))
            )

        ready = {"download": {"serial": order.get("serial"), "kind": kind}}
        yield from self._work(owner, tab, order, work, ready)

    def grounded(self, owner: str, tab: str, order: Order) -> Iterator[Reply]:
        """Something for the grounder; its remarks come as it makes them."""

        def run(visit: Visit) -> Iterator[Reply]:
            request, remarks = self._request(visit, order), list[Remark]()
            with visit.alone(talking=True):
                for remark in self._studio.remarks(visit, request):
                    remarks.append(remark)
                    yield self._reply(task=request.task, remarks=remark_data(remarks), running=True)
            yield self._reply(task=request.task, remarks=remark_data(remarks), running=False)

        yield from self._told(owner, tab, run)

    def _request(self, visit: Visit, order: Order) -> Request:
        given = order.get("task")
        if given not in list(Task):
            raise InputError(f"task: expected one of {', '.join(Task)}, got {str(given)[:40]!r}")
        if self._studio.grounder is None:
            raise InputError(NO_GROUNDER)
        film, _, _ = visit.ready()
        words, track = order.get("words"), order.get("track")
        text = check_text("words", words, self._studio.limits) if words else ""
        number = None if track is None else _whole("track", track)
        at = order.get("at", 0.0)
        if not isinstance(at, int | float) or not math.isfinite(at):
            raise InputError("time: expected seconds, got something else")
        return Request(Task(given), film.job, text, number, float(at))

    def _work(
        self,
        owner: str,
        tab: str,
        order: Order,
        work: Callable[[Visit, Tell], None],
        ready: Mapping[str, Any] | None = None,
    ) -> Iterator[Reply]:
        """Long work, one at a time in a visit, with replies as it goes on."""

        def run(visit: Visit) -> Iterator[Reply]:
            known = _known(order)
            with visit.alone():
                for step in Work(lambda tell: work(visit, tell)).steps():
                    yield self._reply(**visit_data(visit, known, step))
            yield self._reply(**visit_data(visit, known), **(ready or {}))

        yield from self._told(owner, tab, run)

    def _told(self, owner: str, tab: str, run: Callable[[Visit], Iterator[Reply]]) -> Iterator[Reply]:
        """The replies of a tab's visit; an error becomes the last one."""
        visit = None
        try:
            visit = self._sessions.of_tab(owner, tab).visit
            yield from run(visit)
        except TrackSiftError as error:
            data = {} if visit is None else visit_data(visit, visit.serial)
            yield self._reply(**data, error=said(error, visit))
        except Exception:  # noqa: BLE001 - the border to visitors: logged with its stack, and told without
            _LOG.exception("an event failed")
            data = {} if visit is None else visit_data(visit, visit.serial)
            yield self._reply(**data, error="something went wrong here; it has been noted, please try again")

    def _reply(self, *, error: str | None = None, **data: Any) -> Reply:
        return {"number": next(self._numbers), "error": error, **data}


def _known(order: Order) -> int:
    given = order.get("known", 0)
    return given if isinstance(given, int) else 0


def _whole(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise InputError(f"{name}: expected a whole number from 0, got {str(value)[:40]!r}")
    return value


def _box(value: object) -> Box:
    """x1, y1, x2, y2 as numbers; what they mean is checked with the video."""
    if not isinstance(value, list) or len(value) != 4 or not all(type(v) in (int, float) for v in value):
        raise InputError("box: expected four numbers, got something else")
    return float(value[0]), float(value[1]), float(value[2]), float(value[3])
