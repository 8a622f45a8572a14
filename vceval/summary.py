"""From scores to a summary: a value, an interval and honest counts for every cell of the tables."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vceval.leakage import PairExposure, counts
from vceval.metrics.base import Calibrations, Measure, Metric
from vceval.metrics.separation import separation
from vceval.records import DIRECTIONS, ConversionPair, Failure, Score, Skip
from vceval.statistics import Interval, cluster_bootstrap, holm, paired_difference

__all__ = ["Results", "shown", "static_need", "summarise"]

SCHEMA = 1

#: From the scores of a cell and their pairs to the cell's value and interval; None where there is nothing.
_Figure = Callable[[Sequence[Score], Sequence[ConversionPair]], tuple[float, Interval | None] | None]


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
        "source": pair.source is None,
    }
    return next((need for need in sorted(metric.needs) if lacking.get(need, False)), None)


def shown(calibrations: Mapping[str, Calibrations]) -> dict[str, dict[str, dict[str, Any]]]:
    """Reduce what was learnt (metric, dataset, facts) to what a reader looks at: without lists of scores."""
    return {
        metric: {
            dataset: {key: value for key, value in facts.items() if key != "natural_scores"}
            for dataset, facts in datasets.items()
        }
        for metric, datasets in calibrations.items()
    }


def summarise(
    results: Results,
    systems: Sequence[Mapping[str, Any]],
    metrics: Sequence[Metric],
    calibrations: Mapping[str, Calibrations] | None = None,
    exposures: Sequence[PairExposure] = (),
) -> dict[str, Any]:
    """Make the part of ``summary.json`` that follows from the results.

    ``systems`` are the rows of the tables: mappings with at least ``name`` and ``expected`` (pairs it should
    have converted) and ``control``. Intervals are bootstrapped over target speakers, crossed with source speakers
    where the two really cross; systems are compared on the pairs that both have a value for, with p-values
    corrected by Holm over all comparisons on the same measure.

    ``calibrations`` (metric to dataset to what was learnt) hold the natural scores with which measures of
    reduction ``eer`` and ``auc`` compare. A cell over several datasets pools their scores, natural and converted;
    systems are not tested against each other on such measures.

    ``exposures`` say which speakers the systems were trained on. Where there are any, ``training`` counts them per
    system, and holds the cells over all pairs once more without the pairs that involve a speaker whom the system of
    the row was trained on; that list is empty where there is no such pair.
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
        "cells": list(_cells(results, [row["name"] for row in rows], measures, calibrations or {})),
        "comparisons": list(_comparisons(results, [row["name"] for row in rows if not row["control"]], measures)),
        "counts": {
            "failures": len(results.failures),
            "failures_by_stage": dict(sorted(Counter(f.stage for f in results.failures).items())),
            "skips": len(results.skips),
            "skips_by_need": dict(sorted(Counter(s.need for s in results.skips).items())),
        },
        "training": _training(results, [row["name"] for row in rows], measures, calibrations or {}, exposures),
    }


def _groups(pair: ConversionPair) -> Iterable[tuple[str, str]]:
    """The cells to which a pair belongs: all of them together, and each dataset and direction."""
    datasets = ("all", pair.dataset)
    directions = ("all", pair.direction) if pair.direction else ("all",)
    return itertools.product(datasets, directions)


def _everything(pair: ConversionPair) -> Iterable[tuple[str, str]]:
    """The one cell of a table that is not split."""
    return [("all", "all")]


def _training(
    results: Results,
    systems: Sequence[str],
    measures: Sequence[tuple[Metric, Measure]],
    calibrations: Mapping[str, Calibrations],
    exposures: Sequence[PairExposure],
) -> dict[str, Any] | None:
    """Count exposures per system, and make the cells that are left without speakers who were trained on."""
    if not exposures:
        return None
    per_system: dict[str, list[PairExposure]] = defaultdict(list)
    for entry in exposures:
        per_system[entry.system].append(entry)
    heard = {(entry.system, entry.pair) for entry in exposures if entry.trained}
    left = Results(
        results.pairs,
        [score for score in results.scores if (score.system, score.pair) not in heard],
        [failure for failure in results.failures if (failure.system, failure.pair) not in heard],
        [skip for skip in results.skips if (skip.system, skip.pair) not in heard],
    )
    return {
        "systems": [
            {
                "system": system,
                "pairs": len(per_system[system]),
                "left": sum(not entry.trained for entry in per_system[system]),
                "targets": counts(per_system[system], "target"),
                "sources": counts(per_system[system], "source"),
            }
            for system in systems
            if system in per_system
        ],
        "same_pairs": len({frozenset(e.pair for e in mine if not e.trained) for mine in per_system.values()}) == 1,
        "cells": list(_cells(left, systems, measures, calibrations, _everything)) if heard else [],
    }


