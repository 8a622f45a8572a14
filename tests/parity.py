"""The kits in tests: a whole one against its port, or stored stages against parts of a network by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from vceval.conformance.base import Port
from vceval.conformance.kits import Kit, run_kit


def check(folder: Path, port: Port) -> None:
    """Fail unless every key is matched and every stored stage is computed and within its tolerance."""
    report = run_kit(folder, port)
    assert report.passed, (report.problems, [stage for stage in report.stages if not stage.passed])
    assert not report.skipped
    assert len(report.stages) == report.stored


def kit(folder: Path) -> dict[str, Any]:
    """What stands in ``kit.json``, with the rule of every stage."""
    return json.loads((folder / "kit.json").read_text(encoding="utf-8"))


def weights(folder: Path) -> dict[str, np.ndarray]:
    """The state dict that the kit's outputs were made with."""
    return {key: value.numpy() for key, value in Kit(folder).weights().items()}


def close(found: np.ndarray, stored: np.ndarray, rule: dict[str, Any]) -> bool:
    """Whether a stage is within the kit's tolerance."""
    tolerance = rule["tolerance"] * (np.abs(stored).max() if rule["relative"] else 1.0)
    return found.shape == stored.shape and float(np.abs(found - stored).max()) <= tolerance
