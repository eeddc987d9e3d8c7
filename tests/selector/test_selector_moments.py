"""When an expression holds: labels of frames, the loss, the head, and what comes out of it."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cache import open_cache
from core.errors import InputError
from core.scores import read_scores, write_scores
from core.types import TimeSpan
from selector.calibration import Calibration
from selector.checkpoints import load_selector, save_selector
from selector.data import build_data
from selector.inputs import read_tracks
from selector.labelled import LabelledVideo
from selector.learner import SelectorModule, moment_figures
from selector.loss import moment_loss
from selector.moments import frame_labels, moment_scores
from selector.relational import RelationalSelector
from selector.settings import settings_from_json
from selector.training import train_selector
from tests.factories import make_video
from tests.selector.colour_world import FAST, SMALL, TINY, WordEncoder, colour_video

TIMED = replace(TINY, moment_width=16, dropout=0.0)
RECIPE = replace(FAST, alignment_weight=0.0, truth_share=0.0, moment_weight=1.0)
CPU = torch.device("cpu")


def timed_video(seed):
    """A colour video whose tracks' last channel is high for a while; expressions hold just then."""
    track_set, labels, expressions = colour_video(seed, f"v{seed}")
    video, rng = track_set.video, np.random.default_rng(seed)
    start = int(rng.integers(0, video.frames - 2))
    high = np.arange(video.frames) // 3 == start // 3
    for track in track_set.tracks:
        tokens = track.tokens.copy()
        tokens[:, 3] = np.where(high, 3, -3)
        object.__setattr__(track, "tokens", tokens)
    return track_set, labels, tuple(replace(e, spans=video.spans(high)) for e in expressions)


def data_of(seeds, **changes):
    videos = []
    for seed in seeds:
        track_set, labels, expressions = timed_video(seed)
        tracks = read_tracks(track_set, geometry=8)
        videos.append(LabelledVideo(tracks, labels, tuple(replace(e, **changes) for e in expressions)))
    return build_data(videos, WordEncoder(), CPU)


def test_frames_hold_whose_middle_lies_in_a_span():
    video = make_video(frames=4)
    edges = [*video.timestamps.tolist(), video.end]
    spans = (TimeSpan(edges[1], edges[2]), TimeSpan(edges[2] + 0.9 * (edges[3] - edges[2]), edges[4]))
    assert frame_labels(video, spans).tolist() == [0, 1, 0, 1]
    assert frame_labels(video, ()).tolist() == [0, 0, 0, 0]
    assert frame_labels(video, None).tolist() == [-1, -1, -1, -1]


def test_a_batch_knows_when_its_expressions_hold_and_what_is_unknown():
    data = data_of(range(4))
    batch = data.batch(np.arange(len(data)))
    for i, row in enumerate(batch.held.tolist()):
        video, number = data.items[i]
        frames = video.tracks.video.frames
        assert row[:frames] == frame_labels(video.tracks.video, video.expressions[number].spans).tolist()
        assert set(row[frames:]) <= {-1}
    assert (data_of(range(2), spans=None).held == -1).all()


def test_the_loss_asks_targets_tracks_in_known_frames_alone():
    logits = torch.tensor([[[2.0, -1.0, 5.0], [9.0, 9.0, 9.0]], [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]], requires_grad=True)
    held = torch.tensor([[1, 0, -1], [-1, -1, -1]], dtype=torch.int8)
    labels = torch.tensor([[True, False], [True, True]])
    loss = moment_loss(logits, held, labels, torch.ones(2, 2, dtype=torch.bool))
    expected = (np.log1p(np.exp(-2)) + np.log1p(np.exp(-1))) / 2 / 2  # two frames, two expressions
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    assert (logits.grad != 0).sum() == 2
    none = moment_loss(logits, torch.full_like(held, -1), labels, torch.ones(2, 2, dtype=torch.bool))
    assert none.item() == 0
    none.backward()  # a process without spans has gradients, of 0, too


def test_padding_changes_nothing_that_the_head_says():
    torch.manual_seed(0)
    model = RelationalSelector(TIMED).eval()
    values, text = torch.rand(1, 3, 7, TIMED.input_width), torch.randn(2, 4, 8)
    values[..., TIMED.token_width + 7] = 1  # present
    bigger = torch.randn(1, 5, 12, TIMED.input_width)
    bigger[:, :3, :7] = values
    there, frames = torch.arange(5)[None] < 3, torch.arange(12)[None] < 7
    words = torch.ones(1, 2, 4, dtype=torch.bool)
    with torch.no_grad():
        read = model.read(text)[None]
        plain, padded = model.encode(values, None, None), model.encode(bigger, there, frames)
        first = model.hold(plain, model.select(plain, read, None, words)[1])
        second = model.hold(padded, model.select(padded, read, there.expand(1, 2, -1), words)[1])
    assert first.shape == (1, 2, 3, 7)
    torch.testing.assert_close(second[:, :, :3, :7], first, atol=1e-5, rtol=1e-5)


