"""The same tracks in SOLA's layout and ours: seconds until a split's tokens are float32 in memory, bytes, verifying.

Warm: the files are in the system's page cache. Cold: they were dropped from it (posix_fadvise; names of files stay
known). Every way makes new arrays, but for "buffer": the pack, read into memory that was used before. One thread.
Knows both layouts. Does not know command lines.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from cache import (
    cache_path,
    describe,
    find_caches,
    fresh_pack,
    open_cache,
    open_pack,
    survey_files,
    write_cache,
    write_pack,
)
from core.errors import InputError
from core.reporting import Progress
from tracksift.cache_tools.made_up import made_up_tracks
from tracksift.cache_tools.sola_write import MASKLETS, TOKENS, export_sola

VIDEOS, TRACKS = 4, 16
Figures = dict[str, float | int]


def time_caches(folder: Path | None, frames: int, repeats: int, progress: Progress) -> Figures:
    """Figures of one split's folder of caches, or of VIDEOS made-up videos of TRACKS tracks.

    Raises:
        InputError: for a folder without cache files.
    """
    with TemporaryDirectory() as place:
        ours, sola = Path(place) / "ours" / "d" / "s", Path(place) / "sola"
        ours.mkdir(parents=True)
        _collect(folder, ours, frames)
        files = find_caches(ours)
        export_sola([("d", "s", path) for path in files], sola)
        write_pack(ours)
        _sync(Path(place))
        buffer = torch.zeros(open_pack(ours).numbers)
        ways: Mapping[str, tuple[Callable[[], int], Path]] = {
            "sola": (lambda: _read_sola(sola, masks=True), sola),
            "npy": (lambda: _read_sola(sola, masks=False), sola),
            "h5": (lambda: sum(open_cache(path).tokens().astype(np.float32).size for path in files), ours),
            "pack": (lambda: sum(tokens.numel() for tokens in fresh_pack(ours).float32()), ours),
            "buffer": (lambda: sum(tokens.numel() for tokens in fresh_pack(ours).float32(buffer)), ours),
        }
        numbers = {way: read() for way, (read, _) in ways.items()}
        if len(set(numbers.values())) != 1:
            raise InputError(f"benchmark cache: expected the same tokens of every way, got {numbers}")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            seconds = _seconds(ways, repeats, progress)
        finally:
            torch.set_num_threads(threads)
        return _bytes(files, sola) | _ratios(seconds) | _verifying(files)


def _collect(folder: Path | None, target: Path, frames: int) -> None:
    """The cache files to be timed, as links or made up."""
    if folder is None:
        for n in range(VIDEOS):
            tracks = made_up_tracks(f"video{n}", TRACKS, frames, seed=n)
            write_cache(cache_path(target.parents[1], "d", "s", tracks.video.id), tracks)
        return
    files = find_caches(folder)
    if not files or any(path.parent != folder for path in files):
        raise InputError(f"{folder}: expected the folder of one split with cache files in it, got another")
    for path in files:
        (target / path.name).symlink_to(path.absolute())


def _read_sola(root: Path, *, masks: bool) -> int:
    """Every video's tokens [N, T, D] float32 as SOLA's loader reads them: each track's JSON, then its .npy."""
    numbers = 0
    for folder in sorted(root.glob(f"*_tracks/*/*/{TOKENS}/*")):
        tokens = []
        for path in sorted(folder.rglob("*.npy")):
            if masks:
                name = Path(str(path).replace(f"/{TOKENS}/", f"/{MASKLETS}/")).with_suffix(".json")
                json.loads(name.read_text())
            tokens.append(torch.from_numpy(np.load(path)))
        numbers += torch.stack(tokens).numel()
    return numbers


def _seconds(
    ways: Mapping[str, tuple[Callable[[], int], Path]], repeats: int, progress: Progress
) -> dict[str, dict[str, float]]:
    """Median seconds of each way in turn, warm and cold."""
    found: dict[str, dict[str, list[float]]] = {kind: {way: [] for way in ways} for kind in ("warm", "cold")}
    for turn in range(repeats):
        for kind, times in found.items():
            for way, (read, place) in ways.items():
                if kind == "cold":
                    _drop(place)
                else:
                    read()
                start = time.perf_counter()
                read()
                times[way].append(time.perf_counter() - start)
        progress(turn + 1, repeats)
    return {
        kind: {way: statistics.median(values) for way, values in times.items()} for kind, times in found.items()
    }  # fmt: skip


def _ratios(seconds: Mapping[str, Mapping[str, float]]) -> Figures:
    """Milliseconds, and how much faster the pack is than SOLA's files, npy files alone and h5 files (over_pack)."""
    figures: Figures = {}
    for kind, times in seconds.items():
        figures |= {f"{kind}_{way}_ms": 1000 * value for way, value in times.items()}
        figures |= {f"{kind}_{way}_over_pack": times[way] / times["pack"] for way in ("sola", "npy", "h5")}
        figures[f"{kind}_sola_over_buffer"] = times["sola"] / times["buffer"]
    return figures


def _bytes(files: list[Path], sola: Path) -> Figures:
    """Bytes of tokens and masks in both layouts, and ours as a share of SOLA's."""
    found = [describe(path) for path in files]
    tokens, masks = (sum(one.stored[kind] for one in found) for kind in ("tokens", "masks"))
    npy = sum(path.stat().st_size for path in sola.rglob("*.npy"))
    text = sum(path.stat().st_size for path in sola.glob(f"*_tracks/*/*/{MASKLETS}/**/*.json"))
    return {
        "videos": len(files),
        "tracks": sum(one.tracks for one in found),
        "sola_files": sum(path.is_file() for path in sola.rglob("*")),
        "sola_token_bytes": npy,
        "sola_mask_bytes": text,
        "our_bytes": sum(path.stat().st_size for path in files),
        "pack_bytes": (files[0].parent / "tokens.pack").stat().st_size,
        "token_share": tokens / npy,
        "mask_share": masks / text,
    }


def _verifying(files: list[Path]) -> Figures:
    """MB of file read and verified a second by one process, warm."""
    findings = survey_files(files, workers=1, placed=False)
    seconds, size = sum(f.seconds for f in findings), sum(path.stat().st_size for path in files)
    return {"verified": sum(f.state == "sound" for f in findings), "verify_mb_s": size / 1e6 / seconds}


def _sync(root: Path) -> None:
    """Only pages that are on the disk can be dropped."""
    for path in root.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)


def _drop(root: Path) -> None:
    for path in root.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)
