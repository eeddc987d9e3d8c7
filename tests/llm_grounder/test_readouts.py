import numpy as np
import pytest
import torch

from llm_grounder.matching import best_pairs, box_giou, span_giou
from llm_grounder.readouts.boxes import BoxHead, BoxOutput, box_losses
from llm_grounder.readouts.frames import FrameHead, frame_losses, relevant_spans
from llm_grounder.readouts.spans import AROUND, SpanHead, SpanOutput, frames_of, local_mean, span_losses
from llm_grounder.readouts.tracks import Fits, TrackHead, track_losses

EDGES = torch.stack([torch.arange(10.0), torch.arange(1.0, 11.0)], -1)[None]
REAL = torch.ones(1, 10, dtype=torch.bool)


@pytest.mark.parametrize(
    ("one", "other", "giou"),
    [([0, 2], [0, 2], 1), ([0, 2], [1, 3], 1 / 3), ([0, 1], [3, 4], -0.5), ([0, 4], [1, 2], 0.25)],
)
def test_giou_of_spans_is_that_of_the_paper(one, other, giou):
    assert span_giou(torch.tensor(one) * 1.0, torch.tensor(other) * 1.0).item() == pytest.approx(giou)


@pytest.mark.parametrize(
    ("one", "other", "giou"),
    [([0, 0, 2, 2], [0, 0, 2, 2], 1), ([0, 0, 1, 1], [1, 1, 2, 2], -0.5), ([0, 0, 2, 1], [1, 0, 3, 1], 1 / 3)],
)
def test_giou_of_boxes_is_that_of_the_paper(one, other, giou):
    assert box_giou(torch.tensor(one) * 1.0, torch.tensor(other) * 1.0).item() == pytest.approx(giou)


def test_the_cheapest_pairs_are_found_together():
    rows, columns = best_pairs(torch.tensor([[1.0, 2.0], [1.0, 9.0], [5.0, 5.0]]))
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == {0: 1, 1: 0}


def _spans(ends, score):
    pointers = torch.zeros(1, 2, len(ends), 10).log_softmax(-1)
    return SpanOutput(torch.tensor([ends]) * 1.0, torch.tensor([score]) * 1.0, pointers)


def test_right_spans_with_sure_scores_cost_nothing():
    found = _spans([[6, 8], [1, 3], [0, 9]], [20, 20, -20])
    losses = span_losses(found, [torch.tensor([[1.0, 3.0], [6.0, 8.0]])], EDGES, REAL)
    assert losses["spans.l1"] == losses["spans.giou"] == 0
    assert losses["spans.score"] < 1e-6


def test_a_wrong_span_and_a_wrong_score_cost_under_their_names():
    losses = span_losses(_spans([[1, 3], [5, 6]], [-3, 3]), [torch.tensor([[1.0, 4.0]])], EDGES, REAL)
    assert losses["spans.l1"].item() == pytest.approx(0.1)
    assert losses["spans.giou"].item() == pytest.approx(1 / 3)
    assert losses["spans.score"].item() == pytest.approx(3.0486, abs=1e-3)  # both scores say the contrary
    assert losses["spans.pointer"].item() == pytest.approx(2 * np.log(10), abs=1e-5)


def test_no_span_in_truth_teaches_the_scores_only_and_none_known_teaches_nothing():
    found = _spans([[1, 3], [5, 6]], [3, 3])
    assert set(span_losses(found, [torch.zeros(0, 2)], EDGES, REAL)) == {"spans.score"}
    assert span_losses(found, [None], EDGES, REAL) == {}


def test_more_truths_than_queries_leave_the_dearest_to_nobody():
    losses = span_losses(_spans([[1, 3]], [0]), [torch.tensor([[7.0, 9.0], [1.0, 3.0]])], EDGES, REAL)
    assert losses["spans.l1"] == 0


def test_a_span_begins_with_the_frame_shown_then_and_ends_with_the_last_one_before():
    spans = torch.tensor([[2.0, 4.0], [2.5, 4.5], [0.0, 10.0], [9.5, 50.0]])
    assert frames_of(spans, EDGES[0]).tolist() == [[2, 3], [2, 4], [0, 9], [9, 9]]


def test_a_pointer_is_as_exact_as_frames_and_deaf_to_those_far_away():
    logits = torch.full((200,), 2.0)
    logits[50] = 9.0
    logits[51] = 9.0
    mean = local_mean(logits, torch.arange(200.0))
    assert abs(mean.item() - 50.5) < 0.01
    logits[50 + AROUND + 20 :] = 8.0
    assert local_mean(logits, torch.arange(200.0)) == mean


@pytest.mark.parametrize("rule", ["pointer", "mlp"])
def test_spans_lie_in_the_clip_and_never_run_backwards(rule):
    torch.manual_seed(0)
    head = SpanHead(8, rule)
    edges = EDGES + 30
    found = head(torch.randn(1, 50, 8) * 9, torch.randn(1, 10, 8), REAL, edges)
    assert (found.ends[..., 0] <= found.ends[..., 1]).all()
    assert found.ends.min() >= 30
    assert found.ends.max() <= 40


def test_frames_that_are_not_there_change_no_span():
    torch.manual_seed(0)
    head, queries, frames = SpanHead(8, "pointer"), torch.randn(1, 3, 8), torch.randn(1, 10, 8)
    real = torch.arange(10)[None] < 6
    changed = frames.clone()
    changed[:, 6:] = 50
    one, other = head(queries, frames, real, EDGES), head(queries, changed, real, EDGES)
    assert torch.equal(one.ends, other.ends)
    short = head(queries, frames[:, :6], real[:, :6], EDGES[:, :6])
    assert torch.allclose(one.ends, short.ends, atol=1e-5)


