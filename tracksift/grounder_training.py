"""Trains a grounder on real annotations: examples, clips from caches, a recipe, and what is left in a folder.

Knows recipes, annotations, caches, backbones and the training. Does not know flags.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cache import open_cache, read_frames
from core.errors import InputError
from core.reporting import Progress, environment
from llm_grounder.backbone import Backbone, LoraSettings, TinyShape, make_tokenizer, pretrained_backbone, tiny_backbone
from llm_grounder.checkpoints import save_grounder
from llm_grounder.grounder import Grounder
from llm_grounder.mixture import Mixture, Source
from llm_grounder.optimiser import TrainingSettings
from llm_grounder.settings import GrounderSettings
from llm_grounder.training import STATE, Spread, train_grounder
from llm_grounder.types import Clip
from tracksift.annotations import Examples, read_examples
from tracksift.clips import Inputs, read_clip, read_track_clip
from tracksift.moments import cache_of
from tracksift.recipes import Recipe, make_sources

LOG, FOLDER = "log.jsonl", "grounder"
CLIPS_HELD = 64
FITTED = 32  # clips whose tracks say how much their values spread
TINY = "tiny"


@dataclass(frozen=True)
class Material:
    """What is learnt from: examples of each split, those of the recipe's tasks counted, and its caches by video id.

    width, patches: of the features.   track_width: of tracks, 0 where none are read.
    """

    splits: tuple[Examples, ...]
    counts: Counter[str]
    caches: Mapping[tuple[str, str], Path]
    width: int
    patches: int
    track_width: int = 0


def gather(
    data: Sequence[tuple[str, str | None, Path]], root: Path, recipe: Recipe, inputs: Inputs, limit: int | None = None
) -> Material:
    """Read annotations and find the caches of all their videos.   limit: the first so many examples of each split.

    Raises:
        InputError: where a split has nothing of the recipe's tasks, a video has no features, or tracks are to be read
            and no cache has any.
        AnnotationError, CacheError: for files that cannot be used.
    """
    if not data:
        raise InputError("--data: expected one split to learn from or more, got none")
    splits, counts, caches = [], Counter[str](), dict[tuple[str, str], Path]()
    for name, split, path in data:
        found = read_examples(name, path, split)
        known = len(found.found)
        found.found[:] = [e for e in found.found if e.request.task in recipe.tasks][:limit]
        if not found.found:
            tasks = ", ".join(sorted(recipe.tasks))
            raise InputError(f"{name}: expected examples of {tasks}, got none among {known} with a truth")
        for example in found.found:
            counts[f"{name} {example.request.task.value}"] += 1
            if (name, example.video_id) not in caches:
                caches[name, example.video_id] = cache_of(root, name, found.split, example.video_id)
        splits.append(found)
    first = read_frames(next(iter(caches.values())), inputs.encoder)
    patches = 1 if first.patches is None else first.patches.shape[1]
    width = first.pooled.shape[1] if first.patches is None else first.patches.shape[2]
    tracks = width_of_tracks(list(caches.values()), numbers=inputs.numbers) if inputs.tracks else 0
    return Material(tuple(splits), counts, caches, width * (2 if inputs.motion else 1), patches, tracks)


def width_of_tracks(paths: Sequence[Path], *, numbers: bool) -> int:
    """How many values a track has in a frame, in the first of the caches that has tracks.

    Raises:
        InputError: where none has any, or they have no object tokens and are to be read by these.
        ScorerMismatchError: where they have no looks and are to be read by their numbers.
    """
    tracked = next((cached for cached in map(open_cache, paths) if len(cached)), None)
    if tracked is None:
        raise InputError(
            f"--tracks: expected a cache with tracks, got none among {len(paths)}; run `tracksift generate`"
        )
    width = read_track_clip(tracked, numbers=numbers)[0].shape[-1]
    if not width:
        raise InputError(f"{tracked.path}: expected tracks with object tokens, got none; add --track-numbers")
    return width


def fit_tracks(grounder: Grounder, material: Material, inputs: Inputs) -> None:
    """Tracks' values are taken as multiples of their spread in the first FITTED clips that show any.

    Raises:
        InputError: where no clip does.
        CacheError: for a cache that cannot be used.
    """
    tracked = (path for path in material.caches.values() if len(open_cache(path)))
    clips = (read_clip(path, inputs) for path in tracked)
    seen = (clip for clip in clips if not clip.track_boxes.isnan().all())
    shown = [(clip.track_tokens, clip.track_boxes) for clip in itertools.islice(seen, FITTED)]
    if not shown:
        raise InputError("--tracks: expected tracks that are seen in frames with features, got none")
    grounder.inputs.tracks.fit(*zip(*shown, strict=True))


def make_backbone(spec: str, material: Material, settings: GrounderSettings, lora: LoraSettings | None) -> Backbone:
    """The language model `spec`, or for TINY a small one over the words of the examples."""
    if spec == TINY:
        texts = [t for s in material.splits for e in s.found for t in _texts(e)]
        return tiny_backbone(
            make_tokenizer(texts, TinyShape().vocabulary), TinyShape(), spans=settings.spans, tracks=settings.tracks
        )
    return pretrained_backbone(spec, spans=settings.spans, tracks=settings.tracks, lora=lora)


def train(
    grounder: Grounder, material: Material, recipe: Recipe, name: str, inputs: Inputs, training: TrainingSettings,
    spread: Spread, out: Path, *, resume: bool = False, progress: Progress | None = None,
) -> Counter[str]:  # fmt: skip
    """Train, and in the first process write OUT/grounder and OUT/log.jsonl; how many samples of each task were drawn.

    Raises:
        InputError: with a stopped training in OUT that is not to be resumed, or none that is.
        StoppedError: when a signal ends it.
        TrackSiftError: for a loss that is not finite, or a file that cannot be used.
    """
    out.mkdir(parents=True, exist_ok=True)
    if inputs.tracks:
        fit_tracks(grounder, material, inputs)
    batches = Mixture(
        sources_of(material, recipe, inputs), grounder.settings, tokens=training.tokens, most=training.most,
        seed=training.seed, rank=spread.rank, processes=spread.processes,
    )  # fmt: skip
    learnt = train_grounder(
        grounder, batches, training, spread, out, resume=resume, tell=_teller(out / LOG), progress=progress
    )
    if spread.rank == 0:
        record = make_record(name, recipe, material, inputs, training, spread, learnt.drawn)
        save_grounder(out / FOLDER, grounder, record, state=learnt.state)
        (out / STATE).unlink(missing_ok=True)
    return learnt.drawn


def sources_of(material: Material, recipe: Recipe, inputs: Inputs) -> list[Source]:
    """Sources of samples of all splits; clips that were read lately are held."""

    @lru_cache(maxsize=CLIPS_HELD)
    def clip(name: str, video_id: str) -> Clip:
        return read_clip(material.caches[name, video_id], inputs)

    out: list[Source] = []
    for split in material.splits:

        def clip_of(video_id: str, name: str = split.name) -> Clip:
            return clip(name, video_id)

        out += make_sources(split.name, split.found, recipe.tasks, recipe.manner, clip_of)
    return out


def make_record(
    name: str, recipe: Recipe, material: Material, inputs: Inputs, training: TrainingSettings, spread: Spread,
    drawn: Counter[str],
) -> dict[str, Any]:  # fmt: skip
    """What was trained, on what and how."""
    left_out = {f"{s.name} {s.split}": dict(s.left_out) for s in material.splits}
    return {
        "recipe": name, "inputs": inputs.record(), "manner": asdict(recipe.manner), "examples": dict(material.counts),
        "left_out": left_out, "drawn": dict(drawn), "training": asdict(training), "processes": spread.processes,
        "environment": environment(),
    }  # fmt: skip


def _teller(path: Path) -> Callable[..., None]:
    def tell(**line: object) -> None:
        with path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")

    return tell


def _texts(example: Any) -> list[str]:
    truth = example.truth
    return [text for text in (example.request.text, truth.text, *(t.text for t in truth.told)) if text]
