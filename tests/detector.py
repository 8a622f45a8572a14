"""A metric with a mean, an EER and an AUC, for tests that make its scores up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vceval.metrics.base import Measure, Metric, Statistics


@dataclass(frozen=True)
class Detector(Metric):
    name: ClassVar[str] = "detector"
    title: ClassVar[str] = "Detector"
    version: ClassVar[str] = "1"
    needs: ClassVar[frozenset[str]] = frozenset()
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("mean", "Mean", "", "higher"),
        Measure("eer", "EER", "%", "higher", scale=100.0, reduction="eer", best=0.5),
        Measure("auc", "AUC", "", "lower", reduction="auc", best=0.5),
    )
    source: ClassVar[str] = "nobody"

    def signature(self) -> str:
        return "DETECTOR|v:1"

    def statistics(self, conversion) -> Statistics:
        raise NotImplementedError
