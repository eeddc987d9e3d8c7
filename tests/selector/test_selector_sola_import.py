import json
from dataclasses import replace

import pytest
import torch

from cache import open_cache
from core.errors import CheckpointError, InputError
from selector.calibration import Calibration
from selector.checkpoints import load_selector
from selector.sola import SolaSelector
from selector.sola_import import import_sola, read_sola
from tests.selector.colour_world import SMALL, WordEncoder

CPU = torch.device("cpu")


@pytest.fixture
def checkpoint(tmp_path):
    """As SOLA saves one, from a training over several processes."""
    torch.manual_seed(0)
    state = {f"module.{name}": tensor for name, tensor in SolaSelector(SMALL).state_dict().items()}
    torch.save(state, tmp_path / "sola.pth")
    return tmp_path / "sola.pth"


def test_an_imported_selector_scores_as_the_checkpoint_does_to_the_bit(checkpoint, colour_examples, tmp_path):
    e = colour_examples[:4]
    found = import_sola(checkpoint, e, WordEncoder(), SMALL, tmp_path / "o", CPU)
    selector, plain = load_selector(tmp_path / "o"), read_sola(checkpoint, SMALL)
    assert selector.calibration == found.calibration
    assert found.calib_score >= found.plain_score
    for name, tensor in plain.state_dict().items():
        assert torch.equal(selector.model.state_dict()[name], tensor), name
    cache, words = open_cache(e[0][0]), WordEncoder().encode([e[0][1][0].text]).tokens
    tokens = torch.from_numpy(cache.tokens()[:3]).float()
    with torch.no_grad():
        expected, _ = plain(tokens[None], words)
    tracks = selector.read(cache)
    (logits,) = selector.logits(tracks, [e[0][1][0].text], WordEncoder(), [torch.arange(3).numpy()])
    torch.testing.assert_close(torch.from_numpy(logits).float(), expected[0], atol=1e-5, rtol=1e-5)
    record = json.loads((tmp_path / "o" / "selector.json").read_text())
    assert (record["recipe"], record["imported"]) == ("sola", "sola.pth")
    assert record["splits"] == ["/".join(e[0][0].parts[-3:-1])]


def test_without_fitting_its_rule_is_solas_own_and_no_split_is_known(checkpoint, colour_examples, tmp_path):
    import_sola(checkpoint, colour_examples[:2], WordEncoder(), SMALL, tmp_path / "o", CPU, fit=False)
    selector = load_selector(tmp_path / "o")
    assert selector.calibration == Calibration()
    assert selector.record["splits"] == []


def test_what_does_not_fit_is_refused_and_leaves_nothing(checkpoint, colour_examples, tmp_path):
    e = colour_examples[:1]
    with pytest.raises(CheckpointError, match=r"sola\.pth: expected the .* tensors of its model"):
        import_sola(checkpoint, e, WordEncoder(), replace(SMALL, layers=1), tmp_path / "o", CPU)
    with pytest.raises(InputError, match="'words': expected a width of 8, got 9"):
        import_sola(checkpoint, e, WordEncoder(width=9), SMALL, tmp_path / "o", CPU)
    torch.save({"module.x": object}, tmp_path / "code.pth")
    with pytest.raises(CheckpointError, match="tensors alone"):
        read_sola(tmp_path / "code.pth", SMALL)
    assert not (tmp_path / "o").exists()
