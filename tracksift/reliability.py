"""How far a selector's probabilities may be believed: expected calibration error and reliability diagrams.

Knows scored expressions, the metric and the chart. Does not know models. Two events are told apart: that a competing
track is one that the expression means, and that the expression has a target at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.calibration import CalibrationFigures, CalibrationTotals
from core.charts import Panel, draw_panels
from selector.calibration import Calibration, Scored
from selector.labels import positives

RELIABILITY = "selector.reliability.png"


class Reliability:
    """Counts both events over expressions."""

    def __init__(self) -> None:
        """Nothing counted."""
        self.tracks, self.presence = CalibrationTotals(), CalibrationTotals()

    def add(self, probability: NDArray[np.float64], meant: NDArray[np.bool_], presence: float, there: bool) -> None:
        """Count one expression: the probabilities of the N competing tracks, which are meant, and of a target."""
        if len(probability):
            self.tracks.update(probability, meant)
        self.presence.update(np.array([presence]), np.array([there]))

    def merge(self, other: Reliability) -> None:
        """Add all that `other` has counted."""
        self.tracks.merge(other.tracks)
        self.presence.merge(other.presence)

    def figures(self) -> dict[str, float]:
        """`ece` of tracks and `presence_ece`; without those that nothing was counted for."""
        named = {"ece": self.tracks, "presence_ece": self.presence}
        return {name: totals.compute().ece for name, totals in named.items() if totals.n}

    def draw(self, path: Path) -> None:
        """Both diagrams as a PNG; InputError where nothing was counted."""
        parts = {"track is meant": self.tracks, "target is there": self.presence}
        found = {name: totals.compute() for name, totals in parts.items() if totals.n}
        draw_panels(path, [_panel(f"{name} (ECE {figures.ece:.3f})", figures) for name, figures in found.items()])


def write_reliability(folder: Path, scored: Sequence[Scored], calibration: Calibration) -> dict[str, float]:
    """Draw RELIABILITY of expressions that calibration never saw into `folder`; their `valid_ece` and the like."""
    counted = Reliability()
    for item in scored:
        meant, there = positives(item.labels, item.expression), bool(item.expression.target_ids)
        counted.add(calibration.probability(item.logits), meant, calibration.presence(item.logits), there)
    counted.draw(folder / RELIABILITY)
    return {f"valid_{name}": round(value, 4) for name, value in counted.figures().items()}


def _panel(title: str, figures: CalibrationFigures) -> Panel:
    points = [(b.probability, b.frequency) for b in figures.bins if b.probability is not None]
    known = [(p, f) for p, f in points if f is not None]
    return Panel(title, {"frequency": known}, "probability", diagonal=True, dots=True)
