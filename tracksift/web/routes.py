"""Addresses of files: a video comes in, pictures, tracks and downloads go out, each to the browser that owns them.

Every part of an address is a number or looked up among known names; none becomes a path. Knows HTTP, sessions and
visits. Does not know gradio.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from core.errors import InputError, TrackSiftError
from core.frames import open_video
from core.video_files import SUFFIXES
from tracksift.web.downloads import made
from tracksift.web.guard import owner_of
from tracksift.web.payloads import said, track_json
from tracksift.web.sessions import Session, SessionEndedError, Sessions
from tracksift.web.studio import Studio
from tracksift.web.visit import Visit

_PRIVATE = {"cache-control": "private, max-age=3600"}
_FRESH = {"cache-control": "no-store"}


def make_routes(studio: Studio, sessions: Sessions) -> list[Route]:
    """The routes beside gradio's."""

    def session_of(request: Request) -> Session:
        return sessions.of_id(owner_of(request.headers.get("cookie", "")), request.path_params["session"])

    def about(work: Callable[[Request, Visit], Response]) -> Callable[[Request], Response]:
        """A route about a visit; errors become a sentence."""

        def answer(request: Request) -> Response:
            visit = None
            try:
                visit = session_of(request).visit
                return work(request, visit)
            except TrackSiftError as error:
                return _refusal(error, visit)

        return answer

    async def upload(request: Request) -> Response:
        visit = None
        try:
            visit = session_of(request).visit
            return await _take(request, visit, studio.limits.bytes)
        except TrackSiftError as error:
            return _refusal(error, visit)

    def sample(request: Request) -> Response:
        number = request.path_params["number"]
        if number >= len(studio.samples):
            return _refusal(InputError(f"sample: expected one of {len(studio.samples)}, got number {number}"), None)
        return Response(_thumbnail(studio.samples[number].path), media_type="image/jpeg", headers=_PRIVATE)

    return [
        Route("/session/{session}/upload", upload, methods=["PUT"]),
        Route("/session/{session}/alive", about(_alive), methods=["POST"]),
        Route("/session/{session}/frame/{frame:int}", about(_frame)),
        Route("/session/{session}/track/{serial:int}/{index:int}", about(_track)),
        Route("/session/{session}/download/{serial:int}/{kind}", about(_download)),
        Route("/sample/{number:int}", sample),
    ]


def display_name(given: str) -> str:
    """What people call a file, for people: its last part without folders and unprintable characters, and no path."""
    stem = Path(given.replace("\\", "/")).name
    stem = stem[: -len(Path(stem).suffix)] if Path(stem).suffix else stem
    clean = "".join(c for c in stem if c.isprintable()).strip(" .")[:60]
    return clean or "video"


def _alive(_: Request, __: Visit) -> Response:
    return Response(status_code=204)


def _frame(request: Request, visit: Visit) -> Response:
    path = visit.picture(request.path_params["frame"])
    if path is None:
        raise InputError("frame: expected one of the video, got another")
    return FileResponse(path, media_type="image/jpeg", headers=_PRIVATE)


def _track(request: Request, visit: Visit) -> Response:
    data = track_json(visit, request.path_params["serial"], request.path_params["index"])
    return Response(data, media_type="application/json", headers=_PRIVATE)


def _download(request: Request, visit: Visit) -> Response:
    kind = request.path_params["kind"]
    path = made(visit, request.path_params["serial"], kind)
    if path is None or visit.film is None:
        raise InputError("download: expected a file that was made, got another")
    # Always as a file to save: a page of ours that opened here would share this page's rights.
    return FileResponse(path, filename=f"{visit.film.name}-{kind}", headers=_FRESH)


async def _take(request: Request, visit: Visit, most: int) -> Response:
    """The body as the visit's upload, refused as soon as it is known to be too long."""
    name = request.query_params.get("name", "")
    suffix = Path(name.replace("\\", "/")).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"upload: expected a video ({', '.join(SUFFIXES)}), got {display_name(name)!r}{suffix[:12]}")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        return _too_long(most)
    if visit.busy:
        raise InputError("upload: expected a visit at rest, got one whose video is being tracked; wait for it")
    visit.uploads += 1
    path, size = visit.folder / f"upload{visit.uploads}{suffix}", 0
    try:
        with path.open("xb") as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size > most or visit.ended:
                    path.unlink(missing_ok=True)
                    return _too_long(most)
                await run_in_threadpool(file.write, chunk)
    except (ClientDisconnect, OSError) as error:
        path.unlink(missing_ok=True)
        raise InputError("upload: expected a whole file, got a part of it; try again") from error
    visit.take_upload(display_name(name), path)
    return JSONResponse({"name": display_name(name), "bytes": size}, headers=_FRESH)


def _too_long(most: int) -> Response:
    words = f"upload: expected at most {most / 1e6:.0f} MB, got more"
    return JSONResponse({"error": words}, 413, headers={**_FRESH, "connection": "close"})


def _refusal(error: TrackSiftError, visit: Visit | None) -> Response:
    code = 404 if isinstance(error, SessionEndedError) else 400
    content: dict[str, Any] = {"error": said(error, visit)}
    return JSONResponse(content, code, headers=_FRESH)


def _thumbnail(path: Path) -> bytes:
    """The middle frame of a sample, small."""
    reader = open_video(path)
    try:
        picture = Image.fromarray(reader.read([reader.meta.frames // 2])[0])
    finally:
        reader.close()
    picture.thumbnail((320, 320))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()
