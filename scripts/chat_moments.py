"""`tracksift chat-moments`: a chat model that sees pictures is asked when things happen -> a score file.

Knows flags and tables. Does not know how it is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core import reporting
from core.errors import InputError
from scripts import options

if TYPE_CHECKING:
    from llm_grounder.chat.asking import ChatModel

EPILOG = (
    "Examples: [bold]tracksift chat-moments clip.mp4 --text 'a dog jumps' --model Qwen/Qwen3-VL-2B-Instruct[/]  |  "
    "[bold]tracksift chat-moments --data MeViS --split valid_u --server http://localhost:8000/v1 --model qwen3-vl "
    "--replies replies[/]"
)


def main(
    video: options.Video = None,
    text: Annotated[list[str] | None, typer.Option(help="What to look for in VIDEO; may come again.")] = None,
    data: options.Data = None,
    split: options.Split = "valid",
    model: Annotated[str, typer.Option(help="A hub id or folder of transformers; the server's name for it.")] = "",
    server: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible URL; its key is read from TRACKSIFT_CHAT_KEY.")
    ] = None,
    replies: Annotated[Path | None, typer.Option(help="Folder that keeps what was said, for other runs.")] = None,
    out: Annotated[Path, typer.Option(help="Score file that is written (core/SCORES.md).")] = Path("moments.jsonl"),
    frames: Annotated[int, typer.Option(help="Frames of a video that are shown, at most.")] = 48,
    side: Annotated[int, typer.Option(help="Longer side of the pictures that are shown, pixels.")] = 448,
    tokens: Annotated[int, typer.Option(help="Tokens of a reply, at most.", min=1)] = 256,
    at_once: Annotated[int, typer.Option("--at-once", help="Questions in a batch, or under way at a server.")] = 4,
    cache: options.Cache = Path("caches"),
    fps: options.Fps = None,
    limit: options.Limit = None,
    device: options.Device = "auto",
    dry_run: options.DryRun = False,
) -> None:
    """Ask a chat model, untrained for it, for the moments of sentences: spans without scores, one reply a sentence.

    Replies that cannot be read count as failures and have no spans. `tracksift fuse` joins the file with track scores.
    """
    from core.scores import write_scores
    from tracksift.chatting import AskedVideo, Sight, asked_videos, chat_moments
    from tracksift.jobs import choose_jobs
    from tracksift.sources import text_expressions

    sight = Sight(frames, side)
    if not model.strip():
        raise InputError("--model: expected a hub id, a folder or a server's name for a model, got none")
    if (video is not None) != bool(text):
        raise InputError("--text: expected with a VIDEO and only there, since splits have sentences of their own")
    jobs = choose_jobs(video, data, split, cache, fps, limit)
    asked = [AskedVideo(jobs[0].open, text_expressions(text))] if text else asked_videos(jobs)
    settings = {
        "model": model,
        "server": server or "",
        "frames": frames,
        "side": side,
        "tokens": tokens,
        "dry_run": dry_run,
    }
    figures: dict[str, reporting.Figure] = {"videos": len(asked), "sentences": sum(len(v.expressions) for v in asked)}
    if dry_run:
        reporting.emit(figures, settings)
        return
    answering = _model(model, server, replies, device, at_once)
    with reporting.progress_bar("videos", len(asked)) as bar:
        scores, counts = chat_moments(asked, answering, sight, bar, most=tokens)
    written = write_scores(out, scores)
    rows = [(score.video_id, score.expression_id, len(score.spans), score.text[:60]) for score in scores[:20]]
    reporting.print_table("moments", ["video", "sentence", "spans", "reply"], rows)
    reporting.emit(figures | {"written": written} | counts.compute(), settings)


def _model(model: str, server: str | None, replies: Path | None, device: str, at_once: int) -> ChatModel:
    """The model that answers, with a folder of replies where one is given."""
    from core.devices import pick_device
    from llm_grounder.chat.in_process import load_chat_model
    from llm_grounder.chat.response_cache import CachedChat
    from llm_grounder.chat.server import ServerChat, ServerSettings

    answering: ChatModel
    if server is None:
        answering = load_chat_model(model, pick_device(device), at_once=at_once)
    else:
        answering = ServerChat(ServerSettings(server, model, at_once=at_once))
    return answering if replies is None else CachedChat(answering, replies)
