"""Real lines of VTG-IT and TimeLens, and TVSum, SumMe and MMDuetIT in their real form: sources in `real/SOURCES.md`."""

import h5py
import numpy as np
import pytest

from benchmarks.data_checks.inventory import Fault
from benchmarks.evaluation.report import RESULT, TRUTH, Choices
from benchmarks.instructions.dialogue import Role, Turn
from benchmarks.registry import DATASETS
from benchmarks.timelens.submission import check_results
from core.errors import AnnotationError
from tests.benchmarks.tiny_datasets import write


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


@pytest.mark.parametrize(
    ("name", "videos"),
    [
        ("summe", {"video_1": (15, 4494), "video_12": (15, 950), "video_19": (17, 1751), "video_2": (18, 4729)}),
        ("tvsum", {"video_1": (20, 1000)}),
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


SAID = {"text": "A man walks.", "time": 4.5, "timespan": [0, 9], "learn": False}
ASKED = {"role": "user", "content": "What happens?", "time": 0.5}
ANSWERED = {"role": "assistant", "content": "A man walks.", "time": 4.5, "timespan": [0, 9]}
MMDUET = {
    "mmduet_narration": {
        "dvc_train-human_anno-0.25_0.5_earlier.json": {"a": {"0": [SAID], "1": []}},
        "train-0.25_0.5_earlier-120s_240s.json": {"a": {"0": [SAID]}},
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
    assert (dialogue.turns[-1].time, dialogue.turns[-1].span) == (4.5, (0, 9))
    assert found.faults()[Fault.ODD] == 0
