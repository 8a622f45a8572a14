"""Makes of result files what a run's own files say: reports with the same figures, intervals, tests and marks.

Nothing is computed in another way than for a run: sums go into :class:`vceval.results.outcomes.Outcomes`, and all
figures follow by :func:`vceval.results.summary.figures_of`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vceval.errors import UsageError
from vceval.metrics.base import Measure, measure_faults
from vceval.protocol.schema import checked
from vceval.publish.columns import places, unpack, unpack_facts
from vceval.publish.keys import CHANGED, valid
from vceval.publish.record import HUGE, Learnt, Result, read
from vceval.records import DIRECTIONS
from vceval.results import views
from vceval.results.leakage import EXPOSURES, Exposure, PairExposure
from vceval.results.marks import rankings_of
from vceval.results.outcomes import Outcomes
from vceval.results.rundir import PAIR_COLUMNS, RunDirectory
from vceval.results.scores import Scores
from vceval.results.seeds import SHARE
from vceval.results.summary import figures_of, shown
from vceval.results.views import MeasureView, MetricView, Report

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["is_result", "opened", "rebuilt", "unpacked", "verified"]

_Sides = tuple[Exposure, Exposure]


def is_result(path: Path) -> bool:
    """Whether a path is meant as a result file: a JSON file that may not be there, or any other; a run is a folder."""
    return not path.is_dir() and (path.suffix.lower() == ".json" or path.exists())


def opened(paths: Sequence[Path], *, figures: bool = True) -> list[RunDirectory | Report]:
    """Open folders of runs and result files, those of one run together, in the order in which they are first named.

    Args:
        paths: of folders and files.
        figures: whether figures, rankings and tests are made again of the sums in files, for those who show them.

    Raises:
        UsageError: a file is no result file or was changed, or two of one run do not fit.
    """
    found: dict[str, RunDirectory | list[tuple[Path, Result]]] = {}
    for path in paths:
        if not is_result(path):
            found[f"folder {len(found)}"] = RunDirectory(path)
            continue
        result = verified(path)
        same = found.setdefault(f"{result.run.manifest_sha256} {result.by.key}", [])
        assert isinstance(same, list)
        same.append((path, result))
    return [one if isinstance(one, RunDirectory) else rebuilt(one, figures=figures) for one in found.values()]


def verified(path: Path) -> Result:
    """Read a result file whose signature fits; whose it is, and whether sums add up, :mod:`vceval.publish.check` says.

    Raises:
        UsageError: it is none, or was changed.
    """
    result, message, signature, _ = read(path)
    if not valid(result.by.key, message, signature):
        raise UsageError(f"{path}: {CHANGED}; get the file again from where it was published")
    return result


def rebuilt(files: Sequence[tuple[Path, Result]], *, figures: bool = True) -> Report:
    """Make the report of a run from the results of its systems, as far as they were published.

    Args:
        files: of one run: their paths, which messages name, and what is in them.
        figures: as in :func:`opened`.

    Raises:
        UsageError: they are not of one run, a system is there twice, or columns are damaged.
    """
    ordered = sorted(files, key=lambda file: file[1].system.place)
    paths, results = [path for path, _ in ordered], [result for _, result in ordered]
    first = results[0]
    for path, other in zip(paths, results, strict=True):
        for what in ("suite", "run", "metrics", "measures", "calibrations"):
            if getattr(other, what) != getattr(first, what):
                raise UsageError(f"{path}: says otherwise than {paths[0]} of its run: {what}")
    names = [result.system.name for result in results]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        both = [str(path) for path, name in zip(paths, names, strict=True) if name == twice]
        raise UsageError(f"{' and '.join(both)} are of the same system of the same run: give one of them")
    try:
        report = unpacked(results, paths[0])
    except ValueError as error:
        raise UsageError(f"{', '.join(map(str, paths))}: damaged: {error}") from error
    if not figures:
        return report
    exposures = [PairExposure(*key, *cast("_Sides", found)) for key, found in report.exposures.items()]
    found = figures_of(
        Outcomes.of_report(report), [_row(result) for result in results], report.measures,
        [(metric.name, metric.encoder) for metric in report.metrics.values()],
        report.scores.pairs, exposures, report.kin,
    )  # fmt: skip
    return replace(
        report,
        cells=views.cells_of(found["cells"]),
        rankings=rankings_of(found["rankings"], found["comparisons"]),
        training=found["training"],
        panels=found["panels"],
    )


class _Part:
    """One result with its columns unpacked.

    Raises:
        ValueError: a column is damaged.
    """

    def __init__(self, result: Result) -> None:
        self.result = result
        pairs = result.pairs
        count = pairs.count
        self.numbers = places(pairs.numbers, result.suite.pairs, count).tolist()
        if sorted(set(self.numbers)) != self.numbers:
            raise ValueError("a pair is there twice, or not in its place")
        try:
            keys = base64.b64decode(pairs.identities, validate=True)
        except binascii.Error as error:
            raise ValueError(f"identities of pairs: {error}") from error
        if len(keys) != 8 * count:
            raise ValueError(f"{len(keys) / 8:g} identities of {count} pairs")
        digits = len(str(pairs.text_count))
        texts = [f"text {number:0{digits}}" for number in range(pairs.text_count)]
        columns = {
            "target_speaker": (pairs.targets, pairs.speakers),
            "source_speaker": (pairs.sources, pairs.speakers),
            "transcript": (pairs.texts, texts),
            "dataset": (pairs.datasets, pairs.dataset_names),
            "direction": (pairs.directions, pairs.direction_names),
            "language": (pairs.languages, pairs.language_names),
        }
        named = {
            column: [[*names, ""][place] for place in places(codes, len(names) + 1, count).tolist()]
            for column, (codes, names) in columns.items()
        }
        self.rows = {
            number: {
                **dict.fromkeys(PAIR_COLUMNS, ""),
                "pair": f"pair {number + 1}",
                "identity": keys[8 * place : 8 * place + 8].hex(),
                **{column: values[place] for column, values in named.items()},
            }
            for place, number in enumerate(self.numbers)
        }

    def named(self, packed: str) -> list[str]:
        """The pairs whose places among those of the system are packed."""
        return [self.rows[self.numbers[place]]["pair"] for place in places(packed, len(self.numbers)).tolist()]

    def sums(self) -> NDArray[np.float64]:
        """Numerators and denominators, shape (2, pairs, measures), NaN where there are none."""
        import numpy as np

        count = self.result.pairs.count
        found = np.full((2, count, len(self.result.measures)), np.nan)
        for place, measure in enumerate(self.result.measures):
            sums = self.result.sums.get(measure.name)
            if sums is not None:
                found[0, :, place] = unpack(sums.numerators, count)
                found[1, :, place] = unpack(sums.denominators, count)
        sizes = np.abs(found)  # comparisons with NaN are False
        if (sizes > HUGE).any() or ((sizes[1] > 0.0) & (sizes[1] < 1.0 / HUGE)).any():
            raise ValueError(f"a sum is above {HUGE:g}, or a denominator none of 0 and {1 / HUGE:g} to that")
        return found

    def exposures(self) -> list[PairExposure]:
        """What is known of the system's training on the speakers of each pair."""
        packed = (self.result.pairs.source_exposures, self.result.pairs.target_exposures)
        if packed[0] is None or packed[1] is None:
            return []
        sides = [[EXPOSURES[place] for place in places(one, len(EXPOSURES), len(self.numbers)).tolist()]
                 for one in packed if one is not None]  # fmt: skip
        name = self.result.system.name
        return [
            PairExposure(name, self.rows[number]["pair"], source, target)
            for number, source, target in zip(self.numbers, *sides, strict=True)
        ]

    def sanity(self) -> dict[str, dict[str, Any]]:
        """By pair the flags, as the details of the metric sanity have them."""
        flags = self.result.flags
        if flags is None:
            return {}
        found: dict[str, dict[str, Any]] = {pair: {"flags": []} for pair in self.named(flags.checked)}
        for kind, by_name in (("flags", flags.raised), ("later", flags.later)):
            for name, packed in by_name.items():
                for pair in self.named(packed):
                    found.setdefault(pair, {}).setdefault(kind, []).append(name)
        return found


