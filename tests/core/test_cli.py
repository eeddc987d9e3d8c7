"""How commands end: one sentence on standard error, and an exit code that says what sort of end it was."""

import signal

import pytest
import typer

from core.cli import run
from core.errors import InputError, StoppedError


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (InputError("--data: expected a folder, got none"), 2, "error: --data: expected a folder, got none\n"),
        (StoppedError("training ended by SIGTERM", signal.SIGTERM), 143, "stopped: training ended by SIGTERM\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_an_end_is_one_sentence_and_a_code(end, code, said, monkeypatch, capsys):
    class App(typer.Typer):
        def __call__(self):
            raise end

    with pytest.raises(SystemExit) as ended:
        run(App())
    assert (ended.value.code, capsys.readouterr().err) == (code, said)
