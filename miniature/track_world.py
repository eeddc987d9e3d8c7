"""`python -m miniature.track_world`: all splits rendered and tracked by several processes, for selectors to learn from.

The training split is rendered in blocks and becomes a split without pixels, since its caches hold all that a selector
reads; the others are whole. What is there is kept: the same command goes on. Knows flags and folders.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from cache import SUFFIX, fresh_pack, write_pack
from core import cli, reporting
from core.atomic import atomic_folder
from core.devices import pick_device
from core.errors import CacheError, InputError, StoppedError
from miniature.splits import SPLITS, Split, find_split
from miniature.tracking_crew import Block, Crew, Place
from miniature.world.layout import MASKS, META, video_id
from tracksift.scheduling.stopping import stop_on_signals

DATASET = "mevis"
PACKED = ("train", "valid", "calib")
SMALLER = 6  # times, the first blocks
EPILOG = (
    "Examples: [bold]python -m miniature.track_world --work runs/world --processes 4 --together 16 --minutes 8[/]  |  "
    "[bold]python -m miniature.track_world --work runs/world --train 200 --device cpu --processes 2[/]  |  "
    "[bold]python -m miniature.track_world --work runs/world --splits valid --train 0 --dry-run[/]"
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


@app.command(epilog=EPILOG)
def main(
    work: Annotated[Path, typer.Option(help="WORK/world, WORK/caches and WORK/logs are made.")] = Path("runs/world"),
    splits: Annotated[str, typer.Option(help="Splits beside train, with commas between; '' for none.")] = ",".join(
        name for name in SPLITS if name != "train"
    ),
    train: Annotated[int, typer.Option(help="Clips of the training split, from its first seed on.", min=0)] = 3000,
    block: Annotated[int, typer.Option(help="Training clips that a process takes at a time.", min=1)] = 96,
    processes: Annotated[int, typer.Option(help="That track: on each GPU, or on the CPU.", min=1)] = 4,
    beside: Annotated[int, typer.Option(help="Also so many that track on the CPU, beside GPUs.", min=0)] = 0,
    together: Annotated[int, typer.Option(help="Clips that each is at, on a GPU; 1 on a CPU.", min=1)] = 16,
    renderers: Annotated[int, typer.Option(help="Processes that render.", min=1)] = 4,
    minutes: Annotated[float | None, typer.Option(help="Stop tracking after so many.", min=0)] = None,
    tracker: Annotated[str, typer.Option(help="As generate's.")] = "miniature",
    bin_size: Annotated[int | None, typer.Option(help="As generate's: grid prompts every so many frames.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda (all GPUs that are visible).")] = "auto",
    replay: Annotated[bool, typer.Option("--replay", help="As generate's, with --together 1.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be tracked, and where.")] = False,
) -> None:
    """Render and track the miniature's splits; then merge and pack what selectors learn from."""
    began = time.monotonic()
    places = find_places(pick_device(device).type, processes, beside)
    blocks = plan(work, [name for name in splits.split(",") if name], train, block, len(places))
    if dry_run:
        rows = [(b.name, b.count, str(b.data)) for b in blocks]
        reporting.print_table(f"would track, in {len(places)} processes", ["block", "clips", "folder"], rows)
        reporting.emit({"clips": sum(b.count for b in blocks), "processes": len(places)}, {"work": str(work)})
        return
    caches = work / "caches" / DATASET
    wanted = sum(b.count for b in blocks)
    before = count_caches(caches, blocks)
    arguments = ["--cache", str(work / "caches"), "--tracker", tracker]
    arguments += [] if bin_size is None else ["--bin-size", str(bin_size)]
    arguments += ["--replay"] if replay else []

    def command(part: Block, place: Place) -> list[str]:
        kind = ["cuda", "--together", str(together)] if place.environment.get("CUDA_VISIBLE_DEVICES") else ["cpu"]
        told = ["--data", str(part.data), "--split", part.split.name, *arguments, "--device", *kind]
        told += [] if part.shard is None else ["--shard", "{}/{}".format(*part.shard)]
        return [sys.executable, "-m", "scripts", "generate", *told]

    crew = Crew(command, places, work / "logs", None if minutes is None else began + 60 * minutes)
    with reporting.progress_bar("tracking", wanted) as bar:
        try:
            with stop_on_signals(None) as stop:
                whole = crew.run(blocks, renderers, lambda: bar(count_caches(caches, blocks), wanted))
        except KeyboardInterrupt:
            raise StoppedError(f"{work}: tracking ended; the same command goes on", stop.signal) from None
    seconds = time.monotonic() - began
    merge(work)
    pack(caches)
    names = dict.fromkeys(b.split.name for b in blocks)
    parts = {name: [b for b in blocks if b.split.name == name] for name in names}
    counts = [(name, count_caches(caches, own), sum(b.count for b in own)) for name, own in parts.items()]
    if not whole:
        typer.echo("time is up; the same command goes on", err=True)
    reporting.print_table("miniature: tracked", ["split", "clips", "of"], counts)
    made = count_caches(caches, blocks) - before
    figures = {"clips": made, "seconds": seconds, "clips_per_second": made / seconds, "left": wanted - made - before}
    reporting.emit(figures | {"whole": int(whole)}, {"processes": len(places), "together": together, "work": str(work)})


