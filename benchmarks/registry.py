"""The code of each dataset of the catalog: how a split is opened, scored and checked, as a table.

Knows readers, evaluations and checks by name. Does not know what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.activitynet.reader import ActivityNetReader, TwoAnnotators, open_activitynet
from benchmarks.activitynet.submission import read_submission
from benchmarks.catalog import CATALOG, Entry, names
from benchmarks.charades.reader import open_charades
from benchmarks.data_checks.frames import check_boxes, check_masks
from benchmarks.data_checks.inventory import Inventory
from benchmarks.data_checks.texts import check_texts
from benchmarks.didemo.reader import open_didemo
from benchmarks.elysium_track.reader import open_elysium_track
from benchmarks.evaluation.boxes import evaluate_overlap, evaluate_success
from benchmarks.evaluation.captions import evaluate_dense, evaluate_descriptions
from benchmarks.evaluation.masks import evaluate_masks, evaluate_two_protocols, referred_rules
from benchmarks.evaluation.moments import evaluate_chunks, evaluate_moments
from benchmarks.evaluation.questions import evaluate_answers, evaluate_timely
from benchmarks.evaluation.report import Choices, Evaluator, Report
from benchmarks.evaluation.summaries import evaluate_summaries
from benchmarks.got10k.reader import open_got10k
from benchmarks.instructions.mmduet_it import read_conversations, read_groundings, read_narrations
from benchmarks.instructions.vtg_it import read_vtg_it
from benchmarks.lasot.reader import open_lasot
from benchmarks.magqa.reader import read_questions
from benchmarks.metrics.success import LASOT, OTB
from benchmarks.metrics.summaries import Among
from benchmarks.mevis.reader import open_mevis
from benchmarks.otb.reader import OtbReader, open_otb
from benchmarks.qvhighlights.reader import open_qvhighlights
from benchmarks.ref_davis.raw import TEXTS, open_raw_ref_davis
from benchmarks.ref_davis.reader import open_ref_davis
from benchmarks.ref_youtube_vos.reader import RefVosReader, open_ref_youtube_vos
from benchmarks.summaries.reader import open_summaries
from benchmarks.text_splits import DescriptionSplit, DialogueSplit, QuerySplit, QuestionSplit, TimelySplit, text_file
from benchmarks.timelens.reader import open_timelens
from benchmarks.video_qa.reader import read_one_file, read_table, read_two_files
from benchmarks.youcook2.reader import open_youcook2, read_caption_predictions
from core.errors import InputError
from core.reporting import Progress

Opener = Callable[[Path, str], Any]
"""(--data, split) -> the reader of the dataset's kind."""


@dataclass(frozen=True)
class Dataset:
    """A dataset with its code; `evaluator` is None where nothing is scored."""

    entry: Entry
    opener: Opener
    evaluator: Evaluator | None

    def open(self, data: Path, split: str | None = None) -> Any:
        """The reader of a split, by default the first that the catalog names.

        Raises:
            InputError: when it is not there.
            AnnotationError: when it is malformed.
        """
        if not data.exists():
            raise InputError(f"{data}: expected {self.entry.layout}, found nothing there")
        return self.opener(data, split or self.entry.splits[0])

    def evaluate(
        self, data: Path, split: str | None, predictions: Path, choices: Choices, progress: Progress
    ) -> Report:
        """Score predictions of a split; InputError where the dataset has nothing to be scored, and as `open`."""
        if self.evaluator is None:
            raise InputError(
                f"dataset {self.entry.name!r}: expected one that is scored, got instructions to learn from"
            )
        if not predictions.exists():
            raise InputError(f"{predictions}: expected {self.entry.predictions}, found nothing there")
        return self.evaluator(self.open(data, split), predictions, choices, progress)

    def check(
        self, data: Path, split: str | None, videos: Path | None, progress: Progress, *, thorough: bool = False
    ) -> Inventory:
        """What is there of a split, and what is wrong with it; raises as `open`."""
        return _CHECKS.get(self.entry.kind.name, partial(check_texts, kind=self.entry.kind))(
            self.open(data, split), videos, progress, thorough=thorough
        )


def _file(opener: Callable[[Path, str], Any], *patterns: str) -> Opener:
    """An opener of one file, found by patterns with {split}."""
    return lambda data, split: opener(text_file(data, *(p.format(split=split) for p in patterns)), split)


def _listed(made: Callable[..., Any], name: str, read: Callable[[Path], Any], *patterns: str) -> Opener:
    """An opener of a split that a function reads from one file."""
    return _file(lambda path, split: made(name, split, partial(read, path)), *patterns)


def _annotators(data: Path, split: str) -> ActivityNetReader | TwoAnnotators:
    """One annotator's file, or both for a split such as val_1+val_2."""
    one, plus, two = split.partition("+")
    if not plus:
        return open_activitynet(text_file(data, f"{split}.json"), split)
    if not data.is_dir():
        raise InputError(f"{data}: expected a folder of {one}.json and {two}.json, got a file")
    first, second = (open_activitynet(text_file(data, f"{name}.json"), name) for name in (one, two))
    return TwoAnnotators(first, second)


def _davis(data: Path, split: str) -> RefVosReader:
    if (data / TEXTS).is_dir() or (data / "DAVIS" / TEXTS).is_dir():
        return open_raw_ref_davis(data, "val" if split == "valid" else split)
    return open_ref_davis(data, split)


