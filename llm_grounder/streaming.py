"""The duet: frames and questions come one by one, and the grounder says something when its policy wants it to.

Knows segments, a bounded cache of keys, and the policy; a model behind `DuetModel` makes and reads the embeddings, with
the same pieces that training puts together. Does not know where frames come from, nor how they are encoded. What is
said equals the offline pass over the same segments under `window_mask` and `window_positions`. Memory does not grow
with the stream. Axis letters: P patches, C feature width, S tokens, E width of the language model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from core.errors import InputError
from core.validators import check_least, check_text
from llm_grounder.events import Event, EventKind, Question
from llm_grounder.key_memory import KeyMemory, KeyModel
from llm_grounder.policy import PolicySettings, PolicyState, Verdict, begin_question, consider, judge
from llm_grounder.window import Part, Window

Raw = TypeVar("Raw")


class DuetModel(KeyModel, Protocol):
    """A grounder as a stream needs it. Embeddings are [S, E]."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    def stops(self) -> frozenset[int]:
        """Token ids that end a reply."""

    def system(self) -> Tensor:
        """Embeddings of what stands before everything."""

    def question(self, text: str, time: float) -> Tensor:
        """Embeddings of a user's turn at a time in seconds."""

    def frame(self, features: Tensor, time: float) -> Tensor:
        """Embeddings of a frame of features [P, C] at a time in seconds; its scores are read at the last of them."""

    def opening(self) -> Tensor:
        """Embeddings of what opens the model's own turn."""

    def closing(self) -> Tensor:
        """Embeddings of what closes it."""

    def words(self, ids: Sequence[int]) -> Tensor:
        """Embeddings of token ids."""

    def decode(self, ids: Sequence[int]) -> str:
        """Token ids, stops left out, as text."""

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of the next token, [vocabulary], after a hidden state [E]."""

    def scores(self, hidden: Tensor) -> Mapping[str, float]:
        """Scores of a frame by head, 0..1, from the hidden state [E] of its last token."""


class Stream:
    """One video, as far as it has been seen."""

    def __init__(
        self, model: DuetModel, window: Window | None = None, policy: PolicySettings | None = None, longest: int = 64
    ) -> None:
        """Read the system prompt.   longest: most tokens of a reply."""
        check_least("longest reply", longest, 1, "tokens")
        self._model, self._longest = model, longest
        self._window, self._policy = window or Window(), policy or PolicySettings()
        self._state = PolicyState()
        self._memory = KeyMemory(model, self._window)
        self._questions = 0
        self._time: float | None = None
        self._unseen = False
        with torch.inference_mode():
            self._memory.read(Part.SYSTEM, model.system())

    @property
    def tokens(self) -> int:
        """Tokens whose keys are held."""
        return self._memory.tokens

    @torch.inference_mode()
    def ask(self, text: str, time: float) -> Event:
        """Read a question; from now on the policy counts for it."""
        check_text(f"question at {time} s", text)
        self._memory.read(Part.QUESTION, self._model.question(text, time))
        self._state = begin_question(self._state)
        self._questions += 1
        self._unseen = True
        return Event(EventKind.QUESTION, time, text, self._questions - 1)

    @torch.inference_mode()
    def see(self, features: Tensor, time: float) -> list[Event]:
        """Read a frame's features [P, C] at a time in seconds; the frame's event, and that of words if there are any.

        Before the first question nothing is said.

        Raises:
            InputError: when times do not rise.
        """
        if self._time is not None and not time > self._time:
            raise InputError(f"stream: expected a frame after {self._time} s, got one at {time} s")
        self._time, self._unseen = time, False
        last = self._memory.read(Part.FRAME, self._model.frame(features, time))
        scores = self._model.scores(last)
        events = [Event(EventKind.FRAME, time, question=self._question, scores=scores)]
        if self._questions:
            self._state, due = consider(self._policy, self._state, time, scores)
            if due:
                events.append(self._speak(time))
        return events

    @torch.inference_mode()
    def finish(self) -> list[Event]:
        """The stream is over: a question after which no frame came is answered now, whatever the scores were."""
        if not self._unseen or self._time is None:
            return []
        self._unseen = False
        return [self._speak(self._time)]

    @property
    def _question(self) -> int | None:
        return self._questions - 1 if self._questions else None

    def _speak(self, time: float) -> Event:
        """Let the model write, and keep of it what the policy lets pass."""
        ids = self._write()
        text = self._model.decode(ids)
        self._state, verdict = judge(self._policy, self._state, time, text)
        spoken = verdict is Verdict.SPOKEN
        self._memory.end_reply(Part.REPLY if spoken else Part.SILENCE)
        kind = EventKind.REPLY if spoken else EventKind.SILENCE
        return Event(kind, time, text, self._question, verdict=verdict)

    def _write(self) -> list[int]:
        """Token ids of a reply, the likeliest each, without the stop."""
        opening, closing = self._model.opening(), self._model.closing()
        hidden = self._memory.begin_reply(opening, len(opening) + self._longest + len(closing))
        ids: list[int] = []
        while len(ids) < self._longest:
            token = int(self._model.logits(hidden).argmax())
            if token in self._model.stops:
                break
            ids.append(token)
            hidden = self._memory.go_on(self._model.words([token]))
        self._memory.go_on(closing)
        return ids


def run(
    stream: Stream,
    frames: Iterable[tuple[float, Raw]],
    questions: Iterable[Question] = (),
    encode: Callable[[Raw], Tensor] | None = None,
) -> Iterator[Event]:
    """Everything that happens while frames, (seconds, features [P, C]) each, come from a file or a live source.

    Events come as soon as they happen. A question of the list is asked before the first frame whose time is not
    earlier; those after the last frame are asked at the end. `stream.ask` may be called between events as well.
    encode: makes features of whatever the frames are; its time counts as a frame's work, waiting for frames does not.
    """
    waiting = deque(sorted(questions, key=lambda question: question.time))
    for time, raw in frames:
        while waiting and waiting[0].time <= time:
            asked = waiting.popleft()
            yield stream.ask(asked.text, asked.time)
        begun = perf_counter()
        features = raw if encode is None else encode(raw)
        assert isinstance(features, Tensor)
        first, *words = stream.see(features, time)
        yield replace(first, milliseconds=1e3 * (perf_counter() - begun))
        yield from words
    for asked in waiting:
        yield from stream.finish()
        yield stream.ask(asked.text, asked.time)
    yield from stream.finish()
