"""What converting took: from a worker's clock over the journal to the result, by hand-computed figures."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vceval.converters.base import Converter, ConverterInfo, Footprint
from vceval.converters.command import Command
from vceval.errors import ItemError, UsageError
from vceval.records import ConversionPair, System, Utterance
from vceval.results import efficiency
from vceval.results.efficiency import Efficiency, Machine, SetUp, Spread
from vceval.results.rundir import RunDirectory
from vceval.runner import convert_worker, stopwatch
from vceval.runner.convert_worker import Converting, ConvertTask
from vceval.runner.efficiency import measured
from vceval.runner.stopwatch import Gauge
from vceval.signal.audio import Waveform
from vceval.storage.processes import forget_peak, peak_memory, processor_seconds

MACHINE = {"processor": "Slow One", "cores": 2, "device": "", "workers": 2}


def report(by: str, **facts: Any) -> dict[str, Any]:
    """What a worker says."""
    return {
        "id": by, "memory": 100, "device_memory": None, "parameters": None, "precision": "", "torch": "",
        "threads": None, "machine": MACHINE, **facts,
    }  # fmt: skip


def record(pair: str, wall: float, audio: float, by: str = "a", **facts: Any) -> dict[str, Any]:
    """A conversion in the journal, of half as much processor time."""
    speed = {"by": by, "wall": wall, "processor": wall / 2, "audio": audio, "of": 2}
    first = {"first": True} if facts.pop("first", False) else {}
    return {"system": "mine", "pair": pair, "status": "ok", "speed": {**speed, **first}, **facts}


def test_medians_by_hand() -> None:
    """Factors 0.5, 1.0, 1.5, 2.0: median 1.25, and 5 % of the way to the second: 0.5 + 0.15 * 0.5."""
    records = [
        record("p0", 9.0, 1.0, first=True, worker=report("a")),
        record("p1", 1.0, 2.0),
        record("p2", 3.0, 3.0),
        record("p3", 3.0, 2.0),
        record("p4", 2.0, 1.0, worker=report("a", memory=300, parameters={"x.pt": 7, "y.pt": 5})),
        {"system": "mine", "pair": "p5", "status": "failed", "reason": "too short"},
        {"system": "mine", "pair": "p6", "status": "ok", "reused": True},
        {"system": "other", "pair": "p0", "status": "ok"},
    ]
    [found] = measured(["other", "mine"], records)
    assert (found.system, found.counted, found.of, found.warm, found.together) == ("mine", 4, 6, True, 2)
    assert found.rtf == Spread(1.25, pytest.approx(0.575), pytest.approx(1.925))
    assert found.processor == Spread(0.625, pytest.approx(0.2875), pytest.approx(0.9625))
    assert (found.memory, found.device_memory) == (300, None)
    assert (found.parameters, found.total_parameters) == ({"x.pt": 7, "y.pt": 5}, 12)
    assert found.machine.text == "Slow One (2 cores), 2 workers"


def test_where_everything_warmed_up_that_counts_and_is_said() -> None:
    [found] = measured(["mine"], [record("p0", 9.0, 3.0, first=True, worker=report("a"))])
    assert (found.counted, found.warm, found.rtf) == (1, False, Spread(3.0, 3.0, 3.0))


def test_of_several_seeds_every_conversion_counts() -> None:
    records = [record("p0", 1.0, 1.0, worker=report("a")), record("p0", 3.0, 1.0, seed=1)]
    [found] = measured(["mine"], records)
    assert (found.counted, found.rtf.median) == (2, 2.0)


def test_what_was_converted_again_counts_once_and_what_failed_at_last_does_not() -> None:
    records = [
        record("p0", 5.0, 1.0, worker=report("a")),
        record("p1", 5.0, 1.0),
        {"system": "mine", "pair": "p1", "status": "failed", "reason": "gone"},
        record("p0", 1.0, 1.0, by="b", worker=report("b")),
    ]
    [found] = measured(["mine"], records)
    assert (found.counted, found.of, found.rtf.median) == (1, 1, 1.0)


def test_two_machines_and_two_set_ups_are_never_one_figure() -> None:
    """A run of three sessions: on another machine, and with other threads."""
    other = {**MACHINE, "processor": "Fast One", "workers": 0}
    records = [
        record("p0", 4.0, 1.0, worker=report("a")),
        record("p1", 1.0, 1.0, by="b", worker=report("b", machine=other)),
        record("p2", 2.0, 1.0, by="c", worker=report("c", threads=4)),
        record("p3", 6.0, 1.0),
    ]
    found = measured(["mine"], records)
    assert [(one.machine.processor, one.set_up.threads, one.rtf.median) for one in found] == [
        ("Slow One", None, 5.0), ("Fast One", None, 1.0), ("Slow One", 4, 2.0),
    ]  # fmt: skip
    assert all(one.of == 4 for one in found)
    assert found[1].machine.text == "Fast One (2 cores), workers of a cluster"


def test_journals_without_speeds_and_workers_without_a_machine_give_nothing() -> None:
    older = {"at": 1.0, "seconds": 0.5, "system": "mine", "pair": "p0", "status": "ok"}
    assert measured(["mine"], [older]) == []
    assert measured(["mine"], [record("p0", 1.0, 1.0, by="nobody")]) == []


def test_the_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert efficiency.read(run) == (), "a run of a version that did not measure"
    spread, machine = Spread(0.5, 0.1, 1.0), Machine("Slow One", 1, "NVIDIA H200", 1)
    whole = Efficiency("mine", machine, SetUp("2.1", 1, "bf16"), {"a": 1}, 3, 4, True, 8, spread, None, 5, 6)
    plain = replace(whole, parameters=None, processor=spread, set_up=SetUp("", None, ""), device_memory=None)
    efficiency.write(run, [whole, plain])
    assert efficiency.read(run) == (whole, plain)
    assert whole.machine.text == "NVIDIA H200, Slow One (1 core), 1 worker"
    assert (whole.set_up.text, plain.set_up.text) == ("torch 2.1, 1 thread, bf16", "")


@pytest.mark.parametrize("content", ['{"schema": 2, "systems": []}', '{"schema": 1}', '{"schema": 1, "systems": [{}]}'])
def test_a_result_of_another_form_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "efficiency.json").write_text(content)
    with pytest.raises(UsageError, match=r"efficiency\.json: not what converting took"):
        efficiency.read(RunDirectory(tmp_path))


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0

    def perf_counter(self) -> float:
        return self.wall

    def process_time(self) -> float:
        return self.processor


class Slow(Converter):
    """Takes 3 s of the clock a call (1.5 s of processor time), and 10 s to open; refuses pair p1; gives pN N + 1 s."""

    info = ConverterInfo("slow", "Slow", 16_000, "", "", kind="native")
    clock: Clock
    breaks = False

    def open(self, device: str) -> None:
        self.clock.wall += 10.0
        self._network = torch.nn.Linear(3, 2)

    def convert(self, requests):
        if self.breaks and len(requests) > 1:
            self.clock.wall += 100.0
            raise RuntimeError("too many")
        self.clock.wall += 3.0
        self.clock.processor += 1.5
        numbers = [int(request.pair.id[1:]) for request in requests]
        return [
            ItemError("refused") if n == 1 else Waveform(np.full(16_000 * (n + 1), 0.1, np.float32), 16_000)
            for n in numbers
        ]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> type[Slow]:
    monkeypatch.setattr(Slow, "clock", Clock(), raising=False)
    monkeypatch.setattr(stopwatch, "time", Slow.clock)
    monkeypatch.setattr(convert_worker, "make_converter", lambda system: Slow())
    return Slow


def task(*numbers: int, seed: int = 0) -> ConvertTask:
    pairs = tuple(ConversionPair(f"p{n}", "toy", source=Utterance(f"s{n}", Path("/none"), "toy")) for n in numbers)
    return ConvertTask(System("slow", "slow"), pairs, (1.0,) * len(pairs), seed)


def test_a_batch_is_shared_out_by_length_and_what_failed_counts_to_the_others(slow: type[Slow], tmp_path: Path) -> None:
    """Pairs 0, 1, 2: 1 s, refused, 3 s of audio for 3 s of work: 0.75 s and 2.25 s; loading is not in it."""
    work = Converting(tmp_path, "cpu", 0, workers=2)
    first, refused, third = work(task(0, 1, 2))
    assert refused["status"] == "failed"
    assert "speed" not in refused
    by = first["speed"]["by"]
    expected = {"by": by, "wall": 0.75, "processor": 0.375, "audio": 1.0, "of": 3, "first": True}
    assert first["speed"] == expected
    assert third["speed"] == {**expected, "wall": 2.25, "processor": 1.125, "audio": 3.0}
    said = first["worker"]
    assert (said["id"], said["parameters"], said["threads"]) == (by, {"network": 8}, torch.get_num_threads())
    assert said["machine"] == {
        "processor": stopwatch.processor_name(), "cores": len(os.sched_getaffinity(0)), "device": "", "workers": 2,
    }  # fmt: skip
    assert said["memory"] > 10_000_000
    [later] = work(task(3))
    assert later["speed"] == {"by": by, "wall": 3.0, "processor": 1.5, "audio": 4.0, "of": 1}
    [found] = measured(["slow"], [first, refused, third, later])
    assert (found.counted, found.of, found.rtf.median) == (1, 3, 0.75)


def test_a_worker_says_what_is_new_only(slow: type[Slow], tmp_path: Path) -> None:
    work = Converting(tmp_path, "cpu", 0)
    said = [work(task(number)) for number in (1, 2, 3)]
    assert "worker" not in said[0][0], "nothing was made, so nothing is to be said"
    assert "worker" in said[1][0]
    assert "worker" not in said[2][0] or said[2][0]["worker"]["memory"] > said[1][0]["worker"]["memory"]


def test_a_call_that_threw_is_not_timed(slow: type[Slow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pairs are then converted one by one: each has its own time, and the 100 s of the attempt are nobody's."""
    monkeypatch.setattr(slow, "breaks", True)
    first, second = Converting(tmp_path, "cpu", 0)(task(0, 2))
    assert first["speed"] | {"by": ""} == {
        "by": "", "wall": 3.0, "processor": 1.5, "audio": 1.0, "of": 1, "first": True,
    }  # fmt: skip
    assert second["speed"] | {"by": ""} == {"by": "", "wall": 3.0, "processor": 1.5, "audio": 3.0, "of": 1}


