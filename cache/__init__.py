"""Store: one HDF5 file a video that holds its tracks, their tokens and where they came from (`FORMAT.md`).

Knows the types of `core` and HDF5. Does not know trackers, scorers or datasets: whoever has tracks may write them, and
whoever can read the format may use them.
"""

from cache.paths import cache_path, list_caches
from cache.reader import CacheFile, open_cache, read_cache
from cache.verify import CacheState, cache_state, verify_cache
from cache.writer import write_cache

__all__ = [
    "CacheFile",
    "CacheState",
    "cache_path",
    "cache_state",
    "list_caches",
    "open_cache",
    "read_cache",
    "verify_cache",
    "write_cache",
]
