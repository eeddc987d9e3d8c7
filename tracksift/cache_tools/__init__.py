"""Caches beside other things: two of them compared, other programs' layouts, the videos of a split.

Knows caches, readers of datasets and metrics. Does not know trackers or command lines.
"""

from tracksift.cache_tools.compare import Comparison, PairedTrack, compare_caches, matched_files
from tracksift.cache_tools.orphans import split_fingerprints
from tracksift.cache_tools.outside import export_pngs, export_video_json
from tracksift.cache_tools.sola_import import import_sola
from tracksift.cache_tools.sola_read import SolaVideo, find_sola_videos, read_sola_video
from tracksift.cache_tools.sola_write import export_sola

__all__ = [
    "Comparison",
    "PairedTrack",
    "SolaVideo",
    "compare_caches",
    "export_pngs",
    "export_sola",
    "export_video_json",
    "find_sola_videos",
    "import_sola",
    "matched_files",
    "read_sola_video",
    "split_fingerprints",
]
