"""An index answers as `ask` does, from memory, keeps to its limit, and reads masks only when asked for them."""

from dataclasses import replace

import numpy as np
import pytest

from cache import open_cache, read_cache, write_cache
from core.errors import CacheError, InputError, ScorerMismatchError
from core.types import Expression, Source
from tests.conftest import VIDEOS
from tracksift import Index
from tracksift.ask import Pipeline
from tracksift.models import Models
from tracksift.sources import text_expressions

TEXTS = ["the red star", "the shape that moves left", "a purple elephant"]


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline(device="cpu")


@pytest.fixture(scope="module")
def index(caches, pipeline):
    return Index(caches, pipeline)


def test_scores_and_choices_are_those_of_the_pipeline(index, caches, pipeline):
    found = index.query(TEXTS)
    assert [[one.video.id for one in row] for row in found] == [list(VIDEOS)] * 3
    for number, name in enumerate(VIDEOS):
        answers = pipeline.answer(caches / "mevis" / "valid" / f"{name}.h5", text_expressions(TEXTS))
        for row, answer in zip(found, answers, strict=True):
            one = row[number]
            ranking = [(r["index"], r["score"]) for r in answer.why["ranking"]]
            assert [(i, one.probability(i)) for i in one.ranking] == ranking
            assert one.tracks == tuple(t.index for t in answer.tracks)
            assert 1 - one.presence == answer.no_target_probability
            for track in answer.tracks:
                np.testing.assert_array_equal(index.boxes(one, track.index), track.boxes)
                assert index.spans(one, track.index) == track.presence


def test_the_whole_answer_with_its_masks_is_that_of_the_pipeline(index, caches, pipeline):
    (one, _), *_ = index.query(["the shape that moves"])
    (expected,) = pipeline.answer(caches / "mevis" / "valid" / f"{VIDEOS[0]}.h5", [one.expression])
    answer = index.answer(one)
    assert (answer.masks, answer.why) == (expected.masks, expected.why)


def test_a_shut_gate_answers_no_target_for_its_own_reason_in_both(caches, pipeline):
    shut, plain = Pipeline(device="cpu"), pipeline.selector
    never = replace(plain.calibration, threshold=0.0, no_target_threshold=0.0, gate=1e-9)
    vars(shut).update(text_encoder=pipeline.text_encoder, selector=replace(plain, calibration=never))
    path = caches / "mevis" / "valid" / f"{VIDEOS[0]}.h5"
    ((one,),) = Index(path, shut).query(["the shape that moves"])
    (answer,) = shut.answer(path, [one.expression])
    assert one.tracks == answer.tracks == ()
    assert answer.why["rule"].startswith("No target has probability ")
    assert answer.why["rule"].endswith(" (at least 0.00), so no track is selected.")
    assert answer.why["threshold"] == 0.0
    assert "no target is too likely" in answer.why["ranking"][0]["reason"]


def test_a_batch_scores_as_one_expression_at_a_time(index):
    many = index.query(TEXTS * 100)
    assert len(many) == 300
    for text, row in zip(TEXTS, many, strict=False):
        (alone,) = index.query(text)
        for one, other in zip(row, alone, strict=True):
            np.testing.assert_allclose(one.scores.probability, other.scores.probability, atol=1e-5)


def test_texts_are_encoded_once_whatever_the_number_of_videos(index, monkeypatch):
    seen = []
    encoder = index.pipeline.text_encoder
    whole = encoder.encode
    monkeypatch.setattr(encoder, "encode", lambda texts: seen.append(len(texts)) or whole(texts))
    index.query(TEXTS)
    assert seen == [3]


def test_no_mask_is_read_for_a_query(caches, pipeline, monkeypatch):
    monkeypatch.setattr("cache.reader.CacheFile.track_set", lambda _: pytest.fail("tracks with masks were read"))
    index = Index(caches, pipeline)
    assert index.query("the red star")[0][0].ranking


def test_the_memory_that_it_holds_is_told_and_limited(index, caches, pipeline):
    files = [open_cache(path) for path in sorted(caches.rglob("*.h5"))]
    assert index.nbytes > sum(file.tokens().nbytes + file.boxes().nbytes for file in files)
    assert (len(index), index.tracks) == (2, sum(len(file) for file in files))
    with pytest.raises(InputError, match=r"at most 0 MB of tracks, got \d+ MB in the first 1 of 2 caches"):
        Index(caches, pipeline, limit=1000)


