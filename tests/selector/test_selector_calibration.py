from dataclasses import replace

import numpy as np
import pytest

from core.errors import InputError
from core.types import Expression, Labels
from selector.calibration import (
    Calibration,
    Scored,
    choose,
    fit_calibration,
    fit_curve,
    isotonic_is_better,
    isotonic_knots,
    log_loss,
    mean_score,
    sigmoid,
)


def scored(seed, count=300, scale=1.0, shift=0.0, bend=lambda logits: logits):
    """Expressions over four tracks of four objects; a track is a target with the probability that its logit says."""
    rng = np.random.default_rng(seed)
    eye = np.eye(4, dtype=np.float32) * 0.9
    items = []
    for i in range(count):
        true = rng.normal(-1, 2.5, 4)
        targets = tuple(str(k) for k in np.flatnonzero(rng.random(4) < sigmoid(true)))
        items.append(
            Scored(
                bend(true * scale + shift),
                Labels(tuple("0123"), eye, eye, eye),
                Expression(str(i), "x", targets),
                f"v{i}",
            )
        )
    return items


def test_the_temperature_undoes_overconfidence():
    assert fit_calibration(scored(0, scale=3.0)).temperature == pytest.approx(3, rel=0.2)
    assert fit_calibration(scored(0, scale=0.5)).temperature == pytest.approx(0.5, rel=0.2)


def test_isotonic_is_chosen_where_no_temperature_fits_and_only_there():
    def bend(logits):
        return np.where(logits > 0, 4 + logits / 20, logits)

    bent = scored(5, count=400, bend=bend)
    assert isotonic_is_better(bent)
    assert fit_calibration(bent).knots
    fresh = scored(6, count=400, bend=bend)
    assert log_loss(fit_curve(bent, isotonic=True), fresh) < log_loss(fit_curve(bent, isotonic=False), fresh) - 0.02
    assert not isotonic_is_better(scored(7, scale=2.0))


def test_one_video_cannot_choose_isotonic():
    items = [Scored(item.logits, item.labels, item.expression, "v") for item in scored(5, count=50)]
    assert not isotonic_is_better(items)


def test_isotonic_probabilities_rise_with_the_logit_and_are_never_certain():
    knots = isotonic_knots(np.array([-2.0, -1, 0, 1, 2]), np.array([False, True, False, True, True]))
    assert knots == ((-2.0, 0.25), (-0.5, 0.5), (1.5, pytest.approx(2.5 / 3)))
    probability = Calibration(knots=knots).probability(np.linspace(-9, 9, 50))
    assert (np.diff(probability) > 0).all()
    assert probability[0] > 0
    assert probability[-1] < 1


def test_thresholds_never_do_worse_than_the_plain_rule_on_what_they_were_fitted_to():
    for shift in (0.0, 2.0, -3.0):
        items = scored(1, shift=shift)
        assert mean_score(items, fit_calibration(items)) >= mean_score(items, Calibration())


def test_shifted_logits_are_put_right_and_it_holds_on_new_expressions():
    fitted = fit_calibration(scored(2, shift=3.0))
    fresh = scored(3, shift=3.0)
    assert mean_score(fresh, fitted) > mean_score(fresh, Calibration()) + 0.03


def test_presence_follows_the_best_logit_in_order_and_frequency():
    items = scored(4, count=1000)
    fitted = fit_calibration(items)
    presence = np.array([fitted.presence(item.logits) for item in items])
    there = np.array([bool(item.expression.target_ids) for item in items])
    assert presence[there].mean() > presence[~there].mean()
    assert presence.mean() == pytest.approx(there.mean(), abs=0.02)
    assert fitted.presence(np.zeros(0)) == 0.0


@pytest.mark.parametrize(
    ("probability", "presence", "expected"),
    [
        ([0.2, 0.8, 0.6], 0.1, [0, 1, 1]), ([0.2, 0.4], 0.9, [0, 1]), ([0.2, 0.4], 0.5, [0, 0]),
        ([0.2, 0.4], 0.1, [0, 0]), ([], 0.9, []),
    ],
)  # fmt: skip
def test_the_rule_is_that_of_fusion(probability, presence, expected):
    assert choose(np.array(probability), presence, 0.5, 0.5).tolist() == [bool(v) for v in expected]


def test_nothing_to_fit_on_is_refused():
    with pytest.raises(InputError, match="at least one"):
        fit_calibration([])


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0.0},
        {"threshold": 1.5},
        {"presence_scale": -1.0},
        {"no_target_threshold": -0.1},
        {"share": 1.5},
        {"gate": 1.5},
        {"gate": 0.4, "no_target_threshold": 0.5},
        {"knots": ((0.0, 0.5), (1.0, 0.4))},
        {"knots": ((0.0, 0.5), (0.0, 0.6))},
        {"knots": ((0.0, 1.5),)},
    ],
)
def test_impossible_calibrations_are_refused(values):
    with pytest.raises(InputError, match="calibration"):
        Calibration(**values)


