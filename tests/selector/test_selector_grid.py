import numpy as np
import pytest

from selector.grid import arrange


@pytest.mark.parametrize(
    "numbers", [[5], [3, 3, 3, 3], [9, 2, 9, 2, 9], list(range(7)), [1] * 16 + [2] * 16 + [3] * 8, [4, 4, *range(20)]]
)
def test_every_expression_has_a_cell_of_its_own_in_a_row_of_its_video(numbers):
    numbers = np.array(numbers)
    grid = arrange(numbers)
    rows, length = grid.members.shape
    assert len(set(grid.cells.tolist())) == len(numbers)
    assert (grid.members.ravel()[grid.cells] == np.arange(len(numbers))).all()
    assert (grid.videos[grid.cells // length] == numbers).all()
    assert (numbers[grid.members] == grid.videos[:, None]).all()  # also what only fills a row
    assert len(grid.videos) == rows
    assert (np.diff(grid.videos) >= 0).all()


def test_rows_are_as_long_as_is_cheap():
    assert arrange(np.array([1] * 16 + [2] * 16)).members.shape == (2, 16)
    assert arrange(np.arange(50)).members.shape == (50, 1)
    assert arrange(np.array([*range(100), 7, 7])).members.shape == (102, 1)  # one video in thrice pads no other
