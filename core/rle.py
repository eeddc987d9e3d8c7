"""COCO run-length masks: bytes <-> boolean arrays, areas, boxes and overlaps without decoding.

A mask is stored as COCO's compressed counts (bytes); its size (H, W) is held once by whoever holds the masks.
An absent mask is the encoding of all zeros, never a missing value. Knows pycocotools and nothing of tracks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from core.errors import InputError

Size = tuple[int, int]
_AREA_BATCH = 255
_LONGEST = 7  # bytes of a number that no mask of 2^32 pixels exceeds
_MORE = 32  # the bit of a byte of compressed counts that says that its number goes on


def encode(masks: NDArray[np.bool_]) -> tuple[bytes, ...]:
    """Masks [T, H, W] bool -> T compressed counts."""
    stacked = np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8))  # [H, W, T]
    return tuple(bytes(r["counts"]) for r in coco.encode(stacked))


def decode(counts: Sequence[bytes], size: Size) -> NDArray[np.bool_]:
    """T compressed counts -> [T, H, W] bool.

    Raises:
        InputError: when counts do not describe masks of `size`.
    """
    if not counts:
        return np.zeros((0, *size), dtype=bool)
    check(counts, size)
    decoded = coco.decode(_objects(counts, size))  # [H, W, T]
    return np.ascontiguousarray(decoded.transpose(2, 0, 1)).view(np.bool_)  # 0 and 1 alone


def check(counts: Sequence[bytes], size: Size) -> None:
    """Refuse counts that are not whole masks of `size`.

    pycocotools believes what it is given, and answers broken counts with unwritten memory or the end of the process.

    Raises:
        InputError: naming the first mask that is not as expected.
    """
    if not counts:
        return
    lengths = np.array([len(c) for c in counts], dtype=np.int64)
    codes = np.frombuffer(b"".join(counts), dtype=np.uint8).astype(np.int64) - 48
    mask_of_code = np.repeat(np.arange(len(lengths)), lengths)
    broken = lengths == 0
    broken[mask_of_code[(codes < 0) | (codes > 63)]] = True
    if not broken.any():
        broken = (codes[np.cumsum(lengths) - 1] & _MORE) > 0  # ends within a number
    if not broken.any():
        runs, owner = _runs(codes, mask_of_code)
        broken = np.bincount(owner, weights=runs, minlength=len(lengths)) != size[0] * size[1]
        broken[owner[(runs < 0) | (runs > size[0] * size[1])]] = True
    if broken.any():
        at = int(np.argmax(broken))
        raise InputError(
            f"mask {at}: expected COCO run lengths of {size[0]}x{size[1]} pixels, got {bytes(counts[at][:40])!r}"
        )


def run_lengths(counts: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Run lengths [R] of whole masks one after another, background first, and how many each mask has [T]."""
    lengths = np.array([len(c) for c in counts], dtype=np.int64)
    codes = np.frombuffer(b"".join(counts), dtype=np.uint8).astype(np.int64) - 48
    if not len(codes):
        return np.zeros(0, dtype=np.int64), np.zeros(len(counts), dtype=np.int64)
    runs, owner = _runs(codes, np.repeat(np.arange(len(lengths)), lengths))
    return runs, np.bincount(owner, minlength=len(counts))


def from_numbers(values: NDArray[np.int32]) -> bytes:
    """Compressed counts from their numbers, as `_runs` describes them; each as short as pycocotools writes it."""
    size = np.ones(len(values), dtype=np.int64)
    more = np.flatnonzero((values < -16) | (values > 15))
    for place in range(1, _LONGEST):
        size[more] += 1
        most = 16 << (5 * place)
        more = more[(values[more] < -most) | (values[more] >= most)]
    ends = np.cumsum(size)
    out = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    out[ends - size] = (values & 31) + 48 + _MORE * (size > 1)
    at = np.flatnonzero(size > 1)
    for place in range(1, _LONGEST):
        out[ends[at] - size[at] + place] = ((values[at] >> (5 * place)) & 31) + 48 + _MORE * (size[at] > place + 1)
        at = at[size[at] > place + 1]
    return out.tobytes()


def areas(counts: Sequence[bytes], size: Size) -> NDArray[np.int64]:
    """Foreground pixels of each mask, [T]."""
    objects = _objects(counts, size)
    # pycocotools 2.0.11 puts the number of masks into a uint8 on its way, which numpy 2 refuses beyond 255.
    parts = [coco.area(objects[i : i + _AREA_BATCH]) for i in range(0, len(objects), _AREA_BATCH)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *(np.asarray(p, dtype=np.int64) for p in parts)])


def boxes(counts: Sequence[bytes], size: Size) -> NDArray[np.float32]:
    """Tight boxes [T, 4], x1 y1 x2 y2 in pixels, x2 and y2 exclusive; NaN where a mask is empty."""
    xywh = np.asarray(coco.toBbox(_objects(counts, size)), dtype=np.float32).reshape(-1, 4)
    xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    xyxy[areas(counts, size) == 0] = np.nan
    return xyxy


