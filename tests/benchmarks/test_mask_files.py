"""Predicted masks as files: zip and folder give the same, any value but 0 counts, and what is missing is named."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from benchmarks.evaluation.mask_files import open_mask_files
from benchmarks.evaluation.masks import EMPTY, FROZEN, evaluate_masks, mevis_rules, referred_rules
from benchmarks.evaluation.report import RESULT, TRUTH, Choices
from benchmarks.mevis.reader import open_mevis
from core.errors import InputError
from tests.benchmarks.tiny_datasets import SIZE, mevis, png, square


def silent(done, total):
    """No bar."""


@pytest.fixture
def tiny(tmp_path):
    return mevis(tmp_path)


@pytest.fixture
def reader(tiny):
    return open_mevis(tiny.data, "valid_u")


def zipped(folder, path, prefix=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


def first(reader):
    (video,) = reader.videos()
    return video, video.expressions[0]


@pytest.mark.parametrize("prefix", ["", "Annotations/"])
def test_a_zip_and_a_folder_give_the_same_masks(tiny, reader, tmp_path, prefix):
    of_folder = open_mask_files(tiny.predictions).masks(*first(reader), SIZE)
    path = zipped(tiny.predictions, tmp_path / "said.zip", prefix)
    assert np.array_equal(open_mask_files(path).masks(*first(reader), SIZE), of_folder)
    assert np.array_equal(of_folder, np.stack([square(0), square(1)]) > 0)


def test_palette_grey_and_one_bit_pictures_count_wherever_they_are_not_0(tiny, reader):
    place = tiny.predictions / "a" / "0"
    Image.fromarray(square(0)).convert("P").save(place / "00000.png")
    Image.fromarray(square(1) * 255).convert("1").save(place / "00001.png")
    masks = open_mask_files(tiny.predictions).masks(*first(reader), SIZE)
    assert np.array_equal(masks, np.stack([square(0), square(1)]) > 0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), r"expected a/0/00001\.png, found none"),
        (lambda path: path.write_bytes(b"text"), r"00001\.png: expected a PNG, got"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), r"00001\.png: expected a PNG, got"),
        (lambda path: png(path, np.zeros((3, 3))), r"expected a grey or palette PNG of 12x16, got mode L, 3x3"),
        (lambda path: png(path, np.zeros((*SIZE, 3))), r"got mode RGB, 12x16x3"),
    ],
)
def test_a_damaged_frame_fails_its_expression_and_no_other(tiny, reader, damage, message):
    damage(tiny.predictions / "a" / "0" / "00001.png")
    with pytest.raises(InputError, match=message):
        open_mask_files(tiny.predictions).masks(*first(reader), SIZE)
    report = evaluate_masks(reader, tiny.predictions, Choices(), silent)
    assert report.rows[RESULT]["jf"] == 0.5
    assert (report.rows[RESULT]["n"], report.rows[RESULT]["failures"], len(report.failures)) == (2, 1, 1)
    assert report.failures[0].startswith("video 'a', expression '0': ")
    assert report.rows[TRUTH]["jf"] == 1


def test_what_holds_no_masks_is_refused(tmp_path):
    (tmp_path / "x.zip").write_text("no zip")
    for name in ("x.zip", "gone"):
        with pytest.raises(InputError, match=rf"{name}: expected a zip or a folder of masks"):
            open_mask_files(tmp_path / name)


def test_a_damaged_entry_of_a_zip_is_named(tiny, reader, tmp_path):
    data = io.BytesIO(zipped(tiny.predictions, tmp_path / "said.zip").read_bytes())
    whole = bytearray(data.getvalue())
    whole[60:70] = b"\x00" * 10  # within the first file's bytes
    (tmp_path / "said.zip").write_bytes(whole)
    with pytest.raises(InputError, match=r"00000\.png: expected"):
        open_mask_files(tmp_path / "said.zip").masks(*first(reader), SIZE)


def test_a_damaged_stream_of_a_zip_fails_its_expression_and_no_other(tiny, reader, tmp_path):
    path = tmp_path / "said.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(tiny.predictions.rglob("*.png")):
            archive.write(file, file.relative_to(tiny.predictions).as_posix())
    whole = bytearray(path.read_bytes())
    start = whole.index(b"a/0/00000.png") + len("a/0/00000.png")
    whole[start : start + 8] = b"\xff" * 8
    path.write_bytes(whole)
    report = evaluate_masks(reader, path, Choices(), silent)
    (sentence,) = report.failures
    assert "a/0/00000.png: expected a file that can be unpacked, got" in sentence
    assert (report.rows[RESULT]["jf"], report.rows[RESULT]["failures"]) == (0.5, 1)


def test_rules_differ_in_frames_without_truth(reader):
    video, expression = first(reader)
    full, none = np.ones((1, *SIZE), dtype=bool), np.zeros((1, *SIZE), dtype=bool)
    assert mevis_rules(full, none, video.expressions[1]).f == 0
    assert referred_rules(full, none, expression).f == 1


def test_baselines_by_hand(tiny, reader):
    rows = evaluate_masks(reader, tiny.predictions, Choices(), silent).rows
    assert (rows[EMPTY]["jf"], rows[EMPTY]["no_target_accuracy"], rows[EMPTY]["target_accuracy"]) == (0.5, 1, 0)
    assert rows[FROZEN]["j"] == pytest.approx((1 + (1 + 9 / 23) / 2) / 2)  # 4x4 moved by one both ways: 9 of 23


def test_a_split_that_hides_its_masks_is_refused(tiny):
    (tiny.data / "valid_u" / "mask_dict.json").unlink()
    with pytest.raises(InputError, match="expected ground-truth masks, got a split that hides them"):
        evaluate_masks(open_mevis(tiny.data, "valid_u"), tiny.predictions, Choices(), silent)
