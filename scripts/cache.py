"""`tracksift cache ...`: cache files looked at, verified, repaired, tidied, migrated and packed.

Knows flags and tables. Does not know the format. Commands that meet other layouts are in `cache_exchange`.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core import reporting
from core.errors import CacheError, InputError, TrackSiftError
from scripts import cache_exchange, options

if TYPE_CHECKING:  # the help of every command shall be there at once
    from cache import Garbage

SHOWN = 40
Place = Annotated[Path, typer.Argument(help="The root of cache files, a folder below it, or one file.")]
Root = Annotated[Path, typer.Argument(help="The root of cache files: <root>/<dataset>/<split>/<video>.h5.")]
Workers = Annotated[int, typer.Option(help="Processes that read.", min=1)]
CORES = os.cpu_count() or 1

app = typer.Typer(
    name="cache",
    help="Verify, repair, describe, compare, exchange, tidy, migrate and pack cache files.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def _found(place: Path, *, packs: bool = False) -> list[Path]:
    """The files at a place; InputError for none."""
    from cache import PACK, SUFFIX, find_caches

    paths = find_caches(place, (SUFFIX, PACK) if packs else (SUFFIX,))
    if not paths:
        raise InputError(f"{place}: expected cache files, <root>/<dataset>/<split>/<video>.h5, got none")
    return paths


@app.command(
    epilog="Examples: [bold]tracksift cache verify caches[/]  |  [bold]tracksift cache verify caches/a/b/c.h5[/]"
)
def verify(place: Place = Path("caches"), workers: Workers = CORES) -> None:
    """Read every file and pack to its last byte, in processes of their own; say which are broken, where and why.

    Exit code 2 when any file is not sound.
    """
    from cache import survey_files

    paths = _found(place, packs=True)
    with reporting.progress_bar("files", len(paths)) as bar:
        findings = survey_files(paths, workers=workers, placed=place.is_dir(), on_done=bar)
    bad = [finding for finding in findings if finding.state != "sound"]
    if bad:
        rows = [(str(finding.path), finding.state, finding.cause) for finding in bad[:SHOWN]]
        reporting.print_table("not sound", ["file", "state", "cause"], rows)
    seconds, size = sum(finding.seconds for finding in findings), sum(finding.bytes for finding in findings)
    reporting.emit(
        {
            "files": len(findings),
            "sound": len(findings) - len(bad),
            "broken": len(bad),
            "tracks": sum(finding.tracks for finding in findings),
            "bytes": size,
            "mb_per_worker_second": size / 1e6 / max(seconds, 1e-9),
        },
        {"place": str(place), "workers": workers},
    )
    if bad:
        raise CacheError(f"{len(bad)} of {len(findings)} files are not sound, first {bad[0].cause}")


@app.command(
    epilog="Examples: [bold]tracksift cache repair caches --dry-run[/]  |  [bold]tracksift cache repair caches[/]"
)
def repair(root: Root = Path("caches"), workers: Workers = CORES, dry_run: options.DryRun = False) -> None:
    """Move broken files to ROOT.quarantine, and list there what is to be made again; `generate` then makes it.

    Files of a newer TrackSift and files that cannot be read stay; exit code 2 when there are some.
    """
    from cache import quarantine, quarantine_folder, survey_files

    paths = _found(root, packs=True)
    with reporting.progress_bar("files", len(paths)) as bar:
        findings = survey_files(paths, workers=workers, on_done=bar)
    moved = quarantine(root, findings, dry_run=dry_run)
    left = [f for f in findings if f.state in ("newer", "unreadable")]
    if moved:
        rows = [(item.file, item.video_id, item.cause) for item in moved[:SHOWN]]
        reporting.print_table("would move" if dry_run else "moved", ["file", "video", "cause"], rows)
    reporting.emit(
        {"files": len(paths), "moved": 0 if dry_run else len(moved), "planned": len(moved) if dry_run else 0,
         "left": len(left), "quarantine": str(quarantine_folder(root)) if moved else None},
        {"root": str(root), "dry_run": dry_run},
    )  # fmt: skip
    if left:
        raise CacheError(f"{len(left)} of {len(findings)} files are left as they are, first {left[0].cause}")


@app.command(epilog="Examples: [bold]tracksift cache info caches[/]  |  [bold]tracksift cache info caches/a/b/c.h5[/]")
def info(place: Place = Path("caches")) -> None:
    """What a file holds, or each folder of files: videos, tracks, frames, bytes, models, schemas, the pack's state."""
    from cache import describe, summarise

    if place.is_file():
        found = describe(place)
        facts: dict[str, str | int | bool] = {
            "video": found.video_id, "tracks": found.tracks, "frames": found.frames, "height": found.size[0],
            "width": found.size[1], "token_width": found.width, "schema": found.version, "looks": found.looks,
            "labels": found.labels, "tracker": found.tracker, "tracker_sha256": found.tracker_sha256,
            "content_sha256": found.content_sha256, **{f"tracks_{k}": v for k, v in found.sources.items()},
            **{f"bytes_{k}": v for k, v in found.stored.items()},
        }  # fmt: skip
        reporting.print_table(str(place), ["fact", "value"], list(facts.items()))
        reporting.emit(facts, {"place": str(place)})
        return
    paths = _found(place)
    with reporting.progress_bar("files", len(paths)) as bar:
        splits = summarise(paths, bar)
    columns = ["folder", "files", "unusable", "tracks", "frames", "MB", "trackers", "schemas", "pack"]
    rows = [
        (s.folder, s.files, s.unusable, s.tracks, s.frames, s.bytes / 1e6, ", ".join(s.trackers),
         ", ".join(map(str, s.versions)), s.pack)
        for s in splits
    ]  # fmt: skip
    reporting.print_table(str(place), columns, rows)
    reporting.emit(
        {"folders": len(splits), **{k: sum(getattr(s, k) for s in splits)
                                    for k in ("files", "unusable", "tracks", "frames", "bytes")}},
        {"place": str(place)},
    )  # fmt: skip


