"""Converters, metrics and seeds from what a plan says of them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

from vceval import registry
from vceval.converters.base import Converter
from vceval.errors import UsageError
from vceval.metrics.base import Metric
from vceval.records import System

__all__ = ["MetricOptions", "make_converter", "make_metric", "pair_seed"]

#: Parameters that a suite sets for every metric that has them, such as the number of calibration trials.
MetricOptions = Mapping[str, Any]


def make_converter(system: System) -> Converter:
    """Construct a system's converter; cheap, nothing is loaded.

    Raises:
        UsageError: unknown converter or wrong options.
    """
    kind = registry.load("converter", system.converter)
    try:
        converter = kind(**system.options)
    except TypeError as error:
        raise UsageError(
            f"system {system.name!r}: converter {system.converter!r} does not take these options: {error}"
        ) from None
    if not isinstance(converter, Converter):
        raise UsageError(
            f"converter {system.converter!r} ({registry.origin('converter', system.converter)}) is no Converter"
        )
    return converter


def make_metric(name: str, options: MetricOptions) -> Metric:
    """Construct a metric by name, with those of the suite's options that it has a field for; loads nothing.

    Raises:
        UsageError: unknown metric.
    """
    kind = registry.load("metric", name)
    known = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    metric = kind(**{key: value for key, value in options.items() if key in known})
    if not isinstance(metric, Metric):
        raise UsageError(f"metric {name!r} ({registry.origin('metric', name)}) is no Metric")
    return metric


def pair_seed(run_seed: int, pair: str) -> int:
    """Seed of one pair: depends on the run's seed and the pair's id alone, not on the batch or the order."""
    return int.from_bytes(hashlib.sha256(f"{run_seed}:{pair}".encode()).digest()[:4], "big")
