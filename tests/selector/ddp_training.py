"""A training over several processes, to be started as a program: Lightning starts the others with the same words."""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from selector.fitting import Spread
from selector.training import train_selector
from tests.selector.colour_world import FAST, TINY, WordEncoder, colour_video

RECIPE = replace(FAST, epochs=3, batch=16, together=4, alignment_weight=0.0, truth_share=0.0)
SHAPE = replace(TINY, dropout=0.0)


def main(folder, devices):
    torch.set_num_threads(1)
    examples = [(folder / f"v{seed}.h5", colour_video(seed, f"v{seed}", looks=True)[2]) for seed in range(24)]
    train_selector(
        examples[:16], examples[16:20], examples[20:], WordEncoder(), SHAPE, RECIPE,
        folder.parent / f"out{devices}", torch.device("cpu"), spread=Spread(devices),
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
