"""Every command of the README runs, in its order, in one folder: small worlds and tiny weights stand in for large."""

import json
import re
import subprocess

import pytest

from scripts.__main__ import app
from tests.documented import DEMO, ROOT, blocks, commands, lay_desk, random_hub, run_line

README = (ROOT / "README.md").read_text()
COMMANDS = commands(README)


@pytest.fixture
def desk(tiny_video, tmp_path, monkeypatch, quick_grid):
    return lay_desk(tmp_path, tiny_video, monkeypatch)


def test_every_command_runs_as_written(command, desk):
    hub = random_hub(desk)
    for line in COMMANDS:
        outcome = run_line(line, command, hub)
        assert outcome.code == 0, f"{line}\n{outcome.err}"
    assert len(COMMANDS) >= 8
    for folder in ("answers/clip", "answers/frames", "answers/m200000"):
        assert {"answers.json", "overlay.mp4", "page.html"} == {p.name for p in (desk / folder).iterdir()}


def test_the_python_of_the_readme_runs(desk, capsys):
    (block,) = blocks(README, "python")
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(" True ")[0].split(" False ")[0] for line in printed] == [
        "the yellow disc",
        "the red object on the left",
    ]


def test_every_target_of_make_exists():
    targets = {line.split()[1] for line in COMMANDS if line.startswith("make ")} | set(
        re.findall(r"`make ([\w-]+)`", README)
    )
    assert DEMO.split()[1] in targets
    for target in targets:
        planned = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert planned.returncode == 0, planned.stderr


def test_every_file_that_the_readme_points_to_exists():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_table_lists_every_command():
    assert set(re.findall(r"^\| `tracksift ([\w-]+)`", README, re.MULTILINE)) == {
        c.name for c in (*app.registered_commands, *app.registered_groups)
    }


def test_the_first_table_is_that_of_the_last_run_of_the_report():
    run = json.loads((ROOT / "miniature" / "results.json").read_text())
    table = {
        row: [float(figure.strip("* ")) for figure in figures.split("|")]
        for row, figures in re.findall(r"^\| ([^|]+) \| (\**\.\d+\** \| \.\d+) \|$", README, re.MULTILINE)
    }
    names = {"selector, grid tracks": "jf", "oracle of the same tracks": "oracle_jf"}
    names |= {"best text-blind choice": "blind_jf", "shuffled expressions": "shuffled_jf"}
    assert table == {
        row: [round(run[f"{split}_{name}"], 3) for split in ("test", "shifted_test")] for row, name in names.items()
    }
