"""The selectors that are compared, by name: a recipe and what is changed of it (`selector/ABLATIONS.md`).

Knows recipes. Does not know data or training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from core.errors import InputError
from selector.recipes import UNTRAINED, changed, find_recipe
from selector.settings import Settings, TrainingSettings


@dataclass(frozen=True)
class Variant:
    """One way to make a selector.   changes: NAME=VALUE, as `--set` takes them."""

    name: str
    recipe: str = "default"
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A variant as settings; rates: learning rates to try, () for the training's own."""

    variant: Variant
    settings: Settings
    training: TrainingSettings
    rates: tuple[float, ...] = ()


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        variant.name: variant
        for variant in (
            Variant("default"),
            Variant("sola", "sola"),
            Variant("sola-tuned", "sola-tuned"),
            Variant("narrow", changes=("embed_width=128", "heads=4")),
            Variant("shallow", changes=("layers=3",)),
            Variant("with-tokens", changes=("token_width=128",)),
            Variant("boxes-only", changes=("outline=false",)),
            Variant("no-mirror", changes=("mirror_share=0",)),
            Variant("former", changes=("token_width=128", "outline=false", "mirror_share=0")),
            Variant("relative", changes=("relative_rule=true",)),
            Variant("moments", changes=("moment_width=64", "moment_weight=0.2")),
            Variant("moments-heavy", changes=("moment_width=64", "moment_weight=1")),
            Variant("presence", changes=("presence_weight=0.1",)),
            Variant("soft-labels", changes=("label_ramp=0.2",)),
            Variant("word-dropout", changes=("word_dropout=0.1",)),
            Variant("track-dropout", changes=("track_dropout=0.1",)),
            Variant("look-noise", changes=("look_noise=0.3",)),
            Variant("robust", changes=("word_dropout=0.1", "track_dropout=0.1", "look_noise=0.3")),
            Variant("strict", changes=("least_iou=1",)),
            Variant("truth", changes=("truth_share=0.5",)),
            Variant("no-negatives", changes=("together=1",)),
        )
    }
)


def choose_variants(names: str, defined: Sequence[str]) -> list[Variant]:
    """The variants of `names` (with commas between), those of `defined` (NAME: NAME=VALUE ...) among them.

    Raises:
        InputError: for a name that is neither, or a definition of another form or of a name that there is.
    """
    known = dict(VARIANTS)
    for text in defined:
        name, colon, changes = text.partition(":")
        recipe, _, own = name.strip().partition("@")
        if not colon or not recipe or recipe in known or not changes.split():
            raise InputError(f"--define: expected NAME: NAME=VALUE ... with a name of its own, got {text!r}")
        known[recipe] = Variant(recipe, own or "default", tuple(changes.split()))
    chosen = list(dict.fromkeys(names.split(",")))
    unknown = [name for name in chosen if name not in known and name != UNTRAINED]
    if unknown:
        raise InputError(f"--variants: expected some of {', '.join([*known, UNTRAINED])}, got {', '.join(unknown)}")
    return [known.get(name, Variant(name, UNTRAINED)) for name in chosen]


def plan(variant: Variant, text_width: int, changes: Sequence[str] = ()) -> Plan:
    """The variant's settings for a text encoder's width; `changes` come before its own, of a recipe that has the name.

    Raises:
        InputError: for a change that no recipe has.
    """
    settings, recipe = find_recipe(variant.recipe, "miniature")
    settings, training = changed(settings, recipe.training, [*changes, *variant.changes])
    fixed = any(change.startswith("learning_rate=") for change in variant.changes)
    return Plan(variant, replace(settings, text_width=text_width), training, () if fixed else recipe.rates)
