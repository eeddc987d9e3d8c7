"""How far a selector's probabilities may be believed: expected calibration error and reliability diagrams.

Knows scored expressions, the metric and the chart. Does not know models. Two events are told apart: that a competing
track is one that the expression means, and that the expression has a target at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

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

    def add(self, scored: Scored, calibration: Calibration) -> None:
        """Count one expression's competing tracks, and whether it has a target; without tracks only the latter."""
        if len(scored.logits):
            probability = calibration.probability(scored.logits)
            self.tracks.update(probability, positives(scored.labels, scored.expression))
        there = np.array([bool(scored.expression.target_ids)])
        self.presence.update(np.array([calibration.presence(scored.logits)]), there)

    def figures(self) -> dict[str, float]:
        """`ece` of tracks and `presence_ece`; InputError where nothing was counted."""
        return {"ece": self.tracks.compute().ece, "presence_ece": self.presence.compute().ece}

    def draw(self, path: Path) -> None:
        """Both diagrams as a PNG."""
        parts = {"track is meant": self.tracks.compute(), "target is there": self.presence.compute()}
        draw_panels(path, [_panel(f"{name} (ECE {found.ece:.3f})", found) for name, found in parts.items()])


def write_reliability(folder: Path, scored: Sequence[Scored], calibration: Calibration) -> dict[str, float]:
    """Draw RELIABILITY of expressions that calibration never saw into `folder`; their `valid_ece` and the like."""
    counted = Reliability()
    for item in scored:
        counted.add(item, calibration)
    counted.draw(folder / RELIABILITY)
    return {f"valid_{name}": round(value, 4) for name, value in counted.figures().items()}


def _panel(title: str, figures: CalibrationFigures) -> Panel:
    points = [(b.probability, b.frequency) for b in figures.bins if b.probability is not None]
    known = [(p, f) for p, f in points if f is not None]
    return Panel(title, {"frequency": known}, "probability", diagonal=True, dots=True)
