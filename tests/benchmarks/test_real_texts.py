"""Real lines of VTG-IT, TimeLens, TVSum and SumMe, and MMDuetIT in its real form: sources in `real/SOURCES.md`."""

import json

import h5py
import numpy as np
import pytest

from benchmarks.data_checks.inventory import Fault
from benchmarks.data_checks.texts import find_file
from benchmarks.evaluation.report import RESULT, TRUTH, Choices
from benchmarks.instructions.dialogue import Role, Turn
from benchmarks.moment_scores import MomentPrediction
from benchmarks.registry import DATASETS
from benchmarks.timelens.submission import check_results, write_results
from core.errors import AnnotationError
from tests.benchmarks.tiny_datasets import write
from tests.real_data import real_data


def silent(done, total):
    """No bar."""


def scored(name, data, said, split=None):
    return DATASETS[name].evaluate(data, split, said, Choices(), silent)


MIDNIGHT = "<TIME_ZERO>" * 4 + "<TIME_DOT><TIME_ZERO>"
VTG_IT = {
    "video": "yttemporal/videos/video-LWvcLI0lcFQ",
    "QA": [
        {
            "q": "Identify the video portion that relates to the provided text query 'A man in military uniform walks "
            "down a hallway.' and provide the starting and ending timestamps in seconds.",
            "a": f"{MIDNIGHT}-<TIME_ZERO><TIME_ZERO><TIME_ZERO><TIME_NINE><TIME_DOT><TIME_ZERO> seconds, A man in "
            "military uniform walks down a hallway.",
        }
    ],
    "source": "VTG-IT-MR",
}


def test_a_real_sample_of_vtg_it_is_found_under_its_name_and_read(tmp_path):
    write(tmp_path / "vtg-it-120k.json", [VTG_IT])
    (only,) = DATASETS["vtg_it"].open(tmp_path).dialogues()
    assert (only.id, only.video_id, len(only.turns)) == ("0", "yttemporal/videos/video-LWvcLI0lcFQ", 2)
    assert only.turns[1] == Turn(Role.ASSISTANT, "0-9 seconds, A man in military uniform walks down a hallway.")
    found = DATASETS["vtg_it"].check(tmp_path, None, None, silent)
    assert (found.good, found.counts["dialogues"], found.counts["turns"]) == (True, 1, 2)


RESULTS = """{
    "v_BrgYIg6UXhU.mp4>>>A man wearing a blue jacket approaches a blue car>>>[0.0, 4.0]":
    {
        "timestamps": [[0.0, 5.0]],
        "answers": "The event happens in 0.0 - 5.0 seconds."
    }
}
"""


@pytest.mark.parametrize("key", ["[0.0, 4.0]", "[0, 4]", "[0.0, 4]"])
@pytest.mark.parametrize("span", [[0.0, 4.0], [0, 4]])
def test_the_results_that_timelens_shows_are_scored_against_the_window_that_they_name(span, key, tmp_path):
    video = {"duration": 60, "spans": [span], "queries": ["A man wearing a blue jacket  approaches a blue car."]}
    write(tmp_path / "activitynet-timelens.json", {"v_BrgYIg6UXhU": video})
    said = write(tmp_path / "said.json", RESULTS.replace("[0.0, 4.0]", key))
    report = scored("timelens", tmp_path, said, "activitynet-timelens")
    assert (report.failures, report.rows[RESULT]["miou"], report.rows[RESULT]["r1_70"]) == ((), 0.8, 1)
    assert check_results(said, DATASETS["timelens"].open(tmp_path, "activitynet-timelens").queries()).problems == ()


# The first two of Charades, and of the training file a shortened first line and two events of two other lines.
TIMELENS_BENCH = {
    "3MSZA": {
        "duration": 31.0,
        "spans": [[25, 30], [1, 24], [0, 1], [23, 24]],
        "queries": [
            "A woman is repeatedly flipping the switch on the wall.",
            "A woman is eating chips.",
            "A woman holding chips leans against the door frame.",
            "The woman stands up straight from leaning on the door frame.",
        ],
    },
    "AMT7R": {
        "duration": 30.11241970021413,
        "spans": [[5, 30]],
        "queries": ["A person is putting clothes into a washing machine."],
    },
}
TIMELENS_100K = [
    {
        "source": "cosmo_cap",
        "video_path": "cosmo_cap/BVs52yd-RUQ.mp4",
        "duration": 117.42,
        "events": [
            {"query": "When does the speaker introduce himself and the company?", "span": [[0.0, 5.0]]},
            {"query": "Show me a close-up shot of the macadamia nut oil bottle.", "span": [[8.0, 12.0]]},
        ],
    },
    {
        "source": "didemo",
        "video_path": "didemo/53819037@N00_8893941905_0a957d015a.mp4",
        "duration": 180.5,
        "events": [
            {"query": "When can we see a woman in a green jacket speaking into a megaphone?", "span": [[169.0, 179.0]]},
            {"query": "Show the scene where people are holding a large white banner.", "span": [[0.0, 5.0]]},
        ],
    },
]