def test_another_worker_warms_up_anew_and_has_another_name(slow: type[Slow], tmp_path: Path) -> None:
    sessions = [Converting(tmp_path, "cpu", 0, workers=2)(task(number)) for number in (0, 2)]
    [first], [second] = sessions
    assert first["speed"]["by"] != second["speed"]["by"]
    assert second["speed"]["first"]
    [found] = measured(["slow"], [first, second])
    assert (found.counted, found.warm) == (2, False), "one machine, so one figure"


def test_what_is_found_and_not_made_has_no_speed(tmp_path: Path, make_sound: Callable[..., Path]) -> None:
    path = make_sound("s.wav", seed=1)
    pair = ConversionPair("p", "toy", source=Utterance("s", path, "toy"), natural=Utterance("n", path, "toy"))
    for name, timed in (("source", False), ("target", False), ("resynthesis", True)):
        [found] = Converting(tmp_path, "cpu", 0)(ConvertTask(System(name, name), (pair,), (1.0,)))
        assert found["status"] == "ok"
        assert ("speed" in found, "worker" in found) == (timed, timed)


def test_a_converter_that_can_not_say_what_it_takes_is_told_once(
    slow: type[Slow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slow, "footprint", lambda self: {}["parameters"], raising=False)
    work = Converting(tmp_path, "cpu", 0)
    records = [*work(task(0)), *work(task(2))]
    assert [one["status"] for one in records] == ["ok", "ok"]
    assert records[0]["worker"]["parameters"] is None
    assert capsys.readouterr().err.count("slow can't say what it takes: KeyError") == 1
    monkeypatch.setattr(slow, "footprint", lambda self: 5)
    assert Gauge("cpu", 1).footprint(slow()) == Footprint()
    assert "footprint() gave a int" in capsys.readouterr().err


PROGRAM = textwrap.dedent("""
    import json, sys, time
    import soundfile
    report = json.loads(sys.argv[1])
    ballast = bytearray(60_000_000)
    for line in sys.stdin:
        task = json.loads(line)
        began = time.process_time()
        while time.process_time() < began + 0.1:
            pass
        soundfile.write(task["output"], *soundfile.read(task["source"]), subtype="FLOAT")
        print(json.dumps({"id": task["id"], **report}), flush=True)
""")


@pytest.fixture
def program(tmp_path: Path, make_sound: Callable[..., Path]) -> Callable[..., list[dict[str, Any]]]:
    """Converts two pairs by a program that reports something of itself; the journal's records."""
    sound = Utterance("s", make_sound("s.wav", seed=1), "toy", "s")

    def convert(answer: dict[str, Any]) -> list[dict[str, Any]]:
        path = tmp_path / "program.py"
        path.write_text(PROGRAM)
        system = System("mine", "command", {"command": [sys.executable, str(path), json.dumps(answer)]})
        work = Converting(tmp_path / "run", "cpu", 0)
        pairs = [ConversionPair(f"p{n}", "toy", source=sound, prompts=(sound,)) for n in range(2)]
        found = [one for pair in pairs for one in work(ConvertTask(system, (pair,), (1.0,)))]
        work.close()
        return found

    return convert


def test_a_program_that_reports_nothing_is_measured_from_outside(program: Callable[..., list[dict[str, Any]]]) -> None:
    """As all programs did before there were reports. Its start belongs to the first pair."""
    first, second = program({})
    assert first["speed"]["first"]
    assert first["speed"]["processor"] is None
    assert "first" not in second["speed"]
    assert second["speed"]["processor"] >= 0.09
    assert first["worker"]["memory"] > 60_000_000
    assert (first["worker"]["parameters"], first["worker"]["torch"]) == (None, "")
    [found] = measured(["mine"], [first, second])
    assert (found.counted, found.warm, found.parameters) == (1, True, None)


def test_a_program_reports_what_it_is(program: Callable[..., list[dict[str, Any]]]) -> None:
    told = {"parameters": {"net": 12}, "torch": "1.8", "threads": 3, "precision": "fp16", "memory": 1, "device": "TPU"}
    first, _ = program({"report": told})
    said = first["worker"]
    assert {key: said[key] for key in ("parameters", "torch", "threads", "precision")} == {
        "parameters": {"net": 12}, "torch": "1.8", "threads": 3, "precision": "fp16",
    }  # fmt: skip
    assert said["memory"] == 1 << 22, "in steps of 4 MiB"
    [found] = measured(["mine"], [first])
    assert found.set_up.text == "torch 1.8, 3 threads, fp16"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([1], "the worker reports [1], which is left out"),
        ({"threads": "many"}, "the worker reports threads: 'many'"),
        ({"parameters": {"net": -1}}, "the worker reports parameters: {'net': -1}"),
        ({"speed": 3}, "the worker reports speed: 3"),
        ({"memory": 1 << 63}, "the worker reports memory: 9223372036854775808"),
        ({"device": "x" * 201}, "the worker reports device: 'xxx"),
    ],
)
def test_a_report_of_another_form_is_named_once_and_costs_no_pair(
    program: Callable[..., list[dict[str, Any]]], capsys: pytest.CaptureFixture[str], told: Any, words: str
) -> None:
    records = program({"report": told})
    assert [one["status"] for one in records] == ["ok", "ok"]
    assert capsys.readouterr().err.count(words) == 1


