"""The same tracks in SOLA's layout and ours: seconds until a split's tokens are float32 in memory, bytes, verifying.

Warm: read again and again, the first five times untimed. Cold: read once after the files were dropped from the system's
page cache (posix_fadvise; names of files stay known). Every way makes new arrays and keeps all of them, but for
"buffer": the pack, read into memory that was used before. As many threads as torch
is set to (OMP_NUM_THREADS). Knows both layouts. Does not know command lines.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

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
from tracksift.cache_tools.made_up import made_up_labels, made_up_tracks
from tracksift.cache_tools.sola_loop import mask_bytes, read_npy, read_sola, token_folders
from tracksift.cache_tools.sola_write import MASKLETS, export_sola

VIDEOS, TRACKS = 4, 16
WARM_UPS, WARM_READS = 5, 5  # memory and its caches have forgotten other work only after some reads
Figures = dict[str, float | int]
Way = tuple[Callable[[], list[torch.Tensor]], Path]


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
        folders = token_folders(sola)
        ways: Mapping[str, Way] = {
            "sola": (lambda: [sample.tokens for sample in read_sola(folders)], sola),
            "npy": (lambda: read_npy(folders), sola),
            "h5": (lambda: [torch.from_numpy(open_cache(path).tokens()).float() for path in files], ours),
            "pack": (lambda: fresh_pack(ours).float32(), ours),
            "buffer": (lambda: fresh_pack(ours).float32(buffer), ours),
        }
        numbers = {way: sum(tokens.numel() for tokens in read()) for way, (read, _) in ways.items()}
        if len(set(numbers.values())) != 1:
            raise InputError(f"benchmark cache: expected the same tokens of every way, got {numbers}")
        seconds = _seconds(ways, repeats, progress)
        return _bytes(files, sola) | _ratios(seconds) | _verifying(files)


def _collect(folder: Path | None, target: Path, frames: int) -> None:
    """The cache files to be timed, as links or made up."""
    if folder is None:
        for n in range(VIDEOS):
            tracks = made_up_tracks(f"video{n}", TRACKS, frames, seed=n)
            write_cache(
                cache_path(target.parents[1], "d", "s", tracks.video.id), tracks, made_up_labels(TRACKS, seed=n)
            )
        return
    files = find_caches(folder)
    if not files or any(path.parent != folder for path in files):
        raise InputError(f"{folder}: expected the folder of one split with cache files in it, got another")
    for path in files:
        (target / path.name).symlink_to(path.absolute())


def _seconds(ways: Mapping[str, Way], repeats: int, progress: Progress) -> dict[str, dict[str, float]]:
    """Median seconds of each way in turn: warm after WARM_UPS reads, WARM_READS a turn; then cold, once."""
    found: dict[str, dict[str, list[float]]] = {kind: {way: [] for way in ways} for kind in ("warm", "cold")}
    for turn in range(repeats):
        for way, (read, place) in ways.items():
            for number in range(WARM_UPS + WARM_READS):
                seconds = _timed(read)
                if number >= WARM_UPS:
                    found["warm"][way].append(seconds)
            _drop(place)
            found["cold"][way].append(_timed(read))
        progress(turn + 1, repeats)
    return {
        kind: {way: statistics.median(values) for way, values in times.items()} for kind, times in found.items()
    }  # fmt: skip


def _timed(read: Callable[[], list[torch.Tensor]]) -> float:
    start = time.perf_counter()
    made = read()
    seconds = time.perf_counter() - start
    del made  # giving memory back is not timed
    return seconds


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
    text = sum(map(mask_bytes, sola.glob(f"*_tracks/*/*/{MASKLETS}/**/*.json")))
    return {
        "videos": len(files),
        "tracks": sum(one.tracks for one in found),
        "sola_files": sum(path.is_file() for path in sola.rglob("*")),
        "sola_token_bytes": npy,
        "sola_mask_bytes": text,
        "our_bytes": sum(path.stat().st_size for path in files),
        "threads": torch.get_num_threads(),
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
