"""One training step's forward and losses: still images, or clips with memory.

Knows the forward parts and the losses. Does not know optimisers, schedules or where batches come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Generator, Tensor

from miniature.sam2_training.batches import GROUPS, Batch
from miniature.sam2_training.forward import (
    Decoded,
    Features,
    MaskDecoder,
    decode,
    decode_prompts,
    encode,
    first_answer,
    normalise,
    recall,
    remember,
)
from miniature.sam2_training.losses import Losses, combine, measure

FARTHEST = 16  # frames by which a prompt may be said to lie farther back, for pointers of clips longer than the batch's
TRUTH_SHARE = 0.5


@dataclass(frozen=True)
class Chance:
    """The dice of a clip step. by_truth: bool [T, N], whether a frame's memory is gated by ground truth instead of the
    predicted score, so that an early, wrong score does not starve the memory.   back: scalar, frames by which the
    prompt is said to lie farther back.
    """

    by_truth: Tensor
    back: Tensor


def roll(truth: Tensor, generator: Generator) -> Chance:
    """Dice for a batch's truth [T, N, H, W], on its device."""
    chance = torch.rand(truth.shape[:2], device=truth.device, generator=generator)
    back = torch.randint(FARTHEST + 1, (), device=truth.device, generator=generator)
    return Chance(chance < TRUTH_SHARE, back)


@dataclass(frozen=True)
class Parts:
    """The two pieces of a step that may be compiled: the decoder of tracked frames, and the losses of a chunk."""

    decoder: MaskDecoder
    measure: Callable[..., Tensor]


def plain_parts(model: SAM2Base) -> Parts:
    """Nothing compiled."""
    return Parts(model.sam_mask_decoder.predict_masks, measure)


def compiled_parts(model: SAM2Base) -> Parts:
    """Compile what has one shape all along: encoder trunk, mask down-sampler, fuser, decoder, losses.

    The memory attention stays as it is: its memory grows with every frame, and each length would compile anew.
    """
    for module in (model.image_encoder.trunk, model.memory_encoder.mask_downsampler, model.memory_encoder.fuser):
        module.compile(dynamic=False)
    return Parts(
        torch.compile(model.sam_mask_decoder.predict_masks, dynamic=False), torch.compile(measure, dynamic=False)
    )


def image_step(model: SAM2Base, batch: Batch, parts: Parts, chunk: int) -> Losses:
    """Losses of a batch of single frames (T = 1); `chunk` objects at a time go through the losses."""
    features = encode(model, normalise(batch.frames[0]))
    decoded = decode_prompts(model, _for_objects(features, batch.frames.shape[1]), batch.prompts)
    truth = batch.truth[0]
    sums = [
        _measure(parts, Decoded(*(getattr(decoded, name)[i : i + chunk] for name in _FIELDS)), truth[i : i + chunk])
        for i in range(0, len(truth), chunk)
    ]
    return combine(torch.stack(sums).sum(dim=0), len(truth))


def clip_step(model: SAM2Base, batch: Batch, parts: Parts, chance: Chance) -> Losses:
    """Losses of a batch of clips, prompted on their first frame and tracked through the rest."""
    length, clips = batch.frames.shape[:2]
    features = encode(model, normalise(batch.frames.flatten(0, 1)))
    owner = torch.arange(clips, device=batch.frames.device).repeat(GROUPS)
    here = features.pick(owner)
    decoded = decode_prompts(model, here, batch.prompts)
    sums = [_measure(parts, decoded, batch.truth[0])]
    logits, score = first_answer(decoded, batch.prompts)
    visible = batch.truth.flatten(2).any(dim=2)  # [T, N]
    gate = torch.where(chance.by_truth[0], visible[0], score[:, 0] > 0)
    pointer_gate = torch.where(chance.by_truth[0], visible[0], decoded.score[:, 0] > 0)
    memories = [remember(model, here, logits, gate, decoded.pointer, pointer_gate)]
    for frame in range(1, length):
        here = features.pick(frame * clips + owner)
        decoded = decode(model, recall(model, here, memories, chance.back + frame), here.fine(), decoder=parts.decoder)
        sums.append(_measure(parts, decoded, batch.truth[frame]))
        if frame + 1 < length:
            gate = torch.where(chance.by_truth[frame], visible[frame], decoded.score[:, 0] > 0)
            memories.append(remember(model, here, decoded.answer(), gate, decoded.pointer, gate))
    return combine(torch.stack(sums).sum(dim=0), batch.truth[:, :, 0, 0].numel())


_FIELDS = tuple(Decoded.__dataclass_fields__)


def _for_objects(features: Features, clips: int) -> Features:
    return features.pick(torch.arange(clips, device=features.levels[0].device).repeat(GROUPS))


def _measure(parts: Parts, decoded: Decoded, truth: Tensor) -> Tensor:
    return parts.measure(decoded.masks, decoded.answer(), decoded.ious, decoded.score, decoded.chosen, truth)
