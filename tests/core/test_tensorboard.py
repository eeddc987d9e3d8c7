"""The event file is read back by an own reading of its two formats, and its checksum by known answers."""

import struct

import pytest

from core.tensorboard import FILE, crc32c, record, write_scalars


@pytest.mark.parametrize(("data", "checksum"), [(b"123456789", 0xE3069283), (b"\0" * 32, 0x8A9136AA), (b"", 0)])
def test_the_checksum_is_castagnolis(data, checksum):
    assert crc32c(data) == checksum


def test_a_record_is_length_checksum_bytes_checksum():
    line = record(b"abc")
    assert struct.unpack("<Q", line[:8]) == (3,)
    assert (line[12:15], len(line)) == (b"abc", 19)


def varint(data, at):
    value, shift = 0, 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    at, found = 0, {}
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            if size is None:
                size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        found[key >> 3] = value
    return found


def test_every_number_is_an_event_under_its_name_at_its_step(tmp_path):
    rows = [{"epoch": 0, "loss": 0.5, "score": float("nan")}, {"epoch": 300, "loss": 0.25, "score": 1.0}]
    write_scalars(tmp_path, rows)
    data, at, events = (tmp_path / FILE).read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack("<Q", data[at : at + 8])
        events.append(fields(data[at + 12 : at + 12 + length]))
        at += length + 16
    assert events[0][3] == b"brain.Event:2"
    found = []
    for event in events[1:]:
        value = fields(fields(event[5])[1])
        found.append((event[2], value[1].decode(), struct.unpack("<f", value[2])[0]))
    assert found == [(0, "loss", 0.5), (300, "loss", 0.25), (300, "score", 1.0)]
