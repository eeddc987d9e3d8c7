"""Files of older schemas written anew in the present one, with the same content and the same content hash.

Nothing has to be migrated, since every older file still opens; a split of one schema is easier to hand on. Knows reader
and writer. Does not know what changed between schemas: they do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cache import schema
from cache.frames import rewrite_cache
from cache.reader import open_cache
from cache.verify import verify_cache

Outcome = Literal["current", "migrated", "planned"]


def migrate_cache(path: Path, *, dry_run: bool = False) -> Outcome:
    """Write one file in the present schema unless it is; it is verified before, and replaced whole or not at all.

    Raises:
        CacheError: for a file that cannot be used, as `cache.reader.open_cache`; it stays as it is.
        InputError: when writing it anew would change the content hash (another program's JSON); it stays as it is.
        OutputError: when the place cannot be written.
    """
    if open_cache(path).version == schema.SCHEMA_VERSION:
        return "current"
    file = verify_cache(path)
    if dry_run:
        return "planned"
    version, content = schema.SCHEMA_VERSION, file.content_sha256
    rewrite_cache(path, file.track_set(), file.labels(), version=version, expected=content)
    return "migrated"
