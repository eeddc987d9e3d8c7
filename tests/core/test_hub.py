import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from core.errors import CheckpointError
from core.hub import first_line, hub_folder


def test_a_hub_folder_holds_only_what_was_asked_for(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: asked.append((a, k)) or str(tmp_path))
    assert hub_folder("tracker", "owner/name", ("*.safetensors",)) == tmp_path
    assert asked == [(("owner/name",), {"allow_patterns": ["*.safetensors"]})]


def test_a_hub_that_cannot_be_reached_is_a_sentence(monkeypatch):
    def absent(*_, **__):
        raise LocalEntryNotFoundError("none")

    monkeypatch.setattr("huggingface_hub.snapshot_download", absent)
    with pytest.raises(CheckpointError, match=r"^detector 'owner/name': expected a GroundingDINO from the hub or its"):
        hub_folder("detector", "owner/name", (), "a GroundingDINO")


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("\nshape\nmore"), "shape"), (ValueError(" "), "ValueError"), (KeyError(), "KeyError")],
)
def test_the_first_line_of_an_error_or_its_kind(error, line):
    assert first_line(error) == line
