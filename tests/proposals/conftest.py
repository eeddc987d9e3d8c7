import dataclasses

import numpy as np
import pytest
import torch

from core.frames import ArrayReader
from proposals.checkpoints import LoadedTracker, build_sam2

TINY = """
_target_: {target}
image_encoder:
  _target_: sam2.modeling.backbones.image_encoder.ImageEncoder
  scalp: 1
  trunk:
    _target_: sam2.modeling.backbones.hieradet.Hiera
    embed_dim: 8
    num_heads: 1
    stages: [1, 1, 2, 1]
    global_att_blocks: [3]
    window_spec: [4, 4, 4, 4]
    window_pos_embed_bkg_spatial_size: [4, 4]
  neck:
    _target_: sam2.modeling.backbones.image_encoder.FpnNeck
    position_encoding: &position
      _target_: sam2.modeling.position_encoding.PositionEmbeddingSine
      num_pos_feats: 32
      normalize: true
      image_size: 64
    d_model: 32
    backbone_channel_list: [64, 32, 16, 8]
    fpn_top_down_levels: [2, 3]
    fpn_interp_model: nearest
memory_attention:
  _target_: sam2.modeling.memory_attention.MemoryAttention
  d_model: 32
  pos_enc_at_input: true
  layer:
    _target_: sam2.modeling.memory_attention.MemoryAttentionLayer
    activation: relu
    dim_feedforward: 32
    dropout: 0.0
    pos_enc_at_attn: false
    d_model: 32
    pos_enc_at_cross_attn_keys: true
    pos_enc_at_cross_attn_queries: false
    self_attention: &attention
      _target_: sam2.modeling.sam.transformer.RoPEAttention
      rope_theta: 10000.0
      feat_sizes: [4, 4]
      embedding_dim: 32
      num_heads: 1
      downsample_rate: 1
      dropout: 0.0
    cross_attention:
      _target_: sam2.modeling.sam.transformer.RoPEAttention
      rope_theta: 10000.0
      feat_sizes: [4, 4]
      rope_k_repeat: true
      embedding_dim: 32
      num_heads: 1
      downsample_rate: 1
      dropout: 0.0
      kv_in_dim: 16
  num_layers: 1
memory_encoder:
  _target_: sam2.modeling.memory_encoder.MemoryEncoder
  in_dim: 32
  out_dim: 16
  position_encoding:
    _target_: sam2.modeling.position_encoding.PositionEmbeddingSine
    num_pos_feats: 16
    normalize: true
    image_size: 64
  mask_downsampler:
    _target_: sam2.modeling.memory_encoder.MaskDownSampler
    embed_dim: 32
    kernel_size: 3
    stride: 2
    padding: 1
  fuser:
    _target_: sam2.modeling.memory_encoder.Fuser
    layer:
      _target_: sam2.modeling.memory_encoder.CXBlock
      dim: 32
      kernel_size: 7
      padding: 3
    num_layers: 1
num_maskmem: {maskmem}
image_size: 64
max_obj_ptrs_in_encoder: {pointers}
memory_temporal_stride_for_eval: {stride}
sigmoid_scale_for_mem_enc: 20.0
sigmoid_bias_for_mem_enc: -10.0
binarize_mask_from_pts_for_mem_enc: {binarize}
use_mask_input_as_output_without_sam: true
directly_add_no_mem_embed: true
no_obj_embed_spatial: true
use_high_res_features_in_sam: true
multimask_output_in_sam: true
iou_prediction_use_sigmoid: true
use_obj_ptrs_in_encoder: true
add_tpos_enc_to_obj_ptrs: true
proj_tpos_enc_in_obj_ptrs: true
use_signed_tpos_enc_to_obj_ptrs: true
only_obj_ptrs_in_the_past_for_eval: {past}
pred_obj_scores: true
pred_obj_scores_mlp: true
fixed_no_obj_ptr: true
multimask_output_for_tracking: true
use_multimask_token_for_obj_ptr: true
multimask_min_pt_num: 0
multimask_max_pt_num: 1
use_mlp_for_obj_ptr_proj: true
"""


@pytest.fixture(scope="session")
def make_model(tmp_path_factory):
    """A random 64-pixel SAM2, the same for the same options; raised to see objects and to rely on memory."""

    def make(target="sam2.modeling.sam2_base.SAM2Base", maskmem=7, pointers=16, stride=1, binarize=False, past=True):
        torch.manual_seed(0)
        config = tmp_path_factory.mktemp("model") / "tiny.yaml"
        flags = {"binarize": str(binarize).lower(), "past": str(past).lower()}
        config.write_text(TINY.format(target=target, maskmem=maskmem, pointers=pointers, stride=stride, **flags))
        model = build_sam2(config).eval().requires_grad_(False)
        with torch.no_grad():
            model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias += 4.0
            for block in model.sam_mask_decoder.output_hypernetworks_mlps:
                block.layers[-1].weight *= 8
            for layer in model.memory_attention.layers:  # what is remembered shall matter
                layer.cross_attn_image.out_proj.weight *= 8
                layer.cross_attn_image.q_proj.weight *= 4
        return model

    return make


@pytest.fixture(scope="session")
def tracker(make_model):
    return LoadedTracker(model=make_model(), name="tiny", sha256="0" * 64, image_size=64, token_width=32)


@pytest.fixture(scope="session")
def rename(tracker):
    return lambda **changes: dataclasses.replace(tracker, **changes)


@pytest.fixture(scope="session")
def moving_squares():
    return _moving_squares


def _moving_squares(frames, size=(64, 64), count=2):
    """Frames uint8 [T, H, W, 3] of noise with bright squares that move, and their masks [O, T, H, W]."""
    noise = np.random.default_rng(0).integers(0, 90, (frames, *size, 3), dtype=np.uint8)
    masks = np.zeros((count, frames, *size), dtype=bool)
    for o in range(count):
        for t in range(frames):
            y, x = 6 + 26 * o, 4 + 2 * t if o % 2 == 0 else size[1] - 24 - 2 * t
            masks[o, t, y : y + 20, max(x, 0) : x + 20] = True
        noise[masks[o]] = (250 - 90 * o, 60 + 90 * o, 120)
    return noise, masks


@pytest.fixture
def clip():
    """A reader of 12 frames and the masks of its two squares by id."""
    frames, masks = _moving_squares(12)
    return ArrayReader(frames, video_id="clip", fps=8.0), {"a": masks[0], "b": masks[1]}
