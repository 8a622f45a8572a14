"""Batches of conversions: given to metrics that ask for them, and taken apart when a worker dies over one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vceval import registry
from vceval.corpora.demo import Demo
from vceval.metrics.base import Workspace
from vceval.records import Conversion, ConversionPair
from vceval.runner.options import Options
from vceval.runner.score import Scorers
from vceval.runner.score_worker import ScoreTask
from vceval.storage.cache import Cache

MODULE = """
import os, signal
from dataclasses import dataclass
from typing import ClassVar
from vceval.metrics.base import Measure, Metric, Statistics


@dataclass(frozen=True)
class Calm(Metric):
    name: ClassVar = "calm"
    title: ClassVar = "Calm"
    version: ClassVar = "1.0"
    needs: ClassVar = frozenset()
    measures: ClassVar = (Measure("calm", "Calm", "", "higher"),)
    source: ClassVar = "nobody"

    def signature(self):
        return "CALM|v:1.0"

    def statistics(self, conversion):
        return Statistics({self.name: (1.0, 1.0)})


@dataclass(frozen=True)
class Nervous(Calm):
    log: str = ""
    name: ClassVar = "nervous"
    measures: ClassVar = (Measure("nervous", "Nervous", "", "higher"),)

    @property
    def batch(self):
        return 3

    def note(self, what, ids):
        with open(self.log, "a") as stream:
            stream.write(f"{what} {','.join(ids)}\\n")

    def prepare(self, conversions):
        self.note("prepare", [c.pair.id for c in conversions])
        if any(c.pair.id == "upsets" for c in conversions):
            raise ZeroDivisionError("by design")

    def statistics(self, conversion):
        self.note("score", [conversion.pair.id])
        if conversion.pair.id == "kills":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().statistics(conversion)


@dataclass(frozen=True)
class Quick(Nervous):
    name: ClassVar = "quick"
    measures: ClassVar = (Measure("quick", "Quick", "", "higher"),)

    @property
    def on_device(self):
        return True

    def read_ahead(self, items):
        for item in items:
            self.note("read", [item.pair.id])
            if item.pair.id == "upsets":
                raise ZeroDivisionError("by design")

    def prepare(self, conversions):
        if len(conversions) > 2:
            raise MemoryError
        self.note("together", [c.pair.id for c in conversions])

    def statistics(self, conversion):
        self.note(f"{self.workspace.device} {os.getpid()}", [conversion.pair.id])
        if conversion.pair.id == "kills":
            os.kill(os.getpid(), signal.SIGKILL)
        return Statistics({self.name: (1.0, 1.0)})


@dataclass(frozen=True)
class Slow(Quick):
    name: ClassVar = "slow"
    measures: ClassVar = (Measure("slow", "Slow", "", "higher"),)
    on_device: ClassVar = False

    def prepare(self, conversions):
        pass
