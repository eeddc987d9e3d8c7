"""Parts of pages: data that cannot end its element, small pictures, small masks."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from core import rle
from tracksift.page_parts import fitted, jpeg, script_json, small_masks, template


def test_data_cannot_end_its_script_element():
    value = {"text": "</script><!--<script>", "number": 0.5}
    assert "<" not in script_json(value)
    assert json.loads(script_json(value)) == value
    with pytest.raises(ValueError, match="JSON"):
        script_json(float("nan"))


@pytest.mark.parametrize("name", ["page.html", "report.html"])
def test_templates_have_one_style_and_a_title_that_is_text(name):
    head, tail = template(name, "<b>&")
    assert "<title>&lt;b&gt;&amp;</title>" in head
    assert "--accent" in head
    assert "__" not in head.replace("__DATA__", "") + tail


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((480, 854), 320, (180, 320)), ((100, 50), 320, (100, 50)), ((1000, 2), 100, (100, 1))],
)
def test_pictures_keep_their_shape_and_never_grow(size, side, expected):
    assert fitted(size, side) == expected


def test_a_picture_is_a_jpeg_of_the_asked_size():
    uri = jpeg(np.full((16, 20, 3), 90, dtype=np.uint8), (8, 10))
    picture = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
    assert (picture.format, picture.size) == ("JPEG", (10, 8))
    assert np.abs(np.asarray(picture).astype(int) - 90).max() < 4


def test_small_masks_cover_the_same_part_of_the_picture():
    masks = np.zeros((2, 16, 20), dtype=bool)
    masks[0, :8, 10:] = True
    small = rle.decode(small_masks(rle.encode(masks), (16, 20), (8, 10)), (8, 10))
    assert small[0, :4, 5:].all()
    assert (small[0].sum(), small[1].sum()) == (20, 0)
