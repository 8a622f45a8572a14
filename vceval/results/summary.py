"""From scores to a summary: a value, an interval and honest counts for every cell of the tables."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vceval.metrics.base import Calibrations, Measure, Metric
from vceval.records import DIRECTIONS, ConversionPair
from vceval.results.leakage import PairExposure, counts
from vceval.results.seeds import seed_summary
from vceval.results.table import Column, Tally
from vceval.statistics.intervals import Interval, cluster_bootstrap, holm_tested, paired_difference
from vceval.statistics.separation import separation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["shown", "static_need", "summarise"]

SCHEMA = 1

#: From the scores of a cell to the cell's value and interval; None where there is nothing.
_Figure = Callable[[Column], tuple[float, Interval | None] | None]


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
    tally: Tally,
    systems: Sequence[Mapping[str, Any]],
    metrics: Sequence[Metric],
    calibrations: Mapping[str, Calibrations] | None = None,
    exposures: Sequence[PairExposure] = (),
) -> dict[str, Any]:
    """Make the part of ``summary.json`` that follows from the results.

    ``systems`` are the rows of the tables: mappings with at least ``name`` and ``expected`` (conversions that it should
    have made: of each pair as many as it has seeds) and ``control``. Cells count pairs: one that was converted with
    several seeds has the mean over those that have a score, and failed where none has. Intervals are bootstrapped over
    target speakers, crossed with source speakers where the two really cross; systems are compared on the pairs that
    both have a value for, with p-values corrected by Holm over all comparisons on the same measure.

    ``calibrations`` (metric to dataset to what was learnt) hold the natural scores with which measures of
    reduction ``eer`` and ``auc`` compare. A cell over several datasets pools their scores, natural and converted;
    systems are not tested against each other on such measures.

    ``exposures`` say which speakers the systems were trained on. Where there are any, ``training`` counts them per
    system, and holds the cells over all pairs once more without the pairs that involve a speaker whom the system of
    the row was trained on; that list is empty where there is no such pair.
    """
    rows = []
    for system in systems:
        failed = tally.lost(system["name"])
        rows.append({**system, "failed": failed, "converted": system["expected"] - failed})
    measures = [(metric, measure) for metric in metrics for measure in metric.measures]
    names = [row["name"] for row in rows]
    compared = [row["name"] for row in rows if not row["control"]]
    speakers = _Speakers(tally.pairs)
    seeds = seed_summary(tally, compared, [measure for _, measure in measures])
    return {
        "schema": SCHEMA,
        "pairs": len(tally.pairs),
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
        "datasets": sorted({pair.dataset for pair in tally.pairs.values()}),
        "directions": [d for d in DIRECTIONS if any(pair.direction == d for pair in tally.pairs.values())],
        "cells": list(_cells(tally, names, measures, calibrations or {}, speakers)),
        "comparisons": list(_comparisons(tally, compared, measures, speakers)),
        "counts": {
            "failures": tally.stages.total(),
            "failures_by_stage": dict(sorted(tally.stages.items())),
            "skips": tally.needs.total(),
            "skips_by_need": dict(sorted(tally.needs.items())),
        },
        "training": _training(tally, names, measures, calibrations or {}, exposures, speakers),
        **({"seeds": seeds} if seeds else {}),
    }


class _Speakers:
    """The pairs' speakers and groups, by number of the pair."""

    def __init__(self, pairs: Mapping[str, ConversionPair]) -> None:
        import numpy as np

        self.targets = np.array([pair.target_speaker for pair in pairs.values()], dtype=object)
        self.sources = np.array([pair.source_speaker for pair in pairs.values()], dtype=object)
        self.datasets = np.array([pair.dataset for pair in pairs.values()], dtype=object)
        self._directions = np.array([pair.direction for pair in pairs.values()], dtype=object)

    def groups(self) -> dict[tuple[str, str], NDArray[np.bool_]]:
        """The cells of the summary, as masks over pairs: all of them together, and each dataset and direction."""
        import numpy as np

        whole = np.ones(len(self.datasets), dtype=bool)
        datasets = {"all": whole} | {name: self.datasets == name for name in sorted(set(self.datasets))}
        named = sorted({direction for direction in self._directions if direction})
        directions = {"all": whole} | {name: self._directions == name for name in named}
        return {
            (dataset, direction): some & others
            for dataset, some in datasets.items()
            for direction, others in directions.items()
        }


def _training(
    tally: Tally,
    systems: Sequence[str],
    measures: Sequence[tuple[Metric, Measure]],
    calibrations: Mapping[str, Calibrations],
    exposures: Sequence[PairExposure],
    speakers: _Speakers,
) -> dict[str, Any] | None:
    """Count exposures per system, and make the cells that are left without speakers who were trained on."""
    import numpy as np

    if not exposures:
        return None
    per_system: dict[str, list[PairExposure]] = defaultdict(list)
    unheard: dict[str, NDArray[np.bool_]] = {}
    for entry in exposures:
        per_system[entry.system].append(entry)
        if entry.trained:
            mask = unheard.setdefault(entry.system, np.ones(len(tally.pairs), dtype=bool))
            mask[tally.numbers[entry.pair]] = False
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
        "cells": list(_cells(tally, systems, measures, calibrations, speakers, unheard)) if unheard else [],
    }


