"""The gradio side: one block of markup, and a wire for each event between the page's script and `events`.

Knows gradio. Does not know what an event means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import InputError
from tracksift.web.events import Events, Order, Reply
from tracksift.web.guard import owner_of

SCRIPT = ("state", "films", "player", "answers", "line", "boxes", "talking", "wires")
_WIRE = "tracksift.wire({name}, order => trigger('submit', order), () => props.value, watch);"


def build_blocks(events: Events, visitors: int) -> gr.Blocks:
    """The page; `visitors`: how many may wait for long work at once."""
    with gr.Blocks(title="TrackSift", analytics_enabled=False, fill_width=True) as page:
        gr.HTML(markup(), padding=False, elem_id="tracksift-page")
        opened = _wire("opened")

        def open_session(request: gr.Request) -> Reply:
            return events.opened(*_who(request))

        def leave(request: gr.Request) -> None:
            events.left(*_who(request))

        page.load(open_session, None, opened, show_progress="hidden", api_visibility="private")
        page.unload(leave)
        for name, run, at_once in (
            ("start", events.start, visitors),
            ("ask", events.ask, 1),
            ("follow", events.follow, visitors),
            ("download", events.download, 2),
            ("grounded", events.grounded, visitors),
        ):
            wire = _wire(name)
            wire.submit(
                _handler(run), None, wire, show_progress="hidden", concurrency_limit=at_once, trigger_mode="multiple",
                api_visibility="private",
            )  # fmt: skip
    page.queue(max_size=4 * visitors)
    return page


def head() -> str:
    """Style and script of the page, with the functions that all our pages share."""
    shared = (Path(__file__).parents[1] / "shared.html").read_text(encoding="utf-8")
    return (_here("style.html") + shared.partition("</style>")[2] + script()).strip()


def script() -> str:
    """The parts of the page's script in one scope: each knows the others' names, and gradio's page none but `wire`."""
    parts = "".join(_here(f"script/{name}.js") for name in SCRIPT)
    return f'<script>\n"use strict";\nwindow.tracksift = (() => {{\n{parts}return {{ wire }};\n}})();\n</script>\n'


def markup() -> str:
    """The page's elements, which the script fills."""
    return _here("markup.html")


def theme() -> gr.themes.Base:
    """System fonts: the page asks no other server for anything."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "sans-serif"]
    return gr.themes.Base(font=fonts, font_mono=["ui-monospace", "monospace"])


def _wire(name: str) -> gr.HTML:
    """An element that nobody sees: its submit events go out, its value comes in."""
    return gr.HTML(
        None, html_template="", js_on_load=_WIRE.format(name=repr(name)), visible="hidden", elem_id=f"wire-{name}"
    )


def _handler(run: Callable[[str, str, Order], Iterator[Reply]]) -> Callable[..., Iterator[Reply]]:
    def handle(request: gr.Request, event: gr.EventData) -> Iterator[Reply]:
        yield from run(*_who(request), _order(event))

    return handle


def _order(event: gr.EventData) -> dict[str, Any]:
    """What the script sent; whatever else came is an empty order, which each event refuses in its own words."""
    data = getattr(event, "_data", None)
    return data if isinstance(data, dict) else {}


def _who(request: gr.Request) -> tuple[str, str]:
    """The browser's secret and the tab's number."""
    if request is None or request.request is None:
        raise InputError("event: expected a request of a browser, got none")
    return owner_of(request.request.headers.get("cookie", "")), request.session_hash or ""


def _here(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
