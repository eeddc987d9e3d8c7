"""Training of the selector: caches in, a folder with a calibrated selector, its record and its logs out.

Knows recipes, data, calibration and the order of things. Does not know caches' insides, masks or benchmarks. A stopped
training goes on from its last epoch; what it leaves when done is the folder of `selector.checkpoints` and the logs.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from cache import TokenShelf
from core.atomic import atomic_path
from core.errors import CheckpointError, InputError
from core.hashing import json_sha256
from core.reporting import Progress
from core.text import TextEncoder
from selector.calibration import Calibration, Scored, fit_calibration, mean_score
from selector.checkpoints import WEIGHTS, load_selector, save_selector
from selector.data import SelectorData, build_data
from selector.fitting import STATE, Spread, fit, model_state, prepare_state
from selector.labelled import without_ground_truth
from selector.learner import SelectorModule, moment_figures, score_data
from selector.loading import Example, SelectorDataModule, read_examples
from selector.logs import CURVES, TABLE, write_history
from selector.modules import build
from selector.relational import RelationalSelector
from selector.rows import moments
from selector.settings import RelationalSettings, Settings, TrainingSettings

SEARCH = "search.json"


@dataclass(frozen=True)
class Splits:
    """The three parts of a training on this process' device; `valid` and `calib` hold no ground-truth tracks.

    packed: how many of their videos' tokens came out of packs.
    """

    train: SelectorData
    valid: SelectorData
    calib: SelectorData
    packed: int = 0


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    figures: `best_epoch`, `valid_score` (a stand-in for J&F), `calib_score`, `train_expressions`,
        `packed_videos` (whose tokens came out of packs), `steps`, `minutes`,
        and `learning_rate` where it was searched.
    calibration: as stored.   valid: logits and labels of the validation split, which calibration never saw.
    """

    figures: dict[str, float | int]
    calibration: Calibration
    valid: tuple[Scored, ...]


def train_selector(
    train: Sequence[Example],
    valid: Sequence[Example],
    calib: Sequence[Example],
    encoder: TextEncoder,
    settings: Settings,
    training: TrainingSettings,
    out: Path,
    device: torch.device,
    *,
    recipe: str = "",
    rates: Sequence[float] = (),
    spread: Spread | None = None,
    resume: bool = True,
    workers: int = 0,
    stream: bool = False,
    read_progress: Progress | None = None,
    progress: Progress | None = None,
) -> Trained | None:
    """Train on caches, keep the epoch that is best on `valid`, calibrate on `calib`, write the folder `out`.

    Args:
        train, valid, calib: cache files with labels, and their expressions; `valid` and `calib` are read without
            ground-truth tracks.
        encoder: frozen, on any device.
        settings, training: the module and how it is trained.
        out: a folder for `selector.safetensors`, `selector.json` and the logs.
        device: with several devices, any of their kind.
        recipe: the name under which the record keeps the settings.
        rates: learning rates to try in place of the settings'; the one that is best on `calib` is kept, every one in
            a folder of its own.
        spread: processes and precision; one process by default.
        resume: go on from `out/selector.training` where an earlier training of the same settings and data was stopped.
        workers: processes that read caches.
        stream: leave tokens where they were read, in the mapped packs where there are any, for splits that do not fit
            the device.
        read_progress, progress: told of caches read, and of steps done.

    Returns:
        What came of it, or None in any process but the first.

    Raises:
        InputError: for caches without labels, widths that do not fit the settings, or a stopped training of others.
    """
    if training.alignment_weight and isinstance(settings, RelationalSettings):
        raise InputError("training settings: expected an alignment_weight of 0 with the relational module, got more")
    if training.mirror_share and not settings.geometry:
        raise InputError("training settings: expected a mirror_share of 0 for a module that reads no boxes, got more")
    if (training.moment_weight > 0) != (settings.moment_width > 0):
        raise InputError(
            "training settings: expected moment_weight and moment_width both above 0 or both 0 (of the relational "
            f"module alone), got {training.moment_weight:g} and {settings.moment_width}"
        )
    spread = spread or Spread()
    if spread.graphs and stream:
        raise InputError("--graphs: expected tokens on the GPU, got --stream")
    device = spread.place(device)
    torch.manual_seed(training.seed)
    examples = (train, valid, calib)
    splits = read_splits(
        examples, encoder, settings, training, device, workers=workers, stream=stream, progress=read_progress
    )
    _check_widths(settings, splits.train, encoder)
    named = tuple(sorted({"/".join(path.parts[-3:-1]) for part in examples for path, _ in part}))
    run = Run(splits, encoder.sha256, settings, device, spread, recipe, named, resume)
    if rates:
        return _search(run, training, sorted(rates), out, progress)
    return run.train(training, out, progress)


