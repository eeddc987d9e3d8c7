"""What replies say of objects: the states that words come from look once more at the object tokens, and name what
those show.

A causal LM must carry what an object looks like through all its layers to the one place where its colour is said. Here
is the short way that pointer networks take (See et al., 2017, arXiv:1704.04368): one head of attention from the states
before the LM's own head to the tracks of the frames before them; what it finds is added to these states. It is told
three things that words depend on: which track the user names, of which seconds the reply has just spoken, and how well
each track fits the question in each frame. Knows states, layouts and tracks. Does not know wordings or losses. Axis
letters: B samples, L tokens, X object tokens of a sample, Q states that words come from, R of a sample, H width, W of
tracks, E of the head.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from llm_grounder.backbone import OBJECT, OPEN, Backbone
from llm_grounder.masklets import TrackStates
from llm_grounder.readouts.runs import Run
from llm_grounder.readouts.tracks import Fits
from llm_grounder.sequence import Batch, Layout
from llm_grounder.times import DIGITS, TIME_LENGTH, TIME_TOKENS
from llm_grounder.types import Clip

INNER: Final = 64
JOINED: Final = 3  # tokens between two times that are one window
NEAR: Final = 2.0  # seconds in all by which times may be rounded where they are written
SUREST: Final = 6.0  # logits of fits beyond which one is as sure as another
_TIME: Final = re.compile(r"[0-9]{4}\.[0-9]")


@dataclass(frozen=True, eq=False)
class Nameable:
    """The object tokens of B samples, filled up.

    places: [B, X], columns of their tokens.   keys: [B, X, E].   states: [B, X, W], what they show.   tracks: [B, X],
    whose they are.   seconds:
    [B, X, 2], when their frames begin and end.   hint: [B, X], more of those that are named or fit.   real: [B, X] bool
    """

    places: Tensor
    keys: Tensor
    states: Tensor
    tracks: Tensor
    seconds: Tensor
    hint: Tensor
    real: Tensor


@dataclass(frozen=True, eq=False)
class Spoken:
    """From where words come: row and column of Q states in a batch, in the order of rows, and the seconds [Q, 2] of
    which their replies have just spoken, NaN for none; the host's.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    seconds: NDArray[np.float64]


class Naming(nn.Module):
    """See the module."""

    def __init__(self, width: int, shown: int, *, fits: bool) -> None:
        """width: H.   shown: W.   fits: whether it is known how well tracks fit."""
        super().__init__()
        self.ask, self.key, self.look = nn.Linear(width, INNER), nn.Linear(width, INNER), nn.Linear(shown, INNER)
        self.nobody = nn.Parameter(torch.zeros(INNER))
        self.named, self.timely = nn.Parameter(torch.tensor([2.0])), nn.Parameter(torch.tensor([2.0]))
        self.fitting = nn.Parameter(torch.tensor([0.5])) if fits else None
        self.says = nn.Linear(shown, width, bias=False)
        nn.init.normal_(self.says.weight, std=0.02)  # little at first, but enough for gradients of all else

    def find(
        self, states: Tensor, batch: Batch, layouts: Sequence[Layout], clips: Sequence[Clip], tracks: TrackStates,
        fits: Sequence[Fits | None], ids: Mapping[str, int],
    ) -> Nameable | None:  # fmt: skip
        """The object tokens in the states [B, L, H] of a batch; None where there are none."""
        many = max(len(layout.objects) for layout in layouts)
        if not many:
            return None
        shape, device = (len(layouts), many), states.device
        places, rows, frames, whose = (np.zeros(shape, dtype=np.int64) for _ in range(4))
        seconds, named, real = np.zeros((*shape, 2)), np.zeros(shape), np.zeros(shape, dtype=bool)
        which, offset, flat = np.full(shape, -1), 0, []
        for b, (layout, clip, start, fit) in enumerate(zip(layouts, clips, batch.start, fits, strict=True)):
            (t, n), here = layout.objects.numpy().T, slice(0, len(layout.objects))
            places[b, here] = start + np.flatnonzero(layout.ids.numpy() == ids[OBJECT])
            rows[b, here], frames[b, here], real[b, here] = n + tracks.first.get(id(clip), 0), t, True
            whose[b, here] = n
            edges = np.append(clip.times, clip.end)
            seconds[b, here, 0], seconds[b, here, 1] = edges[t], edges[t + 1]
            if len(layout.named):
                named[b, here] = n == int(layout.named[-1, 1])
            if fit is not None:
                which[b, here] = offset + n * fit.now.shape[1] + t
                flat.append(fit.now.flatten())
                offset += fit.now.numel()
        place, row, frame, owner, index = (
            torch.from_numpy(part).to(device, non_blocking=True) for part in (places, rows, frames, whose, which)
        )
        shown = tracks.states[row, frame].float()
        keys = self.key(states.gather(1, place[..., None].expand(-1, -1, states.shape[-1]))) + self.look(shown)
        hint = self.named * torch.from_numpy(named).to(device, torch.float32, non_blocking=True)
        if flat and self.fitting is not None:
            known = torch.cat(flat).float().clamp(-SUREST, SUREST)[index.clamp(min=0)] * (index >= 0)
            hint = hint + self.fitting * known
        spans = torch.from_numpy(seconds).to(device, torch.float32, non_blocking=True)
        return Nameable(place, keys, shown, owner, spans, hint, torch.from_numpy(real).to(device, non_blocking=True))

    def forward(self, states: Tensor, spoken: Spoken, nameable: Nameable) -> Tensor:
        """What to add to the states [Q, H] from which words come, [Q, H]."""
        counts = np.bincount(spoken.row, minlength=len(nameable.places))
        slots = np.arange(len(spoken.row)) - np.repeat(np.cumsum(counts) - counts, counts)
        device = states.device
        at = torch.from_numpy(np.stack([spoken.row, slots])).to(device, non_blocking=True)
        columns = torch.from_numpy(spoken.column).to(device, non_blocking=True)
        seconds = torch.from_numpy(spoken.seconds).to(device, torch.float32, non_blocking=True)
        shape = (len(counts), int(counts.max()))

        def filled(values: Tensor) -> Tensor:
            """[B, R, ..] of values [Q, ..]."""
            return values.new_zeros((*shape, *values.shape[1:])).index_put((at[0], at[1]), values)

        asked = filled(self.ask(states))
        start, end = filled(seconds)[:, :, None].unbind(-1)  # [B, R, 1] each
        first, last = nameable.seconds[:, None].unbind(-1)  # [B, 1, X]
        timely = (first <= torch.maximum(end - 1e-3, start)) & (last > start)  # never of NaN
        scores = asked @ nameable.keys.transpose(1, 2) * INNER**-0.5 + nameable.hint[:, None]
        scores = scores + self.timely * timely
        before = nameable.real[:, None] & (nameable.places[:, None] < filled(columns)[..., None])
        nobody = asked @ self.nobody * INNER**-0.5
        weights = torch.cat([scores.masked_fill(~before, -torch.inf), nobody[..., None]], -1).softmax(-1)[..., :-1]
        found = weights @ nameable.states  # [B, R, W]
        return torch.as_tensor(self.says(found[at[0], at[1]]))


