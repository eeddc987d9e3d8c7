"""Ref-DAVIS17 as released: four texts an object in order, DAVIS's names, Latin-1; damage is named by line."""

import re

import numpy as np
import pytest

from benchmarks.ref_davis.raw import FILES, TEXTS, open_raw_ref_davis
from benchmarks.ref_davis.reader import by_annotator
from benchmarks.registry import dataset
from core.errors import AnnotationError, InputError
from tests.benchmarks.tiny_datasets import pictures, png, square

LINES = {
    "Davis17_annot1.txt": 'motor-bike 2 "a cafe"\nmotor-bike 1 "a bike"\nother 1 "unseen"\n',
    "Davis17_annot1_full_video.txt": 'motor-bike 1 "a bike that jumps"\nmotor-bike 2 "a caf\u00e9"\nother 1 "x"\n',
    "Davis17_annot2.txt": 'motor-bike 1 "bike"\nmotor-bike 2 "caf\u00e9"\nother 1 "x"\n',
    "Davis17_annot2_full_video.txt": 'motor-bike 1 bike\nmotor-bike 2 "caf\u00e9"\n\nother 1 "x"\n',
}


@pytest.fixture
def davis(tmp_path):
    for name, encoding in FILES:
        path = tmp_path / TEXTS / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(LINES[name].encode(encoding))
    base = tmp_path / "DAVIS"
    (base / "ImageSets" / "2017").mkdir(parents=True)
    (base / "ImageSets" / "2017" / "val.txt").write_text("motorbike\n")
    pictures(base / "JPEGImages" / "480p" / "motorbike", "00000.jpg", "00001.jpg")
    for i in range(2):
        labels = square(i)
        labels[-2:, -2:] = 2
        png(base / "Annotations" / "480p" / "motorbike" / f"0000{i}.png", labels)
    return tmp_path


def test_texts_come_by_object_and_annotation_and_masks_by_label(davis):
    reader = open_raw_ref_davis(davis)
    (video,) = reader.videos()
    assert (video.id, video.frame_names, video.object_ids) == ("motorbike", ("00000", "00001"), ("1", "2"))
    assert [(e.id, e.text, e.target_ids) for e in video.expressions] == [
        ("0", "a bike", ("1",)),
        ("1", "a bike that jumps", ("1",)),
        ("2", "bike", ("1",)),
        ("3", "bike", ("1",)),
        ("4", "a cafe", ("2",)),
        ("5", "a caf\u00e9", ("2",)),
        ("6", "caf\u00e9", ("2",)),
        ("7", "caf\u00e9", ("2",)),
    ]
    assert [list(found) for found in by_annotator(video)] == [["1", "2"]] * 4
    assert reader.has_masks
    assert np.array_equal(np.stack([square(0), square(1)]) == 1, reader.labels(video) == 1)


def test_the_registry_tells_the_released_form_from_the_converted_one(davis):
    assert len(dataset("ref_davis").open(davis)) == 1
    found = dataset("ref_davis").check(davis, None, None, lambda done, total: None)
    assert (found.good, found.counts["expressions"], found.counts["frames"]) == (True, 8, 2)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("Davis17_annot1.txt", b"motor-bike one bike\n", "line 1: expected SEQUENCE OBJECT"),
        ("Davis17_annot1.txt", b'motor-bike 1 ""\n', "line 1: expected SEQUENCE OBJECT"),
        ("Davis17_annot1.txt", b'motor-bike 0 "a"\n', "line 1: expected SEQUENCE OBJECT"),
        ("Davis17_annot1.txt", b"\xff\xfe", "byte 0: expected UTF-8 text"),
        ("Davis17_annot1.txt", b'motor-bike 1 "a"\nmotor-bike 1 "b"\n', "line 2: expected each object once"),
        ("Davis17_annot2.txt", b'motor-bike 1 "a"\n', "line 2: expected each object once in every file"),
        ("Davis17_annot2_full_video.txt", b'motor-bike 1 "a"\n', "expected texts of every object of 'motorbike'"),
        ("Davis17_annot2_full_video.txt", None, "expected a readable file"),
    ],
)
def test_damaged_texts_are_named_by_file_and_line(davis, file, content, message):
    path = davis / TEXTS / file
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(AnnotationError, match=re.escape(message)):
        open_raw_ref_davis(davis)


def test_what_is_not_there_is_refused(davis, tmp_path):
    with pytest.raises(InputError, match=r"test-dev\.txt: expected the list of sequences"):
        open_raw_ref_davis(davis, "test-dev")
    with pytest.raises(InputError, match="found not both"):
        open_raw_ref_davis(tmp_path / "DAVIS")
