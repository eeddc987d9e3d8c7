"""Tracking datasets: real LaSOT annotations and every layout in small are read exactly, bad files refused by place."""

import json
import re

import numpy as np
import pytest

from benchmarks.elysium_track.reader import open_elysium_track
from benchmarks.got10k.reader import open_got10k
from benchmarks.lasot.reader import open_lasot
from benchmarks.metrics.success import LASOT, SuccessScore, frozen_first, score_boxes
from benchmarks.otb.reader import open_otb
from benchmarks.tracking_protocol import BoxReader, read_boxes, read_flags
from core.errors import AnnotationError, InputError
from tests.real_data import real_data

BOX = "5,6,7,8\n"


def write(path, content=BOX):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def truth_of(reader, name):
    return reader.truth(reader.video(name))


def picture(path):
    write(path, b"")


def test_real_lasot_annotations_of_the_toolkit_are_read_as_they_stand():
    reader: BoxReader = open_lasot(real_data("lasot"))
    assert (reader.name, reader.split, len(reader)) == ("lasot", "test", 12)
    videos = {video.id: video for video in reader.videos()}
    plane = videos["airplane-1"]
    assert plane.expressions[0].text == "white airplane landing on ground"
    assert (len(plane.frame_names), plane.frame_names[0]) == (2788, "00000001")
    truth = reader.truth(plane)
    assert truth.boxes[0].tolist() == [367, 101, 41, 16]
    assert truth.corners()[0].tolist() == [366, 100, 407, 116]
    assert truth.attributes == ("POC", "ROT", "SV", "LR")
    assert (truth.origin, truth.absent.shape, truth.absent.dtype) == (1, (2788,), bool)
    assert sum(int(reader.truth(v).absent.sum()) for v in videos.values()) > 0


def test_a_frozen_box_on_real_lasot_scores_what_a_frozen_box_should():
    reader, score = open_lasot(real_data("lasot")), SuccessScore()
    for video in reader.videos():
        truth = reader.truth(video)
        score.update(score_boxes(video.id, frozen_first(truth.boxes), truth.boxes, absent=truth.absent, rules=LASOT))
    figures = score.compute()
    assert (figures.n, figures.failures) == (12, 0)
    assert figures.auc < 0.3  # a broken evaluator (boxes clamped to 100 pixels) gives a frozen box more than half


@pytest.fixture
def lasot(tmp_path):
    for name in ("cat-1", "cat-2"):
        folder = tmp_path / "cat" / name
        write(folder / "groundtruth.txt", "1,2,3,4\r\n5,6,7,8\r\n")
        write(folder / "full_occlusion.txt", "0,1")
        write(folder / "out_of_view.txt", "0,0\n")
        write(folder / "nlp.txt", "a cat\n")
        for i in (1, 2):
            picture(folder / "img" / f"0000000{i}.jpg")
    write(tmp_path / "testing_set.txt", "cat-2\ncat-9\n")
    return tmp_path


def test_lasot_as_downloaded_is_split_by_its_list(lasot):
    test, train = open_lasot(lasot), open_lasot(lasot, "train")
    assert [v.id for v in test.videos()] == ["cat-2"]
    assert [v.id for v in train.videos()] == ["cat-1"]
    assert len(open_lasot(lasot, "all")) == 2
    video = test.video("cat-2")
    assert (video.frames_path.name, video.frame_names) == ("img", ("00000001", "00000002"))
    assert test.truth(video).absent.tolist() == [False, True]


