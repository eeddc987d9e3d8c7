"""`evaluate` of selectors: several at once, reliability, zero-shot; its metrics are tested in tests/tracksift."""

import pytest


@pytest.fixture
def places(world, caches):
    return ("--data", world, "--cache", caches, "--no-baselines", "--device", "cpu")


def test_several_selectors_give_mean_and_spread(command, places):
    one = command("evaluate", *places).figures
    same = command("evaluate", *places, "--checkpoints", "miniature,miniature")
    assert same.code == 0, same.err
    assert same.figures["jf"] == pytest.approx(one["jf"])
    assert same.figures["jf_spread"] == 0
    other = command("evaluate", *places, "--checkpoints", "miniature,clip_zeroshot").figures
    alone = command("evaluate", *places, "--selector", "clip_zeroshot").figures
    assert other["jf"] == pytest.approx((one["jf"] + alone["jf"]) / 2)
    assert {"attribute_jf", "no_target_f1", "ece", "lost_by_ranking", "lost_by_ranking_spread"} <= set(other)


def test_the_reliability_of_one_selector_is_drawn(command, places, tmp_path):
    outcome = command("evaluate", *places, "--reliability", tmp_path / "r.png")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    several = command("evaluate", *places, "--reliability", tmp_path / "x.png", "--checkpoints", "miniature,miniature")
    assert (several.code, "expected one selector" in several.err) == (2, True)


def test_zero_shot_refuses_what_the_selector_knows(command, places, tmp_path):
    splits = ("--split", "valid", "--valid-split", "valid", "--calib-split", "valid", "--epochs", 1)
    assert command("train-selector", *places[:4], *splits, "--out", tmp_path, "--device", "cpu").code == 0
    known = command("evaluate", *places, "--selector", tmp_path / "selector.safetensors", "--zero-shot")
    assert known.code == 2
    assert "does not know, got 'mevis/valid'" in known.err
    assert command("evaluate", *places, "--selector", "clip_zeroshot", "--zero-shot").code == 0
