"""`tracksift stream`: a video frame by frame -> what a grounder says, as it says it.

Knows flags and lines of JSON. Does not know when a grounder speaks.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core import reporting
from core.errors import InputError
from scripts import options

if TYPE_CHECKING:
    from llm_grounder.events import Event

EPILOG = (
    'Examples: [bold]tracksift stream clip.mp4 -q "what does the star do?"[/]  |  '
    '[bold]tracksift stream frames/ --fps 8 -q "12.5: which objects spin?" --rule threshold --threshold 0.8[/]  |  '
    "[bold]tracksift stream clip.mp4 --questions questions.txt --frames[/]"
)


def main(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of frames (then with --fps).")],
    question: Annotated[
        list[str] | None, typer.Option("--question", "-q", help='"SECONDS: words", or words alone for second 0.')
    ] = None,
    questions: Annotated[Path | None, typer.Option(help="A text file of such questions, one a line.")] = None,
    grounder: options.Grounder = "miniature",
    encoder: options.Encoder = "miniature",
    fps: options.Fps = None,
    rule: Annotated[
        str, typer.Option(help="threshold (a frame's score), sum (of scores since the last time) or text (NO REPLY).")
    ] = "sum",
    threshold: Annotated[float, typer.Option(help="What the score or the sum must exceed.")] = 2.0,
    heads: Annotated[str, typer.Option(help="What a score is the sum of.")] = "informative,relevance",
    interval: Annotated[float, typer.Option(help="Least seconds between two replies.", min=0)] = 0.0,
    same: Annotated[float, typer.Option(help="Share of common words from which a reply repeats another.")] = 1.0,
    window: Annotated[int, typer.Option(help="Frames that are remembered.", min=1)] = 64,
    replies: Annotated[int, typer.Option(help="Own replies that are remembered.", min=0)] = 8,
    positions: Annotated[
        int | None,
        typer.Option(help="Tokens after which the model goes on from its window alone; by default all that it takes."),
    ] = None,
    lap: Annotated[float, typer.Option(help="Seconds after which the times told to the model start anew.")] = 9999.9,
    longest: Annotated[int, typer.Option(help="Most tokens of a reply.", min=1)] = 64,
    frames: Annotated[
        bool, typer.Option("--frames", help="Also a line for every frame, with scores and time.")
    ] = False,
    device: options.Device = "auto",
) -> None:
    """Show a grounder a video frame by frame, ask it questions on the way, and print what it says as it says it.

    One line of JSON a question, a reply, and a silence (words that the policy did not let pass: NO REPLY, or what it
    had said before); times are seconds of the video. The last line sums up, with the milliseconds a frame took.
    """
    from core.devices import autocast, pick_device
    from core.frames import open_video
    from core.images import load_image_encoder
    from llm_grounder.checkpoints import load_grounder
    from llm_grounder.duet import GrounderDuet
    from llm_grounder.policy import PolicySettings, Rule
    from llm_grounder.streaming import Stream, run
    from llm_grounder.window import Window
    from tracksift.clips import read_inputs
    from tracksift.live import Eyes, read_questions, thin, with_times
    from tracksift.models import Models, grounder_folder

    if rule not in list(Rule):
        raise InputError(f"--rule: expected one of {', '.join(Rule)}, got {rule!r}")
    policy = PolicySettings(Rule(rule), tuple(heads.split(",")), threshold, interval, same)
    asked, place = read_questions(question or (), questions), pick_device(device)
    reader = open_video(video, fps=fps)
    model, record = load_grounder(grounder_folder(grounder), place)
    inputs = read_inputs(record)
    eyes = Eyes(load_image_encoder(Models(text_encoder=encoder).text_spec, place), inputs)
    shown = thin(with_times(reader, reader.meta), inputs.per_second, reader.meta.end)
    try:
        with autocast(place):
            duet = GrounderDuet(model, lap=lap)
            seen = Window(window, replies=replies, positions=duet.positions if positions is None else positions)
            stream = Stream(duet, seen, policy, longest)
            figures = _tell(run(stream, shown, asked, eyes.see), frames)
    finally:
        reader.close()
    settings = {"video": video, "grounder": grounder, "rule": rule, "threshold": threshold}
    reporting.emit(figures | {"tokens_held": stream.tokens}, settings)


def _tell(events: Iterable[Event], frames: bool) -> dict[str, reporting.Figure]:
    """Print events as they come; how many there were, and what frames took."""
    from llm_grounder.events import EventKind, Latencies

    latencies, counts = Latencies(), Counter[str]()
    with reporting.progress_bar("frames") as bar:
        for event in events:
            counts[event.kind] += 1
            if event.kind is EventKind.FRAME:
                latencies.add(event.milliseconds)
                bar(counts[event.kind], None)
            if frames or event.kind is not EventKind.FRAME:
                sys.stdout.write(json.dumps(event.line(), ensure_ascii=False) + "\n")
                sys.stdout.flush()
    said = {"questions": counts["question"], "replies": counts["reply"], "silences": counts["silence"]}
    return {**said, **latencies.figures()}
