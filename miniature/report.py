"""`python -m miniature.report`: measures the released checkpoints and writes `RESULTS.md` and `results.json`.

Knows the splits, the evaluations and the files of results. Does not know how anything is trained or tracked. Choices
are made on valid and shifted_dev; the test splits are measured once a released checkpoint, which this command does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from core import cli
from core.atomic import atomic_path
from core.devices import pick_device
from core.errors import InputError
from core.hashing import file_sha256
from core.reporting import emit, environment, print_table, progress_bar
from miniature import eval_real, eval_sam2
from miniature.clip_training.evaluate import evaluate_clip
from miniature.splits import find_split
from miniature.tracked_splits import tracked_split
from tracksift.ask import Pipeline
from tracksift.evaluate import ORACLE, RANDOM, SELECTOR, SHUFFLED, evaluate
from tracksift.models import WEIGHTS

HERE = Path(__file__).parent
SAM2_CLIPS = 60
PARTS = ["tracker", "real", "open_clip", "answers"]
Flat = dict[str, float | int | str | None]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Section:
    """One table of the report: its title, column names and rows, and the same figures under flat names."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    figures: Flat


def measure_tracker(pipeline: Pipeline, split: str, workers: int) -> Section:
    """J and presence from a first-frame mask, box and point on 24-frame clips."""
    clips = min(SAM2_CLIPS, find_split(split).count)
    found = eval_sam2.evaluate_split(pipeline.tracker.model, split, clips, workers=workers)
    rows = tuple(tuple(row) for row in eval_sam2.rows(split, found))
    figures: Flat = {f"sam2_{name}": value for name, value in eval_sam2.flat(split, found).items()}
    return Section(f"SAM2, {split}, {clips} clips of 24 frames", tuple(eval_sam2.COLUMNS), rows, figures)


def measure_real(pipeline: Pipeline, name: str) -> Section:
    """J on real video from a first-frame mask."""
    found = eval_real.measure_set(pipeline.tracker.model, name)
    rows = tuple(tuple(row) for row in eval_real.rows(found))
    figures: Flat = {f"real_{key}": value for key, value in eval_real.flat(name, found).items()}
    return Section(f"SAM2 on real video, {name}, first-frame mask", eval_real.COLUMNS, rows, figures)


def measure_clip(device: str) -> Section:
    """Text-to-crop retrieval on valid."""
    found = evaluate_clip(WEIGHTS / "clip", device=pick_device(device))
    figures: Flat = {f"clip_{name}": value for name, value in found.items()}
    return Section("open_clip, caption to crop, valid", tuple(found), (tuple(found.values()),), figures)


def measure_answers(pipeline: Pipeline, split: str, work: Path, workers: int) -> Section:
    """J&F of a split from freshly generated caches, with the oracle and the baselines."""
    jobs = tracked_split(pipeline, split, work, workers)
    with progress_bar(f"{split}: scoring", len(jobs)) as bar:
        result = evaluate(jobs, pipeline, progress=bar)
    blind, best = result.best_blind()
    lines = {"selector": result.figures(SELECTOR)}
    lines |= {f"- {kind}": f for kind, f in result.scores[SELECTOR].by_kind().items() if kind}
    lines |= {"oracle of the tracks": result.figures(ORACLE), "a random track": result.figures(RANDOM)}
    lines |= {f"best text-blind: {blind}": best, "shuffled expressions": result.figures(SHUFFLED)}
    columns = ("", "J&F", "J", "F", "J&F, targets", "no-target acc.", "n")
    rows = tuple((k, f.jf, f.j, f.f, f.target_jf, f.no_target_accuracy, f.n) for k, f in lines.items())
    figures: Flat = {f"{split}_{name}": getattr(lines["selector"], name) for name in _NAMES}
    figures |= {f"{split}_{k[2:]}_jf": f.jf for k, f in lines.items() if k.startswith("- ")}
    figures |= {f"{split}_{name}_jf": result.figures(policy).jf for name, policy in _LINES.items()}
    figures |= {f"{split}_blind_jf": best.jf, f"{split}_clips": len(jobs)}
    return Section(f"answers, {split}, {len(jobs)} clips", columns, rows, figures)


