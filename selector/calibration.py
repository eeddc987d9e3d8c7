"""From logits to probabilities and decisions, fitted on the calibration split only.

Knows logits of competing tracks and the overlaps of labels. Does not know models or masks. A track's probability is
sigmoid(logit / temperature), or a rising line through knots (isotonic regression; Zadrozny and Elkan, KDD 2002),
whichever predicts better the half of the split that it was not fitted on. Presence is a logistic function of the best
logit. The two thresholds are those of fusion's rule: tracks above `threshold` are selected; where there are none, the
best track is, unless the probability of no target reaches `no_target_threshold`. Where that reaches `gate`, no track is
selected at all: how sure a second track must be and how sure any must be are two things. Where asked, tracks that come
within a share of the best one are chosen with it. Gate and share are fitted only where they pay on videos that they
were not fitted on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize

from core.errors import InputError
from core.types import Expression, Labels
from core.validators import check_probability
from selector.labels import overlap_score, positives

ORDER = 1e-3  # of an isotonic probability that is the sigmoid's, so that no two logits get the same
THRESHOLDS, ABSENCES = np.arange(2, 19) / 20, np.arange(1, 10) / 10
ALONE, GATES = (1.0,), (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
Knots = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Calibration:
    """The fitted numbers; the defaults are SOLA's plain sigmoid(logit) > 0.5.

    knots: (logit, probability) in rising order, () for the sigmoid alone.
    share: where any track is chosen, so is each whose probability exceeds this share of the best one's; 1 for none.
    gate: the probability of no target from which on nothing is chosen, whatever exceeds `threshold`; 1 for never.
    """

    temperature: float = 1.0
    presence_scale: float = 1.0
    presence_offset: float = 0.0
    threshold: float = 0.5
    no_target_threshold: float = 0.5
    knots: Knots = ()
    share: float = 1.0
    gate: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what would turn scores around."""
        rising = all(a[0] < b[0] and a[1] <= b[1] for a, b in itertools.pairwise(self.knots))
        if not rising or not all(0 <= probability <= 1 for _, probability in self.knots):
            raise InputError("calibration: expected knots of rising logits and probabilities in 0..1, got others")
        check_probability("calibration threshold", self.threshold)
        check_probability("calibration no-target threshold", self.no_target_threshold)
        check_probability("calibration share", self.share)
        check_probability("calibration gate", self.gate)
        if self.gate < self.no_target_threshold:
            raise InputError(f"calibration: expected a gate of at least the no-target threshold, got {self}")
        if not (self.temperature > 0 and self.presence_scale >= 0 and np.isfinite(self.presence_offset)):
            raise InputError(f"calibration: expected a temperature above 0 and a scale of at least 0, got {self}")

    def probability(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probability of each track; rises with the logit."""
        wide = np.asarray(logits, dtype=np.float64)
        plain = sigmoid(wide / self.temperature)
        if not self.knots:
            return plain
        at, level = np.array(self.knots).T
        return np.asarray((1 - ORDER) * np.interp(wide, at, level) + ORDER * plain)

    def presence(self, logits: NDArray[np.floating]) -> float:
        """Probability that any of the competing tracks' expression is there at all; 0 without tracks."""
        if not len(logits):
            return 0.0
        return float(sigmoid(np.float64(logits.max()) * self.presence_scale + self.presence_offset))

    def limit(self, probability: NDArray[np.floating], presence: float) -> float:
        """What a track's probability has to exceed here, which is fusion's threshold for this one expression.

        `threshold`, or `share` of the best of `probability` [N] where that is less, unless the answer is no target. The
        gate is `choose`'s business.
        """
        if self.share >= 1 or not len(probability):
            return self.threshold
        best = float(probability.max())
        if best <= self.threshold and 1 - presence >= self.no_target_threshold:
            return self.threshold
        return min(self.threshold, self.share * best)


@dataclass(frozen=True)
class Scored:
    """Logits [N] of the tracks that compete for an expression about a video, and the labels of just those tracks."""

    logits: NDArray[np.float64]
    labels: Labels
    expression: Expression
    video: str = ""


def sigmoid(x: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(np.asarray(x, dtype=np.float64) / 2)))


