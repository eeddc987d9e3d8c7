"""A chat model behind an OpenAI-compatible server, such as vLLM's: several questions at once, with retries.

Only the URL that a person gave is asked, and no redirect is followed, so that an API key never reaches another host;
the key comes from an environment variable. Knows HTTP and JSON. Does not know what is asked.
"""

from __future__ import annotations

import base64
import io
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from threading import Event
from typing import IO, Any, Final
from urllib.parse import urlsplit

from PIL import Image

from core.errors import InputError, ServerError
from core.hashing import json_sha256
from core.reporting import Progress
from core.validators import check_least, check_text
from llm_grounder.chat.asking import Ask, ChatReply, Picture

KEY_VARIABLE: Final = "TRACKSIFT_CHAT_KEY"
PASSING: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})  # what another try may mend
LONGEST_REPLY: Final = 8 * 1024 * 1024  # bytes
LONGEST_WAIT: Final = 60.0  # seconds between two tries
QUALITY: Final = 92  # of the JPEG pictures that are sent


@dataclass(frozen=True)
class ServerSettings:
    """Where to ask and how.

    url: up to and with "/v1".   model: the server's name for it.   key_variable: the environment variable that holds
    the API key; none is sent where it is not set.   timeout: seconds a try may take.   tries: of a question in all.
    wait: seconds before the second try, doubled before each further one.   at_once: questions under way together.
    """

    url: str
    model: str
    key_variable: str = KEY_VARIABLE
    timeout: float = 120.0
    tries: int = 5
    wait: float = 1.0
    at_once: int = 8

    def __post_init__(self) -> None:
        """Refuse URLs that are none or hold a key, and numbers that mean nothing."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise InputError(f"chat server: expected a URL as http://host:8000/v1, got {self.url!r}")
        if parts.username is not None or parts.password is not None:
            raise InputError(f"chat server: expected the key in the variable {self.key_variable}, not in the URL")
        check_text("chat server model", self.model)
        check_least("chat server tries", self.tries, 1)
        check_least("chat server questions at once", self.at_once, 1)
        check_least("chat server wait", self.wait, 0, "seconds")
        if not 0 < self.timeout < float("inf"):
            raise InputError(f"chat server timeout: expected seconds above 0, got {self.timeout}")


class _Passing(Exception):
    """A try failed in a way that another may mend.   after: seconds that the server asks to wait, or None."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Gives the answer that redirects, which is then an error."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Nothing to ask instead."""


class ServerChat:
    """Implements `ChatModel`.   sleep: how to wait, for tests; by default a failure elsewhere ends the wait."""

    def __init__(self, settings: ServerSettings, sleep: Callable[[float], object] | None = None) -> None:
        self.settings, self._sleep = settings, sleep
        self._opener = urllib.request.build_opener(_NoRedirect)

    @property
    def sha256(self) -> str:
        """A hash of the model's name: what the server has behind it cannot be seen."""
        return json_sha256({"server_model": self.settings.model})

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[ChatReply]:
        """See `ChatModel`; the first question that fails for good ends the others after their present try."""
        replies: dict[int, ChatReply] = {}
        stop = Event()
        with ThreadPoolExecutor(self.settings.at_once) as pool:
            futures = {pool.submit(self._ask, ask, stop): i for i, ask in enumerate(asks)}
            try:
                for future in as_completed(futures):
                    replies[futures[future]] = future.result()
                    if progress is not None:
                        progress(len(replies), len(asks))
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [replies[i] for i in range(len(asks))]

    def _ask(self, ask: Ask, stop: Event) -> ChatReply:
        body = json.dumps(_body(ask, self.settings.model)).encode()
        wait, reason = self.settings.wait, ""
        for number in range(self.settings.tries):
            try:
                return _read(self._send(body))
            except _Passing as error:
                reason = str(error)
                if number + 1 < self.settings.tries:
                    (self._sleep or stop.wait)(min(wait if error.after is None else error.after, LONGEST_WAIT))
                    wait *= 2
            if stop.is_set():
                break
        raise ServerError(
            f"chat server {self.settings.url}: expected a reply within {self.settings.tries} tries, got: {reason}"
        )

    def _send(self, body: bytes) -> bytes:
        """The body of a 200; _Passing or ServerError for all else."""
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self.settings.key_variable, "").strip()
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.settings.url.rstrip('/')}/chat/completions", body, headers)
        try:
            with self._opener.open(request, timeout=self.settings.timeout) as response:
                said: bytes = response.read(LONGEST_REPLY + 1)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from error
        except (OSError, HTTPException) as error:  # what urllib raises of a network, timeouts among them
            raise _Passing(str(getattr(error, "reason", error)) or type(error).__name__) from error
        if len(said) > LONGEST_REPLY:
            raise ServerError(f"chat server {self.settings.url}: expected up to {LONGEST_REPLY} bytes, got more")
        return said

    def _refusal(self, error: urllib.error.HTTPError) -> _Passing | ServerError:
        """What an answer other than 200 means."""
        reason = f"HTTP {error.code} {error.reason}"
        with error:
            if error.code in PASSING:
                return _Passing(reason, _seconds(error.headers.get("Retry-After")))
            try:
                said = error.read(300).decode(errors="replace")
            except (OSError, HTTPException):
                said = ""  # the code says enough where the rest is lost
        return ServerError(f"chat server {self.settings.url}: expected a reply, got {reason}: {said!r}")


def _body(ask: Ask, model: str) -> dict[str, Any]:
    content = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": _data_url(part)}}
        for part in ask.parts
    ]
    system = [{"role": "system", "content": ask.system}] if ask.system else []
    return {
        "model": model, "messages": [*system, {"role": "user", "content": content}], "max_tokens": ask.most,
        "temperature": 0.0, "seed": 0, "stream": False,
    }  # fmt: skip


def _data_url(picture: Picture) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _read(body: bytes) -> ChatReply:
    """The reply of a 200's body; _Passing where it is no such JSON, as of a server that is just starting."""
    try:
        choice = json.loads(body)["choices"][0]
        text, reason = choice["message"]["content"], choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise _Passing(f"no chat completion: {body[:80]!r}") from error
    if text is not None and not isinstance(text, str):
        raise _Passing(f"a reply that is no text: {str(text)[:80]}")
    return ChatReply((text or "").strip(), cut=reason == "length")


def _seconds(header: str | None) -> float | None:
    """What a server asks to wait, None where it says no number of seconds."""
    return float(header) if header is not None and header.strip().isdecimal() else None
