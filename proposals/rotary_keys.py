"""Keys of memory attention in one pass over memory: projection, position table and rotation, straight to their place.

A Triton kernel for GPUs; elsewhere, and wherever Triton is absent, `memory_attention` does the same in plain torch.
What it saves: the keys are four times as wide as the memories, and writing them once is the least that can be done.
Knows tensors. Does not know layers or frames.
Axis letters: N objects, F memory frames, P pixels, C key width (a power of two, pairs as halves), M memory width.
"""

from __future__ import annotations

import torch
from torch import Tensor

try:
    import triton  # type: ignore[import-untyped]
    import triton.language as tl  # type: ignore[import-untyped]
except ImportError:  # on machines without a GPU
    triton = None

ROWS = 64  # memory tokens a program projects

if triton is not None:

    @triton.jit  # type: ignore[untyped-decorator]
    def _project(  # type: ignore[no-untyped-def]  # noqa: ANN202
        tokens, weight, table, cos, sin, out, token_stride, out_stride, spatial, pixels,  # noqa: ANN001
        rows: tl.constexpr, half: tl.constexpr, width: tl.constexpr,
    ):  # fmt: skip
        """Rows of one object: out = rotate(tokens weight^T + table)."""
        item = tl.program_id(1).to(tl.int64)
        row = tl.program_id(0) * rows + tl.arange(0, rows)
        inside = row < spatial
        column, feature = tl.arange(0, half), tl.arange(0, width)
        given = tl.load(
            tokens + item * token_stride + row[:, None] * width + feature[None, :], mask=inside[:, None], other=0.0
        )
        first_weight = tl.load(weight + column[None, :] * width + feature[:, None])
        second_weight = tl.load(weight + (half + column[None, :]) * width + feature[:, None])
        place = row[:, None] * (2 * half) + column[None, :]
        first = tl.dot(given, first_weight) + tl.load(table + place, mask=inside[:, None], other=0.0)
        second = tl.dot(given, second_weight) + tl.load(table + place + half, mask=inside[:, None], other=0.0)
        angle = (row % pixels)[:, None] * half + column[None, :]
        c, s = tl.load(cos + angle), tl.load(sin + angle)
        target = out + item * out_stride + place
        kind = out.dtype.element_ty
        tl.store(target, (first * c - second * s).to(kind), mask=inside[:, None])
        tl.store(target + half, (first * s + second * c).to(kind), mask=inside[:, None])


def usable(device: torch.device, width: int, memory_width: int) -> bool:
    """Whether the kernel runs here: on a GPU that computes in bfloat16, with Triton, for widths that its tiles take."""
    powers = all(size >= 32 and size & (size - 1) == 0 for size in (width, memory_width))
    if triton is None or device.type != "cuda" or not powers:
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)


def write_keys(out: Tensor, tokens: Tensor, tables: Tensor, weight: Tensor, turn: tuple[Tensor, Tensor]) -> None:
    """Fill out[:, : F P] of [N, L, C] from tokens[:, : F P] of [N, L, M].

    tables: [F, P, C].   weight: [C, M].   turn: cosines and sines [P, C / 2], float32.
    """
    spatial, pixels = tables.shape[0] * tables.shape[1], tables.shape[1]
    width, memory_width = weight.shape
    assert all(each.is_contiguous() for each in (tokens, out, tables)), "rows follow each other"
    _project[(-(-spatial // ROWS), len(tokens))](
        tokens, weight.contiguous(), tables, *turn, out, tokens.stride(0), out.stride(0), spatial, pixels,
        rows=ROWS, half=width // 2, width=memory_width, num_warps=8 if width >= 256 else 4,
    )  # fmt: skip
