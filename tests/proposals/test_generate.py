import json

import numpy as np
import pytest

from core import rle
from core.errors import InputError, VideoError
from core.frames import ArrayReader
from core.hashing import json_sha256
from core.types import Source
from proposals import grid
from proposals.generate import propose, propose_with_effort, provenance, provenance_sha256
from proposals.orders import unexplained
from proposals.prompts import MaskPrompt, Prompter, given
from proposals.settings import GridSettings, ProposalSettings, Resources

GRID = GridSettings(points_per_side=3, pred_iou_thresh=0.1, stability_score_thresh=0.0)
BOTH = ProposalSettings(sources=(Source.GRID, Source.GROUND_TRUTH), grid=GRID)
TOLD = ProposalSettings(sources=(Source.GROUND_TRUTH,))


@pytest.fixture
def grid_finds(monkeypatch):
    """Let the grid find given masks by key frame, whatever the picture."""

    def use(masks_by_frame):
        def prompts(self, image, frame, features=None):
            return [MaskPrompt(frame, mask, Source.GRID, score=0.9) for mask in masks_by_frame.get(frame, [])]

        monkeypatch.setattr(grid.GridPrompter, "prompts", prompts)

    return use


def test_a_run_end_to_end_gives_grid_tracks_then_ground_truth_tracks(clip, tracker):
    reader, masks = clip
    found = propose(reader, tracker, BOTH, masks)
    sources = [track.source for track in found.tracks]
    assert sources == sorted(sources, key=[Source.GRID, Source.GROUND_TRUTH].index)
    assert sources.count(Source.GROUND_TRUTH) == 2
    assert sources.count(Source.GRID) >= 1
    assert found.tokens().shape == (len(sources), 12, 32)
    assert found.video is reader.meta


def test_the_same_run_twice_is_equal(clip, tracker):
    reader, masks = clip
    first, second = (propose(reader, tracker, BOTH, masks) for _ in range(2))
    assert [t.masks for t in first.tracks] == [t.masks for t in second.tracks]
    np.testing.assert_array_equal(first.tokens(), second.tokens())


def test_every_frame_is_encoded_once_for_all_sources_and_key_frames(clip, tracker):
    reader, masks = clip
    _, effort = propose_with_effort(reader, tracker, BOTH, masks)
    assert effort.passes_per_frame == 1.0
    assert effort.track_steps >= 12


def test_key_frames_that_the_model_must_resize_are_encoded_once_more(moving_squares, tracker):
    frames, _ = moving_squares(6, (40, 72))
    reader = ArrayReader(frames, video_id="wide", fps=8.0)
    _, effort = propose_with_effort(reader, tracker, ProposalSettings(grid=GRID))
    assert effort.encoder_passes == 6 + 2


def test_a_prompt_that_a_track_explains_is_not_tracked_again(clip, tracker, grid_finds):
    reader, masks = clip
    settings = ProposalSettings(grid=GRID)
    grid_finds({0: [masks["a"][0]]})
    (alone,) = propose(reader, tracker, settings).tracks
    grid_finds({0: [masks["a"][0]], 6: [alone.decode()[6]]})
    found, effort = propose_with_effort(reader, tracker, settings)
    assert len(found.tracks) == 1
    assert effort.track_steps == 12


def test_a_new_prompt_of_a_later_key_frame_is_tracked_both_ways(clip, tracker, grid_finds):
    reader, masks = clip
    grid_finds({6: [masks["b"][6]]})
    (found,) = propose(reader, tracker, ProposalSettings(grid=GRID)).tracks
    assert found.prompt.frame == 6
    assert len(found.masks) == 12


def test_prompts_of_one_frame_that_become_the_same_track_are_one(clip, tracker, grid_finds):
    reader, masks = clip
    grid_finds({0: [masks["a"][0], masks["a"][0]]})
    assert len(propose(reader, tracker, ProposalSettings(grid=GRID)).tracks) == 1


def test_no_more_grid_tracks_than_allowed_and_ground_truth_not_counted(clip, tracker, grid_finds):
    reader, masks = clip
    pieces = [np.zeros((64, 64), bool) for _ in range(4)]
    for i, piece in enumerate(pieces):
        piece[16 * i : 16 * i + 16] = True
    grid_finds({0: pieces, 6: pieces})
    settings = ProposalSettings(sources=BOTH.sources, grid=GRID, max_tracks=2, duplicate_iou=1.0, explained_iou=1.0)
    sources = [track.source for track in propose(reader, tracker, settings, masks).tracks]
    assert (sources.count(Source.GRID), sources.count(Source.GROUND_TRUTH)) == (2, 2)


def test_batches_of_objects_change_nothing(clip, tracker, grid_finds):
    reader, masks = clip
    grid_finds({0: [masks["a"][0], masks["b"][0]]})
    runs = [propose(reader, tracker, ProposalSettings(grid=GRID), resources=Resources(objects=n)) for n in (1, 64)]
    assert [t.masks for t in runs[0].tracks] == [t.masks for t in runs[1].tracks]
    np.testing.assert_allclose(runs[0].tokens(), runs[1].tokens(), atol=2e-3)


