"""The pages of docs/: every command is one that exists, links lead somewhere, runnable blocks run in their order."""

import importlib
import inspect
import re
import shlex

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.catalog import CATALOG
from cache import cache_path
from scripts.__main__ import app
from tests.documented import ROOT, blocks, commands, lay_desk, run_line
from tracksift.moments import cache_of

PAGES = {path.stem: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
ALL = PAGES | {name: (ROOT / f"{name}.md").read_text() for name in ("README", "CONTRIBUTING")}
RUN = [name for name, text in PAGES.items() if blocks(text, "bash (?:run|gpu)")]
"""`gpu`: what takes a GPU minutes runs too, asked for little (`tests.documented.ADDED`)."""
UsageError = typer.BadParameter.__base__  # of click, or of the copy of it that a newer typer brings
SHELL = ("export ", "mkdir ", "while ", "for ", "done", "cp ", "make ", "git ", "cd ", "pip ")
"""Lines of the shell itself, which are not ours to check."""


@pytest.fixture
def desk(tiny_video, tmp_path, monkeypatch, quick_grid):
    return lay_desk(tmp_path, tiny_video, monkeypatch)


def written(text):
    """Every command of a page, runnable or not."""
    for language in ("bash", "bash run", "bash gpu"):
        yield from (line.removeprefix(".venv/bin/") for line in commands(text, language))


def parsed(program, name, words):
    """Parse words as `program` would, and run nothing; a usage error is raised."""
    context = program.make_context(name, list(words))
    if hasattr(program, "resolve_command"):
        chosen, inner, rest = program.resolve_command(context, [*context._protected_args, *context.args])
        parsed(inner, chosen, rest)


@pytest.mark.parametrize("name", ALL)
def test_every_command_is_one_that_exists_with_flags_that_it_has(name):
    for line in written(ALL[name]):
        if line.startswith(SHELL):
            continue
        words = shlex.split(line)
        if words[0] == "tracksift":
            program, rest = app, words[1:]
        else:
            assert words[:2] == ["python", "-m"], line
            program, rest = importlib.import_module(words[2]).app, words[3:]
        try:
            parsed(typer.main.get_command(program), words[0], rest)
        except UsageError as error:
            pytest.fail(f"{name}: {line}\n{error.format_message()}")


@pytest.mark.parametrize("known", app.registered_commands, ids=lambda known: known.name)
def test_a_command_s_help_keeps_what_stands_in_brackets(known):
    bracketed = set(re.findall(r"\[([a-z][^\]]*)\]", inspect.getdoc(known.callback))) - {"bold"}
    if bracketed:  # else there is nothing that markup could take for a style and leave out
        shown = CliRunner().invoke(app, [known.name, "--help"], env={"COLUMNS": "300", "NO_COLOR": "1"})
        assert all(f"[{each}]" in " ".join(shown.output.split()) for each in bracketed)


@pytest.mark.parametrize("name", ALL)
def test_every_link_of_a_page_leads_to_a_file(name):
    place = ROOT if name in ("README", "CONTRIBUTING") else ROOT / "docs"
    for link in re.findall(r"\]\(([^)#:]+)\)", ALL[name]):
        assert (place / link).exists(), link


@pytest.mark.parametrize("name", ALL)
def test_every_file_of_ours_that_a_page_names_exists(name):
    for path in re.findall(r"`((?:[a-z_]+/)+[A-Za-z_]+\.(?:py|md|json|mp4))`", ALL[name]):
        assert (ROOT / path).exists() or "NAME" in path or "KIND" in path, path


def test_each_way_to_contribute_takes_less_than_ten_steps():
    ways = re.split(r"^## Add ", ALL["CONTRIBUTING"], flags=re.MULTILINE)[1:]
    assert [way.splitlines()[0] for way in ways] == ["a dataset", "a metric", "a tracker", "a read-out"]
    for way in ways:
        steps = [int(number) for number in re.findall(r"^(\d+)\. ", way, re.MULTILINE)]
        assert steps == list(range(1, len(steps) + 1))
        assert 0 < len(steps) < 10


def test_the_readme_leads_to_every_page():
    missing = [name for name in PAGES if f"(docs/{name}.md)" not in ALL["README"]]
    assert not missing


@pytest.mark.parametrize("name", CATALOG)
def test_the_page_of_evaluation_has_a_row_with_splits_and_place_of_every_dataset(name):
    (row,) = re.findall(rf"^\| `{name}` \|.*$", ALL["evaluate"], re.MULTILINE)
    _, splits, place, *_ = row.strip("| ").split(" | ")
    entry = CATALOG[name]
    assert all(split.removeprefix("Train_") in splits for split in entry.splits)
    assert splits.startswith(f"`{entry.splits[0]}`")
    named = set(re.findall(r"[\w*]+\.(?:jsonl?|txt|csv|h5|ini|label)", entry.layout))
    assert (
        "the same l" in place or {word for word in named if f"SPLIT{word}" not in place and word not in place} == set()
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_a_page_runs_as_written(name, command, desk, capsys):
    for kind, block in re.findall(r"^```(bash|python) (?:run|gpu)\n(.*?)^```", PAGES[name], re.MULTILINE | re.DOTALL):
        if kind == "python":
            exec(compile(block, f"{name}.md", "exec"), {})
            assert capsys.readouterr().out
            continue
        for line in block.splitlines():
            outcome = run_line(line, command)
            assert outcome.code == 0, f"{name}: {line}\n{outcome.out}\n{outcome.err}"


def test_features_of_a_video_are_found_by_ids_that_keep_its_suffix(tmp_path):
    made = cache_path(tmp_path, "videos", "single", "clip")
    made.parent.mkdir(parents=True)
    made.touch()
    assert cache_of(tmp_path, "magqa", "test", "clip.mp4") == cache_of(tmp_path, "magqa", "test", "clip") == made