def union(counts: Sequence[bytes], size: Size) -> bytes:
    """The union of masks of one frame; all zeros for none."""
    if not counts:
        return encode(np.zeros((1, *size), dtype=bool))[0]
    return bytes(coco.merge(_objects(counts, size), intersect=False)["counts"])


def without(counts: bytes, other: bytes, size: Size) -> bytes:
    """The pixels of a mask that are not those of another mask of the same frame."""
    return bytes(coco.merge(_objects([counts, _complement(other)], size), intersect=True)["counts"])


def shared(one: bytes, other: bytes, size: Size) -> int:
    """How many pixels two masks of the same frame both have."""
    both = coco.merge(_objects([one, other], size), intersect=True)
    return int(coco.area(both))


def to_json(counts: bytes, size: Size) -> dict[str, Any]:
    """COCO's JSON form: {"size": [H, W], "counts": text}."""
    return {"size": list(size), "counts": counts.decode("ascii")}


def from_json(value: Any, size: Size) -> bytes:
    """COCO's JSON form (compressed text, or a list of run lengths) -> counts; None is the empty mask.

    Raises:
        InputError: when the form, its size or its run lengths are not as expected.
    """
    if value is None:
        return encode(np.zeros((1, *size), dtype=bool))[0]
    if not isinstance(value, dict) or value.get("size") != list(size):
        raise InputError(f"mask: expected COCO RLE of size {list(size)}, got {str(value)[:80]}")
    counts = value.get("counts")
    if isinstance(counts, str):
        # Outside ASCII nothing is a run length; "?" is none either, and check says so.
        compressed = counts.encode("ascii", "replace")
    elif isinstance(counts, list) and all(isinstance(n, int) and 0 <= n <= size[0] * size[1] for n in counts):
        compressed = bytes(coco.frPyObjects({"size": list(size), "counts": counts}, *size)["counts"])
    else:
        raise InputError(f"mask: expected counts as text or a list of run lengths, got {str(counts)[:80]}")
    check([compressed], size)
    return compressed


def _objects(counts: Sequence[bytes], size: Size) -> list[dict[str, Any]]:
    return [{"size": list(size), "counts": c} for c in counts]


def _complement(counts: bytes) -> bytes:
    """A mask's run lengths beginning with the other colour: a run of none in front comes, or goes.

    As numbers are differences (`_runs`), all but the first few stay as they are.
    """
    numbers, ends = _head(counts, 4)
    if numbers[0]:
        kept, moved, rest = numbers[:2], [third - numbers[0] for third in numbers[2:3]], ends[2:3]
        return b"".join(map(_code, [0, *kept, *moved])) + (counts[rest[0] :] if rest else b"")
    kept, moved, rest = numbers[1:3], [fourth + numbers[1] for fourth in numbers[3:4]], ends[3:4]
    return b"".join(map(_code, [*kept, *moved])) + (counts[rest[0] :] if rest else b"")


def _head(counts: bytes, most: int) -> tuple[list[int], list[int]]:
    """The first numbers of compressed counts, and where each ends."""
    numbers, ends, value, place = list[int](), list[int](), 0, 0
    for at, byte in enumerate(counts, start=1):
        code = byte - 48
        value |= (code & 31) << place
        place += 5
        if not code & _MORE:
            numbers.append(value - (1 << place) if code & 16 else value)
            ends.append(at)
            value, place = 0, 0
            if len(numbers) == most:
                break
    return numbers, ends


def _code(number: int) -> bytes:
    """One number of compressed counts."""
    out = bytearray()
    while True:
        part, number = number & 31, number >> 5
        done = number == (-1 if part & 16 else 0)
        out.append(48 + part + (0 if done else _MORE))
        if done:
            return bytes(out)


def _runs(codes: NDArray[np.int64], mask_of_code: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The run lengths in `codes` (bytes less 48) of whole masks, and the mask that each run belongs to.

    COCO's code: a number is five bits a byte, lowest first, bit 5 for "more follows", bit 4 of its last byte the
    sign; from a mask's fourth number on each is the difference to the number before the last.
    """
    last = np.flatnonzero((codes & _MORE) == 0)
    first = np.append(0, last[:-1] + 1)
    # Beyond six bytes a number is far outside any mask; the cap keeps the shift defined and the sum wrong.
    place = np.minimum(np.arange(len(codes)) - np.repeat(first, last - first + 1), 11)
    values = np.add.reduceat((codes & 31) << (5 * place), first)
    values -= np.where(codes[last] & 16, np.int64(1) << (5 * (place[last] + 1)), 0)
    owner = mask_of_code[last]
    index = np.arange(len(owner)) - np.searchsorted(owner, owner)  # within the mask
    chain = 3 * owner + np.where(index == 0, 0, np.where(index % 2 == 1, 1, 2))  # of numbers that add up
    order = np.argsort(chain, kind="stable")
    sums = np.cumsum(values[order])
    starts = np.searchsorted(chain[order], chain[order])
    runs = np.empty_like(values)
    runs[order] = sums - sums[starts] + values[order][starts]
    return runs, owner
