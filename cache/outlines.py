"""Compressed COCO counts <-> the same as moves of edges, which deflate makes a fifth smaller (schema 3).

COCO codes a run length by its difference to the last but one: the move of an object's lower edge less that of its
upper one, from a column to the next. Here each edge has moves of its own, which repeat themselves on smooth outlines:

    4 bytes   height of the masks
    4 bytes   width
    then blocks of up to 2,048 masks, to the end:
    4 bytes   M, masks
    4 bytes   P, runs of foreground
    4 bytes   L, long moves
    4 x M     runs of foreground of each mask: the lowest bytes of all, then the next ones, and so on
    P         moves of the starts of all runs; 0, -1, 1, -2 .. are 0, 1, 2, 3 ..; 255 stands for the next long move
    P         moves of their ends, likewise
    4 x L     long moves, signed

Starts and ends are pixels down the columns. A mask's first start is its own move, and its first end that of its
length; a later one is counted from the last one, moved on by a column. Numbers are little-endian. Knows run lengths.
Does not know files.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core import rle

BLOCK = 2048
_LONG = 255
_HEAD = 12
_MOST = 2**31 - 1

Moves = NDArray[np.int32]
Numbers = NDArray[np.int64]


def encode(counts: Sequence[bytes], size: rle.Size) -> bytes:
    """Moves of the edges of masks of size H, W.

    Raises:
        ValueError: for counts that `decode` would not give back to the byte: not of this size, or longer than need be.
    """
    if size[0] * size[1] > _MOST:
        raise ValueError(f"expected masks of up to {_MOST} pixels, got {size[0]}x{size[1]}")
    blocks = [np.array(size, dtype="<u4").tobytes()]
    for start in range(0, len(counts), BLOCK):
        part = counts[start : start + BLOCK]
        block = _pack(part, size)
        if _unpack(block, 0, size)[0] != b"".join(part):
            raise ValueError("expected counts as pycocotools writes them, got others")
        blocks.append(block)
    return b"".join(blocks)


def decode(data: bytes) -> bytes:
    """The compressed counts of all masks, one after another.

    Raises:
        ValueError: for bytes that `encode` does not write.
    """
    if len(data) < 8:
        raise ValueError(f"expected the size of masks, got {len(data)} bytes")
    height, width = np.frombuffer(data, dtype="<u4", count=2).tolist()
    if height * width > _MOST:
        raise ValueError(f"expected masks of up to {_MOST} pixels, got {height}x{width}")
    found, place = [], 8
    while place < len(data):
        part, place = _unpack(data, place, (height, width))
        found.append(part)
    return b"".join(found)


def _pack(counts: Sequence[bytes], size: rle.Size) -> bytes:
    """One block."""
    runs, numbers = rle.run_lengths(counts)
    if len(runs) == 0 or numbers.min() < 1:
        raise ValueError("expected masks of one run or more, got none")
    last, edges = np.cumsum(numbers) - 1, np.cumsum(runs)
    edges -= np.repeat(np.append(0, edges[last[:-1]]), numbers)
    if (edges[last] != size[0] * size[1]).any():
        raise ValueError(f"expected masks of {size[0]}x{size[1]} pixels, got others")
    # A mask that ends in background needs no last edge; what is left are starts and ends of runs of foreground.
    starts, ends = np.delete(edges, last[numbers % 2 == 1]).reshape(-1, 2).T
    pairs = numbers // 2
    first = _firsts(pairs)
    moves = np.stack([np.diff(starts, prepend=0), np.diff(ends, prepend=0)]) - size[0]
    moves[:, first] = starts[first], ends[first] - starts[first]
    moves = moves.reshape(-1)
    codes = np.where(moves < 0, -2 * moves - 1, 2 * moves)
    long = codes >= _LONG
    head = np.array([len(pairs), len(starts), long.sum()], dtype="<u4")
    planes = pairs.astype("<u4").view(np.uint8).reshape(-1, 4).T
    small = np.where(long, _LONG, codes).astype(np.uint8)
    return b"".join([head.tobytes(), planes.tobytes(), small.tobytes(), moves[long].astype("<i4").tobytes()])


def _unpack(data: bytes, place: int, size: rle.Size) -> tuple[bytes, int]:
    """The counts of the block at a place, and where the next one is."""
    if len(data) < place + _HEAD:
        raise ValueError("expected the head of a block, got the end")
    masks, total, long = np.frombuffer(data, dtype="<u4", count=3, offset=place).tolist()
    start, end = place + _HEAD, place + _HEAD + 4 * masks + 2 * total + 4 * long
    if len(data) < end:
        raise ValueError(f"expected {end} bytes of edges, got {len(data)}")
    planes = np.frombuffer(data, dtype=np.uint8, count=4 * masks, offset=start).reshape(4, masks)
    pairs = np.ascontiguousarray(planes.T).view("<u4").reshape(masks).astype(np.int64)
    small = np.frombuffer(data, dtype=np.uint8, count=2 * total, offset=start + 4 * masks)
    longs = np.flatnonzero(small == _LONG)
    if pairs.sum() != total or len(longs) != long:
        raise ValueError("expected as many edges as are said, got others")
    moves = (small >> 1).astype(np.int32) ^ -(small & 1).astype(np.int32)
    moves[longs] = np.frombuffer(data, dtype="<i4", count=long, offset=end - 4 * long)
    return rle.from_numbers(_numbers(moves[:total], moves[total:], pairs, size)), end


def _numbers(starts: Moves, ends: Moves, pairs: Numbers, size: rle.Size) -> Moves:
    """COCO's numbers from the moves [P] of starts and ends: mostly differences between the two.

    A background's run is from an end to the next start, so its change is the start's move less that of the end before;
    a foreground's is the end's less the start's. Where a mask begins, COCO codes three lengths as they are.
    """
    height, whole = size[0], size[0] * size[1]
    first, some = _firsts(pairs), pairs > 0
    numbers = np.empty((len(starts), 2), dtype=np.int32)
    numbers[:, 1] = ends - starts
    numbers[1:, 0] = starts[1:] - ends[:-1]
    numbers[first] = np.stack([starts[first], ends[first]], axis=1)
    second = first[pairs[some] > 1] + 1
    numbers[second, 0] += height

    last, steps = first + pairs[some] - 1, height * (pairs[some] - 1)
    if not len(first):
        return np.full(len(pairs), whole, dtype=np.int32)
    last_start = np.add.reduceat(starts, first) + steps
    last_end = starts[first] + np.add.reduceat(ends, first) + steps
    before = last_end - ends[last] - height  # the end before the last one, where there is one
    rest = np.full(len(pairs), whole, dtype=np.int64)  # the background at the end
    rest[some] -= last_end
    ending = rest.copy()
    ending[some] -= np.where(pairs[some] > 1, last_start - before, 0)
    left = rest != 0
    return np.insert(numbers.reshape(-1), 2 * np.cumsum(pairs)[left], ending[left])


def _firsts(pairs: Numbers) -> Numbers:
    """Where the runs of each mask that has some begin."""
    return (np.cumsum(pairs) - pairs)[pairs > 0]