_NAMES = ("jf", "j", "f", "target_jf", "no_target_accuracy", "target_accuracy", "n", "failures")
_LINES = {"oracle": ORACLE, "random": RANDOM, "shuffled": SHUFFLED}


def write_results(name: str, section: Section, about: Mapping[str, object], folder: Path) -> None:
    """Put one section in place of its last measurement, in `results.json` (flat names) and `RESULTS.md` (tables)."""
    path = folder / "results.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    sections = old.get("sections", {})
    sections[name] = {
        "title": section.title,
        "columns": section.columns,
        "rows": section.rows,
        "figures": section.figures,
        "facts": about,
    }
    flat = {k: v for part in sections.values() for k, v in part["figures"].items()}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({**flat, "sections": sections}, indent=1, default=str) + "\n", encoding="utf-8")
    lines = ["# Miniature results", "", "Every figure here is of the miniature: rendered clips and tiny models."]
    for part in json.loads(path.read_text(encoding="utf-8"))["sections"].values():
        lines += ["", f"## {part['title'][0].upper()}{part['title'][1:]}", "", _row(part["columns"])]
        lines += [_row(["---"] * len(part["columns"])), *(_row(row) for row in part["rows"])]
        lines += ["", "; ".join(f"{k} {v}" for k, v in part["facts"].items())]
    with atomic_path(folder / "RESULTS.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(f"{c:.3f}" if isinstance(c, float) else "-" if c is None else str(c) for c in cells) + " |"


def facts(seconds: float, command: str = "miniature.report") -> dict[str, object]:
    """What a measurement says about itself."""
    found = environment()
    return {
        "command": f"python -m {command}",
        "date": date.today().isoformat(),
        "seconds": round(seconds),
        "device": found["device"],
        "versions": found["versions"],
        "weights": {p.name: file_sha256(p)[:12] for p in sorted(WEIGHTS.rglob("*.safetensors"))},
    }


@app.command()
def main(
    work: Annotated[Path, typer.Option(help="Folder for rendered clips and caches; what is there is used again.")],
    part: Annotated[
        list[str], typer.Option(help="Parts to measure: tracker, real, open_clip, answers. Repeatable.")
    ] = PARTS,
    split: Annotated[list[str], typer.Option(help="Splits of the answers. Repeatable.")] = ["test", "shifted_test"],  # noqa: B006
    out: Annotated[Path, typer.Option(help="Folder of RESULTS.md and results.json.", show_default="miniature")] = HERE,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes that render.", min=1)] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be measured.")] = False,
) -> None:
    """Measure the released checkpoints: tracker, real video, open_clip and answers, on the splits kept for that.

    Each part is written as soon as it is measured; the others keep their last figures.
    """
    unknown = [name for name in part if name not in PARTS]
    if unknown or "train" in split:
        raise InputError(
            f"expected --part of {', '.join(PARTS)} and no --split train, got {', '.join([*unknown, *split])}"
        )
    pipeline = Pipeline(device=device)
    work_of: dict[str, Callable[[], Section]] = {}
    if "tracker" in part:
        for name in ("test", "shifted_dev"):
            work_of[f"tracker_{name}"] = partial(measure_tracker, pipeline, name, workers)
    if "real" in part:
        if eval_real.FIXTURES.is_dir():
            work_of |= {f"real_{name}": partial(measure_real, pipeline, name) for name in eval_real.SETS}
        else:
            typer.echo(f"real: skipped, no clips in {eval_real.FIXTURES} (TRACKSIFT_FIXTURES)", err=True)
    if "open_clip" in part:
        work_of["open_clip"] = partial(measure_clip, device)
    if "answers" in part:
        work_of |= {f"answers_{name}": partial(measure_answers, pipeline, name, work, workers) for name in split}
    if dry_run:
        typer.echo(f"would measure {', '.join(work_of)} and write {out / 'RESULTS.md'} and {out / 'results.json'}")
        return
    figures: Flat = {}
    for name, measure in work_of.items():
        start = time.perf_counter()
        section = measure()
        write_results(name, section, facts(time.perf_counter() - start), out)
        print_table(f"miniature: {section.title}", section.columns, section.rows)
        figures |= section.figures
    emit(figures, {"parts": list(part), "splits": list(split), "work": str(work)})


if __name__ == "__main__":
    cli.run(app)
