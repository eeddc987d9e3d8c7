from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from core.errors import InputError
from core.types import Expression, Source
from proposals import grounding_dino
from proposals.clicks import Meant
from proposals.detector import Detection, Texts
from proposals.generate import propose
from proposals.grounding_dino import Detections, DetectorSettings, detector_facts
from proposals.prompts import KeyFrame
from proposals.settings import ProposalSettings
from tests.factories import make_track

ASKED = (Expression("a", "the first"), Expression("b", "the second"), Expression("c", "the third"))
SETTINGS = DetectorSettings(bin_size=6, stability=0.5)
DETECT = ProposalSettings(sources=(Source.GROUNDING_DINO,))
LEFT, RIGHT, FLAT = (4, 6, 24, 26), (40, 32, 60, 52), (9, 9, 9, 30)


@dataclass
class Fake:
    """A detector that finds given boxes: (box, score) by frame's place in the video and text's number."""

    found: dict = field(default_factory=dict)
    cut: tuple = (False, False, False)
    name: str = "fake"
    sha256: str = "f" * 64
    looked: int = 0

    def read(self, texts):
        return Texts(torch.zeros(len(texts), 1), torch.zeros(len(texts), 1), self.cut[: len(texts)])

    def detect(self, image, texts, box_threshold, text_threshold):
        answers = self.found.get(self.looked, {})
        self.looked += 1
        return [[Detection(*pair, "") for pair in answers.get(i, [])] for i in range(len(texts.cut))]


@pytest.fixture
def plain_masks(monkeypatch):
    """A box means all its pixels; a box as narrow as 3 pixels is unstable."""

    def masks_of(model, maps, size, clicks):
        meant = []
        for click in clicks:
            (x1, y1), (x2, y2) = click.points
            mask = np.zeros(size, dtype=bool)
            mask[int(y1) : int(y2), int(x1) : int(x2)] = True
            meant.append(Meant(mask, 0.9, 0.2 if x2 - x1 <= 3 else 0.9))
        return meant

    monkeypatch.setattr(grounding_dino, "masks_of", masks_of)


@pytest.fixture
def run(clip, plain_masks):
    """Detect on the key frames 0 and 6, and track every prompt that no earlier track explains, perfectly: objects
    stand still. Gives the tracks, those of the expressions, and the counts."""

    def go(found, settings=SETTINGS, expressions=ASKED, **detector):
        work = Detections(None, Fake(found, **detector), clip[0].meta, expressions, settings)
        prompter, tracked = work.prompter(), []
        for frame in prompter.key_frames:
            for prompt in prompter.find(KeyFrame(frame, clip[0].read([frame])[0], ())):
                if not any((t.decode()[frame] == prompt.mask).all() for t in tracked):
                    stack = np.repeat(prompt.mask[None], 12, axis=0)
                    tracked.append(make_track(stack, source=prompt.source, frame=frame))
        return tracked, work.tracks(tracked), work.counts

    return go


def named(tracks):
    return [(t.prompt.expression_id, t.prompt.frame, t.prompt.score) for t in tracks]


def test_an_object_that_two_expressions_find_is_tracked_once_and_given_to_both(run):
    shifted = tuple(v + 1 for v in LEFT)
    tracked, tracks, _ = run({0: {0: [(LEFT, 0.6)], 2: [(shifted, 0.8), (RIGHT, 0.7)]}})
    assert len(tracked) == 2
    assert named(tracks) == [("a", 0, 0.6), ("c", 0, 0.8), ("c", 0, 0.7)]
    assert tracks[0].masks == tracks[1].masks
    assert {t.source for t in tracks} == {Source.GROUNDING_DINO}


def test_an_object_found_again_is_one_track_under_its_best_finding(run):
    tracked, tracks, counts = run({0: {0: [(LEFT, 0.6)]}, 1: {0: [(LEFT, 0.9)], 1: [(LEFT, 0.3)]}})
    assert len(tracked) == 1
    assert named(tracks) == [("a", 6, 0.9), ("b", 6, 0.3)]
    assert counts.lost == 0


