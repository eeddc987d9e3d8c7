import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import CheckpointError
from proposals.detector import Detection, load_detector
from tests.tiny_detector import write_folder

IMAGE = np.random.default_rng(0).integers(0, 255, (48, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="module")
def detector(folder):
    return load_detector(str(folder))


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.mark.parametrize("text", ["the red star", "The RED star.", "  the red star . "])
def test_a_phrase_is_read_in_lower_case_with_exactly_one_stop(detector, text):
    assert detector.read([text]).ids.tolist() == [[101, 1, 2, 4, 1012, 102]]


def test_a_text_over_the_limit_loses_its_last_words_and_keeps_its_stop(detector):
    texts = detector.read(["the red star, " * 9, "the star"])
    assert texts.cut == (True, False)
    assert texts.ids.shape[1] == detector.limit
    assert texts.ids[0, -2:].tolist() == [1012, 102]
    assert texts.mask[1].sum() == 5
    assert len(detector.detect(IMAGE, texts, 0.0, 0.5)) == 2


def test_texts_together_find_what_each_finds_alone_by_the_packages_own_forward(detector, folder):
    from transformers import AutoProcessor, GroundingDinoForObjectDetection

    texts = ["the red star", "disc", "the blue thing, the star"]
    found = detector.detect(IMAGE, detector.read(texts), 0.0, 0.5, together=2)
    model = GroundingDinoForObjectDetection.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    for text, detections in zip(texts, found, strict=True):
        inputs = processor(images=IMAGE, text=text + ".", return_tensors="pt")
        with torch.no_grad():
            out = model(**inputs)
        (want,) = processor.post_process_grounded_object_detection(out, threshold=0.0, target_sizes=[IMAGE.shape[:2]])
        order = want["scores"].argsort(descending=True)
        np.testing.assert_allclose([d.score for d in detections], want["scores"][order], atol=1e-4)
        boxes = want["boxes"][order].numpy().clip(0, [80, 48, 80, 48])
        np.testing.assert_allclose([d.box for d in detections], boxes, atol=0.05)


def test_another_image_is_not_answered_from_the_one_before(detector):
    texts = detector.read(["disc"])
    first, other, again = (detector.detect(image, texts, 0.0, 0.5) for image in (IMAGE, 255 - IMAGE, IMAGE))
    assert first == again
    assert first != other


def test_only_boxes_above_the_threshold_are_found_best_first(detector):
    texts = detector.read(["the red star"])
    (everything,) = detector.detect(IMAGE, texts, 0.0, 0.5)
    scores = [d.score for d in everything]
    assert scores == sorted(scores, reverse=True)
    (some,) = detector.detect(IMAGE, texts, scores[2], 0.5)
    assert [d.score for d in some] == scores[:2]


def test_a_phrase_holds_the_words_above_the_text_threshold(detector):
    texts = detector.read(["the red star"])
    assert {d.phrase for d in detector.detect(IMAGE, texts, 0.0, 1.0)[0]} == {""}
    assert {d.phrase for d in detector.detect(IMAGE, texts, 0.0, -1.0)[0]} == {"the red star"}


@pytest.mark.parametrize(("box", "empty"), [((1, 1, 1, 5), True), ((1, 5, 4, 5), True), ((1, 1, 2, 2), False)])
def test_a_box_without_area_says_so(box, empty):
    assert Detection(box, 0.5, "").is_empty is empty


def test_weights_configuration_and_words_decide_the_hash(copy):
    before = load_detector(str(copy)).sha256
    (copy / "notes.txt").write_text("nothing that decides")
    assert load_detector(str(copy)).sha256 == before
    config = json.loads((copy / "config.json").read_text()) | {"max_text_len": 10}
    (copy / "config.json").write_text(json.dumps(config))
    assert load_detector(str(copy)).sha256 != before


def test_missing_weights_are_named(copy):
    state = load_file(copy / "model.safetensors")
    del state["model.enc_output.weight"]
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 missing \(model\.enc_output\.weight\)"):
        load_detector(str(copy))


def test_weights_of_another_shape_are_named(copy):
    state = load_file(copy / "model.safetensors")
    state["model.enc_output.weight"] = torch.zeros(3, 3)
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 of another shape \(model\.enc_output\.weight\)"):
        load_detector(str(copy))


def test_a_pickle_is_never_read(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"no model\.safetensors, but a pickle, which is never read"):
        load_detector(str(copy))


def test_a_cut_file_is_refused_by_name(copy):
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[:5000])
    with pytest.raises(CheckpointError, match="copy"):
        load_detector(str(copy))


@pytest.mark.parametrize("spec", ["nothing", "/no/such/folder", "./no", "a/b/c"])
def test_what_is_neither_a_folder_nor_a_hub_id_is_refused(spec):
    with pytest.raises(CheckpointError, match="expected a folder or a hub id"):
        load_detector(spec)