def unpacked(results: Sequence[Result], path: Path) -> Report:
    """Make a report of the sums and counts of results, in which nothing is computed yet.

    Args:
        results: of one run, in the order of its tables.
        path: what takes the place of the run's folder.

    Raises:
        ValueError: a column is damaged.
    """
    import numpy as np

    parts, first = [_Part(result) for result in results], results[0]
    for result in results:
        _declared(result)
    rows: dict[int, dict[str, str]] = {}
    for part in parts:
        for number, row in part.rows.items():
            if rows.setdefault(number, row) != row:
                raise ValueError(f"{row['pair']} is another one in {part.result.system.name} than in other systems")
    pairs = [rows[number] for number in sorted(rows)]
    at = {row["pair"]: place for place, row in enumerate(pairs)}
    systems = {part.result.system.name: place for place, part in enumerate(parts)}
    measures = {measure.name: place for place, measure in enumerate(first.measures)}
    sums = np.full((2, len(parts), len(pairs), len(measures)), np.nan)
    for place, part in enumerate(parts):
        mine = [at[row["pair"]] for row in part.rows.values()]
        sums[:, place, mine] = part.sums()
    with np.errstate(invalid="ignore", divide="ignore"):
        values = sums[0] / sums[1]
    values[~np.isfinite(values)] = np.nan
    sanity = {(place, at[pair]): facts for place, part in enumerate(parts) for pair, facts in part.sanity().items()}
    calibrations = {
        metric.name: {
            dataset: _learnt(facts, f"{metric.name} on {dataset}")
            for dataset, facts in first.calibrations[metric.name].items()
        }
        for metric in first.metrics
        if metric.name in first.calibrations
    }
    scores = Scores(systems, at, measures, values, sums[0], sums[1], {}, sanity)
    nothing = {"cells": (), "rankings": (), "comparisons": ()}
    report = views.assemble(path, _about(results), nothing | _facts(results), pairs, scores)
    return replace(
        report,
        datasets=sorted({row["dataset"] for row in pairs}),
        directions=[name for name in DIRECTIONS if any(row["direction"] == name for row in pairs)],
        calibration=shown(calibrations),
        failures=[
            {"system": part.result.system.name, "pair": pair, "stage": one.stage, "metric": one.metric,
             "seed": str(one.seed), "reason": f"{one.stage} failed; the reason is not published"}
            for part in parts for one in part.result.failures for pair in part.named(one.pairs)
        ],
        skips=[
            {"system": part.result.system.name, "pair": pair, "metric": one.metric, "measure": one.measure,
             "need": one.need, "seed": str(one.seed), "reason": "the pair lacks it"}
            for part in parts for one in part.result.skips for pair in part.named(one.pairs)
        ],
        exposures={(one.system, one.pair): (one.source, one.target) for part in parts for one in part.exposures()},
        calibration_file=calibrations,
        efficiency=[one for part in parts for one in part.result.efficiency],
    )  # fmt: skip


