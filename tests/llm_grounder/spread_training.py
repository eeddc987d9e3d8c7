"""A training of two processes or one, to be started as a program: Lightning starts the others with the same words."""

import os
import signal
import sys
from pathlib import Path

import torch
from lightning.pytorch.strategies import FSDPStrategy
from torch.distributed.fsdp import FullyShardedDataParallel

from core.errors import StoppedError
from llm_grounder import training
from llm_grounder.checkpoints import save_grounder
from llm_grounder.mixture import Mixture, Source
from llm_grounder.optimiser import TrainingSettings
from tests.llm_grounder.tiny_grounder import SETTINGS, make_sample, tiny_grounder

STEPS = 12


class OnCpus(FSDPStrategy):
    """FSDP, which Lightning lends to GPUs alone by its own class; what we ask of it is the same here."""

    def _setup_model(self, model):
        return FullyShardedDataParallel(model, device_id=torch.device("cpu"), **self.kwargs)


def main(folder, strategy, word=""):
    torch.set_num_threads(1)
    spread = training.Spread() if strategy == "single" else training.Spread(devices=2, strategy="ddp")
    if strategy == "fsdp":
        vars(spread)["strategy"] = strategy  # which the command refuses without GPUs
        training.FSDPStrategy = OnCpus
    settings = TrainingSettings(steps=STEPS, tokens=600, most=2, accumulate=1 if spread.processes == 2 else 2)
    batches = Mixture(
        [Source("moments", 5, 1.0, lambda number, rng: make_sample(4 + number, seed=number))], SETTINGS,
        tokens=600, most=2, seed=0, rank=spread.rank, processes=spread.processes,
    )  # fmt: skip
    grounder, lines = tiny_grounder().train(), []

    def stop(done, total):
        if done == STEPS // 2 and word == "halt":
            os.kill(os.getpid(), signal.SIGTERM)

    learnt = training.train_grounder(
        grounder, batches, settings, spread, folder,
        resume=word == "resume", tell=lambda **line: lines.append(line), progress=stop,
    )  # fmt: skip
    if spread.rank == 0:
        save_grounder(folder / "grounder", grounder, {"lines": lines, "drawn": learnt.drawn}, state=learnt.state)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), *sys.argv[2:])
    except StoppedError as stopped:
        sys.exit(f"stopped: {stopped}")
