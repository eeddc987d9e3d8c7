"""GroundingDINO's forward pass for training: every layer's boxes and logits, of proposals and of jittered boxes too.

Knows the package's modules and calls them in the package's order; it equals the package's own forward (tested) where
both give the same. It exists because the package's gives no gradient to the proposal heads, has no place for jittered
boxes, and waits for the GPU on the way; here all shapes are fixed and nothing waits, so that a step can be captured.
Axis letters: B images, S image tokens of all levels, Q queries, J jittered boxes, L text tokens, d model width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import GroundingDinoForObjectDetection

from miniature.detector_training.vocabulary import PAD

Part = Any  # a module of the package, which is untyped
LOWEST = -1e4  # of an attention that shall not be


@dataclass(frozen=True)
class Geometry:
    """What depends on the image size alone. shapes: (h, w) of each level.   position: [1, S, d].   reference: [1, S,
    levels, 2] cell centres.   proposals: [1, S, 4] logits of the first boxes.   usable: [1, S] bool.
    places: [2, L, d] text position codes, as of 5.23 and of 5.17 (cut to whole numbers).
    """

    shapes: tuple[tuple[int, int], ...]
    position: Tensor
    reference: Tensor
    proposals: Tensor
    usable: Tensor
    places: Tensor


@dataclass(frozen=True)
class Outputs:
    """encoder_logits [B, S, L], encoder_boxes [B, S, 4]; logits [layers, B, Q + J, L], boxes [layers, B, Q + J, 4].

    Boxes are centre and size as shares of the image, in float32; the first Q queries are the model's own.
    proposed [B, S, d], text [B, L, d] and states [layers, B, Q + J, d] are what the logits are products of.
    """

    encoder_logits: Tensor
    encoder_boxes: Tensor
    logits: Tensor
    boxes: Tensor
    proposed: Tensor
    text: Tensor
    states: Tensor


@torch.no_grad()
def make_geometry(model: GroundingDinoForObjectDetection, side: int, length: int) -> Geometry:
    """The geometry of square images of `side` pixels and texts of `length` tokens, on the model's device."""
    base, device = model.model, model.device
    levels = len(base.input_proj_vision)
    finest = side // 2 ** (7 - levels)  # three backbone levels and one more start at stride 8, two at 16
    shapes = tuple((max(finest >> i, 1),) * 2 for i in range(levels))
    positions, centres, sizes = [], [], []
    for level, (height, width) in enumerate(shapes):
        whole = torch.ones(1, height, width, dtype=torch.bool, device=device)
        code = base.backbone.position_embedding(torch.zeros(1, 1, height, width, device=device), whole)
        positions.append(code.flatten(2).transpose(1, 2))
        y, x = (torch.arange(n, device=device) + 0.5 for n in (height, width))
        grid = torch.stack(torch.meshgrid(y / height, x / width, indexing="ij"), dim=-1).flip(-1).flatten(0, 1)
        centres.append(grid)
        sizes.append(torch.full_like(grid, 0.05 * 2.0**level))
    reference = torch.cat(centres)
    boxes = torch.cat([reference, torch.cat(sizes)], dim=1)
    usable = ((boxes > 0.01) & (boxes < 0.99)).all(dim=1)
    at = torch.arange(length, device=device, dtype=torch.float32)
    places = sine_code(at, int(model.config.d_model))
    return Geometry(
        shapes,
        torch.cat(positions, dim=1),
        reference[None, :, None].expand(1, -1, levels, -1),
        torch.logit(boxes)[None],
        usable[None],
        torch.stack([places, places.trunc()]),
    )


def sine_code(values: Tensor, width: int) -> Tensor:
    """The package's sines and cosines of a number: [...] -> [..., width]."""
    step = torch.arange(width, device=values.device, dtype=torch.float32)
    period = 10000 ** (2 * torch.div(step, 2, rounding_mode="floor") / width)
    angle = values[..., None] * 2 * torch.pi / period
    return torch.stack([angle[..., 0::2].sin(), angle[..., 1::2].cos()], dim=-1).flatten(-2)


