"""A GroundingDINO of a few thousand random weights, as a folder that transformers reads."""

import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    SwinConfig,
)

WORDS = ("the", "red", "blue", "star", "disc", "thing", ",")
SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}


def make_config(limit=12):
    """Swin of one block a stage, one text layer, two layers each way."""
    return GroundingDinoConfig(
        backbone_config=SwinConfig(
            embed_dim=8, depths=[1, 2, 1, 1], num_heads=[1, 1, 2, 2], window_size=2, image_size=64,
            out_indices=[2, 3, 4],
        ),
        text_config=BertConfig(
            vocab_size=1030, hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=32,
            max_position_embeddings=64,
        ),
        d_model=32, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=48, decoder_ffn_dim=40,
        encoder_attention_heads=4, decoder_attention_heads=4, num_queries=6, max_text_len=limit,
    )  # fmt: skip


def make_model(limit=12):
    """The model with random weights, always the same; its scores spread around one half."""
    torch.manual_seed(0)
    model = GroundingDinoForObjectDetection(make_config(limit)).eval().requires_grad_(False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def make_tokenizer():
    """A word list of a few words, every other word unknown."""
    words = {word: 1 + i for i, word in enumerate(WORDS)}
    taken = {*words.values(), *SPECIAL.values()}
    unused = {f"[unused{i}]": i for i in range(1030) if i not in taken}
    return BertTokenizer(vocab=dict(sorted({**SPECIAL, **words, **unused}.items(), key=lambda item: item[1])))


def write_folder(folder, limit=12):
    """Everything that `load_detector` wants."""
    make_model(limit).save_pretrained(folder)
    images = GroundingDinoImageProcessor(size={"shortest_edge": 96, "longest_edge": 160})
    GroundingDinoProcessor(images, make_tokenizer()).save_pretrained(folder)
    return folder
