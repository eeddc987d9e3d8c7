"""Ids from files, made safe as file names: reversible, injective, never outside the folder.

Knows naming rules of file systems. Does not know datasets or caches.
"""

import hashlib
import re

from core.errors import InputError

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,119}")
_MARK = "%"


def safe_name(identifier: str) -> str:
    """A file name (without folder or suffix) for any id; plain ids are kept as they are.

    An id of other characters, or longer than 120, becomes `%` + its readable part + a SHA-256 of its exact
    bytes, so that two different ids never share a name, whatever the file system folds or normalises. Ids that differ
    only in case share a name on file systems that fold case; plain ids with capitals are common there, so they
    are kept.

    Raises:
        InputError: for an id that is empty or not a string.
    """
    if not isinstance(identifier, str) or not identifier:
        raise InputError(f"id: expected a non-empty string, got {identifier!r}")
    if _PLAIN.fullmatch(identifier) and not identifier.endswith("."):
        return identifier
    digest = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", identifier)[:40].strip("-")
    return f"{_MARK}{readable}-{digest}"
