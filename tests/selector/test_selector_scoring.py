import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cache import open_cache, read_cache, write_cache
from core.errors import CheckpointError, InputError, ScorerMismatchError
from core.types import Expression, Source
from selector.calibration import Calibration
from selector.checkpoints import WEIGHTS, load_selector, save_selector
from selector.modules import build
from tests.factories import make_track_set
from tests.selector.colour_world import SMALL, TINY, WordEncoder

RECORD = "selector.json"
CALIBRATION = Calibration(2.0, 0.5, 0.1, 0.4, 0.7, ((-1.0, 0.1), (0.5, 0.1), (2.0, 0.9)))
EXPRESSIONS = (Expression("a", "the red one"), Expression("b", "blue"), Expression("c", "the green one and blue"))
G, D, T = Source.GRID, Source.GROUNDING_DINO, Source.GROUND_TRUTH


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_selector(
        tmp_path / "s" / WEIGHTS,
        build(SMALL),
        CALIBRATION,
        "1" * 64,
        "a" * 64,
        {"note": 7},
    )
    return tmp_path / "s"


def test_a_selector_comes_back_as_it_was_saved(folder):
    selector = load_selector(folder)
    assert selector.calibration == CALIBRATION
    assert (selector.no_target_threshold, selector.gate) == (0.7, 1.0)
    assert load_selector(folder / WEIGHTS).sha256 == selector.sha256
    assert selector.record["note"] == 7
    assert not selector.model.training
    assert load_file(folder / WEIGHTS)["negative_token.weight"].dtype == torch.float16
    # The fixed positions are no parameter, and keep their bits.
    assert load_file(folder / WEIGHTS)["positional_encoding_gaussian_matrix"].dtype == torch.float32


def test_a_selector_kept_in_bytes_is_half_the_size_and_says_almost_the_same(folder, tmp_path):
    selector = load_selector(folder)
    write_cache(tmp_path / "v.h5", make_track_set(4, width=4))
    path = tmp_path / "bytes" / WEIGHTS
    path.parent.mkdir()
    hashes = (selector.tracker, selector.text_encoder)
    save_selector(path, selector.model, selector.calibration, *hashes, {"note": 7}, in_bytes=True)
    kept = load_file(path)
    assert kept["negative_token.weight"].dtype == torch.int8
    assert kept["positional_encoding_gaussian_matrix"].dtype == torch.float32
    again = load_selector(path)
    assert again.record["note"] == 7
    for old, new in zip(
        selector.score(open_cache(tmp_path / "v.h5"), EXPRESSIONS, WordEncoder()),
        again.score(open_cache(tmp_path / "v.h5"), EXPRESSIONS, WordEncoder()),
        strict=True,
    ):
        np.testing.assert_allclose(old.probability, new.probability, atol=0.02)


def test_a_cache_and_its_tracks_in_memory_score_the_same(folder, tmp_path):
    write_cache(tmp_path / "v.h5", make_track_set(4, width=4, absent=[[], [2], [], [0, 1]]))
    selector = load_selector(folder)
    stored = selector.score(open_cache(tmp_path / "v.h5"), EXPRESSIONS, WordEncoder())
    memory = selector.score(read_cache(tmp_path / "v.h5"), EXPRESSIONS, WordEncoder())
    for a, b, expression in zip(stored, memory, EXPRESSIONS, strict=True):
        np.testing.assert_allclose(a.probability, b.probability, atol=1e-6)
        assert a.expression_id == expression.id
        assert a.cache == open_cache(tmp_path / "v.h5").content_sha256
        assert a.scorer == selector.sha256


def test_expressions_score_the_same_alone_and_together(folder):
    tracks, selector = make_track_set(3, width=4), load_selector(folder)
    together = selector.score(tracks, EXPRESSIONS, WordEncoder())
    for expression, scores in zip(EXPRESSIONS, together, strict=True):
        alone = selector.score(tracks, [expression], WordEncoder())[0]
        np.testing.assert_allclose(alone.probability, scores.probability, atol=1e-5)
        assert alone.presence == pytest.approx(scores.presence, abs=1e-5)


