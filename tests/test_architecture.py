"""Every module imports by itself, and imports point one way."""

import importlib
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["importlinter"]["root_packages"]
MODULES = sorted(
    found.name
    for package in PACKAGES
    for found in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")
    if not found.name.endswith("__main__")
)


def test_the_packages_are_those_of_the_layers():
    (contract,) = PROJECT["tool"]["importlinter"]["contracts"]
    layered = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    shipped = {pattern.rstrip("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert layered == set(PACKAGES) == shipped
    assert {p.parent.name for p in ROOT.glob("*/__init__.py")} <= set(PACKAGES)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_says_what_it_does(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name}: expected a docstring"


def test_importing_every_module_writes_nothing_to_the_terminal():
    code = f"import importlib\nfor name in {MODULES!r}: importlib.import_module(name)"
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_imports_point_one_way():
    linter = Path(sys.executable).with_name("lint-imports")
    ended = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
