"""Recipes by name: which module, in which size, trained how, and which learning rates are tried.

Knows settings. Does not know tensors, data or flags. All recipes take the same caches, splits, text features, batches
and epochs, so that they take the same number of steps; they differ in module, losses and schedule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from core.errors import InputError
from selector.settings import RelationalSettings, Settings, SolaSettings, TrainingSettings

SOLA = SolaSettings()
"""The published module."""
SMALL_SOLA = SolaSettings(
    token_width=128, text_width=128, embed_width=512, motion_widths=(256, 256, 256, 512, 512, 512)
)  # fmt: skip
"""The same at half its width, which is 8.3 million weights beside the 5.8 million of ours in the miniature."""
RELATIONAL = RelationalSettings(outline=True)
"""Ours. It keeps object tokens: that a module does better without was measured in the miniature alone."""
SMALL_RELATIONAL = RelationalSettings(
    token_width=0, text_width=128, look_width=128, embed_width=192, heads=6, outline=True
)  # fmt: skip
# Chosen on valid and shifted_dev, where rates, batches, widths and depths that were tried lay close to each other
# (ABLATIONS.md says what of this was measured by itself).
RELATIONAL_TRAINING = TrainingSettings(
    epochs=12,
    batch=1024,
    together=20,
    learning_rate=1e-3,
    weight_decay=0.05,
    schedule="cosine",
    warm_up=0.03,
    alignment_weight=0.0,
    truth_share=0.0,
    token_noise=0.1,
    least_iou=0.2,
    mirror_share=0.5,
    seed=0,
)
# SOLA's losses, optimiser, rate and plateau. Its batch of one expression would take 1,024 times the steps; `--batch 1
# --set together=1 --epochs 15` is the letter of it.
SOLA_TRAINING = TrainingSettings(epochs=12, batch=1024, together=20, seed=0)
# All that ours is given too: a schedule that ends at 0, a warm-up, and a rate that fits the batch.
TUNED_SOLA_TRAINING = replace(SOLA_TRAINING, schedule="cosine", warm_up=0.03)


@dataclass(frozen=True)
class Recipe:
    """One way to make a selector.   sizes: shape by name.   rates: learning rates to try, () for the training's own."""

    sizes: Mapping[str, Settings]
    training: TrainingSettings
    rates: tuple[float, ...] = ()


RECIPES: Mapping[str, Recipe] = {
    "default": Recipe({"miniature": SMALL_RELATIONAL, "full": RELATIONAL}, RELATIONAL_TRAINING),
    "sola": Recipe({"miniature": SMALL_SOLA, "full": SOLA}, SOLA_TRAINING),
    "sola-tuned": Recipe(
        {"miniature": SMALL_SOLA, "full": SOLA}, TUNED_SOLA_TRAINING, (1e-4, 3e-4, 6e-4, 1.2e-3, 2.4e-3)
    ),
}
SWITCH = {"true": True, "True": True, "false": False, "False": False}
SIZES = ("miniature", "full")
UNTRAINED = "clip_zeroshot"
"""The recipe without training (`selector.zeroshot`)."""


def find_recipe(name: str, size: str) -> tuple[Settings, Recipe]:
    """Shape and recipe of a name and a size; InputError naming those that there are."""
    if name == UNTRAINED:
        raise InputError(f"--recipe {name}: expected one that is trained; run `tracksift evaluate --selector {name}`")
    if name not in RECIPES:
        raise InputError(f"--recipe: expected one of {', '.join(RECIPES)}, got {name!r}")
    if size not in SIZES:
        raise InputError(f"--size: expected one of {', '.join(SIZES)}, got {size!r}")
    return RECIPES[name].sizes[size], RECIPES[name]


def changed(
    settings: Settings, training: TrainingSettings, changes: Sequence[str]
) -> tuple[Settings, TrainingSettings]:
    """Both with `changes` of the form NAME=VALUE, each going to whichever has the name.

    Raises:
        InputError: for another form, a name that neither has, or a value of another type.
    """
    found: list[dict[str, Any]] = [{}, {}]
    for change in changes:
        name, equals, text = change.partition("=")
        owners = [i for i, s in enumerate((settings, training)) if name in {f.name for f in fields(s)}]
        if not equals or not owners:
            known = ", ".join(sorted(f.name for s in (settings, training) for f in fields(s)))
            raise InputError(f"--set: expected NAME=VALUE with a name of {known}, got {change!r}")
        for i in owners:
            found[i][name] = _parsed(getattr((settings, training)[i], name), name, text)
    return replace(settings, **found[0]), replace(training, **found[1])


def _parsed(old: Any, name: str, text: str) -> Any:
    """The text as a value of the type of `old`; widths and the like are numbers with commas."""
    try:
        if isinstance(old, tuple):
            return tuple(int(part) for part in text.split(","))
        return SWITCH[text] if isinstance(old, bool) else type(old)(text)
    except (ValueError, KeyError) as error:
        kind = "whole numbers with commas" if isinstance(old, tuple) else type(old).__name__
        raise InputError(f"--set {name}: expected {kind}, got {text!r}") from error