def test_expressions_without_a_detection_get_no_track_and_are_counted(run):
    _, tracks, counts = run({0: {1: [(LEFT, 0.6)]}})
    assert named(tracks) == [("b", 0, 0.6)]
    assert counts.without_track == 2


def test_a_video_in_which_nothing_is_found_has_no_tracks(run):
    tracked, tracks, counts = run({})
    assert (tracked, tracks, counts.boxes, counts.without_track) == ([], [], 0, 3)


def test_whatever_is_left_out_is_counted(run):
    close = tuple(v + 0.5 for v in LEFT)
    boxes = [(LEFT, 0.9), (close, 0.8), (FLAT, 0.7), ((50, 5, 53, 30), 0.6)]
    _, tracks, counts = run({0: {0: boxes}}, cut=(False, True, True))
    assert len(tracks) == 1
    assert (counts.boxes, counts.empty, counts.doubled, counts.vague, counts.masks) == (4, 1, 1, 1, 1)
    assert (counts.expressions, counts.texts_cut) == (3, 2)


def test_an_expression_keeps_its_best_tracks_up_to_the_limit(run):
    boxes = [((2 + 20 * i, 40, 16 + 20 * i, 60), 0.5 + 0.1 * i) for i in range(3)]
    _, tracks, counts = run({0: {0: boxes}}, DetectorSettings(bin_size=6, stability=0.5, max_tracks=2))
    assert [score for *_, score in named(tracks)] == [0.7, 0.6]
    assert counts.over_limit == 1


def test_a_finding_that_no_track_shows_is_counted_as_lost(clip, plain_masks):
    work = Detections(None, Fake({0: {0: [(LEFT, 0.6)]}}), clip[0].meta, ASKED, SETTINGS)
    work.prompter().find(KeyFrame(0, clip[0].read([0])[0], ()))
    elsewhere = np.zeros((12, 64, 64), dtype=bool)
    elsewhere[:, 40:, 40:] = True
    assert work.tracks([make_track(elsewhere)]) == []
    assert (work.counts.lost, work.counts.without_track) == (1, 3)


def test_through_the_tracker_every_expression_gets_tracks_of_its_own_objects(clip, tracker):
    found = {0: {0: [((4, 6, 24, 26), 0.6)], 1: [((4, 6, 24, 26), 0.5)]}}
    loose = DetectorSettings(bin_size=0, stability=0.0)
    work = Detections(tracker.model, Fake(found), clip[0].meta, ASKED, loose)
    tracked = propose(clip[0], tracker, DETECT, prompters=[work.prompter()]).tracks
    assert len(tracked) == 1
    assert named(work.tracks(tracked)) == [("a", 0, 0.6), ("b", 0, 0.5)]


@pytest.mark.parametrize("expressions", [(), (ASKED[0], ASKED[0])])
def test_no_expressions_and_repeated_ids_are_refused(clip, tracker, expressions):
    with pytest.raises(InputError, match="expression"):
        Detections(tracker.model, Fake(), clip[0].meta, expressions, SETTINGS)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"bin_size": -1}, "bin_size"),
        ({"max_tracks": 0}, "max_tracks"),
        ({"box_threshold": 1.5}, "box_threshold"),
        ({"text_threshold": -0.1}, "text_threshold"),
        ({"stability": float("nan")}, "stability"),
        ({"nms": 2}, "nms"),
    ],
)
def test_settings_out_of_range_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        DetectorSettings(**changes)


def test_facts_name_weights_thresholds_and_texts():
    facts = detector_facts(Fake(), ASKED[:1], SETTINGS)
    assert (facts["sha256"], facts["expressions"]) == ("f" * 64, {"a": "the first"})
    assert facts["settings"]["box_threshold"] == SETTINGS.box_threshold