def _cells(
    results: Results,
    systems: Sequence[str],
    measures: Sequence[tuple[Metric, Measure]],
    calibrations: Mapping[str, Calibrations],
    groups: Callable[[ConversionPair], Iterable[tuple[str, str]]] = _groups,
) -> Iterable[dict[str, Any]]:
    Key = tuple[str, str, str, str]  # noqa: N806 - system, measure, dataset, direction
    scored: dict[Key, list[Score]] = defaultdict(list)
    failed: Counter[Key] = Counter()
    skipped: Counter[Key] = Counter()
    for score in results.scores:
        for dataset, direction in groups(results.pairs[score.pair]):
            scored[score.system, score.measure, dataset, direction].append(score)
    for failure in results.failures:
        pair = results.pairs[failure.pair]
        for metric, measure in measures:
            if failure.stage == "score" and failure.metric != metric.name:
                continue
            if failure.stage != "score" and static_need(metric, pair):
                continue  # it would have been skipped, and is among the skips
            for dataset, direction in groups(pair):
                failed[failure.system, measure.name, dataset, direction] += 1
    for skip in results.skips:
        for dataset, direction in groups(results.pairs[skip.pair]):
            skipped[skip.system, skip.measure, dataset, direction] += 1
    order = {name: position for position, name in enumerate(systems)}
    columns = {measure.name: position for position, (_, measure) in enumerate(measures)}
    for key in sorted(
        set(scored) | set(failed) | set(skipped), key=lambda key: (order[key[0]], columns[key[1]], key[2:])
    ):
        metric, measure = measures[columns[key[1]]]
        figure = _ratio if measure.reduction == "ratio" else _separation(measure, calibrations.get(metric.name, {}))
        yield _cell(key, scored[key], failed[key], skipped[key], results.pairs, figure)


def _cell(
    key: tuple[str, str, str, str],
    scores: Sequence[Score],
    failed: int,
    skipped: int,
    pairs: Mapping[str, ConversionPair],
    figure: _Figure,
) -> dict[str, Any]:
    system, measure, dataset, direction = key
    cell: dict[str, Any] = {"system": system, "measure": measure, "dataset": dataset, "direction": direction}
    counts = {"n": len(scores), "expected": len(scores) + failed, "failed": failed, "skipped": skipped}
    found = figure(scores, [pairs[score.pair] for score in scores])
    if found is None:
        return {**cell, "value": None, "low": None, "high": None, **counts, "clusters": 0}
    value, interval = found
    return {
        **cell,
        "value": value,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        **counts,
        "clusters": len({pairs[score.pair].target_speaker for score in scores}),
    }


def _ratio(scores: Sequence[Score], pairs: Sequence[ConversionPair]) -> tuple[float, Interval | None] | None:
    """Sum of numerators over sum of denominators."""
    numerators, denominators = [s.numerator for s in scores], [s.denominator for s in scores]
    if not sum(denominators):
        return None
    targets, sources = [pair.target_speaker for pair in pairs], [pair.source_speaker for pair in pairs]
    interval = cluster_bootstrap(numerators, denominators, targets, crossed=sources)
    return sum(numerators) / sum(denominators), interval


def _separation(measure: Measure, learnt: Calibrations) -> _Figure:
    """Make the figure that compares a cell's scores with those of natural speech of the cell's datasets."""

    def figure(scores: Sequence[Score], pairs: Sequence[ConversionPair]) -> tuple[float, Interval | None] | None:
        natural: dict[Hashable, Any] = {
            (dataset, speaker): values
            for dataset in sorted({pair.dataset for pair in pairs})
            for speaker, values in learnt.get(dataset, {}).get("natural_scores", {}).items()
        }
        speakers = [(pair.dataset, pair.target_speaker) for pair in pairs]
        assert measure.reduction != "ratio"
        return separation(measure.reduction, natural, [score.value for score in scores], speakers)

    return figure


def _comparisons(
    results: Results, systems: Sequence[str], measures: Sequence[tuple[Metric, Measure]]
) -> Iterable[dict[str, Any]]:
    scored: dict[tuple[str, str], dict[str, Score]] = defaultdict(dict)
    for score in results.scores:
        scored[score.system, score.measure][score.pair] = score
    for _, measure in measures:
        if measure.reduction != "ratio":
            continue  # no sum over pairs, so no difference per pair
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
                crossed=[results.pairs[pair].source_speaker for pair in common],
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
