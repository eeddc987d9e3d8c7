"""What the server lets through: its own page and files of a session to their owner, and nothing else on the machine."""

import json
import socket
import threading
import time
import zipfile
from contextlib import suppress
from io import BytesIO

import httpx
import pytest

from tests.tracksift.web.visiting import visitor, write_video, zip_bomb
from tracksift.web.downloads import KINDS

pytest.importorskip("gradio")
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")  # of gradio's own, about pandas
SECRET = "a line that nobody may read"
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def ann(site, tiny_video):
    """A visitor whose video is tracked and who has asked once."""
    with visitor(site, "tab-of-ann") as (client, tab):
        tab.taken = tab.upload(tiny_video.read_bytes(), "../../etc/<i>my</i> clip.mp4").json()
        tab.started = tab.do("start")
        tab.asked = tab.do("ask", words="the circle")[-1]
        yield client, tab


def files_in(root):
    return [p for p in root.rglob("*") if p.is_file()]


def test_a_video_is_uploaded_tracked_and_asked_about(ann, tiny_video):
    client, tab = ann
    assert tab.taken == {"name": "i> clip", "bytes": tiny_video.stat().st_size}
    last = tab.started[-1]
    assert last["error"] is None
    assert (last["film"]["tracked"], last["film"]["frames"]) == (True, 6)
    (answer,) = tab.asked["answers"]
    assert answer["text"] == "the circle"
    assert answer["ms"] < 2000
    track = client.get(tab.at(f"track/0/{answer['ranking'][0]['index']}")).json()
    assert len(track["masks"]) == len(track["boxes"]) == 6
    assert client.get(tab.at("frame/5")).headers["content-type"] == "image/jpeg"


def test_progress_is_told_while_the_film_is_already_there(ann):
    stages = [reply["step"]["stage"] for reply in ann[1].started if reply["step"]]
    assert "tracking" in stages
    told = [r for r in ann[1].started if r["step"] and r["step"]["stage"] == "tracking" and r["step"]["total"]]
    assert all(r["film"] and 0 <= r["step"]["done"] <= r["step"]["total"] for r in told)


def test_nothing_tells_where_the_server_keeps_things(ann, site):
    told = json.dumps([ann[1].boot, ann[1].started, ann[1].asked])
    assert str(site[1]) not in told
    last = ann[1].do("download", serial=1, kind="answers.json")[-1]
    assert last["error"] is None
    document = ann[0].get(ann[1].at("download/1/answers.json")).text
    assert "/" not in json.loads(document)["answers"][0]["video"]["source"]
    assert str(site[1]) not in document


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "overlay.mp4"])
def test_downloads_are_files_to_save(ann, kind):
    client, tab = ann
    assert tab.do("download", serial=1, kind=kind)[-1]["download"] == {"serial": 1, "kind": kind}
    got = client.get(tab.at(f"download/1/{kind}"))
    assert got.headers["content-disposition"].startswith("attachment")
    if kind == "masks.zip":
        assert zipfile.ZipFile(BytesIO(got.content)).namelist() == [f"{t:05d}.png" for t in range(6)]


def test_an_overlay_is_drawn_on_demand(ann):
    client, tab = ann
    assert client.get(tab.at("download/1/overlay.mp4")).status_code == 400
    assert tab.do("download", serial=1, kind="overlay.mp4")[-1]["error"] is None
    assert client.get(tab.at("download/1/overlay.mp4")).content[4:8] == b"ftyp"


def test_a_box_is_followed_through_the_video(ann):
    client, tab = ann
    reply = tab.do("follow", frame=2, box=[60.0, 60.0, 200.0, 200.0], known=1)[-1]
    assert reply["error"] is None
    answer = reply["answers"][-1]
    assert answer["box"] == {"frame": 2, "corners": [60.0, 60.0, 200.0, 200.0]}
    assert answer["set"] == answer["serial"]
    assert len(client.get(tab.at(f"track/{answer['set']}/0")).json()["masks"]) == 6


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"frame": 2, "box": [0, 0, 9999, 10]}, "within 256 x 256"),
        ({"frame": 2, "box": [9, 9, 9, 9]}, "x1 < x2"),
        ({"frame": 2, "box": "../../etc"}, "four numbers"),
        ({"frame": 2, "box": [1, 2, 3, True]}, "four numbers"),
        ({"frame": -1, "box": [0, 0, 5, 5]}, "whole number"),
        ({"frame": 99, "box": [0, 0, 5, 5]}, "0..5"),
        ({}, "whole number"),
    ],
)
def test_boxes_that_mean_nothing_are_refused_in_a_sentence(ann, order, said):
    assert said in ann[1].do("follow", **order)[-1]["error"]


