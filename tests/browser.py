"""Chromium for tests of pages: `from tests.browser import chromium`."""

import os
import shutil

import pytest


def chromium() -> str:
    """Its path; where it is absent the test is skipped by name, and fails where TRACKSIFT_BROWSER says `required`."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        reason = "no Chromium on this machine"
        pytest.fail(reason) if os.environ.get("TRACKSIFT_BROWSER") == "required" else pytest.skip(reason)
    return found
