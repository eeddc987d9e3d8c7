"""Submissions: what is written passes its own check and is the same every time; each fault is one sentence."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from benchmarks.protocol import BenchmarkVideo
from benchmarks.submissions.box_text import check_results, result_boxes, write_results
from benchmarks.submissions.mask_zip import Server, check_masks, pack_masks
from benchmarks.tracking_protocol import read_boxes
from core import rle
from core.errors import InputError, OutputError
from core.types import Expression

SIZE = (4, 6)
FRAMES = ("00000", "00005.jpg")


def video(name, *expressions):
    return BenchmarkVideo(name, None, FRAMES, None, tuple(Expression(e, "a cat") for e in expressions), ())


SPLIT = (video("a", "0", "1"), video("b", "0"))


def masks(value=True, size=SIZE, frames=2):
    stack = np.zeros((frames, *size), dtype=bool)
    stack[:, :2] = value
    return rle.encode(stack)


def answers():
    return [("a", "0", masks(), SIZE), ("b", "0", masks(False), SIZE)]


def test_every_frame_of_every_expression_has_a_grey_png_and_the_check_is_content(tmp_path):
    for server, prefix in ((Server.MEVIS, ""), (Server.REF_YOUTUBE_VOS, "Annotations/")):
        path = tmp_path / f"{server.name}.zip"
        assert pack_masks(path, server, SPLIT, answers()) == 6
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            assert sorted(names) == [
                f"{prefix}{place}/{frame}.png" for place in ("a/0", "a/1", "b/0") for frame in ("00000", "00005")
            ]
            picture = Image.open(io.BytesIO(archive.read(f"{prefix}a/0/00005.png")))
            assert (picture.mode, picture.size) == ("L", (6, 4))
            assert np.asarray(picture).tolist() == [[255] * 6] * 2 + [[0] * 6] * 2
            assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o644}
            unanswered = Image.open(io.BytesIO(archive.read(f"{prefix}a/1/00000.png")))
            assert (unanswered.size, np.asarray(unanswered).any()) == ((6, 4), False)
        check = check_masks(path, server, SPLIT, {"a": SIZE, "b": SIZE})
        assert (check.good, check.problems, check.remarks, check.entries) == (True, (), (), 6)


def test_the_same_answers_make_the_same_bytes(tmp_path):
    for name in ("x.zip", "y.zip"):
        pack_masks(tmp_path / name, Server.MEVIS, SPLIT, answers())
    assert (tmp_path / "x.zip").read_bytes() == (tmp_path / "y.zip").read_bytes()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([*answers(), answers()[0]], "answer to video 'a', expression '0': expected each of the split's once"),
        ([("c", "0", masks(), SIZE)], "answer to video 'c', expression '0': expected each of the split's once"),
        ([("a", "0", masks(frames=3), SIZE)], "expected 2 masks, one a frame, got 3"),
        ([("a", "0", masks(), SIZE), ("a", "1", masks(size=(3, 3)), (3, 3))], r"expected masks of \(4, 6\) pixels"),
        ([("a", "0", masks(), SIZE)], "video 'b': expected an answer that gives its size, got none"),
        ([("a", "0", (b"0", b"0"), SIZE)], "expected COCO run lengths"),
    ],
)
def test_answers_that_do_not_fit_the_split_leave_no_zip(tmp_path, given, message):
    with pytest.raises(InputError, match=message):
        pack_masks(tmp_path / "x.zip", Server.MEVIS, SPLIT, given)
    assert list(tmp_path.iterdir()) == []


def test_known_sizes_serve_videos_without_an_answer(tmp_path):
    assert pack_masks(tmp_path / "x.zip", Server.MEVIS, SPLIT, [], {"a": SIZE, "b": SIZE}) == 6


def png(values=255, size=SIZE, mode="L"):
    content = io.BytesIO()
    Image.fromarray(np.full(size, values, dtype=np.uint8)).convert(mode).save(content, "PNG")
    return content.getvalue()


def zipped(path, changes):
    """The whole zip of SPLIT with some files replaced, or left out where None."""
    files = {f"{p}/{f}.png": png() for p in ("a/0", "a/1", "b/0") for f in ("00000", "00005")} | changes
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            if content is not None:
                archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a/1/00005.png": None}, "a/1: expected a PNG of every frame, got 1 too few"),
        ({"b/0/00000.png": None, "b/0/00005.png": None}, "b/0: expected a PNG of every frame, got 2 too few"),
        ({"a/0/00000.png": png(size=(4, 5))}, "a/0/00000.png: expected (4, 6) pixels as its video, got (4, 5)"),
        ({"a/0/00000.png": png(1)}, "a/0/00000.png: expected values 0 and 255, got [1]"),
        ({"a/0/00000.png": png(mode="RGB")}, "a/0/00000.png: expected an 8-bit grey PNG, got mode RGB"),
        ({"a/0/00000.png": png(mode="P")}, "a/0/00000.png: expected an 8-bit grey PNG, got mode P"),
        ({"a/0/00000.png": png(mode="1")}, "a/0/00000.png: expected an 8-bit grey PNG, got mode 1"),
        ({"a/0/00000.png": b"text"}, "a/0/00000.png: expected a PNG, got cannot identify"),
        ({"a/0/00000.png": png()[:50]}, "a/0/00000.png: expected a PNG, got"),
    ],
)
def test_the_check_names_each_fault(tmp_path, changes, message):
    check = check_masks(zipped(tmp_path / "x.zip", changes), Server.MEVIS, SPLIT, {"a": SIZE})
    assert (check.problem_count, check.good) == (1, False)
    assert check.problems[0].startswith(message)


def test_the_check_says_when_all_names_are_wrong_and_remarks_on_strangers(tmp_path):
    path = zipped(tmp_path / "x.zip", {"notes.txt": b"hello"})
    wrong = check_masks(path, Server.REF_YOUTUBE_VOS, SPLIT)
    assert wrong.problems == ("expected names as 'Annotations/a/0/00000.png', got 'a/0/00000.png' and the like",)
    right = check_masks(path, Server.MEVIS, SPLIT)
    assert (right.good, right.remarks) == (True, ("notes.txt: expected files of the split alone, got another",))


def test_the_check_keeps_fifty_sentences_and_counts_all(tmp_path):
    many = tuple(video(f"v{i}", "0") for i in range(60))
    check = check_masks(zipped(tmp_path / "x.zip", {}), Server.MEVIS, (*SPLIT, *many))
    assert (len(check.problems), check.problem_count) == (50, 60)


@pytest.mark.parametrize("name", ["../a/0/00000.png", "/etc/x.png", "a/../../x", "..\\\\x.png", "C:/x.png"])
def test_a_name_that_leads_out_of_the_zip_is_a_problem(tmp_path, name):
    check = check_masks(zipped(tmp_path / "x.zip", {name: b""}), Server.MEVIS, SPLIT)
    (problem,) = check.problems
    assert "expected a name inside the zip's own folder" in problem
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.zip"]  # nothing is ever unpacked


METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@pytest.mark.parametrize("method", METHODS)
def test_a_zip_with_any_bytes_changed_is_refused_or_its_faults_are_named(tmp_path, method):
    """Streams, headers, names, versions, methods and passwords: zipfile has an error of its own for each."""
    whole, random = io.BytesIO(), np.random.default_rng(method)
    with zipfile.ZipFile(whole, "w", method) as archive:
        for name in ("a/0", "a/1", "b/0"):
            for frame in ("00000", "00005"):
                archive.writestr(f"{name}/{frame}.png", png())
    refused = faulty = 0
    for _ in range(300):
        data = np.frombuffer(whole.getvalue(), dtype=np.uint8).copy()
        data[random.integers(len(data), size=3)] = random.integers(256, size=3)
        (tmp_path / "x.zip").write_bytes(data.tobytes())
        try:
            check = check_masks(tmp_path / "x.zip", Server.MEVIS, SPLIT, {"a": SIZE})
        except InputError as error:
            refused += "x.zip: expected a zip, got" in str(error)
        else:
            faulty += not check.good
            assert all("\n" not in sentence for sentence in check.problems)
    assert refused > 5
    assert faulty > 50


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_twice_in_a_zip_is_a_problem(tmp_path):
    path = zipped(tmp_path / "x.zip", {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a/0/00000.png", png())
    assert check_masks(path, Server.MEVIS, SPLIT).problems == ("a/0/00000.png: expected each file once, got it twice",)


def test_what_is_no_zip_is_refused(tmp_path):
    (tmp_path / "x.zip").write_text("no zip")
    for name in ("x.zip", "none.zip"):
        with pytest.raises(InputError, match=rf"{name}: expected a zip"):
            check_masks(tmp_path / name, Server.MEVIS, SPLIT)


def test_lasot_results_count_from_1_and_read_back(tmp_path):
    corners = np.array([[366.0, 100, 407, 116], [np.nan] * 4])
    boxes = result_boxes(corners, origin=1)
    assert boxes.tolist() == [[367, 101, 41, 16], [0, 0, 0, 0]]
    assert write_results(tmp_path / "out", [("airplane-1", boxes)]) == 1
    path = tmp_path / "out" / "airplane-1.txt"
    assert path.read_text() == "367.00,101.00,41.00,16.00\n0.00,0.00,0.00,0.00\n"
    assert (read_boxes(path) == boxes).all()
    check = check_results(tmp_path / "out", {"airplane-1": 2})
    assert check.good
    assert check.remarks == ("airplane-1.txt: expected boxes with an area, got 1 without: the one before is repeated",)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([("a/b", np.ones((1, 4)))], "expected the name of a sequence"),
        ([("a", np.ones((1, 4))), ("a", np.ones((1, 4)))], "each once, got 'a'"),
        ([("a", np.ones((1, 3)))], "expected finite boxes"),
        ([("a", np.full((1, 4), np.inf))], "expected finite boxes"),
    ],
)
def test_results_that_a_toolkit_could_not_read_are_not_written(tmp_path, results, message):
    with pytest.raises(InputError, match=message):
        write_results(tmp_path / "out", results)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="expected a folder name"):
        write_results(tmp_path / "out", [])


def test_the_check_of_results_names_missing_short_long_and_broken_ones(tmp_path):
    write_results(tmp_path / "out", [(name, np.ones((2, 4))) for name in ("short", "long", "other", "fine")])
    (tmp_path / "out" / "broken.txt").write_text("1,2,x,4\n")
    check = check_results(tmp_path / "out", {"short": 3, "long": 1, "broken": 1, "missing": 1, "fine": 2})
    assert check.problems[0] == "short.txt: expected 3 boxes, one a frame, got 2"
    assert check.problems[1].endswith("broken.txt: line 1: expected numbers, got 'x'")
    assert check.problems[2:] == ("missing.txt: expected a result of every sequence, got none",)
    assert check.remarks == (
        "other.txt: expected results of the split's sequences alone, got another",
        "long.txt: expected 1 boxes, got 2: the rest is cut",
    )
    with pytest.raises(InputError, match="expected a folder of results"):
        check_results(tmp_path / "none", {})
