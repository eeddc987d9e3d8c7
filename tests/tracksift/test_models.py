import json

import pytest

from core.errors import CheckpointError, InputError
from tracksift import models
from tracksift.ask import Pipeline
from tracksift.models import Models, read_threshold


@pytest.mark.parametrize("text", [None, "{", "{}", '{"threshold": "x"}'])
def test_a_record_without_a_threshold_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "detector.json").write_text(text)
    with pytest.raises(InputError, match="expected a record with a threshold"):
        read_threshold(tmp_path)


def test_a_detectors_threshold_is_its_records_and_otherwise_the_settings(tmp_path):
    of_folder = Pipeline(Models(detector=str(tmp_path)))
    assert (of_folder.models.detector_threshold, of_folder.detector_settings.box_threshold) == (None, 0.2)
    (tmp_path / "detector.json").write_text(json.dumps({"threshold": 0.4}))
    assert read_threshold(tmp_path) == of_folder.detector_settings.box_threshold == 0.4


def test_the_miniatures_detector_is_a_folder_among_its_weights_and_is_missed_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    with pytest.raises(CheckpointError, match=r"expected the folder 'detector' among .*miniature\.train_detector"):
        _ = Models().detector_spec
    (tmp_path / "detector").mkdir()
    assert Models().detector_spec == str(tmp_path / "detector")


def test_the_miniatures_settings_go_with_any_tracker_among_its_weights():
    by_path = Models(tracker=str(models.WEIGHTS / "sam2.safetensors"))
    other = Models(tracker="facebook/sam2.1-hiera-tiny")
    assert Pipeline(by_path).proposals == Pipeline().proposals != Pipeline(other).proposals
    assert (by_path.image_spec, other.image_spec) == (Models().image_spec, None)
    assert by_path.is_miniature
