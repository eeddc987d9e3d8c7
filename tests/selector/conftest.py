import pytest

from cache import write_cache
from tests.selector.colour_world import colour_video


@pytest.fixture(scope="session")
def colour_examples(tmp_path_factory):
    """60 caches on disk with their expressions."""
    return write_examples(tmp_path_factory.mktemp("caches"), looks=False)


@pytest.fixture(scope="session")
def look_examples(tmp_path_factory):
    """The same with the colours in the looks."""
    return write_examples(tmp_path_factory.mktemp("looks"), looks=True)


def write_examples(root, *, looks):
    examples = []
    for seed in range(60):
        track_set, labels, expressions = colour_video(seed, f"v{seed}", looks=looks)
        path = root / f"v{seed}.h5"
        write_cache(path, track_set, labels)
        examples.append((path, expressions))
    return examples
