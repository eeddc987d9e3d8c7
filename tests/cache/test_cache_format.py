"""FORMAT.md is enough: a reader written from its text alone, with h5py and loops, finds what ours finds."""

import hashlib
import itertools
import json
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from cache import open_cache, outlines, schema, write_cache
from core import rle
from tests.factories import make_labels, make_track_set

FILES = Path(__file__).parent / "files"
PARTS = {
    "video": ("info", "timestamps"),
    "prompts": ("frame", "expression", "score", "stability"),
    "tracks": ("source", "rle", "rle_offsets", "boxes", "tokens", "object_score", "predicted_iou"),
}
CORE = ["provenance", *(f"{group}/{name}" for group, names in PARTS.items() for name in names)]


def counts_of(runs):
    """COCO's compressed counts, number by number."""
    out = []
    for k, run in enumerate(runs):
        number = run - runs[k - 2] if k > 2 else run
        more = True
        while more:
            part, number = number & 31, number >> 5
            more = number != (-1 if part & 16 else 0)
            out.append(48 + part + (32 if more else 0))
    return bytes(out)


def masks_of(data):
    """Compressed counts of every mask, from the bytes of `/tracks/outlines`."""
    height, width = struct.unpack_from("<II", data)
    place, masks = 8, []
    while place < len(data):
        count, total, long = struct.unpack_from("<III", data, place)
        at = place + 12
        pairs = [sum(data[at + plane * count + m] << (8 * plane) for plane in range(4)) for m in range(count)]
        at += 4 * count
        place = at + 2 * total + 4 * long
        longs = iter(struct.unpack_from(f"<{long}i", data, at + 2 * total))
        moves = [next(longs) if c == 255 else -(c + 1) // 2 if c % 2 else c // 2 for c in data[at : at + 2 * total]]
        starts, ends = iter(moves[:total]), iter(moves[total:])
        for number in pairs:
            edges = []
            for n in range(number):
                start, end = next(starts), next(ends)
                edges += [start, start + end] if n == 0 else [edges[-2] + height + start, edges[-1] + height + end]
            edges += [] if edges and edges[-1] == height * width else [height * width]
            masks.append(counts_of([b - a for a, b in itertools.pairwise([0, *edges])]))
    return masks


def line(file, path):
    """The content hash's line of a dataset."""
    stored = file["tracks/outlines"] if path == "tracks/rle" and path not in file else file[path]
    shape = stored.shape if stored.name == f"/{path}" else (int(stored.attrs["bytes"]),)
    size = ",".join(map(str, shape))
    return f"{path} {stored.dtype.str} [{size}] {stored.attrs['sha256'].decode()}\n"


@pytest.fixture(params=["schema1.h5", "schema2.h5", "schema3.h5", "present"])
def path(request, tmp_path):
    if request.param != "present":
        return FILES / request.param
    write_cache(tmp_path / "v.h5", make_track_set(6, frames=9, look=4, size=(33, 300)), make_labels(6))
    return tmp_path / "v.h5"


def test_a_reader_of_the_text_finds_masks_tokens_and_hashes(path):
    ours = open_cache(path)
    with h5py.File(path, "r", locking=False) as file:
        core = sorted([*CORE, *(["tracks/look"] if ours.version > 1 else [])])
        lines = "".join(line(file, name) for name in core)
        assert hashlib.sha256(lines.encode()).hexdigest().encode() == file.attrs["content_sha256"]
        offsets = file["tracks/rle_offsets"][:]
        if "outlines" in file["tracks"]:
            masks = masks_of(file["tracks/outlines"][:].tobytes())
            assert np.cumsum([0, *map(len, masks)]).tolist() == offsets.tolist()
        else:
            data = file["tracks/rle"][:].tobytes()
            masks = [data[a:b] for a, b in itertools.pairwise(offsets)]
        assert masks == [mask for track in ours.masks() for mask in track]
        assert (
            hashlib.sha256(file["tracks/tokens"][:].tobytes()).hexdigest()
            == file["tracks/tokens"].attrs["sha256"].decode()
        )
        info = json.loads(file["video/info"][:].tobytes())
        assert (info["id"], info["height"], info["width"]) == (ours.video.id, *ours.video.size)
        assert int(file.attrs["schema_version"]) == ours.version <= schema.SCHEMA_VERSION


def test_the_reader_of_the_text_knows_masks_of_every_kind():
    random = np.random.default_rng(0)
    masks = np.stack([np.zeros((40, 60), bool), np.ones((40, 60), bool), *(random.random((4, 40, 60)) < 0.5)])
    counts = rle.encode(masks)

    assert masks_of(outlines.encode(counts, (40, 60))) == list(counts)
