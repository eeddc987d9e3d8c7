"""Every dataset of the catalog in small, as its authors lay it out, with predictions that equal its truth."""

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

SIZE = (12, 16)
BOXES = "3,3,4,4\n4,4,4,4\n"


@dataclass(frozen=True)
class Tiny:
    """A split on disk. annotations: the files that a test may damage, each of which the split needs."""

    data: Path
    predictions: Path
    annotations: tuple[Path, ...]
    split: str | None = None


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, list) and path.suffix == ".jsonl":
        content = "".join(json.dumps(row) + "\n" for row in content)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def square(frame):
    """The true mask of a frame: 4 x 4 pixels that move by one a frame."""
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[2 + frame : 6 + frame, 2 + frame : 6 + frame] = 1
    return mask


def png(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, dtype=np.uint8)).save(path)


def pictures(folder, *names):
    for name in names:
        png(folder / name, np.full((*SIZE, 3), 90))


def rle_json(mask):
    from core import rle

    return rle.to_json(rle.encode(mask[None].astype(bool))[0], SIZE)


def mask_answers(root, frames, *expressions):
    for expression in expressions:
        for i, frame in enumerate(frames):
            png(root / "a" / expression / f"{frame}.png", square(i) * 255)
    return root


def mevis(root):
    frames = ["00000", "00001"]
    pictures(root / "valid_u" / "JPEGImages" / "a", *(f"{f}.jpg" for f in frames))
    expressions = {"0": {"exp": "a square", "anno_id": [7]}, "1": {"exp": "a disc", "anno_id": []}}
    meta = write(
        root / "valid_u" / "meta_expressions.json", {"videos": {"a": {"frames": frames, "expressions": expressions}}}
    )
    masks = write(root / "valid_u" / "mask_dict.json", {"7": [rle_json(square(i)) for i in range(2)]})
    said = mask_answers(root / "said", frames, "0")
    for frame in frames:
        png(said / "a" / "1" / f"{frame}.png", np.zeros(SIZE))
    return Tiny(root, said, (meta, masks))


def ref_youtube_vos(root, expressions=1, split="valid"):
    frames = ["00000", "00005"]
    pictures(root / split / "JPEGImages" / "a", *(f"{f}.jpg" for f in frames))
    for i, frame in enumerate(frames):
        png(root / split / "Annotations" / "a" / f"{frame}.png", square(i))
    texts = {str(i): {"exp": f"square {i}", "obj_id": "1"} for i in range(expressions)}
    meta = write(
        root / "meta_expressions" / split / "meta_expressions.json",
        {"videos": {"a": {"frames": frames, "expressions": texts}}},
    )
    return Tiny(root, mask_answers(root / "said", frames, *texts), (meta,))


def ref_davis(root):
    return ref_youtube_vos(root, 4)


def lasot(root):
    folder = root / "cat" / "cat-1"
    pictures(folder / "img", "00000001.jpg", "00000002.jpg")
    files = [write(folder / "groundtruth.txt", BOXES)]
    files += [write(folder / f"{name}.txt", "0,0") for name in ("full_occlusion", "out_of_view")]
    write(folder / "nlp.txt", "a cat")
    files.append(write(root / "testing_set.txt", "cat-1\n"))
    write(root / "said" / "cat-1.txt", BOXES)
    return Tiny(root, root / "said", tuple(files))


def otb(root):
    pictures(root / "Car" / "img", "0001.jpg", "0002.jpg")
    write(root / "said" / "Car.txt", BOXES)
    return Tiny(root, root / "said", (write(root / "Car" / "groundtruth_rect.txt", BOXES),))


def got10k(root):
    folder = root / "val" / "a"
    pictures(folder, "00000001.jpg", "00000002.jpg")
    files = [write(root / "val" / "list.txt", "a\n"), write(folder / "groundtruth.txt", BOXES)]
    files += [write(folder / "cover.label", "8\n8\n"), write(folder / "meta_info.ini", "resolution: (16, 12)\n")]
    write(root / "said" / "a.txt", BOXES)
    return Tiny(root, root / "said", tuple(files))


def elysium(root, split):
    pictures(root / "v", "0.jpg", "1.jpg")
    shares = [[x / 16, x / 12, (x + 4) / 16, (x + 4) / 12] for x in (2, 3)]
    line = {"id": "x", "vid": "v", "frames": ["v/0.jpg", "v/1.jpg"], "box": shares, "frame_size": [16, 12]}
    second = {**line, "id": "y", "object_description": "a blue disc"}
    path = write(root / f"{split}.jsonl", [{**line, "object_description": "a red square"}, second])
    for name in "xy":
        write(root / "said" / f"{name}.txt", "2,2,4,4\n3,3,4,4\n")
    return Tiny(root, root / "said", (path,))