def test_what_is_not_lasot_is_refused(lasot, tmp_path):
    with pytest.raises(InputError, match="expected the split test, train or all of LaSOT, got 'val'"):
        open_lasot(lasot, "val")
    with pytest.raises(InputError, match="expected a video 'dog-1', got 1 others"):
        open_lasot(lasot).video("dog-1")
    with pytest.raises(InputError, match="found neither"):
        open_lasot(tmp_path / "none")
    (lasot / "testing_set.txt").unlink()
    with pytest.raises(InputError, match="use the split all"):
        open_lasot(lasot)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("groundtruth.txt", "", "expected a box a line, got an empty file"),
        ("groundtruth.txt", "1,2,3\n5,6,7,8\n", "line 1: expected x, y, w, h, got 3 numbers"),
        ("groundtruth.txt", "1,2,3,4\n5,six,7,8\n", "line 2: expected numbers, got 'six'"),
        ("groundtruth.txt", "1,2,3,1e400\n", "line 1: expected numbers up to 1e\\+06, got inf"),
        ("groundtruth.txt", "1,2,3,9999999\n", "line 1: expected numbers up to 1e\\+06"),
        ("groundtruth.txt", "1,2,3,infinity\n", "line 1: expected numbers, got 'infinity'"),
        ("groundtruth.txt", "1,2,3,0x10\n", "line 1: expected numbers"),
        ("groundtruth.txt", "1,2,3,\uff14\n", "line 1: expected numbers"),
        ("groundtruth.txt", BOX.encode("utf-16"), "expected UTF-8 text"),
        ("groundtruth.txt", b"\xef\xbb\xbf" + BOX.encode(), "expected UTF-8 without a byte order mark"),
        ("groundtruth.txt", b"\x00\x01\x02\xff", "expected UTF-8 text|expected numbers"),
        ("full_occlusion.txt", "0", "expected 2 flags, one a frame, got 1"),
        ("full_occlusion.txt", "0,1,1", "expected 2 flags, one a frame, got 3"),
        ("full_occlusion.txt", "0,2", "line 1: expected whole numbers of 0..1, got 2"),
        ("out_of_view.txt", "0,0.5", "line 1: expected whole numbers of 0..1, got 0.5"),
        ("out_of_view.txt", "0,nan", "line 1: expected whole numbers of 0..1, got nan"),
        ("out_of_view.txt", None, "expected a readable file"),
    ],
)
def test_a_malformed_lasot_file_is_named_with_its_line(lasot, file, content, message):
    path = lasot / "cat" / "cat-2" / file
    path.unlink() if content is None else write(path, content)
    with pytest.raises(AnnotationError, match=f"{re.escape(str(path))}: (.*)({message})"):
        truth_of(open_lasot(lasot), "cat-2")


@pytest.mark.parametrize("line", ["../cat-2", "cat-2\ncat-2", "a/b", ".."])
def test_a_malformed_list_of_sequences_is_refused(lasot, line):
    write(lasot / "testing_set.txt", line)
    with pytest.raises(AnnotationError, match=r"testing_set\.txt: line \d: expected"):
        open_lasot(lasot)


@pytest.fixture
def otb(tmp_path):
    write(tmp_path / "Car" / "groundtruth_rect.txt", "1\t2\t3\t4\n5\t6\t7\t8\n")
    write(tmp_path / "Jogging" / "groundtruth_rect.1.txt", "1 2 3 4\n")
    write(tmp_path / "Jogging" / "groundtruth_rect.2.txt", "9,9,3,4\n")
    write(tmp_path / "Human4" / "groundtruth_rect.1.txt", "")
    write(tmp_path / "Human4" / "groundtruth_rect.2.txt", BOX)
    write(tmp_path / "David" / "groundtruth_rect.txt", BOX * 471)
    write(tmp_path / "David" / "attrs.txt", "IV, SV, OCC")
    for i in range(1, 772):
        picture(tmp_path / "David" / "img" / f"{i:04d}.jpg")
    return tmp_path


def test_otb_targets_are_videos_whatever_stands_between_their_numbers(otb):
    reader: BoxReader = open_otb(otb)
    assert [v.id for v in reader.videos()] == ["Car", "David", "Human4", "Jogging.1", "Jogging.2"]
    assert reader.truth(reader.video("Car")).boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert reader.truth(reader.video("Jogging.2")).boxes.tolist() == [[9, 9, 3, 4]]


def test_otb_sequences_that_are_annotated_in_part_keep_that_part(otb):
    reader = open_otb(otb)
    david = reader.video("David")
    assert (david.frame_names[0], david.frame_names[-1], len(david.frame_names)) == ("0300", "0770", 471)
    assert reader.truth(david).attributes == ("IV", "SV", "OCC")


