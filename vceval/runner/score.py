"""The stage that scores: calibration on natural speech, then every metric on every conversion."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vceval import registry
from vceval.cache import Cache
from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.metrics.base import Metric, Workspace
from vceval.records import Conversion, Utterance
from vceval.runner.pool import Lost, Pool

__all__ = ["MetricOptions", "ScoreTask", "calibrate", "make_metric", "score"]

#: Parameters that a suite sets for every metric that has them, such as the number of calibration trials.
MetricOptions = Mapping[str, Any]

#: Natural recordings given to one worker at a time.
_ANALYSE_BATCH = 16
#: Scoring one recording takes seconds; a metric that needs longer than this hangs.
_SCORE_TIMEOUT = 900.0


@dataclass(frozen=True, slots=True)
class ScoreTask:
    """One conversion and the metrics that have not scored it yet."""

    conversion: Conversion
    metrics: tuple[str, ...]


#: What one worker scores at a time.
_Batch = tuple[ScoreTask, ...]


@dataclass(frozen=True, slots=True)
class _Analyse:
    metric: str
    natural: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True)
class _Calibrate:
    metric: str
    dataset: str
    natural: tuple[Utterance, ...]


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


def calibrate(
    metrics: Sequence[str], options: MetricOptions, workspace: Workspace, workers: int
) -> dict[str, dict[str, Any]]:
    """Let every metric learn from natural speech: metric name -> dataset -> what it learnt."""
    natural = workspace.natural
    calibrating = [name for name in metrics if type(make_metric(name, options)).calibrate is not Metric.calibrate]
    by_dataset: dict[str, list[Utterance]] = {}
    for utterance in natural:
        by_dataset.setdefault(utterance.dataset, []).append(utterance)
    found: dict[str, dict[str, Any]] = {name: {} for name in calibrating}
    with Pool[Any](workers, _Handler, (workspace, {}, options)) as pool:
        analyses = [
            _Analyse(name, tuple(natural[start : start + _ANALYSE_BATCH]))
            for name in calibrating
            for start in range(0, len(natural), _ANALYSE_BATCH)
        ]
        for _ in pool.run(analyses):
            pass  # results lie in the cache; what is missing there is computed again below
        tasks = [
            _Calibrate(name, dataset, tuple(group)) for name in calibrating for dataset, group in by_dataset.items()
        ]
        for task, result in pool.run(tasks):
            if isinstance(result, Lost):
                result = {"unavailable": result.reason}
            if result is not None:
                found[task.metric][task.dataset] = result
    return {name: dict(sorted(datasets.items())) for name, datasets in found.items()}


def score(
    tasks: Sequence[ScoreTask],
    options: MetricOptions,
    workspace: Workspace,
    calibrations: Mapping[str, Mapping[str, Any]],
    workers: int,
) -> Iterator[list[dict[str, Any]]]:
    """Score and yield finished journal records, one list per conversion.

    Conversions go to the workers in batches where a metric asks for it. A batch whose worker died is scored again
    one by one, and a conversion whose worker died metric by metric, so that only the metric at fault fails.
    """
    arguments = (workspace, calibrations, options)
    with Pool[_Batch](workers, _Handler, arguments, lambda batch: _SCORE_TIMEOUT * len(batch)) as pool:
        waiting = _batches(tasks, options, workers)
        while waiting:
            smaller: list[_Batch] = []
            for batch, result in pool.run(waiting):
                parts = _parts(batch) if isinstance(result, Lost) else []
                if len(parts) > 1:
                    smaller += parts
                else:
                    yield from _records(batch, result)
            waiting = smaller


def _batches(tasks: Sequence[ScoreTask], options: MetricOptions, workers: int) -> list[_Batch]:
    """Divide the work: as many conversions at a time as the metrics like, while every worker has something to do."""
    names = sorted({name for task in tasks for name in task.metrics})
    wish = max((make_metric(name, options).batch for name in names), default=1)
    size = max(1, min(wish, len(tasks) // max(1, workers)))
    return [tuple(tasks[start : start + size]) for start in range(0, len(tasks), size)]


def _parts(batch: _Batch) -> list[_Batch]:
    if len(batch) > 1:
        return [(task,) for task in batch]
    return [(ScoreTask(task.conversion, (name,)),) for task in batch for name in task.metrics]


def _records(batch: _Batch, result: Any) -> list[list[dict[str, Any]]]:
    if isinstance(result, Lost):
        return [
            [_record(task.conversion, name, status="failed", reason=result.reason) for name in task.metrics]
            for task in batch
        ]
    records: list[list[dict[str, Any]]] = result
    return records


def _record(conversion: Conversion, metric: str, **rest: Any) -> dict[str, Any]:
    return {"system": conversion.system, "pair": conversion.pair.id, "metric": metric, **rest}


class _Handler:
    """What a worker process does; opens each metric when it is first used."""

    def __init__(
        self, workspace: Workspace, calibrations: Mapping[str, Mapping[str, Any]], options: MetricOptions
    ) -> None:
        self._workspace, self._calibrations, self._options = workspace, calibrations, options
        self._metrics: dict[str, Metric] = {}
        self._shared: dict[str, float] = {}

    def __call__(self, task: _Batch | _Analyse | _Calibrate) -> Any:
        if isinstance(task, tuple):
            self._shared.clear()
            if len(task) > 1:
                self._prepare(task)
            return [[self._timed(one.conversion, name) for name in one.metrics] for one in task]
        try:
            metric = self._metric(task.metric)
        except UsageError as error:
            return {"unavailable": str(error)}
        if isinstance(task, _Calibrate):
            return metric.calibrate(task.dataset, task.natural)
        metric.analyse_many(task.natural)
        return None

    def _prepare(self, batch: _Batch) -> None:
        for name in sorted({name for task in batch for name in task.metrics}):
            began = time.perf_counter()
            # Whatever goes wrong here goes wrong again below, where it fails one conversion and is recorded.
            with contextlib.suppress(Exception):
                self._metric(name).prepare([task.conversion for task in batch if name in task.metrics])
            self._shared[name] = (time.perf_counter() - began) / len(batch)

    def _timed(self, conversion: Conversion, name: str) -> dict[str, Any]:
        """Score; the record says when it was done and what it took, with its share of what a batch is prepared by."""
        began = time.perf_counter()
        record = self._score(conversion, name)
        spent = time.perf_counter() - began + self._shared.get(name, 0.0)
        return {**record, "at": round(time.time(), 3), "seconds": round(spent, 4)}

    def _score(self, conversion: Conversion, name: str) -> dict[str, Any]:
        try:
            statistics = self._metric(name).statistics(conversion)
        except UnmetNeed as missing:
            return _record(conversion, name, status="skipped", need=missing.need, reason=str(missing))
        except (ItemError, UsageError) as error:
            return _record(conversion, name, status="failed", reason=str(error))
        except Exception as error:  # a plug-in's own fault costs one value, not the run
            return _record(conversion, name, status="failed", reason=f"{type(error).__name__}: {error}")
        return _record(
            conversion,
            name,
            status="ok",
            sums={measure: list(pair) for measure, pair in statistics.sums.items()},
            unmet={measure: list(why) for measure, why in statistics.unmet.items()},
            details=dict(statistics.details),
        )

    def _metric(self, name: str) -> Metric:
        if name not in self._metrics:
            metric = make_metric(name, self._options)
            metric.open(
                Workspace(
                    cache=Cache(self._workspace.cache.root),
                    natural=self._workspace.natural,
                    calibrations=self._calibrations.get(name, {}),
                    device=self._workspace.device,
                    allow_download=self._workspace.allow_download,
                )
            )
            self._metrics[name] = metric
        return self._metrics[name]


def conversion_audio(root: Path, path: str) -> Path:
    """Turn a journalled path into a real one: those inside of the run directory are stored relative to it."""
    return Path(path) if Path(path).is_absolute() else root / path
