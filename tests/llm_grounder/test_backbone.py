import json

import pytest
import torch

from core.errors import CheckpointError, InputError
from llm_grounder import backbone as backbone_module
from llm_grounder.backbone import LoraSettings, TinyShape, make_tokenizer, pretrained_backbone, tiny_backbone
from llm_grounder.checkpoints import load_grounder, save_grounder
from llm_grounder.grounder import Grounder
from tests.llm_grounder.tiny_grounder import SETTINGS, TEXTS, make_sample, tiny_grounder

ASKED = [make_sample(6, 2, 0, learn=False)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A causal LM of another kind (Llama's) with its tokenizer, as a folder of transformers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("lm")
    tokenizer = make_tokenizer(TEXTS, 300)
    tokenizer.save_pretrained(place)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer) + 5, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2,
        )
    ).save_pretrained(place)  # fmt: skip
    return place


def test_any_text_becomes_tokens_and_back_with_single_digits():
    tokenizer = make_tokenizer(TEXTS, 300)
    for text in ("the red star", "Ünïcode ✓ 150.25\n  tabs\t", "  "):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert [tokenizer.decode([i]) for i in tokenizer.encode("150.5")] == list("150.5")


def test_times_among_words_come_back_as_written():
    grounder = tiny_grounder()
    text = "at <TIME_ZERO><TIME_DOT><TIME_FIVE> the <track_2> star, yes"
    ids = grounder.template.turn(make_sample().turns[1].__class__(1.0, make_sample().turns[1].role, text)).ids
    assert text in grounder.backbone.tokenizer.decode(list(ids))


def test_a_tiny_lm_leaves_the_tokenizer_it_was_given_as_it_was():
    tokenizer = make_tokenizer(TEXTS, 300)
    before = len(tokenizer)
    made = [tiny_backbone(tokenizer, TinyShape(32, 1, 4, 32, 300), spans=2, tracks=2) for _ in range(2)]
    assert len(tokenizer) == before
    assert len(made[0].rows) == len(made[1].rows) == 6 + 2 + 2 + 12


def test_a_backbone_for_fewer_tracks_than_the_settings_is_refused():
    backbone = tiny_backbone(make_tokenizer(TEXTS, 300), TinyShape(32, 1, 4, 32, 300), spans=3, tracks=3)
    with pytest.raises(InputError, match="<track_3>"):
        Grounder(SETTINGS, backbone)


def test_logits_have_a_row_for_each_token_of_the_grounder():
    backbone = tiny_grounder().backbone
    states = torch.randn(2, 3, backbone.width)
    logits = backbone.logits(states)
    assert logits.shape == (2, 3, len(backbone.tokenizer))
    (dot,) = backbone.tokenizer.encode("<TIME_DOT>")
    row = backbone.head_rows[backbone.row_of[dot]]
    assert torch.allclose(logits[..., dot], states @ row, atol=1e-5)


def test_lora_trains_its_updates_and_the_grounders_parts_alone(folder):
    backbone = pretrained_backbone(str(folder), spans=3, tracks=4, lora=LoraSettings(rank=2), dtype=torch.float32)
    grounder = Grounder(SETTINGS, backbone).train()
    trained = {name for name, p in backbone.lm.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    grounder.losses([make_sample()])["total"].backward()
    assert all(p.grad is None for p in backbone.lm.parameters() if not p.requires_grad)
    assert backbone.rows.grad.abs().sum() > 0
    assert sum(p.grad.abs().sum() > 0 for n, p in backbone.lm.named_parameters() if "lora_B" in n) == len(trained) / 2


def test_a_frozen_lm_without_lora_has_nothing_to_train(folder):
    backbone = pretrained_backbone(str(folder), spans=0, tracks=0, dtype=torch.float32)
    assert not any(p.requires_grad for p in backbone.lm.parameters())
    assert {name for name, p in backbone.named_parameters() if p.requires_grad} == {"rows", "head_rows"}


def test_bfloat16_language_models_work_with_heads_in_float32(folder):
    backbone = pretrained_backbone(str(folder), spans=3, tracks=4, lora=LoraSettings(rank=2))
    grounder = Grounder(SETTINGS, backbone)
    losses = grounder.losses([make_sample()])
    assert {value.dtype for value in losses.values()} == {torch.float32}
    grounder.generate(ASKED, most=3)


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=2, targets=("q_proj", "v_proj"))])
def test_a_grounder_over_a_pretrained_lm_comes_back_exactly_without_the_lms_weights(folder, tmp_path, lora):
    torch.manual_seed(1)
    backbone = pretrained_backbone(str(folder), spans=3, tracks=4, lora=lora, dtype=torch.float32)
    grounder = Grounder(SETTINGS, backbone).eval()
    for parameter in grounder.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter) * 0.05)
    save_grounder(tmp_path / "g", grounder, {})
    loaded, record = load_grounder(tmp_path / "g")
    same(grounder, loaded)
    assert record["backbone"]["lora"] is None or record["backbone"]["lora"]["rank"] == 2
    kept = set(json_keys(tmp_path / "g"))
    assert not {name for name in kept if name.startswith("backbone.lm.") and "lora_" not in name}