def forward(
    model: GroundingDinoForObjectDetection,
    geometry: Geometry,
    pixels: Tensor,
    ids: Tensor,
    attend: Tensor,
    positions: Tensor,
    old: Tensor,
    noisy: Tensor,
    groups: int,
) -> Outputs:
    """All that the losses need. pixels [B, 3, H, W]; ids, positions [B, L]; attend [B, L, L]; old [B] as in `Batch`;
    noisy: boxes [B, J, 4] in `groups` groups that do not see each other.
    """
    base, real = model.model, ids != PAD
    text = base.text_projection(_read(base.text_backbone, ids, attend, positions))
    places = geometry.places[old.long()[:, None], positions]  # [B, L, d]
    image = _look(base, pixels)
    position = geometry.position + torch.cat(
        [base.level_embed[i].expand(h * w, -1) for i, (h, w) in enumerate(geometry.shapes)]
    )
    for layer in base.encoder.layers:
        (image, _), (text, _) = layer.fusion_layer(
            vision_features=image, text_features=text, attention_mask_vision=None, attention_mask_text=~real
        )
        text, _ = layer.text_enhancer_layer(hidden_states=text, attention_masks=attend, position_embeddings=places)
        image = _encode(layer.deformable_layer, image, position, geometry)
    proposed = base.enc_output_norm(base.enc_output(image * geometry.usable[..., None]))
    encoder_logits = _match(proposed, text)
    coordinates = base.encoder_output_bbox_embed(proposed).float() + geometry.proposals
    start = _best(encoder_logits, coordinates, real, geometry, int(model.config.num_queries))
    logits, boxes, states = _decode(model, image, text, real, geometry, torch.cat([start, noisy], dim=1), groups)
    return Outputs(encoder_logits, coordinates.sigmoid(), logits, boxes, proposed, text, states)


def _read(encoder: Part, ids: Tensor, attend: Tensor, positions: Tensor) -> Tensor:
    """BERT's states [B, L, width]; attend says which token sees which.

    Rows are picked by products, since the gradient of a look-up may wait for the device, which a capture forbids.
    """
    parts = encoder.embeddings
    words, places, kinds = parts.word_embeddings.weight, parts.position_embeddings.weight, parts.token_type_embeddings
    embedded = _pick(words, ids) + _pick(places, positions) + kinds.weight[0]
    states: Tensor = encoder.encoder(parts.LayerNorm(embedded), attention_mask=attend[:, None]).last_hidden_state
    return states


def _pick(table: Tensor, rows: Tensor) -> Tensor:
    """Rows [...] of a table [K, d]: [..., d]."""
    return (rows[..., None] == torch.arange(len(table), device=rows.device)).to(table.dtype) @ table


def _look(base: Part, pixels: Tensor) -> Tensor:
    """Image tokens of all levels [B, S, d]."""
    maps = base.backbone.conv_encoder.model(pixels).feature_maps
    projected = [layer(found) for layer, found in zip(base.input_proj_vision, maps, strict=False)]
    projected.append(base.input_proj_vision[-1](maps[-1]))
    return torch.cat([level.flatten(2).transpose(1, 2) for level in projected], dim=1)


def _encode(layer: Part, image: Tensor, position: Tensor, geometry: Geometry) -> Tensor:
    found = deform(layer.self_attn, image + position, image, geometry.reference, geometry.shapes)
    image = layer.self_attn_layer_norm(image + found)
    out: Tensor = layer.final_layer_norm(image + layer.fc2(layer.activation_fn(layer.fc1(image))))
    return out