def test_ground_truth_tracks_never_compete_nor_change_a_score(folder):
    selector = load_selector(folder)
    with_truth = make_track_set(4, width=4, sources=[G, G, G, T])
    without = replace(with_truth, tracks=with_truth.tracks[:3])
    a, b = (selector.score(t, EXPRESSIONS, WordEncoder())[0] for t in (with_truth, without))
    assert a.probability[3] == 0
    np.testing.assert_allclose(a.probability[:3], b.probability, atol=1e-6)


def test_detector_tracks_compete_for_their_own_expression_only(folder):
    tracks = make_track_set(3, width=4, sources=[G, D, D])
    made = list(tracks.tracks)
    for i, owner in ((1, "a"), (2, "b")):
        made[i] = replace(made[i], prompt=replace(made[i].prompt, expression_id=owner))
    scores = load_selector(folder).score(replace(tracks, tracks=tuple(made)), EXPRESSIONS, WordEncoder())
    assert [(s.probability > 0).tolist() for s in scores] == [[True, True, False], [True, False, True], [True] * 3]
    ran = {**tracks.provenance, "detector": {"expressions": {"a": "", "b": "", "c": ""}}}
    scores = load_selector(folder).score(
        replace(tracks, tracks=tuple(made), provenance=ran), EXPRESSIONS, WordEncoder()
    )
    assert (scores[2].probability > 0).tolist() == [True, False, False]


def test_the_caller_may_name_who_competes(folder):
    able = [np.array([1], dtype=np.intp), np.array([], dtype=np.intp), np.array([0, 2], dtype=np.intp)]
    scores = load_selector(folder).score(make_track_set(3, width=4), EXPRESSIONS, WordEncoder(), able)
    assert [np.flatnonzero(s.probability).tolist() for s in scores] == [[1], [], [0, 2]]
    assert scores[1].presence == 0


def test_a_video_without_tracks_has_no_target(folder):
    scores = load_selector(folder).score(make_track_set(0), EXPRESSIONS, WordEncoder())
    assert [(len(s.probability), s.presence) for s in scores] == [(0, 0.0)] * 3


def test_another_tracker_or_encoder_is_refused_by_name(folder):
    selector, tracks = load_selector(folder), make_track_set(2, width=4)
    with pytest.raises(ScorerMismatchError, match=r"111111.*got 222222"):
        selector.score(replace(tracks, provenance={"tracker_sha256": "2" * 64}), EXPRESSIONS, WordEncoder())
    with pytest.raises(ScorerMismatchError, match="one without a name"):
        selector.score(replace(tracks, provenance={}), EXPRESSIONS, WordEncoder())
    with pytest.raises(ScorerMismatchError, match="text encoder"):
        selector.score(tracks, EXPRESSIONS, WordEncoder(sha256="b" * 64))


def test_one_list_of_competitors_is_needed_for_each_text(folder):
    selector = load_selector(folder)
    with pytest.raises(InputError, match="each of 3 texts"):
        selector.score(make_track_set(2, width=4), EXPRESSIONS, WordEncoder(), [])


def change_record(**changes):
    def harm(folder):
        values = json.loads((folder / RECORD).read_text()) | changes
        (folder / RECORD).write_text(json.dumps(values))

    return harm


