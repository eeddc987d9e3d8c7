"""Store: one HDF5 file a video that holds its tracks, their tokens and where they came from (`FORMAT.md`).

Knows the types of `core` and HDF5. Does not know trackers, scorers or datasets: whoever has tracks may write them, and
whoever can read the format may use them.
"""

from cache.frames import FrameFeatures, list_frames, read_frames, rewrite_cache, write_frames
from cache.garbage import Garbage, delete, find_leftovers, find_orphans
from cache.info import Description, SplitSummary, describe, summarise
from cache.migrate import migrate_cache
from cache.pack import PackEntry, TokenPack, open_pack, verify_pack
from cache.pack_writer import write_pack
from cache.paths import PACK, SUFFIX, cache_path, find_caches, list_caches
from cache.reader import CacheFile, open_cache, read_cache
from cache.repair import Moved, quarantine, quarantine_folder, read_list
from cache.shelf import TokenShelf, fresh_pack
from cache.survey import Finding, check_file, survey_files
from cache.verify import CacheState, cache_state, is_current, verify_cache
from cache.writer import write_cache

__all__ = [
    "PACK",
    "SUFFIX",
    "CacheFile",
    "CacheState",
    "Description",
    "Finding",
    "FrameFeatures",
    "Garbage",
    "Moved",
    "PackEntry",
    "SplitSummary",
    "TokenPack",
    "TokenShelf",
    "cache_path",
    "cache_state",
    "check_file",
    "delete",
    "describe",
    "find_caches",
    "find_leftovers",
    "find_orphans",
    "fresh_pack",
    "is_current",
    "list_caches",
    "list_frames",
    "migrate_cache",
    "open_cache",
    "open_pack",
    "quarantine",
    "quarantine_folder",
    "read_cache",
    "read_frames",
    "read_list",
    "rewrite_cache",
    "summarise",
    "survey_files",
    "verify_cache",
    "verify_pack",
    "write_cache",
    "write_frames",
    "write_pack",
]
