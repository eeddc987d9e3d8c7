"""Checkpoints in the original layout, written here name by name from a model of transformers', must give it back."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.errors import CheckpointError
from proposals.detector import load_detector
from proposals.detector_convert import convert, rename
from tests.tiny_detector import make_model, make_tokenizer

SWIN = "model.backbone.conv_encoder.model"
IMAGE = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)


def both(theirs, ours):
    return [(f"{theirs}.{part}", f"{ours}.{part}") for part in ("weight", "bias")]


def fused(theirs, ours, dot="."):
    return [
        (f"{theirs}{dot}{part}", tuple(f"{ours}.{name}.{part}" for name in ("query", "key", "value")))
        for part in ("weight", "bias")
    ]


def swin_block(i, k):
    a, b = f"backbone.0.layers.{i}.blocks.{k}", f"{SWIN}.encoder.layers.{i}.blocks.{k}"
    table = [
        (f"{a}.attn.relative_position_bias_table", f"{b}.attention.self.relative_position_bias_table"),
        *fused(f"{a}.attn.qkv", f"{b}.attention.self"),
    ]
    pairs = {
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "attn.proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
    }
    return table + [row for x, y in pairs.items() for row in both(f"{a}.{x}", f"{b}.{y}")]


def sampling(theirs, ours):
    parts = ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
    return [row for part in parts for row in both(f"{theirs}.{part}", f"{ours}.{part}")]


def encoder_layer(i):
    e = "transformer.encoder"
    deep, text, fusion = (
        f"model.encoder.layers.{i}.{n}" for n in ("deformable_layer", "text_enhancer_layer", "fusion_layer")
    )
    rows = sampling(f"{e}.layers.{i}.self_attn", f"{deep}.self_attn")
    for x, y in {
        "norm1": "self_attn_layer_norm",
        "linear1": "fc1",
        "linear2": "fc2",
        "norm2": "final_layer_norm",
    }.items():
        rows += both(f"{e}.layers.{i}.{x}", f"{deep}.{y}")
    rows += fused(f"{e}.text_layers.{i}.self_attn.in_proj", f"{text}.self_attn", "_")
    rows += both(f"{e}.text_layers.{i}.self_attn.out_proj", f"{text}.self_attn.out_proj")
    for x, y in {"norm1": "layer_norm_before", "linear1": "fc1", "linear2": "fc2", "norm2": "layer_norm_after"}.items():
        rows += both(f"{e}.text_layers.{i}.{x}", f"{text}.{y}")
    rows += [(f"{e}.fusion_layers.{i}.gamma_v", f"{fusion}.vision_param")]
    rows += [(f"{e}.fusion_layers.{i}.gamma_l", f"{fusion}.text_param")]
    names = {"layer_norm_v": "layer_norm_vision", "layer_norm_l": "layer_norm_text"}
    names |= {f"attn.{p}v_proj": f"attn.{p}vision_proj" for p in ("", "values_", "out_")}
    names |= {f"attn.{p}l_proj": f"attn.{p}text_proj" for p in ("", "values_", "out_")}
    return rows + [row for x, y in names.items() for row in both(f"{e}.fusion_layers.{i}.{x}", f"{fusion}.{y}")]


def decoder_layer(i):
    a, b = f"transformer.decoder.layers.{i}", f"model.decoder.layers.{i}"
    rows = sampling(f"{a}.cross_attn", f"{b}.encoder_attn")
    for x, y in {"self_attn": "self_attn", "ca_text": "encoder_attn_text"}.items():
        rows += fused(f"{a}.{x}.in_proj", f"{b}.{y}", "_") + both(f"{a}.{x}.out_proj", f"{b}.{y}.out_proj")
    names = {
        "norm1": "encoder_attn_layer_norm",
        "catext_norm": "encoder_attn_text_layer_norm",
        "norm2": "self_attn_layer_norm",
        "linear1": "fc1",
        "linear2": "fc2",
        "norm3": "final_layer_norm",
    }
    return rows + [row for x, y in names.items() for row in both(f"{a}.{x}", f"{b}.{y}")]


def table(state):
    """(original name, our name or three of them) for every tensor of the tiny model."""
    rows = both("backbone.0.patch_embed.proj", f"{SWIN}.embeddings.patch_embeddings.projection")
    rows += both("backbone.0.patch_embed.norm", f"{SWIN}.embeddings.norm")
    for i, depth in enumerate((1, 2, 1, 1)):
        rows += [row for k in range(depth) for row in swin_block(i, k)]
    for i in range(3):
        place = f"layers.{i}.downsample"
        rows += [(f"backbone.0.{place}.reduction.weight", f"{SWIN}.encoder.{place}.reduction.weight")]
        rows += both(f"backbone.0.{place}.norm", f"{SWIN}.encoder.{place}.norm")
        rows += both(f"backbone.0.norm{i + 1}", f"{SWIN}.hidden_states_norms.stage{i + 2}")
    rows += [row for i in range(2) for row in (*encoder_layer(i), *decoder_layer(i))]
    rows += [("transformer.level_embed", "model.level_embed")]
    rows += [("transformer.tgt_embed.weight", "model.query_position_embeddings.weight")]
    rows += both("transformer.decoder.norm", "model.decoder.layer_norm")
    rows += both("transformer.enc_output", "model.enc_output") + both(
        "transformer.enc_output_norm", "model.enc_output_norm"
    )
    rows += both("feat_map", "model.text_projection")
    for k in range(3):
        rows += both(f"transformer.enc_out_bbox_embed.layers.{k}", f"model.encoder_output_bbox_embed.layers.{k}")
        for i in range(2):  # one head, stored for every layer, and all that once more in the decoder
            rows += both(f"bbox_embed.{i}.layers.{k}", f"bbox_embed.0.layers.{k}")
            rows += both(f"transformer.decoder.bbox_embed.{i}.layers.{k}", f"bbox_embed.0.layers.{k}")
    for k in range(2):
        rows += both(
            f"transformer.decoder.ref_point_head.layers.{k}", f"model.decoder.reference_points_head.layers.{k}"
        )
    for k in range(4):
        rows += both(f"input_proj.{k}.0", f"model.input_proj_vision.{k}.0")
        rows += both(f"input_proj.{k}.1", f"model.input_proj_vision.{k}.1")
    rows += [(n.replace("model.text_backbone", "bert"), n) for n in state if n.startswith("model.text_backbone.")]
    return rows


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A model of transformers', its stored tensors, and the same in the original layout."""
    model = make_model(limit=256)
    folder = tmp_path_factory.mktemp("hub")
    model.save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    original = {}
    for theirs, ours in table(state):
        original[theirs] = state[ours] if isinstance(ours, str) else torch.cat([state[name] for name in ours])
    original["bert.embeddings.position_ids"] = torch.arange(64)[None]
    original["bert.pooler.dense.weight"] = torch.zeros(64, 64)
    original["label_enc.weight"] = torch.zeros(2, 32)
    original["backbone.0.layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(4, 4)
    return model, state, original


@pytest.fixture
def words(tmp_path):
    make_tokenizer().save_pretrained(tmp_path / "words")
    return str(tmp_path / "words")


@pytest.fixture
def checkpoint(tiny, tmp_path):
    """Write the original tensors, changed, as the released files hold them: under `model`, with `module.` in front."""

    def write(change=lambda tensors: None):
        tensors = dict(tiny[2])
        change(tensors)
        path = tmp_path / "original.pth"
        torch.save({"model": {f"module.{name}": value for name, value in tensors.items()}}, path)
        return path

    return write


def test_the_table_of_this_test_names_every_stored_tensor_of_the_model(tiny):
    _, state, _ = tiny
    named = {name for _, ours in table(state) for name in ([ours] if isinstance(ours, str) else ours)}
    assert named == {name for name in state if ".swin.layernorm." not in name}


def test_a_converted_checkpoint_detects_what_the_model_detects(tiny, checkpoint, words, tmp_path):
    model, state, _ = tiny
    convert(checkpoint(), tmp_path / "out", words)
    detector = load_detector(str(tmp_path / "out"))
    converted = load_file(tmp_path / "out" / "model.safetensors")
    for name, value in converted.items():
        torch.testing.assert_close(value, state[name], msg=name)
    texts = detector.read(["the red star"])
    pixels = detector.processor.image_processor(images=IMAGE, return_tensors="pt")
    with torch.no_grad():
        want = model(**pixels, input_ids=texts.ids, attention_mask=texts.mask)
        got = detector.model(**pixels, input_ids=texts.ids, attention_mask=texts.mask)
    torch.testing.assert_close(got.pred_boxes, want.pred_boxes)
    torch.testing.assert_close(got.logits, want.logits)


def test_sizes_are_read_off_the_tensors(checkpoint, words, tmp_path):
    convert(checkpoint(), tmp_path / "out", words)
    config = load_detector(str(tmp_path / "out")).model.config
    assert (config.backbone_config.embed_dim, config.backbone_config.depths) == (8, [1, 2, 1, 1])
    assert (config.backbone_config.num_heads, config.backbone_config.window_size) == ([1, 1, 2, 2], 2)
    assert (config.encoder_attention_heads, config.num_queries, config.decoder_ffn_dim) == (4, 6, 40)
    assert (config.text_config.vocab_size, config.text_config.max_position_embeddings) == (1030, 64)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.pop("transformer.enc_output.weight"), r"1 missing \(model\.enc_output\.weight\)"),
        (lambda t: t.update({"mystery.weight": torch.zeros(1)}), r"1 unknown tensors \(mystery\.weight\)"),
        (lambda t: t.update({"feat_map.weight": torch.zeros(3, 64)}), r"1 of another shape \(model\.text_projection"),
        (lambda t: t.pop("transformer.level_embed"), "expected an original GroundingDINO with a Swin backbone"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_is_refused_by_name_and_leaves_nothing(
    checkpoint, words, tmp_path, change, sentence
):
    with pytest.raises(CheckpointError, match=sentence):
        convert(checkpoint(change), tmp_path / "out", words)
    assert not (tmp_path / "out").exists()


def test_a_pickle_with_code_is_refused(words, tmp_path):
    class Code:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"model": Code()}, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match="would run code"):
        convert(tmp_path / "bad.pth", tmp_path / "out", words)


