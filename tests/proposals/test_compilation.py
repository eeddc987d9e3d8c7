import pytest

from proposals.compilation import BUCKETS, OVERHEAD, portions


def next_bucket(objects):
    """What one batch padded up would be."""
    return next((size for size in BUCKETS if objects <= size), -(-objects // BUCKETS[-1]) * BUCKETS[-1])


@pytest.mark.parametrize("objects", range(1, 201))
def test_batches_add_up_and_never_cost_more_than_padding_one_up(objects):
    found = portions(objects)
    assert sum(count for count, _ in found) == objects
    assert all(0 < count <= size and size in BUCKETS for count, size in found)
    one = next_bucket(objects)
    batches = max(1, one // BUCKETS[-1])
    assert sum(size + OVERHEAD for _, size in found) <= one + batches * OVERHEAD


@pytest.mark.parametrize(
    ("objects", "wanted"),
    [
        (1, ((1, 1),)),
        (3, ((3, 4),)),
        (20, ((16, 16), (4, 4))),
        (31, ((31, 32),)),
        (37, ((32, 32), (5, 8))),
        (45, ((45, 48),)),
        (64, ((64, 64),)),
        (130, ((64, 64), (64, 64), (2, 4))),
    ],
)
def test_objects_are_split_where_padding_would_cost_more(objects, wanted):
    assert portions(objects) == wanted


def test_no_objects_need_no_batch():
    assert portions(0) == ()
