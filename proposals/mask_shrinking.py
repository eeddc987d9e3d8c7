"""SAM2's mask downsampler with its first two convolutions on blocks of pixels: the same sums, in shapes that GPUs like.

A convolution of stride 2 with one or four channels over a full-size mask keeps a GPU mostly idle. With the pixels of
a 4 x 4 block as channels both become 2 x 2 convolutions of 16 channels (five times as quick, measured together).
Knows the package's module. Does not know masks' meaning. Axis letters: N masks, C channels, H W pixels.
"""

from __future__ import annotations

import torch
from sam2.modeling.memory_encoder import MaskDownSampler
from torch import Tensor, nn
from torch.nn import functional

Shrink = nn.Module


def shrinker(module: MaskDownSampler) -> Shrink:
    """A module that maps [N, 1, H, W] as `module` does; `module` itself where it is built otherwise than in SAM2."""
    layers = list(module.encoder)
    usual = len(layers) > 6 and all(
        isinstance(conv, nn.Conv2d)
        and (conv.kernel_size, conv.stride, conv.padding) == ((3, 3), (2, 2), (1, 1))
        and conv.in_channels == channels
        for conv, channels in ((layers[0], 1), (layers[3], layers[0].out_channels))
    )
    return BlockShrink(layers) if usual else module


class BlockShrink(nn.Module):
    """The layers of a mask downsampler, the first two convolutions on blocks."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        first, norm, activate, second, *rest = layers
        assert isinstance(first, nn.Conv2d)
        assert isinstance(second, nn.Conv2d)
        self._channels = first.out_channels
        with torch.no_grad():
            self._first, self._second = blocked(first.weight, 2), blocked(second.weight, 1)
            self._first_bias = None if first.bias is None else first.bias.repeat_interleave(4)
            self._second_bias = second.bias
        self._norm, self._activate, self._rest = norm, activate, nn.Sequential(*rest)

    def forward(self, masks: Tensor) -> Tensor:
        """[N, 1, H, W] -> [N, C, H / 16, W / 16]."""
        x = _convolve(functional.pixel_unshuffle(masks, 4), self._first, self._first_bias)
        count, _, height, width = x.shape
        # The norm is over the channels of each pixel: the pixels of a block go beside each other.
        x = x.view(count, self._channels, 4 * height, width)
        x = self._activate(self._norm(x)).view(count, -1, height, width)
        result: Tensor = self._rest(_convolve(x, self._second, self._second_bias))
        return result


def blocked(weight: Tensor, block: int) -> Tensor:
    """Weights [O, I, 3, 3] of stride 2 and padding 1 -> [O b b, I (2 b)(2 b), 2, 2], of outputs in blocks of b x b.

    Channels are ordered as `pixel_unshuffle` orders them. An output pixel s of a block reads the inputs 2 s - 1 to
    2 s + 1 of the block of inputs, counted from its first: only -1 lies in the block before.
    """
    outputs, inputs = weight.shape[:2]
    side = 2 * block
    result = weight.new_zeros(outputs, block, block, inputs, side, side, 2, 2)
    for y in range(block):
        for x in range(block):
            for i in range(3):
                for j in range(3):
                    row, column = 2 * y + i - 1, 2 * x + j - 1
                    place = (row % side, column % side, int(row >= 0), int(column >= 0))
                    result[:, y, x, :, place[0], place[1], place[2], place[3]] = weight[:, :, i, j]
    return result.reshape(outputs * block * block, inputs * side * side, 2, 2)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 2 x 2 convolution whose blocks read themselves and the ones above and to the left."""
    return functional.conv2d(functional.pad(x, (1, 0, 1, 0)), weight, bias)
