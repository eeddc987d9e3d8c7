"""YouCook2: the example predictions score as the official evaluator says, METEOR and SODA_c where Java is found."""

import json

import pytest

from benchmarks.activitynet.reader import open_activitynet
from benchmarks.caption_scores import Tokeniser, score_caption_split
from benchmarks.metrics.caption_java import Meteor, missing
from benchmarks.youcook2.reader import open_youcook2, read_caption_predictions
from core.errors import InputError
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
    report = score_caption_split(videos, predictions, Tokeniser.PLAIN)
    figures = report.figures
    assert percent(figures.precision) == expected["Precision_Mean"]
    assert percent(figures.recall) == expected["Recall_Mean"]
    assert percent(figures.f1_by_video) == expected["F1_Score"]
    assert [percent(p) for p in figures.precision_at.values()] == expected["P"]
    assert [percent(r) for r in figures.recall_at.values()] == expected["R"]
    assert round(figures.captions_per_video, 1) == expected["n_preds"]
    assert (figures.n, figures.failures, figures.meteor, figures.soda_c) == (415, 0, None, None)
    assert figures.f1_by_threshold != pytest.approx(figures.f1_by_video, abs=1e-3)
    assert percent(report.paragraph_cider) == expected["Para_CIDER"]  # letters alone: no tokeniser has a say
    assert 100 * figures.cider == pytest.approx(expected["CIDER"], abs=0.1)
    assert report.tokeniser == "plain"


@pytest.mark.slow
def test_captions_score_as_published(videos, predictions, expected):
    if reason := missing():
        pytest.skip(reason)
    done = []
    with Meteor() as meteor:
        report = score_caption_split(videos, predictions, meteor=meteor, progress=lambda n, of: done.append((n, of)))
    assert percent(report.figures.cider) == expected["CIDER"]
    assert percent(report.figures.meteor) == expected["METEOR"]
    assert percent(report.figures.soda_c) == expected["SODA_c_2"]
    assert percent(report.paragraph_cider) == expected["Para_CIDER"]
    assert percent(report.paragraph_meteor) == expected["Para_METEOR"]
    assert (report.tokeniser, done[-1]) == ("treebank", (415, 415))


def test_videos_without_captions_count_and_strangers_are_refused(videos, predictions):
    some = {video: predictions[video] for video in list(predictions)[:100]}
    figures = score_caption_split(videos, some, Tokeniser.PLAIN).figures
    assert (figures.n, figures.failures) == (415, 315)
    with pytest.raises(InputError, match="expected videos of the split, got one of 'x'"):
        score_caption_split(videos, {"x": predictions[videos[0].id]}, Tokeniser.PLAIN)


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
