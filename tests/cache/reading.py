"""What child processes read, importable by name: `from tests.cache.reading import read_damaged`."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from cache import verify_cache
from core.errors import CacheError

ADVICE = ("run `tracksift generate` again", "upgrade TrackSift")


def everything(path):
    """All that can be read of a cache file, as comparable values."""
    file = verify_cache(path)
    labels, looks = file.labels(), file.looks()
    arrays = [file.tokens(), file.boxes(), file.object_score(), file.predicted_iou(), file.video.timestamps]
    arrays += [] if labels is None else [labels.iou, labels.precision, labels.recall]
    data = b"".join(np.ascontiguousarray(a).tobytes() for a in [*arrays, *([] if looks is None else [looks])])
    names = None if labels is None else labels.object_ids
    return data, names, file.masks(), file.prompts(), file.sources(), dict(file.provenance), file.video.id


def read_damaged(job):
    """Damage copies of a file in `folder` and read each: what ended otherwise than by a named error or the sound data.

    job: (file, folder, damages), a damage being (byte, mask) to flip or (length, None) to cut at.
    Returns (number of named errors, number without effect, list of damages with wrong data).
    """
    source, folder, damages = job
    sound, whole, target = everything(source), source.read_bytes(), Path(folder) / f"{os.getpid()}.h5"
    named, harmless, wrong = 0, 0, []
    for at, mask in damages:
        data = bytearray(whole if mask is not None else whole[:at])
        if mask is not None:
            data[at] ^= mask
        target.write_bytes(data)
        try:
            found = everything(target)
        except CacheError as error:
            named += any(advice in str(error) for advice in ADVICE)  # one without advice is missed in the counts
        else:
            harmless += found == sound
            wrong += [] if found == sound else [(at, mask)]
    target.unlink(missing_ok=True)
    return named, harmless, wrong


def obey(order):
    """Do as told, for tests of the children themselves."""
    if order == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if order == "leave":
        os._exit(3)
    if order == "hang":
        time.sleep(60)
    if order == "fail":
        raise CacheError("expected another order, got fail")
    return order, os.getpid()
