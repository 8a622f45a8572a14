"""What a worker process does with conversions that are to be scored, and with natural speech to learn from."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from vceval.errors import UnmetNeed, reason_of
from vceval.metrics.base import Metric, Workspace
from vceval.records import Conversion, Utterance
from vceval.runner.batches import free_device_memory, out_of_memory
from vceval.runner.factory import MetricOptions, make_metric
from vceval.runner.journal import Take
from vceval.signal import audio
from vceval.storage.cache import Cache, file_digest

#: Batches that are read while another is on the GPU, and threads that read.
_AHEAD, _READERS = 2, 4

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
    """What one worker scores at a time, on a device or not; ``deaths``: how many workers died of it."""

    tasks: tuple[ScoreTask, ...]
    on_device: bool = False
    deaths: int = 0

    def parts(self) -> list[ScoreBatch]:
        """One batch for every conversion, or for every metric of a single one: only what is at fault is lost then."""
        if len(self.tasks) > 1:
            return [ScoreBatch((task,), self.on_device) for task in self.tasks]
        return [
            ScoreBatch((replace(task, metrics=(name,)),), self.on_device)
            for task in self.tasks
            for name in task.metrics
        ]

    def again(self) -> ScoreBatch:
        """The same batch, with one death more."""
        return replace(self, deaths=self.deaths + 1)


@dataclass(frozen=True, slots=True)
class Analyse:
    """Natural speech that metrics shall put into the cache, by a device or not."""

    metrics: tuple[str, ...]
    natural: tuple[Utterance, ...]
    on_device: bool = False


@dataclass(frozen=True, slots=True)
class Calibrate:
    """Natural speech of one dataset that a metric shall learn from."""

    metric: str
    dataset: str
    natural: tuple[Utterance, ...]
    on_device: ClassVar[bool] = False


class Scoring:
    """Does the tasks above; opens each metric when it is first used. Scores are journal records, in one list.

    On a GPU, recordings of the next batches are read while one is worked at (:mod:`vceval.runner.pool`).

    Args:
        workspace: what metrics may use; its cache is opened anew in every process.
        learnt: file of what was learnt, read when scoring begins: metric to dataset to JSON values.
        options: of the suite, for all metrics.
    """

    def __init__(self, workspace: Workspace, learnt: Path, options: MetricOptions) -> None:
        self._workspace, self._learnt, self._options = workspace, learnt, options
        audio.use(workspace.reading)
        self._cache = Cache(workspace.cache.root, workspace.cache.limit, workspace.reading.key)
        self._metrics: dict[tuple[str, bool], Metric] = {}
        self._opening = threading.Lock()
        self._shared: dict[str, float] = {}
        self.ahead = 0 if workspace.device == "cpu" else _AHEAD
        self._readers = ThreadPoolExecutor(_READERS)

    @cached_property
    def _calibrations(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = {}
        if self._learnt.is_file():
            found = json.loads(self._learnt.read_text(encoding="utf-8"))
        return found

    def __call__(self, task: ScoreBatch | Analyse | Calibrate) -> Any:
        """Give the records of a batch's scores; of the other tasks what was learnt, None, or why it can't be used."""
        return self.compute(task, {})

    def fetch(self, task: ScoreBatch | Analyse | Calibrate) -> dict[str, float]:
        """Have the metrics of a task read ahead; gives the seconds that each took for an item."""
        wanted: dict[str, Sequence[Conversion | Utterance]] = {}
        if isinstance(task, ScoreBatch):
            wanted.update(_by_metric(task))
        elif isinstance(task, Analyse):
            wanted |= dict.fromkeys(task.metrics, task.natural)
        spent = {}
        for name, items in wanted.items():
            began = time.perf_counter()
            # Whatever goes wrong here goes wrong again where it is recorded
            with contextlib.suppress(Exception, SystemExit):
                metric = self._metric(name, isinstance(task, ScoreBatch))
                list(self._readers.map(metric.read_ahead, (items[first::_READERS] for first in range(_READERS))))
            spent[name] = (time.perf_counter() - began) / len(items)
        return spent

    def compute(self, task: ScoreBatch | Analyse | Calibrate, fetched: Mapping[str, float]) -> Any:
        """Do a task whose recordings were read ahead."""
        if isinstance(task, ScoreBatch):
            self._shared = dict(fetched)
            if task.on_device or len(task.tasks) > 1:
                self._prepare(task)
            return [record for one in task.tasks for record in self._scored(one)]
        if isinstance(task, Analyse):
            for name in task.metrics:
                # Whatever goes wrong here goes wrong again where the metric learns, and is recorded there
                with contextlib.suppress(Exception, SystemExit):
                    self._metric(name, False).analyse_many(task.natural)
            return None
        try:
            return self._metric(task.metric, False).learn(task.dataset, task.natural)
        except (Exception, SystemExit) as error:  # a plug-in's own fault costs the values that need this, not the run
            return {"unavailable": reason_of(error), "fault": True}

    def store(self, task: ScoreBatch | Analyse | Calibrate, computed: Any) -> Any:
        """Give what was computed: the main process writes it down."""
        return computed

    def _prepare(self, batch: ScoreBatch) -> None:
        for name, conversions in _by_metric(batch).items():
            began = time.perf_counter()
            self._prepare_some(name, conversions)
            spent = (time.perf_counter() - began) / len(conversions)
            self._shared[name] = self._shared.get(name, 0.0) + spent

    def _prepare_some(self, name: str, conversions: Sequence[Conversion]) -> None:
        """Prepare conversions together; where a device has no room, half of them at a time."""
        try:
            self._metric(name).prepare(conversions)
            return
        except (Exception, SystemExit) as error:
            # Whatever else goes wrong here goes wrong again when it is scored, where it fails one and is recorded
            full = out_of_memory(error) and len(conversions) > 1
        if full:
            free_device_memory()
            middle = len(conversions) // 2
            for half in (conversions[:middle], conversions[middle:]):
                self._prepare_some(name, half)

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

    def _metric(self, name: str, learnt: bool = True) -> Metric:
        """A metric, open; ``learnt``: with what it learnt from natural speech."""
        with self._opening:
            if (name, learnt) not in self._metrics:
                metric = make_metric(name, self._options)
                calibrations = self._calibrations.get(name, {}) if learnt else {}
                metric.open(replace(self._workspace, cache=self._cache, calibrations=calibrations))
                self._metrics[name, learnt] = metric
            return self._metrics[name, learnt]


def _by_metric(batch: ScoreBatch) -> dict[str, list[Conversion]]:
    """The conversions of a batch that each metric is to score."""
    names = sorted({name for task in batch.tasks for name in task.metrics})
    return {name: [task.conversion for task in batch.tasks if name in task.metrics] for name in names}