def _cells(
    tally: Tally,
    systems: Sequence[str],
    measures: Sequence[tuple[Metric, Measure]],
    calibrations: Mapping[str, Calibrations],
    speakers: _Speakers,
    unheard: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Iterable[dict[str, Any]]:
    """Make the cells of all systems and measures: of every group, or of the one of all pairs that are left."""
    import numpy as np

    whole = np.ones(len(tally.pairs), dtype=bool)
    groups = speakers.groups() if unheard is None else {("all", "all"): whole}
    lacking: dict[str, NDArray[np.bool_]] = {}
    for system in systems:
        kept = whole if unheard is None else unheard.get(system, whole)
        unconverted = tally.unconverted(system)
        for metric, measure in measures:
            column = tally.column(system, measure.name)
            failed = tally.failed(system, metric.name)
            if len(unconverted):
                # What the pair visibly lacks would have been skipped, and is among the skips
                if metric.name not in lacking:
                    lacking[metric.name] = np.array([bool(static_need(metric, p)) for p in tally.pairs.values()])
                failed = np.concatenate([failed, unconverted[~lacking[metric.name][unconverted]]])
            skipped = tally.skipped(system, measure.name)
            ratio = measure.reduction == "ratio"
            figure = _ratio(speakers) if ratio else _separation(measure, calibrations.get(metric.name, {}), speakers)
            for (dataset, direction), group in sorted(groups.items()):
                chosen = group & kept
                mine = column.where(chosen)
                numbers = {
                    "n": len(mine.pairs),
                    "expected": len(mine.pairs) + int(chosen[failed].sum()),
                    "failed": int(chosen[failed].sum()),
                    "skipped": int(chosen[skipped].sum()),
                }
                if any(numbers.values()):
                    place = {"system": system, "measure": measure.name, "dataset": dataset, "direction": direction}
                    yield {**place, **numbers, **_value(mine, figure, speakers)}


def _value(column: Column, figure: _Figure, speakers: _Speakers) -> dict[str, Any]:
    found = figure(column)
    if found is None:
        return {"value": None, "low": None, "high": None, "clusters": 0}
    value, interval = found
    low, high = (interval.low, interval.high) if interval else (None, None)
    return {"value": value, "low": low, "high": high, "clusters": len(set(speakers.targets[column.pairs]))}


def _ratio(speakers: _Speakers) -> _Figure:
    """Make the figure that is a sum of numerators over a sum of denominators."""

    def figure(column: Column) -> tuple[float, Interval | None] | None:
        total = float(column.denominators.sum())
        if not total:
            return None
        targets, sources = speakers.targets[column.pairs].tolist(), speakers.sources[column.pairs].tolist()
        interval = cluster_bootstrap(column.numerators, column.denominators, targets, crossed=sources)
        return float(column.numerators.sum()) / total, interval

    return figure


def _separation(measure: Measure, learnt: Calibrations, speakers: _Speakers) -> _Figure:
    """Make the figure that compares a cell's scores with those of natural speech of the cell's datasets."""

    def figure(column: Column) -> tuple[float, Interval | None] | None:
        datasets, targets = speakers.datasets[column.pairs].tolist(), speakers.targets[column.pairs].tolist()
        natural: dict[Hashable, Any] = {
            (dataset, speaker): values
            for dataset in sorted(set(datasets))
            for speaker, values in learnt.get(dataset, {}).get("natural_scores", {}).items()
        }
        assert measure.reduction != "ratio"
        scores = column.numerators / column.denominators
        return separation(measure.reduction, natural, scores, list(zip(datasets, targets, strict=True)))

    return figure


def _comparisons(
    tally: Tally, systems: Sequence[str], measures: Sequence[tuple[Metric, Measure]], speakers: _Speakers
) -> Iterable[dict[str, Any]]:
    import numpy as np

    for _, measure in measures:
        if measure.reduction != "ratio":
            continue  # no sum over pairs, so no difference per pair
        columns = {system: tally.column(system, measure.name) for system in systems}
        found: list[dict[str, Any]] = []
        for first, second in itertools.combinations(systems, 2):
            ones, others = columns[first], columns[second]
            common, here, there = np.intersect1d(ones.pairs, others.pairs, assume_unique=True, return_indices=True)
            if not len(common):
                continue
            difference = paired_difference(
                ones.numerators[here],
                ones.denominators[here],
                others.numerators[there],
                others.denominators[there],
                speakers.targets[common].tolist(),
                crossed=speakers.sources[common].tolist(),
            )
            found.append({
                "measure": measure.name, "first": first, "second": second, "n": len(common), **difference.entry(),
            })  # fmt: skip
        corrected = holm_tested(entry["p_value"] for entry in found)
        yield from ({**entry, "p_holm": p_holm} for entry, p_holm in zip(found, corrected, strict=True))
