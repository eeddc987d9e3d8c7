import hashlib
import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from core.errors import VideoError
from core.frames import ArrayReader, open_video

SIZE = (48, 64)


def frame(i, size=SIZE):
    """A picture that tells its index by its grey level, with a bright top left quarter."""
    picture = np.full((*size, 3), 20 + 6 * i, dtype=np.uint8)
    picture[: size[0] // 2, : size[1] // 2] = 250
    return picture


def write_video(
    path, count=20, codec="libx264", *, gop=6, rate=10, ticks=None, options=None, pixels="yuv420p", container=None
):
    with av.open(str(path), "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        stream.bit_rate = 4_000_000
        stream.gop_size = gop
        stream.options = options or {}
        for i in range(count):
            picture = av.VideoFrame.from_ndarray(frame(i), format="rgb24")
            picture = picture.reformat(format="yuv420p")
            picture.pts = i if ticks is None else ticks[i]
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


def write_folder(folder, count=3, names="{:05d}.jpg", size=SIZE):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        Image.fromarray(frame(i, size)).save(folder / names.format(i), quality=95)
    return folder


def level(picture):
    """The index that a frame tells."""
    return round((float(picture[-8:, -8:].mean()) - 20) / 6)


def fixture(name):
    root = Path(os.environ.get("TRACKSIFT_FIXTURES", "../shared/fixtures"))
    if not (root / name).exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"fixture {name} is missing in {root}")
        pytest.skip(f"fixture {name}: not in {root}")
    return root / name


FILES = [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx"), ("a.mov", "mpeg4")]


@pytest.mark.parametrize(("name", "codec"), FILES)
def test_a_file_gives_every_frame_once_in_order_with_its_time(tmp_path, name, codec):
    reader = open_video(write_video(tmp_path / name, codec=codec))
    assert [level(picture) for picture in reader] == list(range(20))
    assert reader.meta.size == SIZE
    assert reader.meta.id == "a"
    np.testing.assert_allclose(np.diff(reader.meta.timestamps), 0.1, atol=2e-3)
    assert reader.meta.end - reader.meta.timestamps[-1] == pytest.approx(0.1, abs=2e-3)


@pytest.mark.parametrize(("name", "codec"), FILES)
@pytest.mark.parametrize("indices", [[0], [19, 0, 7, 7], [3, 4, 5], [12, 2], []])
def test_reading_a_few_frames_equals_reading_all(tmp_path, name, codec, indices):
    reader = open_video(write_video(tmp_path / name, codec=codec))
    every = np.stack(list(reader))
    np.testing.assert_array_equal(reader.read(indices), every[indices])
    np.testing.assert_array_equal(reader.read(indices), every[indices])


def test_a_gif_is_read_in_any_order(tmp_path):
    pictures = [Image.fromarray(frame(i)) for i in range(5)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=200, loop=0)
    reader = open_video(tmp_path / "a.gif")
    assert [level(picture) for picture in reader] == [0, 1, 2, 3, 4]
    assert [level(picture) for picture in reader.read([4, 1])] == [4, 1]
    np.testing.assert_allclose(reader.meta.timestamps, [0, 0.2, 0.4, 0.6, 0.8])


def test_uneven_times_are_kept(tmp_path):
    reader = open_video(write_video(tmp_path / "a.mkv", count=4, ticks=[0, 1, 5, 6], options={"bf": "0"}))
    np.testing.assert_allclose(reader.meta.timestamps, [0, 0.1, 0.5, 0.6], atol=2e-3)


def test_a_rotated_file_is_turned_as_players_turn_it(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    header = content.index(b"tkhd")
    plain = np.array([0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000], dtype=">i4").tobytes()
    matrix = content.index(plain, header)
    turned = np.array([0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000], dtype=">i4").tobytes()  # clockwise
    content[matrix : matrix + 36] = turned
    path.write_bytes(content)
    reader = open_video(path)
    first = next(iter(reader))
    assert reader.meta.size == first.shape[:2] == SIZE[::-1]
    bright = first[..., 0] > 200
    assert bright[:32, 24:].mean() > 0.9  # the top left quarter came to the top right
    assert bright[:32, :24].mean() < 0.1
    np.testing.assert_array_equal(reader.read([0])[0], first)


def test_the_fingerprint_is_that_of_the_bytes(tmp_path):
    path = write_video(tmp_path / "a.mp4", count=2)
    assert open_video(path).meta.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()


def test_closing_and_reading_again_works(tmp_path):
    reader = open_video(write_video(tmp_path / "a.mp4"), video_id="named")
    reader.read([3])
    reader.close()
    assert level(reader.read([9])[0]) == 9
    assert reader.meta.id == "named"


def test_a_file_that_changed_after_opening_is_refused(tmp_path):
    reader = open_video(write_video(tmp_path / "a.mp4"))
    write_video(tmp_path / "a.mp4", count=3)
    with pytest.raises(VideoError, match="expected 20 frames as when opened, got 3"):
        list(reader)
    with pytest.raises(VideoError, match="no longer there"):
        reader.read([15])


def test_a_truncated_file_is_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", container={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.8)])
    with pytest.raises(VideoError, match=r"a\.mp4: expected a whole video, got one cut short after \d+ frames"):
        open_video(path)


def no_stream(path):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        sound.sample_rate = 8000
        out.mux(stream.encode(sound))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d / "none.mp4", "found nothing"),
        (lambda d: write_video(d / "zero.mkv", count=0), "zero.mkv: expected"),
        (lambda d: no_stream(d / "sound.mp4"), "video stream"),
        (lambda d: (d / "text.mp4").write_text("hello") and d / "text.mp4", "cannot|can be decoded"),
        (lambda d: (d / "empty.mp4").write_bytes(b"") or d / "empty.mp4", "can be decoded"),
        (lambda d: (d / "notes.txt").write_text("hello") and d / "notes.txt", r"one of \.mp4"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, make, words):
    with pytest.raises(VideoError, match=words) as caught:
        open_video(make(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("options", "words"), [({"fps": 5.0}, "--fps"), ({"frame_names": ["0"]}, "frame names")])
def test_a_file_refuses_options_that_only_folders_follow(tmp_path, options, words):
    with pytest.raises(VideoError, match=words):
        open_video(write_video(tmp_path / "a.mp4", count=2), **options)


@pytest.mark.parametrize("indices", [[20], [-1]])
def test_indices_out_of_range_are_refused(tmp_path, indices):
    readers = [
        open_video(write_video(tmp_path / "a.mp4")),
        open_video(write_folder(tmp_path / "f"), fps=5),
        ArrayReader(np.stack([frame(0)]), video_id="a", fps=5),
    ]
    for reader in readers:
        with pytest.raises(VideoError, match="frame indices in 0"):
            reader.read(indices)


def test_a_folder_has_the_times_of_its_fps(tmp_path):
    reader = open_video(write_folder(tmp_path / "clip"), fps=4)
    assert reader.meta.id == "clip"
    assert reader.meta.timestamps.tolist() == [0, 0.25, 0.5]
    assert reader.meta.end == 0.75
    assert [level(picture) for picture in reader] == [0, 1, 2]
    assert [level(picture) for picture in reader.read([2, 0])] == [2, 0]


def test_numbered_frames_are_ordered_by_number_and_others_by_name(tmp_path):
    numbered = open_video(write_folder(tmp_path / "a", count=12, names="{}.png"), fps=4)
    assert [level(picture) for picture in numbered] == list(range(12))
    named = open_video(write_folder(tmp_path / "b", count=12, names="f{}.png"), fps=4)
    assert [level(picture) for picture in named][:3] == [0, 1, 10]


def test_frame_names_choose_and_order_the_frames(tmp_path):
    reader = open_video(write_folder(tmp_path / "a"), fps=4, frame_names=["00002", "00000.jpg"])
    assert [level(picture) for picture in reader] == [2, 0]


def test_a_folder_fingerprint_follows_names_and_bytes(tmp_path):
    prints = {
        open_video(write_folder(tmp_path / "a"), fps=4).meta.fingerprint,
        open_video(write_folder(tmp_path / "b", names="{:04d}.jpg"), fps=4).meta.fingerprint,
        open_video(write_folder(tmp_path / "c", size=(32, 32)), fps=4).meta.fingerprint,
    }
    assert len(prints) == 3
    assert open_video(write_folder(tmp_path / "d"), fps=8).meta.fingerprint in prints


def test_exif_orientation_is_applied(tmp_path):
    (tmp_path / "f").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(frame(0)).save(tmp_path / "f" / "0.jpg", exif=exif, quality=95)
    reader = open_video(tmp_path / "f", fps=1)
    picture = next(iter(reader))
    assert reader.meta.size == picture.shape[:2] == SIZE[::-1]
    assert picture[:32, 24:].mean() > 240


def test_half_a_jpeg_is_refused_by_name(tmp_path):
    folder = write_folder(tmp_path / "f")
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "00001.jpg", quality=95)
    content = (folder / "00001.jpg").read_bytes()
    (folder / "00001.jpg").write_bytes(content[: len(content) // 2])
    reader = open_video(folder, fps=5)
    with pytest.raises(VideoError, match=r"00001\.jpg: expected a whole JPEG"):
        list(reader)
    with pytest.raises(VideoError, match=r"00001\.jpg"):
        reader.read([1])


def test_half_a_png_is_refused_by_name(tmp_path):
    folder = write_folder(tmp_path / "f", names="{}.png")
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "1.png")
    content = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(VideoError, match=r"1\.png"):
        list(open_video(folder, fps=5))


def mixed(folder):
    Image.fromarray(frame(0, (32, 40))).save(folder / "00002.jpg")


def twice(folder):
    Image.fromarray(frame(0)).save(folder / "00001.png")


def deep(folder):
    Image.fromarray(np.zeros(SIZE, dtype=np.uint16)).save(folder / "00003.png")


def emptied(folder):
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "options", "words"),
    [
        (mixed, {}, r"00002\.jpg: expected 64x48 like 00000\.jpg, got 40x32"),
        (twice, {}, r"both 00001\.jpg and 00001\.png"),
        (deep, {}, "8 bits a channel"),
        (emptied, {}, "found none"),
        (lambda folder: (folder / "00003.jpg").write_text("hello"), {}, r"00003\.jpg"),
        (lambda folder: None, {"fps": None}, "say --fps"),
        (lambda folder: None, {"fps": 0.0}, "more than 0 frames a second"),
        (lambda folder: None, {"frame_names": ["../x.jpg"]}, "without folders"),
        (lambda folder: None, {"frame_names": ["00009"]}, "frame '00009', found none"),
        (lambda folder: None, {"frame_names": []}, "found none"),
    ],
)
def test_bad_folders_are_one_sentence(tmp_path, spoil, options, words):
    folder = write_folder(tmp_path / "f")
    spoil(folder)
    with pytest.raises(VideoError, match=words) as caught:
        open_video(folder, **{"fps": 5.0, **options})
    assert "\n" not in str(caught.value)


def test_an_array_is_a_video(tmp_path):
    pictures = np.stack([frame(i) for i in range(3)])
    reader = ArrayReader(pictures, video_id="a", fps=8.0)
    np.testing.assert_array_equal(np.stack(list(reader)), pictures)
    np.testing.assert_array_equal(reader.read([2, 0]), pictures[[2, 0]])
    assert reader.meta.end == 3 / 8
    assert reader.meta.fingerprint != ArrayReader(pictures[::-1], video_id="a", fps=8.0).meta.fingerprint


@pytest.mark.parametrize("spoilt", [np.zeros((2, 4, 4), np.uint8), np.zeros((2, 4, 4, 3), np.float32)])
def test_an_array_of_another_shape_is_refused(spoilt):
    with pytest.raises(VideoError, match="uint8 frames"):
        ArrayReader(spoilt, video_id="a", fps=8.0)


def test_a_real_clip_has_fifty_frames_that_equal_davis():
    reader = open_video(fixture("sat_blackswan_mp4/blackswan.mp4"))
    assert reader.meta.frames == 50
    assert reader.meta.size == (480, 854)
    np.testing.assert_allclose(reader.meta.timestamps, np.arange(50) / 30, atol=1e-9)
    known = sorted(fixture("davis_eorvos").rglob("blackswan/*.jpg"))[25]
    want = np.asarray(Image.open(known).convert("RGB"), dtype=np.float32)
    assert np.abs(reader.read([25])[0] - want).mean() < 6
    assert np.abs(reader.read([30])[0] - want).mean() > 6


def test_an_old_avi_without_leading_times_is_read():
    assert open_video(fixture("videos_nogt/bag.avi")).meta.frames == 196
