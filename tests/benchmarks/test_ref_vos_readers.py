"""Ref-YouTube-VOS and Ref-DAVIS17: real expressions are read, masks follow palette values, bad files refused."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.metrics.davis import DavisScore, Task, failed_sequence, score_sequence
from benchmarks.metrics.mevis_score import MevisScore, score_expression
from benchmarks.metrics.ref_davis import RefDavisScore, label_map
from benchmarks.metrics.referred import score_referred
from benchmarks.protocol import Reader, target_masks
from benchmarks.ref_davis.evaluation import evaluate_ref_davis
from benchmarks.ref_davis.reader import by_annotator, open_ref_davis
from benchmarks.ref_youtube_vos.reader import open_ref_youtube_vos
from core import rle
from core.errors import AnnotationError, InputError
from tests.real_data import real_data

SIZE = (6, 8)


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = value if isinstance(value, str | bytes) else json.dumps(value)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def palette(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(labels, dtype=np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.putdata(np.asarray(labels, dtype=np.uint8).ravel().tolist())
    image.save(path)


def maps():
    labels = np.zeros((2, *SIZE), dtype=np.uint8)
    labels[:, :2, :3] = 1
    labels[0, 3:, 4:] = 2
    return labels


def meta():
    return {
        "videos": {
            "clip": {
                "frames": ["00000", "00005"],
                "expressions": {"0": {"exp": "a red cat", "obj_id": "1"}, "1": {"exp": "a dog", "obj_id": 2}},
            }
        }
    }


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "meta_expressions" / "train" / "meta_expressions.json", meta())
    for name, labels in zip(("00000", "00005"), maps(), strict=True):
        palette(tmp_path / "train" / "Annotations" / "clip" / f"{name}.png", labels)
    return tmp_path


def test_the_real_valid_split_is_what_the_file_of_test_leaves_of_it(tmp_path):
    """The meta file lists 507 videos; 202 of them with 834 expressions are valid."""
    whole = json.loads(real_data("ref_ytvos/onlinerefer_meta_expressions.json").read_text())
    samples = json.loads(real_data("ref_ytvos/soc_valid_samples_metadata.json").read_text())
    valid = {video for video, *_ in samples}
    test = {"videos": {i: v for i, v in whole["videos"].items() if i not in valid}}
    write(tmp_path / "meta_expressions" / "valid" / "meta_expressions.json", whole)
    assert len(open_ref_youtube_vos(tmp_path, "valid")) == 507
    write(tmp_path / "meta_expressions" / "test" / "meta_expressions.json", test)
    reader: Reader = open_ref_youtube_vos(tmp_path, "valid")
    assert (len(reader), sum(len(v.expressions) for v in reader.videos())) == (202, 834)
    assert {(v.id, e.text) for v in reader.videos() for e in v.expressions} == {(v, e["exp"]) for v, _, e in samples}
    assert not reader.has_masks
    assert next(reader.videos()).expressions[0].target_ids is None


def test_masks_are_the_values_of_the_palette_not_its_colours(root):
    reader: Reader = open_ref_youtube_vos(root, "train")
    clip = reader.video("clip")
    assert (reader.name, reader.has_masks, clip.object_ids, reader.mask_size(clip)) == (
        "ref_youtube_vos",
        True,
        ("1", "2"),
        SIZE,
    )
    masks = reader.masks(clip)
    for i in ("1", "2"):
        assert (rle.decode(masks[i], SIZE) == (maps() == int(i))).all()
    union = target_masks(masks, clip.expressions[1], 2, SIZE)
    assert rle.areas(union, SIZE).tolist() == [12, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{", "expected JSON"),
        ([], "expected a key 'videos'"),
        ({"videos": []}, "videos: expected an object"),
        ({"videos": {"clip": {"frames": [], "expressions": {}}}}, "videos.clip: frames: List should have at least 1"),
        (
            {"videos": {"clip": {"frames": ["a", "a"], "expressions": {}}}},
            "videos.clip.frames: expected each frame once",
        ),
        (
            {"videos": {"../up": {"frames": ["a"], "expressions": {}}}},
            "videos: expected names of a folder and its frames, got",
        ),
        ({"videos": {"c": {"frames": ["a"], "expressions": {"0": {"exp": " "}}}}}, "videos.c: expressions.0.exp"),
        ({"videos": {"c": {"frames": ["a"], "expressions": {"0": {}}}}}, "videos.c: expressions.0.exp: Field required"),
        ({"videos": {"c": {"frames": ["a"], "expressions": {"0": {"exp": "x", "obj_id": 0}}}}}, "expressions.0.obj_id"),
        ({"videos": {"c": {"frames": ["a"], "expressions": {"0": {"exp": "x", "obj_id": "one"}}}}}, "0.obj_id"),
        ('{"videos": {"c": 1, "c": 2}}', "expected each key of an object once, got 'c' twice"),
        (json.dumps(meta()).encode("utf-16"), "expected UTF-8 text"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
    ],
)
def test_a_malformed_file_of_expressions_names_file_and_key(root, change, message):
    write(root / "meta_expressions" / "train" / "meta_expressions.json", change)
    with pytest.raises(AnnotationError, match=rf"meta_expressions\.json: (.*){message}"):
        open_ref_youtube_vos(root, "train")


def break_map(root, how):
    path = root / "train" / "Annotations" / "clip" / "00005.png"
    if how == "missing":
        path.unlink()
    elif how == "size":
        palette(path, np.zeros((6, 7)))
    elif how == "colour":
        Image.new("RGB", SIZE[::-1]).save(path)
    elif how == "text":
        path.write_text("no picture")
    else:
        path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "expected a label map, found no such file"),
        ("size", "expected 6x8 pixels as the first map, got 6x7"),
        ("colour", "expected a palette or an 8-bit grey PNG, got mode RGB"),
        ("text", "expected a PNG of labels"),
        ("cut", "expected a PNG of labels"),
    ],
)
def test_a_bad_label_map_is_named(root, how, message):
    break_map(root, how)
    reader = open_ref_youtube_vos(root, "train")
    with pytest.raises(AnnotationError, match=rf"00005\.png: {message}"):
        reader.masks(reader.video("clip"))


def test_an_unknown_split_says_which_there_are(root):
    with pytest.raises(InputError, match="found splits train"):
        open_ref_youtube_vos(root, "valid")
    with pytest.raises(InputError, match="expected a video 'x'"):
        open_ref_youtube_vos(root, "train").video("x")


@pytest.fixture
def ref_davis(tmp_path):
    """The 244 real expressions in the converter's layout, with blackswan's real masks."""
    videos = {}
    for video, frames, entry in json.loads(real_data("ref_davis_soc/davis_valid_samples_metadata.json").read_text()):
        held = videos.setdefault(video, {"frames": frames, "expressions": {}})
        held["expressions"][entry["exp_id"]] = {"exp": entry["exp"], "obj_id": entry["obj_id"]}
    write(tmp_path / "meta_expressions" / "valid" / "meta_expressions.json", {"videos": videos})
    folder = tmp_path / "valid" / "Annotations" / "blackswan"
    for path in sorted(real_data("davis_eorvos/Annotations/480p/blackswan").glob("*.png"))[:4]:
        palette(folder / path.name, np.asarray(Image.open(path)) > 0)
    return tmp_path


def test_real_ref_davis_has_four_annotations_of_each_object(ref_davis):
    reader: Reader = open_ref_davis(ref_davis)
    videos = list(reader.videos())
    assert (reader.name, len(videos), sum(len(v.object_ids) for v in videos)) == ("ref_davis", 30, 61)
    assert sum(len(v.expressions) for v in videos) == 244
    for video in videos:
        annotations = by_annotator(video)
        assert [tuple(a) for a in annotations] == [video.object_ids] * 4
    jump = reader.video("dogs-jump")
    assert by_annotator(jump)[3]["1"].text == "a dog jumping for a snack going to the left"


def test_objects_without_four_expressions_are_refused(root):
    with pytest.raises(
        AnnotationError, match=r"video 'clip': expected four expressions an object, got \{'1': 1, '2': 1\}"
    ):
        by_annotator(open_ref_youtube_vos(root, "train").video("clip"))


def test_both_protocols_agree_on_a_video_of_one_object_without_void(ref_davis):
    reader = open_ref_davis(ref_davis)
    swan = reader.video("blackswan")
    names = swan.frame_names[:4]
    labels = reader.labels(type(swan)(**{**vars(swan), "frame_names": names}))
    results = sorted(real_data("davis_eval_results/osvos/blackswan").glob("*.png"))[:4]
    predicted = np.stack([np.asarray(Image.open(path)) > 0 for path in results])
    a = RefDavisScore()
    a.update({k: score_sequence("blackswan", label_map([predicted]), labels, Task.UNSUPERVISED) for k in range(4)})
    b = MevisScore([score_expression(predicted, labels == 1, no_target=False)] * 4).compute()
    found = a.compute()
    assert (found.j, found.f) == pytest.approx((b.j, b.f), abs=1e-12)
    assert (found.n, found.failures, len(found.annotations)) == (1, 0, 4)


def test_the_highest_score_wins_a_pixel_and_half_sure_ones_lose():
    first = np.array([[[0.9, 0.6, 0.4, 0.5, 0.0]]])
    second = np.array([[[0.8, 0.7, 0.45, 0.5, 1.0]]])
    assert label_map([first, second]).tolist() == [[[1, 2, 0, 1, 2]]]
    assert label_map([first > 0.5, second > 0.5]).tolist() == [[[1, 1, 0, 0, 2]]]
    with pytest.raises(InputError, match="expected 1 to 254 answers"):
        label_map([first, second[:, :, :2]])
    with pytest.raises(InputError, match="expected 1 to 254 answers"):
        label_map([])


def test_the_four_annotations_weigh_the_same_and_merge_in_any_order():
    labels = maps()
    good, bad = score_sequence("a", labels, labels, Task.UNSUPERVISED), failed_sequence("a", labels, Task.UNSUPERVISED)
    one, other = RefDavisScore(), RefDavisScore()
    one.update({0: good, 1: good, 2: good, 3: bad})
    other.update(dict.fromkeys(range(4), good))
    one.merge(other)
    figures = one.compute()
    assert (figures.jf, figures.n, figures.failures) == (0.875, 4, 2)
    assert DavisScore(good).compute().jf == 1
    with pytest.raises(InputError, match=r"expected annotations 0\.\.3, got \[0\]"):
        one.update({0: good})


@pytest.fixture
def two_objects(root):
    """Two objects, four expressions each; the answers are the true masks."""
    whole = meta()
    whole["videos"]["clip"]["expressions"] = {str(n): {"exp": f"thing {n}", "obj_id": 1 + n // 4} for n in range(8)}
    write(root / "meta_expressions" / "train" / "meta_expressions.json", whole)
    reader = open_ref_davis(root, "train")
    return reader, reader.masks(reader.video("clip"))


def silent(done, total):
    """No bar."""


def test_true_answers_score_1_by_both_protocols_and_swapped_ones_by_the_first_alone(two_objects):
    reader, masks = two_objects
    right = evaluate_ref_davis(reader, lambda video, e: masks[e.target_ids[0]], silent)
    assert (right.one_map.jf, right.each_expression.jf, right.failures) == (1, 1, ())
    swapped = evaluate_ref_davis(reader, lambda video, e: masks[{"1": "2", "2": "1"}[e.target_ids[0]]], silent)
    assert swapped.one_map.jf == 1  # Hungarian matching asks only that both objects are found
    assert swapped.each_expression.jf < 0.3


def test_expressions_without_an_answer_are_counted_by_both_protocols(two_objects):
    reader, masks = two_objects
    some = evaluate_ref_davis(reader, lambda video, e: None if e.id in "048" else masks[e.target_ids[0]], silent)
    assert (some.each_expression.n, some.each_expression.failures, some.each_expression.jf) == (8, 2, 0.75)
    assert some.failures[0] == "video 'clip', expression '0': expected an answer, got none"
    assert (some.one_map.jf, some.one_map.failures) == (0.75, 2)
    with pytest.raises(InputError, match="video 'clip', expression '0': expected 2 masks, one a frame, got 1"):
        evaluate_ref_davis(reader, lambda video, e: masks["1"][:1], silent)


def test_ref_youtube_vos_keeps_the_outline_rule_where_there_is_no_truth():
    full, empty = np.ones((1, 6, 8), dtype=bool), np.zeros((1, 6, 8), dtype=bool)
    referred, mevis = score_referred(full, empty), score_expression(full, empty, no_target=False)
    assert (referred.j, referred.f, mevis.j, mevis.f) == (0, 1, 0, 0)
    with pytest.raises(InputError, match="expected at least one frame"):
        score_referred(full[:0], empty[:0])
