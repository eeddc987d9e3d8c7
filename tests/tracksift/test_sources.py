"""Sources beside the grid: what a file keeps when they come, change or go, and what is refused."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from cache import open_cache
from core.errors import InputError
from core.frames import ArrayReader
from core.types import Expression, Source, TrackSet
from proposals.generate import Effort
from proposals.grounding_dino import DetectorSettings
from proposals.settings import ProposalSettings
from proposals.user import UserPrompt
from tests.factories import make_track_set
from tracksift import generate as module
from tracksift.generate import generate
from tracksift.sources import Extra, check_sources, keepable, text_expressions

GRID = ProposalSettings()
BOTH = ProposalSettings(sources=(Source.GRID, Source.GROUNDING_DINO))
ALL = ProposalSettings(sources=(Source.GRID, Source.GROUNDING_DINO, Source.USER))
BOX = UserPrompt(0, box=(1, 1, 5, 5))


@dataclass
class Fake:
    name: str = "fake"
    sha256: str = "f" * 64


@dataclass(frozen=True)
class ArrayJob:
    video_id: str
    cache: object
    annotated: object = None

    def open(self):
        return ArrayReader(np.zeros((6, 16, 20, 3), dtype=np.uint8), video_id=self.video_id, fps=8.0)

    def ground_truth(self):
        return None


@dataclass
class Counts:
    boxes: int = 3


@dataclass
class Work:
    """Stands for `Detections`: every tracked object is found for every expression."""

    expressions: tuple
    counts: object = field(default_factory=Counts)

    def prompter(self):
        return Source.GROUNDING_DINO

    def tracks(self, tracked):
        return [replace(t, prompt=replace(t.prompt, expression_id=e.id)) for e in self.expressions for t in tracked]


@dataclass(frozen=True)
class Tracker:
    name: str = "tiny"
    sha256: str = "0" * 64
    model: object = None


@pytest.fixture
def tracker():
    return Tracker()


@pytest.fixture
def run(tmp_path, monkeypatch, tracker):
    """Generate one file; gives how it ended, which sources were tracked, and the file."""
    tracked = []

    def propose(reader, tracker, settings, *_, prompters=()):
        tracked.append(settings.sources)
        made = make_track_set(len(settings.sources), video_id=reader.meta.id, sources=settings.sources)
        return TrackSet(reader.meta, made.tracks), Effort(6, 6, 6)

    monkeypatch.setattr(module, "propose_with_effort", propose)
    monkeypatch.setattr(module, "Detections", lambda model, detector, video, asked, settings: Work(asked))
    monkeypatch.setattr(module, "user_prompter", lambda *_: Source.USER)
    job = ArrayJob("v", tmp_path / "v.h5")

    def go(settings, *texts, detector=None, user=(), keep_more=False, keep_settings=False, **changes):
        tracked.clear()
        detector = detector or Fake()
        asked = tuple(Expression(text, text) for text in texts)
        chosen = DetectorSettings(**changes)
        extra = Extra(detector if texts else None, chosen, asked or None, user)
        keeping = {"keep_more": keep_more, "keep_settings": keep_settings}
        (result,) = generate([job], tracker, settings, extra=extra, **keeping)
        assert result.state != "failed", result.cause
        return result, list(tracked), open_cache(job.cache)

    return go


def prompts(file):
    return [(s.value, p.expression_id) for s, p in zip(file.sources(), file.prompts(), strict=True)]


def test_a_source_that_comes_later_is_tracked_alone_and_the_file_keeps_the_others(run):
    run(GRID)
    result, tracked, file = run(BOTH, "red", "blue")
    assert tracked == [(Source.GROUNDING_DINO,)]
    assert prompts(file) == [("grid", None), ("grounding_dino", "red"), ("grounding_dino", "blue")]
    assert result.detections == {"boxes": 3}


def test_the_provenance_names_detector_thresholds_and_expressions(run):
    file = run(BOTH, "red", box_threshold=0.4)[2]
    facts = file.provenance["detector"]
    assert (facts["name"], facts["sha256"], facts["expressions"]) == ("fake", "f" * 64, {"red": "red"})
    assert facts["settings"]["box_threshold"] == 0.4


@pytest.mark.parametrize(
    "change",
    [{"detector": Fake(sha256="e" * 64)}, {"box_threshold": 0.4}, {"stability": 0.1}],
)
def test_another_detector_or_threshold_makes_its_tracks_again_and_keeps_the_grid(run, change):
    run(BOTH, "red")
    assert run(BOTH, "red", **change)[1] == [(Source.GROUNDING_DINO,)]


def test_other_expressions_make_the_detectors_tracks_again(run):
    run(BOTH, "red")
    _, tracked, file = run(BOTH, "blue")
    assert tracked == [(Source.GROUNDING_DINO,)]
    assert prompts(file) == [("grid", None), ("grounding_dino", "blue")]


def test_another_grid_makes_everything_again(run):
    run(BOTH, "red")
    coarse = replace(BOTH, grid=replace(BOTH.grid, points_per_side=3))
    assert run(coarse, "red")[1] == [(Source.GRID, Source.GROUNDING_DINO)]


def test_a_source_that_is_no_longer_wanted_goes_without_tracking(run):
    run(BOTH, "red")
    result, tracked, file = run(GRID)
    assert (result.state, tracked, prompts(file)) == ("made", [], [("grid", None)])
    assert "detector" not in file.provenance


def test_a_current_file_is_kept(run):
    run(ALL, "red", user=(BOX,))
    result, tracked, _ = run(ALL, "red", user=(BOX,))
    assert (result.state, tracked) == ("kept", [])


def test_another_box_is_tracked_alone(run):
    run(ALL, "red", user=(BOX,))
    other = UserPrompt(0, box=(1, 1, 6, 5))
    assert run(ALL, "red", user=(other,))[1] == [(Source.USER,)]


def test_whoever_only_asks_lets_a_file_hold_more(run):
    run(ALL, "red", user=(BOX,))
    result, tracked, file = run(GRID, keep_more=True)
    assert (result.state, tracked, len(prompts(file))) == ("kept", [], 3)
    result, tracked, file = run(BOTH, "blue", keep_more=True)
    assert (result.state, tracked) == ("made", [(Source.GROUNDING_DINO,)])
    assert prompts(file) == [("grid", None), ("grounding_dino", "blue"), ("user", None)]
    assert run(GRID, keep_more=True)[0].state == "kept"


def test_what_another_grid_made_is_not_held_on_to(run):
    run(BOTH, "red")
    coarse = replace(GRID, grid=replace(GRID.grid, points_per_side=3))
    _, tracked, file = run(coarse, keep_more=True)
    assert (tracked, prompts(file)) == ([(Source.GRID,)], [("grid", None)])


def test_files_made_before_detectors_existed_are_still_current(run):
    file = run(GRID)[2]
    assert {"detector", "user_prompts"}.isdisjoint(file.provenance)


def test_a_file_of_another_tracker_keeps_nothing():
    facts = {"tracker_sha256": "1", "settings": {"sources": ["grid"], "max_tracks": 3}}
    assert keepable(facts, facts) == (Source.GRID,)
    assert keepable(facts, facts | {"tracker_sha256": "2"}) == ()


@pytest.mark.parametrize(
    ("settings", "extra", "sentence"),
    [
        (BOTH, Extra(), "expected a detector"),
        (GRID, Extra(Fake()), "expected grounding_dino with a detector"),
        (ALL, Extra(Fake()), "expected boxes, points or masks"),
        (GRID, Extra(user=(BOX,)), "expected user with boxes"),
    ],
)
def test_sources_without_what_they_need_are_refused(settings, extra, sentence):
    with pytest.raises(InputError, match=sentence):
        check_sources(settings, extra)


def test_a_phrase_has_the_same_id_in_every_run_and_the_detector_is_asked_once():
    one, two = text_expressions(["The red star", "the disc"])
    assert text_expressions(["the disc", "the red star "])[1].id == one.id
    assert len({one.id, two.id}) == 2
    twice = text_expressions(["a", "A "])
    assert len(twice) == 2
    assert len(Extra(Fake(), expressions=twice).asked(ArrayJob("v", None))) == 1
    with pytest.raises(InputError, match="at least one"):
        text_expressions([])


def test_a_video_without_expressions_fails_by_name(tmp_path, tracker):
    (result,) = generate([ArrayJob("v", tmp_path / "v.h5")], tracker, BOTH, extra=Extra(Fake()))
    assert (result.state, "at least one expression" in result.cause) == ("failed", True)


def test_whoever_takes_what_is_there_keeps_tracks_of_other_settings_and_adds_to_them_as_they_were_made(run):
    coarse = replace(GRID, grid=replace(GRID.grid, points_per_side=3), order="area")
    before = run(coarse)[2]
    result, tracked, file = run(GRID, keep_settings=True)
    assert (result.state, tracked, file.content_sha256) == ("kept", [], before.content_sha256)
    result, tracked, file = run(BOTH, "red", keep_settings=True)
    assert (result.state, tracked) == ("made", [(Source.GROUNDING_DINO,)])
    assert prompts(file) == [("grid", None), ("grounding_dino", "red")]
    assert file.provenance["settings"]["grid"]["points_per_side"] == 3
    assert run(GRID)[1] == [(Source.GRID,)]


@pytest.mark.parametrize("settings", [GRID, BOTH])
def test_what_a_file_was_made_with_is_read_from_it_once(run, monkeypatch, settings):
    run(GRID)
    opened = []
    monkeypatch.setattr(module, "open_cache", lambda path: opened.append(path) or open_cache(path))
    run(settings, *(["red"] if settings is BOTH else []), keep_more=True, keep_settings=True)
    assert len(opened) == 1


def test_tracks_of_another_tracker_are_made_again_with_the_settings_that_are_asked_for(run, tracker):
    run(replace(GRID, order="area"))
    object.__setattr__(tracker, "sha256", "1" * 64)
    result, _, file = run(GRID, keep_settings=True)
    assert (result.state, file.provenance["settings"]["order"]) == ("made", "time")