def read_splits(
    examples: Sequence[Sequence[Example]], encoder: TextEncoder, settings: Settings, training: TrainingSettings,
    device: torch.device, *, workers: int = 0, stream: bool = False, progress: Progress | None = None,
) -> Splits:  # fmt: skip
    """Read training, validation and calibration examples once and put them on the device, or stream them there."""
    counts, shelf = [len(part) for part in examples], TokenShelf()
    videos = read_examples(
        [example for part in examples for example in part], geometry=settings.geometry,
        looks=settings.look_width > 0, tokens=settings.token_width > 0, workers=workers, progress=progress, shelf=shelf,
    )  # fmt: skip
    parts = [videos[sum(counts[:i]) : sum(counts[: i + 1])] for i in range(3)]
    held_out = [[without_ground_truth(video) for video in part] for part in parts[1:]]
    learn, choose, tune = (
        build_data(p, encoder, device, training.positive_iou, training.least_iou, stream=stream)
        for p in (parts[0], *held_out)
    )
    return Splits(learn, choose, tune, shelf.packed)


@dataclass(frozen=True)
class Run:
    """One training's surroundings, the same for every learning rate tried: `train_selector` after reading.

    text_encoder: hash of the encoder of the splits' words.   named: the splits' names, for the record.
    """

    splits: Splits
    text_encoder: str
    settings: Settings
    device: torch.device
    spread: Spread = field(default_factory=Spread)
    recipe: str = ""
    named: tuple[str, ...] = ()
    resume: bool = True

    def train(self, training: TrainingSettings, out: Path, progress: Progress | None = None) -> Trained | None:
        """See `train_selector`."""
        start, main = time.monotonic(), self.spread.rank == 0
        torch.manual_seed(training.seed)
        data = self.splits.train
        model = build(self.settings)
        if isinstance(model, RelationalSelector):
            model.fit_input(*moments(data.rows))
        module = SelectorModule(
            model, data, self.splits.valid, training, progress, lambda history: write_history(out, history),
            graphs=self.spread.graphs,
        )  # fmt: skip
        state = out / STATE
        last = prepare_state(state, self.identity(training), resume=self.resume, main=main)
        loader = SelectorDataModule(
            data, self.splits.valid, batch=training.batch, together=training.together, seed=training.seed
        )
        best = fit(module, loader, state, last, self.device, self.spread)
        if not main:
            return None
        model.load_state_dict(model_state(best))
        record: dict[str, Any] = {
            "recipe": self.recipe,
            "splits": list(self.named),  # dataset and split, as a cache's place says
            "identity": self.identity(training),
            "training": asdict(training),
            "history": module.history,
            "steps": module.global_step,
            "expressions": len(data),
            "steps_per_second": module.steps_per_second,
        }
        trained = self._calibrated(out, model, record, start)
        shutil.rmtree(state)
        return trained

    def _calibrated(self, out: Path, model: Any, record: dict[str, Any], start: float) -> Trained:
        """Calibrate on the weights as they are stored, and store them with what came of it."""
        data = self.splits.train
        facts = (data.tracker, self.text_encoder)
        save_selector(out / WEIGHTS, model, Calibration(), *facts, record, data.look)
        stored = load_selector(out, self.device).model
        calib, valid = (score_data(stored, part) for part in (self.splits.calib, self.splits.valid))
        calibration = fit_calibration(calib, relative=record["training"]["relative_rule"])
        scores = max(record["history"], key=lambda line: float(line["valid_score"]))
        figures = {
            "best_epoch": int(scores["epoch"]),
            "valid_score": scores["valid_score"],
            "calib_score": round(mean_score(calib, calibration), 5),
            "train_expressions": len(data),
            **moment_figures(stored, self.splits.valid),
            "packed_videos": self.splits.packed,
            "steps": int(record["steps"]),
            "minutes": round((time.monotonic() - start) / 60, 2),
        }
        save_selector(out / WEIGHTS, model, calibration, *facts, record | {"figures": figures}, data.look)
        return Trained(figures, calibration, tuple(valid))

    def identity(self, training: TrainingSettings) -> str:
        """The hash of all that decides what comes of a training."""
        data = self.splits.train
        caches = [data.caches[video] for video in data.numbers.tolist()]
        return json_sha256([asdict(self.settings), asdict(training), data.tracker, self.text_encoder, caches])

    def finished_or_train(
        self, training: TrainingSettings, out: Path, progress: Progress | None = None
    ) -> Trained | None:
        """What came of the same training, read where `out` holds it, else made."""
        return self.finished(training, out) or self.train(training, out, progress)

    def finished(self, training: TrainingSettings, out: Path) -> Trained | None:
        """What came of the same training, where `out` holds it."""
        try:
            selector = load_selector(out, self.device)
        except CheckpointError:
            return None
        if not self.resume or selector.record.get("identity") != self.identity(training):
            return None
        valid = score_data(selector.model, self.splits.valid)
        return Trained(dict(selector.record["figures"]), selector.calibration, tuple(valid))