def elysium_track(root):
    return elysium(root, "val")


def rsot(root):
    return elysium(root, "test")


def video_reg(root):
    tiny = elysium(root, "val")
    return Tiny(root, write(root / "said.json", {"x": "a red square", "y": "a blue disc"}), tiny.annotations)


def charades_sta(root):
    lines = "A 3.0 4.0##a man sits\nB 2.0 9.5##a dog runs\n"
    said = {"0": {"timestamp": [[3.0, 4.0]]}, "1": {"timestamp": [[2.0, 9.5]]}}
    return Tiny(root, write(root / "said.json", said), (write(root / "charades_sta_test.txt", lines),))


def _videos():
    return {
        "v_a": {"duration": 9.0, "timestamps": [[0, 3], [4, 9]], "sentences": ["A man sits.", "He runs away."]},
        "v_b": {"duration": 20.0, "timestamps": [[5, 15]], "sentences": ["A dog barks loudly."]},
    }


def activitynet(root):
    said = {"v_a_0": [[0, 3]], "v_a_1": [[4, 9]], "v_b_0": [[5, 15]]}
    said = write(root / "said.json", {i: {"timestamp": windows} for i, windows in said.items()})
    return Tiny(root, said, (write(root / "val_1.json", _videos()),))


def didemo(root):
    entry = {"video": "a.mp4", "num_segments": 6}
    rows = [
        {**entry, "annotation_id": 1, "description": "a cat", "times": [[0, 0]] * 4},
        {**entry, "annotation_id": 2, "description": "a dog", "times": [[2, 3]] * 4},
    ]
    said = write(root / "said.json", {"1": {"timestamp": [[0, 5]]}, "2": {"timestamp": [[10, 20]]}})
    return Tiny(root, said, (write(root / "val_data.json", rows),))


