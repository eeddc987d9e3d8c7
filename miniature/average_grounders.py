"""`python -m miniature.average_grounders`: one grounder whose weights are the mean of others'.

Trainings that began with the same weights end near each other, and their mean is often right about unseen looks and
words where each alone is not, at the cost of one (Wortsman et al. 2022, arXiv 2203.05482). Knows folders of grounders.
Does not know films or figures: which to average is chosen on `valid` and `shifted_dev`, by `eval_grounder`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import torch
import typer
from torch import Tensor

from core import cli
from core.atomic import check_folder
from core.errors import InputError
from core.reporting import emit
from llm_grounder.checkpoints import load_grounder, save_grounder
from llm_grounder.grounder import Grounder

SAME: Final = ("inputs", "manner")
"""What the records of all must agree on, and the mean's says too."""
TOLD: Final = ("weights_sha256", "started_from", "seed", "minutes", "steps", "data", "training", "environment")
"""What the mean's record keeps of each."""
EPILOG = "Examples: [bold]python -m miniature.average_grounders runs/a/grounder runs/b/grounder --out runs/mean[/]"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


def mean_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of floating tensors of the same names and shapes, summed in float64; whole numbers must be the same.

    Raises:
        InputError: for names, shapes or whole numbers that differ.
    """
    first = states[0]
    if any(state.keys() != first.keys() for state in states):
        raise InputError("weights: expected the same names in all, got others")
    mean = {}
    for name, value in first.items():
        found = [state[name] for state in states]
        if any(each.shape != value.shape for each in found):
            raise InputError(f"weights: expected {name} of shape {list(value.shape)} in all, got others")
        if value.is_floating_point():
            mean[name] = torch.stack([each.double() for each in found]).mean(0).to(value.dtype)
        elif all(torch.equal(each, value) for each in found):
            mean[name] = value
        else:
            raise InputError(f"weights: expected the same {name} in all, got others")
    return mean


def average(folders: Sequence[Path]) -> tuple[Grounder, dict[str, Any]]:
    """The mean of several grounders, and its record.

    Raises:
        InputError: for fewer than two, or grounders that read, say or are built otherwise than the first.
        CheckpointError: where one cannot be read.
    """
    if len(folders) < 2:
        raise InputError(f"folders: expected two grounders or more, got {len(folders)}")
    read = [load_grounder(folder) for folder in folders]
    grounder, record = read[0]
    for folder, (other, theirs) in zip(folders[1:], read[1:], strict=True):
        pairs = {
            "settings": (grounder.settings, other.settings),
            "language model": (grounder.backbone.facts, other.backbone.facts),
            "words": (grounder.backbone.tokenizer.get_vocab(), other.backbone.tokenizer.get_vocab()),
            **{name: (record.get(name), theirs.get(name)) for name in SAME},
        }
        if different := [name for name, (a, b) in pairs.items() if a != b]:
            raise InputError(f"{folder}: expected the {different[0]} of {folders[0]}, got others")
    grounder.load_state_dict(mean_state([each.state_dict() for each, _ in read]))
    told = {name: record[name] for name in SAME if name in record}
    return grounder, told | {"mean_of": [{name: r[name] for name in TOLD if name in r} for _, r in read]}


@app.command(epilog=EPILOG)
def main(
    folders: Annotated[list[Path], typer.Argument(help="Two grounders' folders or more, of the same size.")],
    out: Annotated[Path, typer.Option(help="Folder of the mean.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and compare them, and write nothing.")] = False,
) -> None:
    """Average the weights of several grounders, kept in bytes as `train_grounder` keeps them."""
    if out.exists():
        raise InputError(f"--out {out}: expected a folder that is not there yet, got one")
    check_folder(out.parent)
    grounder, record = average(folders)
    hashes = [each["weights_sha256"] for each in record["mean_of"]]
    written = None if dry_run else save_grounder(out, grounder, record, torch.int8)
    emit({"grounders": len(folders), "weights_sha256": written}, {"mean_of": hashes, "out": out, "dry_run": dry_run})


if __name__ == "__main__":
    cli.run(app)
