"""From scores to a summary: a value, an interval and honest counts for every cell of the tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vceval.metrics.base import Calibrations, Metric
from vceval.records import DIRECTIONS, ConversionPair
from vceval.results.leakage import PairExposure, counts
from vceval.results.outcomes import Outcomes
from vceval.results.panel import panels_of
from vceval.results.ranking import ranked
from vceval.results.seeds import seed_summary
from vceval.results.table import Tally
from vceval.results.views import ALL, SCHEMA, Cell, MeasureView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["figures_of", "shown", "static_need", "summarise"]


#: What was learnt and is no fact to look at: scores and resamples.
_UNSHOWN = ("natural_scores", "threshold_draws", "mean_draws", "same_quantiles")


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
    """Reduce what was learnt (metric, dataset, facts) to what a reader looks at: without scores and resamples."""
    return {
        metric: {
            dataset: {key: value for key, value in facts.items() if key not in _UNSHOWN}
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
    signed: str = "",
    kin: Mapping[tuple[str, str], str] | None = None,
) -> dict[str, Any]:
    """Make the part of ``summary.json`` that follows from the results.

    ``systems`` are the rows of the tables: mappings with at least ``name`` and ``expected`` (conversions that it should
    have made: of each pair as many as it has seeds) and ``control``. Cells count pairs: one that was converted with
    several seeds has the mean over those that have a score, and failed where none has. Intervals are over target
    speakers, source speakers and texts (:mod:`vceval.statistics.inference`); systems are ranked and tested by
    :mod:`vceval.results.ranking`, over all pairs and in every dataset and direction.

    ``calibrations`` (metric to dataset to what was learnt) hold the natural scores with which measures of
    reduction ``eer`` and ``auc`` compare. A cell over several datasets pools their scores, natural and converted.

    ``exposures`` say which speakers the systems were trained on. Where there are any, ``training`` counts them per
    system, and holds the cells over all pairs once more without the pairs that involve a speaker whom the system of
    the row was trained on, and the rankings where these are the same pairs for all; the lists are empty where there is
    no such pair.

    ``kin`` says of a system and a metric why the encoder that judges there must not rank it
    (:mod:`vceval.results.encoder_audit`).

    ``signed`` stands at the end of all signatures: what the run chose for all metrics.
    """
    rows = []
    names = [system["name"] for system in systems]
    for system in systems:
        failed = tally.lost(system["name"])
        rows.append({**system, "failed": failed, "converted": system["expected"] - failed})
    measures = [
        {**asdict(measure), "metric": metric.name, **({"judge": metric.judge} if metric.judge else {})}
        for metric in metrics
        for measure in metric.measures
    ]
    compared = [row["name"] for row in rows if not row["control"]]
    encoders = [(metric.name, next(iter(metric.encoder_kin.values()), "")) for metric in metrics]
    seeds = seed_summary(tally, compared, [measure for metric in metrics for measure in metric.measures])
    return {
        "schema": SCHEMA,
        "pairs": len(tally.pairs),
        "systems": rows,
        "metrics": [
            {
                "metric": metric.name,
                "title": metric.title,
                "signature": metric.signature() + signed,
                "long_signature": metric.long_signature() + signed,
                "source": metric.cites,
                "needs": sorted(metric.needs),
                **({"encoder": encoder} if encoder else {}),
            }
            for metric, (_, encoder) in zip(metrics, encoders, strict=True)
        ],
        "measures": measures,
        "datasets": sorted({pair.dataset for pair in tally.pairs.values()}),
        "directions": [d for d in DIRECTIONS if any(pair.direction == d for pair in tally.pairs.values())],
        **figures_of(
            Outcomes.of_tally(tally, names, calibrations or {}),
            rows,
            [MeasureView.of(entry) for entry in measures],
            encoders,
            tally.numbers,
            exposures,
            kin or {},
        ),
        "counts": {
            "failures": tally.stages.total(),
            "failures_by_stage": dict(sorted(tally.stages.items())),
            "skips": tally.needs.total(),
            "skips_by_need": dict(sorted(tally.needs.items())),
        },
        **({"seeds": seeds} if seeds else {}),
    }


def figures_of(
    outcomes: Outcomes,
    rows: Sequence[Mapping[str, Any]],
    measures: Sequence[MeasureView],
    encoders: Iterable[tuple[str, str]],
    numbers: Mapping[str, int],
    exposures: Sequence[PairExposure],
    kin: Mapping[tuple[str, str], str],
) -> dict[str, Any]:
    """Make all of ``summary.json`` that follows from outcomes: cells, rankings, comparisons, training, kin, panels.

    Args:
        outcomes: of the run, or of what was published of it.
        rows: of the tables, with ``name``, ``control`` and ``converter``.
        measures: of the run.
        encoders: metrics, each with the encoder that judges there; empty for none.
        numbers: of the pairs, by name, as ``outcomes`` has them.
        exposures: which speakers the systems were trained on.
        kin: system and metric to why the encoder that judges there must not rank the system.
    """
    names = [row["name"] for row in rows]
    compared = [row["name"] for row in rows if not row["control"]]
    natural = next((row["name"] for row in rows if row["control"] and row.get("converter") == "source"), "")
    rankings, comparisons = ranked(outcomes, compared, measures, natural=natural, kin=kin)
    return {
        "cells": list(_cells(outcomes, names, measures)),
        "rankings": rankings,
        "comparisons": comparisons,
        "training": _training(numbers, outcomes, rows, measures, exposures, natural, kin),
        "kin": [{"system": s, "metric": m, "reason": reason} for (s, m), reason in sorted(kin.items())],
        "panels": panels_of(outcomes, compared, encoders, measures, comparisons, kin),
    }


def _training(
    numbers: Mapping[str, int],
    outcomes: Outcomes,
    rows: Sequence[Mapping[str, Any]],
    measures: Sequence[MeasureView],
    exposures: Sequence[PairExposure],
    natural: str,
    kin: Mapping[tuple[str, str], str],
) -> dict[str, Any] | None:
    """Count exposures per system, and make what is left without speakers who were trained on: cells, and rankings."""
    if not exposures:
        return None
    systems = [row["name"] for row in rows]
    per_system: dict[str, list[PairExposure]] = defaultdict(list)
    unheard: dict[str, NDArray[np.bool_]] = {}
    for entry in exposures:
        per_system[entry.system].append(entry)
        if entry.trained:
            mask = unheard.setdefault(entry.system, outcomes.everything)
            mask[numbers[entry.pair]] = False
    same = len({frozenset(e.pair for e in mine if not e.trained) for mine in per_system.values()}) == 1
    rankings, comparisons = list[dict[str, Any]](), list[dict[str, Any]]()
    if unheard and same:
        left = {(ALL, ALL): next(iter(unheard.values()))}
        converters = [row["name"] for row in rows if not row["control"]]
        rankings, comparisons = ranked(outcomes, converters, measures, left, natural, kin)
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
        "same_pairs": same,
        "cells": list(_cells(outcomes, systems, measures, unheard)) if unheard else [],
        "rankings": rankings,
        "comparisons": comparisons,
    }


def _cells(
    outcomes: Outcomes,
    systems: Sequence[str],
    measures: Sequence[MeasureView],
    unheard: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Iterable[dict[str, Any]]:
    """Make the cells of all systems and measures: of every group, or of the one of all pairs that are left."""
    groups = outcomes.groups()
    if unheard is not None:
        groups = {place: group for place, group in groups.items() if place == (ALL, ALL)}
    for system in systems:
        for measure in measures:
            known: dict[bytes, Cell] = {}
            for (dataset, direction), group in sorted(groups.items()):
                chosen = group & (unheard or {}).get(system, group)
                key = chosen.tobytes()
                if key not in known:
                    known[key] = outcomes.cell(system, measure, chosen)
                cell = known[key]
                if cell.expected or cell.skipped:
                    place = {"system": system, "measure": measure.name, "dataset": dataset, "direction": direction}
                    yield {**place, **asdict(cell)}