def qvhighlights(root):
    base = {"query": "a cat", "vid": "a", "duration": 150}
    windows = ([[0, 8]], [[10, 30]], [[40, 100]])
    rows = []
    for i, own in enumerate(windows):
        clips = list(range(own[0][0] // 2, own[0][1] // 2))
        scores = [[4, 4, 4]] * len(clips)
        found = {"qid": i, "relevant_windows": own, "relevant_clip_ids": clips, "saliency_scores": scores}
        rows.append({**base, **found})
    said = []
    for row in rows:
        saliency = [4.0 * (i in row["relevant_clip_ids"]) for i in range(75)]
        found = [[*w, 1.0] for w in row["relevant_windows"]]
        said.append({**base, "qid": row["qid"], "pred_relevant_windows": found, "pred_saliency_scores": saliency})
    path = write(root / "highlight_val_release.jsonl", rows)
    return Tiny(root, write(root / "said.jsonl", said), (path,))


def timelens(root):
    video = {"duration": 30.0, "spans": [[2.0, 9.0], [10.0, 20.0]], "queries": ["a man sits", "a dog runs"]}
    pairs = zip(video["queries"], video["spans"], strict=True)
    said = {f"A.mp4>>>{q}>>>{s}": {"timestamps": [s], "answers": ""} for q, s in pairs}
    return Tiny(root, write(root / "said.json", said), (write(root / "charades-timelens.json", {"A": video}),))


def mmduet_grounding(root):
    rows = [{"video_uid": "a", "query": "a cat", "timestamps": [[0, 4], [8, 9]]}]
    said = write(root / "said.json", {"0": {"timestamp": [[0, 4], [8, 9]]}})
    return Tiny(root, said, (write(root / "train.json", rows),))


def activitynet_captions(root):
    results = {
        name: [
            {"sentence": text, "timestamp": span}
            for text, span in zip(video["sentences"], video["timestamps"], strict=True)
        ]
        for name, video in _videos().items()
    }
    said = {"version": "VERSION 1.0", "results": results, "external_data": {"used": False, "details": ""}}
    files = tuple(write(root / f"{name}.json", _videos()) for name in ("val_1", "val_2"))
    return Tiny(root, write(root / "said.json", said), files)


def youcook2(root):
    said = {
        name: [
            {"caption": text, "timestamp": span}
            for text, span in zip(video["sentences"], video["timestamps"], strict=True)
        ]
        for name, video in _videos().items()
    }
    return Tiny(root, write(root / "said.json", said), (write(root / "yc2_val.json", _videos()),))


def _one_file(root):
    texts = (("what is it", "cat"), ("who sits", "man"), ("what runs", "cat"))
    rows = [{"id": i, "question": q, "answer": a, "video_id": i} for i, (q, a) in enumerate(texts)]
    said = write(root / "said.json", {str(i): a for i, (_, a) in enumerate(texts)})
    return Tiny(root, said, (write(root / "test_qa.json", rows),))


def msvd_qa(root):
    return _one_file(root)


def msrvtt_qa(root):
    return _one_file(root)


def tgif_qa(root):
    head = "gif_name\tquestion\tanswer\ta1\ta2\ta3\ta4\ta5\n"
    rows = "g1\twhat is it\t2\tcat\tdog\tcow\tpig\trat\ng2\twho\t0\ta\tb\tc\td\te\n"
    path = write(root / "Test_action_question.csv", head + rows)
    return Tiny(root, write(root / "said.json", {"0": "C", "1": "A"}), (path,), "Test_action")


def activitynet_qa(root):
    questions = [{"video_name": "a", "question": f"is it {i}", "question_id": f"a_{i}"} for i in range(3)]
    answers = [{"answer": "yes" if i else "no", "type": 3, "question_id": f"a_{i}"} for i in range(3)]
    said = write(root / "said.jsonl", [{"question_id": a["question_id"], "pred": a["answer"]} for a in answers])
    files = (write(root / "test_q.json", questions), write(root / "test_a.json", answers))
    return Tiny(root, said, files)


def magqa(root):
    turn = {"role": "user", "content": "What is shown?", "time": 0}
    answers = [{"content": "a dog", "time": [0, 4]}, {"content": "a black cat", "time": [6, 9.5]}]
    path = write(
        root / "magqa_test.json", [{"question_id": 3, "video": "a.mp4", "conversation": [turn], "answer": answers}]
    )
    replies = [{"role": "assistant", "content": a["content"], "time": a["time"][0]} for a in answers]
    said = write(root / "said.jsonl", [{"question_id": 3, "model_response_list": replies}])
    return Tiny(root, said, (path,))


def summaries(root, name):
    path = root / f"eccv16_dataset_{name}_google_pool5.h5"
    with h5py.File(path, "w") as handle:
        group = handle.create_group("video_1")
        kept = np.zeros((2, 40), dtype=np.float32)
        kept[:, 10:16] = 1
        group["user_summary"] = kept
        group["change_points"] = np.array([[0, 4], [5, 9], [10, 15], [16, 39]])
        group["n_frames"] = 40
        group["picks"] = np.arange(0, 40, 2)
    said = {"video_1": [float(10 <= 2 * i < 16) for i in range(20)]}
    return Tiny(root, write(root / "said.json", said), (path,))


def tvsum(root):
    return summaries(root, "tvsum")


def summe(root):
    return summaries(root, "summe")


def vtg_it(root):
    row = {
        "video": "a.mp4",
        "QA": [{"q": "When?", "a": "At <TIME_ZERO><TIME_ZERO><TIME_ONE><TIME_TWO><TIME_DOT><TIME_FIVE>."}],
    }
    return Tiny(root, root, (write(root / "train.json", [row]),))


def mmduet_narration(root):
    rows = {"a": {"0": [{"text": "a cat", "time": 1.0, "timespan": [0, 2]}]}}
    return Tiny(root, root, (write(root / "train.json", rows),))


def mmduet_dialogue(root):
    turns = [{"role": "user", "content": "What?", "time": 0}, {"role": "assistant", "content": "a cat", "time": 3.0}]
    return Tiny(root, root, (write(root / "train.json", [{"video_uid": "a", "conversation": turns}]),))


MAKERS = {
    make.__name__: make
    for make in (
        mevis, ref_youtube_vos, ref_davis, lasot, otb, got10k, elysium_track, rsot, video_reg, charades_sta,
        activitynet, didemo, qvhighlights, timelens, mmduet_grounding, activitynet_captions, youcook2, msvd_qa,
        msrvtt_qa, tgif_qa, activitynet_qa, magqa, tvsum, summe, vtg_it, mmduet_narration, mmduet_dialogue,
    )
}  # fmt: skip
