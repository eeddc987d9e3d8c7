"""Score files of a split of the miniature, by its selector and its grounder: what fusion's modes are compared on.

Knows scorers and caches. Does not know modes or figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cache import open_cache
from core.devices import pick_device
from core.errors import InputError
from core.images import load_image_encoder
from core.reporting import progress_bar
from core.scores import write_scores
from core.types import MomentScores, TrackScores
from llm_grounder.checkpoints import load_grounder
from llm_grounder.tasks.failures import FailureCounts
from tracksift.annotations import read_examples
from tracksift.ask import Pipeline
from tracksift.clips import read_inputs
from tracksift.features import FeatureSettings, extract
from tracksift.jobs import Job
from tracksift.models import WEIGHTS
from tracksift.moments import predict_moments
from tracksift.recipes import manner_of


def score_tracks(pipeline: Pipeline, split: str, jobs: Sequence[Job], out: Path) -> None:
    """The selector's probabilities of all expressions of a split."""

    def scores() -> Iterator[TrackScores]:
        with progress_bar(f"{split}: scores of tracks", len(jobs)) as bar:
            for done, job in enumerate(jobs, start=1):
                asked = job.annotated.expressions if job.annotated else ()
                yield from pipeline.selector.score(open_cache(job.cache), asked, pipeline.text_encoder)
                bar(done, len(jobs))

    write_scores(out, scores())


def score_moments(pipeline: Pipeline, split: str, jobs: Sequence[Job], out: Path) -> None:
    """What the selector's moment head says; InputError for a selector without one."""

    def scores() -> Iterator[MomentScores]:
        with progress_bar(f"{split}: moments by the selector", len(jobs)) as bar:
            for done, job in enumerate(jobs, start=1):
                asked = job.annotated.expressions if job.annotated else ()
                yield from pipeline.moments(job.cache, asked)
                bar(done, len(jobs))

    write_scores(out, scores())


def ground_moments(
    folder: Path, device: str, split: str, jobs: Sequence[Job], place: tuple[Path, str], out: Path
) -> None:  # fmt: skip
    """The moments of a grounder's folder for all expressions of a split; features are made where they are missing.

    place: the MeViS folder of the split, and its name there.

    Raises:
        CheckpointError: where the grounder cannot be used.
        InputError: where a video has no features and gets none.
    """
    chosen = pick_device(device)
    grounder, record = load_grounder(folder, chosen)
    inputs = read_inputs(record)
    encoder = load_image_encoder(str(WEIGHTS / "clip"), chosen)
    with progress_bar(f"{split}: features", len(jobs)) as bar:
        made = extract(jobs, encoder, FeatureSettings(inputs.per_second, inputs.grid, inputs.tiles), progress=bar)
    if failed := next((found for found in made if found.state == "failed"), None):
        raise InputError(f"{split}: expected features of every video, got none of {failed.video_id}: {failed.cause}")
    caches = {job.video_id: job.cache for job in jobs}
    examples = [e for e in read_examples("mevis", *place, known=False).found if e.video_id in caches]
    with progress_bar(f"{split}: moments by the grounder", len(examples)) as bar:
        scores = predict_moments(
            grounder, record["weights_sha256"], inputs, examples, caches, manner_of(record), FailureCounts(), bar
        )  # fmt: skip
        write_scores(out, scores)
