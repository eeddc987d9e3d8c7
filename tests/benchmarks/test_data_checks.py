"""`data check`: what is missing, unreadable or mismatched is sorted, counted and named; what is odd is no fault."""

import json
import shutil

import numpy as np
import pytest

from benchmarks.data_checks.inventory import SHOWN, Fault, Inventory
from benchmarks.data_checks.texts import find_file
from benchmarks.registry import DATASETS
from core.errors import InputError
from tests.benchmarks.tiny_datasets import MAKERS, SIZE, pictures, png, write
from tests.real_data import real_data


def silent(done, total):
    """No bar."""


def check(name, tiny, videos=None, **options):
    return DATASETS[name].check(tiny.data, tiny.split, videos, silent, **options)


def faults(found):
    return {fault.value: n for fault, n in found.faults().items() if n}


def only(found):
    (sentence,) = (text for texts in found.sentences.values() for text in texts)
    return sentence


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("mevis", "valid_u/JPEGImages/a/00001.jpg"),
        ("ref_youtube_vos", "valid/JPEGImages/a/00005.jpg"),
        ("otb", "Car/img/0002.jpg"),
        ("elysium_track", "v/1.jpg"),
    ],
)
def test_a_missing_frame(name, frame, tmp_path):
    tiny = MAKERS[name](tmp_path)
    (tmp_path / frame).unlink()
    found = check(name, tiny)
    expected = {"elysium_track": {"missing": 2}, "otb": {"unreadable": 1}}.get(name, {"missing": 1})
    assert faults(found) == expected
    assert not found.good


@pytest.mark.parametrize("name", ["mevis", "ref_youtube_vos", "lasot", "elysium_track"])
def test_a_missing_folder_of_frames(name, tmp_path):
    tiny = MAKERS[name](tmp_path)
    places = {
        "mevis": "valid_u/JPEGImages/a", "ref_youtube_vos": "valid/JPEGImages/a", "lasot": "cat/cat-1/img",
        "elysium_track": "v",
    }  # fmt: skip
    shutil.rmtree(tmp_path / places[name])
    found = check(name, tiny)
    assert set(faults(found)) == {"missing"}
    assert "found no such folder" in found.sentences[Fault.MISSING][0]


def test_a_frame_that_is_no_picture_and_one_of_another_size(tmp_path):
    tiny = MAKERS["mevis"](tmp_path)
    folder = tmp_path / "valid_u" / "JPEGImages" / "a"
    (folder / "00001.jpg").write_bytes(b"text")
    assert faults(check("mevis", tiny)) == {}  # the first frame alone is looked at
    assert faults(check("mevis", tiny, thorough=True)) == {"unreadable": 1}
    png(folder / "00001.jpg", np.zeros((5, 5, 3)))
    assert faults(check("mevis", tiny, thorough=True)) == {"mismatched": 1}
    png(folder / "00000.jpg", np.zeros((5, 5, 3)))
    found = check("mevis", tiny, thorough=True)
    assert only(found) == f"video 'a': expected masks of its frames' (5, 5) pixels, got {SIZE}"


def test_a_broken_first_frame_is_a_sentence_where_the_size_stands_on_it(tmp_path):
    tiny = MAKERS["mevis"](tmp_path)
    write(tmp_path / "valid_u" / "mask_dict.json", {"7": [None, None]})
    (tmp_path / "valid_u" / "JPEGImages" / "a" / "00000.jpg").write_bytes(b"text")
    found = check("mevis", tiny)
    assert faults(found) == {"unreadable": 2}  # the frame, and the masks whose size it gives
    assert all("00000.jpg: expected a picture, got" in text for text in found.sentences[Fault.UNREADABLE])


