"""Flags of generate that say who works, and the exit codes of how it ended."""

import signal

import pytest
import typer

from core.errors import InputError, OutputError, TrackSiftError
from scripts.crew import Crew, check_crew, end
from tracksift.generate import JobResult
from tracksift.scheduling import Ended

MADE, FAILED = JobResult("a", "made"), JobResult("b", "failed", cause="no light")


@pytest.mark.parametrize(
    ("crew", "options", "words"),
    [
        (Crew(1, None, True, None, False), {"one": True}, "--ray, --gpu-share, --retry-failed: expected --data"),
        (Crew(1, 0.5, False, None, False), {"one": True}, "expected --data with them, got one VIDEO"),
        (Crew(1, None, False, None, True), {"one": True}, "expected --data with them, got one VIDEO"),
        (Crew(2, None, False, None, False), {"compiled": True}, "--compile: expected --workers 1.*got 2"),
        (Crew(1, None, True, None, False), {"compiled": True}, "--compile: expected --workers 1.*got --ray"),
        (Crew(2, None, False, None, False), {"exact": True}, "--exact: expected one worker"),
        (Crew(1, None, True, None, False), {"exact": True}, "--exact: expected one worker"),
        (Crew(1, None, False, None, False, 4), {"exact": True}, "--exact: .* no --compile, --replay or --together"),
        (Crew(1, None, False, None, False), {"exact": True, "compiled": True}, "--exact: .* no --compile"),
        (Crew(1, None, False, None, False), {"exact": True, "replayed": True}, "--exact: .* --replay"),
        (Crew(2, None, False, None, False, 4), {}, "--together: expected --data and one worker"),
        (Crew(1, None, True, None, False, 4), {}, "--together: expected --data and one worker"),
        (Crew(1, None, False, None, False, 4), {"one": True}, "--together: expected --data and one worker"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(crew, options, words):
    with pytest.raises(InputError, match=words):
        check_crew(crew, **{"one": False, "compiled": False} | options)


def test_more_workers_than_shares_of_gpus_are_refused_by_the_command(command, world, tmp_path):
    flags = ("generate", "--data", world, "--cache", tmp_path / "c", "--device", "cpu", "--gpu-share", 0.5)
    refused = command(*flags)
    assert refused.code == 2
    assert "--gpu-share: expected a GPU to share, got none for --device cpu" in refused.err
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_job_is_an_exit_code_and_a_sentence(capsys):
    end(Ended([MADE]), 1)
    with pytest.raises(TrackSiftError, match="1 of 2 videos failed: b: no light"):
        end(Ended([MADE, FAILED]), 2)
    with pytest.raises(OutputError, match="stopped with 3 of 5 videos not begun and 1 failed: disk full"):
        end(Ended([MADE, FAILED], cause="disk full"), 5)
    with pytest.raises(typer.Exit) as ended:
        end(Ended([MADE], signal=signal.SIGTERM), 2)
    assert ended.value.exit_code == 143
    assert "stopped with 1 of 2 videos not begun; run it again to go on" in capsys.readouterr().err
