"""A grounder behind the protocol of streams: the pieces of its template, one by one, and its frame heads.

Knows the grounder. Does not know when to speak, nor where frames come from. A clip of one frame stands for each frame,
so groups of frames and places within a clip of known length are refused. Axis letters: P patches, C feature width,
S tokens, H width, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from core.errors import InputError
from llm_grounder.backbone import CLOSE
from llm_grounder.grounder import Grounder
from llm_grounder.pieces import Kind, Piece
from llm_grounder.tasks.catalog import conversation
from llm_grounder.tasks.spec import Terms
from llm_grounder.times import LONGEST
from llm_grounder.types import Clip, Request, Role, Task, Turn

_MOMENT: Final = 1e-3  # seconds that a frame lasts: when the next one comes is not known


def timely(text: str, time: float) -> Turn:
    """The user's turn of a question whose answers become due in time, in the words of training."""
    (turn,) = conversation(Request(Task.TIMED_QA, text, time), Terms(1.0))
    return turn


class GrounderDuet:
    """See the module and `DuetModel`."""

    def __init__(
        self, grounder: Grounder, *, system: str = "", wording: Callable[[str, float], Turn] = timely,
        lap: float = LONGEST,
    ) -> None:  # fmt: skip
        """system: the system's words.   wording: makes a user's turn of a question and its time.

        lap: seconds after which the times that the model is told start anew: it can read none above 9999.9, and knows
        none above those that it was trained on.

        Raises:
            InputError: for a grounder that needs more than one frame at a time, or has no frame heads.
        """
        settings = grounder.settings
        if settings.group != 1 or settings.sequence_rows:
            raise InputError(
                "stream: expected a grounder of group 1 and sequence_rows 0, which reads frames one by one, got group "
                f"{settings.group} and sequence_rows {settings.sequence_rows}"
            )
        if grounder.frame_head is None:
            raise InputError("stream: expected a grounder with frame heads, got one without")
        if not 0 < lap <= LONGEST:
            raise InputError(f"stream: expected a lap above 0 and up to {LONGEST} seconds, got {lap}")
        self._lap = lap
        self._grounder, self._heads, self._system, self._wording = grounder, grounder.frame_head, system, wording
        self._frames: deque[Tensor] = deque(maxlen=settings.past + 1)
        self._asked: list[Piece] = []
        nothing = torch.zeros(1, settings.patches, settings.feature_width)
        self._nothing = _one_frame(nothing, 0.0)
        said = grounder.template.turn(Turn(0.0, Role.ASSISTANT, ""))
        opened = grounder.template.reply_open()
        self._opening, self._closing = list(opened.ids), list(said.ids[len(opened.ids) :])

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._grounder.device

    @property
    def positions(self) -> int:
        """Tokens that the language model was made for, at most."""
        return int(self._grounder.backbone.lm.config.max_position_embeddings)

    @property
    def stops(self) -> frozenset[int]:
        """The token that closes a turn."""
        return frozenset({self._grounder.backbone.ids[CLOSE]})

    def system(self) -> Tensor:
        """See `DuetModel`."""
        return self._embed(self._grounder.template.opening(self._system), self._nothing)

    def question(self, text: str, time: float) -> Tensor:
        """See `DuetModel`."""
        self._asked = [self._grounder.template.turn(self._wording(text, time))]
        return self._embed(self._asked[0], self._nothing)

    def frame(self, features: Tensor, time: float) -> Tensor:
        """See `DuetModel`; InputError for features of another shape than the grounder's."""
        self._frames.append(features)
        shown, now = torch.stack(list(self._frames)), time % self._lap if time >= self._lap else time
        # Earlier frames are only looked at by the front end, which reads no times.
        times = now + _MOMENT * np.arange(1 - len(shown), 1, dtype=np.float64)
        clip = Clip("stream", shown, times, now + _MOMENT)
        piece = self._grounder.template.group(clip, len(shown) - 1)
        return self._embed(piece, clip)

    def opening(self) -> Tensor:
        """See `DuetModel`."""
        return self.words(self._opening)

    def closing(self) -> Tensor:
        """See `DuetModel`."""
        return self.words(self._closing)

    def words(self, ids: Sequence[int]) -> Tensor:
        """See `DuetModel`."""
        return self._grounder.backbone.embed(torch.tensor(ids, device=self.device))

    def decode(self, ids: Sequence[int]) -> str:
        """See `DuetModel`."""
        return str(self._grounder.backbone.tokenizer.decode(list(ids), skip_special_tokens=False)).strip()

    def hidden(self, embeddings: Tensor, positions: Tensor, mask: Tensor, cache: Any) -> Tensor:
        """See `KeyModel`."""
        states, _ = self._grounder.backbone(
            embeddings[None], mask[None, None], positions[None], cache, use_cache=cache is not None
        )
        return torch.as_tensor(states[0])

    def logits(self, hidden: Tensor) -> Tensor:
        """See `DuetModel`; of tokens that no reply holds, minus infinity."""
        backbone = self._grounder.backbone
        return backbone.logits(hidden).float().masked_fill(~backbone.speakable, -torch.inf)

    def scores(self, hidden: Tensor) -> Mapping[str, float]:
        """See `DuetModel`."""
        return {name: float(logit.sigmoid()) for name, logit in self._heads(hidden.float()).items()}

    def _embed(self, piece: Piece, clip: Clip) -> Tensor:
        """Embeddings of a piece; a frame is read in the light of the last question."""
        before = self._asked if piece.kind is Kind.FRAMES else []
        embeddings, _ = self._grounder.embed([*before, piece], clip)
        return embeddings[0, -len(piece.ids) :]


def _one_frame(features: Tensor, time: float) -> Clip:
    return Clip("stream", features, np.array([time]), time + _MOMENT)