NAMES = ["z" * 400, "a\nb", "a\x00b", "\x1b[31m", "..", " ", "a/b", "\ud800"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("dataset", ["mevis", "ref_youtube_vos", "ref_davis"])
def test_a_video_a_frame_or_an_expression_that_can_name_no_file_is_one_sentence(dataset, name, tmp_path):
    tiny = MAKERS[dataset](tmp_path)
    path = tiny.annotations[0]
    video = json.loads(path.read_text())["videos"]["a"]
    for videos in (
        {name: video},
        {"a": video | {"frames": [name, "00001"]}},
        {"a": video | {"expressions": {name: video["expressions"]["0"]}}},
    ):
        path.write_text(json.dumps({"videos": videos}))
        with pytest.raises(InputError, match=rf"{path.name}: .*(expected|should)") as caught:
            check(dataset, tiny)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 700


def test_a_video_of_a_name_that_no_file_can_have_is_missing_and_no_other_error(tmp_path):
    tiny = MAKERS["youcook2"](tmp_path)
    (path,) = tiny.annotations
    path.write_text(path.read_text().replace("v_a", "z" * 400))
    assert faults(check("youcook2", tiny, tmp_path)) == {"missing": 2}
    tiny = MAKERS["elysium_track"](tmp_path / "boxes")
    (path,) = tiny.annotations
    path.write_text(path.read_text().replace("v/", "z" * 400 + "/"))
    assert set(faults(check("elysium_track", tiny))) == {"missing"}


def test_a_missing_label_map_and_one_of_another_size(tmp_path):
    tiny = MAKERS["ref_youtube_vos"](tmp_path)
    path = tmp_path / "valid" / "Annotations" / "a" / "00005.png"
    png(path, np.zeros((3, 3)))
    assert "expected 12x16 pixels as the first map" in only(check("ref_youtube_vos", tiny))
    path.unlink()
    assert "expected a label map, found no such file" in only(check("ref_youtube_vos", tiny))


def test_an_object_that_is_never_seen_is_odd_and_no_fault(tmp_path):
    tiny = MAKERS["mevis"](tmp_path)
    write(tmp_path / "valid_u" / "mask_dict.json", {"7": [None, None]})
    found = check("mevis", tiny)
    assert (found.good, faults(found)) == (True, {"odd": 1})


@pytest.mark.parametrize(
    ("name", "file", "content", "sort", "words"),
    [
        ("got10k", "val/a/meta_info.ini", "resolution: (20, 12)\n", "mismatched", "expected frames of (20, 12) pixels"),
        ("got10k", "val/a/groundtruth.txt", "3,3,4,4\n", "unreadable", "expected 2 boxes, one a frame, got 1"),
        ("got10k", "val/a/groundtruth.txt", "3,3,4,4\n99,99,4,4\n", "mismatched", "got 1 outside it"),
        ("got10k", "val/a/groundtruth.txt", "3,3,4,4\n3,3,0,4\n", "odd", "got 1 shown without"),
        ("lasot", "cat/cat-1/out_of_view.txt", "0,2", "unreadable", "expected whole numbers of 0..1, got 2"),
        ("lasot", "cat/cat-1/groundtruth.txt", "3,3,4,4\n", "unreadable", "expected 1 flags, one a frame, got 2"),
    ],
)
def test_boxes_that_disagree_with_their_frames(name, file, content, sort, words, tmp_path):
    tiny = MAKERS[name](tmp_path)
    write(tmp_path / file, content)
    found = check(name, tiny)
    assert faults(found) == {sort: 1}
    assert words in only(found)


def test_what_is_written_in_absent_frames_is_no_fault(tmp_path):
    tiny = MAKERS["lasot"](tmp_path)
    write(tmp_path / "cat" / "cat-1" / "groundtruth.txt", "3,3,4,4\n0,0,0,0\n")
    write(tmp_path / "cat" / "cat-1" / "out_of_view.txt", "0,1")
    found = check("lasot", tiny)
    assert (found.good, found.counts["absent"], faults(found)) == (True, 1, {})


def test_a_sequence_that_cannot_be_read_does_not_hide_the_next(tmp_path):
    tiny = MAKERS["otb"](tmp_path)
    write(tmp_path / "Aaa" / "groundtruth_rect.txt", "1,2,x\n")
    pictures(tmp_path / "Aaa" / "img", "0001.jpg")
    found = check("otb", tiny)
    assert (found.counts["videos"], found.counts["frames"], faults(found)) == (2, 2, {"unreadable": 1})


def test_an_end_after_its_video_is_odd(tmp_path):
    tiny = MAKERS["timelens"](tmp_path)
    write(tmp_path / "charades-timelens.json", {"A": {"duration": 5.0, "spans": [[1, 6]], "queries": ["a man"]}})
    found = check("timelens", tiny)
    assert (found.good, faults(found)) == (True, {"odd": 1})


def test_real_charades_videos_are_found_and_as_long_as_real_annotations_say():
    data = real_data("charades_sta")
    found = DATASETS["qvhighlights"].check(data / "lighthouse_charades_test_release.jsonl", None, data, silent)
    assert (found.counts["queries"], found.counts["videos_there"]) == (3720, 2)
    assert set(faults(found)) <= {"missing", "odd"}


def test_videos_that_are_missing_broken_or_of_another_length(tmp_path):
    tiny = MAKERS["timelens"](tmp_path)
    videos = tmp_path / "videos"
    videos.mkdir()
    with pytest.raises(InputError, match="expected a folder of videos"):
        check("timelens", tiny, tmp_path / "gone")
    assert faults(check("timelens", tiny, videos)) == {"missing": 1}
    (videos / "A.mp4").write_bytes(b"text")
    assert faults(check("timelens", tiny, videos)) == {"unreadable": 1}
    assert faults(check("timelens", tiny, videos, thorough=True)) == {"unreadable": 1}
    shutil.copy(real_data("mmduet_demo/drive.mp4"), videos / "A.mp4")
    found = check("timelens", tiny, videos)
    assert "A.mp4: expected 30.00 s as annotated, got" in only(found)
    assert faults(check("timelens", tiny, videos, thorough=True)) == {"mismatched": 1}


def test_videos_are_found_with_and_without_suffix_and_never_outside_their_folder(tmp_path):
    (tmp_path / "in" / "clips").mkdir(parents=True)
    for name in ("a.mp4", "in/b.mkv", "in/c.mp4"):
        (tmp_path / name).touch()
    folder = tmp_path / "in"
    assert find_file(folder, "b.mp4").name == "b.mkv"
    assert find_file(folder, "c").name == "c.mp4"
    assert find_file(folder, "clips") == folder / "clips"
    assert [find_file(folder, name) for name in ("../a.mp4", "/etc/hostname", "", "d")] == [None] * 4


def test_ten_sentences_of_a_sort_are_kept_and_all_counted():
    found = Inventory()
    for i in range(25):
        found.note(Fault.MISSING, f"file {i}")
    assert (len(found.sentences[Fault.MISSING]), found.faults()[Fault.MISSING]) == (SHOWN, 25)
