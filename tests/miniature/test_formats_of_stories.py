"""Moments, captions, questions, summaries and instructions in the benchmarks' formats: read as they were told."""

import h5py
import numpy as np
import pytest

from benchmarks.activitynet.reader import open_activitynet
from benchmarks.charades.reader import open_charades
from benchmarks.didemo.reader import open_didemo
from benchmarks.instructions.mmduet_it import read_conversations, read_groundings, read_narrations
from benchmarks.instructions.vtg_it import read_vtg_it
from benchmarks.magqa.reader import read_questions
from benchmarks.metrics.chunk_ranking import RUNS
from benchmarks.qvhighlights.reader import open_qvhighlights
from benchmarks.summaries.reader import open_summaries
from benchmarks.timelens.reader import open_timelens
from benchmarks.video_qa.reader import read_one_file, read_table, read_two_files
from benchmarks.youcook2.reader import open_youcook2
from core.errors import InputError
from core.video_files import FileReader
from miniature.formats import catalogue
from miniature.formats.catalogue import FORMATS, choose
from miniature.formats.dataset import Wanted, make_footage, write_formats
from miniature.formats.moments import chunk_runs, window_in_piece
from miniature.long_world import Moment, make_story

SEEDS = (200_005, 200_009)
TOLD = tuple(n for n, f in FORMATS.items() if f.long_only)
WANTED = Wanted(TOLD, long=True, seconds=54)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("world") / "valid"
    write_formats(place, "valid", SEEDS, WANTED)
    return place


@pytest.fixture(scope="module")
def stories():
    return {f"ml{seed}": make_story(seed, seconds=54) for seed in SEEDS}


def moments(stories, single=False):
    """(video, moment) in the order of the files."""
    return [(v, m) for v, s in stories.items() for m in s.moments if not single or len(m.windows) == 1]


def test_qvhighlights_windows_and_saliency_are_the_storys_and_test_hides_them(folder, stories):
    queries = list(open_qvhighlights(folder / "qvhighlights" / "highlight_val_release.jsonl").queries())
    for query, (video, moment) in zip(queries, moments(stories), strict=True):
        assert (query.video_id, query.text, query.duration) == (video, moment.text, 54.0)
        assert np.array_equal(query.windows, moment.windows)
        assert np.array_equal(query.saliency, moment.saliency)
    hidden = list(open_qvhighlights(folder / "qvhighlights" / "highlight_test_release.jsonl").queries())
    assert [q.text for q in hidden] == [q.text for q in queries]
    assert all(q.windows is None and q.saliency is None for q in hidden)


def test_charades_has_the_sentences_of_one_window(folder, stories):
    queries = list(open_charades(folder / "charades_sta" / "charades_sta_test.txt").queries())
    for query, (video, moment) in zip(queries, moments(stories, single=True), strict=True):
        assert (query.video_id, query.text) == (video, f"{moment.text}.")
        assert np.array_equal(query.windows, moment.windows)


def test_timelens_has_single_spans_in_the_benchmark_and_all_in_the_lines(folder, stories):
    bench = list(open_timelens(folder / "timelens" / "miniature-timelens.json").queries())
    lines = list(open_timelens(folder / "timelens" / "timelens-100k.jsonl").queries())
    for queries, wanted in ((bench, moments(stories, single=True)), (lines, moments(stories))):
        for query, (video, moment) in zip(queries, wanted, strict=True):
            assert (query.video_id, query.text, query.duration) == (video, moment.text, 54.0)
            assert np.array_equal(query.windows, moment.windows)


@pytest.mark.parametrize(("name", "annotator"), [("val_1", 0), ("val_2", 1)])
def test_activitynet_has_a_file_an_annotator(folder, stories, name, annotator):
    videos = list(open_activitynet(folder / "activitynet" / f"{name}.json").videos())
    for video, (told, story) in zip(videos, stories.items(), strict=True):
        captions = story.captions[annotator]
        assert (video.id, video.duration) == (told, 54.0)
        assert video.captions == tuple(c.text for c in captions)
        assert video.segments.tolist() == [[c.start, c.end] for c in captions]


@pytest.mark.parametrize(("name", "stop"), [("val.json", ""), ("val.caption_coco_format.json", ".")])
def test_youcook2_has_the_captions_in_both_forms(folder, stories, name, stop):
    videos = list(open_youcook2(folder / "youcook2" / name).videos())
    for video, (told, story) in zip(videos, stories.items(), strict=True):
        assert video.id == told
        assert video.captions == tuple(c.text + stop for c in story.captions[0])
        assert video.segments.tolist() == [[c.start, c.end] for c in story.captions[0]]


