"""A metric: how much of a recording is pause."""

from dataclasses import dataclass
from typing import ClassVar

from vceval.metrics.base import Measure, Metric, Statistics
from vceval.records import Conversion
from vceval.signal import audio


@dataclass(frozen=True)
class Pauses(Metric):
    """Share of 20 ms frames that lie ``floor_db`` below the loudest one, pooled over all recordings."""

    floor_db: float = 40.0

    name: ClassVar[str] = "pauses"
    title: ClassVar[str] = "Pauses"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset()
    measures: ClassVar[tuple[Measure, ...]] = (Measure("pauses", "Pause", "%", "lower", 100, 1, worst=1.0, rate=True),)
    source: ClassVar[str] = "Doe, How we measure pauses, 2026"

    def statistics(self, conversion: Conversion) -> Statistics:
        """Count the frames of one recording."""
        wave = audio.load(conversion.path)
        size = wave.sample_rate // 50
        levels = (wave.samples[: len(wave.samples) // size * size].reshape(-1, size) ** 2).mean(axis=1)
        quiet = levels < levels.max() * 10 ** (-self.floor_db / 10)
        return Statistics({self.measures[0].name: (float(quiet.sum()), float(len(quiet)))})
