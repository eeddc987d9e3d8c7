"""The server: studio, sessions, routes and gradio's page in one application, and the running of it.

Knows how they fit and who may call. Does not know what they do.
"""

from __future__ import annotations

import ipaddress
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from core.errors import InputError
from tracksift.ask import Pipeline
from tracksift.web.blocks import build_blocks, head, theme
from tracksift.web.events import Events
from tracksift.web.grounders import Grounder
from tracksift.web.guard import Guard
from tracksift.web.limits import Limits
from tracksift.web.routes import make_routes
from tracksift.web.sessions import Sessions
from tracksift.web.studio import Sample, Studio

_LOCAL = ("localhost", "127.0.0.1", "::1")
_SWEEP = 10.0  # seconds between looks for sessions that have ended


@contextmanager
def serving(
    pipeline: Pipeline,
    *,
    limits: Limits | None = None,
    samples: Sequence[Sample] = (),
    grounder: Grounder | None = None,
    host: str = "127.0.0.1",
    folder: Path | None = None,
) -> Iterator[ASGIApp]:
    """The page as an ASGI application; all that visitors bring lies in a new folder, which goes at the end.

    Args:
        pipeline: models; they are loaded here.
        limits: of visitors.
        samples: videos to try.
        grounder: what answers the panels of moments, captions, questions and the duet; None for none.
        host: the address that it will be bound to; only a local one is called by local names alone.
        folder: where the new folder is made; the system's place for temporary files by default.

    Raises:
        CheckpointError: when a model cannot be used.
        InputError: for a folder that is not there.
    """
    check_place(folder)
    limits = limits or Limits()
    root = Path(mkdtemp(prefix="tracksift-web-", dir=folder))
    sessions = Sessions(root / "sessions", limits)
    studio = Studio(pipeline, limits, root / "samples", samples, grounder)
    ended = threading.Event()
    sweeper = threading.Thread(target=_sweep, args=(sessions, ended), daemon=True)
    try:
        studio.warm_up()
        sweeper.start()
        yield Guard(_assemble(studio, sessions), _LOCAL if is_local(host) else None)
    finally:
        ended.set()
        sessions.close()
        shutil.rmtree(root, ignore_errors=True)


def serve(app: ASGIApp, host: str, port: int, started: Callable[[], None]) -> None:
    """Serve until interrupted; `started` is called when visitors may come.

    Raises:
        InputError: when the address or port cannot be had.
    """
    server = _Server(uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=2))
    server.told = started
    # uvicorn raises the signal once more at its end; as an interrupt it lets visitors' files go before the process.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.run()
    except SystemExit as end:
        raise InputError(f"{host}:{port}: expected an address that is free, got none; choose another --port") from end
    finally:
        signal.signal(signal.SIGTERM, before)


def check_place(folder: Path | None) -> None:
    """Refuse a place for visitors' files that is not there; InputError."""
    if folder is not None and not folder.is_dir():
        raise InputError(f"folder {folder}: expected a folder for visitors' files, got nothing there")


def is_local(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Server(uvicorn.Server):
    """Says when it has begun."""

    told: Callable[[], None] | None = None

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started and self.told is not None:
            self.told()


def _assemble(studio: Studio, sessions: Sessions) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, routes=list(make_routes(studio, sessions)))
    page = build_blocks(Events(studio, sessions), studio.limits.sessions)
    gr.mount_gradio_app(
        app, page, path="/", footer_links=[], run_history=False, show_error=False, ssr_mode=False, pwa=False,
        mcp_server=False, enable_monitoring=False, theme=theme(), head=head(),
    )  # fmt: skip
    return app


def _sweep(sessions: Sessions, ended: threading.Event) -> None:
    while not ended.wait(min(_SWEEP, sessions.limits.grace)):
        sessions.sweep()
