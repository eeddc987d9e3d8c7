"""Keys of memory attention in one pass over memory: projection, bias and rotation, straight to their place.

A Triton kernel for GPUs; elsewhere, and wherever Triton is absent, plain torch. What it saves: the keys are four times
as wide as the memories, and writing them once is the least that can be done. Projections are rounded before they are
rotated, as the package's are. Rotated pairs are neighbours, as the package's, or halves, as the kernel wants them.
Knows tensors. Does not know layers or frames.
Axis letters: N objects, L memory tokens, P pixels, C key width (a power of two for the kernel), M memory width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

try:
    import triton  # type: ignore[import-untyped]
    import triton.language as tl  # type: ignore[import-untyped]
except ImportError:  # on machines without a GPU
    triton = None

# The quickest of `tracksift benchmark proposals --row keys` on an H200, 64 objects: .48 ms a layer.
ROWS = 32  # memory tokens a program projects
OBJECTS = 8  # that a program does one after another, with weights and codes read once
WARPS = 4

# Of pairs as neighbours: complex [P, C / 2]. Of pairs as halves: cosines and sines, [P, C / 2] float32 each.
Turn = Tensor | tuple[Tensor, Tensor]

if triton is not None:

    @triton.jit  # type: ignore[untyped-decorator]
    def _project(  # type: ignore[no-untyped-def]  # noqa: ANN202
        tokens, weight, bias, cos, sin, out, objects, length, spatial, pixels,  # noqa: ANN001
        rows: tl.constexpr, together: tl.constexpr, half: tl.constexpr, width: tl.constexpr,
    ):  # fmt: skip
        """Rows of some objects: out = rotate(tokens weight^T + bias); rows from `spatial` on are not rotated."""
        row = tl.program_id(0) * rows + tl.arange(0, rows)
        inside = (row < length)[:, None]
        column, feature = tl.arange(0, half), tl.arange(0, width)
        kind = out.dtype.element_ty
        first_weight = tl.load(weight + column[None, :] * width + feature[:, None])
        second_weight = tl.load(weight + (half + column[None, :]) * width + feature[:, None])
        first_bias = tl.load(bias + column)[None, :].to(tl.float32)
        second_bias = tl.load(bias + half + column)[None, :].to(tl.float32)
        angle = (row % pixels)[:, None] * half + column[None, :]
        turned = (row < spatial)[:, None]
        c, s = tl.load(cos + angle, mask=turned, other=1.0), tl.load(sin + angle, mask=turned, other=0.0)
        begin = tl.program_id(1) * together
        for item in range(begin, tl.minimum(begin + together, objects)):
            place = row.to(tl.int64)[:, None] + item * length
            given = tl.load(tokens + place * width + feature[None, :], mask=inside, other=0.0)
            first = (tl.dot(given, first_weight) + first_bias).to(kind).to(tl.float32)
            second = (tl.dot(given, second_weight) + second_bias).to(kind).to(tl.float32)
            target = out + place * (2 * half) + column[None, :]
            tl.store(target, (first * c - second * s).to(kind), mask=inside)
            tl.store(target + half, (first * s + second * c).to(kind), mask=inside)


def make_keys(tokens: Tensor, weight: Tensor, bias: Tensor, turn: Turn, spatial: int) -> Tensor:
    """Keys [N, L, C] of tokens [N, L, M] with their positions; the first `spatial` are rotated by their pixel.

    weight: [C, M].   bias: [C].
    """
    if not isinstance(turn, Tensor) and usable(tokens.device, *weight.shape):
        return project(tokens, weight, bias, turn, spatial)
    keys = functional.linear(tokens, weight, bias)
    pixels = len(turn if isinstance(turn, Tensor) else turn[0])
    memories = keys[:, :spatial].view(len(keys), -1, pixels, len(weight))
    if isinstance(turn, Tensor) and keys.device.type == "cpu" and keys.dtype == torch.float32:
        pairs = torch.view_as_complex(memories.view(*memories.shape[:-1], -1, 2))
        pairs *= turn  # where they are: a fifth of the time
        return keys
    return torch.cat([rotate(memories, turn).flatten(1, 2), keys[:, spatial:]], dim=1)


def rotate(x: Tensor, turn: Turn) -> Tensor:
    """Rotary position codes of [..., P, C]."""
    if isinstance(turn, Tensor):
        pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)
    cos, sin = turn
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1).to(x.dtype)


def usable(device: torch.device, width: int, memory_width: int) -> bool:
    """Whether the kernel runs here: on a GPU that computes in bfloat16, with Triton, for widths that its tiles take."""
    powers = all(size >= 32 and size & (size - 1) == 0 for size in (width, memory_width))
    if triton is None or device.type != "cuda" or not powers:
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)


def project(
    tokens: Tensor, weight: Tensor, bias: Tensor, turn: tuple[Tensor, Tensor], spatial: int,
    *, rows: int = ROWS, together: int = OBJECTS, warps: int = WARPS,
) -> Tensor:  # fmt: skip
    """`make_keys` by the kernel; a program of `warps` does `rows` tokens of `together` objects."""
    objects, length, memory_width = tokens.shape
    width = len(weight)
    out = tokens.new_empty(objects, length, width)
    assert all(each.is_contiguous() for each in (tokens, weight, *turn)), "rows follow each other"
    # Triton launches on the current device, wherever the tensors lie.
    with torch.cuda.device_of(tokens):  # type: ignore[no-untyped-call]
        _project[(-(-length // rows), -(-objects // together))](
            tokens, weight, bias, *turn, out, objects, length, spatial, len(turn[0]),
            rows=rows, together=together, half=width // 2, width=memory_width, num_warps=warps,
        )  # fmt: skip
    return out
