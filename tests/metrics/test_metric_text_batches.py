"""Batches of conversions: given to metrics that ask for them, and taken apart when a worker dies over one."""

from __future__ import annotations

from pathlib import Path

import pytest

from vceval import registry
from vceval.metrics.base import Workspace
from vceval.records import Conversion, ConversionPair
from vceval.runner.options import Options
from vceval.runner.score import score
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
"""


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Install the two metrics above for this process and its workers; the log that one of them writes."""
    info = tmp_path / "site" / "batchy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: batchy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vceval.metrics]\ncalm = batchy:Calm\nnervous = batchy:Nervous\n")
    (tmp_path / "site" / "batchy.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    registry._table.cache_clear()
    yield tmp_path / "log"
    registry._table.cache_clear()


def run(log: Path, ids: list[str], metrics: tuple[str, ...], total: int = 24) -> dict[tuple[str, str], str]:
    """Score all but what ends in ``done``; ``total`` decides how many go together."""
    found: dict[tuple[str, str], str] = {}

    def todo(one: Conversion) -> ScoreTask | None:
        return None if one.pair.id.endswith("done") else ScoreTask(one, metrics, (1, 2))

    slots = [Conversion("s", ConversionPair(i, "toy"), Path(f"{i}.wav")) for i in ids]
    workspace = Workspace(cache=Cache(None))
    for records in score(slots, total, todo, metrics, {"log": str(log)}, workspace, {}, Options(workers=1)):
        for record in records:
            assert (record["pair"], record["metric"]) not in found
            assert record["stamp"] == [1, 2]
            found[record["pair"], record["metric"]] = record["status"]
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
