"""The stage that scores: calibration on natural speech, then every metric on every conversion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from vceval.metrics.base import Metric, Workspace
from vceval.records import Conversion, Utterance
from vceval.runner.executors import open_pool, persistent
from vceval.runner.factory import MetricOptions, make_metric
from vceval.runner.options import Options
from vceval.runner.pool import Lost
from vceval.runner.score_worker import Analyse, Calibrate, ScoreBatch, ScoreTask, Scoring, take_of

__all__ = ["calibrate", "learning", "score"]

#: Natural recordings given to one worker at a time.
_ANALYSE_BATCH = 16
#: Scoring one recording takes seconds; a metric that needs longer than this hangs.
_SCORE_TIMEOUT = 900.0
#: Conversions given to a worker at a time: of many, some, as giving takes time; of few, one, so that all workers work.
_AT_ONCE = 16
#: Batches that there shall be at least: of what metrics gain by, and of what only saves giving.
_FEW, _MANY = 8, 64


def learning(metrics: Sequence[str], options: MetricOptions) -> list[str]:
    """The metrics that learn from natural speech."""
    return [name for name in metrics if type(make_metric(name, options)).calibrate is not Metric.calibrate]


def calibrate(
    metrics: Sequence[str], metric_options: MetricOptions, workspace: Workspace, options: Options
) -> dict[str, dict[str, Any]]:
    """Let every metric learn from natural speech: metric name -> dataset -> what it learnt.

    What could not be learnt for a reason that may pass, such as a worker that died twice, bears ``fault``.
    """
    natural = workspace.natural
    by_dataset: dict[str, list[Utterance]] = {}
    for utterance in natural:
        by_dataset.setdefault(utterance.dataset, []).append(utterance)
    calibrating = learning(metrics, metric_options)
    found: dict[str, dict[str, Any]] = {name: {} for name in calibrating}
    with open_pool(options, Scoring, (workspace, {}, metric_options)) as pool:
        analyses = [
            Analyse(name, tuple(natural[start : start + _ANALYSE_BATCH]))
            for name in calibrating
            for start in range(0, len(natural), _ANALYSE_BATCH)
        ]
        for _ in pool.run(analyses):
            pass  # results lie in the cache; what is missing there is computed again below
        tasks = [
            Calibrate(name, dataset, tuple(group)) for name in calibrating for dataset, group in by_dataset.items()
        ]
        for _ in range(2):
            lost = []
            for task, result in pool.run(tasks):
                if isinstance(result, Lost):
                    lost.append(task)
                    result = {"unavailable": result.reason, "fault": True}
                if result is not None:
                    found[task.metric][task.dataset] = result
            tasks = lost
    return {name: dict(sorted(datasets.items())) for name, datasets in found.items()}


def score(
    slots: Iterable[Conversion | None],
    total: int,
    todo: Callable[[Conversion], ScoreTask | None],
    metrics: Sequence[str],
    metric_options: MetricOptions,
    workspace: Workspace,
    calibrations: Mapping[str, Mapping[str, Any]],
    options: Options,
) -> Iterator[list[dict[str, Any]]]:
    """Score and yield finished journal records, batch by batch.

    Args:
        slots: conversions in the plan's order, None where there is none. Batches are cut from it by number, so that
            they are the same whatever is done of them already.
        total: number of slots.
        todo: what is to be scored of a conversion; None for nothing.
        metrics: names of all metrics.
        metric_options: of the suite.
        workspace: what metrics may use.
        calibrations: metric to dataset to what was learnt.
        options: of the run.
    """
    size = _batch_size(metrics, metric_options, total)
    pool = open_pool(
        options, Scoring, (workspace, calibrations, metric_options), lambda batch: _SCORE_TIMEOUT * len(batch.tasks)
    )
    with pool:
        for batch, result in persistent(pool, _batches(slots, size, todo)):
            yield _lost(batch, result) if isinstance(result, Lost) else result


def _batch_size(metrics: Sequence[str], options: MetricOptions, total: int) -> int:
    """As many conversions at a time as the metrics like, while there are several times as many batches as workers."""
    wish = max((make_metric(name, options).batch for name in metrics), default=1)
    return max(1, min(wish, total // _FEW), min(_AT_ONCE, total // _MANY))


def _batches(
    slots: Iterable[Conversion | None], size: int, todo: Callable[[Conversion], ScoreTask | None]
) -> Iterator[ScoreBatch]:
    coming = iter(slots)
    while some := list(islice(coming, size)):
        tasks = tuple(task for slot in some if slot is not None and (task := todo(slot)) is not None)
        if tasks:
            yield ScoreBatch(tasks)


def _lost(batch: ScoreBatch, lost: Lost) -> list[dict[str, Any]]:
    return [
        {
            **take_of(task.conversion).named(), "pair": task.conversion.pair.id, "metric": name, "status": "failed",
            "reason": lost.reason, "stamp": list(task.stamp),
        }
        for task in batch.tasks
        for name in task.metrics
    ]  # fmt: skip