def test_didemo_pieces_hold_one_window_of_their_sentence(folder, stories):
    queries = list(open_didemo(folder / "didemo" / "val_data.json").chunk_queries())
    assert queries
    for query in queries:
        name, start, stop = query.video_id.removesuffix(".mp4").split("_")
        said = [m for m in stories[name].moments if m.text == query.text]
        inside = [np.clip(m.windows, int(start), int(stop)) - int(start) for m in said]
        windows = [w[w[:, 0] < w[:, 1]] for w in inside]
        assert any(len(w) == 1 and agrees(query.runs, *w[0]) for w in windows)
        assert len(query.runs) == 4
        assert query.chunks == -(-(int(stop) - int(start)) // 5)
        assert set(query.runs) <= set(RUNS)
        video = FileReader(folder / "didemo" / "videos" / query.video_id, name)
        assert video.meta.end == int(stop) - int(start)


def agrees(runs, start, end):
    """Whether the most chosen run is within half a chunk of the window, and the last annotator's covers it all."""
    (first, last), (low, high) = runs[0], runs[3]
    near = abs(first * 5 - start) <= 2.5 and abs(min((last + 1) * 5, 30) - end) <= 2.5
    short = end - start < 5 and first == last and first * 5 < end and start < (first + 1) * 5
    return (near or short) and low * 5 <= start < (low + 1) * 5 and high * 5 < end <= (high + 1) * 5


@pytest.mark.parametrize(
    ("window", "most", "touched"),
    [
        ((0, 30), [0, 5], [0, 5]),
        ((2, 6), [0, 0], [0, 1]),
        ((4, 12), [1, 1], [0, 2]),
        ((8, 10), [1, 1], [1, 1]),
        ((14, 16), [2, 2], [2, 3]),
        ((6, 14), [1, 2], [1, 2]),
    ],
    ids=str,
)
def test_chunks_of_a_window(window, most, touched):
    assert chunk_runs(*window) == (most, touched)


def test_magqa_questions_keep_their_answers_and_spans(folder, stories):
    questions = list(read_questions(folder / "magqa" / "shot2story-magqa_test.json"))
    told = [(v, q) for v, s in stories.items() for q in s.timed_questions]
    for question, (video, wanted) in zip(questions, told, strict=True):
        assert (question.id, question.video_id) == (f"{video}_{wanted.id}", f"{video}.mp4")
        assert (question.question, question.asked) == (wanted.text, wanted.asked)
        assert [(a.text, a.start, a.end) for a in question.answers] == [
            (a.text, a.start, a.end) for a in wanted.answers
        ]


def test_short_answers_are_the_same_in_all_four_question_formats(folder, stories):
    told = [(v, q) for v, s in stories.items() for q in s.questions]
    for found in (
        list(read_one_file(folder / "msvd_qa" / "test_qa.json")),
        list(read_one_file(folder / "msrvtt_qa" / "test_qa.json")),
        list(read_two_files(folder / "activitynet_qa" / "test_q.json", folder / "activitynet_qa" / "test_a.json")),
        list(read_table(folder / "tgif_qa" / "Test_frameqa_question.csv")),
    ):
        assert [(q.video_id, q.question, q.answer) for q in found] == [(v, q.text, q.answer) for v, q in told]
    choices = list(read_table(folder / "tgif_qa" / "Test_action_question.csv"))
    wanted = [(v, q.text, q.answer, q.options) for v, q in told if q.options]
    assert [(q.video_id, q.question, q.answer, q.options) for q in choices] == wanted


def test_summaries_are_the_frames_that_the_annotators_keep(folder, stories):
    path = folder / "summaries" / "miniature_summaries.h5"
    for video in open_summaries(path).videos():
        story = stories[video.id]
        assert np.array_equal(video.people, story.summaries)
        assert video.starts.tolist() == list(range(0, story.frames, 4))
        with h5py.File(path) as handle:
            assert np.allclose(handle[video.id]["gtscore"][:], story.importance.mean(axis=1) / 4)


def test_vtg_it_says_windows_and_captions_in_tokens(folder, stories):
    for dialogue, (video, story) in zip(read_vtg_it(folder / "vtg_it" / "vtg_it.json"), stories.items(), strict=True):
        assert dialogue.video_id == f"{video}.mp4"
        said = [t.text for t in dialogue.turns]
        first = story.moments[0]
        assert first.text in said[0]
        spans = ", ".join(f"{a:g} - {b:g} seconds" for a, b in first.windows)
        assert said[1] == f"It happens in {spans}."
        captions = said[2 * len(story.moments) + 1]
        assert captions == " ".join(f"{c.start:g} - {c.end:g} seconds, {c.text}." for c in story.captions[0])
        assert len(said) == 2 * (len(story.moments) + 3)


def test_mmduet_it_speaks_within_the_spans(folder, stories):
    place = folder / "mmduet_it"
    narrations = list(read_narrations(place / "narrations.json"))
    for dialogue, (video, story) in zip(narrations, stories.items(), strict=True):
        assert dialogue.video_id == video
        wanted = {(c.text, (c.start, c.end)) for c in story.captions[0]}
        assert {(t.text, t.span) for t in dialogue.turns} == wanted
        assert all(t.span[0] <= t.time <= t.span[1] for t in dialogue.turns)
    told = [(v, q) for v, s in stories.items() for q in s.timed_questions]
    for dialogue, (video, question) in zip(read_conversations(place / "conversations.json"), told, strict=True):
        asked, *answers = dialogue.turns
        assert (dialogue.video_id, asked.text, asked.time, asked.learn) == (video, question.text, question.asked, False)
        assert {(t.text, t.span) for t in answers} == {(a.text, (a.start, a.end)) for a in question.answers}
    for query, (video, moment) in zip(read_groundings(place / "groundings.json"), moments(stories), strict=True):
        assert (query.video_id, query.text) == (video, moment.text)
        assert np.array_equal(query.windows, moment.windows)


def test_videos_have_the_storys_frames_and_times_and_exist_once(folder):
    drawn = make_footage(SEEDS[0], WANTED)
    video = FileReader(folder / "videos" / f"{drawn.id}.mp4", drawn.id)
    assert video.meta.timestamps.tolist() == [t / 2 for t in range(108)]
    assert video.meta.end == 54.0
    assert np.abs(video.read([50])[0].astype(int) - drawn.frames[50]).mean() < 6
    for name in TOLD:
        if not FORMATS[name].own_videos:
            link = folder / name / "videos" / f"{drawn.id}.mp4"
            assert link.samefile(folder / "videos" / link.name)


def test_training_files_are_named_as_their_authors_name_them(tmp_path):
    write_formats(tmp_path / "t", "calib", [7], Wanted(TOLD, long=True, seconds=24))
    for name in (
        "charades_sta/charades_sta_train.txt", "activitynet/train.json", "didemo/train_data.json",
        "qvhighlights/highlight_train_release.jsonl", "timelens/timelens-100k.jsonl", "youcook2/train.json",
        "magqa/shot2story-magqa_train.json", "msvd_qa/train_qa.json", "tgif_qa/Train_frameqa_question.csv",
        "activitynet_qa/train_q.json", "vtg_it/vtg_it.json", "mmduet_it/groundings.json",
    ):  # fmt: skip
        assert (tmp_path / "t" / name).is_file()
    assert not (tmp_path / "t" / "qvhighlights" / "highlight_test_release.jsonl").exists()


def test_a_moment_with_two_windows_in_a_piece_is_left_out_of_didemo():
    windows = np.array([[0.0, 4.0], [8.0, 14.0], [40.0, 50.0]])
    moment = Moment("0", "a star spins", "event", windows, np.zeros((30, 3), dtype=np.int64), ("1",))
    assert window_in_piece(moment, 0, 30) is None
    assert window_in_piece(moment, 30, 60) == (40.0, 50.0)
    assert window_in_piece(moment, 6, 30) == (8.0, 14.0)
    assert window_in_piece(moment, 12, 36) is None  # two seconds of it are too few


def test_formats_are_chosen_by_name_in_the_catalogues_order():
    assert choose("all", long=True) == tuple(FORMATS)
    assert choose("magqa, mevis", long=True) == ("mevis", "magqa")
    assert set(choose("all", long=False)) == {n for n, f in FORMATS.items() if not f.long_only}
    with pytest.raises(InputError, match="expected --long with magqa"):
        choose("magqa", long=False)
    with pytest.raises(InputError, match="expected all or some of mevis"):
        choose("nonsense", long=True)


def test_every_format_has_its_media():
    assert {f.media for f in FORMATS.values()} == set(catalogue.Media)
    assert [n for n, f in FORMATS.items() if f.own_videos] == ["didemo"]