def test_otb_boxes_that_are_not_one_a_frame_are_refused(otb, tmp_path):
    picture(otb / "Car" / "img" / "0001.jpg")
    with pytest.raises(
        AnnotationError, match=r"Car.groundtruth_rect\.txt: expected 1 boxes, one a frame of img/, got 2"
    ):
        open_otb(otb).video("Car")
    with pytest.raises(InputError, match=r"expected <Sequence>/groundtruth_rect\.txt, found none"):
        open_otb(tmp_path / "none")
    with pytest.raises(InputError, match="expected a video 'Boat'"):
        open_otb(otb).video("Boat")


@pytest.fixture
def got10k(tmp_path):
    for split in ("val", "test"):
        folder = tmp_path / split / "GOT-10k_1"
        write(tmp_path / split / "list.txt", "GOT-10k_1\n")
        write(folder / "groundtruth.txt", BOX * (3 if split == "val" else 1))
        write(folder / "meta_info.ini", "[METAINFO]\nresolution: (1920, 1080)\n")
        for i in (1, 2, 3):
            picture(folder / f"0000000{i}.jpg")
    write(tmp_path / "val" / "GOT-10k_1" / "cover.label", "8\n0\n4\n")
    return tmp_path


def test_got10k_gives_size_and_visible_share_and_hides_the_test_boxes(got10k):
    reader: BoxReader = open_got10k(got10k, "val")
    truth = reader.truth(reader.video("GOT-10k_1"))
    assert (truth.boxes.shape, truth.cover.tolist(), truth.size) == ((3, 4), [8, 0, 4], (1920, 1080))
    reader = open_got10k(got10k, "test")
    hidden = reader.truth(reader.video("GOT-10k_1"))
    assert np.isnan(hidden.boxes).all(axis=1).tolist() == [False, True, True]
    assert hidden.cover is None


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("list.txt", "", "list.txt: expected a sequence a line, got an empty file"),
        ("list.txt", "GOT-10k_2", "list.txt: line 1: expected the name of a folder beside the list, got 'GOT-10k_2'"),
        ("list.txt", "GOT-10k_1\n..", "list.txt: line 2: expected the name of a folder"),
        ("list.txt", "GOT-10k_1\nGOT-10k_1", "list.txt: line 2: expected each id once"),
        ("GOT-10k_1/groundtruth.txt", BOX, "groundtruth.txt: expected 3 boxes, one a frame, got 1"),
        ("GOT-10k_1/cover.label", "8\n9\n4", "cover.label: line 2: expected whole numbers of 0..8, got 9"),
        ("GOT-10k_1/cover.label", "8", "cover.label: expected 3 flags, one a frame, got 1"),
        ("GOT-10k_1/meta_info.ini", "resolution: (1920)", "meta_info.ini: expected a line 'resolution"),
        ("GOT-10k_1/meta_info.ini", "resolution: (0, 5)", "meta_info.ini: expected a line 'resolution"),
    ],
)
def test_a_malformed_got10k_file_is_named(got10k, file, content, message):
    write(got10k / "val" / file, content)
    with pytest.raises(AnnotationError, match=message):
        truth_of(open_got10k(got10k, "val"), "GOT-10k_1")


def test_a_split_without_a_list_is_refused(got10k):
    with pytest.raises(InputError, match=r"train/list\.txt: expected the list of sequences"):
        open_got10k(got10k, "train")


LINE = {
    "source": "webvid",
    "id": 7,
    "vid": "1025983634",
    "metadata": {"any": "thing"},
    "frames": ["frames/1025983634/000000.jpg", "frames/1025983634/000030.jpg"],
    "object_class": "dog",
    "box": [[0.25, 0.5, 0.5, 1.0], [0.0, 0.0, 0.5, 0.5]],
    "object_description": "a running dog",
    "frame_size": [400, 200],
}


def lines(*changes):
    return "\n\n".join(json.dumps(LINE | change) for change in changes) + "\n"


