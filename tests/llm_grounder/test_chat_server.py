"""A chat model behind a server: a stub of a few lines that fails in every way a real one does."""

import base64
import io
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from core.errors import InputError, OutputError, ServerError
from llm_grounder.chat.asking import Ask, ChatReply, timed_frames
from llm_grounder.chat.moments import MomentQuestion, ask_moments
from llm_grounder.chat.response_cache import CachedChat
from llm_grounder.chat.server import KEY_VARIABLE, ServerChat, ServerSettings

FRAMES = np.random.default_rng(0).integers(0, 255, (2, 32, 48, 3)).astype(np.uint8)
TIMES = np.array([0.0, 4.5])
ASK = Ask((*timed_frames(FRAMES, TIMES), "When?"), "Look.", 9)


def said(text, reason="stop"):
    """A chat completion as servers write it."""
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": reason}]})


@contextmanager
def serving(*script):
    """A server that answers by the script, its last entry for ever: (code, body, headers, seconds) or a function."""
    calls, lock = [], threading.Lock()

    class Stub(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                calls.append((self.path, dict(self.headers), json.loads(body)))
                entry = script[min(len(calls), len(script)) - 1]
            code, text, headers, seconds = entry(json.loads(body)) if callable(entry) else entry
            time.sleep(seconds)
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(text.encode())
            except (BrokenPipeError, ConnectionResetError):
                return  # the client did not wait

        do_GET = do_POST

        def log_message(self, *_):
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", calls
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


GOOD = (200, said("10 - 20 seconds"), {}, 0)


def chat(url, waits=None, **changes):
    """A client that notes its waits instead of waiting."""
    return ServerChat(ServerSettings(url, "tiny", **changes), sleep=[].append if waits is None else waits.append)


@pytest.fixture(autouse=True)
def _no_proxy_and_key(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_a_question_is_sent_as_words_and_pictures_in_order():
    with serving(GOOD) as (url, calls):
        assert chat(url).answer([ASK]) == [ChatReply("10 - 20 seconds")]
    path, headers, body = calls[0]
    assert path == "/v1/chat/completions"
    assert "Authorization" not in headers
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("tiny", 9, 0)
    system, user = body["messages"]
    assert system == {"role": "system", "content": "Look."}
    kinds = [part["type"] for part in user["content"]]
    assert kinds == ["text", "image_url", "text", "image_url", "text"]
    assert [part["text"] for part in user["content"][::2]] == ["<0.0 seconds>", "<4.5 seconds>", "When?"]
    head, data = user["content"][1]["image_url"]["url"].split(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (48, 32)


def test_the_key_comes_from_the_environment_and_follows_no_redirect(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, " secret\n")
    with serving(GOOD) as (other, strangers):
        with (
            serving((302, "", {"Location": other}, 0)) as (url, calls),
            pytest.raises(ServerError, match="302") as error,
        ):
            chat(url).answer([ASK])
        assert calls[0][1]["Authorization"] == "Bearer secret"
        assert strangers == []
        assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "bad",
    [
        (429, "slow down", {}, 0), (500, "", {}, 0), (503, "starting", {}, 0), (408, "", {}, 0), (200, "", {}, 0),
        (200, "{", {}, 0), (200, "[]", {}, 0), (200, '{"choices": []}', {}, 0), (200, '{"choices": [{}]}', {}, 0),
        (200, '{"choices": [{"message": {"content": [1]}}]}', {}, 0), (200, "[" * 100_000, {}, 0),
    ],
)  # fmt: skip
def test_what_may_pass_is_tried_again(bad):
    waits = []
    with serving(bad, bad, GOOD) as (url, calls):
        assert chat(url, waits).answer([ASK]) == [ChatReply("10 - 20 seconds")]
    assert len(calls) == 3
    assert waits == [1.0, 2.0]


def test_a_server_s_own_wait_is_kept_up_to_a_minute():
    waits = []
    busy = [(429, "", {"Retry-After": after}, 0) for after in ("7", "9999", "tomorrow")]
    with serving(*busy, GOOD) as (url, _):
        chat(url, waits).answer([ASK])
    assert waits == [7, 60, 4]


def test_a_server_that_always_fails_is_named_after_its_last_try():
    waits = []
    with serving((500, "", {}, 0)) as (url, calls), pytest.raises(ServerError, match="within 3 tries, got: HTTP 500"):
        chat(url, waits, tries=3).answer([ASK])
    assert len(calls) == 3
    assert len(waits) == 2


@pytest.mark.parametrize("code", [400, 401, 404, 422])
def test_what_no_try_can_mend_fails_at_once(code):
    with serving((code, "no such model", {}, 0)) as (url, calls), pytest.raises(ServerError, match="no such model"):
        chat(url).answer([ASK])
    assert len(calls) == 1


def test_a_failure_for_good_ends_the_waits_of_others():
    def one_bad(body):
        bad = body["messages"][-1]["content"][0]["text"] == "bad"
        return (400, "", {}, 0.3) if bad else (429, "", {"Retry-After": "50"}, 0)

    start = time.monotonic()
    with serving(one_bad) as (url, _), pytest.raises(ServerError, match="HTTP 400"):
        ServerChat(ServerSettings(url, "tiny")).answer([Ask(("good",)), Ask(("bad",))])
    assert time.monotonic() - start < 25


def test_a_slow_server_is_a_timeout_and_tried_again():
    with serving((200, said("late"), {}, 0.6), GOOD) as (url, calls):
        assert chat(url, timeout=0.2).answer([ASK])[0].text == "10 - 20 seconds"
    assert len(calls) == 2


def test_no_server_at_all_is_named():
    with serving(GOOD) as (url, _):
        pass
    with pytest.raises(ServerError, match="within 2 tries"):
        chat(url, tries=2).answer([ASK])


def test_many_questions_keep_their_order_and_go_together():
    met = threading.Barrier(4, timeout=20)  # passes four at a time, so that one after another would never end

    def echo(body):
        met.wait()
        return 200, said(body["messages"][-1]["content"][0]["text"]), {}, 0

    done, asks = [], [Ask((f"q{i}",)) for i in range(16)]
    with serving(echo) as (url, calls):
        replies = chat(url, at_once=4).answer(asks, lambda at, of: done.append((at, of)))
    assert [reply.text for reply in replies] == [f"q{i}" for i in range(16)]
    assert done == [(i, 16) for i in range(1, 17)]
    assert len(calls) == 16


def test_a_reply_cut_for_its_length_is_a_failure_and_a_null_an_empty_one():
    question = MomentQuestion("v", "1", "a star spins", FRAMES, TIMES, 30.0)
    with serving((200, said("10 - 20 seconds, 2", "length"), {}, 0), (200, said(None), {}, 0), GOOD) as (url, _):
        scores, counts = ask_moments(chat(url, at_once=1), [question] * 3)
    assert counts.compute() == {
        "replies": 3, "failures": 2, "failure_rate": pytest.approx(2 / 3), "failures_empty": 1, "failures_truncated": 1,
    }  # fmt: skip
    assert [len(score.spans) for score in scores] == [0, 0, 1]
    assert (scores[2].spans[0].start, scores[2].spans[0].end, scores[2].spans[0].score) == (10, 20, None)


@pytest.mark.parametrize(
    ("url", "changes", "message"),
    [
        ("ftp://host/v1", {}, "expected a URL"), ("file:///etc/passwd", {}, "expected a URL"), ("host:8000", {}, "URL"),
        ("http://me:secret@host/v1", {}, KEY_VARIABLE), ("http://host/v1?key=1", {}, "expected a URL"),
        ("http://host/v1", {"tries": 0}, "1 or more"), ("http://host/v1", {"timeout": 0}, "above 0"),
        ("http://host/v1", {"at_once": 0}, "1 or more"), ("http://host/v1", {"wait": -1}, "0 or more"),
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(url, changes, message):
    with pytest.raises(InputError, match=message):
        ServerSettings(url, "tiny", **changes)


def test_what_was_said_is_kept_by_model_and_question(tmp_path):
    other = Ask(("Else?",))
    with serving(GOOD) as (url, calls):
        first = CachedChat(chat(url), tmp_path / "kept")
        assert first.answer([ASK, other, ASK]) == [ChatReply("10 - 20 seconds")] * 3
        assert (len(calls), first.asked, first.found) == (2, 2, 1)
        done = []
        again = CachedChat(chat(url), tmp_path / "kept")
        assert again.answer([other, Ask(("New?",))], lambda at, of: done.append((at, of)))[0] == ChatReply(
            "10 - 20 seconds"
        )
        assert (len(calls), again.asked, again.found, done) == (3, 1, 1, [(2, 2)])
        CachedChat(ServerChat(ServerSettings(url, "larger")), tmp_path / "kept").answer([other])
        assert len(calls) == 4
    assert not list((tmp_path / "kept").rglob("*.tmp*"))


def test_what_was_said_before_a_failure_is_kept(tmp_path):
    with serving(GOOD, (400, "", {}, 0)) as (url, calls):
        kept = CachedChat(chat(url), tmp_path, at_once=1)
        with pytest.raises(ServerError):
            kept.answer([ASK, Ask(("Else?",))])
        assert CachedChat(chat(url), tmp_path).answer([ASK]) == [ChatReply("10 - 20 seconds")]
        assert len(calls) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1, "text": 3, "cut": false}', '{"format": 2, "text": ""}'])
def test_a_kept_reply_that_is_malformed_is_named(tmp_path, text):
    with serving(GOOD) as (url, _):
        CachedChat(chat(url), tmp_path).answer([ASK])
        (path,) = tmp_path.rglob("*.json")
        path.write_text(text)
        with pytest.raises(InputError, match=f"{path.name}: expected a kept reply"):
            CachedChat(chat(url), tmp_path).answer([ASK])


def test_a_place_that_cannot_hold_replies_is_refused_before_anything_is_asked(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="expected a folder"):
        CachedChat(chat("http://127.0.0.1:1/v1"), tmp_path / "file")
