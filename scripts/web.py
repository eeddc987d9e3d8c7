"""`tracksift web`: the page in a browser, for this machine alone unless told otherwise.

Knows flags and where samples come from. Does not know how the page works.
"""

from __future__ import annotations

import webbrowser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from core import reporting
from core.errors import InputError
from scripts import options

if TYPE_CHECKING:  # slow to import, and `--help` shall be there at once
    from tracksift.web.watcher import Watcher

EPILOG = (
    "Examples: [bold]tracksift web[/]  |  [bold]tracksift web --port 8000 --no-browser --max-seconds 20[/]  |  "
    "[bold]tracksift web --grounder runs/grounder/grounder[/]  |  "
    "[bold]tracksift web --tracker facebook/sam2.1-hiera-large --selector runs/selector/selector.safetensors "
    "--text-encoder miniature[/]"
)


def main(
    host: Annotated[str, typer.Option(help="Address to serve on; others than this machine's let anyone in.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to serve on.", min=1, max=65535)] = 7860,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    samples: Annotated[bool, typer.Option(help="Offer rendered clips and a real video to try.")] = True,
    max_megabytes: Annotated[int, typer.Option(help="Largest upload.", min=1)] = 200,
    max_seconds: Annotated[float, typer.Option(help="Longest video.", min=0.1)] = 60.0,
    max_frames: Annotated[int, typer.Option(help="Most frames of a video.", min=1)] = 600,
    max_visitors: Annotated[int, typer.Option(help="Tabs that may be open at once.", min=1)] = 24,
    folder: Annotated[
        Path | None, typer.Option(help="Where visitors' files lie while they are there; else the system's /tmp.")
    ] = None,
    tracker: options.Tracker = "miniature",
    text_encoder: options.TextEncoder = "miniature",
    selector: options.Selector = "miniature",
    grounder: Annotated[
        str, typer.Option(help="What answers beside the tracks: 'miniature', a grounder's folder, or 'none'.")
    ] = "miniature",
    encoder: options.Encoder = "miniature",
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Serve the page: drop in a video, watch it being tracked, ask about it, draw boxes, download the answers.

    With a grounder also moments, captions, highlights, questions, descriptions of tracks and the duet. Every tab is a
    session with a folder of its own, deleted after it. Stop with Ctrl-C.
    """
    try:
        from tracksift.web import server
    except ModuleNotFoundError as error:
        raise InputError(
            f"web: expected the extra web, got none ({error.name}); pip install 'tracksift[web]'"
        ) from error
    from miniature.samples import make_samples
    from tracksift.ask import Pipeline
    from tracksift.models import Models
    from tracksift.web.limits import Limits

    server.check_place(folder)
    limits = Limits(max_megabytes, max_seconds, max_frames, sessions=max_visitors)
    pipeline = Pipeline(Models(tracker=tracker, text_encoder=text_encoder, selector=selector), device)
    address = f"http://{'localhost' if server.is_local(host) else host}:{port}"
    settings = {
        "host": host,
        "port": port,
        "tracker": tracker,
        "selector": selector,
        "grounder": grounder,
        "dry_run": dry_run,
    }
    if dry_run:
        typer.echo(f"would serve the page at {address}, with videos of {limits.sentence()}")
        reporting.emit({"samples": samples}, settings)
        return
    watcher = choose_grounder(grounder, encoder, device)
    with TemporaryDirectory(prefix="tracksift-samples-", dir=folder) as place:
        chosen = make_samples(Path(place)) if samples else []
        with server.serving(pipeline, limits=limits, samples=chosen, grounder=watcher, host=host, folder=folder) as app:

            def started() -> None:
                typer.echo(f"TrackSift is at {address} (Ctrl-C to stop)")
                if not server.is_local(host):
                    typer.echo(f"Anyone who reaches {host} may use it; there is no password.", err=True)
                if browser:
                    webbrowser.open(address)

            server.serve(app, host, port, started)
    reporting.emit({"samples": len(chosen)}, settings)


def choose_grounder(name: str, encoder: str, device: str) -> Watcher | None:
    """The grounder of --grounder; None for 'none'.

    Raises:
        CheckpointError: where it cannot be used.
        ScorerMismatchError: when it learnt from another encoder.
    """
    from tracksift.models import MINIATURE, Models, grounder_folder
    from tracksift.web.watcher import load_watcher

    if name == "none":
        return None
    folder = grounder_folder(name)
    shown = "The miniature's grounder" if name == MINIATURE else folder.name
    return load_watcher(folder, Models(text_encoder=encoder).text_spec, device, shown)