def _search(
    run: Run, training: TrainingSettings, rates: Sequence[float], out: Path, progress: Progress | None
) -> Trained | None:
    """Train with every rate, each in full; the one with the best score on `calib` becomes `out`'s."""
    found: dict[float, Trained] = {}
    for number, rate in enumerate(rates):

        def told(done: int, total: int | None, number: int = number) -> None:
            if progress is not None and total is not None:
                progress(number * total + done, len(rates) * total)

        trained = run.finished_or_train(replace(training, learning_rate=rate), rate_folder(out, rate), told)
        if trained is not None:
            found[rate] = trained
    return None if run.spread.rank else keep_best(out, found)


def keep_best(out: Path, found: Mapping[float, Trained]) -> Trained:
    """Make the rate that is best on `calib` `out`'s: its files out of `rate_...` there, and SEARCH beside them."""
    best = max(found, key=lambda rate: found[rate].figures["calib_score"])
    for name in (WEIGHTS, str(Path(WEIGHTS).with_suffix(".json")), TABLE, CURVES):
        with atomic_path(out / name) as path:
            shutil.copyfile(rate_folder(out, best) / name, path)
    lines = [{"learning_rate": rate, **trained.figures} for rate, trained in found.items()]
    with atomic_path(out / SEARCH) as path:
        path.write_text(json.dumps(lines, indent=2) + "\n", encoding="utf-8")
    return replace(found[best], figures={**found[best].figures, "learning_rate": best})


def rate_folder(out: Path, rate: float) -> Path:
    """Where a search keeps what one learning rate gave."""
    return out / f"rate_{rate:g}"


def _check_widths(settings: Settings, data: SelectorData, encoder: TextEncoder) -> None:
    if data.rows.width != settings.input_width:
        raise InputError(
            f"selector settings: expected caches with {settings.input_width} numbers a track and frame (tokens, "
            f"geometry and looks), got {data.rows.width}"
        )
    if settings.look_width and not data.look:
        raise InputError("selector settings: expected caches that name the encoder of their looks, got looks of nobody")
    if encoder.width != settings.text_width:
        raise InputError(
            f"selector settings: expected a text encoder of width {settings.text_width}, got {encoder.width} "
            f"of {encoder.name!r}"
        )
