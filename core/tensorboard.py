"""Scalars as an event file that TensorBoard opens, without TensorBoard.

Knows the file: records of length, checksum, bytes, checksum (TFRecord), each an `Event` message of TensorFlow's
event.proto with one scalar. Does not know what the numbers mean.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.atomic import atomic_path

FILE = "events.out.tfevents.0"
VERSION = b"brain.Event:2"


def write_scalars(folder: Path, rows: Sequence[Mapping[str, float]], step: str = "epoch", seconds: str = "") -> None:
    """Write `folder`/FILE anew: row by row, every number under its name, at the row's `step`.

    Args:
        folder: where TensorBoard is told to look.
        rows: numbers by name, each with a whole number called `step`; numbers that are not finite are left out.
        step: name of the step.
        seconds: name of the number that says when a row was made, in seconds; 0 is taken without.

    Raises:
        OutputError: when the file cannot be written.
    """
    events = [_field(1, 1, struct.pack("<d", 0.0)) + _bytes(3, VERSION)]
    for row in rows:
        time = struct.pack("<d", float(row[seconds])) if seconds else struct.pack("<d", 0.0)
        head = _field(1, 1, time) + _field(2, 0, _varint(int(row[step])))
        for name, value in row.items():
            if name not in (step, seconds) and math.isfinite(value):
                scalar = _bytes(1, name.encode()) + _field(2, 5, struct.pack("<f", value))
                events.append(head + _bytes(5, _bytes(1, scalar)))
    with atomic_path(folder / FILE) as path:
        path.write_bytes(b"".join(record(event) for event in events))


def record(data: bytes) -> bytes:
    """One TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _table()


def _field(number: int, wire: int, value: bytes) -> bytes:
    return _varint(number << 3 | wire) + value


def _bytes(number: int, value: bytes) -> bytes:
    return _field(number, 2, _varint(len(value)) + value)


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
