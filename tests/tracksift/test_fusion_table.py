"""The table of fusion's modes: hand-made videos whose figures are known, fits kept apart from readings."""

from dataclasses import replace

import numpy as np
import pytest

from core.errors import InputError
from core.types import TimeSpan
from fusion.settings import FusionSettings, Weights, write_weights
from tests.tracksift.test_fusing import ASKED, EARLY, LATE, folder, job, tracks_of, words_of  # noqa: F401 - a fixture
from tracksift.fusing import Caches, default_weights
from tracksift.fusion_table import COLUMNS, Measured, Split, choose, fit_ways, measure, ways_of

EVERYWHERE = Measured(0.5, 0.5, 0.5, 0.5, 0.5, None, None, None, None, 1, 0)


def split_of(place, jobs, name="valid"):
    return Split(name, jobs, Caches.under(place / "caches"))


def named(asked):
    """`job` whose first expression names a span, half of which its target is seen in."""
    made = job("one")
    first = replace(ASKED[0], spans=(asked,))
    return replace(made, annotated=replace(made.annotated, expressions=(first, *ASKED[1:])))


def test_every_mode_is_paired_with_the_sources_that_it_can_read():
    ways = ways_of({"g": ("m/{split}.jsonl", None), "r": (None, "r/{split}.jsonl")})
    assert [w.name for w in ways] == ["tracks", "gated by g", "dtos by g", "reranked by g", "reranked by r"]
    assert (ways[0].moments, ways[1].reranks, ways[4].reranks) == (None, None, "r/{split}.jsonl")


def test_the_moment_mends_what_the_selector_has_wrong(folder):  # noqa: F811
    split, pattern = split_of(folder, [job("one"), job("second")]), str(folder / "{split}.jsonl")
    for name in ("calib", "valid"):
        (folder / f"{name}.jsonl").write_text((folder / "tracks.jsonl").read_text())
        (folder / f"{name}_m.jsonl").write_text((folder / "moments.jsonl").read_text())
    ways = ways_of({"g": (str(folder / "{split}_m.jsonl"), None)})
    fitted = fit_ways(ways, pattern, replace(split, name="calib"))
    found = {name: measure(way.words(pattern, "valid"), split, weights) for name, (way, weights) in fitted.items()}
    assert found["dtos by g"].jf == found["gated by g"].jf == found["dtos by g"].no_target_accuracy == 1.0
    assert found["tracks"].jf < 0.7
    assert found["tracks"].n == 6
    assert choose({name: {"valid": measured} for name, measured in found.items()}) != "tracks"
    assert len(found["tracks"].row()) == len(COLUMNS)


def test_tubes_are_held_against_the_span_that_the_words_name(folder):  # noqa: F811
    half = TimeSpan(0.0, 0.1875)  # 1.5 of the 3 frames that show track 0: two of them are half in it or more
    words, sure = words_of(folder), Weights("gated", rule=FusionSettings(threshold=0.65))
    right = [replace(w, tracks=replace(w.tracks, probability=np.array([0.9, 0.1]))) for w in words.by_video["one"][:1]]
    words = replace(words, by_video={"one": right})
    split = split_of(folder, [named(half)])
    found = measure(words, split, sure)
    assert found.failures == 2  # expressions without scores
    assert found.moment_tiou == pytest.approx(2 / 3)
    assert found.moment_viou == pytest.approx(2 / 3)
    assert found.tiou == pytest.approx(2 / 9)
    nowhere = measure(words, split_of(folder, [job("one")]), sure)
    assert (nowhere.moment_tiou, nowhere.tiou) == (None, pytest.approx(1 / 3))


def test_a_video_that_cannot_be_answered_counts_and_says_why(folder):  # noqa: F811
    (folder / "caches" / "one.h5").write_bytes(b"broken")
    found = measure(words_of(folder), split_of(folder, [job("one"), job("second")]), Weights())
    assert (found.failures, found.n) == (3, 6)
    assert "one" in found.causes[0]


def test_a_split_without_a_single_score_is_refused(folder):  # noqa: F811
    with pytest.raises(InputError, match="expected scores of its videos"):
        measure(replace(words_of(folder), by_video={}), split_of(folder, [job("one")]), Weights())


def test_the_choice_looks_at_all_its_splits_and_takes_the_first_of_equals():
    def at(jf):
        return replace(EVERYWHERE, jf=jf)

    figures = {"tracks": {"a": at(0.5), "b": at(0.7)}, "gated": {"a": at(0.9), "b": at(0.3)}}
    assert choose(figures) == "tracks"
    assert choose(figures | {"dtos": {"a": at(0.8), "b": at(0.5)}}) == "dtos"
    with pytest.raises(InputError, match="got none"):
        choose({})


def test_chosen_weights_are_the_default_of_the_scores_that_they_were_fitted_for(folder):  # noqa: F811
    words, place = words_of(folder), folder / "fusion.json"
    assert default_weights(words, place) == Weights()
    fitted = Weights("gated", fitted={"scorers": {"tracks": "s" * 64, "moments": "g" * 64}})
    write_weights(place, fitted)
    assert default_weights(words, place) == fitted
    write_weights(place, replace(fitted, fitted={"scorers": {"tracks": "x" * 64}}))
    assert default_weights(words, place) == Weights()
    alone = replace(words, by_video={"one": [replace(w, moments=None) for w in words.by_video["one"]]})
    write_weights(place, fitted)
    assert default_weights(alone, place) == Weights()  # the moments that it needs are not there
