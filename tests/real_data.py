"""Real data outside the repository: `from tests.real_data import real_data`."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("TRACKSIFT_FIXTURES", Path(__file__).parents[2] / "shared" / "fixtures"))


def real_data(path: str) -> Path:
    """A file or folder of real data; where it is absent the test is skipped by name, and fails in CI."""
    found = ROOT / path
    if not found.exists():
        reason = f"real data {path} are not in {ROOT} (TRACKSIFT_FIXTURES)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return found
