"""The checks behind every shared type: what passes and which sentence refuses the rest."""

import numpy as np
import pytest

from core.errors import InputError
from core.validators import (
    check_array,
    check_boxes,
    check_finite,
    check_least,
    check_probability,
    check_rising,
    check_text,
    check_unit_or_zero,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("array", "shape", "kind"),
    [
        (np.zeros((2, 3)), [2, 3], "f"),
        (np.zeros((2, 3)), [None, 3], "f"),
        (np.zeros(0, dtype=np.float16), [None], "f"),
        (np.zeros(2, dtype=bool), [2], "b"),
        (np.zeros(2, dtype=np.int8), [2], "iu"),
    ],
)
def test_arrays_of_the_shape_and_kind_pass(array, shape, kind):
    check_array("a", array, shape, kind)


@pytest.mark.parametrize(
    ("array", "shape", "message"),
    [
        ([1.0], [1], "a: expected a numpy array, got list"),
        (np.zeros((2, 3)), [3, None], r"a: expected shape \[3, any\], got \[2, 3\]"),
        (np.zeros(2), [2, 1], r"expected shape \[2, 1\], got \[2\]"),
        (np.zeros(2, dtype=int), [2], "expected dtype kind 'f', got int64"),
    ],
)
def test_other_arrays_are_refused(array, shape, message):
    with pytest.raises(InputError, match=message):
        check_array("a", array, shape, "f")


def test_only_finite_numbers_pass():
    check_finite("x", np.array([0.0, -1e300]))
    with pytest.raises(InputError, match="x: expected finite numbers, got 2 that are not"):
        check_finite("x", np.array([NAN, 0, np.inf]))


@pytest.mark.parametrize("value", [0, 1, 0.5, np.array([0.0, 1.0]), np.zeros((0, 3)), np.float32(1)])
def test_probabilities_pass(value):
    check_probability("p", value)


@pytest.mark.parametrize("value", [-0.01, 1.01, NAN, np.inf, np.array([0.5, NAN])])
def test_other_numbers_are_no_probabilities(value):
    with pytest.raises(InputError, match=r"p: expected probabilities in 0\.\.1"):
        check_probability("p", value)


def test_boxes_pass_whole_or_absent():
    check_boxes("b", np.array([[0, 0, 1, 2], [NAN] * 4]))
    check_boxes("b", np.zeros((0, 4)))
    check_boxes("b", np.array([[[0, 0, 1, 2]], [[NAN] * 4]]))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([0, 0, NAN, 1], "all numbers or all NaN"),
        ([2, 0, 1, 1], "x1 < x2"),
        ([0, 1, 1, 1], "y1 < y2"),
        ([0, 0, np.inf, 1], "finite"),
    ],
)
def test_other_boxes_are_refused(box, message):
    with pytest.raises(InputError, match=message):
        check_boxes("b", np.array([[0, 0, 1, 1], box]))


def test_rising_values_pass_and_a_stop_is_named():
    check_rising("t", np.array([0.0, 0.5, 2.0]))
    check_rising("t", np.array([]))
    for values in ([0.0, 2.0, 1.0], [0.0, 2.0, 2.0], [0.0, 2.0, NAN]):
        with pytest.raises(InputError, match=r"t: expected rising values, got .* after 2\.0 at index 2"):
            check_rising("t", np.array(values))


@pytest.mark.parametrize("text", ["", "  \n", None, 5, b"x"])
def test_blank_texts_are_refused(text):
    check_text("t", "x")
    with pytest.raises(InputError, match="t: expected a non-empty text"):
        check_text("t", text)


def test_only_unit_vectors_and_zeros_pass():
    check_unit_or_zero("a", np.zeros(3, dtype=np.float16))
    check_unit_or_zero("a", np.full(128, 128**-0.5, dtype=np.float16))
    for wrong in ([0.9, 0.0], [1.0, 1.0], [NAN, 0.0], [float("inf"), 0.0]):
        with pytest.raises(InputError, match="a: expected a vector of length 1 or all zeros"):
            check_unit_or_zero("a", np.array(wrong, dtype=np.float16))


def test_values_below_the_least_are_refused_with_their_unit():
    check_least("bins", 0, 0)
    with pytest.raises(InputError, match=r"^bins: expected 1 or more frames, got 0$"):
        check_least("bins", 0, 1, "frames")
    with pytest.raises(InputError, match=r"^share: expected 0 or more, got nan$"):
        check_least("share", NAN, 0)
