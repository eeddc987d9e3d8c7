"""What tests of the web page share: small videos, requests as a browser sends them, and a grounder that is none."""

import copy
import io
import json
import zipfile
from contextlib import contextmanager

import av
import httpx
import numpy as np
from gradio_client.utils import apply_diff

from core.types import TimeSpan
from tracksift.web.grounders import Remark, Task


def write_video(path, frames=4, size=(48, 64), *, colour=90, fps=8, codec="libx264"):
    """A video of one colour, [H, W] = size."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        picture = np.full((*size, 3), colour, np.uint8)
        for _ in range(frames):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def zip_bomb(megabytes=50):
    """A zip of a few kilobytes that unpacks to many megabytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("frames.raw", b"\0" * (megabytes << 20))
    return out.getvalue()


class EchoGrounder:
    """Says what it was asked; a double of the tests alone."""

    name = "echo"
    tasks = frozenset({Task.CAPTIONS, Task.DESCRIBE, Task.QUESTION})

    def remarks(self, request):
        yield Remark(f"{request.task} {request.words} {request.track}", TimeSpan(0.0, 0.25, 0.5))
        yield Remark("<b>the end</b>")


@contextmanager
def visitor(site, tab):
    """A browser with one tab: its requests, and its events."""
    with httpx.Client(base_url=site[0], timeout=120) as client:
        assert client.get("/").status_code == 200
        yield client, Tab(client, tab)
        with client.stream("GET", f"/gradio_api/heartbeat/{tab}") as beat:  # which ends when a tab is closed
            next(beat.iter_bytes())


class Tab:
    """A tab's events, through gradio's queue as its script sends them."""

    def __init__(self, client, tab):
        self.client, self.tab = client, tab
        config = client.get("/config").json()
        self.functions = {}
        for index, event in enumerate(config["dependencies"]):
            for target, kind in event["targets"]:
                name = next((c["props"].get("elem_id") for c in config["components"] if c["id"] == target), None)
                self.functions[(name or "page", kind)] = event.get("id", index)
        opened = self.send(("page", "load"))[-1]
        self.boot, self.error = opened.get("boot"), opened["error"]

    def do(self, name, **order):
        return self.send((f"wire-{name}", "submit"), order)

    def send(self, function, order=None):
        body = {"data": [], "fn_index": self.functions[function], "session_hash": self.tab, "event_data": order}
        joined = self.client.post("/gradio_api/queue/join", json=body)
        assert joined.status_code == 200, joined.text
        replies, shown = [], None
        with self.client.stream("GET", f"/gradio_api/queue/data?session_hash={self.tab}") as lines:
            for line in lines.iter_lines():
                message = json.loads(line[6:]) if line.startswith("data: ") else {}
                if message.get("msg") in ("process_generating", "process_completed"):
                    if not message["success"]:
                        raise RuntimeError(message["output"]["error"])
                    data = message["output"].get("data") or [None]
                    generating = message["msg"] == "process_generating"  # what changed since the one before
                    shown = apply_diff(shown, data[0]) if generating and shown is not None else data[0]
                    replies.append(copy.deepcopy(shown))
                if message.get("msg") in ("process_completed", "close_stream"):
                    break
        return [reply for reply in replies if isinstance(reply, dict)]

    def upload(self, content, name="clip.mp4"):
        return self.client.put(self.at("upload"), params={"name": name}, content=content)

    def at(self, path):
        return f"/session/{self.boot['session']}/{path}"