def _otb(data: Path, split: str) -> OtbReader:
    if split != "all":
        raise InputError(f"{data}: expected the split all, the only one of OTB, got {split!r}")
    return open_otb(data)


def _two_files(data: Path, split: str) -> QuestionSplit:
    questions = text_file(data, f"{split}_q.json")
    answers = questions.with_name(questions.name.replace("_q.json", "_a.json"))
    if answers == questions:
        raise InputError(f"{questions}: expected a file of questions, <split>_q.json")
    return QuestionSplit("activitynet_qa", split, lambda: read_two_files(questions, answers))


_ELYSIUM: Final = ("{split}.jsonl", "{split}.json", "ElysiumTrack-{split}*.json", "ElysiumTrack-1M.json*")
_elysium: Final = _file(lambda path, split: open_elysium_track(path), *_ELYSIUM)
_rsot: Final = _file(lambda path, split: open_elysium_track(path), "{split}.jsonl", "{split}.json", "RSOT.jsonl")
_CHECKS: Final[Mapping[str, Callable[..., Inventory]]] = {"MASKS": check_masks, "BOXES": check_boxes}
_QA: Final = "{split}_qa.json"
_MAGQA: Final = ("shot2story-magqa_{split}.json", "magqa_{split}.json", "{split}.json")
_NARRATIONS: Final = ("dvc_{split}-*.json", "{split}-*.json")  # of Shot2Story, and of COIN
_CONVERSATIONS: Final = "magqa_{split}-*.json"
_dense: Final = partial(evaluate_dense, read=read_submission)

_CODE: Final[Mapping[str, tuple[Opener, Evaluator | None]]] = {
    "mevis": (open_mevis, evaluate_masks),
    "ref_youtube_vos": (open_ref_youtube_vos, partial(evaluate_masks, scorer=referred_rules)),
    "ref_davis": (_davis, evaluate_two_protocols),
    "lasot": (open_lasot, partial(evaluate_success, rules=LASOT)),
    "otb": (_otb, partial(evaluate_success, rules=OTB)),
    "got10k": (open_got10k, evaluate_overlap),
    "elysium_track": (_elysium, partial(evaluate_success, rules=OTB)),
    "rsot": (_rsot, partial(evaluate_success, rules=OTB)),
    "video_reg": (
        _file(
            lambda path, split: DescriptionSplit(open_elysium_track(path)), *_ELYSIUM[:2], "RSOT.jsonl", *_ELYSIUM[2:]
        ),
        evaluate_descriptions,
    ),
    "charades_sta": (
        _file(open_charades, "charades_sta_{split}.txt", "charades_sta_{split}.json", "{split}.txt"),
        evaluate_moments,
    ),
    "activitynet": (_file(open_activitynet, "{split}.json"), evaluate_moments),
    "didemo": (_file(open_didemo, "{split}_data.json"), evaluate_chunks),
    "qvhighlights": (
        _file(open_qvhighlights, "highlight_{split}_release.jsonl", "highlight_{split}_with_gt.jsonl"),
        evaluate_moments,
    ),
    "timelens": (_file(open_timelens, "{split}.json", "{split}.jsonl"), evaluate_moments),
    "mmduet_grounding": (
        _listed(QuerySplit, "mmduet_grounding", read_groundings, "{split}.json", "groundings.json"),
        evaluate_moments,
    ),
    "activitynet_captions": (_annotators, _dense),
    "youcook2": (
        _file(open_youcook2, "yc2_{split}.json", "{split}.json"),
        partial(evaluate_dense, read=read_caption_predictions),
    ),
    "msvd_qa": (_listed(QuestionSplit, "msvd_qa", read_one_file, _QA), evaluate_answers),
    "msrvtt_qa": (_listed(QuestionSplit, "msrvtt_qa", read_one_file, _QA), evaluate_answers),
    "tgif_qa": (_listed(QuestionSplit, "tgif_qa", read_table, "{split}_question.csv"), evaluate_answers),
    "activitynet_qa": (_two_files, evaluate_answers),
    "magqa": (_listed(TimelySplit, "magqa", read_questions, *_MAGQA), evaluate_timely),
    "tvsum": (_file(open_summaries, "*tvsum*.h5", "*summaries*.h5"), partial(evaluate_summaries, among=Among.MEAN)),
    "summe": (_file(open_summaries, "*summe*.h5", "*summaries*.h5"), partial(evaluate_summaries, among=Among.BEST)),
    "vtg_it": (_listed(DialogueSplit, "vtg_it", read_vtg_it, "{split}.json", "vtg_it.json", "vtg-it-*.json"), None),
    "mmduet_narration": (
        _listed(DialogueSplit, "mmduet_narration", read_narrations, "{split}.json", "narrations.json", *_NARRATIONS),
        None,
    ),
    "mmduet_dialogue": (
        _listed(
            DialogueSplit, "mmduet_dialogue", read_conversations, "{split}.json", "conversations.json", _CONVERSATIONS
        ),
        None,
    ),
}

DATASETS: Final[Mapping[str, Dataset]] = {
    name: Dataset(CATALOG[name], opener, evaluator) for name, (opener, evaluator) in _CODE.items()
}


def dataset(name: str) -> Dataset:
    """The dataset of a name; InputError that lists all for another."""
    if name not in DATASETS:
        raise InputError(f"dataset: expected one of {names()}, got {name!r}")
    return DATASETS[name]