def deform(
    attention: Part, queries: Tensor, values: Tensor, reference: Tensor, shapes: tuple[tuple[int, int], ...]
) -> Tensor:
    """Multi-scale deformable attention (Zhu et al. 2021, arXiv 2010.04159) with a module's weights: [B, Q, d].

    reference: [B or 1, Q, levels, 2] centres, or [..., 4] boxes, as shares of the image. Levels are summed one by
    one, so that the samples of all levels never exist at once.
    """
    images, count, _ = queries.shape
    heads, levels, points = attention.n_heads, attention.n_levels, attention.n_points
    value = attention.value_proj(values)
    value = value.view(images, values.shape[1], heads, -1).permute(0, 2, 3, 1).flatten(0, 1)  # [B * heads, c, S]
    offsets = attention.sampling_offsets(queries).float().view(images, count, heads, levels, points, 2)
    weights = attention.attention_weights(queries).float().view(images, count, heads, levels * points).softmax(-1)
    weights = weights.view(images, count, heads, levels, points).permute(0, 2, 1, 3, 4).flatten(0, 1)
    out, start = torch.zeros((), device=queries.device), 0
    for level, (height, width) in enumerate(shapes):
        if reference.shape[-1] == 2:
            moved = torch.stack([offsets[:, :, :, level, :, 0] / width, offsets[:, :, :, level, :, 1] / height], dim=-1)
        else:
            moved = offsets[:, :, :, level] / points * reference[:, :, level, None, None, 2:] * 0.5
        at = reference[:, :, level, None, None, :2] + moved  # [B, Q, heads, points, 2]
        grid = (2 * at - 1).transpose(1, 2).flatten(0, 1)
        level_map = value[..., start : start + height * width].reshape(images * heads, -1, height, width).float()
        seen = F.grid_sample(level_map, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        out = out + (seen * weights[:, None, :, level]).sum(dim=-1)  # [B*heads, c, Q]
        start += height * width
    found: Tensor = attention.output_proj(out.view(images, heads * out.shape[1], count).transpose(1, 2))
    return found


def _match(states: Tensor, text: Tensor) -> Tensor:
    """How well each state fits each token: the product of the two, [B, Q, L], float32."""
    return (states @ text.transpose(1, 2)).float()


def _best(logits: Tensor, coordinates: Tensor, real: Tensor, geometry: Geometry, queries: int) -> Tensor:
    """The boxes [B, Q, 4] of the proposals that fit the text best; where the decoder starts, without gradient."""
    score = logits.detach().masked_fill(~real[:, None], LOWEST).amax(dim=2)
    chosen = score.topk(queries, dim=1).indices
    # The package drops proposals at the rim by an infinite box; the sigmoid of that is a box of size 1.
    boxes = coordinates.detach().masked_fill(~geometry.usable[..., None], float("inf")).sigmoid()
    return boxes.gather(1, chosen[..., None].expand(-1, -1, 4))


def _decode(
    model: GroundingDinoForObjectDetection, image: Tensor, text: Tensor, real: Tensor, geometry: Geometry,
    boxes: Tensor, groups: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Logits, boxes and normed states of every layer."""
    decoder, queries = model.model.decoder, int(model.config.num_queries)
    learnt = model.model.query_position_embeddings.weight
    jittered = boxes.shape[1] - queries
    rows = torch.arange(queries + jittered, device=boxes.device)
    rounds = -(-(queries + jittered) // queries)
    states = learnt.repeat(rounds, 1)[: queries + jittered].expand(len(boxes), -1, -1)
    group = torch.where(rows < queries, -1, (rows - queries) // max(jittered // max(groups, 1), 1))
    apart = torch.where(group[:, None] == group[None, :], 0.0, LOWEST)[None, None]
    unread = torch.where(real, 0.0, LOWEST)[:, None, None]
    logits, found, kept = [], [], []
    for index, layer in enumerate(decoder.layers):
        code = torch.cat([sine_code(boxes[..., k], int(model.config.d_model) // 2) for k in (1, 0, 2, 3)], dim=-1)
        place = decoder.reference_points_head(code)
        reference = boxes[:, :, None].expand(-1, -1, len(geometry.shapes), -1)
        states = _refine(layer, states, place, image, text, reference, geometry, apart, unread)
        before = torch.logit(boxes, eps=1e-5)
        normed = decoder.layer_norm(states)
        logits.append(_match(normed, text))
        kept.append(normed)
        found.append((model.bbox_embed[index](normed).float() + before).sigmoid())
        boxes = (decoder.bbox_embed[index](states).float() + before).sigmoid().detach()
    return torch.stack(logits), torch.stack(found), torch.stack(kept)


def _refine(
    layer: Part, states: Tensor, place: Tensor, image: Tensor, text: Tensor, reference: Tensor,
    geometry: Geometry, apart: Tensor, unread: Tensor,
) -> Tensor:  # fmt: skip
    """One decoder layer: queries look at each other, at the text and at the image."""
    seen = states + place
    states = layer.self_attn_layer_norm(
        states + layer.self_attn(queries=seen, keys=seen, values=states, attention_mask=apart)[0]
    )
    states = layer.encoder_attn_text_layer_norm(
        states + layer.encoder_attn_text(queries=states + place, keys=text, values=text, attention_mask=unread)[0]
    )
    found = deform(layer.encoder_attn, states + place, image, reference, geometry.shapes)
    states = layer.encoder_attn_layer_norm(states + found)
    out: Tensor = layer.final_layer_norm(states + layer.fc2(layer.activation_fn(layer.fc1(states))))
    return out
