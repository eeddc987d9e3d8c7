"""Videos that share their steps are tracked as each would be alone."""

import copy
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core import rle
from core.frames import open_video
from core.types import Source
from miniature.clips import SPLIT, write_clips
from miniature.world import make_clip
from proposals.checkpoints import load_sam2
from proposals.crowd import CrowdTracker
from proposals.features import FeatureStore
from proposals.prompts import MaskPrompt
from proposals.propagation import propagate
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources

WEIGHTS = Path(__file__).parents[2] / "miniature" / "weights" / "sam2.safetensors"
READ_OUT = ("logits", "pointer", "object_score", "predicted_iou")
SEEDS, FRAMES = (200_041, 200_084, 200_010), 20  # more than the 16 frames after which all is remembered


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Folders of frames with prompts born on different frames, of clips of different length."""
    folder = tmp_path_factory.mktemp("crowd")
    write_clips(folder, SEEDS, FRAMES)
    found = []
    for number, seed in enumerate(SEEDS):
        clip = make_clip(seed, frames=FRAMES)
        prompts = [
            MaskPrompt(t, masks[t], Source.GRID)
            for masks, t in zip(clip.masks, (0, 3 + number, 0, FRAMES // 2), strict=False)
            if masks[t].any()
        ]
        found.append((folder / SPLIT / "JPEGImages" / f"clip{seed}", prompts))
    return found


def tracked(video, tracker, resources):
    folder, prompts = video
    with closing(open_video(folder, fps=8.0)) as reader:
        features = FeatureStore(reader, tracker, resources)
        try:
            return propagate(tracker, features, prompts)
        finally:
            features.close()


def beside_alone(crowd, sizes, apart):
    """The crowd's step, which also takes each video's alone from the same memories and notes how far they differ."""
    together = crowd._step_all

    def both(asked):
        before = [copy.deepcopy(each.cohorts) for each in asked]
        found = together(asked)
        sizes.append(len(asked))
        for each, cohorts, ours in zip(asked, before, found, strict=True):
            theirs = Sam2Tracker.step(crowd, each.maps, cohorts, each.moment)
            for a, b, mine, its in zip(ours, theirs, each.cohorts, cohorts, strict=True):
                pairs = [(getattr(a, name), getattr(b, name)) for name in READ_OUT]
                pairs.append(tuple(cohort.found[each.moment.frame].kept.float() for cohort in (mine, its)))
                apart.append([float((x - y).abs().max()) for x, y in pairs])
        return found

    return both


@pytest.mark.parametrize("limit", [512, 3])
def test_a_crowd_gives_what_each_video_gives_alone(videos, limit, monkeypatch):
    torch.set_num_threads(1)
    loaded = load_sam2(str(WEIGHTS))
    shared = Resources(shared=True, objects=limit)
    crowd = loaded.ready(shared)
    assert isinstance(crowd, CrowdTracker)
    sizes, apart = [], []
    monkeypatch.setattr(crowd, "_step_all", beside_alone(crowd, sizes, apart))
    with ThreadPoolExecutor(len(videos)) as pool:
        together = list(pool.map(lambda video: tracked(video, crowd, shared), videos))
    assert max(sizes) > 1  # steps were shared; by how many at once is chance
    *read_out, memory = np.max(apart, axis=0)
    assert max(read_out) < 1e-4
    assert memory < 2**-5  # memories are bfloat16: one or two steps of those between 1 and 4
    alone = [tracked(video, loaded.ready(Resources()), Resources()) for video in videos]
    for ours, theirs in zip(together, alone, strict=True):
        assert len(ours) == len(theirs) > 1
        for a, b in zip(ours, theirs, strict=True):
            # Memories that were rounded otherwise are read by all later steps: how far that leads, the processor says.
            assert np.abs(a.object_score - b.object_score).max() < 0.05
            np.testing.assert_allclose(a.tokens.astype(np.float32), b.tokens.astype(np.float32), rtol=0, atol=0.05)
            same = [rle.decode([x], a.size) == rle.decode([y], a.size) for x, y in zip(a.masks, b.masks, strict=True)]
            assert np.mean(same) > 0.9999


def test_an_error_of_a_shared_step_reaches_every_video(videos, monkeypatch):
    loaded = load_sam2(str(WEIGHTS))
    shared = replace(Resources(), shared=True)
    crowd = loaded.ready(shared)

    def fail(*_):
        raise RuntimeError("a step that fails")

    monkeypatch.setattr(crowd, "_step_all", fail)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(tracked, video, crowd, shared) for video in videos[:2]]
        for future in futures:
            with pytest.raises(RuntimeError, match="a step that fails"):
                future.result()
