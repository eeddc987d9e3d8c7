"""Batches of a split: out of packs or caches, held or streamed, the same numbers; like lengths together."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cache import TokenShelf, write_cache, write_pack
from core.errors import CacheCorruptError
from core.types import Expression
from selector.data import SelectorData, build_data
from selector.labelled import without_ground_truth
from selector.loading import AHEAD, Batches, SelectorDataModule, padding_share, read_examples
from selector.rows import HeldRows, StreamedRows, moments
from selector.training import train_selector
from tests.factories import make_labels, make_track_set
from tests.selector.colour_world import FAST, SMALL, TINY, WordEncoder, colour_video

CPU = torch.device("cpu")


@pytest.fixture
def split(tmp_path):
    """A split's folder of ten colour videos with looks, and their examples."""
    examples = []
    for seed in range(10):
        track_set, labels, expressions = colour_video(seed, f"v{seed}", looks=True)
        write_cache(tmp_path / f"v{seed}.h5", track_set, labels)
        examples.append((tmp_path / f"v{seed}.h5", expressions))
    return tmp_path, examples


def read(examples, shelf=None, **options):
    return read_examples(examples, geometry=8, looks=True, shelf=shelf, **options)


def test_examples_read_out_of_a_pack_are_those_of_the_caches(split):
    folder, examples = split
    plain, shelf = read(examples), TokenShelf()
    write_pack(folder)
    packed = read(examples, shelf)
    assert (shelf.packed, shelf.unpacked) == (10, 0)
    for one, other in zip(plain, packed, strict=True):
        np.testing.assert_array_equal(one.tracks.values, other.tracks.values)
        assert replace(one.tracks, parts=None) == replace(other.tracks, parts=None)
        assert other.tracks.parts.tokens.base is not None  # a view of the mapped file


@pytest.mark.parametrize("workers", [0, 1])
def test_a_video_made_anew_since_it_was_packed_is_read_from_its_cache(split, workers):
    folder, examples = split
    write_pack(folder)
    track_set, labels, _ = colour_video(77, "v3", looks=True)
    write_cache(folder / "v3.h5", track_set, labels)
    shelf = TokenShelf()
    videos = read(examples, shelf, workers=workers)
    assert (shelf.packed, shelf.unpacked) == (9, 1)
    np.testing.assert_array_equal(videos[3].tracks.parts.tokens, track_set.tokens())


def test_a_damaged_pack_stops_the_reading_by_name(split):
    folder, examples = split
    path = write_pack(folder)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CacheCorruptError, match="run `tracksift cache pack` again"):
        read(examples)


@pytest.mark.parametrize("masked", [False, True])
def test_streamed_batches_equal_held_ones(split, masked):
    folder, examples = split
    write_pack(folder)
    videos = [without_ground_truth(v) if masked else v for v in read(examples)]
    held, streamed = (build_data(videos, WordEncoder(), CPU, stream=stream) for stream in (False, True))
    assert isinstance(held.rows, HeldRows)
    assert isinstance(streamed.rows, StreamedRows)
    batches = held.epoch(7, np.random.default_rng(0))
    assert [b.tolist() for b in batches] == [b.tolist() for b in streamed.epoch(7, np.random.default_rng(0))]
    for index, values in Batches(streamed, batches):
        assert values is not None
        one, other = held.batch(index), streamed.batch(index, values)
        for name, tensor in vars(one).items():
            assert torch.equal(tensor, getattr(other, name)), name
    assert [values for _, values in Batches(held, batches)] == [None] * len(batches)
    for one, other in zip(moments(held.rows), moments(streamed.rows), strict=True):
        torch.testing.assert_close(one, other)


def test_tokens_of_a_pack_stay_in_the_file_while_they_are_streamed(split):
    folder, examples = split
    write_pack(folder)
    videos = read_examples(examples, geometry=0)
    data = build_data(videos, WordEncoder(), CPU, stream=True)
    assert all(np.shares_memory(v.tokens, w.tracks.parts.tokens) for v, w in zip(data.rows.videos, videos, strict=True))
    assert not any(v.tokens.flags.owndata or v.tokens.flags.writeable for v in data.rows.videos)


