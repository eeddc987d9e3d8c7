"""Memory is watched, and stays flat in frames but for what a clip is turned into."""

import mmap
import time

import numpy as np
import pytest
import torch

from core.errors import InputError
from proposals.benchmark import kernels, memory, stage
from proposals.benchmark.memory import LoopingReader, Watch, births, follow, output_bytes, run_grid
from proposals.benchmark.stage import make_prompts, write_clip
from proposals.sam2_tracker import Sam2Tracker
from proposals.settings import Resources

CPU = torch.device("cpu")
SIZE = (48, 80)


@pytest.fixture
def small(make_model, monkeypatch):
    """Rows on a 64-pixel model and clips of 48 x 80."""
    model = make_model("sam2.modeling.sam2_base.SAM2Base")
    stage.raise_objects(model)
    monkeypatch.setattr(stage, "FRAME", SIZE)
    for module in (memory, kernels):
        monkeypatch.setattr(module, "random_sam2", lambda size, device: model)
        monkeypatch.setattr(module, "write_clip", lambda folder, frames: write_clip(folder, frames, SIZE))
        monkeypatch.setattr(module, "make_prompts", lambda objects, births: make_prompts(objects, births, SIZE))
    return model


def test_a_looping_clip_goes_forward_and_back_again():
    clip = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), dtype=np.uint8)
    reader = LoopingReader(clip, 11)
    assert [int(frame[0, 0, 0]) for frame in reader] == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2]
    assert reader.read([6, 9])[:, 0, 0, 0].tolist() == [0, 3]
    assert reader.meta.frames == 11
    with pytest.raises(InputError, match="expected 2 frames"):
        LoopingReader(clip[:1], 5)


def test_the_watch_sees_memory_that_came_and_went():
    with Watch(CPU) as watch:
        before = watch.lap()["host_mib"]
        # Pages of their own, since an array may lie in memory that the process holds already.
        with mmap.mmap(-1, 40 * 2**20) as block:
            block.write(b"1" * len(block))
            time.sleep(0.5)
        assert watch.lap()["host_mib"] >= before + 30


def test_a_grid_says_passes_peaks_and_output_of_each_length_and_crowd(small):
    told = []
    resources = Resources(encoder_batch=4, feature_bytes=1)
    rows = run_grid("tiny", (8, 16), (1, 4), resources, CPU, lambda done, total: told.append((done, total)))
    assert [(row["objects"], row["frames"]) for row in rows] == [(1, 8), (1, 16), (4, 8), (4, 16)]
    assert told[-1] == (4, 4)
    assert [row["passes"] for row in rows[:2]] == [1, 1]
    assert all(1 < row["passes"] <= 2 for row in rows[2:])
    assert rows[3]["output_mib"] == pytest.approx(2 * rows[2]["output_mib"], rel=0.2)
    assert all(row["host_mib"] >= row["host_before_mib"] > 0 and row["device_mib"] is None for row in rows)


def test_a_longer_clip_takes_no_more_memory_but_for_its_output(small):
    tracker, resources = Sam2Tracker(small), Resources(encoder_batch=4, feature_bytes=2**20)
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 255, (6, *SIZE, 3), dtype=np.uint8)
    for frames in (30, 300):  # the first settles allocators
        course = follow(tracker, LoopingReader(clip, frames), make_prompts(4, births(frames), SIZE), resources)
    assert len(course.rows) == memory.SAMPLES
    held = [row["host_mib"] - row["output_mib"] for row in course.rows]
    assert held[-1] - held[1] < 20
    assert course.whole["passes"] > 1
    assert course.rows[-1]["objects_frames"] == 4 * 299


def test_output_is_counted_in_bytes_of_strings_and_arrays(small, tmp_path):
    from core.frames import open_video
    from proposals.features import FeatureStore
    from proposals.propagation import propagate

    tracker = Sam2Tracker(small)
    reader = open_video(write_clip(tmp_path, 5, SIZE), fps=8)
    (track,) = propagate(tracker, FeatureStore(reader, tracker, Resources()), make_prompts(1, [0], SIZE))
    strings = sum(len(mask) for mask in track.masks)
    assert strings + track.tokens.nbytes < output_bytes(track) < strings + track.tokens.nbytes + 5 * 100


def test_keys_are_timed_on_a_gpu_alone():
    with pytest.raises(InputError, match="expected a CUDA device with Triton, got cpu"):
        kernels.time_keys(CPU, 2)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_profile_names_operators_by_time(small, monkeypatch, mixed):
    monkeypatch.setattr(kernels, "MIXED", 10)
    found, clock = kernels.profile_kernels("tiny", 3, Resources(encoder_batch=4), CPU, mixed=mixed)
    times = [ms for _, ms, _, _ in found]
    assert times == sorted(times, reverse=True)
    assert sum(share for *_, share in found) == pytest.approx(1)
    assert any("scaled_dot_product" in name for name, *_ in found)
    assert 0 < sum(times) < 3 * clock
