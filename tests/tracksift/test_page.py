import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from core.errors import InputError, OutputError
from core.types import Expression, MomentScores, Source, TimeSpan, TrackScores
from fusion.fuse import fuse
from tests.factories import make_track_set, make_video
from tracksift.page import key_frames, write_page

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def ask(tracks, probability, text="the square", expression_id="e1", spans=()):
    video_id = tracks.video.id
    scores = TrackScores(video_id, expression_id, np.array(probability), max(probability), "s" * 64, "c" * 64)
    moments = MomentScores(video_id, expression_id, np.zeros(1), np.zeros(1), spans) if spans else None
    return fuse(tracks, scores, Expression(expression_id, text), moments=moments)


def pictures(tracks, indices=(0, 3, 5)):
    return {i: np.full((*tracks.video.size, 3), 40 * i, dtype=np.uint8) for i in indices}


class Reader(HTMLParser):
    """Tags with attributes, the title, and the data of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self._open = [], {}, ""
        self.feed(path.read_text(encoding="utf-8"))
        self.data = json.loads(self.texts["data"])

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id", tag)

    def handle_data(self, data):
        self.texts[self._open] = self.texts.get(self._open, "") + data


@pytest.fixture
def tracks():
    return make_track_set(3, absent=[[0], [], [5]], sources=[Source.GRID, Source.GRID, Source.GROUND_TRUTH])


def written(path, tracks, answers, frames=None, **extra):
    write_page(path, tracks.video, frames or pictures(tracks), tracks, answers, **extra)
    return Reader(path)


def test_page_holds_answers_tracks_and_frames(tmp_path, tracks):
    moment = (TimeSpan(0.25, 0.5, 0.9),)
    answers = [ask(tracks, [0.9, 0.2, 0.8], spans=moment), ask(tracks, [0.1, 0.2, 0.3], "a duck", "e2")]
    data = written(tmp_path / "a.html", tracks, answers, note="Miniature weights.").data
    first, second = data["answers"]
    assert (first["text"], first["selected"], first["noTarget"]) == ("the square", [0], False)
    assert first["moments"] == [[0.25, 0.5, 0.9]]
    assert [r["index"] for r in first["ranking"]] == [0, 1]  # ground truth does not compete
    assert first["more"] == 1
    assert (second["noTarget"], second["selected"]) == (True, [])
    assert [k["time"] for k in data["keys"]] == [0.0, 0.375, 0.625]
    assert data["tracks"]["0"]["presence"] == [[0.125, 0.75]]
    assert data["note"] == "Miniature weights."


def test_masks_and_pictures_of_the_page_are_the_tracks_and_frames(tmp_path, tracks):
    data = written(tmp_path / "a.html", tracks, [ask(tracks, [0.9, 0.2, 0.8])]).data
    assert data["size"] == [16, 20]
    absent, present, _ = data["tracks"]["0"]["masks"]
    assert absent == ""
    mask = coco.decode({"size": data["size"], "counts": present})
    assert np.array_equal(mask.astype(bool), tracks.tracks[0].decode()[3])
    image = Image.open(io.BytesIO(base64.b64decode(data["keys"][1]["image"].split(",")[1])))
    assert image.size == (20, 16)
    assert np.abs(np.asarray(image).astype(int) - 120).max() < 4


def test_crop_surrounds_the_mask_and_is_null_for_a_track_out_of_view(tmp_path):
    tracks = make_track_set(2, absent=[[], [0, 3, 5]])
    shown = written(tmp_path / "a.html", tracks, [ask(tracks, [0.9, 0.2])]).data["tracks"]
    key, x, y, side = shown["0"]["crop"]
    x1, y1, x2, y2 = tracks.tracks[0].boxes[[0, 3, 5][key]]
    assert x <= x1 < x2 <= x + side
    assert y <= y1 < y2 <= y + side
    assert shown["1"]["crop"] is None


def test_texts_of_others_stay_text(tmp_path, tracks):
    evil = replace(tracks, video=replace(make_video(), id=EVIL))
    page = written(tmp_path / "a.html", evil, [ask(evil, [0.9, 0.2, 0.8], EVIL)], note=EVIL)
    assert page.data["answers"][0]["text"] == page.data["note"] == page.data["video"]["id"] == EVIL
    assert [tag for tag, _ in page.tags].count("script") == 3  # shared, data, its own
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]
    assert page.texts["title"].startswith(EVIL)


def test_script_sets_texts_as_text_only(tmp_path, tracks):
    source = (tmp_path / "a.html", written(tmp_path / "a.html", tracks, [ask(tracks, [0.9, 0.2, 0.8])]))[0].read_text()
    assert re.findall(r"insertAdjacentHTML|outerHTML|document\.write|\beval\(|new Function", source) == []
    (markup,) = re.findall(r"innerHTML = (.*)", source)
    assert re.findall(r"\$\{([^}]*)\}", markup) == ['on ? "M3 2h4v12H3zM9 2h4v12H9z" : "M4 2l10 6-10 6z"']


def test_page_asks_the_network_for_nothing(tmp_path, tracks):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    page = written(tmp_path / "a.html", tracks, [ask(tracks, [0.9, 0.2, 0.8])], overlay=film)
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", (tmp_path / "a.html").read_text())
    assert not [attrs for _, attrs in page.tags if {"src", "href"} & set(attrs)]
    (policy,) = [a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:;")
    assert base64.b64decode(page.data["overlay"]["film"].split(",")[1]) == b"film"


def test_large_film_is_named_and_not_put_inside(tmp_path, tracks):
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(3_000_001))
    page = written(tmp_path / "a.html", tracks, [ask(tracks, [0.9, 0.2, 0.8])], overlay=film)
    assert page.data["overlay"] == {"film": "", "name": "film.mp4"}


def test_pictures_shrink_until_a_page_of_noisy_frames_keeps_to_about_two_megabytes(tmp_path):
    tracks = make_track_set(20, frames=16, size=(480, 854))
    rng = np.random.default_rng(0)
    noise = {i: rng.integers(0, 256, (480, 854, 3), dtype=np.uint8) for i in range(16)}  # the worst that JPEG can meet
    answers = [ask(tracks, rng.random(20), f"number {i}", f"e{i}") for i in range(8)]
    page = written(tmp_path / "a.html", tracks, answers, noise)
    assert (tmp_path / "a.html").stat().st_size < 2_300_000
    assert page.data["size"][1] < 640


def test_every_selected_track_is_shown_and_the_others_up_to_twelve(tmp_path):
    tracks = make_track_set(30)
    few, many = ask(tracks, [0.9] + [0.1] * 29), ask(tracks, [0.9] * 20 + [0.1] * 10, expression_id="e2")
    data = written(tmp_path / "a.html", tracks, [few, many]).data
    assert [(len(a["ranking"]), a["more"]) for a in data["answers"]] == [(12, 18), (20, 10)]
    assert set(data["tracks"]) == {str(i) for i in range(20)}


@pytest.mark.parametrize(
    ("frames", "count", "expected"), [(6, 3, [0, 2, 5]), (3, 8, [0, 1, 2]), (1, 8, [0]), (50, 1, [0])]
)
def test_key_frames_are_even_and_not_repeated(frames, count, expected):
    assert key_frames(make_video(frames=frames), count) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": {}}, "expected key frames and answers, got 0 and 1"),
        ({"answers": []}, "expected key frames and answers, got 3 and 0"),
        ({"frames": {6: np.zeros((16, 20, 3), np.uint8)}}, "got frame 6"),
        ({"frames": {0: np.zeros((16, 21, 3), np.uint8)}}, r"of \(16, 20\), got frame 0 of \(16, 21\)"),
        ({"video": make_video(video_id="other")}, "got those of 'clip'"),
        ({"track_set": make_track_set(4)}, "about its 4 tracks, got one about 3"),
        ({"overlay": "none.mp4"}, "expected an overlay file"),
    ],
)
def test_pieces_that_do_not_belong_together_are_refused(tmp_path, tracks, changes, message):
    given = {
        "video": tracks.video,
        "frames": pictures(tracks),
        "track_set": tracks,
        "answers": [ask(tracks, [0.9, 0.2, 0.8])],
    } | changes
    if "overlay" in given:
        given["overlay"] = tmp_path / given["overlay"]
    with pytest.raises(InputError, match=message):
        write_page(tmp_path / "a.html", **given)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_place_is_named(tmp_path, tracks):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="place that can be written"):
        written(tmp_path / "file" / "a.html", tracks, [ask(tracks, [0.9, 0.2, 0.8])])
