"""Files and folders that are either whole or not there: written beside the target, synced, then renamed.

Knows file systems. Does not know what is written.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import OutputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary file path in the folder of `target`, with its suffix; becomes `target` when the block ends well.

    The folder is made if need be. When the block raises, the temporary file is deleted and `target` stays as it was.

    Raises:
        OutputError: when the folder cannot be written, the disk is full, or `target` is a folder.
    """
    if target.is_dir():
        raise OutputError(f"output {target}: expected a file name, got an existing folder")
    temporary = _beside(target, target.suffix)
    with _named_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.open("xb").close()  # fails now rather than after the work
    try:
        with _full_disk(target):
            yield temporary
        with _named_errors(target):
            _sync(temporary)
            temporary.replace(target)
            _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`; when the block ends well it takes the place of `target` and its contents.

    Raises:
        OutputError: when the parent cannot be written, the disk is full, or `target` is a file.
    """
    if target.exists() and not target.is_dir():
        raise OutputError(f"output {target}: expected a folder name, got an existing file")
    temporary, old = _beside(target, ""), _beside(target, ".old")
    with _named_errors(target):
        temporary.mkdir(parents=True)
    try:
        with _full_disk(target):
            yield temporary
        with _named_errors(target):
            # A file with several names is synced once.
            for path in {_identity(path): path for path in temporary.rglob("*")}.values():
                _sync(path)
            if target.exists():
                target.rename(old)  # a folder that is not empty cannot be replaced in one step
            temporary.rename(target)
            _sync(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def check_folder(target: Path) -> None:
    """Refuse a folder that could not be made or written to, before long work for it begins. Makes nothing.

    Raises:
        OutputError: when `target` or its nearest existing parent is a file, or may not be written.
    """
    whole = target.absolute()
    nearest = next(place for place in (whole, *whole.parents) if os.path.exists(place))
    if not nearest.is_dir():
        raise OutputError(f"output {target}: expected a folder, got a file at {nearest}")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"output {target}: expected a place that can be written, got permission denied at {nearest}")


def _beside(target: Path, suffix: str) -> Path:
    return target.with_name(f".{target.stem[:80]}.{secrets.token_hex(6)}.tmp{suffix}")


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _named_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"output {target}: expected a place that can be written, got {_reason(error)}") from error


@contextmanager
def _full_disk(target: Path) -> Iterator[None]:
    """Name what only the writing itself can meet; every other error of the block is the block's own."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise OutputError(f"output {target}: expected room to write, got {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
