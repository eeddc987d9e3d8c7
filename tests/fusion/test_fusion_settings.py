import json

import pytest

from core.errors import InputError
from fusion.settings import FusionSettings, GrounderSettings, MomentSettings, Weights, read_weights, write_weights

WEIGHTS = Weights(
    "dtos", FusionSettings(0.4, most=1), MomentSettings(pad=0.5), GrounderSettings(1.0), {"split": "calib"}
)


def test_weights_come_back_as_they_were_written(tmp_path):
    write_weights(tmp_path / "w.json", WEIGHTS)
    assert read_weights(tmp_path / "w.json") == WEIGHTS


def test_a_gate_is_written_only_where_it_can_shut(tmp_path):
    write_weights(tmp_path / "w.json", WEIGHTS)
    assert "gate" not in json.loads((tmp_path / "w.json").read_text())["rule"]
    gated = Weights(rule=FusionSettings(gate=0.7))
    write_weights(tmp_path / "g.json", gated)
    assert read_weights(tmp_path / "g.json") == gated
    assert gated.sha256 != Weights().sha256
    assert [gated.rule.shut(presence) for presence in (0.31, 0.29)] == [False, True]
    assert not FusionSettings().shut(0.0)


def test_the_hash_names_mode_and_numbers_and_not_how_they_were_found():
    assert Weights("dtos").sha256 != Weights("gated").sha256
    assert Weights().sha256 != Weights(rule=FusionSettings(0.6)).sha256
    assert Weights().sha256 == Weights(fitted={"a": 1}).sha256


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="other/1"), "expected format 'tracksift-fusion/1'"),
        (lambda d: d.pop("rule"), "expected format"),
        (lambda d: d.update(more=1), "expected format"),
        (lambda d: d["rule"].update(threshold=0.7), "the numbers that its hash names"),
        (lambda d: d["rule"].update(threshold=7), "expected probabilities"),
        (lambda d: d["rule"].update(threshold=True), r"rule\.threshold: expected a number, got True"),
        (lambda d: d["rule"].update(most=1.5), r"rule\.most: expected a number"),
        (lambda d: d["rule"].pop("most"), "rule: expected threshold, no_target_threshold, same_iou, most"),
        (lambda d: d.update(moments=[]), "moments: expected spans"),
        (lambda d: d.update(mode="best"), "expected one of tracks, gated, dtos, reranked, got 'best'"),
        (lambda d: d.update(fitted=1), "fitted: expected an object"),
    ],
)
def test_a_file_of_other_weights_is_refused(tmp_path, change, message):
    write_weights(tmp_path / "w.json", WEIGHTS)
    document = json.loads((tmp_path / "w.json").read_text())
    change(document)
    (tmp_path / "w.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=message):
        read_weights(tmp_path / "w.json")


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_file_that_is_missing_or_no_object_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "w.json").write_text(text)
    with pytest.raises(InputError, match=r"fusion weights .*w\.json: expected"):
        read_weights(tmp_path / "w.json")


@pytest.mark.parametrize(
    "make",
    [
        lambda: FusionSettings(most=-1),
        lambda: FusionSettings(same_iou=1.5),
        lambda: MomentSettings(spans=0),
        lambda: MomentSettings(least=2),
        lambda: MomentSettings(pad=-1),
        lambda: MomentSettings(frames=0),
        lambda: GrounderSettings(tracks=2),
        lambda: GrounderSettings(presence=-1),
        lambda: GrounderSettings(top=0),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(make):
    with pytest.raises(InputError, match=r"^fusion "):
        make()
