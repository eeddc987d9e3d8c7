"""Real lines of video questions, VTG-IT and TimeLens, and files in their real form: sources in `real/SOURCES.md`."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks.data_checks.inventory import Fault
from benchmarks.data_checks.texts import find_file
from benchmarks.evaluation.report import RESULT, TRUTH, Choices
from benchmarks.instructions.dialogue import Role, Turn
from benchmarks.registry import DATASETS
from benchmarks.timelens.submission import check_results
from benchmarks.video_qa.reader import VideoQuestion
from core.errors import AnnotationError
from tests.benchmarks.tiny_datasets import write

REAL = Path(__file__).parent / "real"


def silent(done, total):
    """No bar."""


def questions(name, data, split=None):
    return list(DATASETS[name].open(data, split).questions())


def scored(name, data, said, split=None):
    return DATASETS[name].evaluate(data, split, said, Choices(), silent)


def test_real_questions_of_msvd(tmp_path):
    data = REAL / "msvd_qa"
    found = questions("msvd_qa", data)
    assert len(found) == 5
    assert found[0] == VideoQuestion(
        "37348", "1451", "who opened the box that held an automatic weapon in a gun?", "someone", (), "who"
    )
    assert [(q.answer, q.kind) for q in found[2:]] == [("contain", "what"), ("two", "how"), ("wildernes", "what")]
    said = write(tmp_path / "said.json", {q.id: q.answer.title() for q in found})
    report = scored("msvd_qa", data, said)
    assert (report.rows[RESULT]["accuracy"], report.failures) == (1, ())
    assert {kind: part["n"] for kind, part in report.parts.items()} == {"how": 1, "what": 3, "who": 1}
    check = DATASETS["msvd_qa"].check(data, None, None, silent)
    assert (check.good, check.counts["questions"], check.counts["videos"]) == (True, 5, 3)


MSRVTT = (
    '[{"answer": "couch", "category_id": 14, "id": 158581, "question": "what are three people sitting on?", '
    '"video_id": 6513}, {"answer": "coversation", "category_id": 14, "id": 158582, '
    '"question": "what is a family having?", "video_id": 6513}]'
)


def test_real_questions_of_msrvtt(tmp_path):
    write(tmp_path / "val_qa.json", MSRVTT)
    found = questions("msrvtt_qa", tmp_path, "val")
    assert [(q.id, q.video_id, q.answer) for q in found] == [
        ("158581", "6513", "couch"), ("158582", "6513", "coversation"),
    ]  # fmt: skip
    said = write(tmp_path / "said.jsonl", [{"id": 158581, "pred": "Couch."}, {"id": 158582, "pred": "conversation"}])
    assert scored("msrvtt_qa", tmp_path, said, "val").rows[RESULT]["accuracy"] == 0.5


def test_real_questions_of_activitynet(tmp_path):
    data = REAL / "activitynet_qa"
    found = questions("activitynet_qa", data)
    assert found[2] == VideoQuestion(
        "v_-vY2uUmv6Dk_3", "-vY2uUmv6Dk", "does the person in green have long hair", "no", (), "3"
    )
    assert [(q.answer, q.kind) for q in found] == [
        ("no", "3"), ("yes", "3"), ("no", "3"), ("no", "3"), ("yes", "3"), ("day", "8"),
    ]  # fmt: skip
    answers = json.loads((data / "test_a.json").read_text())
    said = write(tmp_path / "said.json", [{"question_id": a["question_id"], "answer": a["answer"]} for a in answers])
    report = scored("activitynet_qa", data, said)
    assert (report.rows[RESULT]["accuracy"], report.rows["the commonest answer"]["accuracy"]) == (1, 0.5)
    assert {kind: part["n"] for kind, part in report.parts.items()} == {"3": 5, "8": 1}


TGIF = {
    "Test_frameqa": (
        "gif_name\tquestion\tanswer\ttype\tvid_id\tkey\tdescription\n"
        "tumblr_no73q2fm0I1uuf348o1_250\twhat is being placed in the white ice cream cone ?\tcookie\t0\tFRAMEQA1159"
        "\t27138\ta chocolate cookie is being placed in a white ice cream cone .\n"
        "tumblr_nedt1ck9181ttuja3o1_250\twhere is the guy walking very funny . ?\tmachine\t3\tFRAMEQA9405\t2853"
        "\ta guy is walking very funny in a machine .\n",
        {"0": "cookie", "1": "machine"},
    ),
    "Test_count": (
        "gif_name\tquestion\tanswer\tvid_id\tkey\n"
        "tumblr_nezfs4uELd1u1a7cmo1_250\tHow many times does the man adjust waistband ?\t3\tCOUNT12\t52\n"
        "tumblr_nnzm18sXEV1rdynt3o1_500\tHow many times does the man step up ?\t10\tCOUNT46\t168\n",
        {"0": "3", "1": "10"},
    ),
    "Test_action": (
        "gif_name\tquestion\ta1\ta2\ta3\ta4\ta5\tanswer\tvid_id\tkey\n"
        "tumblr_nk172bbdPI1u1lr18o1_250\tWhat does the butterfly do 10 or more than 10 times ?\tstuff marshmallow"
        "\tholds a phone towards face\tfall over\ttalk\tflap wings\t4\tACTION4\t26\n"
        "tumblr_nrbadcfz6Q1uahi84o1_250\tWhat does the man do 4 times ?\tkiss woman's cheek\tshrug\tspit\tblink\tjerk"
        "\t0\tACTION142\t470\n",
        {"0": "E", "1": "kiss woman's cheek"},
    ),
    "Test_transition": (
        "gif_name\tquestion\ta1\ta2\ta3\ta4\ta5\tanswer\tvid_id\tkey\n"
        "tumblr_n9y2jhq01L1rts5xfo1_250\tWhat does the man do before point to the camera ?"
        "\tvacuum with unnattached tube\ttilt head\ttip hat\tremoves glasses\tsing passionately\t4\tTRANS23\t23\n"
        "tumblr_n9y2jhq01L1rts5xfo1_250\tWhat does the man do after sing passionately ?\tpoint to the camera"
        "\tdance in black\tlick out tongue\tdrift into turn\tflicker\t0\tTRANS24\t23\n",
        {"0": "(e) sing passionately", "1": "Answer: A."},
    ),
}


@pytest.mark.parametrize("split", TGIF)
def test_real_rows_of_the_four_tables_of_tgif(split, tmp_path):
    table, said = TGIF[split]
    write(tmp_path / f"{split}_question.csv", table)
    first, second = questions("tgif_qa", tmp_path, split)
    assert [(q.answer, q.kind, len(q.options)) for q in (first, second)] == {
        "Test_frameqa": [("cookie", "0", 0), ("machine", "3", 0)],
        "Test_count": [("3", "", 0), ("10", "", 0)],
        "Test_action": [("flap wings", "", 5), ("kiss woman's cheek", "", 5)],
        "Test_transition": [("sing passionately", "", 5), ("point to the camera", "", 5)],
    }[split]
    assert all(q.video_id.startswith("tumblr_n") and q.question.endswith("?") for q in (first, second))
    report = scored("tgif_qa", tmp_path, write(tmp_path / "said.json", said), split)
    assert (report.rows[RESULT]["accuracy"], report.rows[RESULT]["n"], report.failures) == (1, 2, ())


@pytest.mark.parametrize(
    ("file", "video"),
    [
        ("vid1451.avi", "1451"),
        ("video6513.mp4", "6513"),
        ("v_1QIUV7WYKXg.mp4", "1QIUV7WYKXg"),
        ("tumblr_nezfs4uELd1u1a7cmo1_250.gif", "tumblr_nezfs4uELd1u1a7cmo1_250"),
    ],
)
def test_videos_are_found_under_the_names_that_their_datasets_give_them(file, video, tmp_path):
    (tmp_path / file).touch()
    assert find_file(tmp_path, video) == tmp_path / file
    assert find_file(tmp_path, "145") is None


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
