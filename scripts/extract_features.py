"""`tracksift extract-features`: frames through a frozen image encoder -> features in the caches.

Knows flags and tables. Does not know encoders.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from core import reporting
from core.errors import TrackSiftError
from scripts import options

EPILOG = (
    "Examples: [bold]tracksift extract-features --data world --split train --per-second 2[/]  |  "
    "[bold]tracksift extract-features clip.mp4 --bare --grid 4 --encoder models/siglip[/]  |  "
    "[bold]tracksift extract-features --data world --split valid --dry-run[/]"
)


def main(
    video: options.Video = None,
    data: options.Data = None,
    split: options.Split = "valid",
    cache: options.Cache = Path("caches"),
    encoder: Annotated[
        str, typer.Option(help="'miniature', or a folder in open_clip's format (config and safetensors).")
    ] = "miniature",
    per_second: Annotated[
        float | None, typer.Option("--per-second", help="Frames a second, at exact times; every frame if not given.")
    ] = None,
    grid: Annotated[int, typer.Option(help="Also the mean of the patches in each cell of such a grid; 0: none.")] = 0,
    tiles: Annotated[
        int, typer.Option(help="Look at so many parts of a frame's side one by one, for the grid: small things grow.")
    ] = 1,
    bare: Annotated[
        bool, typer.Option("--bare", help="Make a cache without tracks for videos that have none.")
    ] = False,
    fps: options.Fps = None,
    limit: options.Limit = None,
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Put features of frames into the cache files, under /frames/<encoder>; scores of the tracks stay valid.

    Videos whose features are there and current are kept, so that a stopped run goes on where it was. Run it after
    `tracksift generate`, which writes files without features.
    """
    from core.devices import pick_device
    from core.images import load_image_encoder
    from tracksift.features import FeatureSettings, extract
    from tracksift.jobs import choose_jobs
    from tracksift.models import Models

    settings = FeatureSettings(per_second, grid, tiles, bare)
    jobs = choose_jobs(video, data, split, cache, fps, limit)
    loaded = load_image_encoder(Models(text_encoder=encoder).text_spec, pick_device(device))
    with reporting.progress_bar("videos", len(jobs)) as bar:
        results = extract(jobs, loaded, settings, dry_run=dry_run, progress=bar)
    rows = [(result.video_id, result.state, result.frames) for result in results]
    reporting.print_table(f"features by {loaded.name}", ["video", "state", "frames"], rows)
    states = Counter(result.state for result in results)
    counts = {state: states[state] for state in ("made", "kept", "planned")}
    figures = {"videos": len(jobs), **counts, "failures": states["failed"], "frames": sum(r.frames for r in results)}
    reporting.emit(
        figures, {"encoder": encoder, "per_second": per_second, "grid": grid, "tiles": tiles, "cache": cache}
    )
    failed = [result for result in results if result.state == "failed"]
    if failed:
        raise TrackSiftError(
            f"{len(failed)} of {len(jobs)} videos failed; first {failed[0].video_id}: {failed[0].cause}"
        )
