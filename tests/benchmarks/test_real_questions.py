"""Real lines of MSVD, MSRVTT, TGIF and ActivityNet QA, and a real question of MAGQA: sources in `real/SOURCES.md`."""

import json
from pathlib import Path

import pytest

from benchmarks.data_checks.texts import find_file
from benchmarks.evaluation.report import RESULT, Choices
from benchmarks.registry import DATASETS
from benchmarks.video_qa.reader import VideoQuestion
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


# A question of MAGQA, its truth, a reply and a rating, as the prompt of its authors' judge quotes them; times made up.
CAR = {
    "question": "What is shown about the black car?",
    "truth": "At night a black car is parked in the open space with its headlights on. The lights are very dazzling.",
    "reply": "The car's headlights are on and dazzling.",
    "rating": 4,
}


def test_a_real_question_of_magqa_is_scored_as_its_authors_rate_the_reply(tmp_path):
    asked = {"role": "user", "content": CAR["question"], "time": 0.0}
    answer = {"content": CAR["truth"], "time": [0.0, 4.2]}
    question = {"question_id": "0", "video": "a.mp4", "conversation": [asked], "answer": [answer]}
    write(tmp_path / "magqa_test.json", [question])
    write(tmp_path / "magqa_train-0.25_0.5-earlier.json", [])
    system = {
        "role": "system",
        "content": "A multimodal AI assistant is helping users with some activities.",
        "time": 0,
    }
    turns = [system, asked, {"role": "assistant", "content": CAR["reply"], "time": 3.5}]
    said = write(tmp_path / "said.jsonl", [{"question_id": "0", "model_response_list": turns, "video_duration": 16.0}])
    rated = Choices(baselines=False, ratings=write(tmp_path / "ratings.jsonl", [CAR]))
    report = DATASETS["magqa"].evaluate(tmp_path, None, said, rated, silent)
    assert (report.rows[RESULT]["in_span"], report.rows[RESULT]["n"], report.failures) == (0.75, 1, ())
    truth = [{"role": "assistant", "content": CAR["truth"], "time": 0.0}]
    perfect = write(tmp_path / "truth.jsonl", [{"question_id": "0", "model_response_list": truth}])
    assert scored("magqa", tmp_path, perfect).rows[RESULT]["in_span"] == 1
