"""What a worker process does with conversions that are to be scored, and with natural speech to learn from."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vceval.errors import UnmetNeed, reason_of
from vceval.metrics.base import Metric, Workspace
from vceval.records import Conversion, Utterance
from vceval.runner.factory import MetricOptions, make_metric
from vceval.runner.journal import Take
from vceval.signal import audio
from vceval.storage.cache import Cache, file_digest

__all__ = ["Analyse", "Calibrate", "ScoreBatch", "ScoreTask", "Scoring", "take_of"]


def take_of(conversion: Conversion) -> Take:
    """System and number of the seed of a conversion."""
    return Take(conversion.system, conversion.seed)


@dataclass(frozen=True, slots=True)
class ScoreTask:
    """One conversion, the metrics that have not scored it yet, and the stamp of its file."""

    conversion: Conversion
    metrics: tuple[str, ...]
    stamp: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ScoreBatch:
    """What one worker scores at a time; ``deaths``: how many workers died of it."""

    tasks: tuple[ScoreTask, ...]
    deaths: int = 0

    def parts(self) -> list[ScoreBatch]:
        """One batch for every conversion, or for every metric of a single one: only what is at fault is lost then."""
        if len(self.tasks) > 1:
            return [ScoreBatch((task,)) for task in self.tasks]
        return [ScoreBatch((replace(task, metrics=(name,)),)) for task in self.tasks for name in task.metrics]

    def again(self) -> ScoreBatch:
        """The same batch, with one death more."""
        return replace(self, deaths=self.deaths + 1)


@dataclass(frozen=True, slots=True)
class Analyse:
    """Natural speech that a metric shall put into the cache."""

    metric: str
    natural: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True)
class Calibrate:
    """Natural speech of one dataset that a metric shall learn from."""

    metric: str
    dataset: str
    natural: tuple[Utterance, ...]


class Scoring:
    """Does the tasks above; opens each metric when it is first used. Scores are journal records, in one list.

    Args:
        workspace: what metrics may use; its cache is opened anew in every process.
        calibrations: metric to dataset to what was learnt.
        options: of the suite, for all metrics.
    """

    def __init__(
        self, workspace: Workspace, calibrations: Mapping[str, Mapping[str, Any]], options: MetricOptions
    ) -> None:
        self._workspace, self._calibrations, self._options = workspace, calibrations, options
        audio.use(workspace.reading)
        self._cache = Cache(workspace.cache.root, workspace.cache.limit, workspace.reading.key)
        self._metrics: dict[str, Metric] = {}
        self._shared: dict[str, float] = {}

    def __call__(self, task: ScoreBatch | Analyse | Calibrate) -> Any:
        """Give the records of a batch's scores; of the other tasks what was learnt, None, or why it can't be used."""
        if isinstance(task, ScoreBatch):
            self._shared.clear()
            if len(task.tasks) > 1:
                self._prepare(task)
            return [record for one in task.tasks for record in self._scored(one)]
        try:
            metric = self._metric(task.metric)
            if isinstance(task, Calibrate):
                return metric.learn(task.dataset, task.natural)
            metric.analyse_many(task.natural)
        except (Exception, SystemExit) as error:  # a plug-in's own fault costs the values that need this, not the run
            return {"unavailable": reason_of(error), "fault": True}
        return None

    def _prepare(self, batch: ScoreBatch) -> None:
        for name in sorted({name for task in batch.tasks for name in task.metrics}):
            began = time.perf_counter()
            # Whatever goes wrong here goes wrong again below, where it fails one conversion and is recorded.
            with contextlib.suppress(Exception, SystemExit):
                self._metric(name).prepare([task.conversion for task in batch.tasks if name in task.metrics])
            self._shared[name] = (time.perf_counter() - began) / len(batch.tasks)

    def _scored(self, task: ScoreTask) -> Iterator[dict[str, Any]]:
        """Score by all metrics; records say of which bytes, when it was done and what it took.

        That is with their share of what a batch is prepared by.
        """
        sha256 = ""
        with contextlib.suppress(OSError):  # metrics say it better
            sha256 = file_digest(task.conversion.path)
        for name in task.metrics:
            began = time.perf_counter()
            found = self._score(task.conversion, name, sha256)
            spent = time.perf_counter() - began + self._shared.get(name, 0.0)
            yield {
                **take_of(task.conversion).named(), "pair": task.conversion.pair.id, "metric": name, **found,
                "at": round(time.time(), 3), "seconds": round(spent, 4), "sha256": sha256, "stamp": list(task.stamp),
            }  # fmt: skip

    def _score(self, conversion: Conversion, name: str, sha256: str) -> dict[str, Any]:
        if conversion.sha256 and sha256 != conversion.sha256:
            reason = f"{conversion.path}: not what was converted; the same command converts it again"
            return {"status": "failed", "reason": reason}
        learnt = self._calibrations.get(name, {}).get(conversion.pair.dataset, {})
        if learnt.get("fault") is True:
            return {"status": "failed", "reason": f"no calibration: {learnt['unavailable']}"}
        try:
            statistics = self._metric(name).checked_statistics(conversion)
        except UnmetNeed as missing:
            return {"status": "skipped", "need": missing.need, "reason": reason_of(missing)}
        except (Exception, SystemExit) as error:  # a plug-in's own fault costs one value, not the run
            return {"status": "failed", "reason": reason_of(error)}
        return {
            "status": "ok",
            "sums": {measure: list(pair) for measure, pair in statistics.sums.items()},
            "unmet": {measure: list(why) for measure, why in statistics.unmet.items()},
            "details": dict(statistics.details),
        }

    def _metric(self, name: str) -> Metric:
        if name not in self._metrics:
            metric = make_metric(name, self._options)
            metric.open(
                Workspace(
                    cache=self._cache,
                    natural=self._workspace.natural,
                    calibrations=self._calibrations.get(name, {}),
                    device=self._workspace.device,
                    reading=self._workspace.reading,
                )
            )
            self._metrics[name] = metric
        return self._metrics[name]
