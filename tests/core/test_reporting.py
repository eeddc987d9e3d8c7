import json

import numpy as np
import pytest

from core import reporting
from core.errors import InputError


def test_emit_ends_standard_output_with_one_flat_line(capsys):
    reporting.emit({"jf": np.float32(0.5), "n": np.int64(3), "name": "valid", "nan": float("nan")}, {"seed": 1})
    out = capsys.readouterr().out
    assert out.endswith("}\n")
    assert out.count("\n") == 1
    line = json.loads(out)
    assert (line["jf"], line["n"], line["name"], line["nan"]) == (0.5, 3, "valid", None)
    assert line["settings"] == {"seed": 1}
    assert set(line["versions"]) == {"python", "torch", "sam2", "transformers", "numpy", "tracksift"}
    assert line["device"].split()[0] in ("cpu", "cuda")


@pytest.mark.parametrize("figures", [{"j": [1, 2]}, {"j": {"a": 1}}, {"device": "mine"}, {"settings": 1}])
def test_emit_refuses_nested_values_and_reserved_names(figures):
    with pytest.raises(InputError, match="figure"):
        reporting.emit(figures)


def test_package_that_is_not_installed_has_a_null_version(monkeypatch):
    monkeypatch.setattr(reporting, "_PACKAGES", ("numpy", "no-such-package"))
    versions = reporting.environment()["versions"]
    assert versions["no-such-package"] is None
    assert versions["numpy"] == np.__version__


def test_table_shows_titles_rounded_numbers_and_dashes(capsys):
    reporting.print_table("Scores [test]", ["kind", "J&F"], [["motion", 0.12345], ["all", None]])
    out = capsys.readouterr().out
    assert "Scores [test]" in out
    assert "0.123" in out
    assert "0.1234" not in out
    assert " - " in out


def test_table_refuses_a_ragged_row():
    with pytest.raises(InputError, match="expected 2 cells in a row, got 1"):
        reporting.print_table("t", ["a", "b"], [["x"]])


def test_track_yields_everything_and_keeps_standard_output_clean(capsys):
    assert list(reporting.track((i * i for i in range(4)), "Squares", total=4)) == [0, 1, 4, 9]
    assert capsys.readouterr() == ("", "")


def test_long_work_leaves_one_summary_line_on_standard_error(capsys, monkeypatch):
    ticks = iter([0.0, 2.5])
    monkeypatch.setattr(reporting, "_clock", lambda: next(ticks))
    with reporting.progress_bar("Tracking [a]", 8) as progress:
        progress(3, None)
        progress(8, 8)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "Tracking [a]: 8 in 2.5 s\n"