@pytest.mark.parametrize("words", ["", "   ", "x" * 10_000, None, 7, ["a"], {"a": "b"}])
def test_texts_that_cannot_be_asked_are_refused_in_a_sentence(ann, words):
    assert ann[1].do("ask", words=words)[-1]["error"].startswith("expression: expected")


@pytest.mark.parametrize("words", [EVIL, "{{7*7}} ${7*7}", "' OR 1=1 --", "\u202egnp.exe", "红色的圆 🔴", "a\x00b"])
def test_odd_expressions_are_answered_as_they_are(ann, words):
    reply = ann[1].do("ask", words=words, known=0)[-1]
    assert reply["error"] is None
    assert reply["answers"][-1]["text"] == words


def test_only_so_many_answers_are_kept(ann, limits):
    tab = ann[1]
    replies = [tab.do("ask", words=f"the circle {i}", known=0)[-1] for i in range(limits.answers + 1)]
    assert len(replies[-1]["answers"]) == limits.answers
    assert "expected one of the last" in tab.do("download", serial=1, kind="answers.json")[-1]["error"]


@pytest.mark.parametrize("kind", ["../../secret.txt", "answers.json/../x", "", None, 3, "tracks.h5"])
def test_downloads_of_other_names_are_refused(ann, kind):
    client, tab = ann
    serial = tab.do("ask", words="the circle", known=0)[-1]["answers"][-1]["serial"]
    assert tab.do("download", serial=serial, kind=kind)[-1]["error"].startswith("download: expected one of")
    assert client.get(tab.at(f"download/{serial}/{kind}")).status_code in (400, 404)


def test_remarks_of_a_grounder_come_with_their_times(ann):
    reply = ann[1].do("grounded", task="question", words="what?")[-1]
    assert [r["text"] for r in reply["remarks"]] == ["question what? None", "<b>the end</b>"]
    assert (reply["remarks"][0]["start"], reply["remarks"][0]["end"], reply["remarks"][0]["score"]) == (0.0, 0.25, 0.5)
    assert not reply["running"]


def test_odd_words_reach_the_grounder_as_they_are(ann):
    reply = ann[1].do("grounded", task="question", words=EVIL)[-1]
    assert reply["remarks"][0]["text"] == f"question {EVIL} None"


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"task": "question", "words": ""}, "a few words"),
        ({"task": "question", "words": "x" * 10_000}, "at most 300 characters"),
        ({"task": "question", "words": ["what?"]}, "a few words"),
        ({"task": "describe"}, "click one"),
        ({"task": "describe", "track": -1}, "a whole number from 0"),
        ({"task": "describe", "track": 999}, "expected one of"),
        ({"task": "duet"}, "expected a task of echo"),
        ({"task": "../x"}, "expected one of describe"),
        ({"task": "captions", "at": "soon"}, "seconds"),
    ],
)
def test_a_grounder_is_asked_only_what_it_can_answer(ann, order, said):
    assert said in ann[1].do("grounded", **order)[-1]["error"]


# ---- the machine behind the page


@pytest.fixture(scope="module")
def secrets(site, tmp_path_factory):
    """Places of a file that the page has no business with: itself, and a link to it among visitors' files."""
    secret = tmp_path_factory.mktemp("private") / "secret.txt"
    secret.write_text(SECRET)
    link = site[1] / "link.txt"
    link.symlink_to(secret)
    return [str(secret), str(link), "/etc/passwd", str(site[1])]


