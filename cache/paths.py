"""Where a video's cache lies: `<root>/<dataset>/<split>/<video_id>.h5`, and a split's pack of tokens beside them.

Knows folder rules. Does not know what is in the files.
"""

from pathlib import Path

from core.errors import InputError
from core.ids import safe_name

SUFFIX = ".h5"
PACK = ".pack"


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


def find_caches(place: Path, suffixes: tuple[str, ...] = (SUFFIX,)) -> list[Path]:
    """The files under a root, a dataset's or a split's folder, sorted; or the one file that `place` is.

    Raises:
        InputError: when there is nothing at `place`.
    """
    if place.is_dir():
        found = (path for suffix in suffixes for path in place.rglob(f"*{suffix}"))
        return sorted(path for path in found if not path.name.startswith("."))
    if not place.exists():
        raise InputError(f"{place}: expected a cache file or a folder of them, got nothing there")
    return [place]
