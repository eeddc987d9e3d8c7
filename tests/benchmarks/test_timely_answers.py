"""In-span score, duplicates and PAUC by hand, with a judge that looks words up."""

import pytest

from benchmarks.metrics.timely_answers import (
    GoldAnswer,
    Reply,
    TimelyTotals,
    pauc,
    read_rating,
    score_replies,
)
from core.errors import InputError


class Judge:
    """Rates a reply by its last word, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def rate(self, question, truth, reply):
        self.asked.append((truth, reply))
        return int(reply.split()[-1])


ANSWERS = (GoldAnswer("first", 0, 10), GoldAnswer("second", 20, 30))


def score(*replies, answers=ANSWERS, judge=None):
    return score_replies("q", answers, [Reply(text, time) for text, time in replies], judge or Judge())


def test_an_answer_scores_the_mean_of_the_replies_in_its_span_and_1_without():
    assert score(("good 5", 10), ("bad 2", 0), ("late 5", 11)).in_span == pytest.approx((3.5 + 1) / 2)
    assert score().in_span == 1


def test_a_reply_without_a_time_answers_every_span():
    assert score(("all 4", None)).in_span == 4


def test_the_judge_is_asked_once_for_texts_that_meet_in_a_span():
    judge = Judge()
    score(("a 3", 1), ("a 3", 2), ("b 4", 25), ("c 5", 15), judge=judge)
    assert judge.asked == [("first", "a 3"), ("second", "b 4")]


@pytest.mark.parametrize(
    ("points", "area"),
    [
        ([], 0.5 / 4),
        ([(0, 4)], 1.0),
        ([(10, 4)], (5 * 0.5 + 5 * 4) / 40),  # at the very end: half of the span is still earned
        ([(4, 2), (8, 4)], (2 * 0.5 + 2 * 2 + 6 * 4) / 40),
        ([(8, 4), (4, 2)], (2 * 0.5 + 2 * 2 + 6 * 4) / 40),
        ([(0, 4), (2, 0)], (1 * 4) / 40),  # the latest reply counts, good or bad
    ],
)
def test_pauc_is_the_area_under_the_latest_reply(points, area):
    assert pauc(GoldAnswer("a", 0, 10), points) == pytest.approx(area)


def test_pauc_counts_from_the_start_of_the_span_and_omega_sets_the_price_of_waiting():
    assert pauc(GoldAnswer("a", 100, 110), [(110, 4)]) == pytest.approx(22.5 / 40)
    assert pauc(GoldAnswer("a", 100, 110), [(110, 4)], omega=0) == pytest.approx(0.5 / 4)
    assert pauc(GoldAnswer("a", 5, 5), [(5, 4)]) == 1.0
    assert pauc(GoldAnswer("a", 5, 5), []) == pytest.approx(0.5 / 4)


def test_a_repeated_reply_moves_no_area_but_is_a_duplicate():
    one = GoldAnswer("a", 0, 10)
    first = score(("x 5", 0), ("y 1", 4), ("x 5", 6), answers=(one,))
    assert first.pauc == pytest.approx(score(("x 5", 0), ("y 1", 4), answers=(one,)).pauc)
    assert (first.replies, first.distinct) == (3, 2)


def test_figures_merge_and_count_failures():
    totals, other = TimelyTotals(), TimelyTotals()
    totals.update(score(("x 5", 0), ("x 5", 5), ("x 5", 25)))
    other.update(score())
    totals.merge(other)
    figures = totals.compute()
    assert (figures.in_span, figures.turns, figures.distinct_turns) == (3.0, 1.5, 0.5)
    assert figures.duplicates == pytest.approx(2 / 3)
    assert (figures.n, figures.failures) == (2, 1)


@pytest.mark.parametrize(
    ("text", "rating"), [("4", 4), ("5: perfect", 5), ("Score: 5", 1), ("0", 1), ("", 1), ("6", 1)]
)
def test_a_rating_is_the_first_character(text, rating):
    assert read_rating(text) == rating


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(InputError, match="expected at least one true answer"):
        score(answers=())
    with pytest.raises(InputError, match="expected finite times or none"):
        score(("a 1", float("nan")))
    with pytest.raises(InputError, match=r"expected a rating in 1\.\.5, got 9"):
        score(("a 9", 0))
    with pytest.raises(InputError, match="expected 0 <= start <= end"):
        GoldAnswer("a", 3, 2)
    with pytest.raises(InputError, match="expected at least one example"):
        TimelyTotals().compute()