def test_a_missing_word_list_is_named(checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match="tokenizer"):
        convert(checkpoint(), tmp_path / "out", str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("transformer.decoder.layers.3.norm3.bias", "model.decoder.layers.3.final_layer_norm.bias"),
        (
            "transformer.encoder.fusion_layers.0.attn.out_l_proj.bias",
            "model.encoder.layers.0.fusion_layer.attn.out_text_proj.bias",
        ),
        ("backbone.0.norm3.weight", f"{SWIN}.hidden_states_norms.stage4.weight"),
        ("transformer.nothing", None),
    ],
)  # fmt: skip
def test_names_change_by_rule(theirs, ours):
    assert rename(theirs) == ours


def test_the_command_converts_and_refuses_to_overwrite(command, checkpoint, words, tmp_path):
    path, out = checkpoint(), tmp_path / "out"
    planned = command("convert-detector", path, "--out", out, "--dry-run")
    assert (planned.code, out.exists()) == (0, False), planned.err
    ended = command("convert-detector", path, "--out", out, "--tokenizer", words)
    assert (ended.code, ended.figures["tensors"]) == (0, planned.figures["tensors"]), ended.err
    assert load_detector(str(out)).limit == 256
    again = command("convert-detector", path, "--out", out, "--tokenizer", words)
    assert (again.code, "expected a new or empty folder" in again.err) == (2, True)
    missing = command("convert-detector", tmp_path / "no.pth", "--out", tmp_path / "x")
    assert (missing.code, "expected a .pth file" in missing.err) == (2, True)
