"""The grounder: clips and words into a language model, read-outs and words out of it.

Composes inputs, backbone and heads; losses have names. Does not know wordings, data sets, optimisers or when to speak.
Axis letters: B samples, L tokens, T frames, K span queries, N tracks, H width, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from core.errors import InputError
from llm_grounder.backbone import CLOSE, Backbone, span_token, track_token
from llm_grounder.decoding import Processor, decode
from llm_grounder.embedding import Inputs
from llm_grounder.masklets import TrackStates
from llm_grounder.pieces import Piece, Template
from llm_grounder.readouts.boxes import BoxHead, BoxOutput, box_losses
from llm_grounder.readouts.frames import HEADS, FrameHead, frame_losses
from llm_grounder.readouts.naming import Nameable, Naming, added, spoken_of
from llm_grounder.readouts.runs import found_in
from llm_grounder.readouts.spans import SpanHead, span_losses
from llm_grounder.readouts.tracks import Fits, TrackHead, fit_losses, track_losses
from llm_grounder.replies import Outputs, replies_of
from llm_grounder.segments import windowed
from llm_grounder.sequence import Batch, Layout, arrange, collate, lay_out
from llm_grounder.settings import GrounderSettings
from llm_grounder.types import Clip, Reply, Sample
from llm_grounder.window import Window

WEIGHTS: Final[Mapping[str, float]] = {
    "text": 1.0, "spans.l1": 5.0, "spans.giou": 2.0, "spans.score": 1.0, "spans.pointer": 1.0,
    "frames.relevance": 1.0, "frames.informative": 1.0, "boxes.l1": 5.0, "boxes.giou": 2.0, "boxes.score": 1.0,
    "tracks.score": 1.0, "tracks.presence": 1.0, "now.fits": 3.0, "tracks.fits": 1.0,
}  # fmt: skip
"""Every loss there is, and what it weighs in the total."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A batch as it was read. states: last ones [B, L, H].   fits, tracks: as `Inputs` has them.   past: keys and
    values, or None.
    """

    states: Tensor
    fits: list[Fits | None]
    tracks: TrackStates | None
    past: Any


class Grounder(nn.Module):
    """See the module. `losses` and `outputs` see whole samples; `embed` serves streams; `generate` writes replies."""

    def __init__(self, settings: GrounderSettings, backbone: Backbone) -> None:
        """Raises InputError where the backbone was made for fewer span queries or tracks than the settings say."""
        super().__init__()
        wanted = {*map(span_token, range(settings.spans)), *map(track_token, range(settings.tracks))}
        if missing := wanted - backbone.ids.keys():
            raise InputError(f"grounder: expected a backbone with the tokens of its settings, got none of {missing}")
        self.settings, self.backbone = settings, backbone
        self.template = Template(backbone, settings)
        self.inputs = Inputs(settings, backbone)
        width = backbone.width
        self.span_head = SpanHead(width, settings.span_rule) if settings.spans else None
        fits = self.inputs.track_slots is not None
        self.frame_head = FrameHead(width, fits=fits) if settings.frame_heads else None
        self.box_head = BoxHead(width, settings.boxes) if settings.boxes else None
        self.track_head = TrackHead(width) if settings.track_width else None
        self.naming = Naming(width, settings.object_width, fits=fits) if settings.track_width else None

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.backbone.row_of.device

    def forward(
        self, samples: Sequence[Sample], weights: Mapping[str, float] = WEIGHTS, window: Window | None = None
    ) -> dict[str, Tensor]:
        """`losses`, so that wrappers of modules work."""
        return self.losses(samples, weights, window)

    def losses(
        self, samples: Sequence[Sample], weights: Mapping[str, float] = WEIGHTS, window: Window | None = None,
        laid: tuple[list[Layout], Batch] | None = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Named losses of a batch, those alone that something is known for, and their weighted sum `total`.

        window: what is seen of the past, as in a stream; all of it by default.   laid: `lay_out` of the
        samples, where it was made before.

        Raises:
            InputError: where weights name losses that are none, or nothing in the batch can be learnt.
        """
        if unknown := set(weights) - set(WEIGHTS):
            raise InputError(f"loss weights: expected names among {sorted(WEIGHTS)}, got {sorted(unknown)}")
        layouts, batch = laid or self.lay_out(samples)
        read = self.read(samples, layouts, batch, window=window)
        out = self.heads(samples, layouts, batch, read.states, read.fits)
        terms: dict[str, Tensor] = {}
        if (batch.labels >= 0).any():
            terms["text"] = self._text_loss(batch, layouts, read.states, self._nameable(samples, layouts, batch, read))
        if out.spans is not None:
            truth = [samples[b].targets.spans for b in out.spanned]
            terms |= span_losses(out.spans, truth, out.edges, out.real)
        if out.frames is not None:
            known = {name: [getattr(sample.targets, name) for sample in samples] for name in HEADS}
            terms |= frame_losses(out.frames, known)
        if out.boxes is not None:
            targets = [sample.targets for sample in samples]
            terms |= box_losses(out.boxes, [t.boxes for t in targets], [t.boxed for t in targets])
        terms |= track_losses(out.tracks, [sample.targets.tracks for sample in samples])
        terms |= fit_losses(read.fits, [sample.targets for sample in samples])
        if not terms:
            raise InputError("batch: expected a sample with words or targets to learn, got none")
        return {**terms, "total": torch.stack([weights.get(name, 0.0) * term for name, term in terms.items()]).sum()}

    @torch.no_grad()
    def outputs(self, samples: Sequence[Sample], window: Window | None = None) -> list[Reply]:
        """What the heads say, without words.   window: as in `losses`."""
        layouts, batch = self.lay_out(samples)
        read = self.read(samples, layouts, batch, window=window)
        return replies_of(samples, self.heads(samples, layouts, batch, read.states, read.fits))

    @torch.no_grad()
    def generate(
        self, samples: Sequence[Sample], *, most: int = 256,
        processors: Callable[[Sample, Reply], Sequence[Processor]] | None = None,
    ) -> list[Reply]:  # fmt: skip
        """What the heads say, and the likeliest words of the assistant's next turn, `most` tokens at most.

        processors: of each sample and what the heads say of it, called with what it has said so far [1, n] (n is 0 at
        first) and the logits [1, V].
        """
        layouts, batch = self.lay_out(samples, answer=True)
        read = self.read(samples, layouts, batch, use_cache=True)
        replies = replies_of(samples, self.heads(samples, layouts, batch, read.states, read.fits))
        pairs = zip(samples, replies, strict=True)
        rules = [list(processors(*pair)) if processors is not None else [] for pair in pairs]
        shown = self._nameable(samples, layouts, batch, read)
        runs = [found_in(sample, reply) for sample, reply in zip(samples, replies, strict=True)]
        said = decode(
            self.backbone,
            read.states[:, -1],
            read.past,
            batch.real.to(self.device, non_blocking=True),
            batch.positions[:, -1],
            rules,
            most,
            None if shown is None or self.naming is None else partial(added, self.naming, shown, runs, self.backbone),
        )
        words = [self.backbone.tokenizer.decode(ids, skip_special_tokens=False) for ids in said]
        return [replace(reply, text=text) for reply, text in zip(replies, words, strict=True)]

    def lay_out(self, samples: Sequence[Sample], *, answer: bool = False) -> tuple[list[Layout], Batch]:
        """Samples as tokens; with `answer` each ends where a reply goes on, so they are filled up at their starts."""
        layouts = [arrange(sample, self.template, answer=answer) for sample in samples]
        return layouts, collate(layouts, self.backbone.ids[CLOSE], left=answer)

    def read(
        self, samples: Sequence[Sample], layouts: Sequence[Layout], batch: Batch, *, window: Window | None = None,
        use_cache: bool = False,
    ) -> Reading:  # fmt: skip
        """A batch through the language model.   window: as in `losses`."""
        embeds, fits, tracks = self.inputs(batch, layouts, [sample.clip for sample in samples], self.backbone)
        if window is None and not use_cache and not any(batch.start):
            # What is filled up comes last, where nothing real sees it: plain causal attention is several times faster.
            states, nothing = self.backbone(embeds)
            return Reading(states, fits, tracks, nothing)
        mask, positions = batch.real, batch.positions
        if window is not None:
            mask, positions = windowed(layouts, batch, window)
        states, past = self.backbone(
            embeds,
            mask.to(self.device, non_blocking=True),
            positions.to(self.device, non_blocking=True),
            use_cache=use_cache,
        )
        return Reading(states, fits, tracks, past)

    def embed(self, pieces: Sequence[Piece], clip: Clip) -> tuple[Tensor, Layout]:
        """Embeddings [1, L, H] of pieces alone, which follow others; frames and tracks in them are those of `clip`."""
        layout = lay_out(pieces, self.template)
        batch = collate([layout], self.backbone.ids[CLOSE])
        return self.inputs(batch, [layout], [clip], self.backbone)[0], layout

    def heads(
        self, samples: Sequence[Sample], layouts: Sequence[Layout], batch: Batch, states: Tensor,
        fits: list[Fits | None],
    ) -> Outputs:  # fmt: skip
        """All read-outs of the states [B, L, H], in float32 under autocast too: bfloat16 has 256 places for a box."""
        with torch.autocast(states.device.type, enabled=False):
            return self._heads(samples, layouts, batch, states.float(), fits)

    def _heads(
        self, samples: Sequence[Sample], layouts: Sequence[Layout], batch: Batch, states: Tensor,
        fits: list[Fits | None],
    ) -> Outputs:  # fmt: skip
        frames = _at(states, batch, [layout.frame_at for layout in layouts])  # of all samples, one after another
        sizes = [len(layout.frame_at) for layout in layouts]
        tracks: list[tuple[Tensor, Tensor] | None] = [None] * len(layouts)
        if self.track_head is not None:
            for b, layout in enumerate(layouts):
                if len(layout.presence_at):
                    own, presence = (
                        states[b, (at + batch.start[b]).to(states.device, non_blocking=True)]
                        for at in (layout.track_at, layout.presence_at)
                    )
                    tracks[b] = self.track_head(own, presence[0], fits[b])
        spanned = tuple(b for b, layout in enumerate(layouts) if len(layout.span_at))
        edges, real, spans = torch.zeros(0, 0, 2), torch.zeros(0, 0, dtype=torch.bool), None
        if spanned and self.span_head is not None:
            edges, real = _edges([samples[b].clip for b in spanned], states.device)
            places = [layout.span_at for layout in layouts]
            queries = _at(states, batch, places).view(len(spanned), -1, states.shape[-1])
            shown = frames[_padded(sizes, spanned).to(states.device, non_blocking=True)]
            spans = self.span_head(queries, shown, real, edges)
        said, boxes = None, None
        if self.frame_head is not None:
            said = self.frame_head.of_samples(frames, sizes, fits)
        if self.box_head is not None:
            out = self.box_head(frames)
            boxes = [BoxOutput(*pair) for pair in zip(out.boxes.split(sizes), out.score.split(sizes), strict=True)]
        return Outputs(said, spans, spanned, edges, real, boxes, tracks, fits)

    def _nameable(
        self, samples: Sequence[Sample], layouts: Sequence[Layout], batch: Batch, read: Reading
    ) -> Nameable | None:  # fmt: skip
        if self.naming is None or read.tracks is None:
            return None
        clips = [sample.clip for sample in samples]
        with torch.autocast(self.device.type, enabled=False):
            states = read.states.float()
            return self.naming.find(states, batch, layouts, clips, read.tracks, read.fits, self.backbone.ids)

    def _text_loss(
        self, batch: Batch, layouts: Sequence[Layout], states: Tensor, shown: Nameable | None
    ) -> Tensor:  # fmt: skip
        row, column = torch.nonzero(batch.labels[:, 1:] >= 0).unbind(1)
        before = states[row.to(states.device, non_blocking=True), column.to(states.device, non_blocking=True)]
        if shown is not None and self.naming is not None:
            with torch.autocast(self.device.type, enabled=False):
                more = self.naming(before.float(), spoken_of(batch, layouts, self.backbone.ids), shown)
            before = before + more.to(before.dtype)
        wanted = batch.labels[row, column + 1].to(states.device, non_blocking=True)
        return F.cross_entropy(self.backbone.logits(before).float(), wanted)


