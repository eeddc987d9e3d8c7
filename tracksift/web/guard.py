"""The door: which addresses exist at all, for whom, with how long a body; and the cookie that tells browsers apart.

Gradio serves files by path, proxies addresses and takes uploads of its own: none of that is let through. Knows HTTP.
Does not know sessions or what lies behind an address.
"""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from http.cookies import CookieError, SimpleCookie
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "tracksift"
_API = "/gradio_api"
_PAGES = {"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"}
_CALLS = {f"{_API}/{name}" for name in ("queue/join", "queue/data", "startup-events", "app_id", "reset", "cancel")}
_UNDER = ("/assets/", "/static/", "/svelte/", f"{_API}/heartbeat/", "/session/", "/sample/")
_BODY = 65_536  # bytes of anything but an upload, whose route counts its own
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def owner_of(header: str) -> str:
    """The browser's secret in a Cookie header; "" where there is none."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


class Guard:
    """ASGI middleware. hosts: the names by which the page may be called, None for any.

    A page elsewhere that makes a name point here, or sends requests from a visitor's browser, is refused.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # the page has no web sockets
        headers = Headers(scope=scope)
        refused = self._refusal(scope, headers)
        if refused is not None:
            code, words = refused
            await PlainTextResponse(words, code, headers={**_HEADERS, "connection": "close"})(scope, receive, send)
            return
        new = token_urlsafe(24) if scope["path"] == "/" and not owner_of(headers.get("cookie", "")) else ""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _finish(message, new)
            await send(message)

        upload = scope["method"] == "PUT"
        await self._app(scope, receive if upload else _counted(receive), answer)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        path, host = scope["path"], headers.get("host", "")
        if self._hosts is not None and (urlsplit(f"//{host}").hostname or "") not in self._hosts:
            return 421, "this page is for visitors of this machine"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "this page takes no requests from other pages"
        if ".." in path or "\\" in path or "\0" in path or not _known(path):
            return 404, "not found"
        length = headers.get("content-length", "0")
        if scope["method"] != "PUT" and (not length.isdecimal() or int(length) > _BODY):
            return 413, "too long"
        return None


def _known(path: str) -> bool:
    return path.rstrip("/") in _PAGES | _CALLS or path == "/" or path.startswith(_UNDER)


def _counted(receive: Receive) -> Receive:
    """A body that ends, as if its sender had gone, when it grows too long without having said so."""
    seen = 0

    async def counting() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > _BODY else message

    return counting


def _finish(message: Message, cookie: str) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS.items():
        headers[name] = value
    if cookie:
        headers.append("set-cookie", f"{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Strict")
        headers["cache-control"] = "no-store"