def choose(
    probability: NDArray[np.float64], presence: float, threshold: float, no_target_threshold: float, gate: float = 1.0
) -> NDArray[np.bool_]:
    """Fusion's rule on competing tracks: [N] bool."""
    if gate < 1 and 1 - presence >= gate:
        return np.zeros(len(probability), dtype=np.bool_)
    chosen = np.asarray(probability > threshold)
    if not chosen.any() and len(chosen) and 1 - presence < no_target_threshold:
        chosen[int(np.argmax(probability))] = True
    return chosen


def mean_score(scored: Sequence[Scored], calibration: Calibration) -> float:
    """Mean `overlap_score` of the rule over expressions."""
    scores = []
    for item in scored:
        probability, presence = calibration.probability(item.logits), calibration.presence(item.logits)
        limit = calibration.limit(probability, presence)
        chosen = choose(probability, presence, limit, calibration.no_target_threshold, calibration.gate)
        scores.append(overlap_score(item.labels, item.expression, chosen))
    return float(np.mean(scores))


def fit_calibration(scored: Sequence[Scored], *, relative: bool = False) -> Calibration:
    """Tracks' probability and presence by likelihood, then the thresholds by a grid on the mean `overlap_score`.

    The gate is fitted where it pays.   relative: also fit `share`, where that does.

    Raises:
        InputError: when there is nothing to fit on.
    """
    scored = [item for item in scored if len(item.logits)]
    if not scored:
        raise InputError("calibration: expected at least one expression with competing tracks, got none")
    best = np.array([item.logits.max() for item in scored])
    there = np.array([bool(item.expression.target_ids) for item in scored])
    scale, offset = _fit(lambda p: _nll(best * np.exp(p[0]) + p[1], there), [0.0, 0.0])
    curve = fit_curve(scored, isotonic=isotonic_is_better(scored))
    start = replace(curve, presence_scale=float(np.exp(scale)), presence_offset=float(offset))
    gates = GATES if _pays(scored, start, ALONE, GATES) else ALONE
    return _with_rule(scored, start, SHARES if relative and _pays(scored, start, SHARES, ALONE) else ALONE, gates)


def fit_curve(scored: Sequence[Scored], *, isotonic: bool) -> Calibration:
    """Tracks' probability alone: the temperature, and knots where `isotonic`."""
    logits, truth = _events(scored)
    temperature = float(np.exp(_fit(lambda p: _nll(logits * np.exp(-p[0]), truth), [0.0])[0]))
    return Calibration(temperature, knots=isotonic_knots(logits, truth) if isotonic else ())


def isotonic_is_better(scored: Sequence[Scored]) -> bool:
    """Whether knots predict either half of the videos, fitted on the other, better than the temperature does."""
    halves = _halves(scored)
    if not all(halves):
        return False  # one video says nothing about another
    loss = {
        isotonic: sum(
            log_loss(fit_curve(halves[side], isotonic=isotonic), halves[1 - side]) * len(_events(halves[1 - side])[0])
            for side in (0, 1)
        )
        for isotonic in (False, True)
    }
    return loss[True] < loss[False]


def _pays(scored: Sequence[Scored], calibration: Calibration, shares: Sequence[float], gates: Sequence[float]) -> bool:
    """Whether these shares and gates pay on both halves of the videos, each with the rule fitted on the other."""
    halves = _halves(scored)
    if not all(halves):
        return False
    plain, more = (
        [mean_score(halves[1 - side], _with_rule(halves[side], calibration, *rule)) for side in (0, 1)]
        for rule in ((ALONE, ALONE), (shares, gates))
    )
    return all(new > old for new, old in zip(more, plain, strict=True))


