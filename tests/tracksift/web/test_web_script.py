"""The page's script is put together of all its parts, in one scope."""

from pathlib import Path

import pytest

pytest.importorskip("gradio")
from tracksift.web import blocks


def test_every_part_of_the_script_is_on_the_page_once():
    folder = Path(blocks.__file__).parent / "script"
    assert sorted(blocks.SCRIPT) == sorted(path.stem for path in folder.iterdir())
    head = blocks.head()
    for name in blocks.SCRIPT:
        assert head.count((folder / f"{name}.js").read_text(encoding="utf-8")) == 1
    own = head.rpartition("<script>")[2]
    assert own.startswith('\n"use strict";\nwindow.tracksift = (() => {\n')
    assert own.endswith("return { wire };\n})();\n</script>")
