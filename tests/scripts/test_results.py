import pytest

from core.errors import TrackSiftError
from scripts.results import SHOWN, refuse_failures, show
from tracksift.generate import JobResult


def failure(name):
    return JobResult(name, "failed", cause="no light")


def test_counts_are_of_all_videos_and_the_table_of_the_first(capsys):
    results = [JobResult(f"video{i}", "made", tracks=2, frames=8, seconds=0.5) for i in range(SHOWN + 1)]
    figures = show("caches", [*results, JobResult("old", "kept", tracks=3, frames=4), failure("dark")])
    expected = {"made": SHOWN + 1, "kept": 1, "planned": 0, "failures": 1}
    assert figures == expected | {"frames": 8 * SHOWN + 12, "tracks": 2 * SHOWN + 5, "seconds": (SHOWN + 1) / 2}
    printed = capsys.readouterr().out
    assert f"video{SHOWN - 1} " in printed
    assert f"video{SHOWN} " not in printed


def test_failures_are_one_sentence_and_that_of_one_video_its_cause():
    refuse_failures([JobResult("a", "made")])
    with pytest.raises(TrackSiftError, match=r"^2 of 3 videos failed: a: no light; b: no light$"):
        refuse_failures([failure("a"), JobResult("c", "made"), failure("b")])
    with pytest.raises(TrackSiftError, match=r"^no light$"):
        refuse_failures([failure("a")], one=True)
