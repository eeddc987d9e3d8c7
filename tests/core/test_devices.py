import pytest
import torch

from core.devices import autocast, describe_device, pick_device, tensor_float_32
from core.errors import InputError


def test_cpu_is_always_there_and_describes_itself():
    assert pick_device("cpu") == torch.device("cpu")
    assert describe_device(torch.device("cpu")) == "cpu"


def test_auto_takes_cuda_where_it_is_and_the_cpu_elsewhere():
    assert pick_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:x", "cpu:0", "mps"])
def test_unknown_names_are_refused(name):
    with pytest.raises(InputError, match="expected auto, cpu, cuda or cuda:N"):
        pick_device(name)


def test_cuda_without_a_device_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="got 0 of them"):
        pick_device("cuda")


def test_cuda_index_beyond_the_last_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match="'cuda:2', got 2"):
        pick_device("cuda:2")


def test_autocast_changes_nothing_on_a_cpu():
    with autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_tensor_float_32_lasts_as_long_as_it_is_asked_for():
    before = torch.get_float32_matmul_precision()
    seen = []

    def fail():
        seen.append(torch.get_float32_matmul_precision())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), tensor_float_32(torch.device("cuda")):
        fail()
    assert seen == ["high"] != [before]
    assert torch.get_float32_matmul_precision() == before
    with tensor_float_32(torch.device("cpu")):
        assert torch.get_float32_matmul_precision() == before
