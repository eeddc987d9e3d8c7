import pytest
import torch

from core.errors import InputError
from core.text import TextFeatures, masked_mean
from core.text_store import StoredText


class Counting:
    """States of a letter are its code; counts what it is asked."""

    name, sha256, width = "letters", "b" * 64, 3

    def __init__(self):
        self.asked = []

    def encode(self, texts):
        if not texts:
            raise InputError("texts: expected at least one text to encode, got none")
        self.asked += texts
        longest = max(map(len, texts))
        tokens = torch.tensor([[[ord(c), i, 1.0] for i, c in enumerate(t.ljust(longest, "\0"))] for t in texts])
        mask = torch.arange(longest) < torch.tensor([len(t) for t in texts])[:, None]
        return TextFeatures(tokens * mask[..., None], mask, masked_mean(tokens, mask))


def same(a, b):
    return all(torch.equal(getattr(a, k), getattr(b, k)) for k in ("tokens", "mask", "pooled"))


def test_features_are_the_encoders_in_the_asked_order_and_length(tmp_path):
    stored = StoredText(Counting(), tmp_path)
    stored.encode(["a long one", "b"])
    assert same(stored.encode(["cc", "b", "cc"]), Counting().encode(["cc", "b", "cc"]))


def test_a_text_is_encoded_once_and_never_again_by_those_who_come_later(tmp_path):
    first, later = Counting(), Counting()
    stored = StoredText(first, tmp_path)
    stored.encode(["a", "bb", "a"])
    stored.encode(["bb", "ccc"])
    assert first.asked == ["a", "bb", "ccc"]
    again = StoredText(later, tmp_path).encode(["ccc", "a", "bb"])
    assert later.asked == []
    assert same(again, Counting().encode(["ccc", "a", "bb"]))


def test_another_encoder_shares_nothing(tmp_path):
    StoredText(Counting(), tmp_path).encode(["a"])
    other = Counting()
    other.sha256 = "c" * 64
    StoredText(other, tmp_path).encode(["a"])
    assert other.asked == ["a"]


def test_a_damaged_file_is_encoded_again(tmp_path):
    StoredText(Counting(), tmp_path).encode(["a"])
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-2])
    again = Counting()
    StoredText(again, tmp_path).encode(["a"])
    assert again.asked == ["a"]
    last = Counting()
    StoredText(last, tmp_path).encode(["a"])
    assert last.asked == []


def test_no_text_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(InputError, match="at least one text"):
        StoredText(Counting(), tmp_path).encode([])
    assert list(tmp_path.iterdir()) == []