def plan(work: Path, names: Sequence[str], train: int, block: int, places: int = 0) -> list[Block]:
    """The splits in shards of `block` clips at most, and `train` clips of the training split in blocks.

    places: so many small blocks of the training split come first, since whoever tracks waits until one is rendered.

    Raises:
        InputError: for an unknown split, train among `names`, or a training split that was rendered whole.
    """
    if "train" in names:
        raise InputError("--splits: expected splits beside train, which --train says the clips of, got train")
    whole = [find_split(name) for name in names]
    if (work / "world" / "train" / "JPEGImages").exists():
        raise InputError(f"--work: expected a folder without a rendered training split, got {work / 'world' / 'train'}")
    parts: list[Block] = []
    seeds, first = find_split("train"), 0
    while first < train:
        size = min(block if len(parts) >= places else max(1, block // SMALLER), train - first)
        part = replace(seeds, first_seed=seeds.first_seed + first, count=size)
        parts.append(Block(part, work / "parts" / _folder(part)))
        first += size
    shards = [shard for split in whole for shard in _shards(split, work / "world", block)]
    return parts[:places] + shards + parts[places:]


def _shards(split: Split, data: Path, most: int) -> list[Block]:
    """A split in parts that several processes track, since one would be at it for as long as all the others."""
    many = -(-split.count // most)
    return [Block(split, data, (i, many) if many > 1 else None) for i in range(many)]


def find_places(kind: str, processes: int, beside: int = 0) -> list[Place]:
    """So many processes on each visible GPU and `beside` on the CPU, or all there; each has one thread, since small
    steps gain by no more.
    """
    threads = {"OMP_NUM_THREADS": "1"}
    on_cpu = beside if kind == "cuda" else processes + beside
    others = [Place(f"cpu {i}", threads | {"CUDA_VISIBLE_DEVICES": ""}) for i in range(on_cpu)]
    if kind != "cuda":
        return others
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    cards = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
    return [
        Place(f"GPU {card}, {i}", threads | {"CUDA_VISIBLE_DEVICES": card}) for i in range(processes) for card in cards
    ] + others


def count_caches(caches: Path, blocks: Sequence[Block]) -> int:
    """Cache files that there are of the blocks' clips, without others of the training split's folder."""
    found = 0
    for name in {b.split.name for b in blocks}:
        there = {path.name for path in (caches / name).glob(f"*{SUFFIX}")}
        splits = {b.split for b in blocks if b.split.name == name}  # once, in however many shards
        found += sum(f"{video_id(seed, s.shifted)}{SUFFIX}" in there for s in splits for seed in s.seeds)
    return found


def merge(work: Path) -> None:
    """WORK/world/train from all blocks' annotations, of clips that have a cache: a split without pixels and masks."""
    videos: dict[str, Any] = {}
    for meta in sorted((work / "parts").glob(f"*/train/{META}")):
        videos |= json.loads(meta.read_text(encoding="utf-8"))["videos"]
    caches = work / "caches" / DATASET / "train"
    videos = {name: video for name, video in videos.items() if (caches / f"{name}{SUFFIX}").is_file()}
    if videos:
        with atomic_folder(work / "world" / "train") as folder:
            (folder / META).write_text(json.dumps({"videos": videos}), encoding="utf-8")
            (folder / MASKS).write_text("{}", encoding="utf-8")


def pack(caches: Path) -> None:
    """Write the packs that training reads, where they are not fresh."""
    for name in PACKED:
        folder = caches / name
        if folder.is_dir() and any(folder.glob(f"*{SUFFIX}")):
            try:
                fresh_pack(folder)
            except CacheError:  # missing, or of other caches
                write_pack(folder)


def _folder(part: Split) -> str:
    return f"{part.first_seed:06d}-{part.count}"


if __name__ == "__main__":
    cli.run(app)
