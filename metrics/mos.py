"""Predicted mean opinion score: DNSMOS by default, other predictors as recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from vceval.metrics.base import Measure
from vceval.metrics.mos_dnsmos import DnsMos, measures_of

__all__ = ["PredictedOpinion"]


@dataclass(frozen=True)
class PredictedOpinion(DnsMos):
    """The default predictor: that of ``mos:dnsmos``, whose networks can be installed."""

    name: ClassVar[str] = "mos"
    measures: ClassVar[tuple[Measure, ...]] = measures_of("mos")
    recipes: ClassVar[Mapping[str, str]] = {
        "dnsmos": "vceval.metrics.mos_dnsmos:DnsMos",
        "utmos": "vceval.metrics.mos_utmos:UtMos",
    }