def test_a_number_of_parameters_alone_will_do(tmp_path: Path) -> None:
    command = Command(command=[sys.executable])
    command._take({"parameters": 5})
    assert command.footprint() == Footprint({"": 5}, program=0)


def test_a_process_tells_what_it_took() -> None:
    assert forget_peak()
    before = peak_memory(os.getpid())
    ballast = np.ones(8_000_000)
    after = peak_memory(os.getpid())
    assert before is not None
    assert after is not None
    assert after - before > 0.9 * ballast.nbytes
    del ballast
    assert forget_peak()
    assert (peak_memory(os.getpid()) or 0) < after
    assert 0 < (processor_seconds(os.getpid()) or 0.0) < 1e6
    assert peak_memory(2**22 + 1) is None
    assert processor_seconds(2**22 + 1) is None


def test_parameters_of_attributes_are_counted_by_their_names() -> None:
    class Mine(Converter):
        info = Slow.info

        def convert(self, requests: Any) -> list[Any]:
            return []

    mine = Mine()
    assert mine.footprint() == Footprint()
    vars(mine).update(encoder=torch.nn.Linear(2, 3), _vocoder=torch.nn.Linear(4, 1, bias=False), name="x")
    assert mine.footprint().parameters == {"encoder": 9, "vocoder": 4}


