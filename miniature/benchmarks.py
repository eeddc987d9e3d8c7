"""Timings on one rendered clip: masklets beside the official predictor, answers beside tracking again.

Knows the pipelines and the package's video predictor. Does not know command lines. Medians after a warm-up; a ratio is
always of two figures of the same run.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.sam2_video_predictor import SAM2VideoPredictor

from cache import write_cache
from core.devices import autocast, pick_device
from core.frames import ArrayReader
from core.reporting import Progress
from core.types import Expression, Source
from miniature.preset_benchmark import time_presets
from miniature.sam2_training.forward import normalise
from miniature.splits import find_split
from miniature.world import make_clip
from proposals.benchmark.memory import Course, LoopingReader, births, follow
from proposals.benchmark.stage import make_prompts
from proposals.checkpoints import build_sam2
from proposals.features import FeatureStore
from proposals.generate import propose
from proposals.looks import with_looks
from proposals.prompts import MaskPrompt
from proposals.propagation import propagate
from proposals.settings import Resources
from tracksift.ask import Pipeline
from tracksift.models import WEIGHTS

LOOP = 48  # frames of the clip that is shown over and over
SEED = find_split("valid").first_seed
Figures = dict[str, float | int]


def time_proposals(pipeline: Pipeline, frames: int, repeats: int, progress: Progress) -> Figures:
    """Masklets of every object of frame 0, forward, ours and official: ms a frame, their ratio, mask disagreement."""
    clip = make_clip(SEED, frames=frames)
    first = clip.masks[:, 0]
    shown = first[first.sum(axis=(1, 2)) >= 40]
    prompts = [MaskPrompt(0, mask, Source.GROUND_TRUTH) for mask in shown]
    resources = Resources()
    tracker = pipeline.tracker.ready(resources)

    def ours() -> NDArray[np.bool_]:
        reader = ArrayReader(clip.frames, video_id="benchmark", fps=clip.fps)
        tracks = propagate(tracker, FeatureStore(reader, tracker, resources), prompts)
        return np.stack([track.decode() for track in tracks])

    official = _official(pipeline, clip.frames, shown)
    times, masks = _alternate({"ours": ours, "official": official}, repeats, progress)
    error = float((masks["ours"] != masks["official"]).mean())
    return {
        "objects": len(shown),
        "ours_frame_ms": 1000 * times["ours"] / frames,
        "official_frame_ms": 1000 * times["official"] / frames,
        "speed_ratio": times["official"] / times["ours"],
        "mask_error": error,
    }


def time_answers(pipeline: Pipeline, frames: int, repeats: int, progress: Progress) -> Figures:
    """One new expression from a cache file, and tracking the clip: ms each and their ratio."""
    clip = make_clip(SEED, frames=frames)
    reader = ArrayReader(clip.frames, video_id="benchmark", fps=clip.fps)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "benchmark.h5"
        tracks = propose(reader, pipeline.tracker, pipeline.proposals)
        write_cache(path, with_looks(tracks, reader, pipeline.image_encoder))
        work: dict[str, Callable[[], object]] = {
            "answer": lambda: pipeline.answer(path, [Expression("0", "the red star")]),
            "tracking": lambda: propose(reader, pipeline.tracker, pipeline.proposals),
        }
        times, _ = _alternate(work, repeats, progress)
    return {
        "answer_ms": 1000 * times["answer"],
        "tracking_ms": 1000 * times["tracking"],
        "speed_ratio": times["tracking"] / times["answer"],
    }


def follow_long(pipeline: Pipeline, frames: int, objects: int, resources: Resources) -> Course:
    """A rendered clip shown forward and back for `frames` frames, and objects of both sweeps: the course of memory."""
    clip = make_clip(SEED, frames=LOOP)
    reader = LoopingReader(clip.frames, frames, clip.fps)
    tracker = pipeline.tracker.ready(resources)
    return follow(tracker, reader, make_prompts(objects, births(frames), reader.meta.size), resources)


BENCHMARKS: Mapping[str, Callable[[Pipeline, int, int, Progress], Figures]] = {
    "proposals": time_proposals,
    "answers": time_answers,
    "presets": time_presets,
}


def _official(
    pipeline: Pipeline, frames: NDArray[np.uint8], masks: NDArray[np.bool_]
) -> Callable[[], NDArray[np.bool_]]:
    """The official predictor with the same weights, fed the same pixels, one object id after the other."""
    device = pick_device(pipeline.device)
    model = build_sam2(WEIGHTS / "sam2.yaml")
    model.load_state_dict(pipeline.tracker.model.state_dict())
    predictor = model.to(device).eval()
    predictor.__class__ = SAM2VideoPredictor  # the same module, with the predictor's methods and its plain settings
    predictor.fill_hole_area, predictor.non_overlap_masks = 0, False
    predictor.clear_non_cond_mem_around_input = predictor.add_all_frames_to_correct_as_cond = False

    @torch.inference_mode()
    def run() -> NDArray[np.bool_]:
        with autocast(device):
            images = normalise(torch.from_numpy(frames).to(device))
            state = _state(predictor, images)
            for number, mask in enumerate(masks):
                predictor.add_new_mask(state, frame_idx=0, obj_id=number, mask=mask)
            steps = [logits[:, 0] > 0 for _, _, logits in predictor.propagate_in_video(state)]
        return torch.stack(steps, dim=1).cpu().numpy()

    return run


def _state(predictor: SAM2VideoPredictor, images: torch.Tensor) -> dict[str, object]:
    """What the package's `init_state` makes of a folder of frames, made of frames in memory."""
    from collections import OrderedDict

    named = ("point_inputs_per_obj", "mask_inputs_per_obj", "output_dict_per_obj", "temp_output_dict_per_obj")
    state: dict[str, object] = {name: {} for name in (*named, "cached_features", "constants", "frames_tracked_per_obj")}
    state |= {"images": images, "num_frames": len(images), "offload_video_to_cpu": False, "offload_state_to_cpu": False}
    state |= {"video_height": images.shape[-2], "video_width": images.shape[-1], "obj_ids": []}
    state |= {"device": images.device, "storage_device": images.device}
    state |= {"obj_id_to_idx": OrderedDict(), "obj_idx_to_id": OrderedDict()}
    return state


def _alternate(
    work: Mapping[str, Callable[[], NDArray[np.bool_]]] | Mapping[str, Callable[[], object]],
    repeats: int,
    progress: Progress,
) -> tuple[dict[str, float], dict[str, NDArray[np.bool_]]]:
    """Median seconds and last result of each, run in turn after one warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    results = {}
    for turn in range(repeats + 1):
        for name, run in work.items():
            start = time.perf_counter()
            results[name] = run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
        progress(turn, repeats)
    return {name: statistics.median(values) for name, values in seconds.items()}, results  # type: ignore[return-value]
