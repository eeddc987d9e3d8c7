"""Every dataset of the registry opens on the rendered world, and its check finds nothing wrong there."""

import pytest

from benchmarks.catalog import CATALOG
from benchmarks.registry import DATASETS
from miniature.formats.catalogue import FORMATS
from miniature.formats.dataset import Wanted, write_formats

PLACES = {
    "mevis": ("mevis", "valid_u"),
    "ref_youtube_vos": ("ref_youtube_vos", "train"),
    "ref_davis": ("ref_davis", "valid"),
    "lasot": ("lasot", "test"),
    "otb": ("otb", "all"),
    "got10k": ("got10k", "val"),
    "elysium_track": ("elysium_track", "val"),
    "rsot": ("elysium_track", "test"),
    "video_reg": ("elysium_track", "val"),
    "charades_sta": ("charades_sta", "test"),
    "activitynet": ("activitynet", "val_1"),
    "didemo": ("didemo", "val"),
    "qvhighlights": ("qvhighlights", "val"),
    "timelens": ("timelens", "miniature-timelens"),
    "mmduet_grounding": ("mmduet_it", "test"),
    "activitynet_captions": ("activitynet", "val_2"),
    "youcook2": ("youcook2", "val"),
    "msvd_qa": ("msvd_qa", "test"),
    "msrvtt_qa": ("msrvtt_qa", "test"),
    "tgif_qa": ("tgif_qa", "Test_frameqa"),
    "activitynet_qa": ("activitynet_qa", "test"),
    "magqa": ("magqa", "test"),
    "tvsum": ("summaries", "all"),
    "summe": ("summaries", "all"),
    "vtg_it": ("vtg_it", "train"),
    "mmduet_narration": ("mmduet_it", "test"),
    "mmduet_dialogue": ("mmduet_it", "test"),
}
"""Dataset of the registry -> folder of the format and split."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "valid"
    write_formats(folder, "valid", [200_006, 200_007], Wanted(tuple(FORMATS), long=True, seconds=42))
    return folder


def test_every_dataset_and_every_format_has_its_place():
    assert set(PLACES) == set(DATASETS) == set(CATALOG)
    assert {folder for folder, _ in PLACES.values()} == set(FORMATS)


@pytest.mark.parametrize("name", PLACES)
def test_the_check_of_a_dataset_finds_nothing_wrong(world, name):
    folder, split = PLACES[name]
    videos = world / folder / "videos"
    found = DATASETS[name].check(
        world / folder, split, videos if videos.is_dir() else None, lambda done, of: None, thorough=True
    )
    assert found.good, found.sentences
    assert found.counts
