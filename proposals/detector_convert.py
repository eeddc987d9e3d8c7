"""An original GroundingDINO `.pth` -> a folder that `load_detector` reads: names, splits, configuration, strict check.

Knows the names of IDEA-Research/GroundingDINO's checkpoints with a Swin backbone and those of transformers. Does not
know images, texts or prompts. Sizes are read off the tensors, so that Swin-T, Swin-B and smaller ones need no table;
what tensors do not tell (four sampling points, heads of 64 in the text encoder) is the same in all released ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    AutoTokenizer,
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    SwinConfig,
)

from core.atomic import atomic_folder
from core.errors import CheckpointError
from core.weights import first_few, read_weights
from proposals.detector import check_loading, quiet

POINTS = 4
TEXT_HEAD = 64  # width of a head of BERT

IGNORED = re.compile(
    r"label_enc\.weight|bert\.pooler\..*|bert\.embeddings\.position_ids|.*relative_position_index"
    r"|transformer\.decoder\.bbox_embed\..*"  # the same tensors as bbox_embed
)
"""Tensors of the original that decide no answer, or stand there twice."""

_SWIN, _THEIRS = "model.backbone.conv_encoder.model", r"backbone\.0"
_ENCODER = r"transformer\.encoder"
RULES: tuple[tuple[str, str], ...] = (
    (rf"{_THEIRS}\.patch_embed\.proj", f"{_SWIN}.embeddings.patch_embeddings.projection"),
    (rf"{_THEIRS}\.patch_embed\.norm", f"{_SWIN}.embeddings.norm"),
    (rf"{_THEIRS}\.layers\.(\d+)\.blocks\.(\d+)\.", rf"{_SWIN}.encoder.layers.\1.blocks.\2."),
    (rf"{_THEIRS}\.layers\.(\d+)\.downsample\.", rf"{_SWIN}.encoder.layers.\1.downsample."),
    (rf"({_SWIN}.*)\.norm1\.", r"\1.layernorm_before."),
    (rf"({_SWIN}.*)\.norm2\.", r"\1.layernorm_after."),
    (rf"({_SWIN}.*)\.attn\.proj\.", r"\1.attention.output.dense."),
    (rf"({_SWIN}.*)\.attn\.(query|key|value|relative_position_bias_table)", r"\1.attention.self.\2"),
    (rf"({_SWIN}.*)\.mlp\.fc1\.", r"\1.intermediate.dense."),
    (rf"({_SWIN}.*)\.mlp\.fc2\.", r"\1.output.dense."),
    (rf"{_ENCODER}\.layers\.(\d+)\.", r"model.encoder.layers.\1.deformable_layer."),
    (r"(deformable_layer)\.norm1\.", r"\1.self_attn_layer_norm."),
    (r"(deformable_layer)\.norm2\.", r"\1.final_layer_norm."),
    (rf"{_ENCODER}\.text_layers\.(\d+)\.", r"model.encoder.layers.\1.text_enhancer_layer."),
    (r"(text_enhancer_layer)\.norm1\.", r"\1.layer_norm_before."),
    (r"(text_enhancer_layer)\.norm2\.", r"\1.layer_norm_after."),
    (rf"{_ENCODER}\.fusion_layers\.(\d+)\.", r"model.encoder.layers.\1.fusion_layer."),
    (r"(fusion_layer)\.gamma_v$", r"\1.vision_param"),
    (r"(fusion_layer)\.gamma_l$", r"\1.text_param"),
    (r"(fusion_layer)\.layer_norm_v\.", r"\1.layer_norm_vision."),
    (r"(fusion_layer)\.layer_norm_l\.", r"\1.layer_norm_text."),
    (r"(fusion_layer\.attn)\.(values_|out_)?v_proj\.", r"\1.\2vision_proj."),
    (r"(fusion_layer\.attn)\.(values_|out_)?l_proj\.", r"\1.\2text_proj."),
    (r"transformer\.decoder\.layers\.", "model.decoder.layers."),
    (r"(decoder\.layers\.\d+)\.cross_attn\.", r"\1.encoder_attn."),
    (r"(decoder\.layers\.\d+)\.ca_text\.", r"\1.encoder_attn_text."),
    (r"(decoder\.layers\.\d+)\.norm1\.", r"\1.encoder_attn_layer_norm."),
    (r"(decoder\.layers\.\d+)\.catext_norm\.", r"\1.encoder_attn_text_layer_norm."),
    (r"(decoder\.layers\.\d+)\.norm2\.", r"\1.self_attn_layer_norm."),
    (r"(decoder\.layers\.\d+)\.norm3\.", r"\1.final_layer_norm."),
    (r"transformer\.decoder\.norm\.", "model.decoder.layer_norm."),
    (r"transformer\.decoder\.ref_point_head\.", "model.decoder.reference_points_head."),
    (r"(deformable_layer|text_enhancer_layer|decoder\.layers\.\d+)\.linear(1|2)\.", r"\1.fc\2."),
    (r"transformer\.enc_out_bbox_embed\.", "model.encoder_output_bbox_embed."),
    (r"transformer\.(enc_output|enc_output_norm)\.", r"model.\1."),
    (r"transformer\.tgt_embed\.", "model.query_position_embeddings."),
    (r"transformer\.level_embed$", "model.level_embed"),
    (r"^input_proj\.", "model.input_proj_vision."),
    (r"^feat_map\.", "model.text_projection."),
    (r"^bert\.", "model.text_backbone."),
)
"""Applied in this order to every name; the target names are those of the hub's checkpoints."""


