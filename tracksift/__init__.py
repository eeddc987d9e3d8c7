"""The whole composition: pipelines over a split or one video, `ask`, and the page that shows an answer.

Knows every stage by its front door. Does not know training of the miniature, nor command lines. What is named here is
the public face, and keeps its names: `ask` one video, an `Index` over many caches, the `Models` of either, the types of
what they return, and the base of every error.
"""

from core.errors import TrackSiftError
from core.types import Answer, Expression, SelectedTrack, TimeSpan, TrackScores, VideoMeta
from tracksift.ask import Pipeline, ask
from tracksift.models import Models
from tracksift.query import Found, Index

__all__ = [
    "Answer",
    "Expression",
    "Found",
    "Index",
    "Models",
    "Pipeline",
    "SelectedTrack",
    "TimeSpan",
    "TrackScores",
    "TrackSiftError",
    "VideoMeta",
    "ask",
]
