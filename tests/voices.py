"""Made-up recordings with made-up embeddings, for tests of metrics that compare speakers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vceval.errors import ItemError
from vceval.metrics.base import Workspace
from vceval.records import Conversion, ConversionPair, Utterance

DATASET = "toy"


class Voices:
    """Made-up recordings with made-up embeddings: a direction per speaker and some noise, no network."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.embeddings = folder, {}
        self.heard: list[str] = []

    def add(self, name: str, speaker: int, noise: float = 0.3, content: str | None = None) -> Path:
        path = self.folder / f"{name}.wav"
        path.write_text(content or name)
        generator = np.random.default_rng(list(path.read_bytes()))
        vector = np.eye(8)[speaker] + noise * generator.random(8)
        self.embeddings[path] = vector / np.linalg.norm(vector)
        return path

    def embed(self, path: Path) -> np.ndarray:
        self.heard.append(path.name)
        if path not in self.embeddings:
            raise ItemError(f"{path}: can't be read")
        return self.embeddings[path]


def corpus(voices: Voices, speakers: int = 4, count: int = 8, noise: float = 0.3) -> list[Utterance]:
    return [
        Utterance(f"s{s}_{u}", voices.add(f"s{s}_{u}", s, noise), DATASET, f"s{s}")
        for s in range(speakers)
        for u in range(count)
    ]


def opened(metric, natural=(), calibrations=None):
    metric.open(Workspace(natural=natural, calibrations=calibrations or {}))
    return metric


def conversion(path: Path, prompts=(), target: str | None = "s0", **rest) -> Conversion:
    return Conversion("x", ConversionPair("p1", DATASET, prompts=tuple(prompts), target_speaker=target, **rest), path)