@app.command(
    epilog="Examples: [bold]tracksift cache gc caches --dry-run[/]  |  "
    "[bold]tracksift cache gc caches --data world --split train[/]"
)
def gc(
    root: Root = Path("caches"),
    data: options.Data = None,
    split: options.Split = "valid",
    older_than: Annotated[float, typer.Option(help="Hours since a write or job must have stopped.", min=0)] = 1.0,
    force: Annotated[
        bool, typer.Option("--force", help="With --data: delete even most of the split's caches.")
    ] = False,
    dry_run: options.DryRun = False,
) -> None:
    """Delete temporary files of writes that never ended, packs of older caches, and what jobs left: records of those
    that ended, notes of failures of videos that were done since.

    With --data also this split's caches and notes of videos that it does not have, and caches of other frames than its
    videos have now; if those are more than half of its caches, the wrong --data is likelier than so much waste, and
    --force is needed.
    """
    from cache import delete, find_leftovers
    from tracksift.scheduling.outdated import find_outdated

    if not root.is_dir():
        raise InputError(f"{root}: expected the root of cache files, got no folder")
    found = find_leftovers(root, older_than * 3600) + find_outdated(root, older_than * 3600)
    if data is not None:
        found += _orphans(root, data, split, force=force or dry_run)
    found = list({item.path: item for item in found}.values())  # a note may be of no use for two reasons
    if not dry_run:
        delete(found)
    rows = [(str(item.path), item.kind, item.bytes, item.why) for item in found[:SHOWN]]
    reporting.print_table("would delete" if dry_run else "deleted", ["file", "kind", "bytes", "why"], rows)
    kinds = Counter(item.kind for item in found)
    reporting.emit(
        {"files": len(found), "bytes": sum(item.bytes for item in found), "temporary": kinds["temporary"],
         "packs": kinds["pack"], "orphans": kinds["orphan"], "stale": kinds["stale"], "jobs": kinds["job"],
         "notes": kinds["note"]},
        {"root": str(root), "data": data, "split": split, "older_than": older_than, "dry_run": dry_run},
    )  # fmt: skip


def _orphans(root: Path, data: Path, split: str, *, force: bool) -> list[Garbage]:
    """The caches and notes of a split that are of none of its videos; InputError for most caches without `force`."""
    from cache import find_caches, find_orphans
    from tracksift.cache_tools import split_fingerprints
    from tracksift.scheduling.outdated import find_gone

    with reporting.progress_bar("videos") as bar:
        known = split_fingerprints(data, split, root, bar)
    folder = next(iter(known)).parent
    files = find_caches(folder) if folder.is_dir() else []
    found = find_orphans(files, known)
    if not force and 2 * len(found) > len(files):
        raise InputError(
            f"--data {data}: expected the videos of most caches in {folder}, got those of {len(files) - len(found)} of "
            f"{len(files)}; look with --dry-run, and insist with --force"
        )
    return found + find_gone(folder, known)


@app.command(
    epilog="Examples: [bold]tracksift cache migrate caches --dry-run[/]  |  [bold]tracksift cache migrate caches[/]"
)
def migrate(place: Place = Path("caches"), dry_run: options.DryRun = False) -> None:
    """Write files of older schemas anew in the present one; content, content hash and scores stay valid.

    No file has to be migrated: every older one still opens.
    """
    from cache import migrate_cache

    paths, done, failed = _found(place), Counter[str](), list[str]()
    for path in reporting.track(paths, "files"):
        try:
            done.update([migrate_cache(path, dry_run=dry_run)])
        except TrackSiftError as error:
            failed.append(str(error))
    reporting.emit(
        {"files": len(paths), "migrated": done["migrated"], "current": done["current"], "planned": done["planned"],
         "failures": len(failed)},
        {"place": str(place), "dry_run": dry_run},
    )  # fmt: skip
    if failed:
        raise CacheError(f"{len(failed)} of {len(paths)} files stay as they were, first {failed[0]}")


@app.command(epilog="Example: [bold]tracksift cache pack caches/mevis/train[/]")
def pack(
    folder: Annotated[Path, typer.Argument(help="The folder of one split: <root>/<dataset>/<split>.")],
    dry_run: options.DryRun = False,
) -> None:
    """Put the tokens of a split into one memory-mapped file, tokens.pack beside the caches, for training."""
    from cache import CacheState, find_caches, fresh_pack, write_pack

    state: CacheState = "missing"
    try:
        fresh_pack(folder)
        state = "complete"
    except CacheError:
        state = "stale"
    files, size = find_caches(folder), 0
    if not dry_run and state != "complete":
        with reporting.progress_bar("files", len(files)) as bar:
            size = write_pack(folder, bar).stat().st_size
    reporting.emit(
        {"files": len(files), "made": int(size > 0), "kept": int(state == "complete"), "bytes": size},
        {"folder": str(folder), "dry_run": dry_run},
    )


app.command("diff", epilog=cache_exchange.DIFF_EPILOG)(cache_exchange.diff)
app.command("export", epilog=cache_exchange.EXPORT_EPILOG)(cache_exchange.export)
app.command("import", epilog=cache_exchange.IMPORT_EPILOG)(cache_exchange.import_)
