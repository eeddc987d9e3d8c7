"""`python -m miniature.train_clip`: train the miniature open_clip on rendered crops, frames and expressions.

Knows the rendered world, the losses and open_clip's files. Does not know who uses the towers. What it writes is a
folder of open_clip's own format (configuration, float16 weights, merges of the tokenizer) with `clip.json`, the record
of how it was made, and `log.jsonl`, its course; the folder appears whole or not at all.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import open_clip
import torch
import typer
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from core import cli
from core.atomic import atomic_folder
from core.devices import autocast, describe_device, pick_device
from core.errors import InputError
from core.hashing import file_sha256
from core.images import view_side
from core.open_clip_folder import MERGES, OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS
from core.reporting import emit, environment, print_table, progress_bar, track
from miniature.clip_training import losses
from miniature.clip_training.captions import Captions, holds, make_captions
from miniature.clip_training.data import ClipData, sample, stack_views, to_pixels
from miniature.clip_training.evaluate import retrieval
from miniature.clip_training.views import ClipViews, render_all
from miniature.clip_training.vocabulary import count_words, learn_merges, vocabulary_size, write_merges
from miniature.splits import SPLITS
from miniature.training_run import named_signals

IMAGE_SIZE = 64
WIDTH = 128  # of the joint space and of the text tower
CONTEXT_LENGTH = 64
HIDDEN = 0.25  # share of words that the text tower must restore

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class ClipSettings:
    """One training run. `minutes` counts optimisation only; the learning rate follows the clock."""

    seed: int = 0
    minutes: float = 2.0
    clips: int = 3000
    valid_clips: int = 100
    times: int = 3
    batch: int = 512
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    weight_decay: float = 0.05
    max_steps: int | None = None


SMOKE = ClipSettings(minutes=0.2, clips=3, valid_clips=2, times=2, batch=16, max_steps=3)


def model_config(vocabulary: int) -> dict[str, Any]:
    """open_clip's `model_cfg` of the miniature: a 6-layer ViT on 8-pixel patches, a 4-layer text tower.

    The text tower reads both ways, so that the state of a word knows what is said of it later.
    """
    return {
        "embed_dim": WIDTH,
        "init_logit_scale": math.log(10),
        "init_logit_bias": -4.0,
        "vision_cfg": {
            "image_size": IMAGE_SIZE, "patch_size": 8, "width": 192, "layers": 6, "head_width": 32, "pool_type": "avg",
        },
        "text_cfg": {
            "context_length": CONTEXT_LENGTH, "vocab_size": vocabulary, "width": WIDTH, "heads": 4, "layers": 4,
            "no_causal_mask": True,
        },
    }  # fmt: skip


class ClipTrainer(nn.Module):
    """open_clip's CLIP with a word head that is thrown away after training."""

    def __init__(self, config: dict[str, Any], special: tuple[int, int]) -> None:
        """`special`: token ids of start and end of text."""
        super().__init__()
        self.clip = open_clip.CLIP(**config)
        self.word_head = nn.Linear(WIDTH, config["text_cfg"]["vocab_size"])
        self.special = special

    def losses(self, data: ClipData, captions: Captions, batch: int) -> dict[str, Tensor]:
        """The three losses on a fresh random batch: `pair`, `expression`, `word`."""
        crop, frame = sample(data.crops, batch), sample(data.frames, batch // 4)
        pair, words = sample(data.pairs, batch // 4), data.words[sample(data.words, batch)]
        column = torch.randint(data.hits.shape[1], (len(pair),), device=pair.device)
        hit = data.hits[pair, column]
        miss = data.misses[pair, torch.randint(data.misses.shape[1], (len(pair),), device=pair.device)]
        pixels = torch.cat([data.crops[torch.cat([crop, hit, miss])], data.frames[frame]])
        row = captions.draw(data.crop_facts[crop])
        images = F.normalize(self.clip.encode_image(to_pixels(pixels, IMAGE_SIZE, augment=True)), dim=-1)
        texts = F.normalize(self.clip.encode_text(torch.cat([captions.ids[row], data.pairs[pair]])), dim=-1)
        crops, hits, misses, frames = torch.split(images.float(), [batch, len(pair), len(pair), len(frame)])
        said, expressions = torch.split(texts.float(), [batch, len(pair)])
        scale, bias = self.clip.logit_scale.exp(), self.clip.logit_bias
        labels = torch.cat(
            [holds(captions.facts[row], data.crop_facts[crop]), holds(captions.facts[row], data.frame_facts[frame])]
        )
        pairs = torch.stack([hits, misses], dim=1)
        pair_labels = torch.tensor([True, False], device=labels.device).expand(len(pair), 2)
        return {
            "pair": losses.pair_loss(torch.cat([crops, frames]), said, scale, bias, labels),
            "expression": losses.same_clip_loss(pairs, expressions, scale, bias, pair_labels),
            "word": self.word_loss(words),
        }

    def word_loss(self, ids: Tensor) -> Tensor:
        """How badly the states of expressions with hidden words tell all their words; keeps what no image shows."""
        corrupted, real = losses.corrupt(ids, self.special, HIDDEN)
        out = self.clip.forward_intermediates(text=corrupted, text_indices=1, normalize_intermediates=True)
        return losses.word_loss(self.word_head(out["text_intermediates"][-1]).float(), ids, real)


def rate(settings: ClipSettings, progress: float) -> float:
    """Learning rate at `progress` 0..1: linear warm-up, then half a cosine down to 1 % of the peak."""
    if progress < settings.warm_up:
        return settings.learning_rate * (progress / settings.warm_up + 0.01)
    done = min(1.0, (progress - settings.warm_up) / (1 - settings.warm_up))
    return settings.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


def optimise(
    trainer: ClipTrainer, data: ClipData, captions: Captions, settings: ClipSettings, device: torch.device
) -> list[dict[str, float]]:
    """Train until the minutes or steps are over; the log, one entry every 50 steps."""
    optimiser = torch.optim.AdamW(trainer.parameters(), lr=1e-6, weight_decay=settings.weight_decay, betas=(0.9, 0.98))
    log: list[dict[str, float]] = []
    start, step, progress = time.monotonic(), 0, 0.0
    with progress_bar("training", 100) as bar:
        while progress < 1:
            progress = (time.monotonic() - start) / (60 * settings.minutes)
            if settings.max_steps is not None:
                progress = max(progress, (step + 1) / settings.max_steps)
            for group in optimiser.param_groups:
                group["lr"] = rate(settings, progress)
            with autocast(device):
                parts = trainer.losses(data, captions, settings.batch)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(torch.stack(list(parts.values())).sum())
            nn.utils.clip_grad_norm_(trainer.parameters(), 1.0)
            optimiser.step()
            step += 1
            if step % 50 == 0 or progress >= 1:
                seconds = round(time.monotonic() - start, 2)
                log.append({"step": step, "seconds": seconds, **{k: round(v.item(), 5) for k, v in parts.items()}})
                bar(min(100, int(100 * progress)), 100)
    return log


def train(out: Path, settings: ClipSettings, device: torch.device, workers: int) -> dict[str, float | int]:
    """Render, train, write the folder `out` and measure it; the figures of `clip.json`."""
    torch.manual_seed(settings.seed)
    with atomic_folder(out) as folder:  # an output that cannot be written is known before the work
        views = _render("train", settings.clips, settings.times, workers)
        valid = _render("valid", settings.valid_clips, settings.times, workers)
        merges = learn_merges(count_words(e.text for view in views for e in view.expressions))
        config = model_config(vocabulary_size(merges))
        write_merges(folder / MERGES, merges)
        tokenizer = SimpleTokenizer(bpe_path=str(folder / MERGES), context_length=CONTEXT_LENGTH)
        trainer = ClipTrainer(config, (tokenizer.sot_token_id, tokenizer.eot_token_id)).to(device)
        data, captions = stack_views(views, tokenizer, device), make_captions(tokenizer, device)
        start = time.monotonic()
        log = optimise(trainer, data, captions, settings, device)
        minutes = (time.monotonic() - start) / 60
        write_model(folder, trainer.clip, config)
        figures = retrieval(folder, valid, device)
        record = {
            "settings": asdict(settings),
            "minutes": round(minutes, 2),
            "steps": int(log[-1]["step"]),
            "figures": figures,
            "data": {"train": _seeds("train", settings.clips), "valid": _seeds("valid", settings.valid_clips)},
            "weights_sha256": file_sha256(folder / OPEN_CLIP_WEIGHTS),
            **environment(),
            "device": describe_device(device),
        }
        (folder / "clip.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log), encoding="utf-8")
    return figures


def write_model(folder: Path, model: nn.Module, config: dict[str, Any]) -> None:
    """Configuration and float16 weights in open_clip's format."""
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    text = json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}, indent=2)
    (folder / OPEN_CLIP_CONFIG).write_text(text + "\n", encoding="utf-8")
    state = {name: tensor.detach().half().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / OPEN_CLIP_WEIGHTS)


def _seeds(split: str, clips: int) -> Sequence[int]:
    first = SPLITS[split].first_seed
    return [first, first + clips]


def _render(split: str, clips: int, times: int, workers: int) -> list[ClipViews]:
    first, stop = _seeds(split, clips)
    views = render_all(range(first, stop), view_side(IMAGE_SIZE), times, workers, shifted=SPLITS[split].shifted)
    return list(track(views, f"rendering {split}", clips))


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="folder to write, replaced as a whole")],
    seed: Annotated[int, typer.Option(help="of weights and batches")] = 0,
    minutes: Annotated[float, typer.Option(help="of optimisation, after rendering")] = 2.0,
    clips: Annotated[int, typer.Option(help="clips of the train split to render")] = 3000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    workers: Annotated[int, typer.Option(help="rendering processes; 0 renders in this one")] = 2,
    smoke: Annotated[bool, typer.Option(help="three steps on three clips, to see that everything runs")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done, and write nothing")] = False,
) -> None:
    """Train the miniature open_clip.

    Example: python -m miniature.train_clip --out miniature/weights/clip --minutes 2 --device cuda --workers 14
    """
    if not 1 <= clips <= SPLITS["train"].count:
        raise InputError(f"--clips: expected 1 to {SPLITS['train'].count}, got {clips}")
    if not 0 < minutes < 24 * 60 or workers < 0:
        raise InputError(f"--minutes and --workers: expected more than 0 and at least 0, got {minutes} and {workers}")
    settings = SMOKE if smoke else ClipSettings(seed=seed, minutes=minutes, clips=clips)
    if dry_run:
        plan = {"out": out, "device": pick_device(device), **asdict(settings)}
        print_table("would train", ["setting", "value"], [[name, str(value)] for name, value in plan.items()])
        return
    with named_signals(out):  # minutes of work, of which no state is kept
        figures = train(out, settings, pick_device(device), workers)
    print_table("Miniature open_clip, valid: caption to crop", list(figures), [list(figures.values())])
    emit({f"clip_{name}": value for name, value in figures.items()}, settings=asdict(settings))


if __name__ == "__main__":
    cli.run(app)
