"""A trained selector as something that scores: caches and expressions in, `TrackScores` out.

Knows who may compete, and what the scorer was trained on. Does not know its files (`selector.checkpoints`), training,
masks or answers. Axis letters: N tracks, T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cache import CacheFile
from core.candidates import candidates
from core.errors import InputError, ScorerMismatchError
from core.replay import Replay
from core.text import TextEncoder
from core.types import Expression, MomentScores, TrackScores, TrackSet
from selector.calibration import Calibration
from selector.data import encode_texts
from selector.inputs import VideoTracks, read_tracks
from selector.modules import Module
from selector.moments import moment_scores
from selector.relational import RelationalSelector, VideoState

TOKENS_AT_ONCE = 1 << 19  # track tokens (N x T) a pass, which bounds memory

Memory = MutableMapping[tuple[str, tuple[int, ...]], Any]
"""What a selector has read of videos, by cache hash and competing tracks, for who asks about them more than once."""


@dataclass(frozen=True)
class Selector:
    """A selector ready to score; `tracker`, `text_encoder` and `look` are hashes of what it was trained on.

    `look` is "" where no looks are read. `sha256` names its weights, `calibration` its thresholds, `record` everything
    else that its file tells.
    """

    model: Module
    calibration: Calibration
    tracker: str
    text_encoder: str
    look: str
    sha256: str
    record: Mapping[str, Any]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def limit(self, scores: TrackScores) -> float:
        """Fusion's threshold on a track's probability for the expression that the scores are of."""
        return self.calibration.limit(scores.probability, scores.presence)

    @property
    def no_target_threshold(self) -> float:
        """Fusion's threshold on the probability of no target."""
        return self.calibration.no_target_threshold

    @property
    def gate(self) -> float:
        """The probability of no target from which on fusion selects nothing; 1 for never."""
        return self.calibration.gate

    def score(
        self,
        source: CacheFile | TrackSet,
        expressions: Sequence[Expression],
        encoder: TextEncoder,
        competing: Sequence[NDArray[np.intp]] | None = None,
    ) -> list[TrackScores]:
        """Probabilities of a video's tracks for each expression; 0 for tracks that do not compete.

        Args:
            source: a cache file, or tracks in memory.
            expressions: one or more.
            encoder: the text encoder that the selector was trained with.
            competing: indices of the tracks that compete, for each expression; `core.candidates` when None. Tracks
                are scored in the company of just these.

        Raises:
            ScorerMismatchError: when the tracks come from another tracker, their looks are missing or of another
                encoder, or the text encoder is another.
        """
        return self.score_tracks(self.read(source), expressions, encoder, competing)

    def read(self, source: CacheFile | TrackSet) -> VideoTracks:
        """What the selector reads of a video's tracks, for who asks about them more than once; raises as `score`."""
        settings = self.model.settings
        return read_tracks(
            source, geometry=settings.geometry, looks=settings.look_width > 0, tokens=settings.token_width > 0
        )

    def score_tracks(
        self,
        tracks: VideoTracks,
        expressions: Sequence[Expression],
        encoder: TextEncoder,
        competing: Sequence[NDArray[np.intp]] | None = None,
        memory: Memory | None = None,
    ) -> list[TrackScores]:
        """`score` of tracks that `read` has read.

        memory: where the module's own reading of stored tracks is kept for the next call; an empty dict to begin with.
            It takes the space of the tracks many times over, and belongs to this selector alone.
        """
        self.check(tracks, encoder)
        if competing is None:
            competing = _able(tracks, expressions)
        logits = self.logits(tracks, [e.text for e in expressions], encoder, competing, memory)
        return [
            self._scores(tracks, expression, able, values)
            for expression, able, values in zip(expressions, competing, logits, strict=True)
        ]

    def check(self, tracks: VideoTracks, encoder: TextEncoder) -> None:
        """Refuse tracks of another tracker, looks of another encoder, and another text encoder than the training's."""
        if tracks.tracker != self.tracker and len(tracks.values):
            raise ScorerMismatchError(
                f"video {tracks.video_id!r}: expected tracks of the tracker {self.tracker[:12]}, which the selector "
                f"was trained on, got {tracks.tracker[:12] or 'one without a name'}; generate the cache with that "
                "tracker, or train a selector for this one"
            )
        if tracks.look != self.look and len(tracks.values):
            raise ScorerMismatchError(
                f"video {tracks.video_id!r}: expected looks of the image encoder {self.look[:12]}, which the selector "
                f"was trained on, got {tracks.look[:12] or 'one without a name'}; run `tracksift generate --looks` "
                "with that encoder, or train a selector for this one"
            )
        if encoder.sha256 != self.text_encoder:
            raise ScorerMismatchError(
                f"text encoder {encoder.name!r}: expected {self.text_encoder[:12]}, which the selector was trained "
                f"with, got {encoder.sha256[:12]}"
            )

    @torch.no_grad()
    def logits(
        self,
        tracks: VideoTracks,
        texts: Sequence[str],
        encoder: TextEncoder,
        competing: Sequence[NDArray[np.intp]],
        memory: Memory | None = None,
    ) -> list[NDArray[np.float64]]:
        """Logits of the competing tracks of each text, in the order of `competing`; float32 on the model's device.

        memory: as in `score_tracks`.
        """
        found: list[NDArray[np.float64]] = [np.zeros(0)] * len(texts)
        for part, _, logits, _ in self._passes(tracks, texts, encoder, competing, memory):
            for i, row in zip(part, logits.double().cpu().numpy(), strict=True):
                found[i] = row
        return found

    @torch.no_grad()
    def moments(
        self,
        source: CacheFile | TrackSet,
        expressions: Sequence[Expression],
        encoder: TextEncoder,
        competing: Sequence[NDArray[np.intp]] | None = None,
    ) -> list[MomentScores]:
        """When each expression holds, by the head of `selector.moments`; arguments and errors of `score`.

        Raises:
            InputError: for a selector without that head.
        """
        if not isinstance(self.model, RelationalSelector) or not self.model.settings.moment_width:
            raise InputError("selector: expected one trained with a moment_width above 0, got one without moments")
        tracks = self.read(source)
        self.check(tracks, encoder)
        competing = _able(tracks, expressions) if competing is None else competing
        nothing = np.zeros((0, tracks.video.frames))
        found = [(np.zeros(0), nothing)] * len(expressions)
        for part, videos, logits, states in self._passes(tracks, [e.text for e in expressions], encoder, competing):
            held = self.model.hold(videos, states)
            assert held is not None
            rows = (logits.double().cpu().numpy(), held[0].double().sigmoid().cpu().numpy())
            for i, logit, holding in zip(part, *rows, strict=True):
                found[i] = self.calibration.probability(logit), holding
        return [
            moment_scores(tracks.video, expression.id, *pair, self.sha256, tracks.cache)
            for expression, pair in zip(expressions, found, strict=True)
        ]

    def _passes(
        self, tracks: VideoTracks, texts: Sequence[str], encoder: TextEncoder,
        competing: Sequence[NDArray[np.intp]], memory: Memory | None = None,
    ) -> Iterator[tuple[list[int], Any, Tensor, Tensor]]:  # fmt: skip
        """Texts G that have the same competing tracks N, some at a time: which, the video read, logits [G, N] and track
        states [1, G, N, E].
        """
        if len(competing) != len(texts):
            raise InputError(
                f"competing tracks: expected one list for each of {len(texts)} texts, got {len(competing)}"
            )
        device = self.device
        if not texts:
            return
        words, word_mask = (x.to(device) for x in encode_texts(list(texts), encoder))
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, able in enumerate(competing):
            groups.setdefault(tuple(int(k) for k in able), []).append(i)
        for tracks_able, members in groups.items():
            if not tracks_able:
                continue
            videos = self._encoded(tracks, tracks_able, memory)
            step = max(1, TOKENS_AT_ONCE // (len(tracks_able) * tracks.values.shape[1]))
            for part in (members[i : i + step] for i in range(0, len(members), step)):
                if len(part) == 1 and memory is not None and isinstance(videos, VideoState):
                    logits, states = self._alone(words[part], word_mask[part], *videos.tensors())
                else:
                    logits, states = self._selected(videos, words[part], word_mask[part])
                yield part, videos, logits[0], states

    @cached_property
    def _alone(self) -> Callable[..., Sequence[Tensor]]:
        """`_selected` of one text and a video's tensors: on a GPU launching its kernels takes longer than they do."""

        def alone(words: Tensor, mask: Tensor, *video: Tensor) -> Sequence[Tensor]:
            return self._selected(VideoState.of(video), words, mask)

        return Replay(alone, TOKENS_AT_ONCE) if self.device.type == "cuda" else alone

    def _selected(self, videos: Any, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [1, G, N] and states [1, G, N, E] of texts [G, L, C] under a mask [G, L], about one video."""
        read = self.model.read(words, mask)
        logits, states = self.model.select(videos, read[None], None, mask[None])
        return logits, states

    def _encoded(self, tracks: VideoTracks, able: tuple[int, ...], memory: Memory | None) -> Any:
        """The module's reading of some of the tracks, from memory where it is there."""
        key = (tracks.cache, able)
        if memory is not None and tracks.cache and key in memory:
            return memory[key]
        values = torch.from_numpy(tracks.values[list(able)]).to(self.device).float()  # [N, T, D]
        encoded = self.model.encode(values[None], None, None)
        if memory is not None and tracks.cache:
            memory[key] = encoded
        return encoded

    def _scores(
        self, tracks: VideoTracks, expression: Expression, able: NDArray[np.intp], logits: NDArray[np.float64]
    ) -> TrackScores:
        probability = np.zeros(len(tracks.sources))
        probability[able] = self.calibration.probability(logits)
        presence = self.calibration.presence(logits)
        return TrackScores(tracks.video_id, expression.id, probability, presence, self.sha256, tracks.cache)


def _able(tracks: VideoTracks, expressions: Sequence[Expression]) -> list[NDArray[np.intp]]:
    return [candidates(tracks.sources, tracks.prompted_for, e.id, tracks.detected) for e in expressions]
