"""The work behind the page: a video becomes pictures and tracks, words and boxes become answers.

Models are shared by all visitors and asked one after another; everything else belongs to one visit. Knows the pipeline.
Does not know browsers, gradio or addresses.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from cache import read_cache
from core.errors import InputError, TrackSiftError
from core.types import Answer, Expression, Source, Track, TrackScores, TrackSet
from fusion.fuse import fuse
from proposals.generate import propose
from proposals.user import UserPrompt, user_prompter
from tracksift.ask import Pipeline
from tracksift.generate import generate
from tracksift.jobs import Job
from tracksift.page_parts import fitted
from tracksift.query import Index
from tracksift.web.grounders import Grounder, Remark, Request, check_request
from tracksift.web.limits import Limits, check_text, check_video
from tracksift.web.turnstile import Step, Stopped, Turnstile
from tracksift.web.visit import Entry, Film, Visit, picture_path

Tell = Callable[[Step], None]
Box = tuple[float, float, float, float]
_SIDE = 720  # longest side of the pictures, pixels
_MEMORY = 256 << 20  # bytes of tracks and of what the model reads of them, a visit


@dataclass(frozen=True)
class Sample:
    """A video that comes with the page. expressions: to try on it."""

    name: str
    path: Path
    expressions: tuple[str, ...] = ()


class Studio:
    """Models, samples and limits of one server."""

    def __init__(
        self,
        pipeline: Pipeline,
        limits: Limits,
        shared: Path,
        samples: Sequence[Sample] = (),
        grounder: Grounder | None = None,
    ) -> None:
        """shared: folder for the caches of the samples, which are tracked once for all visitors."""
        self.pipeline, self.limits, self.grounder = pipeline, limits, grounder
        self.samples = tuple(samples)
        self._shared = shared
        self._line = Turnstile()
        self._scoring = threading.Lock()
        self._grounding = threading.Lock()

    def warm_up(self) -> None:
        """Load the models now, so that nobody waits for them; CheckpointError when one cannot be used."""
        _ = self.pipeline.tracker, self.pipeline.image_encoder, self.pipeline.text_encoder, self.pipeline.selector

    def load(self, visit: Visit, sample: int | None, tell: Tell) -> None:
        """Make the visit's film of a sample, or of what was uploaded: pictures, then tracks.

        Raises:
            InputError: for a sample that is not there, no upload, or a video beyond the limits.
            TrackSiftError: when it cannot be tracked.
        """
        job, name, suggestions = self._job(visit, sample)
        visit.clear()
        try:
            check_video(job.frames_path, self.limits)
            self._show(visit, job, name, suggestions, tell)
            with self._line.turn(lambda ahead: tell(Step("waiting", ahead))):
                tell(Step("tracking"))
                (result,) = generate(
                    [job], self.pipeline.tracker, self.pipeline.proposals, image_encoder=self.pipeline.image_encoder,
                    on_frames=lambda done, total: self._go_on(visit, tell, Step("tracking", done, total)),
                )  # fmt: skip
            if result.state == "failed":
                raise TrackSiftError(result.cause)
            self._go_on(visit, tell, Step("reading tracks"))
            self._open(visit)
        finally:
            self._clean(visit)

    def ask(self, visit: Visit, words: object) -> Entry:
        """Answer an expression about the visit's film; InputError for one that cannot be asked."""
        film, index, tracks = visit.ready()
        text = check_text("expression", words, self.limits)
        start = time.perf_counter()
        answer = replace(self._answer(index, text), video=film.video)
        return self._keep(visit, film, answer, start, tracks)

    def follow(self, visit: Visit, frame: int, box: Box, tell: Tell) -> Entry:
        """Track what is in a box of a frame through the whole video.

        Raises:
            InputError: for a box outside the film, one too many, or one in which the tracker sees no object.
        """
        film, _, _ = visit.ready()
        prompt = UserPrompt(frame, box=box)
        prompt.check(film.video)
        if visit.boxes >= self.limits.boxes:
            raise InputError(f"box: expected at most {self.limits.boxes} for a video, got one more")
        try:
            with self._line.turn(lambda ahead: tell(Step("waiting", ahead))):
                start = time.perf_counter()
                track = self._track_box(visit, prompt, tell)
        finally:
            self._clean(visit)
        visit.boxes += 1
        answer = _box_answer(film, visit.boxes, prompt, track)
        return self._keep(visit, film, answer, start, TrackSet(film.video, (track,)), (frame, box))

    def remarks(self, visit: Visit, request: Request) -> Iterator[Remark]:
        """What the grounder says, as it comes; InputError where there is none or it cannot be asked this."""
        grounder = check_request(self.grounder, request)
        if request.track is not None and not 0 <= request.track < len(visit.ready()[2].tracks):
            raise InputError(f"track: expected one of {len(visit.ready()[2].tracks)}, got {request.track}")
        try:
            with self._grounding:
                for remark in grounder.remarks(request):
                    if visit.ended:
                        return
                    yield remark
        finally:
            self._clean(visit)

    def _job(self, visit: Visit, sample: int | None) -> tuple[Job, str, tuple[str, ...]]:
        if sample is not None:
            if not 0 <= sample < len(self.samples):
                raise InputError(f"sample: expected one of {len(self.samples)}, got number {sample}")
            chosen = self.samples[sample]
            return Job(chosen.name, chosen.path, self._shared / f"{sample}.h5"), chosen.name, chosen.expressions
        if visit.upload is None:
            raise InputError("upload: expected a video, got none; choose one first")
        name, path = visit.upload
        return Job(name, path, visit.folder / "tracks.h5"), name, ()

    def _show(self, visit: Visit, job: Job, name: str, suggestions: tuple[str, ...], tell: Tell) -> None:
        """Write the pictures of all frames; the film begins when they are there."""
        visit.films += 1
        pictures, whole = visit.folder / f"pictures{visit.films}", False
        pictures.mkdir()
        reader = job.open()
        try:
            video = replace(reader.meta, source=name)
            size = fitted(video.size, _SIDE)
            for index, frame in enumerate(reader):
                self._go_on(visit, tell, Step("reading", index, video.frames))
                picture = Image.fromarray(frame)
                if size != video.size:
                    picture = picture.resize((size[1], size[0]), Image.Resampling.LANCZOS)
                picture.save(picture_path(pictures, index), "JPEG", quality=88)
            whole = True
        finally:
            reader.close()
            if not whole:
                shutil.rmtree(pictures, ignore_errors=True)
        visit.film = Film(name, job, video, pictures, size, suggestions)

    def _open(self, visit: Visit) -> None:
        """Read the tracks, and ask once: the first question is the slow one."""
        assert visit.film is not None
        cache = visit.film.job.cache
        with self._scoring:
            index = Index(cache, self.pipeline, limit=_MEMORY, remember=True)
        if index.tracks:
            self._answer(index, "object")
        tracks = replace(read_cache(cache), video=visit.film.video)
        visit.film = replace(visit.film, index=index, tracks=tracks)

    def _answer(self, index: Index, text: str) -> Answer:
        with self._scoring:
            ((found,),) = index.query(text)
            return index.answer(found)

    def _track_box(self, visit: Visit, prompt: UserPrompt, tell: Tell) -> Track:
        assert visit.film is not None
        reader = visit.film.job.open()
        try:
            settings = replace(self.pipeline.proposals, sources=(Source.USER,))
            tracker = self.pipeline.tracker
            found = propose(
                reader, tracker, settings, None,
                lambda done, total: self._go_on(visit, tell, Step("tracking", done, total)),
                prompters=[user_prompter(tracker.model, reader.meta, [prompt])],
            )  # fmt: skip
        finally:
            reader.close()
        return found.tracks[0]

    def _keep(
        self,
        visit: Visit,
        film: Film,
        answer: Answer,
        start: float,
        tracks: TrackSet,
        box: tuple[int, Box] | None = None,
    ) -> Entry:
        visit.serial += 1
        entry = Entry(visit.serial, answer, 1000 * (time.perf_counter() - start), tracks, box)
        visit.keep(film, entry, self.limits.answers)
        return entry

    def _go_on(self, visit: Visit, tell: Tell, step: Step) -> None:
        """Tell, unless nobody is there any more."""
        if visit.ended:
            raise Stopped("stopped: the session has ended")
        tell(step)

    def _clean(self, visit: Visit) -> None:
        """What was written after the end goes too."""
        if visit.ended:
            shutil.rmtree(visit.folder, ignore_errors=True)


def _box_answer(film: Film, number: int, prompt: UserPrompt, track: Track) -> Answer:
    """The track of a box as an answer about one track, whose score is the tracker's own estimate of its first mask."""
    name = f"box{number}"
    scores = TrackScores(film.video.id, name, np.array([track.prompt.score], dtype=np.float64), 1.0, "", "")
    expression = Expression(name, f"box {number}, frame {prompt.frame}")
    answer = fuse(TrackSet(film.video, (track,)), scores, expression)
    rule = f"tracked from the box drawn on frame {prompt.frame}; its score is the tracker's estimate of the mask there"
    return replace(answer, why={**answer.why, "rule": rule})
