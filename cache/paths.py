"""Where a video's cache lies: `<root>/<dataset>/<split>/<video_id>.h5`.

Knows folder rules. Does not know what is in the files.
"""

from pathlib import Path

from core.ids import safe_name

SUFFIX = ".h5"


def cache_path(root: Path, dataset: str, split: str, video_id: str) -> Path:
    """The file of one video; every part is made safe, so that no id can leave `root` or meet another's file.

    Raises:
        InputError: for an empty dataset, split or id.
    """
    return Path(root) / safe_name(dataset) / safe_name(split) / (safe_name(video_id) + SUFFIX)


def list_caches(root: Path, dataset: str, split: str) -> list[Path]:
    """The cache files of a split, sorted by name; temporary files are left out; empty where there is no such folder."""
    folder = Path(root) / safe_name(dataset) / safe_name(split)
    return sorted(p for p in folder.glob(f"*{SUFFIX}") if not p.name.startswith("."))
