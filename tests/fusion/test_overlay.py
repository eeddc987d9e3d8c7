from dataclasses import replace

import av
import numpy as np
import pytest

from core.errors import InputError, OutputError, VideoError
from core.types import Expression, MomentScores, TimeSpan, TrackScores
from fusion.drawing import PALETTE, Canvas, captions, layers
from fusion.fuse import fuse
from fusion.overlay import write_overlay
from tests.factories import make_track_set

SIZE, COUNT = (121, 161), 6


def make_answer(probability=(0.9, 0.8), expression_id="e1", text="the square", spans=(), frames=COUNT, video_id="clip"):
    tracks = make_track_set(2, frames=frames, size=SIZE, video_id=video_id, absent=[[0], []])
    scores = TrackScores(video_id, expression_id, np.array(probability), max(probability), "s" * 64, "c" * 64)
    moments = MomentScores(video_id, expression_id, np.zeros(1), np.zeros(1), spans) if spans else None
    return fuse(tracks, scores, Expression(expression_id, text), moments=moments)


def grey(count=COUNT, size=SIZE):
    return [np.full((*size, 3), 100, dtype=np.uint8) for _ in range(count)]


def decode(path):
    with av.open(str(path)) as container:
        return [(float(f.time), f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def test_overlay_is_h264_of_even_size_with_the_times_of_the_source(tmp_path):
    answer = make_answer()
    uneven = replace(answer.video, timestamps=np.array([1.0, 1.1, 1.5, 1.6, 2.0, 2.1]), end=2.5)
    write_overlay(tmp_path / "a.mp4", grey(), uneven, replace(answer, video=uneven))
    frames = decode(tmp_path / "a.mp4")
    assert [t for t, _ in frames] == pytest.approx([0.0, 0.1, 0.5, 0.6, 1.0, 1.1], abs=1e-4)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.height % 2 == stream.width % 2 == 0
        assert float(stream.duration * stream.time_base) == pytest.approx(1.5, abs=1e-3)


def test_masks_are_coloured_where_the_track_is_and_nowhere_else(tmp_path):
    answer = make_answer((0.9, 0.1))
    write_overlay(tmp_path / "a.mp4", grey(), answer.video, answer)
    times = decode(tmp_path / "a.mp4")
    scale = 4  # 121 rows are enlarged to about 480
    inside, outside = (15 * scale, 10 * scale), (100 * scale, 140 * scale)
    expected = 0.55 * 100 + 0.45 * np.array(PALETTE[0])
    assert np.abs(times[3][1][inside] - expected).max() < 12
    assert np.abs(times[3][1][outside].astype(int) - 100).max() < 6
    assert np.abs(times[0][1][inside].astype(int) - 100).max() < 6  # absent in frame 0


def test_large_frames_are_not_enlarged():
    answer = make_answer()
    big = replace(answer.video, size=(720, 1280))
    height, width = Canvas(big, [], captions([answer])).size
    assert width == 1280
    assert 720 < height < 900


def test_one_answer_has_a_colour_a_track_and_several_have_one_each():
    one, two = make_answer(), make_answer((0.1, 0.7), "e2")
    assert [x.colour for x in layers([one])] == list(PALETTE[:2])
    assert [x.colour for x in layers([one, two])] == [PALETTE[0], PALETTE[0], PALETTE[1]]
    assert layers([one])[0].label == "#0  0.90"


def test_captions_tell_no_target_and_prefer_moments_to_presence():
    plain, none = captions([make_answer((0.9, 0.1)), make_answer((0.1, 0.1), "e2")])
    assert (plain.verdict, none.verdict) == ("1 track", "no target")
    assert plain.spans == (TimeSpan(0.125, 0.75),)
    assert none.spans == ()
    moment = (TimeSpan(0.25, 0.5, 0.9),)
    assert captions([make_answer(spans=moment)])[0].spans == moment


def test_long_words_make_the_bar_higher_and_not_wider():
    short, long = make_answer(), make_answer(text="a very long expression " * 12)
    sizes = [Canvas(a.video, [], captions([a])).size for a in (short, long)]
    assert sizes[0][1] == sizes[1][1]
    assert sizes[0][0] < sizes[1][0]


def test_label_of_a_box_at_the_top_stays_inside_the_picture():
    answer = make_answer((0.1, 0.9))
    box = np.array([150.0, 0.0, 161.0, 121.0], dtype=np.float32)
    layer = replace(layers([answer])[0], boxes=np.tile(box, (COUNT, 1)))
    canvas = Canvas(answer.video, [layer], captions([answer]))
    drawn = canvas.draw(grey()[0], 0)
    assert drawn.shape == (*canvas.size, 3)
    label = (drawn == PALETTE[0]).all(axis=2)[: 121 * 4 - 8, : 150 * 4 - 8]
    assert label.any()


def test_film_without_answers_shows_the_frames_as_they_are(tmp_path):
    write_overlay(tmp_path / "a.mp4", grey(), make_answer().video, [])
    frames = decode(tmp_path / "a.mp4")
    assert len(frames) == COUNT
    assert np.abs(frames[3][1][: 121 * 4].astype(int) - 100).max() < 6


def test_progress_counts_every_frame(tmp_path):
    calls = []
    write_overlay(
        tmp_path / "a.mp4", grey(), make_answer().video, [make_answer()], lambda done, of: calls.append((done, of))
    )
    assert calls == [(i, COUNT) for i in range(1, COUNT + 1)]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (grey(4), "expected 6 frames, got 4"),
        (grey(7), "got frame 7"),
        (grey(6, (121, 160)), r"got frame 1 of \(121, 160\)"),
        ([], "expected 6 frames, got 0"),
    ],
)
def test_frames_that_do_not_fit_the_video_leave_nothing_behind(tmp_path, frames, message):
    with pytest.raises(VideoError, match=message):
        write_overlay(tmp_path / "a.mp4", frames, make_answer().video, make_answer())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "answers", "message"),
    [
        ("a.avi", [make_answer()], r"a name that ends in \.mp4"),
        (
            "a.mp4",
            [make_answer(), make_answer(video_id="other")],
            "about video 'clip' of 6 frames, got one about 'other'",
        ),
        ("a.mp4", make_answer(frames=5), "got one about 'clip' of 5"),
    ],
)
def test_requests_that_make_no_sense_are_refused(tmp_path, name, answers, message):
    with pytest.raises(InputError, match=message):
        write_overlay(tmp_path / name, grey(), make_answer().video, answers)


def test_missing_encoder_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", set())
    with pytest.raises(OutputError, match="encoder libx264 in PyAV"):
        write_overlay(tmp_path / "a.mp4", grey(), make_answer().video, make_answer())


def test_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="place that can be written"):
        write_overlay(tmp_path / "file" / "a.mp4", grey(), make_answer().video, make_answer())