"""


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Install the two metrics above for this process and its workers; the log that one of them writes."""
    info = tmp_path / "site" / "batchy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: batchy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[vceval.metrics]\ncalm = batchy:Calm\nnervous = batchy:Nervous\nquick = batchy:Quick\nslow = batchy:Slow\n"
    )
    (tmp_path / "site" / "batchy.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    registry._table.cache_clear()
    yield tmp_path / "log"
    registry._table.cache_clear()


def run(
    log: Path, ids: list[str], metrics: tuple[str, ...], total: int = 24, devices: tuple[str, ...] = ("cpu",)
) -> dict[tuple[str, str], str]:
    """Score all but what ends in ``done``; ``total`` decides how many go together."""
    found: dict[tuple[str, str], str] = {}

    def todo(one: Conversion) -> ScoreTask | None:
        return None if one.pair.id.endswith("done") else ScoreTask(one, metrics, (1, 2))

    slots = [Conversion("s", ConversionPair(i, "toy"), Path(f"{i}.wav")) for i in ids]
    workspace = Workspace(cache=Cache(None))
    done = failed = 0
    options = Options(devices=devices, workers=1)
    with Scorers(metrics, {"log": str(log)}, workspace, log.parent / "calibration.json", options) as scorers:
        for scored in scorers.score(slots, total, todo):
            done, failed = done + scored.conversions, failed + scored.failed
            for record in scored.records:
                assert (record["pair"], record["metric"]) not in found
                assert record["stamp"] == [1, 2]
                found[record["pair"], record["metric"]] = record["status"]
    assert done == len({pair for pair, _ in found})
    assert failed == len({pair for (pair, _), status in found.items() if status == "failed"})
    return found


def test_metrics_that_ask_get_batches(log):
    ids = list("abcdefg")
    assert run(log, ids, ("calm", "nervous")) == {(i, m): "ok" for i in ids for m in ("calm", "nervous")}
    lines = log.read_text().splitlines()
    assert [line for line in lines if line.startswith("prepare")] == ["prepare a,b,c", "prepare d,e,f"]
    assert lines[:4] == ["prepare a,b,c", "score a", "score b", "score c"]


def test_what_is_done_already_does_not_move_the_batches(log):
    run(log, ["a", "b-done", "c", "d", "e", "f-done"], ("nervous",))
    assert [line for line in log.read_text().splitlines() if line.startswith("prepare")] == [
        "prepare a,c",
        "prepare d,e",
    ]


def test_of_few_conversions_every_worker_has_something_to_do(log):
    run(log, list("abcd"), ("nervous",), total=16)
    assert sorted(line for line in log.read_text().splitlines() if line.startswith("prepare")) == [
        "prepare a,b", "prepare c,d",
    ]  # fmt: skip


def test_what_cannot_be_prepared_is_scored_all_the_same(log):
    assert set(run(log, ["a", "upsets", "b"], ("nervous",)).values()) == {"ok"}


def test_a_batch_that_kills_its_worker_costs_one_value(log):
    found = run(log, ["a", "kills", "b", "c"], ("calm", "nervous"))
    assert found == {
        (i, m): "failed" if (i, m) == ("kills", "nervous") else "ok"
        for i in ("a", "kills", "b", "c")
        for m in ("calm", "nervous")
    }


def noted(log: Path) -> list[tuple[str, str]]:
    """What was noted, and of which pairs."""
    found = [line.rpartition(" ") for line in log.read_text().splitlines()]
    return [(what, ids) for what, _, ids in found]


def test_a_gpu_and_the_processor_work_side_by_side(log):
    ids = [f"p{n}" for n in range(12)]
    metrics = ("quick", "slow", "calm")
    # No metric here uses its device, so that none has to be there
    found = run(log, ids, metrics, total=48, devices=("cuda:0", "cuda:1"))
    assert found == {(i, m): "ok" for i in ids for m in metrics}
    lines = noted(log)
    workers: dict[str, set[str]] = {}
    for what, _ in lines:
        if what.startswith(("cuda", "cpu")):
            device, _, process = what.partition(" ")
            workers.setdefault(device, set()).add(process)
    assert {device: len(processes) for device, processes in workers.items()} == {"cuda:0": 1, "cuda:1": 1, "cpu": 1}
    assert len(set.union(*workers.values())) == 3
    scored = [(what.partition(" ")[0], ids) for what, ids in lines]
    assert sorted(pair for device, pair in scored if device == "cpu") == sorted(ids)
    assert sorted(pair for device, pair in scored if device.startswith("cuda")) == sorted(ids)
    assert sorted(pair for what, pair in scored if what == "read") == sorted(ids)


def test_what_has_no_room_on_a_gpu_is_halved(log):
    run(log, list("abcdef"), ("quick",), total=48, devices=("cuda:0",))
    assert [pairs for what, pairs in noted(log) if what == "together"] == ["a", "b,c", "d", "e,f"]


def test_a_batch_that_kills_the_worker_of_a_gpu_costs_one_value(log):
    ids = ["a", "kills", "upsets", "b"]
    found = run(log, ids, ("quick", "calm"), devices=("cuda:0",))
    assert found == {(i, m): "failed" if (i, m) == ("kills", "quick") else "ok" for i in ids for m in ("quick", "calm")}


@pytest.mark.usefixtures("log")
def test_values_are_those_of_the_processor(tmp_path):
    """The torch device ``cpu:0`` goes all the ways of a GPU."""
    utterances = list(Demo().utterances())
    pairs = [
        ConversionPair(
            f"{n}", source.dataset, source, (utterances[n + 20],), utterances[n + 1], source_speaker=source.speaker,
            target_speaker=utterances[n + 20].speaker, transcript=source.transcript, language="en",
        )
        for n, source in enumerate(utterances[:3])
    ]  # fmt: skip
    slots = [Conversion("s", pair, utterances[n + 8].path, pair.transcript, "en") for n, pair in enumerate(pairs)]
    metrics = ("sv", "fake", "sv:resemblyzer", "f0", "sanity", "wer")
    found = []
    for device in ("cpu", "cpu:0"):
        workspace = Workspace(Cache(tmp_path / device), natural=utterances[:24])
        options = Options(devices=(device,), workers=1)
        given = {"asr": "pocketsphinx"}
        learnt = tmp_path / f"{device}.json"
        records = []
        with Scorers(metrics, given, workspace, learnt, options) as scorers:
            learnt.write_text(json.dumps(scorers.calibrate()))
            for scored in scorers.score(slots, len(slots), lambda one: ScoreTask(one, metrics, (1, 2))):
                records += [{k: v for k, v in one.items() if k not in ("at", "seconds")} for one in scored.records]
        found.append((learnt.read_text(), sorted(records, key=lambda one: (one["pair"], one["metric"]))))
    assert found[0] == found[1]
    assert len(found[0][1]) == 18
    assert {record["status"] for record in found[0][1]} == {"ok"}
