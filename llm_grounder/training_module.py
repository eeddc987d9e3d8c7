"""A grounder's training as Lightning takes it: a step's losses, what is told of them, its gradients, its weights.

Knows the grounder, its losses, and the processes that train together. Does not know files, devices or where samples
come from.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import lightning
import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from core.errors import TrackSiftError
from llm_grounder.optimiser import TrainingSettings, decaying, make_optimizer, share_at
from llm_grounder.types import Sample

LOG_EVERY = 10
Value = TypeVar("Value")
Teller = Callable[..., None]
"""Takes a line of a log by its names."""


@dataclass(frozen=True, eq=False)
class Learnt:
    """What came of a training. drawn: samples of each task, by all processes.   state: the grounder's weights by name;
    by `fsdp` the first process alone has them.
    """

    drawn: Counter[str]
    state: Mapping[str, Tensor]


class GrounderModule(lightning.LightningModule):  # type: ignore[misc]  # the library is untyped
    """A grounder, whose forward pass gives its losses by name, under AdamW with warm-up and half a cosine."""

    def __init__(self, grounder: nn.Module, settings: TrainingSettings, tell: Teller | None = None) -> None:
        """tell: called in the first process with a line of the log every few steps: step, seconds, losses, and what was
        drawn, both of all batches of all processes.
        """
        super().__init__()
        self.grounder, self.recipe, self.tell = grounder, settings, tell
        self.decay = decaying(grounder)
        self.begun = time.monotonic()
        self.seen: Counter[str] = Counter()
        self.learnt = Learnt(Counter(), {})
        self._step: list[tuple[dict[str, float], list[str]]] = []  # losses and clips of this step's batches until now

    def training_step(self, batch: list[Sample], index: int) -> Tensor:
        """The total loss of a batch.

        Raises:
            TrackSiftError: where it is not a finite number.
        """
        losses: Mapping[str, Tensor] = self.grounder(batch)
        self.seen.update(sample.request.task.value for sample in batch)
        if self.global_step % LOG_EVERY == 0 or self.global_step + 1 == self.recipe.steps:
            values = {name: float(value.detach()) for name, value in losses.items()}
            self._step.append((values, [sample.clip.id for sample in batch]))
            if len(self._step) == self.recipe.accumulate:
                self._report()
        return losses["total"]

    def _report(self) -> None:
        """Tell the mean of each loss over those of the step's batches that know it."""
        batches = [batch for part in self._of_all(self._step) for batch in part]
        self._step = []
        for values, clips in batches:  # every process looks at all, so that none waits for one that has given up
            if not math.isfinite(values["total"]):
                raise TrackSiftError(
                    f"training: expected a finite loss, got {values} at step {self.global_step} on clips {clips}"
                )
        drawn = self._drawn()
        if self.tell is not None and self.trainer.is_global_zero:
            names = dict.fromkeys(name for values, _ in batches for name in values)
            told = {name: [values[name] for values, _ in batches if name in values] for name in names}
            means = {name: round(sum(told[name]) / len(told[name]), 5) for name in sorted(names, key="total".__eq__)}
            seconds = round(time.monotonic() - self.begun, 2)
            self.tell(step=self.global_step, seconds=seconds, drawn=dict(drawn), **means)

    def _drawn(self) -> Counter[str]:
        """Samples of each task that all processes drew."""
        return sum(self._of_all(self.seen), Counter())

    def _of_all(self, value: Value) -> list[Value]:
        """What every process has, in each of them; all have to ask."""
        if self.trainer.world_size == 1:
            return [value]
        found: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(found, value)
        return found

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip by the norm of all gradients, of which FSDP's processes have a part each."""
        whole = self.trainer.strategy.model
        if isinstance(whole, FullyShardedDataParallel):
            whole.clip_grad_norm_(float(gradient_clip_val or math.inf))
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_fit_end(self) -> None:
        """Take the weights while processes can still be asked for their parts of them."""
        state = self.trainer.strategy.lightning_module_state_dict()
        self.learnt = Learnt(self._drawn(), {name.removeprefix("grounder."): value for name, value in state.items()})

    def transfer_batch_to_device(self, batch: list[Sample], device: torch.device, dataloader_idx: int) -> list[Sample]:
        """Samples stay where they are: the grounder takes of them what it needs."""
        return batch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What was drawn goes on after a stop."""
        checkpoint["seen"] = dict(self._drawn())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See `on_save_checkpoint`; the first process counts for those before."""
        self.seen = Counter(checkpoint["seen"] if self.trainer.is_global_zero else ())

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW and its schedule."""
        optimizer = make_optimizer(self.grounder, self.recipe, decay=self.decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share_at(step, self.recipe))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