def convert(checkpoint: Path, out: Path, tokenizer: str = "bert-base-uncased") -> int:
    """Write the folder `out`: configuration, `model.safetensors`, tokenizer and image processor; how many tensors.

    checkpoint: the original's `.pth`, read without running code.   tokenizer: a hub id or a folder; checkpoints hold
    no word list.

    Raises:
        CheckpointError: for a file that is no such checkpoint, lacks tensors or has unknown ones, or for a tokenizer
            that is not there.
        OutputError: when `out` cannot be written.
    """
    original = plain_names(read_weights(checkpoint))
    config = read_config(original, checkpoint)
    state = convert_state(original, checkpoint)
    try:
        words = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"tokenizer {tokenizer!r}: expected BERT's word list, got: {error}") from error
    with atomic_folder(out) as folder:
        config.save_pretrained(folder)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        GroundingDinoProcessor(GroundingDinoImageProcessor(), words).save_pretrained(folder)
        with quiet():
            _, report = GroundingDinoForObjectDetection.from_pretrained(
                folder, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True
            )
        check_loading(str(checkpoint), report)
    return len(state)


def plain_names(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without the `module.` that parallel training puts in front of every name."""
    return {name.removeprefix("module."): value for name, value in original.items()}


def convert_state(original: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    """The tensors under transformers' names, fused projections split into query, key and value.

    Raises:
        CheckpointError: for a tensor whose name no rule knows.
    """
    state: dict[str, Tensor] = {}
    unknown = []
    for name, value in original.items():
        if IGNORED.fullmatch(name) or _is_twin(name, original):
            continue
        for part, tensor in _split(name, value):
            target = rename(part)
            if target is None:
                unknown.append(name)
            else:
                state[target] = tensor.clone().contiguous()
    if unknown:
        raise CheckpointError(
            f"detector {source}: expected an original GroundingDINO, got {len(unknown)} unknown tensors "
            f"({first_few(unknown)})"
        )
    return state


def rename(name: str) -> str | None:
    """transformers' name of an original tensor; None for a name that no rule knows."""
    out = re.sub(
        rf"^{_THEIRS}\.norm(\d)\.",
        lambda found: f"{_SWIN}.hidden_states_norms.stage{int(found[1]) + 1}.",
        name,
    )
    for pattern, target in RULES:
        out = re.sub(pattern, target, out)
    known = out.startswith(("model.", "bbox_embed."))
    return out if known and not out.startswith("model.transformer") else None


def read_config(original: Mapping[str, Tensor], source: Path) -> GroundingDinoConfig:
    """The configuration that a checkpoint's tensors speak of; CheckpointError where they do not."""
    try:
        return _config(original)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"detector {source}: expected an original GroundingDINO with a Swin backbone, got none: {error}"
        ) from error


def _config(state: Mapping[str, Tensor]) -> GroundingDinoConfig:
    stages = _count(state, r"backbone\.0\.layers\.(\d+)\.")
    tables = [state[f"backbone.0.layers.{i}.blocks.0.attn.relative_position_bias_table"] for i in range(stages)]
    window = (math.isqrt(tables[0].shape[0]) + 1) // 2
    levels, width = state["transformer.level_embed"].shape
    heads = state["transformer.encoder.layers.0.self_attn.attention_weights.bias"].numel() // (levels * POINTS)
    words, text = state["bert.embeddings.word_embeddings.weight"].shape
    return GroundingDinoConfig(
        backbone_config=SwinConfig(
            embed_dim=state["backbone.0.patch_embed.proj.weight"].shape[0],
            depths=[_count(state, rf"backbone\.0\.layers\.{i}\.blocks\.(\d+)\.") for i in range(stages)],
            num_heads=[table.shape[1] for table in tables],
            window_size=window,
            image_size=window * 32,
            out_indices=[int(k) + 1 for k in range(stages) if f"backbone.0.norm{k}.weight" in state],
        ),
        text_config=BertConfig(
            vocab_size=words,
            hidden_size=text,
            num_hidden_layers=_count(state, r"bert\.encoder\.layer\.(\d+)\."),
            num_attention_heads=max(1, text // TEXT_HEAD),
            intermediate_size=state["bert.encoder.layer.0.intermediate.dense.weight"].shape[0],
            max_position_embeddings=state["bert.embeddings.position_embeddings.weight"].shape[0],
        ),
        d_model=width,
        encoder_layers=_count(state, r"transformer\.encoder\.layers\.(\d+)\."),
        decoder_layers=_count(state, r"transformer\.decoder\.layers\.(\d+)\."),
        encoder_ffn_dim=state["transformer.encoder.layers.0.linear1.weight"].shape[0],
        decoder_ffn_dim=state["transformer.decoder.layers.0.linear1.weight"].shape[0],
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        num_queries=state["transformer.tgt_embed.weight"].shape[0],
        num_feature_levels=levels,
    )


def _split(name: str, value: Tensor) -> list[tuple[str, Tensor]]:
    """A fused projection as three named ones; any other tensor as it is."""
    for fused, parts in (
        (r"(.*\.attn)\.qkv\.(weight|bias)", r"\1.{}.\2"),
        (r"(.*(?:self_attn|ca_text))\.in_proj_(weight|bias)", r"\1.{}.\2"),
    ):
        if re.fullmatch(fused, name):
            pieces = zip(("query", "key", "value"), value.chunk(3), strict=True)
            return [(re.sub(fused, parts, name).format(piece), tensor) for piece, tensor in pieces]
    return [(name, value)]


def _is_twin(name: str, state: Mapping[str, Tensor]) -> bool:
    """Whether a later layer's box head equals the first one's: the released models share it and store it for each."""
    first = re.sub(r"^bbox_embed\.\d+\.", "bbox_embed.0.", name)
    return first != name and first in state and torch.equal(state[first], state[name])


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the highest number that a pattern finds in the names."""
    found = [int(match[1]) for name in state if (match := re.match(pattern, name))]
    return max(found) + 1