def test_real_videos_of_timelens_bench_are_read_and_score_as_themselves(tmp_path):
    write(tmp_path / "charades-timelens.json", TIMELENS_BENCH)
    queries = list(DATASETS["timelens"].open(tmp_path).queries())
    assert [(q.id, q.windows.tolist(), q.duration) for q in queries] == [
        ("3MSZA_0", [[25, 30]], 31), ("3MSZA_1", [[1, 24]], 31), ("3MSZA_2", [[0, 1]], 31), ("3MSZA_3", [[23, 24]], 31),
        ("AMT7R_0", [[5, 30]], 30.11241970021413),
    ]  # fmt: skip
    assert queries[1].text == "A woman is eating chips"
    found = DATASETS["timelens"].check(tmp_path, None, None, silent)
    assert (found.good, found.counts["queries"], found.faults()[Fault.ODD]) == (True, 5, 0)
    # as the authors' evaluation names them, whose keys have the annotation's numbers
    said = {
        f"{video}.mp4>>>{query.rstrip('.')}>>>{span}": {"timestamps": [span], "answers": ""}
        for video, entry in TIMELENS_BENCH.items()
        for query, span in zip(entry["queries"], entry["spans"], strict=True)
    }
    report = scored("timelens", tmp_path, write(tmp_path / "said.json", said))
    assert (report.failures, report.rows[RESULT]["miou"], report.rows[RESULT]["n"]) == ((), 1, 5)
    ours = tmp_path / "ours.json"
    write_results(ours, queries, {q.id: MomentPrediction(q.id, q.windows) for q in queries})
    assert scored("timelens", tmp_path, ours).rows == report.rows
    assert "3MSZA.mp4>>>A woman is eating chips>>>[1.0, 24.0]" in json.loads(ours.read_text())


def test_real_lines_of_timelens_100k_are_read_and_their_videos_found(tmp_path):
    write(tmp_path / "timelens-100k.jsonl", TIMELENS_100K)
    queries = list(DATASETS["timelens"].open(tmp_path, "timelens-100k").queries())
    assert [(q.id, q.windows.tolist()) for q in queries] == [
        ("cosmo_cap/BVs52yd-RUQ_0", [[0, 5]]),
        ("cosmo_cap/BVs52yd-RUQ_1", [[8, 12]]),
        ("didemo/53819037@N00_8893941905_0a957d015a_0", [[169, 179]]),
        ("didemo/53819037@N00_8893941905_0a957d015a_1", [[0, 5]]),
    ]
    assert [q.text[-4:] for q in queries] == ["any?", "ttle", "one?", "nner"]
    for line in TIMELENS_100K:
        video = tmp_path / "video_shards" / line["video_path"]
        write(video, "")
        assert find_file(tmp_path / "video_shards", line["video_path"].removesuffix(".mp4")) == video


def test_a_query_named_twice_in_two_ways_is_refused(tmp_path):
    one = {"timestamps": [[0.0, 5.0]], "answers": ""}
    said = write(tmp_path / "said.json", {"a.mp4>>>a>>>[0, 4]": one, "a.mp4>>>a>>>[0.0, 4.0]": one})
    with pytest.raises(AnnotationError, match=r"said\.json: .*expected each query once, got it again"):
        check_results(said, [])


