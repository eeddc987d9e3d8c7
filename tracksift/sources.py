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
from core.types import Expression, Source, Track, VideoMeta
from proposals.grounding_dino import DetectorSettings, check_expressions, detector_facts
from proposals.settings import ProposalSettings
from proposals.user import UserPrompt, user_facts
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
            return tuple({expression.id: expression for expression in self.expressions}.values())
        return job.annotated.expressions if job.annotated is not None else ()


def text_expressions(texts: Sequence[str]) -> tuple[Expression, ...]:
    """Phrases for a detector, each with an id of its own text, so that it is the same one wherever it is asked.

    Raises:
        InputError: for none, or a blank one.
    """
    if not texts:
        raise InputError("expressions: expected at least one to look for, got none")
    ids = ["t" + hashlib.sha256(text.strip().lower().encode()).hexdigest()[:12] for text in texts]
    return tuple(Expression(name, text) for name, text in zip(ids, texts, strict=True))


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


def keepable(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[Source, ...]:
    """The sources of a file made under `known` provenance whose tracks `wanted` has too, made in the same way.

    None of them where anything that all sources share differs: frames, labels, tracker, settings, code.
    """
    if json_sha256(_shared(known)) != json_sha256(_shared(wanted)):
        return ()
    both = [source for source in ORDER if source in known["settings"]["sources"]]
    both = [source for source in both if source in wanted["settings"]["sources"]]
    return tuple(s for s in both if json_sha256(known.get(_OWN.get(s, ""))) == json_sha256(wanted.get(_OWN.get(s, ""))))


def including(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`wanted`, and with it every source that a file made under `known` provenance has more, where both can be one
    file.
    """
    facts = dict(wanted)
    if json_sha256(_shared(known)) != json_sha256(_shared(wanted)):
        return facts
    asked, had = tuple(wanted["settings"]["sources"]), tuple(known["settings"]["sources"])
    facts["settings"] = facts["settings"] | {"sources": [*had, *(source for source in asked if source not in had)]}
    for source, name in _OWN.items():
        if source in had and source not in asked:
            facts[name] = known[name]
    return facts


def joined(old: Sequence[Track], new: Sequence[Track]) -> tuple[Track, ...]:
    """Old and new tracks in the order of sources, without looks."""
    tracks = [replace(track, look=None) for track in (*old, *new)]
    return tuple(sorted(tracks, key=lambda track: ORDER.index(track.source)))


_OWN = {
    Source.GROUND_TRUTH: "ground_truth_sha256",
    Source.GROUNDING_DINO: "detector",
    Source.USER: "user_prompts",
}
"""Where provenance says what decides one source's tracks alone."""


def _shared(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the tracks of all sources."""
    rest = {name: value for name, value in facts.items() if name not in _OWN.values()}
    settings = {name: value for name, value in facts.get("settings", {}).items() if name != "sources"}
    return rest | {"settings": settings}
