"""From scores to a summary: a value, an interval and honest counts for every cell of the tables."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vceval.metrics.base import Measure, Metric
from vceval.records import DIRECTIONS, ConversionPair, Failure, Score, Skip
from vceval.statistics import cluster_bootstrap, holm, paired_difference

__all__ = ["Results", "static_need", "summarise"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Results:
    """All that a finished run knows about its pairs."""

    pairs: Mapping[str, ConversionPair]
    scores: Sequence[Score]
    failures: Sequence[Failure]
    skips: Sequence[Skip]


def static_need(metric: Metric, pair: ConversionPair) -> str | None:
    """Name what a metric needs and the pair visibly lacks, before any audio is looked at."""
    lacking = {
        "reference": pair.reference is None,
        "transcript": not pair.transcript,
        "language": pair.language is None,
        "target": not pair.prompts,
        "natural": pair.target_speaker is None,
    }
    return next((need for need in sorted(metric.needs) if lacking.get(need, False)), None)


def summarise(results: Results, systems: Sequence[Mapping[str, Any]], metrics: Sequence[Metric]) -> dict[str, Any]:
    """Make the part of ``summary.json`` that follows from the results.

    ``systems`` are the rows of the tables: mappings with at least ``name`` and ``expected`` (pairs it should
    have converted) and ``control``. Intervals are bootstrapped over target speakers; systems are compared on the
    pairs that both have a value for, with p-values corrected by Holm over all comparisons on the same measure.
    """
    converted_not = {(f.system, f.pair) for f in results.failures if f.stage != "score"}
    per_system = Counter(system for system, _ in converted_not)
    rows = []
    for system in systems:
        failed = per_system[system["name"]]
        rows.append({**system, "failed": failed, "converted": system["expected"] - failed})
    measures = [(metric, measure) for metric in metrics for measure in metric.measures]
    return {
        "schema": SCHEMA,
        "pairs": len(results.pairs),
        "systems": rows,
        "metrics": [
            {
                "metric": metric.name,
                "title": metric.title,
                "signature": metric.signature(),
                "long_signature": metric.long_signature(),
                "source": metric.source,
                "needs": sorted(metric.needs),
            }
            for metric in metrics
        ],
        "measures": [{**asdict(measure), "metric": metric.name} for metric, measure in measures],
        "datasets": sorted({pair.dataset for pair in results.pairs.values()}),
        "directions": [d for d in DIRECTIONS if any(pair.direction == d for pair in results.pairs.values())],
        "cells": list(_cells(results, [row["name"] for row in rows], measures)),
        "comparisons": list(_comparisons(results, [row["name"] for row in rows if not row["control"]], measures)),
        "counts": {
            "failures": len(results.failures),
            "failures_by_stage": dict(sorted(Counter(f.stage for f in results.failures).items())),
            "skips": len(results.skips),
            "skips_by_need": dict(sorted(Counter(s.need for s in results.skips).items())),
        },
    }


def _groups(pair: ConversionPair) -> Iterable[tuple[str, str]]:
    """The cells to which a pair belongs: all of them together, and each dataset and direction."""
    datasets = ("all", pair.dataset)
    directions = ("all", pair.direction) if pair.direction else ("all",)
    return itertools.product(datasets, directions)


def _cells(
    results: Results, systems: Sequence[str], measures: Sequence[tuple[Metric, Measure]]
) -> Iterable[dict[str, Any]]:
    Key = tuple[str, str, str, str]  # noqa: N806 - system, measure, dataset, direction
    scored: dict[Key, list[Score]] = defaultdict(list)
    failed: Counter[Key] = Counter()
    skipped: Counter[Key] = Counter()
    for score in results.scores:
        for dataset, direction in _groups(results.pairs[score.pair]):
            scored[score.system, score.measure, dataset, direction].append(score)
    for failure in results.failures:
        pair = results.pairs[failure.pair]
        for metric, measure in measures:
            if failure.stage == "score" and failure.metric != metric.name:
                continue
            if failure.stage != "score" and static_need(metric, pair):
                continue  # it would have been skipped, and is among the skips
            for dataset, direction in _groups(pair):
                failed[failure.system, measure.name, dataset, direction] += 1
    for skip in results.skips:
        for dataset, direction in _groups(results.pairs[skip.pair]):
            skipped[skip.system, skip.measure, dataset, direction] += 1
    order = {name: position for position, name in enumerate(systems)}
    columns = {measure.name: position for position, (_, measure) in enumerate(measures)}
    for key in sorted(
        set(scored) | set(failed) | set(skipped), key=lambda key: (order[key[0]], columns[key[1]], key[2:])
    ):
        yield _cell(key, scored[key], failed[key], skipped[key], results.pairs)


def _cell(
    key: tuple[str, str, str, str],
    scores: Sequence[Score],
    failed: int,
    skipped: int,
    pairs: Mapping[str, ConversionPair],
) -> dict[str, Any]:
    system, measure, dataset, direction = key
    cell: dict[str, Any] = {"system": system, "measure": measure, "dataset": dataset, "direction": direction}
    counts = {"n": len(scores), "expected": len(scores) + failed, "failed": failed, "skipped": skipped}
    total = sum(score.denominator for score in scores)
    if not total:
        return {**cell, "value": None, "low": None, "high": None, **counts, "clusters": 0}
    clusters = [pairs[score.pair].target_speaker for score in scores]
    interval = cluster_bootstrap(
        [score.numerator for score in scores], [score.denominator for score in scores], clusters
    )
    return {
        **cell,
        "value": sum(score.numerator for score in scores) / total,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        **counts,
        "clusters": len(set(clusters)),
    }


def _comparisons(
    results: Results, systems: Sequence[str], measures: Sequence[tuple[Metric, Measure]]
) -> Iterable[dict[str, Any]]:
    scored: dict[tuple[str, str], dict[str, Score]] = defaultdict(dict)
    for score in results.scores:
        scored[score.system, score.measure][score.pair] = score
    for _, measure in measures:
        found: list[dict[str, Any]] = []
        for first, second in itertools.combinations(systems, 2):
            ones, others = scored[first, measure.name], scored[second, measure.name]
            common = sorted(set(ones) & set(others))
            if not common:
                continue
            difference = paired_difference(
                [ones[pair].numerator for pair in common],
                [ones[pair].denominator for pair in common],
                [others[pair].numerator for pair in common],
                [others[pair].denominator for pair in common],
                [results.pairs[pair].target_speaker for pair in common],
            )
            interval = difference.interval
            entry: dict[str, Any] = {
                "measure": measure.name,
                "first": first,
                "second": second,
                "n": len(common),
                "difference": difference.value,
                "low": interval.low if interval else None,
                "high": interval.high if interval else None,
                "p_value": difference.p_value,
            }
            found.append(entry)
        tested = [entry for entry in found if entry["p_value"] is not None]
        for entry, corrected in zip(tested, holm([entry["p_value"] for entry in tested]), strict=True):
            entry["p_holm"] = float(corrected)
        yield from ({**entry, "p_holm": entry.get("p_holm")} for entry in found)