def _declared(result: Result) -> None:
    """Hold measures against what a metric may declare: reductions, digits and names lead what is computed and printed.

    Raises:
        ValueError: one is declared wrongly, or there twice.
    """
    for what in ("metrics", "measures"):
        names = [one.name for one in getattr(result, what)]
        if len(set(names)) < len(names):
            raise ValueError(f"{what}: {next(name for name in names if names.count(name) > 1)} is there twice")
    for one in result.seeds:
        if one.system != result.system.name or one.measure not in names:
            raise ValueError(f"seeds: {one.measure} of {one.system} is none of the file")
    by_metric: dict[str, list[Measure]] = {}
    for view in result.measures:
        known = cast("dict[str, Any]", {field: getattr(view, field) for field in Measure.__slots__})
        by_metric.setdefault(view.metric, []).append(Measure(**known))
    for metric, measures in by_metric.items():
        if faults := measure_faults(measures, metric):
            raise ValueError(faults[0])


def _learnt(packed: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What was learnt from natural speech, unpacked.

    Raises:
        ValueError: a column is damaged, or something is not what it must be.
    """
    facts: dict[str, Any] = unpack_facts(packed)
    try:
        checked(facts, Learnt, f"what was learnt by {where}")
    except UsageError as error:
        raise ValueError(str(error)) from None
    return facts


def _row(result: Result) -> dict[str, Any]:
    system = result.system
    kept = ("name", "title", "control", "kind", "converter", "sample_rate", "sample_rates", "licence", "paper", "seeds",
            "expected", "failed")  # fmt: skip
    return {**{key: getattr(system, key) for key in kept}, "converted": system.expected - system.failed}


def _facts(results: Sequence[Result]) -> dict[str, Any]:
    """What a summary says without computing anything."""
    first = results[0]
    # As the run has them: by measure, and of each the systems in their order
    at = {measure.name: place for place, measure in enumerate(first.measures)}
    entries = sorted((entry for result in results for entry in result.seeds), key=lambda one: at[one.measure])
    seeds = [entry.model_dump() for entry in entries]
    return {
        "name": first.suite.name,
        "suite": first.suite.name,
        "partial": first.suite.partial,
        "custom": first.suite.custom,
        "pairs": first.suite.pairs,
        "systems": [_row(result) for result in results],
        "metrics": [{**_shallow(metric), "metric": metric.name} for metric in first.metrics],
        "measures": [_shallow(measure) for measure in first.measures],
        "kin": [
            {"system": result.system.name, "metric": metric, "reason": reason}
            for result in results
            for metric, reason in result.system.kin.items()
        ],
        # How single seeds differ between two systems is not published
        **({"seeds": {"share": SHARE, "figures": seeds, "differences": []}} if seeds else {}),
    }


def _shallow(one: MetricView | MeasureView) -> dict[str, Any]:
    """The fields of a view, which hold no others; many are made where many files are judged."""
    return {name: getattr(one, name) for name in one.__slots__}


def _about(results: Sequence[Result]) -> dict[str, Any]:
    """What ``run.json`` says, as far as it was published, and who did that."""
    first = results[0]
    run, by = first.run, first.by
    commit = {"commit": first.environment.commit, "tree": "changed" if first.environment.changed else "clean"}
    return {
        "name": first.suite.name,
        "suite": first.suite.name,
        "published by": f"{by.name} ({by.key})",
        "created": run.created,
        "versions": dict(first.environment.versions),
        "platform": first.environment.platform,
        "device": first.environment.device,
        "executor": first.environment.executor,
        "seed": run.seed,
        **({"channel": run.channel} if run.channel else {}),
        **({} if run.max_seconds is None else {"max_seconds": run.max_seconds}),
        "partial": first.suite.partial,
        "custom": first.suite.custom,
        "pairs_sha256": first.suite.pairs_sha256,
        "systems": [
            {"name": one.system.name, "converter": one.system.converter, "options": one.system.options,
             "weights": [file.sha256 for file in one.system.weights]}
            for one in results
        ],
        "metrics": {metric.name: metric.signature for metric in first.metrics},
        **({"git": commit} if first.environment.commit else {}),
        "state": "finished",
    }  # fmt: skip
