"""Zips of many small files that others made: opened and unpacked an entry at a time, faults as sentences.

A damaged zip fails in many ways (its directory, a compressed stream, a password, a method that nobody has): each is an
InputError here. Nothing is ever written to the names that a zip gives. Knows zips. Does not know what they hold.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Final

from core.errors import InputError

LARGEST: Final = 64 * 2**20  # bytes of one file: beyond it nothing is unpacked

# RuntimeError: encrypted; its NotImplementedError: an unknown method or version. ValueError: names that are no text.
_FAULTS: Final = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


def open_zip(path: Path, wanted: str) -> zipfile.ZipFile:
    """The zip at `path`; InputError where there is none, in the words "expected `wanted`"."""
    try:
        return zipfile.ZipFile(path)
    except _FAULTS as error:
        raise InputError(f"{path}: expected {wanted}, got {error}") from error


def unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry; InputError where they are damaged, encrypted or too many."""
    if entry.file_size > LARGEST:
        raise InputError(f"expected at most {LARGEST} bytes, got {entry.file_size}")
    try:
        return archive.read(entry)
    except _FAULTS as error:
        raise InputError(f"expected a file that can be unpacked, got {str(error) or 'one cut short'}") from error


def leads_outside(name: str) -> bool:
    """Whether unpacking to this name would write outside the folder it is unpacked to."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or ".." in PurePosixPath(plain).parts or plain[1:2] == ":"
