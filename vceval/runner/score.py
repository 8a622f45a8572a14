"""The stages that score: calibration on natural speech, then every metric on every conversion."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from vceval.metrics.base import Metric, Workspace
from vceval.records import Conversion, Utterance
from vceval.runner.executors import open_pool, persistent
from vceval.runner.factory import MetricOptions, make_metric
from vceval.runner.journal import Take
from vceval.runner.options import Options
from vceval.runner.pool import Lost
from vceval.runner.score_worker import Analyse, Calibrate, ScoreBatch, ScoreTask, Scoring, take_of

__all__ = ["Scored", "Scorers", "learning"]

#: Natural recordings given to one worker at a time.
_ANALYSE_BATCH = 16
#: Scoring one recording takes seconds; a metric that needs longer than this hangs.
_SCORE_TIMEOUT = 900.0
#: Conversions given to a worker at a time: of many, some, as giving takes time; of few, one, so that all workers work.
_AT_ONCE = 16
#: Conversions, or natural recordings, given to the worker of a GPU at a time.
_ON_DEVICE = 32
#: Batches that there shall be at least: of what metrics gain by, and of what only saves giving.
_FEW, _MANY = 8, 64


class Scored(NamedTuple):
    """Finished journal records, the number of conversions that are done with them, and how many of these failed."""

    records: list[dict[str, Any]]
    conversions: int
    failed: int


def learning(metrics: Sequence[str], options: MetricOptions) -> list[str]:
    """The metrics that learn from natural speech."""
    return [name for name in metrics if type(make_metric(name, options)).calibrate is not Metric.calibrate]


class Scorers:
    """Worker processes that learn from natural speech and score; those of one stage go on with the next.

    On GPUs, each has a worker for the metrics that gain by it (:attr:`Metric.on_device`), and workers on processors
    score the others at the same time.

    Args:
        metrics: names of all metrics.
        metric_options: of the suite.
        workspace: what metrics may use.
        learnt: file that will hold what was learnt when scoring begins: metric to dataset to JSON values.
        options: of the run.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        metric_options: MetricOptions,
        workspace: Workspace,
        learnt: Path,
        options: Options,
    ) -> None:
        self._metrics, self._metric_options, self._workspace = metrics, metric_options, workspace
        wanted = {name for name in metrics if options.on_gpu and make_metric(name, metric_options).on_device}
        apart = options.executor == "local"
        #: Metrics that workers of GPUs score; where there are no workers beside these, all tasks are alike.
        self._on_device = wanted if apart else set()
        devices = options.devices if wanted else ()

        def arguments(slot: int) -> tuple[Any, ...]:
            device = devices[slot % len(devices)] if devices and (slot < len(devices) or not apart) else "cpu"
            return dataclasses.replace(workspace, device=device), learnt, metric_options

        self._pool = open_pool(
            options, Scoring, arguments, _timeout, on_device=bool(wanted) and (lambda task: bool(task.on_device))
        )

    def __enter__(self) -> Scorers:
        self._pool.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.__exit__(*error)

    def calibrate(self) -> dict[str, dict[str, Any]]:
        """Let every metric learn from natural speech: metric name -> dataset -> what it learnt.

        What could not be learnt for a reason that may pass, such as a worker that died twice, bears ``fault``.
        """
        natural = self._workspace.natural
        by_dataset: dict[str, list[Utterance]] = {}
        for utterance in natural:
            by_dataset.setdefault(utterance.dataset, []).append(utterance)
        calibrating = learning(self._metrics, self._metric_options)
        found: dict[str, dict[str, Any]] = {name: {} for name in calibrating}
        analyses = []
        for size, on_device in ((_ON_DEVICE, True), (_ANALYSE_BATCH, False)):
            # One reading of a recording serves them all
            if names := tuple(name for name in calibrating if (name in self._on_device) is on_device):
                starts = range(0, len(natural), size)
                analyses += [Analyse(names, tuple(natural[start : start + size]), on_device) for start in starts]
        for _ in self._pool.run(analyses):
            pass  # results lie in the cache; what is missing there is computed again below
        tasks = [
            Calibrate(name, dataset, tuple(group)) for name in calibrating for dataset, group in by_dataset.items()
        ]
        for _ in range(2):
            lost = []
            for task, result in self._pool.run(tasks):
                if isinstance(result, Lost):
                    lost.append(task)
                    result = {"unavailable": result.reason, "fault": True}
                if result is not None:
                    found[task.metric][task.dataset] = result
            tasks = lost
        return {name: dict(sorted(datasets.items())) for name, datasets in found.items()}

    def score(
        self, slots: Iterable[Conversion | None], total: int, todo: Callable[[Conversion], ScoreTask | None]
    ) -> Iterator[Scored]:
        """Score and yield finished journal records, batch by batch.

        Args:
            slots: conversions in the plan's order, None where there is none. Batches are cut from it by number, so that
                they are the same whatever is done of them already.
            total: number of slots.
            todo: what is to be scored of a conversion; None for nothing.
        """
        open_ends: dict[tuple[Take, str], int] = {}
        failed: set[tuple[Take, str]] = set()
        for batch, result in persistent(self._pool, self._batches(slots, total, todo, open_ends)):
            records = _lost(batch, result) if isinstance(result, Lost) else result
            done = broken = 0
            for record in records:
                key = Take.of(record), record["pair"]
                if record["status"] == "failed":
                    failed.add(key)
                open_ends[key] -= 1
                if not open_ends[key]:
                    del open_ends[key]
                    done += 1
                    broken += key in failed
                    failed.discard(key)
            yield Scored(records, done, broken)

    def _batches(
        self,
        slots: Iterable[Conversion | None],
        total: int,
        todo: Callable[[Conversion], ScoreTask | None],
        open_ends: dict[tuple[Take, str], int],
    ) -> Iterator[ScoreBatch]:
        """Cut batches, those of GPUs larger than those of processors; note how many values a conversion will have."""
        others = [name for name in self._metrics if name not in self._on_device]
        kinds = [(self._size(others, total), False)]
        if self._on_device:
            kinds.insert(0, (max(1, min(_ON_DEVICE, total // _FEW)), True))
        coming = iter(slots)
        while some := list(islice(coming, max(size for size, _ in kinds))):
            tasks = [None if slot is None else todo(slot) for slot in some]
            for task in filter(None, tasks):
                key = take_of(task.conversion), task.conversion.pair.id
                open_ends[key] = open_ends.get(key, 0) + len(task.metrics)
            for size, on_device in kinds:
                for start in range(0, len(tasks), size):
                    parts = [self._part(task, on_device) for task in tasks[start : start + size] if task]
                    if wanted := tuple(part for part in parts if part.metrics):
                        yield ScoreBatch(wanted, on_device)

    def _part(self, task: ScoreTask, on_device: bool) -> ScoreTask:
        metrics = tuple(name for name in task.metrics if (name in self._on_device) is on_device)
        return dataclasses.replace(task, metrics=metrics)

    def _size(self, metrics: Sequence[str], total: int) -> int:
        """As many conversions at a time as metrics like, while there are several times as many batches as workers."""
        wish = max((make_metric(name, self._metric_options).batch for name in metrics), default=1)
        return max(1, min(wish, total // _FEW), min(_AT_ONCE, total // _MANY))


def _timeout(task: ScoreBatch | Analyse | Calibrate) -> float | None:
    return _SCORE_TIMEOUT * len(task.tasks) if isinstance(task, ScoreBatch) else None


def _lost(batch: ScoreBatch, lost: Lost) -> list[dict[str, Any]]:
    return [
        {
            **take_of(task.conversion).named(), "pair": task.conversion.pair.id, "metric": name, "status": "failed",
            "reason": lost.reason, "stamp": list(task.stamp),
        }
        for task in batch.tasks
        for name in task.metrics
    ]  # fmt: skip
