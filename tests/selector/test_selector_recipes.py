import pytest

from core.errors import InputError
from selector.recipes import RECIPES, changed, find_recipe
from selector.settings import SolaSettings, TrainingSettings


def test_solas_recipe_has_the_published_module_losses_rate_and_schedule():
    shape, recipe = find_recipe("sola", "full")
    training, published = recipe.training, TrainingSettings()
    assert shape == SolaSettings()
    same = ("learning_rate", "schedule", "patience", "positive_weight", "alignment_weight", "clip_norm", "truth_share")
    assert all(getattr(training, name) == getattr(published, name) for name in same)
    assert (published.learning_rate, published.batch, published.epochs, published.schedule) == (5e-6, 1, 15, "plateau")


def test_the_tuned_baseline_differs_from_the_published_one_in_rate_and_schedule_alone():
    plain, tuned = RECIPES["sola"], RECIPES["sola-tuned"]
    different = {
        name for name in TrainingSettings.__dataclass_fields__
        if getattr(plain.training, name) != getattr(tuned.training, name)
    }  # fmt: skip
    assert different == {"schedule", "warm_up"}
    assert plain.sizes == tuned.sizes


def test_ours_reads_outlines_and_mirrors_in_every_size_and_tokens_in_the_full_one():
    for size, tokens in (("miniature", 0), ("full", 256)):
        shape, recipe = find_recipe("default", size)
        assert (shape.token_width, shape.outline, recipe.training.mirror_share) == (tokens, True, 0.5)


def test_changes_go_to_whichever_settings_have_the_name():
    shape, recipe = find_recipe("sola", "miniature")
    shape, training = changed(
        shape, recipe.training, ["layers=3", "token_noise=0.5", "schedule=cosine", "motion_widths=8,8,8,8,8,512"]
    )
    assert (shape.layers, shape.motion_widths) == (3, (8, 8, 8, 8, 8, 512))
    assert (training.token_noise, training.schedule) == (0.5, "cosine")
    for word, value in (("true", True), ("false", False)):
        assert changed(shape, training, [f"relative_rule={word}"])[1].relative_rule is value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("layers", "NAME=VALUE"),
        ("colour=3", "NAME=VALUE with a name of .*layers.*got 'colour=3'"),
        ("relative_rule=1", "--set relative_rule: expected bool, got '1'"),
        ("layers=two", "--set layers: expected int, got 'two'"),
        ("motion_widths=a", "whole numbers with commas"),
        ("track_dropout=2", "shares in 0..1"),
        ("label_ramp=-1", "at least 0"),
    ],
)
def test_changes_that_mean_nothing_are_refused(change, message):
    shape, recipe = find_recipe("sola", "miniature")
    with pytest.raises(InputError, match=message):
        changed(shape, recipe.training, [change])


def test_the_recipe_without_training_says_what_to_run():
    with pytest.raises(InputError, match="evaluate --selector clip_zeroshot"):
        find_recipe("clip_zeroshot", "miniature")


@pytest.mark.parametrize(("name", "size"), [("best", "full"), ("default", "huge")])
def test_unknown_recipes_and_sizes_are_refused_with_those_that_there_are(name, size):
    with pytest.raises(InputError, match=r"default, sola, sola-tuned|miniature, full"):
        find_recipe(name, size)