def summaries(path, videos):
    """The file of the field: all its keys in their types, with values made up."""
    with h5py.File(path, "w") as handle:
        for name, (people, frames) in videos.items():
            picks = np.arange(0, frames, 15, dtype=np.int32)
            starts = np.arange(0, frames, 60, dtype=np.int32)
            ends = np.append(starts[1:] - 1, frames - 1).astype(np.int32)
            kept = np.zeros((people, frames), dtype=np.float32)
            kept[:, 60:180] = 1
            group = handle.create_group(name)
            group["features"] = np.zeros((len(picks), 4), dtype=np.float32)
            group["gtscore"] = kept[0][picks]
            group["gtsummary"] = kept[0][picks]
            group["user_summary"] = kept
            group["change_points"] = np.stack([starts, ends], axis=1)
            group["n_frame_per_seg"] = ends - starts + 1
            group["n_frames"] = np.array(frames)
            group["n_steps"] = np.array(len(picks))
            group["picks"] = picks
            if people != 20:  # of SumMe alone
                group["video_name"] = np.bytes_(name)


# What one person kept: the last of 17 of SumMe's "St Maarten Landing", the last of 20 of TVSum's iVt07TCkFM0.
KEPT = {"summe": (1751, [(1143, 1359)]), "tvsum": (2500, [(961, 1125), (1625, 1795), (2468, 2500)])}


