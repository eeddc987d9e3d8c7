import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core.errors import CheckpointError
from core.weights import SCALE, from_bytes, load_strictly, misfits, read_weights, to_bytes


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


def test_matrices_in_bytes_are_off_by_half_a_step_of_their_row_at_most():
    torch.manual_seed(0)
    wide = torch.randn(4, 3, 5) * torch.tensor([1e-3, 1.0, 30.0, 0.0]).view(4, 1, 1)
    state = {"wide": wide, "bias": torch.randn(7), "count": torch.arange(3)}
    packed = to_bytes(state)
    assert {name: value.dtype for name, value in packed.items()} == {
        "wide": torch.int8, "wide" + SCALE: torch.float16, "bias": torch.float16, "count": torch.int64
    }  # fmt: skip
    back = from_bytes(packed)
    assert back.keys() == state.keys()
    step = wide.flatten(1).abs().amax(1) / 127
    off = (back["wide"] - wide).flatten(1).abs().amax(1)
    assert (off <= 0.5 * step + 127 * step * 2**-10 + 1e-7).all()  # half a step, and the scale's own rounding
    assert off[2] > 0
    torch.testing.assert_close(back["bias"].float(), state["bias"], atol=1e-3, rtol=1e-3)
    again = from_bytes(to_bytes(back))
    torch.testing.assert_close(again["wide"], back["wide"], atol=1e-3, rtol=1e-3)


def test_a_tensor_whose_name_only_looks_like_a_scale_stays():
    state = {"norm" + SCALE: torch.ones(2), "matrix": torch.ones(2, 2)}
    assert from_bytes(state).keys() == state.keys()
