"""The failure browser: what its rows and videos hold, that texts stay text, and that it keeps to a size."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from core.errors import InputError, OutputError, VideoError
from tests.factories import make_track_set
from tests.tracksift.explained import EVIL, failed, make_video
from tracksift.report import write_report


class Reader(HTMLParser):
    """Tags with attributes, and the data of a page by element id."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self._open = [], {}, ""
        self.feed(path.read_text(encoding="utf-8"))
        self.data = json.loads(self.texts["data"])
        self.videos = [json.loads(text) for name, text in self.texts.items() if re.fullmatch(r"v\d+", name)]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id", tag)

    def handle_data(self, data):
        self.texts[self._open] = self.texts.get(self._open, "") + data


def written(path, videos, **options):
    report = write_report(path, "valid", iter(videos), len(videos), **options)
    return report, Reader(path)


def test_rows_hold_scores_causes_and_where_their_video_is(tmp_path):
    report, page = written(tmp_path / "r.html", [make_video("a", ("one", "two")), failed(), make_video("b")])
    assert (report.expressions, report.videos, report.bare) == (4, 3, 0)
    places = [(r["number"], r["block"], r["place"], f"{r['video']}/{r['id']}") for r in page.data["rows"]]
    assert places == [(0, 0, 0, "a/e0"), (1, 0, 1, "a/e1"), (2, 1, 0, "gone/e0"), (3, 2, 0, "b/e0")]
    first, _, gone, _ = page.data["rows"]
    assert (first["oracle"], first["cause"], first["kind"]) == (1, "ranking", "motion")
    assert first["jf"] < 0.2  # the rectangles touch, so that outlines agree a little
    assert first["loss"] == pytest.approx([0, 1 - first["jf"], 0, 0], abs=1e-3)
    assert (gone["jf"], gone["cause"]) == (0, "stage 1")
    assert page.videos[1]["answers"] == [{"sentences": ["Not answered: no cache file"]}]
    assert len(page.videos) == 3


def test_a_video_holds_pictures_tracks_truth_and_the_oracle(tmp_path):
    _, page = written(tmp_path / "r.html", [make_video()])
    (video,) = page.videos
    (answer,) = video["answers"]
    assert (answer["selected"], answer["oracle"], answer["truth"], answer["spans"]) == ([0], [1], "1", [[0.0, 0.5]])
    ranking = [(r["index"], r["score"], r["overlap"]) for r in answer["ranking"]]
    assert ranking == [(0, 0.9, 0), (1, 0.2, 1), (2, 0.1, 0)]
    assert "lost mostly by ranking" in answer["sentences"][0]
    assert [key["time"] for key in video["keys"]] == [0.0, 0.125, 0.25, 0.375, 0.5, 0.625]
    assert all(key["image"].startswith("data:image/jpeg;base64,") for key in video["keys"])
    assert video["truths"]["1"]["masks"] == video["tracks"]["1"]["masks"]
    assert video["truths"]["1"]["presence"] == [[0.0, 0.75]]
    assert [c.encode() for c in video["tracks"]["0"]["masks"]] == list(make_track_set(3).tracks[0].masks)


def test_without_ground_truth_nothing_is_judged(tmp_path):
    _, page = written(tmp_path / "r.html", [make_video(truth=False)])
    (row,), (answer,) = page.data["rows"], page.videos[0]["answers"]
    assert [row[k] for k in ("jf", "oracle", "loss", "cause")] == [None] * 4
    assert (answer["truth"], answer["oracle"]) == (None, None)
    assert page.videos[0]["truths"] == {}


def test_texts_of_others_stay_text(tmp_path):
    report = write_report(tmp_path / "r.html", EVIL, [make_video(EVIL, (EVIL,))], 1, note=EVIL, facts=[EVIL])
    page = Reader(tmp_path / "r.html")
    assert report.expressions == 1
    assert page.data["rows"][0]["text"] == page.data["title"] == page.data["note"] == EVIL
    assert [tag for tag, _ in page.tags].count("script") == 4  # shared, one video, data, its own
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]


def test_the_page_asks_the_network_for_nothing_and_sets_no_markup(tmp_path):
    _, page = written(tmp_path / "r.html", [make_video()])
    text = (tmp_path / "r.html").read_text()
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    assert not [attrs for _, attrs in page.tags if {"src", "href"} & set(attrs)]
    (policy,) = [a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_pictures_shrink_and_go_before_the_limit_is_reached(tmp_path):
    videos = [make_video(f"v{i}", size=(240, 320), noise=True) for i in range(3)]
    roomy, _ = written(tmp_path / "a.html", videos)
    sizes = []
    for share in (0.6, 0.3, 0.15):
        tight, page = written(tmp_path / "b.html", videos, limit=int(roomy.size * share))
        assert (tmp_path / "b.html").stat().st_size == tight.size <= roomy.size * share
        sizes.append([(video["size"][1], len(video["keys"])) for video in page.videos])
    assert [s[0] for s in sizes] == sorted((s[0] for s in sizes), reverse=True)
    bare, page = written(tmp_path / "c.html", videos, limit=40_000)
    assert bare.bare == 3
    assert page.data["note"] == "Pictures of 3 of 3 videos were left out to keep this page small."
    assert [video["keys"] for video in page.videos] == [[], [], []]
    assert len(page.data["rows"]) == 3


def test_a_limit_that_cannot_be_kept_is_named_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match=r"at most 0\.0 MB, got more after 1 videos"):
        write_report(tmp_path / "r.html", "valid", [make_video()], 1, limit=20_000)
    with pytest.raises(OutputError, match="existing folder"):
        write_report(tmp_path, "valid", [make_video()], 1)
    assert list(tmp_path.iterdir()) == []


def test_frames_that_cannot_be_read_leave_the_explanation(tmp_path):
    def broken():
        raise VideoError("gone")

    video = make_video()
    report, page = written(tmp_path / "r.html", [replace(video, job=SimpleNamespace(video_id="clip", open=broken))])
    assert report.bare == 1
    assert page.videos[0]["answers"][0]["sentences"]


def test_videos_without_explanations_take_no_room_and_an_empty_report_is_one(tmp_path):
    none = replace(make_video("a"), explanations=())
    report, page = written(tmp_path / "r.html", [none, make_video("b"), none])
    assert (report.videos, [r["block"] for r in page.data["rows"]]) == (1, [0])
    report, page = written(tmp_path / "e.html", [none])
    assert (report.expressions, page.data["rows"]) == (0, [])
