"""What a job's prompts come from beside grid and ground truth, and what an older cache file already holds of it.

Knows a detector's and a user's prompts, expressions and provenance. Does not know how tracks are made or stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from core.errors import InputError
from core.hashing import json_sha256
from core.types import Expression, Source, TrackSet, VideoMeta
from proposals.checkpoints import LoadedTracker
from proposals.grounding_dino import (
    DetectionCounts,
    DetectorSettings,
    check_expressions,
    detector_facts,
    grounding_dino_prompter,
)
from proposals.prompts import Prompter
from proposals.settings import ProposalSettings
from proposals.user import UserPrompt, user_facts, user_prompter
from tracksift.jobs import Job

if TYPE_CHECKING:  # slow to import, and most runs need none
    from proposals.detector import Detector

ORDER = (Source.GRID, Source.GROUND_TRUTH, Source.GROUNDING_DINO, Source.USER)
"""Of the tracks in a file, whenever they were added."""


@dataclass(frozen=True)
class Extra:
    """Prompts beside grid and ground truth. expressions: what the detector looks for; None for those of each job's
    annotations.   user: the user's prompts, the same for each job.
    """

    detector: Detector | None = None
    detector_settings: DetectorSettings = field(default_factory=DetectorSettings)
    expressions: tuple[Expression, ...] | None = None
    user: tuple[UserPrompt, ...] = ()

    def asked(self, job: Job) -> tuple[Expression, ...]:
        """The expressions that the detector looks for in a job's video."""
        if self.expressions is not None:
            return self.expressions
        return job.annotated.expressions if job.annotated is not None else ()


def text_expressions(texts: Sequence[str]) -> tuple[Expression, ...]:
    """Phrases for a detector, each with an id of its own text, so that it is the same one in every run.

    Raises:
        InputError: for none, or a blank one.
    """
    if not texts:
        raise InputError("expressions: expected at least one to look for, got none")
    ids = ["t" + hashlib.sha256(text.strip().lower().encode()).hexdigest()[:12] for text in texts]
    return tuple(Expression(name, text) for name, text in dict(zip(ids, texts, strict=True)).items())


def check_sources(settings: ProposalSettings, extra: Extra) -> None:
    """Refuse sources without what they need, and prompts whose source is not named; InputError."""
    for source, given, what in (
        (Source.GROUNDING_DINO, extra.detector is not None, "a detector"),
        (Source.USER, bool(extra.user), "boxes, points or masks"),
    ):
        if (source in settings.sources) != given:
            expected = f"{what}, since {source.value} is among them" if not given else f"{source.value} with {what}"
            raise InputError(f"sources: expected {expected}, got {', '.join(settings.sources)}")


def extra_facts(job: Job, video: VideoMeta, extra: Extra) -> dict[str, object]:
    """What decides these tracks, for provenance; nothing where there are none, so that older files keep their hash."""
    facts: dict[str, object] = {}
    if extra.detector is not None:
        expressions = extra.asked(job)
        check_expressions(video, expressions)
        facts["detector"] = detector_facts(extra.detector, expressions, extra.detector_settings)
    if extra.user:
        facts["user_prompts"] = user_facts(extra.user)
    return facts


@dataclass(frozen=True)
class Todo:
    """What a file still lacks: sources, and of the detector's expressions those that it was never asked for."""

    sources: tuple[Source, ...]
    expressions: tuple[Expression, ...] = ()


def everything(job: Job, settings: ProposalSettings, extra: Extra) -> Todo:
    """All that was asked for."""
    return Todo(settings.sources, extra.asked(job) if extra.detector is not None else ())


def lacking(known: Mapping[str, Any], wanted: Mapping[str, Any], todo: Todo) -> Todo | None:
    """What of `todo` a file made under `known` provenance lacks, when all that it holds is as `wanted` has it.

    None where the file holds anything else, or anything made otherwise: then nothing of it may be kept.
    """
    sources = tuple(known.get("settings", {}).get("sources", ()))
    if not sources or not set(sources) <= set(todo.sources):
        return None
    had = known.get("detector", {}).get("expressions", {}) if Source.GROUNDING_DINO in sources else {}
    asked = {expression.id: expression.text for expression in todo.expressions}
    if any(asked.get(name) != text for name, text in had.items()):
        return None
    if json_sha256(known) != json_sha256(_restricted(wanted, sources, had)):
        return None
    missing = tuple(source for source in todo.sources if source not in sources)
    more = tuple(expression for expression in todo.expressions if expression.id not in had)
    if more and Source.GROUNDING_DINO not in missing:
        missing += (Source.GROUNDING_DINO,)
    return Todo(missing, more)


def prompters_for(
    todo: Todo, video: VideoMeta, tracker: LoadedTracker, extra: Extra
) -> tuple[list[Prompter], DetectionCounts | None]:
    """Prompters of the detector's and the user's prompts that are still to be tracked."""
    prompters: list[Prompter] = []
    counts = None
    if Source.GROUNDING_DINO in todo.sources and extra.detector is not None:
        prompter, counts = grounding_dino_prompter(
            tracker.model, extra.detector, video, todo.expressions, extra.detector_settings
        )
        prompters.append(prompter)
    if Source.USER in todo.sources:
        prompters.append(user_prompter(tracker.model, video, extra.user))
    return prompters, counts


def joined(old: TrackSet, new: TrackSet) -> TrackSet:
    """Old and new tracks in the order of sources, without looks, under the new provenance."""
    tracks = [replace(track, look=None) for track in (*old.tracks, *new.tracks)]
    return TrackSet(new.video, tuple(sorted(tracks, key=lambda track: ORDER.index(track.source))), new.provenance)


def _restricted(wanted: Mapping[str, Any], sources: tuple[str, ...], had: Mapping[str, str]) -> dict[str, Any]:
    """The provenance that `wanted` would be, had only `sources` been asked for, and only these expressions."""
    facts = dict(wanted)
    facts["settings"] = dict(facts["settings"]) | {"sources": list(sources)}
    if Source.GROUND_TRUTH not in sources:
        facts["ground_truth_sha256"] = None
    if Source.GROUNDING_DINO not in sources:
        facts.pop("detector", None)
    elif "detector" in facts:
        facts["detector"] = dict(facts["detector"]) | {"expressions": dict(had)}
    if Source.USER not in sources:
        facts.pop("user_prompts", None)
    return facts