def groups(seed, count, *, together):
    """Two targets of like logits and two others: far below them where `together`, else as near as the targets."""
    rng = np.random.default_rng(seed)
    eye, items = np.eye(4, dtype=np.float32) * 0.9, []
    for i in range(count):
        top = rng.uniform(-3.5, 3.5)
        spread = rng.uniform(0, 0.2, 4)
        logits = top - spread - np.array([0, 0, 3.0, 3.0]) if together else rng.normal(-1, 2.5, 4)
        targets = ("0", "1") if together else tuple(str(k) for k in np.flatnonzero(rng.random(4) < sigmoid(logits)))
        items.append(Scored(logits, Labels(tuple("0123"), eye, eye, eye), Expression(str(i), "x", targets), f"v{i}"))
    return items


def test_a_share_of_the_best_finds_groups_that_no_threshold_does():
    items, fresh = groups(0, 200, together=True), groups(1, 200, together=True)
    plain, shared = fit_calibration(items), fit_calibration(items, relative=True)
    assert plain.share == 1
    assert shared.share < 1
    assert mean_score(fresh, shared) > mean_score(fresh, plain) + 0.05


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_share_is_fitted_where_it_does_not_pay_on_videos_that_it_was_not_fitted_on(seed):
    items = groups(seed, 200, together=False)
    assert fit_calibration(items, relative=True) == fit_calibration(items)
    one = [Scored(item.logits, item.labels, item.expression, "v") for item in groups(0, 50, together=True)]
    assert fit_calibration(one, relative=True).share == 1


@pytest.mark.parametrize(
    ("probability", "presence", "limit"),
    [
        ([0.8, 0.45, 0.3], 0.9, 0.4), ([0.96, 0.6], 0.9, 0.48), ([0.4, 0.3], 0.9, 0.2), ([0.4, 0.3], 0.1, 0.5),
        ([], 0.9, 0.5),
    ],
)  # fmt: skip
def test_the_share_lowers_the_threshold_only_where_something_is_chosen(probability, presence, limit):
    shared = Calibration(threshold=0.5, no_target_threshold=0.5, share=0.5)
    assert shared.limit(np.array(probability), presence) == pytest.approx(limit)
    assert Calibration().limit(np.array(probability), presence) == 0.5


def company(seed, count):
    """One target whose logit is 1, with a part of it at -1; or nothing meant, and the best of others at 0."""
    rng, items = np.random.default_rng(seed), []
    iou = np.array([[0.9, 0.0], [0.95, 0.0], [0.0, 0.9]], dtype=np.float32)
    precision = np.array([[0.9, 0.0], [0.95, 0.0], [0.0, 0.9]], dtype=np.float32)
    for i in range(count):
        there = rng.random() < 0.7
        logits = (np.array([1.0, -1.0, -3.0]) if there else np.array([-3.0, -3.0, 0.0])) + rng.normal(0, 0.2, 3)
        labels = Labels(("a", "b"), iou, precision, precision)
        items.append(Scored(logits, labels, Expression(str(i), "x", ("a",) if there else ()), f"v{i}"))
    return items


def test_a_gate_lets_a_second_track_be_less_sure_than_any_must_be():
    fitted, fresh = fit_calibration(company(0, 300)), company(1, 300)
    assert fitted.gate < 1
    assert fitted.threshold < fitted.probability(np.zeros(1))[0]  # what the best of nothing comes to
    assert mean_score(fresh, fitted) > mean_score(fresh, replace(fitted, gate=1.0)) + 0.1


def test_the_gate_closes_for_every_track_and_only_where_it_is_reached():
    gated = Calibration(threshold=0.3, no_target_threshold=0.5, gate=0.6)
    probability = np.array([0.9, 0.4])
    for presence, chosen in ((0.5, [True, True]), (0.39, [False, False])):
        limit = gated.limit(probability, presence)
        assert limit == 0.3
        assert choose(probability, presence, limit, gated.no_target_threshold, gated.gate).tolist() == chosen
    assert choose(probability, 0.0, 0.3, 0.5).all()  # a gate of 1 never closes
    assert choose(np.zeros(0), 0.0, 0.3, 0.5, 0.6).tolist() == []


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_gate_is_fitted_where_it_does_not_pay_on_videos_that_it_was_not_fitted_on(seed):
    assert fit_calibration(groups(seed, 200, together=True)).gate == 1
    one = [Scored(item.logits, item.labels, item.expression, "v") for item in company(0, 50)]
    assert fit_calibration(one).gate == 1
