"""What is too large, too long or no video is refused in a sentence, before it costs much."""

import pytest

from core.errors import InputError, VideoError
from tests.tracksift.web.visiting import write_video, zip_bomb
from tracksift.web.limits import Limits, check_text, check_video

SMALL = Limits(megabytes=1, seconds=1.0, frames=10, pixels=64 * 48)


def test_a_video_within_the_limits_passes(tmp_path):
    check_video(write_video(tmp_path / "a.mp4", frames=8), SMALL)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"frames": 11, "fps": 30}, "at most 10 frames"),
        ({"frames": 6, "fps": 3}, "at most 1 seconds"),
        ({"size": (64, 64)}, "64 x 64"),
    ],
)
def test_a_video_beyond_a_limit_is_refused(tmp_path, options, said):
    with pytest.raises(InputError, match=said):
        check_video(write_video(tmp_path / "a.mp4", **options), SMALL)


def test_frames_are_counted_only_as_far_as_is_allowed(tmp_path, monkeypatch):
    """A small file of very many frames costs no more than the limit."""
    path = write_video(tmp_path / "bomb.mp4", frames=3000, fps=3000)
    assert path.stat().st_size < 200_000
    seen = []
    monkeypatch.setattr("tracksift.web.limits._check_pixels", lambda *given: seen.append(given))
    with pytest.raises(InputError, match="10 frames"):
        check_video(path, SMALL)
    assert len(seen) <= 12


@pytest.mark.parametrize("content", [b"", b"no video", zip_bomb(), b"\x00\x00\x00\x18ftypmp42" + b"\0" * 100])
def test_what_is_no_video_is_refused(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"a\.mp4: expected a video"):
        check_video(path, SMALL)


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {secret}\n",
    ],
)
def test_a_playlist_with_a_videos_name_reads_no_other_file(tmp_path, playlist):
    secret = write_video(tmp_path / "secret.mp4")
    path = tmp_path / "mine.mp4"
    path.write_text(playlist.format(secret=secret))
    with pytest.raises(VideoError):
        check_video(path, SMALL)


def test_texts_are_words_of_a_bounded_length():
    assert check_text("expression", "  the \n red  star ", SMALL) == "the red star"
    for text, said in [
        ("", "got none"),
        (" \n", "got none"),
        (None, "got none"),
        (7, "got none"),
        ("x" * 10_000, "10000"),
    ]:
        with pytest.raises(InputError, match=said):
            check_text("expression", text, SMALL)


def test_limits_that_allow_nothing_are_refused():
    for name in ("megabytes", "frames", "pixels", "characters", "boxes", "answers", "sessions", "seconds", "idle"):
        with pytest.raises(InputError, match=name):
            Limits(**{name: 0})
