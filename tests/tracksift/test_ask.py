"""`ask` answers from a video file; the second question about it does not track it again."""

import pytest

import proposals.generate as stage
from core.errors import InputError, TrackSiftError
from proposals.settings import EXACT, GridSettings
from tracksift import ask
from tracksift.ask import MINIATURE_GRID, Pipeline, default_cache
from tracksift.models import WEIGHTS, Models


def test_a_video_is_tracked_once_whatever_is_asked_about_it(tiny_video, tmp_path, monkeypatch):
    tracked = []

    def counting(reader, *rest, **options):
        tracked.append(reader.meta.id)
        return whole(reader, *rest, **options)

    whole = stage.propose_with_effort
    monkeypatch.setattr("tracksift.generate.propose_with_effort", counting)
    steps = []
    first = ask(tiny_video, "the circle", cache=tmp_path, device="cpu", on_progress=lambda *step: steps.append(step))
    assert tracked == ["clip"]
    assert steps
    second = ask(str(tiny_video), ["the circle", "the red star on the left"], cache=tmp_path, device="cpu")
    assert tracked == ["clip"]
    assert [a.expression.text for a in second] == ["the circle", "the red star on the left"]
    assert [t.index for t in first[0].tracks] == [t.index for t in second[0].tracks]
    for answer in (*first, *second):
        assert answer.video.frames == 6
        assert 0 <= answer.no_target_probability <= 1
        assert answer.no_target == (not answer.tracks)


def test_nothing_is_tracked_for_a_question_that_cannot_be_asked(tiny_video, tmp_path):
    for phrases in ([], "", ["the cup", "  "]):
        with pytest.raises(InputError, match="expression"):
            ask(tiny_video, phrases, cache=tmp_path / "caches", device="cpu")
    assert not (tmp_path / "caches").exists()


def test_a_video_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(TrackSiftError, match=r"gone\.mp4"):
        ask(tmp_path / "gone.mp4", "the cup", cache=tmp_path / "caches", device="cpu")
    with pytest.raises(TrackSiftError, match="--fps"):
        ask(tmp_path, "the cup", cache=tmp_path / "caches", device="cpu")


def test_the_default_cache_follows_the_users_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "tracksift"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache() == tmp_path / "home" / ".cache" / "tracksift"


def test_another_tracker_gets_its_own_grid_whatever_reads_its_tracks():
    assert Pipeline(Models()).proposals.grid == MINIATURE_GRID
    assert Pipeline(Models(tracker="facebook/sam2.1-hiera-large")).proposals.grid == GridSettings()
    assert Pipeline(Models(selector="mine.safetensors")).proposals.grid == MINIATURE_GRID


@pytest.mark.parametrize(
    ("flags", "wanted"), [((), (False, False)), ((True,), (True, True)), ((False, True), (False, True))]
)
def test_a_compiled_tracker_replays_small_batches_and_another_where_it_is_asked_to(flags, wanted):
    resources = Pipeline(Models(), "cpu", *flags).tracker.resources
    assert (resources.compiled, resources.replayed) == wanted


def test_an_exact_tracker_follows_one_object_and_one_frame_at_a_time():
    assert Pipeline(Models(), "cpu", exact=True).tracker.resources == EXACT


def test_miniature_is_a_name_for_files_of_the_repository():
    models = Models()
    assert models.is_miniature
    assert models.tracker_spec == str(WEIGHTS / "sam2.safetensors")
    assert models.selector_path.is_file()
    named = Models("facebook/sam2.1-hiera-large", "owner/encoder", "mine.safetensors")
    assert not named.is_miniature
    assert (named.tracker_spec, named.text_spec) == ("facebook/sam2.1-hiera-large", "owner/encoder")
    assert str(named.selector_path) == "mine.safetensors"