def test_the_head_leaves_the_rest_of_a_fresh_module_as_it_was():
    modules = []
    for settings in (TIMED, replace(TIMED, moment_width=0)):
        torch.manual_seed(0)
        modules.append(RelationalSelector(settings).state_dict())
    assert {name for name in modules[0] if name not in modules[1]} == {
        n for n in modules[0] if n.startswith("moments.")
    }
    assert all(torch.equal(modules[0][name], tensor) for name, tensor in modules[1].items())


def test_the_head_learns_when_words_hold_on_new_videos():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    train, fresh = data_of(range(24)), data_of(range(100, 112))
    settings = replace(TIMED, look_width=0)
    model = RelationalSelector(settings)
    before = moment_figures(model.eval(), fresh)
    module = SelectorModule(model.train(), train, fresh, RECIPE)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    generator = np.random.default_rng(0)
    for _ in range(12):
        for index in train.epoch(24, generator):
            loss, _ = module.losses(train.batch(index))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    after = moment_figures(model.eval(), fresh)
    assert after["valid_moment_iou"] > 0.9
    assert after["valid_moment_iou"] > max(before["valid_moment_iou"], after["valid_whole_video_iou"]) + 0.2


def test_without_the_head_there_are_no_figures_of_it():
    assert moment_figures(RelationalSelector(replace(TINY, look_width=0)), data_of(range(1))) == {}
    unknown = data_of(range(1), spans=None)
    assert moment_figures(RelationalSelector(replace(TIMED, look_width=0)).eval(), unknown) == {}


def test_tracks_say_together_when_and_how_surely():
    video = make_video(frames=4)
    held = np.array([[0.1, 0.9, 0.9, 0.2], [0.9, 0.1, 0.1, 0.9]])
    said = moment_scores(video, "e", np.array([0.8, 0.1]), held, "s", "c")
    assert said.relevance == pytest.approx([0.09, 0.72, 0.72, 0.16])
    assert [(s.start, s.end) for s in said.spans] == [(video.timestamps[1], video.timestamps[3])]
    assert said.spans[0].score == pytest.approx(0.72)
    nobody = moment_scores(video, "e", np.zeros(0), np.zeros((0, 4)))
    assert nobody.relevance.tolist() == [0, 0, 0, 0]
    assert nobody.spans == ()


def test_a_selector_trained_with_moments_comes_back_and_writes_moment_scores(look_examples, tmp_path):
    torch.set_num_threads(1)
    examples = []
    for path, expressions in look_examples[:9]:
        video = open_cache(path).video
        spans = (TimeSpan(0.0, float(video.timestamps[2])),)
        examples.append((path, tuple(replace(e, spans=spans) for e in expressions)))
    recipe = replace(RECIPE, epochs=1)
    trained = train_selector(
        examples[:5], examples[5:7], examples[7:], WordEncoder(), TIMED, recipe, tmp_path / "o", CPU
    )
    assert {"valid_moment_iou", "valid_whole_video_iou"} <= set(trained.figures)
    selector = load_selector(tmp_path / "o")
    assert selector.model.settings == TIMED
    path, expressions = examples[0]
    scores = selector.moments(open_cache(path), expressions, WordEncoder())
    write_scores(tmp_path / "moments.jsonl", scores)
    again = list(read_scores(tmp_path / "moments.jsonl"))
    assert [s.expression_id for s in again] == [e.id for e in expressions]
    for score in again:
        assert score.cache == open_cache(path).content_sha256
        assert len(score.relevance) == open_cache(path).video.frames
        assert (np.diff(score.times) > 0).all()


@pytest.mark.parametrize(
    ("settings", "recipe"),
    [(TINY, RECIPE), (TIMED, replace(RECIPE, moment_weight=0.0)), (SMALL, RECIPE)],
    ids=["no head", "no weight", "sola"],
)
def test_a_weight_without_a_head_and_a_head_without_a_weight_are_refused(settings, recipe):
    with pytest.raises(InputError, match="moment_weight and moment_width both"):
        train_selector([], [], [], WordEncoder(), settings, recipe, Path("unused"), CPU)


def test_a_selector_without_the_head_says_that_it_knows_no_moments(tmp_path):
    torch.manual_seed(0)
    settings = replace(TINY, look_width=0)
    save_selector(tmp_path / "s.safetensors", RelationalSelector(settings), Calibration(), "1" * 64, "a" * 64, {})
    track_set, _, expressions = colour_video(0, "v")
    with pytest.raises(InputError, match="moment_width above 0"):
        load_selector(tmp_path / "s.safetensors").moments(track_set, expressions, WordEncoder())


def test_records_of_before_the_head_still_open():
    values = asdict(TINY)
    del values["moment_width"]
    assert settings_from_json("relational", values) == TINY
    with pytest.raises(InputError, match=r"moment_width of 0 or more"):
        replace(TINY, moment_width=-1)