def test_elysium_lines_are_objects_with_boxes_in_pixels(tmp_path):
    path = write(
        tmp_path / "rsot.jsonl",
        "\u3000\n\r\n" + lines({}, {"id": 8, "object_description": "", "vid": "é"}, {"id": None}),
    )
    reader: BoxReader = open_elysium_track(path)
    assert (reader.name, reader.split, len(reader)) == ("elysium_track", "rsot", 3)
    first, second, third = reader.videos()
    assert (first.id, second.id, third.id) == ("7", "8", "1025983634")
    assert (first.expressions[0].text, second.expressions[0].text) == ("a running dog", "dog")
    assert (first.frames_path, first.frame_names) == (tmp_path / "frames/1025983634", ("000000.jpg", "000030.jpg"))
    truth = reader.truth(first)
    assert truth.boxes.tolist() == [[100, 100, 100, 100], [0, 0, 200, 100]]
    assert (truth.origin, truth.size) == (0, (400, 200))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a JSON object a line, got an empty file"),
        ("{", "line 1: expected JSON"),
        ("[" * 100_000, "line 1: expected JSON of a few levels"),
        ("[]", "line 1: .*valid dictionary|line 1: .*Input should be"),
        (lines({}, {"id": 7}), "line 3: id: expected each id once, got '7' again"),
        (lines({"box": [[0, 0, 1, 1]]}), "line 1: box: expected 2, one a frame, got 1"),
        (lines({"box": [[0.5, 0, 0.25, 1], [0, 0, 1, 1]]}), r"line 1: box\.0: expected x1 <= x2"),
        (lines({"box": [[0, 0, 1, 1], [0, 0, 1]]}), r"line 1: box\.1: List should have at least 4"),
        (
            lines({"box": [[0, 0, 1, 1], [0, 0, 340, 200]]}),
            r"line 1: box\.1\.2: Input should be less than or equal to 2",
        ),
        (lines({"box": [[0, 0, 1, 1], [0, 0, "1", 1]]}), r"line 1: box\.1\.2: Input should be a valid number"),
        (lines({"box": [[0, 0, 1, float("nan")], [0, 0, 1, 1]]}), "line 1: expected finite numbers, got NaN"),
        (lines({"frame_size": [400]}), "line 1: frame_size: List should have at least 2"),
        (lines({"frame_size": [0, 200]}), r"line 1: frame_size\.0: Input should be greater than or equal to 1"),
        (lines({"frames": []}), "line 1: frames: List should have at least 1"),
        (lines({"vid": " "}), "line 1: vid"),
        (lines({}).replace('"vid"', '"video"'), "line 1: vid: Field required"),
        (
            lines({}).replace('"id": 7', '"id": 7, "id": 8'),
            "line 1: expected each key of an object once, got 'id' twice",
        ),
        (lines({}).replace("400", "4" * 5000), "line 1: expected JSON"),
        (lines({}).encode("utf-16"), "expected UTF-8 text"),
        (b"\xef\xbb\xbf" + lines({}).encode(), "expected UTF-8 without a byte order mark"),
    ],
)
def test_a_malformed_elysium_line_is_named_with_its_key(tmp_path, content, message):
    path = write(tmp_path / "rsot.jsonl", content)
    with pytest.raises(AnnotationError, match=rf"rsot\.jsonl: (.*)({message})"):
        open_elysium_track(path)


@pytest.mark.parametrize("frames", [["/a/1.jpg", "/a/2.jpg"], ["../a/1.jpg", "../a/2.jpg"], ["a/1.jpg", "b/2.jpg"]])
def test_elysium_frames_stay_in_one_folder_below_the_images(tmp_path, frames):
    reader = open_elysium_track(write(tmp_path / "rsot.jsonl", lines({"frames": frames})))
    with pytest.raises(AnnotationError, match="frames: expected"):
        reader.video("7")
    with pytest.raises(InputError, match="expected a line '9'"):
        reader.video("9")


def test_boxes_and_flags_are_counted(tmp_path):
    path = write(tmp_path / "boxes.txt", "1, 2, 3, 4\nNaN NaN NaN NaN\n")
    assert np.isnan(read_boxes(path, 2)[1]).all()
    with pytest.raises(AnnotationError, match="expected 3 boxes, one a frame, got 2"):
        read_boxes(path, 3)
    assert read_flags(write(tmp_path / "flags.txt", "0\n1\n"), 2).tolist() == [0, 1]