def test_a_pretrained_lm_that_changed_is_refused(folder, tmp_path):
    backbone = pretrained_backbone(str(folder), spans=3, tracks=4, dtype=torch.float32)
    save_grounder(tmp_path / "g", Grounder(SETTINGS, backbone), {})
    record = json.loads((tmp_path / "g/grounder.json").read_text())
    record["backbone"]["sha256"] = "0" * 64
    (tmp_path / "g/grounder.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="expected the one of hash 000000000000"):
        load_grounder(tmp_path / "g")


def test_a_tiny_grounder_comes_back_exactly_with_its_record(tmp_path):
    grounder = tiny_grounder(seed=3)
    grounder.inputs.times.last.fill_(7.5)
    sha256 = save_grounder(tmp_path / "g", grounder, {"encoder_sha256": "ab"})
    loaded, record = load_grounder(tmp_path / "g")
    same(grounder, loaded)
    assert not loaded.training
    assert (record["weights_sha256"], record["encoder_sha256"]) == (sha256, "ab")
    assert save_grounder(tmp_path / "again", loaded, {}) == sha256


def test_weights_kept_small_are_what_is_loaded(tmp_path):
    save_grounder(tmp_path / "g", tiny_grounder(), {}, dtype=torch.float16)
    loaded, _ = load_grounder(tmp_path / "g")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    wanted = tiny_grounder().inputs.patches.place.new_tensor(0) + tiny_grounder().span_head.score.weight.half().float()
    assert torch.equal(loaded.span_head.score.weight, wanted)


def test_weights_kept_as_bytes_are_loaded_nearly_as_they_were(tmp_path):
    whole = tiny_grounder()
    save_grounder(tmp_path / "g", whole, {}, dtype=torch.int8)
    loaded, record = load_grounder(tmp_path / "g")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=0.02, rtol=0.02)
    assert load_grounder(tmp_path / "g")[1]["weights_sha256"] == record["weights_sha256"]
    save_grounder(tmp_path / "half", whole, {}, dtype=torch.float16)
    sizes = [(tmp_path / name / "grounder.safetensors").stat().st_size for name in ("g", "half")]
    assert sizes[0] < 0.8 * sizes[1]


@pytest.mark.parametrize("damage", ["missing", "other weights", "cut", "no json", "format", "settings", "more"])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path, damage):
    place = tmp_path / "g"
    save_grounder(place, tiny_grounder(), {})
    weights, record = place / "grounder.safetensors", place / "grounder.json"
    values = json.loads(record.read_text())
    if damage == "missing":
        weights.unlink()
    elif damage == "other weights":
        save_grounder(tmp_path / "o", tiny_grounder(seed=9), {})
        weights.write_bytes((tmp_path / "o/grounder.safetensors").read_bytes())
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-9])
    elif damage == "no json":
        record.write_text("{")
    elif damage == "format":
        record.write_text(json.dumps({**values, "format": 9}))
    elif damage == "settings":
        record.write_text(json.dumps({**values, "settings": {}}))
    else:
        record.write_text(json.dumps({**values, "settings": {**values["settings"], "boxes": 0}}))
    with pytest.raises(CheckpointError, match="expected"):
        load_grounder(place)


def test_a_record_that_json_cannot_hold_or_with_taken_names_writes_nothing(tmp_path):
    for record in ({"format": 2}, {"x": object()}, {"x": float("nan")}):
        with pytest.raises(InputError, match="grounder's record"):
            save_grounder(tmp_path / "g", tiny_grounder(), record)
    assert not (tmp_path / "g").exists()


def test_a_folder_without_a_language_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="expected a causal LM"):
        pretrained_backbone(str(tmp_path), spans=0, tracks=0)


@pytest.mark.parametrize("wrong", [{"width": 30}, {"vocabulary": 100}, {"layers": 0}])
def test_tiny_shapes_that_mean_nothing_are_refused(wrong):
    with pytest.raises(InputError, match="tiny LM"):
        TinyShape(**wrong)


def same(one, other):
    a, b = one.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    left, right = one.generate(ASKED, most=5)[0], other.generate(ASKED, most=5)[0]
    assert left.text == right.text
    assert left.spans == right.spans
    assert (left.relevance == right.relevance).all()


def json_keys(folder):
    from safetensors import safe_open

    with safe_open(folder / "grounder.safetensors", "pt") as file:
        return list(file.keys())


def test_the_tiny_language_model_computes_what_that_of_transformers_does(monkeypatch):
    """Its norms are torch's, one kernel each; the weights fit both."""
    tokenizer, shape = make_tokenizer(["a red star"], 300), TinyShape(32, 2, 2, 48, 300)
    ours = tiny_backbone(tokenizer, shape, spans=1, tracks=0)
    monkeypatch.setattr(backbone_module, "_fuse_norms", lambda lm: None)
    theirs = tiny_backbone(tokenizer, shape, spans=1, tracks=0)
    theirs.load_state_dict(ours.state_dict())
    shown = torch.randn(2, 9, 32)
    torch.testing.assert_close(ours(shown)[0], theirs(shown)[0])
    kinds = {type(module).__name__ for module in ours.lm.modules()}
    assert ("_Norm" in kinds, "Qwen3RMSNorm" in kinds) == (True, False)
