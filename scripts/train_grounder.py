"""`tracksift train-grounder`: real annotations and features of their videos -> a grounder.

Knows flags and tables. Does not know how a grounder is trained.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from core import reporting
from core.errors import InputError
from scripts import options

if TYPE_CHECKING:  # slow to import, and `--help` shall be there at once
    from tracksift.annotations import Examples

EPILOG = (
    "Examples: [bold]tracksift train-grounder --recipe tcs --data qvhighlights:train=QVHighlights --lm Qwen/Qwen3-0.6B"
    "[/]  |  [bold]tracksift train-grounder --recipe vtg --data charades_sta:train=Charades --data "
    "activitynet_captions:train=ActivityNet --lm models/qwen --devices 8 --strategy ddp --checkpointing[/]  |  "
    "[bold]tracksift train-grounder --data qvhighlights:val=world --steps 50 --dry-run[/]"
)


def main(
    data: Annotated[
        list[str] | None, typer.Option(help="NAME=PATH or NAME:SPLIT=PATH of a dataset (`data list`); may be repeated.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="vtg, tcs, duet or track.")] = "tcs",
    out: options.Out = Path("runs/grounder"),
    cache: options.Cache = Path("caches"),
    lm: Annotated[str, typer.Option(help="tiny, or a causal LM: a hub id or a folder.")] = "tiny",
    lora_rank: Annotated[int, typer.Option(help="Rank of LoRA's updates; 0 leaves the LM frozen.", min=0)] = 16,
    encoder: Annotated[str, typer.Option(help="'miniature', or a folder in open_clip's format.")] = "miniature",
    per_second: Annotated[float | None, typer.Option("--per-second", help="As features were extracted.")] = None,
    grid: Annotated[int, typer.Option(help="As features were extracted.", min=0)] = 0,
    tiles: Annotated[int, typer.Option(help="As features were extracted.", min=1)] = 1,
    motion: Annotated[bool, typer.Option(help="Also show each patch's change since the frame before.")] = True,
    tracks: Annotated[
        int, typer.Option(help="Tracks of a video that are read, at most, from the same caches; 0: none.", min=0)
    ] = 0,
    track_numbers: Annotated[
        bool,
        typer.Option(
            "--track-numbers/--track-tokens", help="Read tracks by numbers of their masks and looks, or object tokens."
        ),
    ] = False,
    visual_tokens: Annotated[int | None, typer.Option(help="Visual tokens a frame.", min=1)] = None,
    patch_width: Annotated[int, typer.Option(help="Width of the front end over patches; 0: none.", min=0)] = 0,
    patch_layers: Annotated[int, typer.Option(help="Its convolutional blocks.", min=0)] = 0,
    steps: Annotated[int, typer.Option(help="Optimiser's steps.", min=1)] = 2000,
    tokens: Annotated[int, typer.Option(help="Tokens of a batch, which is filled up to them.", min=1)] = 16_384,
    most: Annotated[int, typer.Option(help="Samples of a batch at most.", min=1)] = 32,
    accumulate: Annotated[int, typer.Option(help="Batches a step, of each process.", min=1)] = 1,
    rate: Annotated[float, typer.Option(help="Learning rate of the LM or of LoRA.")] = 2e-4,
    head_rate: Annotated[float, typer.Option(help="Learning rate of all that is new.")] = 5e-4,
    checkpointing: Annotated[bool, typer.Option("--checkpointing", help="Recompute layers, for less memory.")] = False,
    device: options.Device = "auto",
    devices: Annotated[
        int, typer.Option(help="Processes on this machine, one a GPU, with batches of their own.", min=1)
    ] = 1,
    nodes: Annotated[int, typer.Option(help="Machines; start this command on each, as Lightning says.", min=1)] = 1,
    strategy: Annotated[str, typer.Option(help="single, ddp (copies the model) or fsdp (spreads it).")] = "single",
    bf16: Annotated[bool | None, typer.Option(help="bfloat16; by default on a GPU and not on a CPU.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights and draws.", min=0)] = 0,
    limit: Annotated[int | None, typer.Option(help="Only the first so many examples of each split.", min=1)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from OUT where a training was stopped.")] = False,
    dry_run: options.DryRun = False,
) -> None:
    """Train the grounder on real annotations; features come from `tracksift extract-features`.

    [bold]vtg[/] says everything in words with time tokens, [bold]tcs[/] regresses windows from span queries,
    [bold]duet[/] reads frames one by one and speaks when it is due, [bold]track[/] boxes and describes objects. What
    cannot be learnt from is counted in the table. Writes OUT/grounder (weights and record) and OUT/log.jsonl.
    """
    import torch

    from core.devices import pick_device
    from core.images import load_image_encoder
    from llm_grounder.backbone import LoraSettings
    from llm_grounder.grounder import Grounder
    from llm_grounder.optimiser import TrainingSettings
    from llm_grounder.settings import GrounderSettings
    from llm_grounder.training import Spread, StrategyName
    from tracksift.clips import NUMBERS, Inputs
    from tracksift.grounder_training import gather, make_backbone, train
    from tracksift.models import Models
    from tracksift.recipes import find_recipe, read_data_flag

    found, place = find_recipe(recipe), pick_device(device)
    training = TrainingSettings(
        steps, tokens, most, accumulate, rate, head_rate, checkpointing=checkpointing, seed=seed
    )  # fmt: skip
    spread = Spread(place, devices, nodes, cast(StrategyName, strategy), bf16)
    hashed = load_image_encoder(Models(text_encoder=encoder).text_spec, "cpu").sha256
    inputs = Inputs(hashed, grid, tiles, per_second, motion, tracks, track_numbers)
    material = gather([read_data_flag(text) for text in data or ()], cache, found, inputs, limit)
    changes = dict(found.settings) | ({} if visual_tokens is None else {"visual_tokens": visual_tokens})
    if tracks:  # what a track does lies in several frames
        changes |= {"track_width": material.track_width, "tracks": tracks, "object_layers": 2, "object_reach": 4}
        changes |= {"motion_width": 32, "moving": NUMBERS if track_numbers else 0}
    visual = min(int(changes.pop("visual_tokens", 4)), material.patches)
    shape = GrounderSettings(
        material.width, material.patches, visual_tokens=visual, patch_width=patch_width, patch_layers=patch_layers,
        **changes,
    )  # fmt: skip
    leads = spread.rank == 0  # of several processes, which all run this command, the one that speaks
    if leads:
        show(material.splits, material.counts)
    settings = {"recipe": recipe, "lm": lm, "data": data, "steps": steps, "out": out, "dry_run": dry_run}
    figures = {"examples": sum(material.counts.values()), "videos": len(material.caches)}
    if dry_run:
        reporting.emit(figures, settings)
        return
    if not resume and (out / "grounder").exists():
        raise InputError(f"--out: expected a folder without a grounder, got {out / 'grounder'}")
    torch.manual_seed(seed)
    lora = LoraSettings(lora_rank, 2 * lora_rank) if lora_rank else None
    grounder = Grounder(shape, make_backbone(lm, material, shape, lora))
    with reporting.progress_bar("steps", steps) if leads else nullcontext() as bar:
        drawn = train(grounder, material, found, recipe, inputs, training, spread, out, resume=resume, progress=bar)
    if leads:
        reporting.emit({**figures, **{f"drawn_{task}": count for task, count in drawn.items()}}, settings)


def show(splits: "tuple[Examples, ...]", counts: dict[str, int]) -> None:
    """What is learnt from, and what was left out and why."""
    rows = [(name, count, "") for name, count in counts.items()]
    rows += [(f"{s.name} {s.split}", -count, f"left out: {why}") for s in splits for why, count in s.left_out.items()]
    reporting.print_table("learns from", ["what", "examples", ""], rows)