class Slow(SelectorData):
    """A split that says which thread gathers what, and how far ahead of the reader it is."""

    def values(self, index):
        GATHERED.append((threading.current_thread().name, index))
        return super().values(index)


GATHERED: list[tuple[str, np.ndarray]] = []


def test_batches_are_gathered_ahead_by_other_threads_and_never_all(split):
    videos = read(split[1])
    data = build_data(videos, WordEncoder(), CPU, stream=True)
    data = Slow(**vars(data))
    GATHERED.clear()
    batches = [np.array([i]) for i in range(30)]
    going = iter(Batches(data, batches))
    index, _ = next(going)
    assert index.tolist() == [0]
    for name, _ in GATHERED:
        assert name.startswith("gather")
    assert len(GATHERED) <= AHEAD + 1
    assert [i.item() for i, _ in going] == list(range(1, 30))
    assert len(GATHERED) == 30


def test_a_failure_while_gathering_ahead_reaches_the_training(split):
    class Broken(SelectorData):
        def values(self, index):
            raise CacheCorruptError("expected the tokens")

    data = Broken(**vars(build_data(read(split[1]), WordEncoder(), CPU, stream=True)))
    with pytest.raises(CacheCorruptError, match="expected the tokens"):
        list(Batches(data, [np.array([0])]))


def test_like_lengths_share_a_batch_and_most_padding_is_saved(tmp_path):
    random = np.random.default_rng(0)
    examples = []
    for number in range(96):
        tracks, frames = (int(n) for n in random.integers((2, 4), (24, 80)))
        path = tmp_path / f"v{number}.h5"
        write_cache(path, make_track_set(tracks, frames=frames, width=2, video_id=f"v{number}"), make_labels(tracks))
        examples.append((path, (Expression("0", "the red one", ("object 0",)),)))
    data = build_data(read_examples(examples, geometry=0), WordEncoder(), CPU)
    bucketed = data.epoch(8, np.random.default_rng(1))
    drawn = np.split(np.random.default_rng(1).permutation(96), 12)
    shares = padding_share(data, bucketed), padding_share(data, drawn)
    assert sorted(np.concatenate(bucketed).tolist()) == list(range(96))
    padding = 1 - sum(data.shape[b].prod(1).sum() for b in drawn) / sum(8 * data.shape[b].max(0).prod() for b in drawn)
    assert shares[1] == pytest.approx(padding)
    assert shares[0] < 0.6 * shares[1]


def test_the_data_module_hands_each_process_its_part_of_the_same_batches(split):
    data = build_data(read(split[1]), WordEncoder(), CPU)
    parts = []
    for rank in range(2):
        module = SelectorDataModule(data, data, batch=6, together=2, seed=3)
        module.trainer = SimpleNamespace(current_epoch=4, global_rank=rank, world_size=2)
        parts.append([index for index, _ in module.train_dataloader()])
        assert sum(len(index) for index, _ in module.val_dataloader()) == len(data)
    expected = data.epoch(6, np.random.default_rng([3, 4]), 2)
    assert [np.concatenate(pair).tolist() for pair in zip(*parts, strict=True)] == [b.tolist() for b in expected]


@pytest.mark.parametrize("settings", [SMALL, replace(TINY, look_width=0)], ids=["sola", "relational"])
def test_a_training_that_streams_from_a_pack_ends_as_one_that_holds_all(colour_examples, settings, tmp_path):
    folder = tmp_path / "split"
    folder.mkdir()
    e = []
    for path, expressions in colour_examples[:20]:
        (folder / path.name).write_bytes(path.read_bytes())
        e.append((folder / path.name, expressions))
    recipe = replace(FAST, epochs=2, alignment_weight=FAST.alignment_weight if settings is SMALL else 0.0)
    figures = []
    for stream in (False, True):
        if stream:
            write_pack(folder)
        out = tmp_path / str(stream)
        trained = train_selector(e[:14], e[14:17], e[17:], WordEncoder(), settings, recipe, out, CPU, stream=stream)
        assert trained.figures["packed_videos"] == (20 if stream else 0)
        figures.append({k: v for k, v in trained.figures.items() if k not in ("minutes", "packed_videos")})
    assert figures[0] == figures[1]