class Queue:
    """Stands for ``torch.cuda``: each moment of its queue comes 2 s after the one before, or the device fails.

    As there, a moment without times has no time, and one that nobody waited for has none yet.
    """

    fails = False

    def __init__(self) -> None:
        self.moments = 0
        self.initialized = True

    def is_initialized(self) -> bool:
        return self.initialized

    def Event(self, enable_timing: bool = False, blocking: bool = False) -> Queue.Moment:
        return Queue.Moment(self, enable_timing)

    def current_stream(self, device: str) -> None:
        """There is one."""

    def reset_peak_memory_stats(self, device: str) -> None:
        """Nothing is kept."""

    def max_memory_allocated(self, device: str) -> int:
        return 5 << 22

    def get_device_name(self, device: str) -> str:
        return "NVIDIA H200"

    class Moment:
        def __init__(self, queue: Queue, timed: bool) -> None:
            self.queue, self.timed = queue, timed
            self.at, self.waited = 0.0, False

        def record(self, stream: None) -> None:
            self.queue.moments += 1
            self.at = 2.0 * self.queue.moments

        def synchronize(self) -> None:
            if self.queue.fails:
                raise RuntimeError("the device is gone")
            self.waited = True

        def elapsed_time(self, other: Queue.Moment) -> float:
            if not (self.timed and other.timed and self.at and other.waited):
                raise RuntimeError("both moments must be timed, recorded and over")
            return 1000.0 * (other.at - self.at)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    found = Queue()
    for name in (
        "is_initialized", "Event", "current_stream", "reset_peak_memory_stats", "max_memory_allocated",
        "get_device_name",
    ):  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, getattr(found, name))
    return found


