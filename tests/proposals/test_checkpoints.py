"""Loading of SAM2 checkpoints: what is accepted, and what is refused in one sentence."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.errors import CheckpointError, InputError
from core.hashing import file_sha256
from proposals import checkpoints
from proposals.checkpoints import build_sam2, load_sam2

CONFIG = Path(__file__).parents[2] / "miniature" / "weights" / "sam2.yaml"


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return {key: value.clone() for key, value in build_sam2(CONFIG).state_dict().items()}


def place(folder, name, config=None):
    """A path for weights in `folder`, with a YAML of the same stem beside it."""
    (folder / name).with_suffix(".yaml").write_text(config or CONFIG.read_text())
    return folder / name


def test_the_miniature_has_the_size_that_its_recipe_names():
    model = build_sam2(CONFIG)
    assert (model.image_size, model.hidden_dim, model.mem_dim) == (256, 128, 64)
    assert 4.1e6 < sum(p.numel() for p in model.parameters()) < 4.3e6
    assert not model.sam_mask_decoder.dynamic_multimask_via_stability
    assert not model.binarize_mask_from_pts_for_mem_enc


def test_half_precision_safetensors_load_as_float32_with_their_hash(tmp_path, state):
    path = place(tmp_path, "tiny.safetensors")
    save_file({key: value.half() for key, value in state.items()}, path)
    tracker = load_sam2(str(path))
    assert (tracker.name, tracker.image_size, tracker.token_width) == ("tiny", 256, 128)
    assert tracker.sha256 == file_sha256(path)
    assert not tracker.model.training
    loaded = tracker.model.state_dict()["no_mem_embed"]
    assert loaded.dtype == torch.float32
    assert torch.equal(loaded, state["no_mem_embed"].half().float())


@pytest.mark.parametrize("nested", [True, False])
def test_pt_files_load_nested_or_plain(tmp_path, state, nested):
    path = place(tmp_path, "tiny.pt")
    torch.save({"model": state} if nested else state, path)
    assert torch.equal(load_sam2(str(path)).model.state_dict()["no_obj_ptr"], state["no_obj_ptr"])


def test_a_hub_id_takes_the_package_configuration_and_the_fetched_file(tmp_path, state, monkeypatch):
    weights = tmp_path / "sam2.1_hiera_tiny.pt"
    torch.save({"model": state}, weights)
    asked = []

    def fetch(spec, allow_patterns):
        asked.append((spec, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    with pytest.raises(CheckpointError, match=r"tensors of its model, got .* missing"):
        load_sam2("facebook/sam2.1-hiera-tiny")
    assert asked == [("facebook/sam2.1-hiera-tiny", ["sam2.1_hiera_tiny.pt"])]


def test_every_configuration_of_the_package_builds_under_our_rules():
    import sam2

    model = build_sam2(Path(sam2.__path__[0]) / "configs/sam2.1/sam2.1_hiera_t.yaml")
    assert (model.image_size, model.hidden_dim) == (1024, 256)


@pytest.mark.parametrize("name", ["sam2.1_hiera_small.pt", "sam2.1_hiera_small.safetensors"])
def test_a_released_file_needs_no_configuration_beside_it(tmp_path, monkeypatch, name):
    seen = []
    monkeypatch.setattr(checkpoints, "build_sam2", lambda config: seen.append(config))
    monkeypatch.setattr(checkpoints, "read_weights", lambda path: (_ for _ in ()).throw(CheckpointError("read")))
    (tmp_path / name).write_bytes(b"weights")
    with pytest.raises(CheckpointError, match="read"):
        load_sam2(str(tmp_path / name))
    assert seen[0].name == "sam2.1_hiera_s.yaml"
    (tmp_path / "sam2.1_hiera_small.yaml").write_text("model: {}")
    with pytest.raises(CheckpointError, match="read"):
        load_sam2(str(tmp_path / name))
    assert seen[1] == tmp_path / "sam2.1_hiera_small.yaml"


def test_a_hub_without_network_says_what_to_do(monkeypatch):
    def refuse(*_, **__):
        raise OSError("unreachable")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(CheckpointError, match="without a network, give local"):
        load_sam2("facebook/sam2.1-hiera-large")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: s.pop("no_mem_embed"), r"1 missing \(no_mem_embed\)"),
        (lambda s: s.update(extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
        (lambda s: s.update(no_obj_ptr=torch.zeros(1, 7)), r"no_obj_ptr \[1, 7\] instead of \[1, 128\]"),
    ],
)
def test_other_keys_or_shapes_are_named(tmp_path, state, change, sentence):
    changed = dict(state)
    change(changed)
    path = place(tmp_path, "tiny.safetensors")
    save_file(changed, path)
    with pytest.raises(CheckpointError, match=sentence):
        load_sam2(str(path))


class _Code:
    def __reduce__(self):
        return (print, ("a stranger's code ran",))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, capsys):
    path = place(tmp_path, "evil.pt")
    path.write_bytes(pickle.dumps({"model": _Code()}))
    with pytest.raises(CheckpointError, match="would run code"):
        load_sam2(str(path))
    torch.save({"model": _Code()}, path)
    with pytest.raises(CheckpointError, match="would run code"):
        load_sam2(str(path))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pt"])
def test_a_file_cut_in_half_is_refused(tmp_path, state, name):
    path = place(tmp_path, name)
    if name.endswith(".pt"):
        torch.save({"model": state}, path)
    else:
        save_file(state, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        load_sam2(str(path))


def test_a_pt_file_of_something_else_is_refused(tmp_path):
    path = place(tmp_path, "list.pt")
    torch.save([torch.zeros(1)], path)
    with pytest.raises(CheckpointError, match="mapping of names to tensors"):
        load_sam2(str(path))


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("nothing.safetensors", "nothing there"),
        ("facebook/none", "or one of facebook/"),
        ("weights.bin", "expected a .pt"),
    ],
)
def test_unknown_specs_are_refused(spec, sentence):
    with pytest.raises(CheckpointError, match=sentence):
        load_sam2(spec)


def test_weights_without_their_yaml_are_refused(tmp_path, state):
    save_file(state, tmp_path / "lonely.safetensors")
    with pytest.raises(CheckpointError, match=r"nothing at .*lonely\.yaml"):
        load_sam2(str(tmp_path / "lonely.safetensors"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("_target_: os.system\ncommand: ls\n", "targets of sam2 or torch, got 'os.system'"),
        ("_target_: torch.load\nf: x\n", "expected a class"),
        ("_target_: sam2.modeling.sam2_base.torch.hub.load\n", "expected a class"),
        ("_target_: sam2.no.such\n", "expected a class"),
        ("_target_: torch.nn.Linear\nin_features: 2\nout_features: 2\n", "expected a SAM2Base, got Linear"),
        ("_target_: torch.nn.Linear\nin: 2\n", "refused their arguments"),
        ("_target_: torch.Size\n", "expected a torch module class"),
        ("model:\n  - _target_: os.system\n", "expected a `_target_`"),
        ("a: [1\n", "expected YAML"),
        ("- 1\n", "expected a mapping, got a list"),
    ],
)
def test_hostile_or_broken_configurations_are_refused(tmp_path, text, sentence):
    path = tmp_path / "model.yaml"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=sentence):
        build_sam2(path)


@pytest.mark.parametrize("device", ["toaster", "cuda"])
def test_a_device_that_is_not_there_is_refused(tmp_path, state, device):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    path = place(tmp_path, "tiny.safetensors")
    save_file(state, path)
    with pytest.raises(InputError, match="device: expected"):
        load_sam2(str(path), device)
