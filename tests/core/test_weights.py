import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core.errors import CheckpointError
from core.weights import load_strictly, misfits, read_weights


def test_weights_of_either_form_fill_a_model(tmp_path):
    state = {"weight": torch.ones(1, 2, dtype=torch.float16), "bias": torch.zeros(1, dtype=torch.float16)}
    save_file(state, tmp_path / "w.safetensors")
    torch.save({"model": state}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        model = nn.Linear(2, 1)
        load_strictly(model, tmp_path / name)
        assert (model.weight.dtype, model.weight.tolist()) == (torch.float32, [[1, 1]])


def test_everything_that_does_not_fit_is_named_at_once(tmp_path):
    save_file({"weight": torch.ones(3, 2), "extra": torch.ones(1)}, tmp_path / "w.safetensors")
    with pytest.raises(
        CheckpointError,
        match=r"w\.safetensors: expected the 2 tensors of its model, got 1 missing \(bias\); 1 unexpected \(extra\); "
        r"1 of another shape \(weight \[3, 2\] instead of \[1, 2\]\)$",
    ):
        load_strictly(nn.Linear(2, 1), tmp_path / "w.safetensors")


def test_only_the_first_few_names_stand_in_the_sentence():
    assert misfits("dacb", (), ()) == "4 missing (a, b, c, ...)"
    assert misfits((), (), ()) == ""


@pytest.mark.parametrize("name", ["none.safetensors", "none.pt"])
def test_a_file_that_is_not_there_is_refused_by_name(tmp_path, name):
    with pytest.raises(CheckpointError, match=name):
        read_weights(tmp_path / name)