def test_a_video_without_findings_has_no_tracks(clip, tracker, grid_finds):
    grid_finds({})
    assert propose(clip[0], tracker, ProposalSettings(grid=GRID)).tracks == ()


def test_progress_rises_to_its_total(clip, tracker):
    reader, masks = clip
    seen = []
    propose(reader, tracker, BOTH, masks, on_progress=lambda done, total: seen.append((done, total)))
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert {total for _, total in seen} == {seen[-1][0]}
    assert len(seen) > 12


def test_provenance_is_known_before_the_run_and_survives_json(clip, tracker):
    reader, masks = clip
    before = provenance_sha256(reader.meta, tracker, TOLD, masks)
    found = propose(reader, tracker, TOLD, masks)
    assert json_sha256(json.loads(json.dumps(dict(found.provenance)))) == before
    assert found.provenance["tracker_sha256"] == tracker.sha256


def test_whatever_decides_the_tracks_changes_the_provenance(clip, rename, moving_squares):
    reader, masks = clip
    grid = ProposalSettings(grid=GRID)
    other_masks = {**masks, "b": ~masks["b"]}
    other_video = ArrayReader(moving_squares(13)[0], video_id="clip", fps=8.0).meta
    slower = ArrayReader(moving_squares(12)[0], video_id="clip", fps=4.0).meta
    hashes = [
        provenance_sha256(reader.meta, rename(), grid),
        provenance_sha256(reader.meta, rename(sha256="1" * 64), grid),
        provenance_sha256(reader.meta, rename(name="other"), grid),
        provenance_sha256(reader.meta, rename(), ProposalSettings(grid=GRID, explained_iou=0.6)),
        provenance_sha256(reader.meta, rename(), ProposalSettings(grid=GridSettings(points_per_side=4))),
        provenance_sha256(other_video, rename(), grid),
        provenance_sha256(slower, rename(), grid),
        provenance_sha256(reader.meta, rename(), TOLD, masks),
        provenance_sha256(reader.meta, rename(), TOLD, other_masks),
        provenance_sha256(reader.meta, rename(), BOTH, masks),
    ]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize(("settings", "given"), [(TOLD, False), (ProposalSettings(grid=GRID), True)])
def test_ground_truth_must_be_given_exactly_where_the_settings_name_it(clip, tracker, settings, given):
    reader, masks = clip
    with pytest.raises(InputError, match="ground truth: expected"):
        provenance(reader.meta, tracker, settings, masks if given else None)


def test_a_frame_that_cannot_be_read_stops_the_run(clip, tracker, monkeypatch):
    reader, masks = clip

    def broken(indices):
        raise VideoError("frame 3: expected a whole JPEG")

    monkeypatch.setattr(reader, "read", broken)
    with pytest.raises(VideoError, match="frame 3"):
        propose(reader, tracker, TOLD, masks)


def test_unexplained_prompts_keep_their_order():
    masks = np.zeros((3, 10, 10), dtype=bool)
    masks[0, :5], masks[1, 5:], masks[2, :4] = True, True, True
    prompts = [MaskPrompt(0, mask, Source.GRID) for mask in masks]
    known = rle.encode(masks[:1])
    assert [id(p) for p in unexplained(prompts, known, (10, 10), 0.7)] == [id(prompts[1])]
    assert [id(p) for p in unexplained(prompts, known, (10, 10), 0.8)] == [id(prompts[1]), id(prompts[2])]
    assert unexplained(prompts, [], (10, 10), 0.7) == prompts


def test_any_source_of_prompts_joins_by_its_prompter(clip, tracker, grid_finds):
    reader, masks = clip
    grid_finds({0: [masks["a"][0]]})
    told = given(Source.USER, [MaskPrompt(4, masks["b"][4], Source.USER), MaskPrompt(2, masks["a"][2], Source.USER)])
    tracks = propose(reader, tracker, ProposalSettings(grid=GRID), prompters=[told]).tracks
    assert [(t.source, t.prompt.frame) for t in tracks] == [(Source.GRID, 0), (Source.USER, 2), (Source.USER, 4)]


def test_prompts_compete_within_their_expression_alone(clip, tracker):
    reader, masks = clip

    def find(key):
        mask = masks["a"][key.index]
        return [MaskPrompt(key.index, mask, Source.GROUNDING_DINO, expression_id=name) for name in ("x", "x", "y")]

    detector = Prompter(Source.GROUNDING_DINO, (3,), find, limit=1)
    settings = ProposalSettings(sources=(Source.GROUND_TRUTH,))
    tracks = propose(reader, tracker, settings, {}, prompters=[detector]).tracks
    assert [track.prompt.expression_id for track in tracks] == ["x", "y"]