@pytest.mark.parametrize(
    "form",
    [
        "/gradio_api/file={}", "/file={}", "/gradio_api/file/{}", "/gradio_api/proxy=file://{}", "/static/{}",
        "/static/../../../..{}", "/assets/..%2f..%2f..%2f..%2f..{}", "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e{}",
        "/svelte/../../../..{}", "/assets/{}", "/theme.css/../{}", "/session/../{}", "/sample/{}", "//{}",
        "/session/x/download/1/..%2f..%2f..{}", "/gradio_api/stream/x/1/1/{}", "/..%5c..%5c{}",
        "/gradio_api/heartbeat/../file={}",
    ],
)  # fmt: skip
def test_no_address_reads_a_file_of_the_machine(site, secrets, form):
    host, port = site[0].removeprefix("http://").split(":")
    for place in secrets:
        with socket.create_connection((host, int(port)), timeout=10) as line:  # a client would tidy the path up
            line.sendall(
                f"GET {form.format(place)} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode()
            )
            got = b""
            while part := line.recv(65536):
                got += part
        assert SECRET.encode() not in got
        assert b"root:" not in got
        assert got.split(b" ")[1] in (b"404", b"403", b"400", b"422", b"405"), got[:100]


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/upload", "/gradio_api/upload_progress", "/gradio_api/component_server", "/gradio_api/info",
     "/gradio_api/call/start", "/gradio_api/run/start", "/gradio_api/vibe-edit", "/gradio_api/process_recording",
     "/docs", "/openapi.json", "/monitoring", "/login", "/gradio_api/queue/status", "/gradio_api/deep_link"],
)  # fmt: skip
def test_what_gradio_offers_beside_the_page_is_shut(ann, path):
    assert ann[0].get(path).status_code == 404
    assert ann[0].post(path, json={}).status_code == 404


def test_a_gradio_file_cannot_be_named_in_an_event(ann, secrets):
    given = {"path": secrets[0], "meta": {"_type": "gradio.FileData"}}
    for order in ({"words": given}, {"sample": given}, {"words": {"path": "/etc/passwd"}}):
        with pytest.raises(RuntimeError, match="cannot be accessed"):
            ann[1].do("ask", **order)
    assert "sample: expected" in ann[1].do("start", sample="/etc/passwd")[-1]["error"]
    assert "sample: expected" in ann[1].do("start", sample=99)[-1]["error"]


def test_another_browser_reads_and_does_nothing_in_a_session(ann, site):
    _, tab = ann
    with visitor(site, "tab-of-bob") as (client, own):
        for path in ("frame/0", "track/0/0", "download/1/answers.json", "frame/0?film=1"):
            assert client.get(tab.at(path)).status_code == 404
        assert client.put(tab.at("upload"), params={"name": "a.mp4"}, content=b"x").status_code == 404
        assert client.post(tab.at("alive")).status_code == 404
        own.tab = "tab-of-ann"
        assert "has ended" in own.do("ask", words="the circle")[-1]["error"]
        assert "new tab" in own.send(("page", "load"))[-1]["error"]
    assert ann[0].post(tab.at("alive")).status_code == 204


def test_a_visitor_sees_nothing_of_another(ann, site):
    with visitor(site, "tab-of-cid") as (client, own):
        assert client.get(own.at("frame/0")).status_code == 400
        assert "tracked" in own.do("ask", words="the circle")[-1]["error"]
        own.do("start", sample=0)
        assert [a["serial"] for a in own.do("ask", words="a star")[-1]["answers"]] == [1]


def test_what_a_visitor_brought_is_gone_when_the_tab_is_closed(site, tiny_video):
    with visitor(site, "tab-of-dan") as (_, tab):
        tab.upload(tiny_video.read_bytes())
        (folder,) = site[1].rglob(tab.boot["session"])
        assert files_in(folder)
    until = time.monotonic() + 10
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not folder.exists()


