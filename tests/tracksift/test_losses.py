"""The parts of a loss: each cause by itself, that they add up, and the mean over a split."""

import pytest

from core.errors import InputError
from tracksift.losses import Cause, Loss, loss_figures, loss_shares, lost_by


@pytest.mark.parametrize(
    ("scores", "facts", "cause"),
    [
        ((0.0, 0.0, 0.0), (False, False), Cause.STAGE_1),
        ((0.2, 0.2, 0.9), (False, False), Cause.RANKING),
        ((0.2, 0.9, 0.9), (False, False), Cause.THRESHOLD),
        ((0.0, 0.9, 0.9), (False, True), Cause.NO_TARGET),
        ((0.0, 1.0, 1.0), (True, False), Cause.NO_TARGET),
        ((1.0, 1.0, 1.0), (True, True), None),
    ],
)
def test_each_cause_is_told_from_the_others(scores, facts, cause):
    loss = lost_by(*scores, no_target=facts[0], empty=facts[1])
    assert loss.cause is cause
    assert loss.total == pytest.approx(1 - scores[0])


def test_the_parts_of_a_mixed_loss_add_up_to_it():
    loss = lost_by(0.3, 0.6, 0.9, no_target=False, empty=False)
    assert list(loss.parts.values()) == pytest.approx([0.1, 0.3, 0.3, 0.0])
    assert loss.cause is Cause.RANKING


def test_a_bound_below_what_it_bounds_costs_nothing():
    assert lost_by(0.8, 0.79, 0.78, no_target=False, empty=False).parts == pytest.approx(
        {Cause.STAGE_1: 0.2, Cause.RANKING: 0, Cause.THRESHOLD: 0, Cause.NO_TARGET: 0}
    )


def test_shares_of_a_split_are_means_that_add_up_to_its_loss():
    losses = [Loss(0.1, 0.3, 0.0, 0.0), Loss(0.0, 0.0, 0.0, 1.0)]
    shares = loss_shares(losses)
    assert shares == pytest.approx({"stage 1": 0.05, "ranking": 0.15, "threshold": 0, "no target": 0.5})
    assert sum(shares.values()) == pytest.approx(sum(loss.total for loss in losses) / 2)


def test_no_expression_and_scores_outside_0_1_are_refused():
    with pytest.raises(InputError, match="at least one expression"):
        loss_shares([])
    with pytest.raises(InputError, match="oracle"):
        lost_by(0.5, 0.5, 1.5, no_target=False, empty=False)


def test_figures_have_flat_names_and_none_are_made_up():
    assert loss_figures([Loss(0.1, 0.2, 0.0, 0.3)]) == pytest.approx(
        {"jf": 0.4, "lost_by_stage_1": 0.1, "lost_by_ranking": 0.2, "lost_by_threshold": 0.0, "lost_by_no_target": 0.3}
    )
    assert loss_figures([]) == {}
