"""Damaged annotation files of every dataset: one sentence that names the file, no other error and no silence."""

import json
import re
from functools import partial

import pytest

from benchmarks.evaluation.report import Choices
from benchmarks.registry import DATASETS
from core.errors import InputError
from tests.benchmarks.tiny_datasets import MAKERS

SENTENCE = re.compile(r"expected|should|[Rr]equired|Invalid")
TEXTS = {name for name, make in MAKERS.items() if name not in ("tvsum", "summe")}


def cut(data):
    return data[: len(data) * 3 // 4 or 1]


def utf16(data):
    return data.decode().encode("utf-16")


def marked(data):
    return b"\xef\xbb\xbf" + data


def latin(data):
    return b"\xe9\xff" + data


def deep(data):
    return b'{"a":' * 100_000


def nested_array(data):
    return b"[" * 100_000


def numeric(data):
    """Every number becomes one that no float holds."""
    return json.dumps(_replaced(json.loads(data))).replace('"HUGE"', "9" * 5000).encode()


def without_values(data):
    return json.dumps(_emptied(json.loads(data))).encode()


def null(data):
    return b"null"


def number(data):
    return b"1e400"


def not_a_number(data):
    return b'{"a": NaN}'


def twice(data):
    return b'{"a": 1, "a": 2}'


def nothing(data):
    return b""


def zeros(data):
    return b"\x00" * 64


def _replaced(value):
    if isinstance(value, dict):
        return {k: _replaced(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_replaced(v) for v in value]
    return "HUGE" if isinstance(value, int | float) and not isinstance(value, bool) else value


def _emptied(value):
    """The same keys with null below the second level."""
    rows = value if isinstance(value, list) else [value]
    bare = [dict.fromkeys(row) if isinstance(row, dict) else None for row in rows]
    return bare if isinstance(value, list) else bare[0]


ANY = (utf16, marked, latin, nothing, zeros)
JSON = (cut, deep, nested_array, null, number, not_a_number, twice, without_values)
DAMAGES = [
    pytest.param(name, damage, id=f"{name}-{damage.__name__}")
    for name in MAKERS
    for damage in (*(ANY if name in TEXTS else (cut, nothing, zeros)), *JSON)
]


def silent(done, total):
    """No bar."""


def sentences(name, tiny):
    """What the check says; a refusal is one sentence."""
    try:
        found = DATASETS[name].check(tiny.data, tiny.split, None, silent)
    except InputError as error:
        return [str(error)]
    return [text for texts in found.sentences.values() for text in texts] if not found.good else []


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_a_damaged_file_is_one_sentence_that_names_it(name, damage, tmp_path):
    tiny = MAKERS[name](tmp_path)
    met = 0
    for path in tiny.annotations:
        whole = path.read_bytes()
        if damage in JSON and path.suffix not in (".json", ".jsonl", ".h5"):
            continue
        if damage is without_values and path.suffix != ".json":
            continue
        path.write_bytes(damage(whole))
        said = sentences(name, tiny)
        assert said, f"{path.name}: nothing was said"
        assert any(path.name in text for text in said), said
        assert all(len(text) < 500 and "\n" not in text and SENTENCE.search(text) for text in said), said
        path.write_bytes(whole)
        met += 1
    assert met or not any(p.suffix in (".json", ".jsonl", ".h5") for p in tiny.annotations) or damage is without_values


def test_at_least_sixty_bad_files_are_met():
    assert len(DAMAGES) >= 60


PREDICTIONS = [name for name, found in DATASETS.items() if found.evaluator and found.entry.kind.value != "masks"]


@pytest.mark.parametrize("name", PREDICTIONS)
@pytest.mark.parametrize("damage", [utf16, marked, zeros, deep, null, number, not_a_number], ids=lambda d: d.__name__)
def test_damaged_predictions_are_refused_or_counted_as_failures(name, damage, tmp_path):
    tiny = MAKERS[name](tmp_path)
    files = sorted(tiny.predictions.glob("*.txt")) if tiny.predictions.is_dir() else [tiny.predictions]
    for path in files:
        path.write_bytes(damage(path.read_bytes()))
    work = partial(DATASETS[name].evaluate, tiny.data, tiny.split, tiny.predictions, Choices(), silent)
    if not tiny.predictions.is_dir():
        with pytest.raises(InputError, match="said"):
            work()
        return
    failures = work().failures
    assert len(failures) == len(files)
    assert all(path.name in text for path, text in zip(files, failures, strict=True))
