"""Looks in `generate`: made with an encoder, never at the price of tracking again."""

from dataclasses import dataclass

import h5py
import numpy as np
import pytest

from cache import open_cache, write_cache
from core.errors import InputError
from core.frames import ArrayReader
from core.types import TrackSet
from proposals.generate import Effort
from proposals.settings import ProposalSettings
from tests.factories import make_track_set
from tracksift import generate as module
from tracksift.ask import Pipeline
from tracksift.generate import generate
from tracksift.models import WEIGHTS, Models


@dataclass(frozen=True)
class Encoder:
    name: str = "flat"
    sha256: str = "e" * 64
    width: int = 2
    side: int = 8

    def encode(self, images):
        return np.tile(np.float32([0, 1]), (len(images), 1))


@dataclass(frozen=True)
class ArrayJob:
    video_id: str
    cache: object

    def open(self):
        return ArrayReader(np.zeros((6, 16, 20, 3), dtype=np.uint8), video_id=self.video_id, fps=8.0)

    def ground_truth(self):
        return None


@pytest.fixture
def world(tmp_path, monkeypatch, tracker):
    """A job, and how often it was tracked."""
    tracked = []

    def propose(reader, *_, **__):
        tracked.append(reader.meta.id)
        made = make_track_set(2, video_id=reader.meta.id)
        return TrackSet(reader.meta, made.tracks), Effort(6, 6, 6)

    monkeypatch.setattr(module, "propose_with_effort", propose)

    def run(image_encoder, **options):
        return generate([job], tracker, ProposalSettings(), image_encoder=image_encoder, **options)[0].state

    job = ArrayJob("v", tmp_path / "v.h5")
    return job, tracked, run


@pytest.fixture
def tracker():
    @dataclass(frozen=True)
    class Named:
        name: str = "tiny"
        sha256: str = "0" * 64

    return Named()


def test_caches_get_looks_where_there_is_an_encoder_and_none_without(world):
    job, _, run = world
    assert run(None) == "made"
    assert open_cache(job.cache).looks() is None
    assert "look_sha256" not in open_cache(job.cache).provenance
    assert run(Encoder()) == "made"
    assert open_cache(job.cache).looks().tolist() == [[0, 1], [0, 1]]
    assert open_cache(job.cache).provenance["look_sha256"] == "e" * 64


def test_a_file_that_differs_in_looks_alone_keeps_its_tracks(world):
    job, tracked, run = world
    states = [run(e) for e in (None, Encoder(), Encoder(), Encoder(sha256="f" * 64), None, None)]
    assert states == ["made", "made", "kept", "made", "made", "kept"]
    assert tracked == ["v"]
    assert open_cache(job.cache).looks() is None
    assert len(open_cache(job.cache)) == 2


def test_overwriting_and_other_files_track_again(world):
    job, tracked, run = world
    run(Encoder())
    assert run(Encoder(), overwrite=True) == "made"
    write_cache(job.cache, make_track_set(2))
    assert run(Encoder()) == "made"
    job.cache.write_bytes(job.cache.read_bytes()[:-100])
    assert run(Encoder()) == "made"
    assert tracked == ["v"] * 4


def test_a_dry_run_writes_no_looks(world):
    job, _, run = world
    run(None)
    assert run(Encoder(), dry_run=True) == "planned"
    assert open_cache(job.cache).looks() is None


def test_the_miniature_tracker_has_an_image_encoder_and_others_have_none():
    assert Models().image_spec == str(WEIGHTS / "clip")
    assert Pipeline(Models(tracker="facebook/sam2.1-hiera-large")).image_encoder is None
    encoder = Pipeline(device="cpu").image_encoder
    assert encoder.width == 128


def test_looks_are_refused_by_flag_for_trackers_without_an_encoder(tmp_path):
    from scripts.generate import main

    (tmp_path / "v.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="--looks: expected a tracker with an image encoder"):
        main(video=tmp_path / "v.mp4", cache=tmp_path, tracker="facebook/sam2.1-hiera-large", looks=True)


@pytest.mark.parametrize("content", [b"somebody's notes", None], ids=["foreign", "newer"])
def test_a_file_that_is_not_ours_to_replace_fails_its_video_and_stays(world, content):
    job, tracked, run = world
    if content is None:
        write_cache(job.cache, make_track_set(1))
        with h5py.File(job.cache, "r+", libver="v110") as file:
            file.attrs.modify("schema_version", 99)
    else:
        job.cache.write_bytes(content)
    before = job.cache.read_bytes()
    assert run(None) == "failed"
    assert (job.cache.read_bytes(), tracked) == (before, [])
    assert run(None, overwrite=True) == "made"
