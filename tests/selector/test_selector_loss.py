import math

import pytest
import torch

from selector.loss import (
    LOGIT_SCALE,
    alignment_losses,
    presence_loss,
    ramp_labels,
    selection_loss,
    total_loss,
)


def bce(x, y):
    return math.log1p(math.exp(-x)) if y else math.log1p(math.exp(x))


def test_selection_loss_weighs_positives_by_hand():
    logits, labels = torch.tensor([[2.0, -1.0, 7.0]]), torch.tensor([[True, False, True]])
    mask = torch.tensor([[True, True, False]])
    expected = (1.5 * bce(2.0, True) + bce(-1.0, False)) / 2
    assert selection_loss(logits, labels, mask, 1.5).item() == pytest.approx(expected, abs=1e-6)


def test_alignment_losses_follow_the_formula_by_hand():
    objects = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    sentence, negatives = torch.tensor([[0.5, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    labels, mask = torch.tensor([[True, False]]), torch.ones(1, 2, dtype=torch.bool)
    positive, negative = alignment_losses(objects, sentence, negatives, labels, mask)
    s = math.exp(0.07)
    assert s == LOGIT_SCALE
    assert positive.item() == pytest.approx((bce(0.5 * s, True) + bce(2 * s, False)) / 2, abs=1e-6)
    # The positive track has no best negative; the negative track's is the first of its two largest.
    far = [(1, False), (0, False), (1, False), (0, False), (2, True), (2, False)]
    assert negative.item() == pytest.approx(sum(bce(x * s, y) for x, y in far) / 6, abs=1e-6)


def test_padded_tracks_and_company_do_not_change_the_losses():
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 4), torch.rand(2, 4) > 0.5
    objects, sentence, negatives = torch.randn(2, 4, 3), torch.randn(2, 3), torch.randn(5, 3)
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    single = [
        (selection_loss(logits[b:b + 1, :n], labels[b:b + 1, :n], torch.ones(1, n).bool(), 1.5),
         *alignment_losses(objects[b:b + 1, :n], sentence[b:b + 1], negatives, labels[b:b + 1, :n],
                           torch.ones(1, n).bool()))
        for b, n in ((0, 2), (1, 4))
    ]  # fmt: skip
    both = (selection_loss(logits, labels, mask, 1.5), *alignment_losses(objects, sentence, negatives, labels, mask))
    for k in range(3):
        torch.testing.assert_close(both[k], (single[0][k] + single[1][k]) / 2)


def test_the_total_is_solas_sum():
    parts = (torch.tensor(1.0), torch.tensor(2.0), torch.tensor(4.0))
    assert total_loss(*parts, 0.3).item() == pytest.approx(1 + 0.3 * (1.5 * 2 + 4))


def test_labels_rise_over_the_ramp():
    overlap = torch.tensor([[0.0, 0.5, 0.6, 0.7, 0.9]])
    torch.testing.assert_close(ramp_labels(overlap, 0.6, 0.1), torch.tensor([[0.0, 0.0, 0.5, 1.0, 1.0]]))


def test_presence_follows_the_best_logit_of_the_real_tracks():
    labels, mask = torch.tensor([[False, True, True]]), torch.tensor([[True, True, False]])
    seen = presence_loss(torch.tensor([[-20.0, 20.0, -9.0]]), labels, mask)
    assert seen.item() == pytest.approx(0.0, abs=1e-6)
    unseen = presence_loss(torch.tensor([[-20.0, -20.0, 20.0]]), labels, mask)  # the padded track says nothing
    assert unseen.item() == pytest.approx(20.0, abs=1e-3)
    none = presence_loss(torch.tensor([[-20.0, 20.0, 0.0]]), torch.zeros_like(labels), mask)
    assert none.item() == pytest.approx(20.0, abs=1e-3)


def test_presence_does_not_grow_with_the_number_of_equal_tracks():
    few, many = (presence_loss(torch.full((1, n), -1.0), torch.zeros(1, n), torch.ones(1, n, dtype=torch.bool))
                 for n in (1, 50))  # fmt: skip
    torch.testing.assert_close(few, many)
