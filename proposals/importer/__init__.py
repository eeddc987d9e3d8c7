"""Outside masklets -> tracks: what another program has tracked, with tokens of a tracker of ours.

Knows files of masklets, trackers and the frames of one video at a time. Does not know caches, datasets or expressions.
"""

from proposals.importer.masklets import Masklet
from proposals.importer.png_masks import read_png_masks
from proposals.importer.tokens import import_facts, import_tracks
from proposals.importer.video_json import VideoEntry, VideoFile, read_video_json

__all__ = [
    "Masklet",
    "VideoEntry",
    "VideoFile",
    "import_facts",
    "import_tracks",
    "read_png_masks",
    "read_video_json",
]