def _at(states: Tensor, batch: Batch, places: Sequence[Tensor]) -> Tensor:
    """States [all, H] at the places of each sample, one sample after another."""
    rows = np.repeat(np.arange(len(places)), [len(at) for at in places])
    columns = torch.cat([at + start for at, start in zip(places, batch.start, strict=True)])
    return states[
        torch.from_numpy(rows).to(states.device, non_blocking=True), columns.to(states.device, non_blocking=True)
    ]


def _padded(sizes: Sequence[int], chosen: Sequence[int]) -> Tensor:
    """Which of all samples' frames, one sample after another, are those of the chosen ones, [B', T]; 0 past the end."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    index = np.zeros((len(chosen), max(sizes[b] for b in chosen)), dtype=np.int64)
    for row, b in enumerate(chosen):
        index[row, : sizes[b]] = np.arange(starts[b], starts[b + 1])
    return torch.from_numpy(index)


def _edges(clips: Sequence[Clip], device: torch.device) -> tuple[Tensor, Tensor]:
    """When each frame begins and ends, [B, T, 2] seconds, and which frames are there, [B, T] bool."""
    each = [torch.as_tensor(np.append(clip.times, clip.end), dtype=torch.float32) for clip in clips]
    edges = pad_sequence([torch.stack([edge[:-1], edge[1:]], -1) for edge in each], batch_first=True)
    lengths = torch.tensor([clip.frames for clip in clips])
    return edges.to(device, non_blocking=True), (torch.arange(edges.shape[1]) < lengths[:, None]).to(
        device, non_blocking=True
    )
