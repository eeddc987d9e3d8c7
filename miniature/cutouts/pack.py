"""`python -m miniature.cutouts.pack`: makes the strips of photographs from real clips.

Knows video files and JPEG. Does not know regions or training. The strips in the repository come from clips whose
licence allows it (`photos/README.md`); run this only to make them anew or from other clips.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from core import cli
from core.atomic import atomic_path
from core.errors import InputError
from core.frames import open_video
from core.reporting import emit, track
from miniature.cutouts.photos import FOLDER, HEIGHT, WIDTH

SUFFIX = ".mp4"
app = typer.Typer(add_completion=False, help=(__doc__ or "").split("\n", maxsplit=1)[0])


def write_strip(video: Path, out: Path, frames: int, quality: int) -> int:
    """A strip of frames evenly spread over a clip; the bytes of the file."""
    reader = open_video(video)
    count = len(reader.meta.timestamps)
    at = np.linspace(0, count - 1, frames + 2)[1:-1].round().astype(int)  # ends are often titles or fades
    images = [Image.fromarray(frame) for frame in reader.read(at.tolist())]
    reader.close()
    strip = np.concatenate([np.asarray(i.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)) for i in images])
    target = out / f"{video.stem}.jpg"
    with atomic_path(target) as temporary:
        Image.fromarray(strip).save(temporary, format="JPEG", quality=quality, optimize=True)
    return target.stat().st_size


@app.command()
def main(
    videos: Annotated[list[Path], typer.Argument(help=f"{SUFFIX} files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder of the strips.")] = FOLDER,
    frames: Annotated[int, typer.Option(help="Photographs a clip.", min=1)] = 7,
    quality: Annotated[int, typer.Option(help="JPEG quality.", min=1, max=95)] = 54,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
) -> None:
    """Write one JPEG strip of photographs for every clip.

    Example: python -m miniature.cutouts.pack EdgeTAM/examples sam2/notebooks/videos/bedroom.mp4
    """
    clips = [clip for path in videos for clip in (sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path])]
    if not clips or not all(clip.is_file() for clip in clips):
        raise InputError(f"expected {SUFFIX} files or folders of them, got {', '.join(map(str, videos))}")
    if dry_run:
        typer.echo(f"would write {len(clips)} strips of {frames} photographs into {out}")
        return
    out.mkdir(parents=True, exist_ok=True)
    size = sum(write_strip(clip, out, frames, quality) for clip in track(clips, "clips packed"))
    emit({"strips": len(clips), "photographs": frames * len(clips), "bytes": size}, {"out": str(out)})


if __name__ == "__main__":
    cli.run(app)
