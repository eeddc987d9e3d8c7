import numpy as np
import pytest
from PIL import Image

from core.charts import COLOURS, Bar, Panel, draw_bars, draw_panels
from core.errors import InputError


def colours(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB"))
    return {"#" + bytes(c).hex() for c in np.unique(pixels.reshape(-1, 3), axis=0)}, pixels


def test_every_series_is_drawn_in_a_colour_of_its_own(tmp_path):
    lines = {"a": [(0, 0.0), (1, 1.0)], "b": [(0, 1.0), (1, 0.5)]}
    draw_panels(tmp_path / "x.png", [Panel("two lines", lines)])
    found, _ = colours(tmp_path / "x.png")
    assert set(COLOURS[:2]) <= found
    assert COLOURS[2] not in found


def test_a_higher_value_is_drawn_higher(tmp_path):
    draw_panels(tmp_path / "x.png", [Panel("", {"": [(0, 0.0), (1, 1.0)]}, dots=True)])
    _, pixels = colours(tmp_path / "x.png")
    rows, columns = np.nonzero((pixels == tuple(bytes.fromhex(COLOURS[0][1:]))).all(-1))
    assert rows[columns.argmin()] > rows[columns.argmax()]


@pytest.mark.parametrize("points", [[], [(0, float("nan"))], [(3, 2.0)], [(0, 1.0), (1, 1.0)]])
def test_few_equal_or_unknown_points_make_a_picture(points, tmp_path):
    draw_panels(tmp_path / "x.png", [Panel("a", {"s": points}), Panel("b", {"s": points}, diagonal=True, dots=True)])
    _, pixels = colours(tmp_path / "x.png")
    assert pixels.shape == (300, 920, 3)


def test_no_panel_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least one panel"):
        draw_panels(tmp_path / "x.png", [])


def test_bars_are_as_long_as_their_values_and_unknown_ones_have_none(tmp_path):
    bars = {"a": [Bar("one", 8.0), Bar("two", 4.0)], "b": [Bar("one", None), Bar("three", 0.5, 0.1)]}
    draw_bars(tmp_path / "x.png", bars)
    found, pixels = colours(tmp_path / "x.png")
    assert set(COLOURS[:3]) <= found
    lengths = [(pixels == tuple(bytes.fromhex(c[1:]))).all(-1).sum(axis=1).max() for c in COLOURS[:2]]
    assert lengths[0] - 1 == 2 * (lengths[1] - 1)
    with pytest.raises(InputError, match="at least one bar"):
        draw_bars(tmp_path / "y.png", {"a": []})
