from dataclasses import replace

import numpy as np
import pytest
import torch

from core.errors import InputError, ScorerMismatchError
from core.types import Source
from selector.data import build_data
from selector.inputs import read_tracks, track_geometry
from selector.labelled import without_ground_truth
from selector.loading import read_examples
from selector.rows import moments
from tests.factories import make_track_set
from tests.selector.colour_world import WordEncoder

CPU = torch.device("cpu")


@pytest.fixture
def videos(colour_examples):
    return read_examples(colour_examples[:5], geometry=8)


@pytest.fixture
def data(videos):
    return build_data(videos, WordEncoder(), CPU)


def test_a_batch_holds_each_videos_own_tracks_words_and_labels(videos, data):
    index = np.array([13, 0, 7])
    batch = data.batch(index)
    assert batch.values.shape[:2] == (3, 4)
    assert sorted(batch.cells.tolist()) == [0, 1, 2]
    for row, i in enumerate(index):
        video, number = data.items[i]
        assert video is videos[i // 3]
        frames = video.tracks.values.shape[1]
        place = batch.cells[row]  # rows of one
        np.testing.assert_array_equal(batch.values[place, :, :frames].numpy(), video.tracks.values.astype(np.float32))
        assert (batch.values[place, :, frames:] == 0).all()
        assert batch.frame_mask[place].sum() == frames
        alone = WordEncoder().encode([video.expressions[number].text]).tokens[0]
        np.testing.assert_array_equal(batch.words[place, 0][batch.text_mask[place, 0]], alone)
        expected = [
            any(video.labels.iou[n, int(t)] > 0.7 for t in video.expressions[number].target_ids) for n in range(4)
        ]
        assert batch.labels[row].tolist() == expected


def test_ground_truth_tracks_take_part_only_in_the_share_of_training(data):
    index = np.arange(len(data))
    assert not data.batch(index).track_mask[:, 3].any()
    assert data.batch(index, truth_share=1.0).track_mask.all()


def test_dropped_tracks_leave_at_least_one(data):
    index = np.arange(len(data))
    torch.manual_seed(0)
    mask = data.batch(index, drop_share=0.9).track_mask
    assert mask.any(1).all()
    assert not mask[:, :3].all()


def test_expressions_of_a_video_share_it_in_a_batch(data):
    batch = data.batch(np.array([0, 1, 2, 5]))
    assert len(batch.values) == 2
    assert batch.cells.tolist() == [0, 1, 2, 3]
    assert batch.words.shape[:2] == (2, 3)
    assert batch.track_mask.shape == (4, 4)
    torch.testing.assert_close(batch.words[1], batch.words[1, :1].expand(3, -1, -1))  # its one expression fills the row


def test_batches_of_few_videos_still_hold_every_expression_once(data):
    batches = data.epoch(6, np.random.default_rng(0), together=3)
    assert sorted(np.concatenate(batches).tolist()) == list(range(15))
    assert all(len(set(data.numbers[b].tolist())) <= 2 for b in batches)


@pytest.mark.parametrize("seed", [None, 0])
def test_an_epoch_has_every_expression_once(data, seed):
    generator = None if seed is None else np.random.default_rng(seed)
    batches = data.epoch(4, generator)
    assert sorted(np.concatenate(batches).tolist()) == list(range(15))
    assert [len(b) for b in data.epoch(4, None)] == [4, 4, 4, 3]


def test_an_epoch_is_a_function_of_its_seed(data):
    draws = [np.concatenate(data.epoch(4, np.random.default_rng(s))).tolist() for s in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_the_moments_are_those_of_all_rows(videos, data):
    rows = np.concatenate([v.tracks.values.reshape(-1, 12) for v in videos]).astype(np.float64)
    mean, deviation = moments(data.rows)
    np.testing.assert_allclose(mean, rows.mean(0), atol=1e-5)
    np.testing.assert_allclose(deviation, rows.std(0), atol=1e-4)


def test_videos_are_seen_without_ground_truth_tracks_in_evaluation(videos):
    video = without_ground_truth(videos[0])
    assert video.tracks.values.shape[0] == len(video.tracks.sources) == len(video.labels.iou) == 3
    assert Source.GROUND_TRUTH not in video.tracks.sources


def test_videos_without_tracks_or_expressions_are_left_out_and_none_is_refused(videos):
    empty = replace(videos[0], expressions=())
    assert len(build_data([empty, videos[1]], WordEncoder(), CPU)) == 3
    with pytest.raises(InputError, match="at least one cache"):
        build_data([empty], WordEncoder(), CPU)


def test_worker_processes_read_the_same(colour_examples, videos):
    calls = []
    read = read_examples(
        colour_examples[:5], geometry=8, workers=1, progress=lambda done, total: calls.append((done, total))
    )
    assert [v.tracks.cache for v in read] == [v.tracks.cache for v in videos]
    assert calls[-1] == (5, 5)


def test_geometry_is_relative_to_the_frame_and_zero_where_absent():
    boxes = np.array([[[2, 4, 6, 8], [np.nan] * 4, [0, 0, 20, 16]]], dtype=np.float32)
    score = np.array([[0.0001, 5.0, -1.0]], dtype=np.float32)
    iou = np.array([[0.75, 0.9, 0.9]], dtype=np.float32)
    geometry = track_geometry(boxes, np.array([[10, 0, 320]]), score, iou, (16, 20))
    np.testing.assert_allclose(geometry[0, 0], [0.2, 0.375, 0.2, 0.25, 10 / 320, 0.5, 0.75, 1], atol=1e-4)
    assert (geometry[0, 1:] == 0).all()


def test_masks_are_read_for_geometry_only(colour_examples, monkeypatch):
    from cache import CacheFile, open_cache

    def refuse(self):
        raise AssertionError("masks were read")

    monkeypatch.setattr(CacheFile, "masks", refuse)
    assert read_tracks(open_cache(colour_examples[0][0]), geometry=0).values.shape[-1] == 4
    with pytest.raises(AssertionError, match="masks"):
        read_tracks(open_cache(colour_examples[0][0]), geometry=8)


def test_tracks_without_frames_of_their_own_still_have_a_width():
    assert read_tracks(make_track_set(0), geometry=8).values.shape[:2] == (0, 6)


def test_looks_join_every_frame_after_tokens_and_geometry():
    track_set = make_track_set(2, width=4, look=3)
    tracks = read_tracks(track_set, geometry=8, looks=True)
    assert tracks.values.shape == (2, 6, 4 + 8 + 3)
    assert tracks.look == "3" * 64
    for n in range(2):
        np.testing.assert_array_equal(tracks.values[n, :, 12:], np.tile(track_set.tracks[n].look, (6, 1)))


def test_looks_are_left_alone_where_nobody_asks_for_them():
    tracks = read_tracks(make_track_set(2, width=4, look=3), geometry=0)
    assert tracks.values.shape == (2, 6, 4)
    assert tracks.look == ""


def test_tracks_without_looks_are_refused_by_name_where_looks_are_asked_for(colour_examples):
    with pytest.raises(ScorerMismatchError, match=r"'v0': expected tracks with looks.*generate --looks"):
        read_examples(colour_examples[:1], geometry=0, looks=True)
    assert len(read_tracks(make_track_set(0), geometry=0, looks=True).values) == 0


def test_looks_of_two_encoders_are_refused(look_examples):
    one, other = read_examples(look_examples[:2], geometry=0, looks=True)
    other = replace(other, tracks=replace(other.tracks, look="4" * 64))
    assert build_data([one], WordEncoder(), CPU).look == "3" * 64
    with pytest.raises(ScorerMismatchError, match="looks of one encoder"):
        build_data([one, other], WordEncoder(), CPU)
