"""The miniature GroundingDINO: its configuration, a start that can be trained from nothing, and its frozen form.

Knows transformers' class. Does not know data or losses. The package freezes batch norm, which suits pretrained
backbones only: training runs on real batch norm, and what it has learnt is folded into the frozen one at the end.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection, ResNetConfig

from miniature.detector_training.phrases import LENGTH
from miniature.detector_training.vocabulary import SIZE

WIDTH = 128
GATE = 0.3  # of the layers in which image and text meet; the package starts them at 1e-4
PRIOR = -4.0  # logit at the start
SCALE = 0.3  # of the two layer norms whose product is the logit
FROZEN_EPS = 1e-5  # of the package's frozen batch norm
MAX_TEXT = 64


@dataclass(frozen=True)
class Size:
    """What makes the model large or small: finest stride 8 or 16 (then up to 64), layers each way, queries, widths and
    depths of the ResNet's stages, and hidden width of the encoder's and decoder's layers in model widths.
    """

    stride: int = 8
    layers: int = 3
    queries: int = 50
    widths: tuple[int, ...] = (32, 64, 128, 192)
    depths: tuple[int, ...] = (1, 2, 2, 2)
    feed: int = 4


FULL, LIGHT = Size(), Size(16, 2, 30, (32, 64, 96, 128), (1, 1, 2, 2), 2)


def make_config(size: Size) -> GroundingDinoConfig:
    """The configuration: a ResNet of basic blocks, a two-layer BERT of the world's words, width 128, no dropout."""
    stages = ["stage2", "stage3", "stage4"] if size.stride == 8 else ["stage3", "stage4"]
    assert LENGTH <= MAX_TEXT
    feed = size.feed * WIDTH
    return GroundingDinoConfig(
        backbone_config=ResNetConfig(
            embedding_size=32, hidden_sizes=list(size.widths), depths=list(size.depths), layer_type="basic",
            out_features=stages,
        ),
        text_config=BertConfig(
            vocab_size=SIZE, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=2 * WIDTH,
            max_position_embeddings=MAX_TEXT, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        ),
        d_model=WIDTH, encoder_layers=size.layers, decoder_layers=size.layers, encoder_ffn_dim=feed,
        decoder_ffn_dim=feed, encoder_attention_heads=4, decoder_attention_heads=4, num_queries=size.queries,
        num_feature_levels=len(stages) + 1, max_text_len=MAX_TEXT, dropout=0.0, fusion_droppath=0.0,
        disable_custom_kernels=True,
    )  # fmt: skip


def make_model(size: Size) -> GroundingDinoForObjectDetection:
    """A model to train from nothing, in evaluation mode but for its batch norms, every parameter to be learnt."""
    model = GroundingDinoForObjectDetection(make_config(size)).eval()
    thaw(model.model.backbone)
    _initialise(model)
    return model.requires_grad_(True)


def thaw(module: nn.Module) -> None:
    """Put real batch norms, in training mode, in the place of frozen ones (whatever has a running mean)."""
    for name, child in module.named_children():
        mean = getattr(child, "running_mean", None)
        if isinstance(mean, Tensor):
            real = nn.BatchNorm2d(len(mean)).to(mean.device)
            with torch.no_grad():
                for part in ("weight", "bias", "running_mean", "running_var"):
                    getattr(real, part).copy_(getattr(child, part))
            setattr(module, name, real.train())
        else:
            thaw(child)


def frozen_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A thawed model's state as the package's: batch norms folded into scale and shift, in float32."""
    out = dict(state)
    for name in [key.removesuffix("running_var") for key in state if key.endswith("running_var")]:
        parts = ("weight", "bias", "running_mean", "running_var")
        scale, shift, mean, variance = (state[name + part] for part in parts)
        scale = scale * (variance + nn.BatchNorm2d(1).eps).rsqrt()
        # Statistics of 0 and 1 survive float16, whatever the activations were.
        out[name + "weight"] = scale * math.sqrt(1 + FROZEN_EPS)
        out[name + "bias"] = shift - mean * scale
        out[name + "running_mean"], out[name + "running_var"] = torch.zeros_like(mean), torch.ones_like(variance)
        out.pop(name + "num_batches_tracked", None)
    return out


def freeze(model: nn.Module, size: Size) -> GroundingDinoForObjectDetection:
    """The package's own model, on the CPU in evaluation mode, with what a thawed one has learnt."""
    state = {key: value.detach().float().cpu() for key, value in model.state_dict().items()}
    frozen = GroundingDinoForObjectDetection(make_config(size)).eval()
    frozen.load_state_dict(frozen_state(state))
    return frozen.requires_grad_(False)


def average_of(model: nn.Module) -> nn.Module:
    """A copy to hold a running average of the weights."""
    return copy.deepcopy(model).requires_grad_(False)


@torch.no_grad()
def _initialise(model: GroundingDinoForObjectDetection) -> None:
    """Starts that let all parts learn at once: the package's are those of a pretrained model's new layers."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and not name.endswith(("sampling_offsets", "attention_weights")):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    base = model.model
    for head in (*model.bbox_embed, base.encoder_output_bbox_embed):
        nn.init.zeros_(head.layers[-1].weight)
        nn.init.zeros_(head.layers[-1].bias)
    for layer in base.encoder.layers:
        layer.fusion_layer.vision_param.fill_(GATE)
        layer.fusion_layer.text_param.fill_(GATE)
    nn.init.normal_(base.query_position_embeddings.weight)
    # A logit is the product of two layer norms' outputs: small scales and opposite shifts start it near PRIOR.
    shift = math.sqrt(-PRIOR / WIDTH)
    for norm, sign in ((base.enc_output_norm, 1), (base.decoder.layer_norm, 1),
                       (base.encoder.layers[-1].text_enhancer_layer.layer_norm_after, -1)):  # fmt: skip
        norm.weight.fill_(SCALE)
        norm.bias.fill_(sign * shift)
