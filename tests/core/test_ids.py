"""Ids as file names: plain ones kept, all others safe and apart."""

import pytest

from core.errors import InputError
from core.ids import safe_name


@pytest.mark.parametrize("identifier", ["a", "clip_01", "02b1a46f42aa", "_x", "A.b-c_9", "x" * 120])
def test_plain_ids_stay(identifier):
    assert safe_name(identifier) == identifier


UNSAFE = [
    "..", ".", ".hidden", "-flag", "a.", "../../etc/x", "/abs", "a/b", "a\\b", "a\0b", "a b", "a\nb", "x" * 121,
    "x" * 300, "\u00e9", "e\u0301", "%a", "C:", "\ud800", "\U0001f600",
]  # fmt: skip


@pytest.mark.parametrize("identifier", UNSAFE)
def test_other_ids_become_one_harmless_part_of_a_path(identifier):
    name = safe_name(identifier)
    assert name == safe_name(identifier)
    assert name.startswith("%")
    assert len(name) <= 80
    assert set(name[1:]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def test_different_ids_have_different_names():
    ids = [*UNSAFE, "a", "a-b", "a_b", "x" * 120, safe_name("a b")]
    assert len({safe_name(i) for i in ids}) == len(ids)


@pytest.mark.parametrize("identifier", ["", None, 5, b"a"])
def test_ids_that_are_no_text_are_refused(identifier):
    with pytest.raises(InputError, match="expected a non-empty string"):
        safe_name(identifier)
