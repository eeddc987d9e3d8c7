"""The datasets by name: of which kind, with which splits, as what under --data, and what is scored against them.

Data alone, so that a command's help can name them at once; `benchmarks.registry` has the code of each. Knows names.
Does not know files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a dataset asks for."""

    MASKS = "masks"
    BOXES = "boxes"
    MOMENTS = "moments"
    CAPTIONS = "captions"
    DESCRIPTIONS = "descriptions"
    QUESTIONS = "questions"
    TIMED_ANSWERS = "timed answers"
    SUMMARIES = "summaries"
    INSTRUCTIONS = "instructions"


@dataclass(frozen=True)
class Entry:
    """One dataset.

    splits: the names that its authors use, the one meant by default first; other names are tried as they are.
    layout: what is looked for under --data.   predictions: what is scored; "" where nothing is.
    """

    name: str
    kind: Kind
    splits: tuple[str, ...]
    layout: str
    predictions: str


_MASKS: Final = "a zip or folder of <video>/<expression>/<frame>.png, or answers.json files"
_BOXES: Final = "a folder of <sequence>.txt, x,y,w,h a line"
_MOMENTS: Final = "a score file (core/SCORES.md), QVHighlights JSON lines, Charades-STA or TimeLens JSON"
_ANSWERS: Final = "JSON {question id: answer}, or lines of {id, pred}"
_QA: Final = "<split>_qa.json"

_ALL: Final = (
    Entry(
        "mevis", Kind.MASKS, ("valid_u", "train", "valid"),
        "<split>/meta_expressions.json or v2's meta_expressions_v2.json, mask_dict.json, JPEGImages/", _MASKS,
    ),
    Entry(
        "ref_youtube_vos", Kind.MASKS, ("valid", "train", "test"),
        "meta_expressions/<split>/meta_expressions.json, <split>/JPEGImages/, <split>/Annotations/", _MASKS,
    ),
    Entry(
        "ref_davis", Kind.MASKS, ("valid", "train"),
        "Ref-YouTube-VOS's layout, or davis_text_annotations/ beside DAVIS (splits val, train)", _MASKS,
    ),
    Entry(
        "lasot", Kind.BOXES, ("test", "train", "all"),
        "<class>/<sequence>/groundtruth.txt .. or annos/<sequence>.txt, testing_set.txt", _BOXES,
    ),
    Entry("otb", Kind.BOXES, ("all",), "<Sequence>/groundtruth_rect.txt, img/", _BOXES),
    Entry(
        "got10k", Kind.BOXES, ("val", "train", "test"),
        "<split>/list.txt, <split>/<sequence>/groundtruth.txt, cover.label, meta_info.ini", _BOXES,
    ),
    Entry(
        "elysium_track", Kind.BOXES, ("val", "train"),
        "<split>.jsonl or .json, ElysiumTrack-val500.json or ElysiumTrack-1M.json", _BOXES,
    ),
    Entry("rsot", Kind.BOXES, ("test", "train"), "<split>.jsonl or RSOT.jsonl in ElysiumTrack's form", _BOXES),
    Entry(
        "video_reg", Kind.DESCRIPTIONS, ("val", "train"), "<split>.jsonl in ElysiumTrack's form",
        "JSON {line id: description}",
    ),
    Entry("charades_sta", Kind.MOMENTS, ("test", "train"), "charades_sta_<split>.txt or .json", _MOMENTS),
    Entry("activitynet", Kind.MOMENTS, ("val_1", "val_2", "train"), "<split>.json", _MOMENTS),
    Entry("didemo", Kind.MOMENTS, ("val", "test", "train"), "<split>_data.json", _MOMENTS),
    Entry(
        "qvhighlights", Kind.MOMENTS, ("val", "train", "test"),
        "highlight_<split>_release.jsonl", _MOMENTS,
    ),
    Entry(
        "timelens", Kind.MOMENTS,
        ("charades-timelens", "activitynet-timelens", "qvhighlights-timelens", "timelens-100k"),
        "<split>.json or .jsonl", _MOMENTS,
    ),
    Entry("mmduet_grounding", Kind.MOMENTS, ("train", "test"), "<split>.json or groundings.json", _MOMENTS),
    Entry(
        "activitynet_captions", Kind.CAPTIONS, ("val_1+val_2", "val_1", "val_2", "train"), "<split>.json",
        "densevid_eval's submission",
    ),
    Entry(
        "youcook2", Kind.CAPTIONS, ("val", "train"), "yc2_<split>.json or <split>.json",
        "JSON {video: [{timestamp, caption}]}",
    ),
    Entry("msvd_qa", Kind.QUESTIONS, ("test", "val", "train"), _QA, _ANSWERS),
    Entry("msrvtt_qa", Kind.QUESTIONS, ("test", "val", "train"), _QA, _ANSWERS),
    Entry(
        "tgif_qa", Kind.QUESTIONS,
        ("Test_frameqa", "Test_action", "Test_transition", "Test_count", "Train_frameqa", "Train_action",
         "Train_transition", "Train_count"),
        "<split>_question.csv", _ANSWERS,
    ),
    Entry("activitynet_qa", Kind.QUESTIONS, ("test", "val", "train"), "<split>_q.json and <split>_a.json", _ANSWERS),
    Entry(
        "magqa", Kind.TIMED_ANSWERS, ("test", "train"), "shot2story-magqa_<split>.json or <split>.json",
        "JSON lines {question_id, model_response_list}",
    ),
    Entry("tvsum", Kind.SUMMARIES, ("all",), "*tvsum*.h5 or *summaries*.h5", "JSON {video: [importance]}"),
    Entry("summe", Kind.SUMMARIES, ("all",), "*summe*.h5 or *summaries*.h5", "JSON {video: [importance]}"),
    Entry("vtg_it", Kind.INSTRUCTIONS, ("train",), "<split>.json, vtg_it.json or vtg-it-120k.json", ""),
    Entry(
        "mmduet_narration", Kind.INSTRUCTIONS, ("train", "test"),
        "<split>.json, narrations.json or dvc_<split>-*.json", "",
    ),
    Entry(
        "mmduet_dialogue", Kind.INSTRUCTIONS, ("train", "test"),
        "<split>.json, conversations.json or magqa_<split>-*.json", "",
    ),
)  # fmt: skip

CATALOG: Final[Mapping[str, Entry]] = {entry.name: entry for entry in _ALL}


def names() -> str:
    """The names of all datasets, for help and messages."""
    return ", ".join(CATALOG)
