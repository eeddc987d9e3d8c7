import numpy as np
import pytest
from PIL import Image

from core.errors import InputError
from core.types import Source
from proposals.generate import propose
from proposals.settings import ProposalSettings
from proposals.user import UserPrompt, read_mask, user_facts, user_prompter

SQUARE = np.zeros((64, 64), dtype=bool)
SQUARE[6:26, 8:28] = True
USER = ProposalSettings(sources=(Source.USER,))


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: UserPrompt(-1, box=(0, 0, 1, 1)), "frame index from 0, got -1"),
        (lambda: UserPrompt(0), "either a box, points or a mask, got 0"),
        (lambda: UserPrompt(0, box=(0, 0, 1, 1), mask=SQUARE), "got 2 of them"),
        (lambda: UserPrompt(0, box=(0, 0, float("nan"), 1)), "finite numbers"),
        (lambda: UserPrompt(0, box=(5, 0, 5, 1)), "x1 < x2 and y1 < y2"),
        (lambda: UserPrompt(0, points=((1, float("inf"), 1),)), "finite numbers"),
        (lambda: UserPrompt(0, points=((1, 1, 2),)), "labels 1"),
        (lambda: UserPrompt(0, points=((1, 1, 0),)), "at least one point on the object"),
        (lambda: UserPrompt(0, mask=np.zeros((4, 4), dtype=bool)), "at least one pixel"),
        (lambda: UserPrompt(0, mask=np.ones((4, 4), dtype=np.uint8)), "bool mask"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(made, sentence):
    with pytest.raises(InputError, match=sentence):
        made()


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        (UserPrompt(12, box=(0, 0, 9, 9)), r"frame 12: expected a frame of video 'clip', 0\.\.11, got 12"),
        (UserPrompt(0, box=(0, 0, 65, 9)), "within 64 x 64 pixels, got 65, 9"),
        (UserPrompt(0, points=((3, -1, 1),)), "within 64 x 64 pixels, got 3, -1"),
        (UserPrompt(0, mask=np.ones((64, 60), dtype=bool)), "the video's size, 64 x 64, got 60 x 64"),
    ],
)
def test_places_that_the_video_does_not_have_are_refused(clip, tracker, prompt, sentence):
    with pytest.raises(InputError, match=sentence):
        user_prompter(tracker.model, clip[0].meta, [prompt])


def test_no_prompts_are_refused(clip, tracker):
    with pytest.raises(InputError, match="at least one box, point or mask"):
        user_prompter(tracker.model, clip[0].meta, [])


def test_every_prompt_becomes_a_track_from_its_own_frame(clip, tracker):
    reader, _ = clip
    prompts = [
        UserPrompt(7, mask=SQUARE),
        UserPrompt(2, box=(8, 6, 28, 26)),
        UserPrompt(7, points=((18, 16, 1), (50, 50, 0))),
    ]
    prompter = user_prompter(tracker.model, reader.meta, prompts)
    assert prompter.key_frames == (2, 7)
    found = propose(reader, tracker, USER, prompters=[prompter])
    assert [track.source for track in found.tracks] == [Source.USER] * 3
    assert [track.prompt.frame for track in found.tracks] == [2, 7, 7]
    told = next(t for t in found.tracks if t.prompt.frame == 7 and t.prompt.score == 1.0)
    assert (told.decode()[7] & SQUARE).sum() > 0.9 * (told.decode()[7] | SQUARE).sum()


def test_the_same_mask_twice_is_two_tracks(clip, tracker):
    prompter = user_prompter(tracker.model, clip[0].meta, [UserPrompt(0, mask=SQUARE)] * 2)
    assert len(propose(clip[0], tracker, USER, prompters=[prompter]).tracks) == 2


def test_clicks_that_mean_no_object_are_refused(clip, tracker, monkeypatch):
    from proposals.clicks import Meant

    monkeypatch.setattr("proposals.user.masks_of", lambda *_: [Meant(np.zeros((64, 64), dtype=bool), 0.1, 0.1)])
    prompter = user_prompter(tracker.model, clip[0].meta, [UserPrompt(0, box=(0, 0, 9, 9))])
    with pytest.raises(InputError, match="expected an object there, got none"):
        propose(clip[0], tracker, USER, prompters=[prompter])


def test_facts_name_every_number_and_a_mask_by_its_pixels():
    other = SQUARE.copy()
    other[0, 0] = True
    one, two, three = user_facts(
        [UserPrompt(1, mask=SQUARE), UserPrompt(1, mask=other), UserPrompt(2, box=(0, 1, 2, 3))]
    )
    assert one != two
    assert three == {"frame": 2, "box": [0.0, 1.0, 2.0, 3.0], "points": [], "mask_sha256": None}


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_a_mask_file_of_any_kind_is_read(tmp_path, mode):
    Image.fromarray(SQUARE.astype(np.uint8) * 255).convert(mode).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), SQUARE)


def test_what_is_transparent_is_not_in_the_mask(tmp_path):
    pixels = np.full((64, 64, 4), 255, dtype=np.uint8)
    pixels[~SQUARE, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), SQUARE)


def test_files_that_are_no_mask_are_refused(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    Image.new("L", (4, 4)).save(tmp_path / "black.png")
    for name, sentence in (
        ("text.png", "an image file"),
        ("none.png", "an image file"),
        ("black.png", "not 0, got none"),
    ):
        with pytest.raises(InputError, match=sentence):
            read_mask(tmp_path / name)
