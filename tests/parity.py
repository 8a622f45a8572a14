"""The kits' stored stages for tests that compare parts of a network by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from vceval.conformance.kits import Kit


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