def test_on_a_gpu_its_own_queue_is_the_clock(
    slow: type[Slow], queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was only queued took no time of the caller: 2 s a call for 1 s and 3 s of audio, whatever the 3 s here."""
    work = Converting(tmp_path, "cuda:0", 0, workers=1)
    first, third = work(task(0, 2))
    assert [one["speed"]["wall"] for one in (first, third)] == [0.5, 1.5]
    assert first["speed"]["processor"] is None
    assert first["worker"]["device_memory"] == 5 << 22
    assert first["worker"]["machine"]["device"] == "NVIDIA H200"
    monkeypatch.setattr(Queue, "fails", True)
    [later] = work(task(3))
    assert later["status"] == "ok"
    assert "speed" not in later


def test_the_clock_of_a_gpu_is_read_once_it_is_done(slow: type[Slow], queue: Queue) -> None:
    running = Gauge("cuda:0", 1).timed(slow(), 1)
    assert queue.moments == 1  # before the call
    lap = running.ended()
    assert queue.moments == 2
    begun, ended = lap._queued
    with pytest.raises(RuntimeError, match="over"):
        begun.elapsed_time(ended)
    assert lap.seconds() == 2.0
    assert ended.waited


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_without_work_on_a_gpu_the_clock_is_the_callers(
    device: str, slow: type[Slow], queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A converter in a program of its own leaves this process's GPU untouched."""
    queue.initialized = device == "cpu"
    running = Gauge(device, 1).timed(slow(), 1)
    Slow.clock.wall += 3.0
    assert running.ended().seconds() == 3.0
    assert queue.moments == 0