def spoken_of(batch: Batch, layouts: Sequence[Layout], ids: Mapping[str, int]) -> Spoken:
    """The places before all words of a batch that are to be learnt."""
    row, column = (part.numpy() for part in torch.nonzero(batch.labels[:, 1:] >= 0).unbind(1))
    seconds = np.full((len(row), 2), np.nan)
    for b, start in enumerate(batch.start):
        own = np.flatnonzero(row == b)
        if len(own):
            first = int(column[own[0]]) - start
            back = int(np.flatnonzero(layouts[b].ids[: first + 1].numpy() == ids[OPEN])[-1])
            seconds[own] = seconds_spoken(layouts[b].ids[back:].tolist(), ids)[column[own] - start - back]
    return Spoken(row, column, seconds)


def seconds_spoken(said: Sequence[int], ids: Mapping[str, int]) -> NDArray[np.float64]:
    """[n, 2]: after each of n tokens the window of which was spoken last in this turn, or one second twice; NaN before.

    Two times are a window where no more than JOINED tokens stand between them.
    """
    signs = {ids[token]: sign for token, sign in zip(TIME_TOKENS, DIGITS, strict=True)}
    out, now = np.full((len(said), 2), np.nan), (np.nan, np.nan)
    run, last, ended = "", np.nan, -TIME_LENGTH - JOINED - 1
    for i, token in enumerate(said):
        run = run + signs[token] if token in signs else ""
        if token == ids[OPEN]:
            now = (np.nan, np.nan)
        elif _TIME.fullmatch(run):
            second = float(run)
            now = (last, second) if i - TIME_LENGTH - ended <= JOINED else (second, second)
            run, last, ended = "", second, i
        out[i] = now
    return out


def added(
    naming: Naming, nameable: Nameable, runs: Sequence[Sequence[Run]], backbone: Backbone, last: Tensor,
    said: Sequence[Sequence[int]],
) -> Tensor:  # fmt: skip
    """Last states [B, H] of replies that have said so much, with what they name.

    runs: of each reply; one of which it has just spoken is as if its track were named.
    """
    states = last.float()
    windows = [seconds_spoken(ids, backbone.ids)[-1] if ids else (np.nan, np.nan) for ids in said]
    subjects = [_subject(own, *window) for own, window in zip(runs, windows, strict=True)]
    if any(subject >= 0 for subject in subjects):
        who = torch.tensor(subjects).to(last.device, non_blocking=True)
        nameable = replace(nameable, hint=nameable.hint + naming.named * (nameable.tracks == who[:, None]))
    rows, ends = np.arange(len(said)), np.full(len(said), np.iinfo(np.int64).max)
    more = naming(states, Spoken(rows, ends, np.array(windows, dtype=np.float64)), nameable)
    return torch.as_tensor((states + more).to(last.dtype))


def _subject(runs: Sequence[Run], start: float, end: float) -> int:
    """The track of the run whose seconds are nearest to these, or whose middle is to this one second; -1 for none."""
    best, away = -1, NEAR
    for run in runs:
        middle = run.start + (run.end - run.start) / 2
        distance = abs(middle - start) if start == end else abs(run.start - start) + abs(run.end - end)
        if distance <= away:  # never of NaN
            best, away = run.track, distance
    return best
