"""The names that a user may import from `tracksift` are these, and each says what it is."""

import dataclasses
import inspect

import tracksift
from tracksift import Answer, Index, Models, SelectedTrack, TrackSiftError, ask

NAMES = [
    "Answer", "Expression", "Found", "Index", "Models", "Pipeline", "SelectedTrack", "TimeSpan", "TrackScores",
    "TrackSiftError", "VideoMeta", "ask",
]  # fmt: skip


def test_the_public_names_are_these():
    assert tracksift.__all__ == NAMES
    assert all(getattr(tracksift, name).__doc__ for name in NAMES)


def test_the_types_keep_their_fields():
    fields = {kind: [field.name for field in dataclasses.fields(kind)] for kind in (Answer, SelectedTrack, Models)}
    assert fields[Answer] == [
        "video", "expression", "tracks", "masks", "moments", "no_target", "no_target_probability", "why",
    ]  # fmt: skip
    assert fields[SelectedTrack] == ["index", "score", "masks", "boxes", "presence"]
    assert fields[Models] == ["tracker", "text_encoder", "selector", "detector"]


def test_calls_keep_their_parameters():
    assert list(inspect.signature(ask).parameters) == [
        "video", "expressions", "models", "device", "cache", "fps", "detect", "on_progress",
    ]  # fmt: skip
    assert list(inspect.signature(Index).parameters) == ["caches", "pipeline", "limit", "remember", "progress"]
    assert list(inspect.signature(Index.query).parameters) == ["self", "expressions", "progress"]


def test_every_error_has_the_public_base():
    import core.errors

    kinds = [kind for _, kind in inspect.getmembers(core.errors, inspect.isclass)]
    assert len(kinds) > 5
    assert all(issubclass(kind, TrackSiftError) for kind in kinds)
