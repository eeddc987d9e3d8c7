"""SHA-256 of files and JSON values."""

import hashlib

import pytest

from core.hashing import file_sha256, json_sha256


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 5000])
def test_a_file_hashes_as_its_bytes(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    assert file_sha256(tmp_path / "f") == hashlib.sha256(content).hexdigest()


def test_json_hashes_by_value_and_not_by_key_order():
    assert json_sha256({"a": 1, "b": [1, 2]}) == json_sha256({"b": [1, 2], "a": 1})
    assert json_sha256({"a": 1, "b": [1, 2]}) != json_sha256({"a": 1, "b": [2, 1]})
    assert json_sha256({}) == hashlib.sha256(b"{}").hexdigest()
    assert json_sha256({"ü": None}) != json_sha256({"u": None})


def test_values_that_json_cannot_hold_are_refused():
    with pytest.raises(TypeError):
        json_sha256({"a": object()})
    with pytest.raises(ValueError, match="JSON compliant"):
        json_sha256({"a": float("nan")})