def test_other_pages_and_names_are_refused(site):
    port = site[0].rsplit(":", 1)[1]
    for headers, code in (
        ({"host": "evil.example"}, 421),
        ({"host": f"evil.example:{port}"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": f"localhost:{port}"}, 200),
    ):
        assert httpx.get(site[0], headers=headers).status_code == code


def test_the_cookie_is_for_this_page_alone_and_the_page_asks_nobody_else(site):
    got = httpx.get(site[0])
    assert "HttpOnly; SameSite=Strict" in got.headers["set-cookie"]
    assert "default-src 'self'" in got.headers["content-security-policy"]
    assert got.headers["x-content-type-options"] == "nosniff"


# ---- uploads


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bomb.zip", zip_bomb(), "expected a video"),
        ("page.html", b"<script>alert(1)</script>", "expected a video"),
        ("clip.mp4.exe", b"MZ", "expected a video"),
        ("../../../root/.bashrc", b"x", "expected a video"),
        ("", b"x", "expected a video"),
    ],
)
def test_what_has_no_videos_name_is_refused(site, name, content, said):
    with visitor(site, f"upload-{name}") as (_, tab):
        got = tab.upload(content, name)
        assert got.status_code == 400
        assert said in got.json()["error"]
        assert not [p for p in files_in(site[1]) if tab.boot["session"] in str(p)]


@pytest.mark.parametrize("content", [zip_bomb(), b"", b"\x00" * 1000, EVIL.encode()])
def test_what_only_has_a_videos_name_is_refused_when_it_is_opened(site, content):
    with visitor(site, f"fake-{len(content)}") as (_, tab):
        assert tab.upload(content, f"{EVIL}.mp4").status_code == 200
        last = tab.do("start")[-1]
        assert "expected a video that can be decoded" in last["error"]
        assert str(site[1]) not in last["error"]
        assert last["film"] is None


def test_a_video_of_too_many_frames_is_refused(site, tmp_path):
    with visitor(site, "long") as (_, tab):
        tab.upload(write_video(tmp_path / "a.mp4", frames=13).read_bytes())
        assert "at most 12 frames" in tab.do("start")[-1]["error"]


def test_five_gigabytes_are_refused_before_they_come(site):
    with visitor(site, "huge") as (client, tab):
        host, port = site[0].removeprefix("http://").split(":")
        cookie = f"tracksift={client.cookies['tracksift']}"
        with socket.create_connection((host, int(port)), timeout=10) as line:
            head = f"PUT {tab.at('upload')}?name=a.mp4 HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n"
            line.sendall(f"{head}Content-Length: 5368709120\r\n\r\n".encode())
            assert b" 413 " in line.recv(4096)


def test_an_upload_that_does_not_say_its_length_ends_at_the_limit(site):
    with visitor(site, "endless") as (_, tab):
        sent = 0

        def pieces():
            nonlocal sent
            while sent < 200_000_000:
                sent += 65536
                yield bytes(65536)

        with suppress(httpx.WriteError):  # the server has hung up
            assert tab.upload(pieces()).status_code == 413
        assert sent < 100_000_000
        assert not [p for p in files_in(site[1]) if tab.boot["session"] in str(p)]


def test_a_long_body_is_refused_everywhere_else(ann):
    client = ann[0]
    for path in ("/gradio_api/queue/join", "/gradio_api/cancel", "/"):
        assert client.post(path, content=b"x" * 100_000).status_code == 413
    assert client.post("/gradio_api/queue/join", content=(bytes(65536) for _ in range(4))).status_code >= 400


def test_a_new_video_replaces_the_old_and_its_file(site, tiny_video):
    with visitor(site, "again") as (_, tab):
        for _ in range(3):
            assert tab.upload(tiny_video.read_bytes()).status_code == 200
            assert tab.do("start")[-1]["error"] is None
            tab.do("ask", words="the circle")
        mine = [p for p in files_in(site[1]) if tab.boot["session"] in str(p)]
        assert len([p for p in mine if p.suffix == ".mp4"]) == 1


def test_ten_visitors_at_once_are_all_served(site):
    found = {}

    def visit(number):
        with visitor(site, f"one-of-ten-{number}") as (_, tab):
            tab.do("start", sample=0)
            found[number] = tab.do("ask", words=f"the circle {number}")[-1]

    threads = [threading.Thread(target=visit, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert {n: r["answers"][0]["text"] for n, r in found.items()} == {n: f"the circle {n}" for n in range(10)}