def test_frame_losses_skip_frames_and_samples_without_a_label():
    logits = {
        "relevance": [torch.tensor([0.0, 5.0]), torch.tensor([9.0])],
        "informative": [torch.zeros(2), torch.zeros(1)],
    }
    truth = {"relevance": [torch.tensor([1.0, torch.nan]), None], "informative": [None, torch.tensor([torch.nan])]}
    losses = frame_losses(logits, truth)
    assert set(losses) == {"frames.relevance"}
    assert losses["frames.relevance"].item() == pytest.approx(np.log(2))


def test_frame_heads_are_two_of_their_own():
    out = FrameHead(4)(torch.randn(3, 4))
    assert set(out) == {"relevance", "informative"}
    assert not torch.equal(out["relevance"], out["informative"])


def test_a_frame_is_the_more_relevant_the_better_a_track_in_it_fits():
    head = FrameHead(4, fits=True)
    states = torch.randn(5, 4)
    there = torch.tensor([[True, True, False], [False, True, False]])
    fits = Fits(torch.tensor([[3.0, -3.0, 9.0], [9.0, 3.0, 9.0]]), torch.zeros(2), there)
    plain, out = head(states), head.of_samples(states, [3, 2], [fits, None])
    assert torch.equal(out["relevance"][1], plain["relevance"][3:])
    assert torch.equal(torch.cat(out["informative"]), plain["informative"])
    more = (out["relevance"][0] - plain["relevance"][:3]) / head.fitting
    wanted = torch.logaddexp(torch.tensor([3.0, -3.0, -6.0]), torch.tensor([-6.0, 3.0, -6.0]))
    torch.testing.assert_close(more, wanted)
    without = FrameHead(4)
    assert torch.equal(
        without.of_samples(states, [3, 2], [fits, None])["relevance"][0], without(states)["relevance"][:3]
    )


def test_boxes_are_matched_on_labelled_frames_alone():
    truth = torch.full((3, 2, 4), torch.nan)
    truth[0, 1] = torch.tensor([0.5, 0.5, 1.0, 1.0])
    truth[2, 0] = torch.tensor([0.0, 0.0, 0.1, 0.1])  # not labelled: never read
    boxes = torch.tensor([[0.0, 0.0, 0.2, 0.2], [0.5, 0.5, 1.0, 0.9]]).expand(3, 2, 4)
    score = torch.tensor([[-20.0, 20.0], [-20.0, -20.0], [20.0, 20.0]])
    losses = box_losses([BoxOutput(boxes, score)], [truth], [torch.tensor([True, True, False])])
    assert losses["boxes.l1"].item() == pytest.approx(0.1)
    assert losses["boxes.giou"].item() == pytest.approx(0.2)
    assert losses["boxes.score"] < 1e-6


def test_one_box_or_one_truth_a_frame_is_matched_as_by_all_pairs():
    torch.manual_seed(0)
    truth = torch.rand(5, 1, 4).sort(-1).values
    truth[3] = torch.nan
    labelled = torch.tensor([True, True, False, True, True])
    out = BoxOutput(torch.rand(5, 3, 4).sort(-1).values, torch.randn(5, 3))
    fast = box_losses([out], [truth], [labelled])
    slow = box_losses([out], [torch.cat([truth, torch.full_like(truth, torch.nan)], 1)], [labelled])
    assert {name: value.item() for name, value in fast.items()} == pytest.approx(
        {name: value.item() for name, value in slow.items()}
    )


def test_a_lost_object_teaches_low_scores_and_no_box():
    out = BoxHead(4, 2)(torch.randn(3, 4))
    losses = box_losses([out], [torch.full((3, 1, 4), torch.nan)], [torch.ones(3)])
    assert set(losses) == {"boxes.score"}
    assert (out.boxes[..., 2:] >= out.boxes[..., :2]).all()
    assert out.boxes.min() >= 0
    assert out.boxes.max() <= 1


def test_tracks_and_presence_are_learnt_where_known():
    torch.manual_seed(0)
    out = TrackHead(4)(torch.randn(2, 4), torch.randn(4))
    assert set(track_losses([out], [torch.tensor([1.0, 0.0])])) == {"tracks.score", "tracks.presence"}
    assert set(track_losses([out], [torch.tensor([1.0, torch.nan])])) == {"tracks.score"}
    assert track_losses([out, None], [None, torch.zeros(2)]) == {}
    empty = TrackHead(4)(torch.zeros(0, 4), torch.randn(4))
    assert set(track_losses([empty], [torch.zeros(0)])) == {"tracks.presence"}


def test_runs_of_relevant_frames_are_spans_with_their_mean_best_first():
    relevance = np.array([0.6, 0.5, 0.4, 0.9, 0.1, 0.7])
    found = relevant_spans(relevance, np.arange(6) / 2, 3.2)
    assert [(span.start, span.end, round(span.score, 3)) for span in found] == [
        (1.5, 2.0, 0.9), (2.5, 3.2, 0.7), (0.0, 1.0, 0.55),
    ]  # fmt: skip
    assert relevant_spans(relevance * 0.5, np.arange(6) / 2, 3.2) == ()
