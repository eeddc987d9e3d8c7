"""`tracksift web` says what it would do, and refuses what it cannot serve."""

import builtins
import signal
import socket
import subprocess
import sys

import pytest

from core.errors import CheckpointError
from scripts.web import choose_grounder
from tests.tracksift.web.watching import write_grounder
from tracksift.models import WEIGHTS


def test_help_has_examples_and_names_its_limits(command):
    shown = command("web", "--help")
    assert shown.code == 0
    for flag in ("--host", "--port", "--max-megabytes", "--max-seconds", "--max-frames", "--max-visitors", "--dry-run"):
        assert flag in shown.out
    assert "tracksift web" in shown.out


def test_a_dry_run_tells_the_local_address_and_loads_no_model(command, monkeypatch):
    monkeypatch.setattr("tracksift.web.server.serving", lambda *a, **k: pytest.fail("a dry run serves nothing"))
    done = command("web", "--dry-run", "--port", "8123", "--max-seconds", "20")
    assert done.code == 0
    assert "http://localhost:8123" in done.out
    assert "20 s" in done.out
    assert done.figures["settings"]["host"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-frames", "0"], "--max-frames"),
        (["--folder", "no/such/folder"], "expected a folder"),
        (["--port", "99999"], "--port"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(command, words, said):
    done = command("web", "--no-browser", "--no-samples", *words)
    assert done.code == 2
    assert said in done.err


@pytest.mark.slow
def test_a_port_that_is_taken_is_named(command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = command("web", "--no-browser", "--no-samples", "--device", "cpu", "--port", taken.getsockname()[1])
    assert done.code == 2
    assert "choose another --port" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_no_file_of_any_visitor(tmp_path, ending):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["web", "--no-browser", "--no-samples", "--device", "cpu", "--folder", tmp_path, "--port", port]
    server = subprocess.Popen([sys.executable, "-m", "scripts", *map(str, words)], stdout=subprocess.PIPE, text=True)
    assert f"http://localhost:{port}" in server.stdout.readline()
    assert any(tmp_path.iterdir())
    server.send_signal(ending)
    assert server.wait(30) == 130
    assert not any(tmp_path.iterdir())


def test_without_the_extra_it_says_what_to_install(command, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "tracksift.web" or name.startswith("gradio"):
            raise ModuleNotFoundError("No module named 'gradio'", name="gradio")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    done = command("web")
    assert done.code == 2
    assert "tracksift[web]" in done.err


def test_a_grounder_is_chosen_by_folder_none_or_the_miniature_s(tmp_path, monkeypatch):
    monkeypatch.setattr("tracksift.models.WEIGHTS", tmp_path)
    (tmp_path / "clip").symlink_to(WEIGHTS / "clip")
    assert choose_grounder("none", "miniature", "cpu") is None
    with pytest.raises(CheckpointError, match="expected the JSON record of a grounder"):
        choose_grounder("miniature", "miniature", "cpu")
    write_grounder(tmp_path / "grounder")
    assert choose_grounder("miniature", "miniature", "cpu").name == "The miniature's grounder"
    assert choose_grounder(str(tmp_path / "grounder"), "miniature", "cpu").name == "grounder"


def test_a_grounder_s_folder_that_is_none_ends_with_a_sentence(command):
    done = command("web", "--no-browser", "--no-samples", "--device", "cpu", "--grounder", "no/such/folder")
    assert done.code == 2
    assert "expected the JSON record of a grounder" in done.err
