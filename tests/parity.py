"""Reading a parity kit: made-up weights by its fill rule, and what the authors' own code gave for them."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

_SCALES = {
    "weight_g": lambda z: 0.5 * np.abs(z) + 0.5,
    "running_var": lambda z: 1.0 + 0.1 * np.abs(z),
    "norm_weight": lambda z: 1.0 + 0.1 * z,
    "vector": lambda z: 0.1 * z,
}


def kit(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "kit.json").read_text(encoding="utf-8"))


def weights(folder: Path) -> dict[str, np.ndarray]:
    """The state dict that the kit's outputs were made with."""
    described = kit(folder)
    return {entry["key"]: _filled(entry, described["seed"]) for entry in described["state_dict"]}


def _filled(entry: dict[str, Any], seed: int) -> np.ndarray:
    shape = entry["shape"]
    if entry["fill"] == "int_zero":
        return np.zeros(shape, dtype=entry["dtype"])
    number = zlib.crc32(entry.get("fill_key", entry["key"]).encode()) + seed
    z = np.random.Generator(np.random.PCG64(number)).standard_normal(shape)
    scaled = z / np.sqrt(np.prod(shape[1:])) if entry["fill"] == "matrix" else _SCALES[entry["fill"]](z)
    return (scaled * entry.get("scale", 1.0)).astype(np.float32)


def close(found: np.ndarray, stored: np.ndarray, rule: dict[str, Any]) -> bool:
    """Whether a stage is within the kit's tolerance."""
    tolerance = rule["tolerance"] * (np.abs(stored).max() if rule["relative"] else 1.0)
    return found.shape == stored.shape and float(np.abs(found - stored).max()) <= tolerance
