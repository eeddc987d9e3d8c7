"""What the language model reads, as vectors: words, visual tokens, objects, boxes and times of a batch of samples.

All that is not a word is scaled like the model's own embeddings. Knows tensors and layouts. Does not know what is
asked.
Axis letters: T frames, P patches, C feature width, N tracks, D object-token width, H width, X objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from llm_grounder.backbone import FRAME, OBJECT, REGION, VISUAL, Backbone, track_token
from llm_grounder.compressors import GuidedSlots, make_compressor
from llm_grounder.guide import Guide, questions_of
from llm_grounder.masklets import TrackFrontEnd, TrackStates, read_tracks
from llm_grounder.patches import PatchFrontEnd, PlacedPatches
from llm_grounder.readouts.tracks import Fits
from llm_grounder.regions import Regions
from llm_grounder.seeing import Seen, Steering, frames_of, groups_of, guided, patches_of, see, tracks_beside
from llm_grounder.sequence import Batch, Layout
from llm_grounder.settings import GrounderSettings
from llm_grounder.times import TIME_TOKENS, ComposedTime, FrameTimes
from llm_grounder.types import Clip


class Scaled(nn.Module):
    """A module and then a norm whose vectors have the spread of a language model's embeddings."""

    def __init__(self, spread: float, width: int, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.norm = inner, nn.LayerNorm(width)
        nn.init.constant_(self.norm.weight, spread)

    def forward(self, *values: Tensor) -> Tensor:
        """What the module takes -> [.., H]."""
        return torch.as_tensor(self.norm(self.inner(*values)))


class Inputs(nn.Module):
    """Everything between features and the language model."""

    def __init__(self, settings: GrounderSettings, backbone: Backbone) -> None:
        super().__init__()
        self.settings = settings
        width, channels = backbone.width, settings.visual_width
        with torch.no_grad():
            spread = float(backbone.lm.get_input_embeddings().weight.float().std())
        self.patches: nn.Module = (
            PatchFrontEnd(
                settings.feature_width, channels, settings.patch_layers, settings.patches, settings.patch_past
            )
            if settings.patch_width
            else PlacedPatches(channels, settings.patches)
        )
        self.times = FrameTimes(channels, settings.sequence_rows, settings.second_rows)
        self.compressor = make_compressor(settings)
        self.guide = Guide(width, settings.visual_tokens, channels) if settings.compressor == "guided" else None
        made = channels + (self.guide is not None)
        self.track_slots: GuidedSlots | None = None
        if self.guide is not None and settings.track_width:
            self.track_slots = GuidedSlots(settings.object_width, settings.visual_tokens, channels)
            self.nobody = nn.Parameter(torch.zeros(settings.object_width))
            made += settings.object_width + 1
        self.visual = Scaled(spread, width, _two_layers(made, width))
        self.region = Scaled(spread, width, Regions(width, channels))
        self.composed = Scaled(spread, width, nn.Identity()) if settings.frame_times == "composed" else None
        self.digits = ComposedTime(width) if settings.frame_times == "composed" else None
        self.object = None
        if settings.track_width:
            self.tracks = TrackFrontEnd(
                settings.track_width,
                settings.object_width,
                settings.object_layers,
                settings.object_reach,
                motion=settings.motion_width,
                moving=settings.moving,
            )
            self.object = Scaled(spread, width, _two_layers(settings.object_width, width))

    def forward(
        self, batch: Batch, layouts: Sequence[Layout], clips: Sequence[Clip], backbone: Backbone
    ) -> tuple[Tensor, list[Fits | None], TrackStates | None]:  # fmt: skip
        """Embeddings [B, L, H] of a batch, on the backbone's device and in its dtype; how well each sample's tracks fit
        its last question, None of samples without tracks or questions, and of all where no slots look at tracks; and
        the tracks, where any are read.
        """
        device = backbone.row_of.device
        # Small copies that waited for the device, here and below, would keep it from ever having work ahead.
        embeds = backbone.embed(batch.ids.to(device, non_blocking=True))
        groups = [layout.groups.tolist() for layout in layouts]
        marked = [layout.frame[layout.frame_at] for layout in layouts]
        tracks = read_tracks(self.tracks, clips, device) if self.object is not None else None
        fits: list[Fits | None] = [None] * len(layouts)
        if tracks is not None:
            embeds = _put(embeds, batch.ids == backbone.ids[OBJECT], self.objects(layouts, clips, tracks, backbone))
            embeds = self._show_named(embeds, batch, layouts, clips, tracks)
        seen = self._timed(see(self.patches, clips, self.settings.patches, self.settings.feature_width, device), clips)
        embeds = _put(embeds, batch.ids == backbone.ids[REGION], self._regions(layouts, clips, seen))
        if self.guide is not None:
            assert isinstance(self.compressor, GuidedSlots)
            guides = self.guide(embeds, batch.start, layouts)
            steering = Steering(self.compressor.directions(guides), questions_of(layouts))
            made = guided(self.compressor, seen, clips, groups, self.settings.group, steering)
            if tracks is not None and self.track_slots is not None:
                steering = replace(steering, directions=self.track_slots.directions(guides))
                fits = self._fits(steering.directions, layouts, clips, tracks)
                beside = tracks_beside(seen, clips, tracks, self.nobody)
                own = guided(self.track_slots, beside, clips, groups, self.settings.group, steering)
                made = torch.cat([made, own.to(made.dtype)], -1)
            tokens = self.visual(made).flatten(0, 1)
        else:
            patches = patches_of(seen)
            tokens = self._visual_tokens([patches[id(clip)] for clip in clips], groups)
        embeds = _put(embeds, batch.ids == backbone.ids[VISUAL], tokens)
        if self.digits is not None and self.composed is not None:
            times = np.concatenate([clip.times[t.numpy()] for clip, t in zip(clips, marked, strict=True)])
            spelt = self.composed(self.digits(backbone.rows_of(TIME_TOKENS).float(), times))
            embeds = _put(embeds, batch.ids == backbone.ids[FRAME], spelt, more=True)
        return embeds, fits, tracks

    def _fits(
        self, directions: Tensor, layouts: Sequence[Layout], clips: Sequence[Clip], tracks: TrackStates
    ) -> list[Fits | None]:  # fmt: skip
        """By the first two slots of the directions [U, W, K] that questions give those that look at tracks."""
        directions = directions[..., [0, min(1, directions.shape[-1] - 1)]]
        asked: dict[int, list[tuple[int, int]]] = {}  # of each clip, its samples with the guide of their last question
        guides = 0
        for b, (layout, clip) in enumerate(zip(layouts, clips, strict=True)):
            guides += len(layout.turns)
            if len(layout.turns) and clip.tracks:
                asked.setdefault(id(clip), []).append((b, guides))
        of, found = {id(clip): clip for clip in clips}, list[Fits | None]([None] * len(layouts))
        for key, pairs in asked.items():
            rows = slice(tracks.first[key], tracks.first[key] + of[key].tracks)
            states, there = tracks.states[rows, : of[key].frames], tracks.there[rows, : of[key].frames]
            chosen = torch.tensor([guide for _, guide in pairs]).to(states.device, non_blocking=True)
            logits = torch.einsum("ntw,awk->aknt", states, directions[chosen].to(states.dtype)).float()
            whole = (logits[:, 1] * there).sum(-1) / there.sum(-1).clamp(min=1)  # [A, N]
            for a, (b, _) in enumerate(pairs):
                found[b] = Fits(logits[a, 0], whole[a], there)
        return found

    def _show_named(
        self, embeds: Tensor, batch: Batch, layouts: Sequence[Layout], clips: Sequence[Clip], tracks: TrackStates
    ) -> Tensor:  # fmt: skip
        """Where a user names a track, what it looks like is added to its name."""
        assert self.object is not None
        row, column, which = [], [], []
        for b, (layout, clip, start) in enumerate(zip(layouts, clips, batch.start, strict=True)):
            for at, n in layout.named.tolist() if clip.tracks else ():
                row.append(b)
                column.append(start + at)
                which.append(tracks.first[id(clip)] + n)
        if not row:
            return embeds
        place = torch.tensor([row, column, which]).to(embeds.device, non_blocking=True)
        there = tracks.there[place[2]][..., None]
        mean = (tracks.states[place[2]] * there).sum(1) / there.sum(1).clamp(min=1)
        return embeds.index_put((place[0], place[1]), self.object(mean).to(embeds.dtype), accumulate=True)

    def _visual_tokens(self, patches: Sequence[Tensor], groups: Sequence[Sequence[int]]) -> Tensor:
        """Visual tokens [all, H] of the named groups of each sample's patches [T, P, C]; a clip that comes again costs
        once.
        """
        cut: dict[tuple[int, tuple[int, ...]], tuple[Tensor, Tensor]] = {}
        keys = [(id(shown), tuple(wanted)) for shown, wanted in zip(patches, groups, strict=True)]
        for key, shown, wanted in zip(keys, patches, groups, strict=True):
            if key not in cut:
                cut[key] = groups_of(shown, wanted, self.settings.group)
        made, real = ([pair[i] for pair in cut.values()] for i in (0, 1))
        sizes = [len(part) for part in made]
        if self.settings.group:  # groups of one size go together
            made, real = [torch.cat(made)], [torch.cat(real)]
        parts = [self.visual(self.compressor(part, there)) for part, there in zip(made, real, strict=True)]
        each = dict(zip(cut, parts[0].split(sizes) if self.settings.group else parts, strict=True))
        return torch.cat([each[key].flatten(0, 1) for key in keys])

    def _timed(self, seen: list[Seen], clips: Sequence[Clip]) -> list[Seen]:
        """The same with embeddings of places and seconds, where there are any."""
        of = {id(clip): clip for clip in clips}
        for each in seen if self.settings.sequence_rows or self.settings.second_rows else ():
            for key, (n, frames) in each.place.items():
                times = self.times(of[key].times, each.shown.device)
                assert times is not None  # there are rows
                each.shown[n, :frames] += times[:, None].to(each.shown.dtype)
        return seen

    def _regions(self, layouts: Sequence[Layout], clips: Sequence[Clip], seen: Sequence[Seen]) -> Tensor:
        """Vectors [R, H] of all regions, each seen in the frame that is shown at its time."""
        boxes, frames = [], []
        for layout, clip in zip(layouts, clips, strict=True):
            for region in layout.regions:
                frame = max(int(np.searchsorted(clip.times, region.time + 1e-6, side="right")) - 1, 0)
                boxes.append(region.box)
                frames.append((id(clip), frame))
        shown = frames_of(seen, frames)
        return torch.as_tensor(self.region(torch.tensor(boxes).view(-1, 4).to(shown.device, non_blocking=True), shown))

    def objects(
        self, layouts: Sequence[Layout], clips: Sequence[Clip], tracks: TrackStates, backbone: Backbone
    ) -> Tensor:  # fmt: skip
        """Object tokens [X, H] of all layouts: the track in that frame, and the name of the track."""
        assert self.object is not None
        device = backbone.row_of.device
        rows, frames, names = [], [], []
        for layout, clip in zip(layouts, clips, strict=True):
            t, n = layout.objects.unbind(1)
            rows.append(n + tracks.first.get(id(clip), 0))
            frames.append(t)
            names.append(n)
        row, frame, name = (torch.cat(part).to(device, non_blocking=True) for part in (rows, frames, names))
        called = backbone.rows_of(map(track_token, range(self.settings.tracks))).float()
        return torch.as_tensor(self.object(tracks.states[row, frame])) + called[name]


def _two_layers(inner: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inner, width), nn.GELU(), nn.Linear(width, width))


def _put(embeds: Tensor, where: Tensor, values: Tensor, *, more: bool = False) -> Tensor:
    """Embeddings [B, L, H] with values [n, H] where `where` [B, L] says, which is on the CPU, so that nothing waits.

    more: add them to what is there.
    """
    row, column = (part.to(embeds.device, non_blocking=True) for part in torch.nonzero(where).unbind(1))
    return embeds.index_put((row, column), values.to(embeds.dtype), accumulate=more)