def isotonic_knots(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> Knots:
    """The middles of the flat pieces of the best rising curve: logit and share of truth, by rule of succession."""
    at, place, count = np.unique(logits, return_inverse=True, return_counts=True)
    share = np.bincount(place, weights=truth) / count
    fitted = isotonic_regression(share, weights=count)
    knots, highest = [], 0.0
    for first, end in itertools.pairwise(fitted.blocks):
        weight = count[first:end]
        # A piece of few cases, all true or all false, is not a certainty (Laplace).
        highest = max(highest, float((fitted.x[first] * weight.sum() + 0.5) / (weight.sum() + 1)))
        knots.append((float(np.average(at[first:end], weights=weight)), highest))
    return tuple(knots)


def log_loss(calibration: Calibration, scored: Sequence[Scored]) -> float:
    """Mean negative log-likelihood of the tracks' probabilities."""
    logits, truth = _events(scored)
    probability = np.clip(calibration.probability(logits), 1e-6, 1 - 1e-6)
    return float(-np.mean(np.log(np.where(truth, probability, 1 - probability))))


def _events(scored: Sequence[Scored]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """All logits, and whether each is of a track that its expression means."""
    logits = np.concatenate([item.logits for item in scored])
    return logits, np.concatenate([positives(item.labels, item.expression) for item in scored])


def _halves(scored: Sequence[Scored]) -> list[list[Scored]]:
    """The expressions in two halves by video; one is empty where there is one video."""
    part = {name: i % 2 for i, name in enumerate(sorted({item.video for item in scored}))}
    return [[item for item in scored if part[item.video] == side] for side in (0, 1)]


def _with_rule(
    scored: Sequence[Scored], calibration: Calibration, shares: Sequence[float], gates: Sequence[float]
) -> Calibration:
    """The best thresholds, share and gate of a grid by `mean_score`; what is chosen is always some best tracks."""
    closes = np.array(gates)
    total = np.zeros((len(THRESHOLDS), len(shares), len(ABSENCES), len(gates)))
    for item in scored:
        probability, presence = calibration.probability(item.logits), calibration.presence(item.logits)
        order = np.argsort(-probability, kind="stable")
        known = np.zeros(len(order) + 1)
        near = np.minimum.outer(THRESHOLDS, np.array(shares) * probability.max())  # [thresholds, shares]
        several = np.maximum((probability > near[..., None]).sum(-1), 1)  # where anything is chosen
        above = (probability.max() > THRESHOLDS)[:, None, None, None]
        secure = above & (1 - presence < closes) | (1 - presence < ABSENCES)[:, None]
        count = np.where(secure, several[..., None, None], 0)
        for number in np.unique(count).tolist():
            known[number] = overlap_score(item.labels, item.expression, np.isin(np.arange(len(order)), order[:number]))
        total += known[count]
    total = np.where(ABSENCES[:, None] <= GATES, total, -np.inf)
    # Among equals what asks for least beside the threshold, and then the middle, are the safest.
    middle = np.abs(THRESHOLDS - 0.5)[:, None, None, None] + np.abs(ABSENCES - 0.5)[:, None]
    keys = np.broadcast_arrays(middle, -closes, -np.array(shares)[:, None, None], -total.round(9))
    row, column, depth, last = np.unravel_index(np.lexsort([key.ravel() for key in keys])[0], total.shape)
    return replace(
        calibration,
        threshold=float(THRESHOLDS[row]),
        share=float(shares[column]),
        no_target_threshold=float(ABSENCES[depth]),
        gate=float(closes[last]),
    )


def _fit(objective: Callable[[NDArray[np.float64]], float], start: list[float]) -> NDArray[np.float64]:
    """A minimum near `start`, within e^-6..e^6 of scale, where separable data would run to infinity."""
    bounds = [(-6.0, 6.0)] + [(-30.0, 30.0)] * (len(start) - 1)
    return np.asarray(minimize(objective, start, method="L-BFGS-B", bounds=bounds).x)


def _nll(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Mean negative log-likelihood of sigmoid(logits)."""
    return float(np.mean(np.logaddexp(0, np.where(truth, -logits, logits))))
