import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import CheckpointError, InputError
from core.text import MERGES, OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, load_text_encoder, masked_mean

TEXTS = ["the red star", "squares that stay still while the disc moves"]


@pytest.fixture(scope="module")
def open_clip_folder(tmp_path_factory):
    import gzip

    import open_clip

    folder = tmp_path_factory.mktemp("tower")
    (folder / MERGES).write_bytes(gzip.compress(b"#version: test\nr e\nre d</w>"))
    config = {
        "embed_dim": 12,
        "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 16, "layers": 1, "head_width": 8},
        "text_cfg": {"context_length": 48, "vocab_size": 516, "width": 16, "heads": 2, "layers": 2},
    }
    (folder / OPEN_CLIP_CONFIG).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    torch.manual_seed(0)
    save_file({k: v.half() for k, v in open_clip.CLIP(**config).state_dict().items()}, folder / OPEN_CLIP_WEIGHTS)
    return folder


@pytest.fixture(scope="module")
def roberta_folder(tmp_path_factory):
    from open_clip.tokenizer import bytes_to_unicode  # the byte alphabet that GPT-2, RoBERTa and CLIP share
    from transformers import RobertaConfig, RobertaModel

    folder = tmp_path_factory.mktemp("roberta")
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *bytes_to_unicode().values()]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"}))
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=66, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    RobertaModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(params=["open_clip", "roberta"])
def folder(request, open_clip_folder, roberta_folder):
    return {"open_clip": open_clip_folder, "roberta": roberta_folder}[request.param]


def test_features_have_the_shapes_of_the_protocol_and_zeros_after_the_text(folder):
    encoder = load_text_encoder(str(folder), "cpu")
    features = encoder.encode(TEXTS)
    batch, length, width = features.tokens.shape
    assert (batch, width) == (2, encoder.width)
    assert features.mask.shape == (2, length)
    assert features.mask[1].all()
    assert not features.mask[0].all()
    assert (features.tokens[~features.mask] == 0).all()
    assert features.tokens.dtype == torch.float32
    assert len(features.pooled) == 2


def test_a_text_has_the_same_features_alone_and_in_a_batch(folder):
    encoder = load_text_encoder(str(folder), "cpu")
    alone, together = encoder.encode(TEXTS[:1]), encoder.encode(TEXTS)
    length = alone.tokens.shape[1]
    torch.testing.assert_close(together.tokens[:1, :length], alone.tokens, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.pooled[:1], alone.pooled, atol=1e-5, rtol=0)


def test_different_texts_have_different_features(folder):
    features = load_text_encoder(str(folder), "cpu").encode(["the red star", "the red disc"])
    assert (features.pooled[0] - features.pooled[1]).abs().max() > 1e-4


def test_an_encoder_is_frozen(folder):
    encoder = load_text_encoder(str(folder), "cpu")
    model = encoder.model if hasattr(encoder, "model") else encoder.states.model
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert not encoder.encode(TEXTS).tokens.requires_grad


@pytest.mark.parametrize("texts", [[], [""], ["a", "  \t"], ["word " * 200]])
def test_empty_and_too_long_texts_are_refused(folder, texts):
    with pytest.raises(InputError, match="expected"):
        load_text_encoder(str(folder), "cpu").encode(texts)


def test_words_of_the_merges_file_are_one_token(open_clip_folder):
    encoder = load_text_encoder(str(open_clip_folder), "cpu")
    assert encoder.encode(["red"]).mask.sum() == 3  # start, red, end
    assert encoder.encode(["star"]).mask.sum() == 6  # unseen: letter by letter


def test_open_clip_pools_into_the_joint_space_as_the_model_itself_does(open_clip_folder):
    encoder = load_text_encoder(str(open_clip_folder), "cpu")
    with torch.no_grad():
        expected = encoder.model.encode_text(encoder.tokenizer(TEXTS))
    torch.testing.assert_close(encoder.encode(TEXTS).pooled, expected)


def test_roberta_pools_by_the_mean_over_real_tokens(roberta_folder):
    features = load_text_encoder(str(roberta_folder), "cpu").encode(TEXTS)
    length = int(features.mask[0].sum())
    torch.testing.assert_close(features.pooled[0], features.tokens[0, :length].mean(0))


def test_masked_mean_ignores_padding_and_is_zero_for_nothing():
    tokens = torch.tensor([[[2.0], [4.0], [99.0]], [[1.0], [1.0], [1.0]]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert masked_mean(tokens, mask).tolist() == [[3.0], [0.0]]


def test_the_hash_follows_weights_and_tokenizer(open_clip_folder, tmp_path):
    def copy(name):
        target = tmp_path / name
        target.mkdir()
        for path in open_clip_folder.iterdir():
            (target / path.name).write_bytes(path.read_bytes())
        return target

    same, other = copy("same"), copy("other")
    state = load_file(other / OPEN_CLIP_WEIGHTS)
    state["positional_embedding"] += 1
    save_file(state, other / OPEN_CLIP_WEIGHTS)
    first = load_text_encoder(str(open_clip_folder), "cpu").sha256
    assert load_text_encoder(str(same), "cpu").sha256 == first
    assert load_text_encoder(str(other), "cpu").sha256 != first


def damage_weights(folder):
    (folder / OPEN_CLIP_WEIGHTS).write_bytes(b"nothing of the kind")


def shorten_embedding(folder):
    state = load_file(folder / OPEN_CLIP_WEIGHTS)
    state["positional_embedding"] = state["positional_embedding"][:-1].clone()
    save_file(state, folder / OPEN_CLIP_WEIGHTS)


def drop_tensor(folder):
    state = load_file(folder / OPEN_CLIP_WEIGHTS)
    del state["ln_final.weight"]
    save_file(state, folder / OPEN_CLIP_WEIGHTS)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (damage_weights, "safetensors"),
        (shorten_embedding, r"positional_embedding \[47, 16\] instead of \[48, 16\]"),
        (drop_tensor, "ln_final.weight"),
        (lambda folder: (folder / OPEN_CLIP_WEIGHTS).unlink(), "no such file"),
        (lambda folder: (folder / OPEN_CLIP_CONFIG).write_text("{"), "model_cfg"),
        (lambda folder: (folder / OPEN_CLIP_CONFIG).write_text('{"model_cfg": {"embed_dim": 1}}'), "text_cfg"),
        (lambda folder: (folder / OPEN_CLIP_CONFIG).unlink(), "config.json"),
    ],
)
def test_a_damaged_folder_is_refused_by_name(open_clip_folder, tmp_path, harm, message):
    for path in open_clip_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    harm(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        load_text_encoder(str(tmp_path), "cpu")


@pytest.mark.parametrize("spec", ["/nowhere/at/all", "./missing", "roberta"])
def test_what_is_neither_folder_nor_hub_id_is_refused(spec):
    with pytest.raises(CheckpointError, match="folder or a hub id"):
        load_text_encoder(spec, "cpu")