def change_weights(change):
    def harm(folder):
        state = load_file(folder / WEIGHTS)
        change(state)
        save_file(state, folder / WEIGHTS)

    return harm


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (change_weights(lambda s: s.pop("negative_token.weight")), r"1 missing \(negative_token.weight\)"),
        (change_weights(lambda s: s.update(extra=torch.zeros(1))), r"1 unexpected \(extra\)"),
        (
            change_weights(lambda s: s.update({"negative_token.weight": torch.zeros(3, 32)})),
            r"negative_token.weight \[3, 32\] instead of \[4, 32\]",
        ),
        (change_weights(lambda s: s["negative_token.weight"].add_(1)), "expected the weights"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"no"), "safetensors"),
        (lambda folder: (folder / WEIGHTS).unlink(), "safetensors"),
        (lambda folder: (folder / RECORD).write_text("[1"), "JSON record"),
        (change_record(format=1), "format 2"),
        (change_record(module="other"), "a module of sola, relational"),
        (change_record(settings={"heads": 2}), "known names"),
        (change_record(calibration={"temperature": 1}), "calibration"),
        (change_record(calibration=None), "record of a selector"),
        (change_record(calibration={**vars(Calibration()), "knots": [[1, 0.5], [0, 0.6]]}), "rising logits"),
        (change_record(calibration={**vars(Calibration()), "knots": [[1]]}), "record of a selector"),
    ],
)
def test_a_damaged_selector_is_refused_by_name(folder, harm, message):
    harm(folder)
    with pytest.raises(CheckpointError, match=message):
        load_selector(folder)


def test_the_weights_alone_are_enough(folder):
    together = load_selector(folder)
    (folder / RECORD).unlink()
    alone = load_selector(folder)
    assert (alone.calibration, alone.tracker, alone.sha256) == (together.calibration, "1" * 64, together.sha256)
    assert alone.record["note"] == 7
    save_file(load_file(folder / WEIGHTS), folder / WEIGHTS)  # without what was written inside
    with pytest.raises(CheckpointError, match="record of format 2, got another or none"):
        load_selector(folder)


@pytest.fixture
def looking(tmp_path):
    """A selector that reads looks of width 3."""
    model = build(TINY)
    save_selector(tmp_path / "l" / WEIGHTS, model, Calibration(), "1" * 64, "a" * 64, {}, "3" * 64)
    return tmp_path / "l"


def test_a_selector_of_looks_comes_back_and_scores_by_them(looking):
    selector, tracks = load_selector(looking), make_track_set(3, width=4, look=3)
    assert selector.look == "3" * 64
    before = selector.score(tracks, EXPRESSIONS, WordEncoder())[0]
    changed = [replace(t, look=np.roll(t.look, 1)) for t in tracks.tracks]
    after = selector.score(replace(tracks, tracks=tuple(changed)), EXPRESSIONS, WordEncoder())[0]
    assert np.abs(before.probability - after.probability).max() > 1e-4


def test_missing_looks_and_looks_of_another_encoder_are_refused_by_name(looking):
    selector, tracks = load_selector(looking), make_track_set(2, width=4, look=3)
    with pytest.raises(ScorerMismatchError, match="expected tracks with looks"):
        selector.score(make_track_set(2, width=4), EXPRESSIONS, WordEncoder())
    for look, message in (("4" * 64, "333333.*got 444444"), ("", "one without a name")):
        provenance = {**tracks.provenance, "look_sha256": look}
        with pytest.raises(ScorerMismatchError, match=message):
            selector.score(replace(tracks, provenance=provenance), EXPRESSIONS, WordEncoder())
    assert selector.score(make_track_set(0), EXPRESSIONS, WordEncoder())[0].presence == 0


def test_a_selector_without_looks_scores_tracks_that_have_some(folder):
    selector, seen = load_selector(folder), make_track_set(3, width=4, look=3)
    unseen = replace(seen, tracks=tuple(replace(t, look=None) for t in seen.tracks))
    a, b = (selector.score(t, EXPRESSIONS, WordEncoder())[0] for t in (seen, unseen))
    np.testing.assert_array_equal(a.probability, b.probability)


def test_a_record_that_does_not_say_whose_looks_is_refused(looking):
    change_record(look_sha256="")(looking)
    with pytest.raises(CheckpointError, match="look_width 3 with look_sha256 ''"):
        load_selector(looking)