@pytest.mark.parametrize("name", KEPT)
def test_what_a_real_person_kept_is_read_and_scores_as_itself(name, tmp_path):
    frames, spans = KEPT[name]
    kept = np.zeros((1, frames), dtype=np.float32)
    for start, end in spans:
        kept[:, start:end] = 1
    starts = np.array(sorted({0, *(t for span in spans for t in span)} - {frames}), dtype=np.int32)
    with h5py.File(tmp_path / f"eccv16_dataset_{name}_google_pool5.h5", "w") as handle:
        group = handle.create_group("video_1")
        group["user_summary"] = kept
        group["change_points"] = np.stack([starts, np.append(starts[1:], frames) - 1], axis=1)
        group["n_frames"] = np.array(frames)
        group["picks"] = np.arange(0, frames, 15, dtype=np.int32)
    (video,) = DATASETS[name].open(tmp_path).videos()
    assert (video.frames, int(video.people.sum()), len(video.picks)) == (frames, kept.sum(), -(-frames // 15))
    assert kept.sum() <= 0.15 * frames  # as summaries of this field are cut
    said = write(tmp_path / "said.json", {"video_1": kept[0].tolist()})
    report = scored(name, tmp_path, said)
    assert (report.failures, report.rows[RESULT]["f1"], report.rows[TRUTH]["f1"]) == ((), 1, 1)


@pytest.mark.parametrize(
    ("name", "videos"),
    [
        ("summe", {"video_1": (15, 4494), "video_12": (15, 950), "video_19": (17, 1751), "video_2": (18, 4729)}),
        ("tvsum", {"video_1": (20, 10597), "video_10": (20, 3995)}),
    ],
)
def test_summaries_of_the_real_shapes_and_keys_are_read_and_score_as_themselves(name, videos, tmp_path):
    summaries(tmp_path / f"eccv16_dataset_{name}_google_pool5.h5", videos)
    read = {v.id: v for v in DATASETS[name].open(tmp_path).videos()}
    assert {i: v.people.shape for i, v in read.items()} == videos
    assert [v.picks[-1] for v in read.values()] == [(frames - 1) // 15 * 15 for _, frames in videos.values()]
    found = DATASETS[name].check(tmp_path, None, None, silent)
    assert (found.good, found.counts["frames"]) == (True, sum(frames for _, frames in videos.values()))
    said = {i: [float(60 <= t < 180) for t in v.picks] for i, v in read.items()}
    report = scored(name, tmp_path, write(tmp_path / "said.json", said))
    assert (report.failures, report.rows[RESULT]["f1"]) == ((), pytest.approx(1))
    assert report.rows[RESULT]["f1"] == report.rows[TRUTH]["f1"]


# Two moments of HiREST that learners of grounding are given, under the keys of MMDuetIT's loader and its file's name.
GROUNDED = [
    {"video_uid": "d1iOnCn2ZAQ.mp4", "query": "Make a Plaster Mask", "timestamps": [[93, 320]]},
    {"video_uid": "x2AMc5GMmtY.mp4", "query": "Apply Glitter with Double Sided Tape", "timestamps": [[99, 224]]},
]


def test_groundings_of_mmduet_it_are_found_under_their_name_and_read_by_the_keys_of_its_loader(tmp_path):
    data = write(tmp_path / "hirest_grounding" / "annotations" / "train.json", GROUNDED).parent
    queries = list(DATASETS["mmduet_grounding"].open(data).queries())
    assert [(q.video_id, q.text, q.windows.tolist(), q.duration) for q in queries] == [
        ("d1iOnCn2ZAQ.mp4", "Make a Plaster Mask", [[93, 320]], None),
        ("x2AMc5GMmtY.mp4", "Apply Glitter with Double Sided Tape", [[99, 224]], None),
    ]
    found = DATASETS["mmduet_grounding"].check(data, None, None, silent)
    assert (found.good, found.counts["windows"], found.faults()[Fault.ODD]) == (True, 2, 0)
    video = write(tmp_path / "videos" / "d1iOnCn2ZAQ.mp4", "")  # named with its suffix, as the loader's list of lengths
    assert find_file(tmp_path / "videos", queries[0].video_id) == video


def test_groundings_may_hold_as_many_windows_as_the_loader_walks_through(tmp_path):
    windows = [[2.5, 4.0], [4.0, 6.2], [30, 42]]  # it cuts the video at them, one after another
    write(tmp_path / "train.json", [{**GROUNDED[0], "timestamps": windows}])
    (query,) = DATASETS["mmduet_grounding"].open(tmp_path).queries()
    assert query.windows.tolist() == windows


# Narrations of YouCook2, and a question of MAGQA with its true answer, under the keys of MMDuetIT's loaders; the times
# of the question are put here.
SAID = [
    {"text": "pick the ends off the verdalago", "time": 53.5, "timespan": [47, 60]},
    {"text": "combine lemon juice sumac garlic salt and oil in a bowl", "time": 78.0, "timespan": [67, 89]},
    {"text": "chop lettuce and place it in a bowl", "time": 94.5, "timespan": [91, 98], "learn": False},
]
ASKED = {"role": "user", "content": "What is shown about the black car?", "time": 0.5}
ANSWERED = {
    "role": "assistant",
    "content": "At night a black car is parked in the open space with its headlights on. The lights are very dazzling.",
    "time": 94.5,
    "timespan": [91, 98],
}
MMDUET = {
    "mmduet_narration": {
        "dvc_train-human_anno-0.25_0.5_earlier.json": {"xHr8X2Wpmno.mp4": {"0": SAID, "1": []}},
        "train-0.25_0.5_earlier-120s_240s.json": {"xHr8X2Wpmno.mp4": {"0": SAID}},
    },
    "mmduet_dialogue": {
        "magqa_train-0.25_0.5-earlier.json": [{"video_uid": "a", "conversation": [ASKED, ANSWERED]}],
    },
}


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, files in MMDUET.items() for file in files])
def test_mmduet_it_is_found_under_its_names_and_read_by_the_keys_of_its_loader(name, file, tmp_path):
    write(tmp_path / file, MMDUET[name][file])
    write(tmp_path / "magqa_test.json", [])
    found = DATASETS[name].check(tmp_path, None, None, silent)
    assert (found.good, found.counts["dialogues"]) == (True, 1)
    (dialogue,) = DATASETS[name].open(tmp_path).dialogues()
    assert (dialogue.turns[-1].time, dialogue.turns[-1].span) == (94.5, (91, 98))
    if name == "mmduet_narration":
        told = json.loads(real_data("youcook2/yc2_val.json").read_text())["v_xHr8X2Wpmno"]
        assert [turn.text for turn in dialogue.turns] == told["sentences"][:3]
        assert [list(turn.span) for turn in dialogue.turns] == told["timestamps"][:3]
        assert [turn.learn for turn in dialogue.turns] == [True, True, False]
    assert found.faults()[Fault.ODD] == 0


def test_a_narration_of_an_instant_is_read_as_the_loader_reads_it(tmp_path):
    write(tmp_path / "dvc_train-a.json", {"a.mp4": {"0": [{**SAID[0], "timespan": [47, 47]}]}})
    (dialogue,) = DATASETS["mmduet_narration"].open(tmp_path).dialogues()
    assert dialogue.turns[0].span == (47, 47)
    write(tmp_path / "dvc_train-a.json", {"a.mp4": {"0": [{**SAID[0], "timespan": [60, 47]}]}})
    with pytest.raises(AnnotationError, match="expected start <= end in seconds"):
        list(DATASETS["mmduet_narration"].open(tmp_path).dialogues())
