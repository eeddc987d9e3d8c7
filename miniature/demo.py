"""The demonstration: rendered clips and one real video, from frames to answers that a person can open.

Knows the rendered world and the pipelines. Does not know command lines. Everything is made afresh: clips, caches and
answers; only the miniature's weights come from the repository. Miniature weights are not meant for real video, and the
real clip is here to show that a file goes through, not what it scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import TrackSiftError
from miniature.splits import find_split
from miniature.world.layout import write_split
from tracksift.ask import Pipeline, as_expressions
from tracksift.evaluate import Evaluation, evaluate
from tracksift.generate import JobResult, generate
from tracksift.jobs import Job, split_jobs, video_job
from tracksift.predict import Prediction, predict

CLIPS = 8
SPLIT = "valid"
REAL_VIDEO = Path(__file__).parent / "media" / "cups.mp4"
REAL_EXPRESSIONS = ("the yellow disc", "the red object on the left", "the shape that moves")
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Demo:
    """What the demonstration made. `world` and `real` are the predictions of the clips and of the real video."""

    evaluation: Evaluation
    world: tuple[Prediction, ...]
    real: Prediction
    made: tuple[JobResult, ...]

    @property
    def expressions(self) -> int:
        """How many expressions about rendered clips were answered."""
        return sum(len(p.answers) for p in self.world)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of answers."""
        return tuple(f for p in (*self.world, self.real) for f in p.files)


def run_demo(out: Path, pipeline: Pipeline, tell: Tell, clips: int = CLIPS) -> Demo:
    """Render `clips` clips of valid, track them, score and answer their expressions, and answer about a real video.

    tell: called with (stage, done, total).

    Raises:
        TrackSiftError: when a part fails; what was written before stays in `out`.
    """
    split = find_split(SPLIT)
    write_split(
        out / "world" / SPLIT,
        split.seeds[:clips],
        overwrite=True,
        on_progress=lambda done, of: tell("rendering", done, of or clips),
    )
    _, jobs = split_jobs(out / "world", SPLIT, out / "caches")
    real = video_job(REAL_VIDEO, out / "caches")
    made = _generate([*jobs, real], pipeline, tell)
    evaluation = evaluate(
        jobs, pipeline, baselines=False, progress=lambda done, of: tell("scoring", done, of or len(jobs))
    )
    predictions = []
    for i, job in enumerate(jobs, 1):
        expressions = job.annotated.expressions if job.annotated else ()
        predictions.append(predict(job, expressions, pipeline, out / "answers"))
        tell("answering", i, len(jobs) + 1)
    shown = predict(real, as_expressions(REAL_EXPRESSIONS), pipeline, out / "answers")
    tell("answering", len(jobs) + 1, len(jobs) + 1)
    return Demo(evaluation, tuple(predictions), shown, tuple(made))


def _generate(jobs: list[Job], pipeline: Pipeline, tell: Tell) -> list[JobResult]:
    results: list[JobResult] = []

    def count(result: JobResult) -> None:
        results.append(result)
        tell("tracking", len(results), len(jobs))

    made = generate(
        jobs, pipeline.tracker, pipeline.proposals,
        image_encoder=pipeline.image_encoder, overwrite=True, on_result=count,
    )  # fmt: skip
    failed = [r for r in made if r.state == "failed"]
    if failed:
        raise TrackSiftError("; ".join(f"{r.video_id}: {r.cause}" for r in failed))
    return made
