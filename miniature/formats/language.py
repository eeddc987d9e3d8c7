"""Writers of captions, questions and summaries: YouCook2, MAGQA, MSVD-, MSRVTT-, TGIF- and ActivityNet-QA, TVSum.

Knows their files. Does not know how videos are drawn or in which order they come. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np

from miniature.formats.files import Role, write_json, write_lines
from miniature.formats.footage import Footage
from miniature.long_world.spec import CLIP_FRAMES

ACTIVITYNET_KINDS: Final = {"act": 0, "order": 2, "yesno": 3, "colour": 4, "shape": 5, "count": 7}
"""The numbers of ActivityNet-QA's own kinds that come nearest: motion, temporal, yes/no, colour, object, number."""

_Part = dict[str, Any]


def youcook2_part(footage: Footage, media: Sequence[Path], folder: Path, role: Role) -> _Part:
    """The first annotator's captions in time order."""
    told = footage.told()
    return {
        "id": footage.id,
        "duration": float(told.duration),
        "timestamps": [[c.start, c.end] for c in told.captions[0]],
        "sentences": [c.text for c in told.captions[0]],
    }


def youcook2_finish(folder: Path, role: Role, parts: Sequence[_Part]) -> None:
    """{train,val}.json, and the same as VTG-LLM's {train,val}.caption_coco_format.json."""
    name = "train" if role is Role.TRAIN else "val"
    write_json(folder / f"{name}.json", {p["id"]: {k: v for k, v in p.items() if k != "id"} for p in parts})
    annotations = [
        {
            "image_id": f"{p['id']}.mp4",
            "id": n,
            "duration": p["duration"],
            "segments": p["timestamps"],
            "pure_cap": ". ".join(p["sentences"]),
        }
        for n, p in enumerate(parts)
    ]
    write_json(folder / f"{name}.caption_coco_format.json", {"annotations": annotations})


def magqa_part(footage: Footage, media: Sequence[Path], folder: Path, role: Role) -> list[_Part]:
    """The timed questions with all answers."""
    return [
        {
            "question_id": f"{footage.id}_{q.id}",
            "video": f"{footage.id}.mp4",
            "conversation": [{"role": "user", "content": q.text, "time": q.asked}],
            "answer": [{"content": a.text, "time": [a.start, a.end]} for a in q.answers],
        }
        for q in footage.told().timed_questions
    ]


def magqa_finish(folder: Path, role: Role, parts: Sequence[list[_Part]]) -> None:
    """shot2story-magqa_{train,test}.json."""
    name = "train" if role is Role.TRAIN else "test"
    write_json(folder / f"shot2story-magqa_{name}.json", [entry for entries in parts for entry in entries])


def questions_part(footage: Footage, media: Sequence[Path], folder: Path, role: Role) -> list[_Part]:
    """The questions, for all four formats of short answers."""
    return [
        {"id": q.id, "video": footage.id, "question": q.text, "answer": q.answer, "kind": q.kind, "options": q.options}
        for q in footage.told().questions
    ]


def one_file_finish(folder: Path, role: Role, parts: Sequence[list[_Part]]) -> None:
    """{train,test}_qa.json as MSVD-QA and MSRVTT-QA have it."""
    every = (entry for entries in parts for entry in entries)
    rows = [
        {"answer": e["answer"], "id": n, "question": e["question"], "video_id": e["video"]} for n, e in enumerate(every)
    ]
    write_json(folder / f"{_half(role)}_qa.json", rows)


def activitynet_qa_finish(folder: Path, role: Role, parts: Sequence[list[_Part]]) -> None:
    """{train,test}_q.json and {train,test}_a.json, which share question_ids."""
    every = [(f"{e['video']}_{e['id']}", e) for entries in parts for e in entries]
    questions = [{"video_name": e["video"], "question": e["question"], "question_id": i} for i, e in every]
    answers = [{"answer": e["answer"], "type": ACTIVITYNET_KINDS[e["kind"]], "question_id": i} for i, e in every]
    write_json(folder / f"{_half(role)}_q.json", questions)
    write_json(folder / f"{_half(role)}_a.json", answers)


def tgif_finish(folder: Path, role: Role, parts: Sequence[list[_Part]]) -> None:
    """Tables with tabs: Train or Test _frameqa_question.csv of all, _action_question.csv of those with five options."""
    every = [e for entries in parts for e in entries]
    rows = ["gif_name\tquestion\tanswer\ttype\tvid_id"]
    rows += ["\t".join((e["video"], e["question"], e["answer"], e["kind"], f"FRAMEQA{n}")) for n, e in enumerate(every)]
    write_lines(folder / f"{_half(role).capitalize()}_frameqa_question.csv", rows)
    rows = ["gif_name\tquestion\ta1\ta2\ta3\ta4\ta5\tanswer\tvid_id\tkey"]
    for n, e in enumerate(every):
        if e["options"]:
            right = str(e["options"].index(e["answer"]))
            rows.append("\t".join((e["video"], e["question"], *e["options"], right, f"ACTION{n}", str(n))))
    write_lines(folder / f"{_half(role).capitalize()}_action_question.csv", rows)


def _half(role: Role) -> str:
    return "train" if role is Role.TRAIN else "test"


def summaries_part(footage: Footage, media: Sequence[Path], folder: Path, role: Role) -> _Part:
    """Which frames each annotator keeps; the shots are the 2-second clips, one frame of each looked at."""
    told = footage.told()
    return {"id": footage.id, "kept": told.summaries.astype(np.int8).tolist(), "scores": told.importance.tolist()}


def summaries_finish(folder: Path, role: Role, parts: Sequence[_Part]) -> None:
    """One HDF5 file with a group a video, as the field shares TVSum; gtscore is the mean importance in 0..1."""
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "miniature_summaries.h5", "w") as handle:
        for part in parts:
            kept, scores = np.array(part["kept"], dtype=np.float32), np.array(part["scores"], dtype=np.float32)
            frames, group = kept.shape[1], handle.create_group(part["id"])
            starts = np.arange(0, frames, CLIP_FRAMES)
            ends = np.append(starts[1:], frames) - 1
            group["user_summary"] = kept
            group["change_points"] = np.stack([starts, ends], axis=1)
            group["n_frame_per_seg"] = ends - starts + 1
            group["n_frames"] = frames
            group["picks"] = starts
            group["gtscore"] = scores.mean(axis=1) / 4
            group["n_steps"] = len(starts)
