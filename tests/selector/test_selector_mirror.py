"""Mirror images of videos and of what is said of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from core import rle
from core.errors import InputError
from selector.data import build_data
from selector.inputs import track_geometry
from selector.labelled import LabelledVideo
from selector.loading import read_examples
from selector.mirror import mirrored_text, mirrored_values
from selector.outline import outline_numbers
from selector.training import train_selector
from tests.selector.colour_world import FAST, SMALL, WordEncoder

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("the car on the left turning right", "the car on the right turning left"),
        ("Leftmost bird", "Rightmost bird"),
        ("spinning clockwise", "spinning counterclockwise"),
        ("spinning anticlockwise", "spinning clockwise"),
        ("moving leftwards, right behind the bus", "moving rightwards, right behind the bus"),
        ("the bright leftover cake", "the bright leftover cake"),
        ("the dog right of the cat", "the dog left of the cat"),
    ],
)
def test_sides_and_turns_are_exchanged_and_nothing_else(text, other):
    assert mirrored_text(text) == other


def values_of(masks):
    """Two tokens, boxes and outlines of two tracks [2, T, H, W], and a look, [1, 2, T, 22]."""
    size = masks.shape[2:]
    counts = [rle.encode(track) for track in masks]
    boxes = np.stack([rle.boxes(c, size) for c in counts])
    areas = np.stack([rle.areas(c, size) for c in counts])
    score = np.where(areas > 0, 5.0, -5.0).astype(np.float32)
    geometry = track_geometry(boxes, areas, score, score / 10, size)
    outline = outline_numbers(counts, boxes, size) * geometry[..., -1:]
    tokens, look = np.full((*areas.shape, 2), 3.0), np.full((*areas.shape, 1), 7.0)
    return torch.from_numpy(np.concatenate([tokens, geometry, outline, look], -1)).float()[None]


def test_mirrored_values_are_those_of_mirrored_masks():
    rng = np.random.default_rng(0)
    masks = np.zeros((2, 4, 40, 50), dtype=bool)
    masks[0, :, 5:30, 4:25] = rng.random((4, 25, 21)) < 0.7
    masks[1, :3, 20:35, 15:40] = rng.random((3, 15, 25)) < 0.7
    values, other = values_of(masks), values_of(masks[..., ::-1])
    both, flags = torch.cat([values, values]), torch.tensor([True, False])
    found = mirrored_values(both, flags, 2, 19)
    torch.testing.assert_close(found[0], other[0], atol=1e-5, rtol=1e-4)
    assert torch.equal(found[1], values[0])
    assert (found[0, 1, 3, 2:-1] == 0).all()  # where nothing is, nothing is mirrored
    plain = torch.cat([both[..., :10], both[..., -1:]], -1)
    torch.testing.assert_close(
        mirrored_values(plain, flags, 2, 8), torch.cat([found[..., :10], found[..., -1:]], -1), atol=0, rtol=0
    )


class Mixed(TorchDispatchMode):
    """Names of what is asked of tensors of several devices."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if len({a.device.type for a in args if isinstance(a, torch.Tensor)}) > 1:
            self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_mirroring_takes_nothing_from_the_host_so_that_a_graph_can_hold_it():
    with FakeTensorMode():
        values = torch.empty(2, 3, 4, 2 + 19 + 1, device="cuda")
        flags = torch.empty(2, dtype=torch.bool, device="cuda")
        with Mixed() as mixed:
            mirrored_values(values, flags, 2, 19)
    assert mixed.names == []


class Sides(WordEncoder):
    """Two words stand for the sides."""

    def encode(self, texts):
        return super().encode([text.replace("left", "moving").replace("right", "still") for text in texts])


def named(video: LabelledVideo, text: str) -> LabelledVideo:
    return replace(video, expressions=tuple(replace(e, text=text) for e in video.expressions))


def test_a_mirrored_video_hears_mirrored_words(colour_examples):
    videos = read_examples(colour_examples[:2], geometry=8)
    texts = ("red left", "blue")
    data = build_data([named(v, t) for v, t in zip(videos, texts, strict=True)], Sides(), CPU)
    wanted = {text: Sides().encode([text]).tokens[0] for text in ("red left", "red right", "blue")}
    index = np.arange(len(data))
    for share, first in ((0.0, "red left"), (1.0, "red right")):
        batch = data.batch(index, mirror_share=share)
        assert batch.mirrored.tolist() == [share > 0] * 2
        words, mask = (x.flatten(0, 1)[batch.cells] for x in (batch.words, batch.text_mask))
        for at, text in ((0, first), (len(data) - 1, "blue")):
            torch.testing.assert_close(words[at][mask[at]], wanted[text])
    flags = torch.stack([data.batch(index, mirror_share=0.5).mirrored for _ in range(64)])
    assert 0.3 < flags.float().mean() < 0.7
    assert (flags[:, 0] != flags[:, 1]).any()


def test_a_module_without_boxes_is_not_trained_on_mirror_images(colour_examples, tmp_path):
    training = replace(FAST, mirror_share=0.5, alignment_weight=0.3)
    with pytest.raises(InputError, match="mirror_share of 0 for a module that reads no boxes"):
        train_selector(
            *(colour_examples[:1],) * 3, encoder=WordEncoder(), settings=SMALL, training=training, out=tmp_path,
            device=CPU,
        )  # fmt: skip
