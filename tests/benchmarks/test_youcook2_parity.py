"""YouCook2: the example predictions score as the official evaluator says, METEOR and SODA_c where Java is found."""

import json

import pytest

from benchmarks.activitynet.reader import open_activitynet
from benchmarks.metrics.caption_java import Meteor, missing, treebank_tokens
from benchmarks.metrics.cider import cider
from benchmarks.metrics.dense_captions import Captions, CaptionTotals, paragraph_pairs, score_captions
from benchmarks.youcook2.reader import open_youcook2, read_caption_predictions
from tests.real_data import real_data


@pytest.fixture(scope="module")
def videos():
    return list(open_youcook2(real_data("youcook2/vtgllm_dvc_val.example_gt.json")).videos())


@pytest.fixture(scope="module")
def predictions():
    return read_caption_predictions(real_data("youcook2/vtgllm_dvc_example_pred.json"))


@pytest.fixture(scope="module")
def expected():
    return json.loads(real_data("expected.json").read_text())["vtgllm_dvc_youcook2_example(415 videos)"]


def percent(rate):
    return round(100 * rate, 1)


def test_segments_score_as_published(videos, predictions, expected):
    totals = CaptionTotals()
    for video in videos:
        segments, captions = predictions[video.id]
        totals.update(score_captions(Captions(segments, captions), Captions(video.segments, video.captions)))
    figures = totals.compute()
    assert percent(figures.precision) == expected["Precision_Mean"]
    assert percent(figures.recall) == expected["Recall_Mean"]
    assert percent(figures.f1_by_video) == expected["F1_Score"]
    assert [percent(p) for p in figures.precision_at.values()] == expected["P"]
    assert [percent(r) for r in figures.recall_at.values()] == expected["R"]
    assert round(figures.captions_per_video, 1) == expected["n_preds"]
    assert (figures.n, figures.failures, figures.meteor, figures.soda_c) == (415, 0, None, None)
    assert figures.f1_by_threshold != pytest.approx(figures.f1_by_video, abs=1e-3)


@pytest.mark.slow
def test_captions_score_as_published(videos, predictions, expected):
    if reason := missing():
        pytest.skip(reason)
    said = [caption for video in videos for caption in predictions[video.id][1]]
    true = [caption for video in videos for caption in video.captions]
    words = dict(zip([*said, *true], treebank_tokens([*said, *true]), strict=True))
    totals = CaptionTotals()
    with Meteor() as meteor:
        for video in videos:
            segments, captions = predictions[video.id]
            predicted = Captions(segments, [words[c] for c in captions])
            truth = Captions(video.segments, [words[c] for c in video.captions])
            totals.update(score_captions(predicted, truth, meteor))
        pairs = paragraph_pairs([predictions[v.id][1] for v in videos], [v.captions for v in videos])
        assert percent(meteor.score(pairs)[0]) == expected["Para_METEOR"]
    assert percent(cider([p for p, _ in pairs], [[t] for _, t in pairs]).mean()) == expected["Para_CIDER"]
    figures = totals.compute()
    assert percent(figures.cider) == expected["CIDER"]
    assert percent(figures.meteor) == expected["METEOR"]
    assert percent(figures.soda_c) == expected["SODA_c_2"]


def test_both_forms_of_the_split_hold_the_same_captions(videos):
    original = {v.id.removeprefix("v_"): v for v in open_youcook2(real_data("youcook2/yc2_val.json")).videos()}
    assert len(original) == 457
    for video in videos:
        assert video.segments.tolist() == original[video.id].segments.tolist()
        assert len(video.captions) == len(original[video.id].captions)


@pytest.mark.parametrize(
    ("split", "videos", "sentences", "beyond"), [("val_1", 4917, 17505, 134), ("val_2", 4885, 17031, 111)]
)
def test_activitynet_is_read_whole(split, videos, sentences, beyond):
    reader = open_activitynet(real_data(f"activitynet/{split}.json"))
    queries = list(reader.queries())
    assert (reader.split, sum(1 for _ in reader.videos()), len(queries)) == (split, videos, sentences)
    assert sum(q.beyond_duration for q in queries) == beyond
    assert queries[0].id == "v_uqiMw7tQ1Cc_0"