def test_what_the_model_read_is_kept_where_there_is_room(index, caches, pipeline, monkeypatch):
    expected = index.query(TEXTS)
    kept = Index(caches, pipeline, remember=True)
    before = kept.nbytes
    kept.query(TEXTS)
    monkeypatch.setattr(pipeline.selector.model, "encode", lambda *_: pytest.fail("a video was read again"))
    for row, other in zip(kept.query(TEXTS), expected, strict=True):
        for one, same in zip(row, other, strict=True):
            np.testing.assert_array_equal(one.scores.probability, same.scores.probability)
    assert kept.nbytes > 2 * before
    monkeypatch.undo()
    tight = Index(caches, pipeline, limit=before + 1000, remember=True)
    tight.query(TEXTS)
    assert tight.nbytes == before == index.nbytes


def test_progress_is_told_by_files_and_by_videos(caches, pipeline):
    steps = []
    Index(caches, pipeline, progress=lambda *step: steps.append(step)).query("x", lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)] * 2


def test_tracks_of_a_detector_compete_for_their_own_words_only(caches, pipeline, tmp_path):
    whole = read_cache(caches / "mevis" / "valid" / f"{VIDEOS[0]}.h5")
    (asked,) = text_expressions(["the red star"])
    first = whole.tracks[0]
    detected = replace(first, source=Source.GROUNDING_DINO, prompt=replace(first.prompt, expression_id=asked.id))
    provenance = {**whole.provenance, "detector": {"expressions": {asked.id: ""}}}
    write_cache(tmp_path / "v.h5", replace(whole, tracks=(detected, *whole.tracks[1:]), provenance=provenance))
    index = Index(tmp_path / "v.h5", pipeline)
    mine, others, unseen = index.query(["The red star ", Expression(asked.id, "the red star"), "a blue star"])
    assert 0 in mine[0].ranking
    assert 0 in others[0].ranking
    assert 0 in unseen[0].ranking  # what generation never saw competes over all
    ran = {**provenance, "detector": {"expressions": {asked.id: "", text_expressions(["a blue star"])[0].id: ""}}}
    write_cache(tmp_path / "v.h5", replace(whole, tracks=(detected, *whole.tracks[1:]), provenance=ran))
    assert 0 not in Index(tmp_path / "v.h5", pipeline).query("a blue star")[0][0].ranking


def test_a_cache_that_changed_after_it_was_read_gives_no_answer(caches, pipeline, tmp_path):
    path = tmp_path / "v.h5"
    whole = read_cache(caches / "mevis" / "valid" / f"{VIDEOS[0]}.h5")
    write_cache(path, whole)
    index = Index(path, pipeline)
    (one,) = index.query("the red star")[0]
    write_cache(path, replace(whole, tracks=whole.tracks[:-1]))
    with pytest.raises(CacheError, match="another content"):
        index.answer(one)


def test_what_cannot_be_indexed_or_asked_is_refused(index, caches, pipeline, tmp_path):
    with pytest.raises(InputError, match="expected cache files, got none"):
        Index(tmp_path, pipeline)
    with pytest.raises(InputError, match="nothing there"):
        Index(tmp_path / "gone.h5", pipeline)
    with pytest.raises(InputError, match=f"each video once, got '{VIDEOS[0]}'"):
        Index([caches, caches / "mevis"], pipeline)
    for texts in ([], [""], ["fine", " "]):
        with pytest.raises(InputError, match="expression"):
            index.query(texts)
    whole = read_cache(next(iter(sorted(caches.rglob("*.h5")))))
    write_cache(tmp_path / "v.h5", replace(whole, provenance={**whole.provenance, "tracker_sha256": "f" * 64}))
    with pytest.raises(ScorerMismatchError, match="got ffffff"):
        Index(tmp_path / "v.h5", pipeline)


def test_a_selector_without_training_answers_from_memory_too(caches):
    pipeline = Pipeline(Models(selector="clip_zeroshot"), "cpu")
    found = Index(caches, pipeline, remember=True).query(TEXTS)
    for number, name in enumerate(VIDEOS):
        answers = pipeline.answer(caches / "mevis" / "valid" / f"{name}.h5", text_expressions(TEXTS))
        assert [row[number].tracks for row in found] == [tuple(t.index for t in a.tracks) for a in answers]
