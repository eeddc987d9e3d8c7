"""EdgeTAM as a `Tracker`, on transformers' modules: objects that remember equally much go through them as one batch.

The result equals transformers' `EdgeTamVideoModel` tracking one object at a time in a session (a mask, forward, then
backward), rounding apart. EdgeTAM remembers a frame by a few hundred latents where SAM2 keeps its whole map, so that
all memories of a group are gathered at once. Knows EdgeTAM's modules and which memories it reads when. Does not know
files, sweeps, videos or tracks. Axis letters: N objects, P pixels of the coarsest map, R latents of one memory, K
tokens of all that is remembered, C model width, M memory width, D token width (D = C), S the side of the model's image.

SAM 3's tracker (`Sam3TrackerVideoModel` in transformers) reads the same memories in the same order under nearly the
same names. To follow it needs: loading (its weights may lie in a `sam3_video` model); sizes that come from its maps of
288, 144 and 72 squared at 1008 pixels (a stride of 14, where `EdgeTamImage` and the quarter of a told mask expect 16);
memories that are whole maps kept in bfloat16 as SAM2's, without a perceiver, with masks enlarged to 1152 pixels before
the memory encoder; and, since they are as wide as SAM2's, a batch gathered in parts as `Sam2Tracker` does. The protocol
and the sources of prompts need no change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import EdgeTamVideoModel

from core.errors import CheckpointError, InputError
from proposals.batches import Batches
from proposals.edgetam_heads import Heads, feature_maps
from proposals.features import normalise, precision
from proposals.memories import MemoryCohort, Pointers, Remembered, sines
from proposals.sam2_heads import Readout
from proposals.settings import Resources
from proposals.tracker import Maps, Moment, Step

TOLD = 10.0  # the logit of a pixel, and of presence, that the model is told; its negative where it is told absence


@dataclass(frozen=True)
class _Recall:
    """What one cohort reads at one frame: memories by distance in frames (0: told), and pointers."""

    offsets: tuple[int, ...]
    memories: tuple[Remembered, ...]
    pointers: Pointers

    @property
    def shape(self) -> tuple[int, int]:
        """What cohorts of one batch have in common: the numbers of memories and of pointers."""
        return len(self.offsets), len(self.pointers)


class EdgeTamTracker:
    """One EdgeTAM, ready to track."""

    def __init__(self, model: EdgeTamVideoModel, resources: Resources | None = None) -> None:
        """Raise CheckpointError for a model without memories or that remembers objects in another way than EdgeTAM's,
        and InputError where compilation is asked for.
        """
        resources = resources or Resources()
        if resources.compiled:
            raise InputError(
                "tracker: expected no compilation with EdgeTAM, whose parts are not compiled, got --compile"
            )
        if model.num_maskmem < 1 or model.hidden_dim % model.mem_dim or model.hidden_dim == model.mem_dim:
            raise CheckpointError(
                f"tracker: expected an EdgeTAM with memories narrower than its width {model.hidden_dim}, got "
                f"{model.num_maskmem} memories of {model.mem_dim}"
            )
        self.device = model.device
        self.image_size = int(model.image_size)
        self._model, self._settings = model, model.config
        self._batches = Batches(resources.objects)
        self._dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self._heads = Heads(model)
        with torch.no_grad():
            self._place, self._memory_places = self._positions()

    @torch.inference_mode()
    def encode(self, images: NDArray[np.uint8]) -> Maps:
        """Features of frames uint8 [B, S, S, 3] RGB: maps [B, channels, height, width], fine to coarse."""
        with precision(self.device):
            return feature_maps(self._model, normalise(images, self.device))

    @torch.inference_mode()
    def prompt(self, maps: Maps, masks: Tensor, moment: Moment) -> tuple[MemoryCohort, Step]:
        """New objects from masks, float [N, 1, S, S] of 0 and 1, on the frame of `maps`."""
        parts = self._batches.run(len(masks), lambda start, stop: self._told(maps, masks[start:stop]))
        told = Readout(*(torch.cat(each) for each in zip(*parts, strict=True)))
        reach = int(self._model.num_maskmem)
        cohort = MemoryCohort(
            moment.frame, len(masks), Remembered(told.memory, told.pointer), reach,
            max(reach, int(self._settings.max_object_pointers_in_encoder)),
        )  # fmt: skip
        return cohort, Step(moment.frame, told.logits, told.pointer, told.object_score, told.predicted_iou)

    @torch.inference_mode()
    def step(self, maps: Maps, cohorts: Sequence[MemoryCohort], moment: Moment) -> list[Step]:
        """Find every cohort's objects on the frame of `maps` and remember them; a read-out for each, in order."""
        recalls = [self._recall(cohort, moment) for cohort in cohorts]
        steps: dict[int, Step] = {}
        for shape in dict.fromkeys(recall.shape for recall in recalls):
            group = [number for number, recall in enumerate(recalls) if recall.shape == shape]
            gathered = [self._gather(recalls[number], cohorts[number].objects) for number in group]
            memory, place = (torch.cat(each) for each in zip(*gathered, strict=True))
            parts = self._batches.run(len(memory), partial(self._follow, maps, memory, place, shape))
            outcome = [torch.cat(each) for each in zip(*parts, strict=True)]
            sizes = [cohorts[number].objects for number in group]
            for number, *mine in zip(group, *(torch.split(each, sizes) for each in outcome), strict=True):
                steps[number] = cohorts[number].keep(moment.frame, Readout(*mine), copied=True)
        return [steps[number] for number in range(len(cohorts))]

    def _positions(self) -> tuple[Tensor, Tensor]:
        """Positions of the coarsest map [P, 1, C], and of memories by distance [memories, R, M], told ones first."""
        model, size = self._model, self._heads.sizes[-1]
        wide = torch.Size((1, model.hidden_dim, *size))
        place = model.vision_encoder.neck.position_encoding(wide, self.device, torch.float32)
        empty = torch.zeros(1, model.mem_dim, *size, device=self.device)
        code = model.memory_encoder.position_encoding(empty.shape, self.device, torch.float32)
        _, latent = model.spatial_perceiver(empty, code)  # the same for every memory
        # The row of a distance is the one before it, so that told memories (0) have the last.
        rows = latent + model.memory_temporal_positional_encoding.roll(1, dims=0)[:, 0]
        return place.flatten(2).permute(2, 0, 1), rows

    def _told(self, maps: Maps, masks: Tensor) -> Readout:
        """A part of the prompts: the model is told the masks, remembers them and makes a pointer of each."""
        model, quarter = self._model, (self.image_size // 4, self.image_size // 4)
        with precision(self.device):
            logits = _resized(masks * 2 * TOLD - TOLD, quarter)
            hint = model.prompt_encoder.mask_embed(
                _resized(model.mask_downsample(masks), model.prompt_encoder.mask_input_size)
            )
            source = maps[-1].expand(len(masks), -1, -1, -1)
            _, pointer, _, _ = self._heads.decode(source, maps, hint, several=True)
            appearing = masks.flatten(1).amax(dim=1, keepdim=True)  # [N, 1]
            pointer = appearing * pointer + (1 - appearing) * model.no_object_pointer
            score = 2 * TOLD * appearing - TOLD
            memory = self._heads.remember(maps, masks, score).to(self._dtype)
        return Readout(logits.float(), pointer.float(), score[:, 0], torch.ones_like(score[:, 0]), memory)

    def _recall(self, cohort: MemoryCohort, moment: Moment) -> _Recall:
        """The memories and pointers that transformers would read, in its order."""
        back = 1 if moment.reverse else -1
        offsets, memories = [0], [cohort.told]
        for offset in range(self._model.num_maskmem - 1, 0, -1):
            if (held := cohort.found.get(moment.frame + back * offset)) is not None:
                offsets.append(offset)
                memories.append(held)
        pointers = cohort.pointers(moment, int(self._settings.max_object_pointers_in_encoder))
        return _Recall(tuple(offsets), tuple(memories), pointers)

    def _gather(self, recall: _Recall, objects: int) -> tuple[Tensor, Tensor]:
        """What a cohort remembers [N, K, M] and the positions of it, likewise: memories first, then pointers."""
        width = self._model.mem_dim
        tokens = recall.pointers.tokens(width, self._dtype, 0, objects)
        memory = torch.cat([*(each.kept for each in recall.memories), tokens], dim=1)
        if self._settings.enable_temporal_pos_encoding_for_object_pointers:
            project = self._model.temporal_positional_encoding_projection_layer
            code = project(sines([recall.pointers], self._model.hidden_dim, self.device)[0])  # [pointers, M]
        else:
            code = torch.zeros(len(recall.pointers), width, device=self.device)
        code = code.repeat_interleave(self._model.hidden_dim // width, dim=0)
        place = torch.cat([self._memory_places[list(recall.offsets)].flatten(0, 1), code])
        return memory, place.to(self._dtype).expand(objects, -1, -1)

    def _follow(
        self, maps: Maps, memory: Tensor, place: Tensor, shape: tuple[int, int], start: int, stop: int
    ) -> Readout:
        """Objects start to stop of a group that remembers equally much."""
        model, objects = self._model, stop - start
        memories, pointers = shape[0], shape[1] * (model.hidden_dim // model.mem_dim)
        coarse = maps[-1].flatten(2).permute(2, 0, 1)  # [P, 1, C]
        with precision(self.device):
            # By place: one of the names is misspelt in the package, and may be put right.
            found = model.memory_attention(
                coarse.expand(-1, objects, -1), memory[start:stop].transpose(0, 1),
                self._place.expand(-1, objects, -1), place[start:stop].transpose(0, 1), pointers, memories,
            )  # fmt: skip
            source = (
                found.reshape(objects, len(coarse), -1).transpose(1, 2).reshape(objects, -1, *self._heads.sizes[-1])
            )
            logits, pointer, score, iou = self._heads.decode(
                source, maps, self._heads.no_mask, several=self._heads.several
            )
            logits = logits.float()
            side = (self.image_size, self.image_size)
            fine = functional.interpolate(logits, side, mode="bilinear", align_corners=False)
            left = self._heads.remember(maps, fine.sigmoid(), score).to(self._dtype)
        return Readout(logits, pointer.float(), score[:, 0].float(), iou.float(), left)


def _resized(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks [N, 1, ., .] at another size, as the package makes them smaller."""
    if masks.shape[-2:] == size:
        return masks
    return functional.interpolate(masks.float(), size, mode="bilinear", align_corners=False, antialias=True)
