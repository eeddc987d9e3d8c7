"""A stream sees the frames that extract-features takes, as the grounder learnt to see them."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from core.errors import InputError, ScorerMismatchError
from core.types import VideoMeta
from llm_grounder.events import Question
from tracksift.clips import Inputs, see
from tracksift.features import frame_index
from tracksift.live import Eyes, read_questions, thin, with_times


@dataclass
class Corners:
    """An encoder whose patches are the values of pixels: grid 2 is four corners."""

    name: str = "corners"
    sha256: str = "c" * 64
    width: int = 3

    def encode_frames(self, frames, grid=0, tiles=1):
        values = frames.astype(np.float32) / 7
        step = frames.shape[1] // max(grid, 1)
        patches = values[:, ::step, ::step].reshape(len(frames), -1, 3) * tiles if grid else None
        return values.mean((1, 2)), patches


def pictures(count, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (count, 4, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("motion", [False, True])
@pytest.mark.parametrize("grid", [0, 2])
def test_frames_one_by_one_have_the_features_that_a_cache_would_give(grid, motion):
    shown = pictures(4)
    eyes = Eyes(Corners(), Inputs("c" * 64, grid, motion=motion))
    pooled, patches = Corners().encode_frames(shown, grid)
    whole = see(torch.from_numpy((pooled[:, None] if patches is None else patches).astype(np.float16)), motion)
    assert torch.equal(torch.stack([eyes.see(picture) for picture in shown]), whole)


def test_tiles_are_those_of_the_record():
    eyes = Eyes(Corners(), Inputs("c" * 64, 2, 2, motion=False))
    plain = Eyes(Corners(), Inputs("c" * 64, 2, 1, motion=False))
    picture = pictures(1)[0]
    assert torch.allclose(eyes.see(picture), 2 * plain.see(picture), rtol=1e-2)


def test_another_encoder_and_tracks_are_refused():
    with pytest.raises(ScorerMismatchError, match=r"expected the image encoder dddddddddddd .* got corners \(cccc"):
        Eyes(Corners(), Inputs("d" * 64))
    with pytest.raises(InputError, match="reads no tracks or learnt to do without, got one of 4 tracks"):
        Eyes(Corners(), Inputs("c" * 64, tracks=4))


def test_a_grounder_that_learnt_to_do_without_tracks_sees_a_stream_as_one_that_reads_none():
    picture = pictures(1)[0]
    eyes = Eyes(Corners(), Inputs("c" * 64, 2, tracks=4, numbers=True, trackless=True))
    assert torch.equal(eyes.see(picture), Eyes(Corners(), Inputs("c" * 64, 2)).see(picture))


@pytest.mark.parametrize("rate", [None, 0.5, 1.0, 2.0, 7.0, 24.0, 29.97])
@pytest.mark.parametrize("fps", [2.0, 8.0, 24.0, 30000 / 1001, None])
@pytest.mark.parametrize("start", [0.0, 0.37])
def test_frames_are_thinned_as_for_caches(rate, fps, start):
    steps = np.random.default_rng(1).random(40) + 0.01 if fps is None else np.full(40, 1 / fps)
    times = start + np.cumsum(steps) - steps[0]
    end = float(times[-1] + steps[-1])
    wanted = frame_index(VideoMeta("v", "here", (1, 1), times, end, "f"), rate).tolist()
    assert [i for _, i in thin(zip(times.tolist(), range(40), strict=True), rate, end)] == wanted


def test_a_live_frame_is_let_through_when_the_next_one_comes():
    taken = []

    def camera():
        for i in range(6):
            taken.append(i)
            yield i / 4, i

    seen = [(i, taken[-1]) for _, i in thin(camera(), 2.0)]
    assert seen == [(0, 1), (2, 3), (4, 5)]


def test_the_end_of_a_live_source_lets_its_last_frame_through_where_it_is_due():
    assert [i for _, i in thin([(0.0, 0), (0.5, 1)], 2.0)] == [0, 1]
    assert [i for _, i in thin([(0.0, 0), (0.4, 1)], 2.0)] == [0]
    assert list(thin([], 2.0)) == []


def test_frames_get_the_times_of_their_video():
    video = VideoMeta("v", "here", (4, 4), np.array([0.0, 0.5]), 1.0, "f")
    assert [time for time, _ in with_times(pictures(2), video)] == [0.0, 0.5]


def test_questions_have_seconds_or_are_asked_at_first(tmp_path):
    file = tmp_path / "questions.txt"
    file.write_text("2: late?\n\n  what happens: tell me\n", encoding="utf-8")
    assert read_questions(["12.5: which  spin?", "-1:early"], file) == [
        Question(12.5, "which  spin?"),
        Question(-1.0, "early"),
        Question(2.0, "late?"),
        Question(0.0, "what happens: tell me"),
    ]


def test_no_question_and_no_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected at least one --question, got none"):
        read_questions([])
    with pytest.raises(InputError, match=r"--questions .*gone\.txt: expected a text file"):
        read_questions([], tmp_path / "gone.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="expected a text file"):
        read_questions([], tmp_path / "bytes.txt")
