"""The canonical numbers of ``vceval selfcheck``: this code computes them, and a change of any of them is seen."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from vceval.cli.main import main
from vceval.conformance import golden

pytestmark = pytest.mark.usefixtures("_own_copy")


@pytest.fixture
def _own_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test change the numbers and the checks."""
    monkeypatch.setattr(golden, "CHECKS", dict(golden.CHECKS))
    numbers = {name: list(values) for name, values in golden.stored().items()}
    monkeypatch.setattr(golden, "stored", lambda: numbers)


def test_every_check_has_telling_numbers():
    assert set(golden.stored()) == set(golden.CHECKS)
    for name, values in golden.stored().items():
        assert all(math.isfinite(value) for value in values), name
        assert len({abs(value) for value in values} - {0.0}) > 0, name
    assert any("network" in name for name in golden.CHECKS)
    assert any("vocoder" in name for name in golden.CHECKS)


@pytest.mark.parametrize("name", sorted(golden.CHECKS))
def test_this_installation_computes_them(name):
    (verdict,) = golden.run([name])
    assert verdict.passed, verdict
    assert verdict.difference <= verdict.tolerance


def test_selfcheck_notices_other_numbers(capsys):
    for name in set(golden.CHECKS) - {"eer", "resampling", "mcd"}:
        del golden.CHECKS[name]
    golden.stored()["eer"][0] += 1e-9
    golden.stored()["resampling"].pop()

    def broken() -> float:
        raise OSError("library not found")

    golden.CHECKS["mcd"] = dataclasses.replace(golden.CHECKS["mcd"], compute=broken)
    assert main(["selfcheck"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["FAIL", "FAIL", "FAIL", "3"]
    assert "numbers, 27 are canonical" not in lines[0]
    assert "26 are canonical" in lines[0]
    assert "OSError: library not found" in lines[1]
    assert "(allowed 1e-12)" in lines[2]


def test_a_number_that_is_none_never_passes():
    golden.CHECKS["eer"] = dataclasses.replace(golden.CHECKS["eer"], compute=lambda: [math.nan, 0.0])
    (verdict,) = golden.run(["eer"])
    assert not verdict.passed


def test_the_file_is_what_the_checks_write(tmp_path, monkeypatch):
    for name in set(golden.CHECKS) - {"eer", "wer, cer"}:
        del golden.CHECKS[name]
    monkeypatch.setattr(golden, "FILE", tmp_path / "golden.json")
    golden.write()
    assert json.loads((tmp_path / "golden.json").read_text()) == {
        name: golden.stored()[name] for name in ("eer", "wer, cer")
    }
