"""Converters, metrics and seeds from what a plan says of them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vceval import registry
from vceval.converters.base import Converter
from vceval.declared import is_text, is_texts, is_whole
from vceval.errors import UsageError
from vceval.metrics.base import Metric
from vceval.records import System

__all__ = ["MetricOptions", "make_converter", "make_metric", "make_metrics", "pair_seed", "try_converter"]

#: Parameters that a suite sets for every metric that has them, such as the number of calibration trials.
MetricOptions = Mapping[str, Any]


def make_converter(system: System) -> Converter:
    """Construct a system's converter; cheap, nothing is loaded.

    Raises:
        UsageError: unknown converter or wrong options.
    """
    kind = registry.load("converter", system.converter)

    def construct() -> Converter:
        try:
            made: Converter = kind(**system.options)
        except TypeError as error:
            raise UsageError(
                f"system {system.name!r}: converter {system.converter!r} does not take these options: {error}"
            ) from None
        return made

    converter = registry.ask("converter", system.converter, "its constructor", construct)
    faults = converter.declaration_faults(converter, system.converter)
    if faults:
        raise registry.unusable("converter", system.converter, "; ".join(faults))
    return converter


def try_converter(system: System, device: str) -> list[str]:
    """Ask a system's converter, before any work, what a run will ask of it; returns what it lacks.

    Raises:
        UsageError: as :func:`make_converter`; or it answers by an error, or with something of another kind.
    """
    converter = make_converter(system)

    def answer(what: str, ask: Callable[[], Any], fits: Callable[[Any], bool], wanted: str) -> Any:
        found = registry.ask("converter", system.converter, what, ask)
        if not fits(found):
            raise registry.unusable("converter", system.converter, f"{what} must give {wanted}, not {found!r}")
        return found

    answer("assets()", converter.assets, _are_files, "names to Paths of files that are there")
    answer("largest_batch()", lambda: converter.largest_batch(device), lambda v: is_whole(v, 1), "a number above 0")
    answer(
        "identity()", lambda: converter.identity(device), lambda v: v is None or isinstance(v, dict), "a dict or None"
    )
    return list(answer("missing_files()", converter.missing_files, is_texts, "texts"))


def make_metric(name: str, options: MetricOptions) -> Metric:
    """Construct a metric by name, with those of the suite's options that it has a field for; loads nothing.

    Raises:
        UsageError: unknown metric, or one that can't be constructed.
    """
    kind = registry.load("metric", name)
    known = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    chosen = {key: value for key, value in options.items() if key in known}
    metric: Metric = registry.ask("metric", name, "its constructor", lambda: kind(**chosen))
    faults = metric.declaration_faults(metric, name)
    if faults:
        raise registry.unusable("metric", name, "; ".join(faults))
    return metric


def make_metrics(names: Sequence[str], options: MetricOptions) -> list[Metric]:
    """Construct the metrics of a run, and ask each, before any work, what the run will ask of it.

    Raises:
        UsageError: as :func:`make_metric`; a metric answers by an error, or with something of another kind; two have
            a measure of the same name.
    """
    metrics = [make_metric(name, options) for name in names]
    owners: dict[str, str] = {}
    for name, metric in zip(names, metrics, strict=True):
        _check_answers(name, metric)
        for measure in metric.measures:
            other = owners.setdefault(measure.name, name)
            if other != name:
                both = " and ".join(f"{one!r} ({registry.origin('metric', one)})" for one in (other, name))
                raise UsageError(
                    f"metrics {both} both have a measure {measure.name!r}: give that of the plug-in another name, or "
                    "leave one of them out with --metrics"
                )
    return metrics


def _check_answers(name: str, metric: Metric) -> None:
    for what, ask in (("signature()", metric.signature), ("long_signature()", metric.long_signature)):
        text = registry.ask("metric", name, what, ask)
        if not is_text(text) or len(text.splitlines()) != 1:
            raise registry.unusable("metric", name, f"{what} must give one line of text, not {text!r}")
    batch = registry.ask("metric", name, "batch", lambda: metric.batch)
    if not is_whole(batch, 1):
        raise registry.unusable("metric", name, f"batch must be a whole number above 0, not {batch!r}")


def _are_files(found: object) -> bool:
    return isinstance(found, Mapping) and all(isinstance(path, Path) and path.is_file() for path in found.values())


def pair_seed(run_seed: int, pair: str, number: int = 0) -> int:
    """Seed of one pair: depends on the run's seed, the pair's id and the number of the seed alone.

    Not on the batch, the order, or how many seeds a pair is converted with.
    """
    text = f"{run_seed}:{pair}" + (f":{number}" if number else "")
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
