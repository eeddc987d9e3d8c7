"""How fast a grounder reads, learns, writes and streams, at the shape of Qwen3-0.6B and with made-up videos.

Weights are random, for speed does not depend on them. Cached features stand beside raw frames that go through an image
tower of SigLIP's base shape first, and the kernels of torch's attention beside each other. Knows clocks and
devices. Does not know flags or real weights. Axis letters: B clips, T frames.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from time import perf_counter
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.devices import autocast
from core.reporting import Progress
from llm_grounder.duet import GrounderDuet
from llm_grounder.grounder import Grounder
from llm_grounder.made_up import BenchmarkSettings, make_grounder, make_samples, make_tower, raw_frames
from llm_grounder.policy import PolicySettings, Rule
from llm_grounder.streaming import Stream
from llm_grounder.types import Clip, Sample
from llm_grounder.window import Window

BACKENDS: Final[Mapping[str, SDPBackend]] = {
    "flash": SDPBackend.FLASH_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION, "math": SDPBackend.MATH,
}  # fmt: skip
REFUSALS: Final = ("no available kernel", "no viable backend", "cudnn")
"""What torch says where a kernel of attention does not take the shapes."""
NEVER: Final = PolicySettings(Rule.THRESHOLD, threshold=2.0)


def time_grounder(
    settings: BenchmarkSettings, device: torch.device, progress: Progress
) -> dict[str, float | int | None]:
    """Figures by flat names: tokens and videos a second (medians), milliseconds of a streamed frame.

    read_cached, read_raw, learn: whole clips, heads and all.   write: words of B replies.   read_BACKEND: with that
    kernel of attention alone, None where it refuses these shapes here.   progress: called with (done, total) parts.
    """
    torch.manual_seed(0)
    grounder, samples = make_grounder(settings, device), make_samples(settings, device)
    tower, frames = make_tower(settings, device), raw_frames(settings)
    tokens = len(grounder.lay_out(samples)[1].ids.flatten())
    parts: list[Callable[[], Mapping[str, float | int | None]]] = [
        lambda: _rates("read_cached", settings, tokens, lambda: read(grounder, samples), device),
        lambda: _rates("read_raw", settings, tokens, lambda: read_raw(grounder, samples, tower, frames), device),
        *(
            lambda name=name: _rates(f"read_{name}", settings, tokens, lambda: read(grounder, samples, name), device)
            for name in BACKENDS
        ),
        lambda: time_writing(grounder, samples, settings, device),
        lambda: time_stream(grounder, settings, device),
        lambda: _rates("learn", settings, tokens, lambda: learn(grounder, samples), device),
    ]  # fmt: skip
    figures: dict[str, float | int | None] = {
        "parameters": sum(p.numel() for p in grounder.parameters()), "tokens_a_clip": tokens // settings.clips,
    }  # fmt: skip
    for done, part in enumerate(parts, start=1):
        figures |= part()
        progress(done, len(parts))
    if device.type == "cuda":
        figures["peak_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
    return figures


@torch.no_grad()
def read(grounder: Grounder, samples: list[Sample], backend: str = "") -> None:
    """One pass over cached features with all heads.   backend: the only kernel of attention, a key of BACKENDS."""
    with sdpa_kernel(BACKENDS[backend]) if backend else nullcontext(), autocast(grounder.device):
        grounder.outputs(samples)


@torch.no_grad()
def read_raw(grounder: Grounder, samples: list[Sample], tower: Any, frames: Tensor) -> None:
    """The same from raw frames, uint8 [T, side, side, 3] in the host's memory."""
    seen = []
    for sample in samples:
        pixels = frames.to(grounder.device).permute(0, 3, 1, 2).to(next(tower.parameters()).dtype) / 127.5 - 1
        features = tower(pixel_values=pixels).last_hidden_state
        clip = Clip(sample.clip.id, features, sample.clip.times, sample.clip.end)
        seen.append(Sample(clip, sample.request, sample.turns, sample.targets, sample.reads))
    read(grounder, seen)


def learn(grounder: Grounder, samples: list[Sample]) -> None:
    """One step's forward and backward passes through all weights."""
    with autocast(grounder.device):
        total = grounder.losses(samples)["total"]
    total.backward()  # type: ignore[no-untyped-call]
    grounder.zero_grad(set_to_none=True)


def time_writing(
    grounder: Grounder, samples: list[Sample], settings: BenchmarkSettings, device: torch.device
) -> dict[str, float | int | None]:
    """Tokens a second of B replies of exactly `said` tokens, reading apart."""

    rule = _NoEnd(grounder)

    def write(most: int) -> Callable[[], None]:
        def work() -> None:
            with autocast(device):
                grounder.generate(samples, most=most, processors=lambda *_: (rule,))

        return work

    whole, first = (median_seconds(write(most), device, settings.repeats) for most in (settings.said, 1))
    words = settings.clips * (settings.said - 1)
    return {"write_tokens_s": words / (whole - first) if whole > first else None}


def time_stream(grounder: Grounder, settings: BenchmarkSettings, device: torch.device) -> dict[str, float | int | None]:
    """Milliseconds of a frame of cached features once the window is full: median and 95th percentile."""
    shown = torch.randn(settings.patches, settings.tower_width, device=device)
    taken = []
    with autocast(device):
        stream = Stream(GrounderDuet(grounder), Window(settings.window), NEVER)
        stream.ask("what happens?", 0.0)
        for t in range(settings.streamed):
            start = perf_counter()
            stream.see(shown, t / 2)  # its scores are read on the host, so that the device is waited for
            taken.append(1e3 * (perf_counter() - start))
    full = sorted(taken[settings.window :])
    return {
        "stream_ms_median": statistics.median(full), "stream_ms_p95": full[int(0.95 * len(full))],
        "stream_tokens_held": stream.tokens,
    }  # fmt: skip


def median_seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median seconds of `work`, after once for warming up."""
    taken = []
    for _ in range(repeats + 1):
        _wait(device)
        start = perf_counter()
        work()
        _wait(device)
        taken.append(perf_counter() - start)
    return statistics.median(taken[1:])


def _rates(
    name: str, settings: BenchmarkSettings, tokens: int, work: Callable[[], None], device: torch.device
) -> dict[str, float | int | None]:
    """Tokens and videos a second; None where torch has no such kernel for these shapes on this device."""
    try:
        seconds = median_seconds(work, device, settings.repeats)
    except RuntimeError as error:
        if not any(words in str(error).lower() for words in REFUSALS):
            raise
        return {f"{name}_tokens_s": None, f"{name}_videos_s": None}
    return {f"{name}_tokens_s": tokens / seconds, f"{name}_videos_s": settings.clips / seconds}


class _NoEnd:
    """A rule that lets no reply end."""

    def __init__(self, grounder: Grounder) -> None:
        self._stops = torch.tensor(sorted(GrounderDuet(grounder).stops), device=grounder.device)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return scores.index_fill(-1, self._stops, -torch.inf)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
