"""Real annotations of OTB, GOT-10k and ElysiumTrack, names and expressions of MeViS: sources in `real/SOURCES.md`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.evaluation.report import RESULT, TRUTH, Choices
from benchmarks.registry import DATASETS
from core import rle
from tests.benchmarks.tiny_datasets import SIZE, mevis, pictures, png, rle_json, square, write

REAL = Path(__file__).parent / "real"
MARKS = (",", "\t", " ")


def silent(done, total):
    """No bar."""


def otb_list():
    """(folder, box file, first frame, last frame) of each target of OTB-100."""
    rows = (line.split(",") for line in (REAL / "otb" / "otb100_infos.txt").read_text().splitlines()[1:])
    return [(images.split("/")[0], path, int(first), int(last)) for images, path, first, last in rows]


def otb_names(rows):
    folders = [folder for folder, *_ in rows]
    return [f if folders.count(f) == 1 else f"{f}.{path[-5]}" for f, path, *_ in rows]


@pytest.fixture(scope="module")
def otb100(tmp_path_factory):
    """Every file of boxes of OTB-100 under its own name and as long as it is, with boxes made up."""
    root = tmp_path_factory.mktemp("otb")
    for i, (folder, path, first, last) in enumerate(otb_list()):
        count = 354 if folder == "Tiger1" else last - first + 1  # the list leaves out Tiger1's first five
        write(root / path, MARKS[i % 3].join(("1", "2", "30", "40")) + "\n" + "5,6,30,40\n" * (count - 1))
    write(root / "Human4" / "groundtruth_rect.1.txt", "")
    return root


def test_the_hundred_targets_of_otb_have_the_names_counts_and_frames_of_their_list(otb100):
    reader = DATASETS["otb"].open(otb100)
    videos = {video.id: video for video in reader.videos()}
    assert sorted(videos) == sorted(otb_names(otb_list()))
    assert (len(reader), {"Human4", "Jogging.1", "Jogging.2", "Skating2.1", "Skating2.2"} <= set(videos)) == (100, True)
    for name, (_, path, first, last) in zip(otb_names(otb_list()), otb_list(), strict=True):
        first = 1 if name == "Tiger1" else first
        names = videos[name].frame_names
        assert (names[0], names[-1], len(names)) == (f"{first:04d}", f"{last:04d}", last - first + 1), path
    assert sum(len(video.frame_names) for video in videos.values()) == 59_040
    assert reader.truth(videos["Biker"]).boxes[:2].tolist() == [[1, 2, 30, 40], [5, 6, 30, 40]]


@pytest.mark.parametrize(
    ("name", "pictured", "kept"),
    [("Football1", (1, 81), (1, 74)), ("Diving", (1, 231), (1, 215)), ("BlurCar3", (3, 359), (3, 359))],
)
def test_pictures_of_otb_say_which_frames_are_annotated(name, pictured, kept, tmp_path):
    count = kept[1] - kept[0] + 1
    write(tmp_path / name / "groundtruth_rect.txt", "1,2,30,40\n" * count)
    (tmp_path / name / "img").mkdir()
    for i in range(pictured[0], pictured[1] + 1):
        (tmp_path / name / "img" / f"{i:04d}.jpg").touch()
    (video,) = DATASETS["otb"].open(tmp_path).videos()
    assert (video.frame_names[0], video.frame_names[-1]) == (f"{kept[0]:04d}", f"{kept[1]:04d}")
    assert len(video.frame_names) == count


# The first and last three boxes of each, and all their attributes.
FOOTBALL1 = "153,105,26,43\n153,98,26,43\n153,93,26,43\n244,117,28,43\n227,126,31,43\n212,136,31,43\n"
CROSSING = "205\t151\t17\t50\n202\t150\t19\t49\n201\t150\t18\t49\n58 94 14 34\n58\t95\t13\t31\n56\t93\t14\t36\n"


def test_real_boxes_of_otb_are_read_and_score_as_themselves(tmp_path):
    data, said = tmp_path / "otb", tmp_path / "said"
    for name, boxes, attributes in (
        ("Football1", FOOTBALL1, "IPR, OPR, BC"), ("Crossing", CROSSING, "SV, DEF, FM, OPR, BC"),
    ):  # fmt: skip
        write(data / name / "groundtruth_rect.txt", boxes)
        write(data / name / "attrs.txt", attributes)
        write(said / f"{name}.txt", boxes)
    reader = DATASETS["otb"].open(data)
    crossing = reader.truth(reader.video("Crossing"))
    assert crossing.boxes.tolist()[2:4] == [[201, 150, 18, 49], [58, 94, 14, 34]]
    assert crossing.corners()[0].tolist() == [204, 150, 221, 200]
    report = DATASETS["otb"].evaluate(data, None, said, Choices(), silent)
    assert report.rows[RESULT] == report.rows[TRUTH]
    assert (report.rows[RESULT]["auc"], report.rows[RESULT]["precision"]) == (pytest.approx(20 / 21), 1)
    assert {name: part["n"] for name, part in report.parts.items()} == {
        "BC": 2, "DEF": 1, "FM": 1, "IPR": 1, "OPR": 2, "SV": 1,
    }  # fmt: skip


# Lines 5 to 9 of 659 as two copies of the file have them, and the first five and the last of 307.
CAR4 = (
    "70\t51\t107\t87\n70\t51\t105\t87\n70\t51\t105\t87\n70\t51\t103\t87\n68\t53\t103\t82\n",
    "70,51,107,87\n70,51,105,87\n70,51,105,87\n70,51,103,87\n68,53,103,82\n",
)
JOGGING_1 = "111,98,25,101\n112,100,23,99\n112,103,25,100\n113,104,21,100\n110,102,23,103\n93,118,31,132"


@pytest.mark.parametrize("car4", CAR4)
def test_real_lines_of_otb_are_read_with_the_marks_that_stand_between_them(car4, tmp_path):
    data, said = tmp_path / "otb", tmp_path / "said"
    write(data / "Car4" / "groundtruth_rect.txt", car4)
    write(data / "jogging" / "groundtruth_rect.1.txt", JOGGING_1)
    write(data / "jogging" / "groundtruth_rect.2.txt", JOGGING_1)  # made up
    write(data / "Basketball" / "groundtruth_rect.txt", "198,214,34,81")
    reader = DATASETS["otb"].open(data)
    read = {video.id: reader.truth(video).boxes.tolist() for video in reader.videos()}
    assert read["Car4"] == [[70, 51, 107, 87], *[[70, 51, 105, 87]] * 2, [70, 51, 103, 87], [68, 53, 103, 82]]
    assert (len(read["jogging.1"]), read["jogging.1"][-1]) == (6, [93, 118, 31, 132])
    assert read["Basketball"] == [[198, 214, 34, 81]]
    for name, listed in read.items():
        write(said / f"{name}.txt", "".join(",".join(map(str, box)) + "\n" for box in listed))
    report = DATASETS["otb"].evaluate(data, None, said, Choices(), silent)
    assert (report.failures, report.rows[RESULT]["precision"]) == ((), 1)
    assert report.rows[RESULT] == report.rows[TRUTH]


def test_otb_boxes_that_leave_the_picture_or_have_no_area_are_no_fault(tmp_path):
    for name, boxes in (
        ("Trellis", "268,60,60,83\n"), ("Twinnings", "125,162,74,55\n0,0,0,0\n"), ("Biker", "348,-10,32,35\n"),
    ):  # fmt: skip
        write(tmp_path / name / "groundtruth_rect.txt", boxes)
        (tmp_path / name / "img").mkdir()
        for i in range(boxes.count("\n")):
            size = (640, 360) if name == "Biker" else (320, 240)
            Image.new("L", size).save(tmp_path / name / "img" / f"{i + 1:04d}.jpg")
    found = DATASETS["otb"].check(tmp_path, None, None, silent)
    assert (found.good, found.counts["boxes"]) == (True, 4)
    sentences = [text for texts in found.sentences.values() for text in texts]
    assert sentences == ["video 'Twinnings': expected boxes with an area, got 1 shown without"]


META_INFO = """[METAINFO]
url: https://youtu.be/P-fKM-2DHoM
begin: 00:00:01
end: 00:00:10
anno_fps: 10Hz
object_class: ctenophore
motion_class: swimming
major_class: invertebrate
root_class: animal
motion_adverb: slowly
resolution: (1920, 1080)
"""


def test_real_lines_of_got10k_are_read(tmp_path):
    write(tmp_path / "train" / "list.txt", "GOT-10k_Train_000001\n")
    write(tmp_path / "train" / "GOT-10k_Train_000001" / "groundtruth.txt", "347.0000,443.0000,429.0000,272.0000\n")
    write(tmp_path / "train" / "GOT-10k_Train_000001" / "meta_info.ini", META_INFO)
    reader = DATASETS["got10k"].open(tmp_path, "train")
    (first,) = reader.videos()
    assert first.id == "GOT-10k_Train_000001"
    assert (first.frame_names, first.fps) == (("00000001",), 10)
    truth = reader.truth(first)
    assert (truth.boxes.tolist(), truth.size) == ([[347, 443, 429, 272]], (1920, 1080))
    assert truth.corners().tolist() == [[346, 442, 775, 714]]


def test_sequences_of_got10k_whose_labels_say_that_nothing_is_ever_seen_count_for_nothing(tmp_path):
    covers = {"GOT-10k_Train_000001": "8\n8\n0\n", "GOT-10k_Train_000385": "0\n0\n0\n"}  # the second is so
    write(tmp_path / "train" / "list.txt", "".join(f"{name}\n" for name in covers))
    for name, cover in covers.items():
        write(tmp_path / "train" / name / "groundtruth.txt", "347.0000,443.0000,429.0000,272.0000\n" * 3)
        write(tmp_path / "train" / name / "cover.label", cover)
        write(tmp_path / "train" / name / "meta_info.ini", META_INFO)
        write(tmp_path / "said" / f"{name}.txt", "347,443,429,272\n" * 3)
    report = DATASETS["got10k"].evaluate(tmp_path, "train", tmp_path / "said", Choices(), silent)
    assert (report.failures, report.rows[RESULT]["ao"], report.rows[RESULT]["n"]) == ((), 1, 1)
    assert DATASETS["got10k"].check(tmp_path, "train", None, silent).counts["boxes"] == 6


def test_a_real_line_of_elysium_track_is_read_and_scores_as_itself(tmp_path):
    data = REAL / "elysium_track"
    reader = DATASETS["elysium_track"].open(data)
    (video,) = reader.videos()
    assert (reader.split, video.id) == ("ElysiumTrack-val500", "428388628037791")
    assert (video.frames_path, video.frame_names) == (data / "frames" / "33020620", ("000000.jpg", "000001.jpg"))
    assert video.expressions[0].text == "a green t - shirt"
    boxes = [[161, 72, 217, 176], [157, 72, 226, 169]]
    truth = reader.truth(video)
    assert (truth.boxes.round(9).tolist(), truth.origin, truth.size) == (boxes, 0, (596, 336))
    said = write(tmp_path / f"{video.id}.txt", "".join(",".join(map(str, box)) + "\n" for box in boxes))
    report = DATASETS["elysium_track"].evaluate(data, None, said.parent, Choices(), silent)
    assert report.rows[RESULT]["auc"] == pytest.approx(20 / 21)


def test_elysium_track_is_found_under_the_names_it_is_downloaded_by(tmp_path):
    line = (REAL / "elysium_track" / "ElysiumTrack-val500.json").read_text()
    whole = write(tmp_path / "ElysiumTrack-1M.json", line)
    assert DATASETS["elysium_track"].open(tmp_path, "train").path == whole
    part = write(tmp_path / "ElysiumTrack-val500.json", line)
    assert DATASETS["elysium_track"].open(tmp_path, "val").path == part
    assert DATASETS["rsot"].open(part).path == part
    assert list(DATASETS["video_reg"].open(tmp_path).descriptions()) == [("428388628037791", "a green t - shirt")]
    said = write(tmp_path / "said.json", {"428388628037791": "a green t - shirt"})
    report = DATASETS["video_reg"].evaluate(tmp_path, "val", said, Choices(), silent)
    assert report.rows[RESULT] == report.rows[TRUTH]


@pytest.mark.parametrize("name", ["meta_expressions.json", "meta_expressions_v2.json"])
def test_mevis_is_read_under_the_names_of_both_versions(name, tmp_path):
    tiny = mevis(tmp_path)
    (tmp_path / "valid_u" / "meta_expressions.json").rename(tmp_path / "valid_u" / name)
    assert len(DATASETS["mevis"].open(tmp_path)) == 1
    report = DATASETS["mevis"].evaluate(tmp_path, None, tiny.predictions, Choices(), silent)
    assert (report.failures, report.rows[RESULT]["jf"]) == ((), report.rows[TRUTH]["jf"])
    assert DATASETS["mevis"].check(tmp_path, None, None, silent).good


def test_the_hidden_split_of_mevis_v2_ships_masks_of_no_expression(tmp_path):
    pictures(tmp_path / "valid" / "JPEGImages" / "0ab4afe7fb46", "00000.jpg")
    videos = {"0ab4afe7fb46": {"frames": ["00000"], "expressions": {"0": {"exp": "The bird flying away"}}}}
    write(tmp_path / "valid" / "meta_expressions_v2_release.json", {"videos": videos})
    write(tmp_path / "valid" / "mask_dict.json", {})
    (video,) = DATASETS["mevis"].open(tmp_path, "valid").videos()
    assert (video.expressions[0].target_ids, video.object_ids) == (None, ())
    found = DATASETS["mevis"].check(tmp_path, "valid", None, silent)
    assert (found.good, found.counts["hidden"], found.counts["masks"]) == (True, 1, 0)


# Two videos of `valid_u`: number and text of an expression, and how many it means; ids of objects and masks made up.
MOVING = {
    "2fbec459efc2": {"3": {"exp": "white car move and turn left", "obj_id": [2], "anno_id": [31]}},
    "3dde46eaaf53": {
        "22": {
            "exp": "The two monkeys in a crouched position on the left without any movement.",
            "obj_id": [1, 2],
            "anno_id": [41, 42],
        }
    },
}


def test_real_expressions_of_mevis_are_read_and_score_as_themselves(tmp_path):
    frames, said = ["00004", "00005"], tmp_path / "said"
    split = tmp_path / "valid_u"
    for video, expressions in MOVING.items():
        pictures(split / "JPEGImages" / video, *(f"{name}.jpg" for name in frames))
        for i, name in enumerate(frames):
            (expression,) = expressions
            both = square(i) if video == "2fbec459efc2" else np.maximum(square(i), square(i)[::-1])
            png(said / video / expression / f"{name}.png", both * 255)
    videos = {video: {"frames": frames, "expressions": expressions} for video, expressions in MOVING.items()}
    write(split / "meta_expressions.json", {"videos": videos})
    upright, turned = ([rle_json(m) for m in (square(0)[::s], square(1)[::s])] for s in (1, -1))
    write(split / "mask_dict.json", {"31": upright, "41": upright, "42": turned})
    reader = DATASETS["mevis"].open(tmp_path)
    _, monkeys = reader.videos()
    (expression,) = monkeys.expressions
    assert (monkeys.id, expression.id, expression.target_ids) == ("3dde46eaaf53", "22", ("41", "42"))
    assert expression.text == MOVING["3dde46eaaf53"]["22"]["exp"]
    assert {i: rle.areas(m, SIZE).tolist() for i, m in reader.masks(monkeys).items()} == {
        "41": [16, 16],
        "42": [16, 16],
    }
    report = DATASETS["mevis"].evaluate(tmp_path, None, said, Choices(), silent)
    assert (report.failures, report.rows[RESULT]["jf"]) == ((), 1)


def test_masks_of_mevis_stand_in_the_order_of_the_names_of_frames(tmp_path):
    names = ["00010", "00005"]
    pictures(tmp_path / "train" / "JPEGImages" / "a", *(f"{name}.jpg" for name in names))
    expression = {"exp": "The bird flying away", "obj_id": [0], "anno_id": [1]}
    write(
        tmp_path / "train" / "meta_expressions_v2.json",
        {"videos": {"a": {"frames": names, "expressions": {"0": expression}}}},
    )
    write(tmp_path / "train" / "mask_dict.json", {"1": [rle_json(square(0)), None]})
    reader = DATASETS["mevis"].open(tmp_path, "train")
    (video,) = reader.videos()
    assert video.frame_names == ("00005", "00010")
    assert reader.mask_size(video) == SIZE
    assert rle.areas(reader.masks(video)["1"], SIZE).tolist() == [16, 0]
