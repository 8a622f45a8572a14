"""The stage that converts: what a converter throws costs its pairs, in words."""

from __future__ import annotations

import errno
import functools
import threading
import weakref

import numpy as np
import pytest
import torch
from plugin import write_plugin

from vceval import registry
from vceval.converters.base import Converter, ConverterInfo, Unfinished
from vceval.errors import ItemError, NoRoomError
from vceval.records import ConversionPair, System, Utterance
from vceval.results.rundir import RunDirectory
from vceval.runner import convert as stage
from vceval.runner import convert_worker
from vceval.runner.convert_worker import Converting, ConvertTask
from vceval.runner.factory import pair_seed
from vceval.runner.options import Options
from vceval.signal.audio import Waveform


class Large(Converter):
    """Has room for so many pairs at once."""

    info = ConverterInfo("large", "Large", 16_000, "", "", kind="native")
    room = 1
    opens = True

    def open(self, device):
        if not self.opens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore of it")

    def encode_content(self, sources):
        return [wave.samples for wave in sources]

    def encode_speaker(self, prompts):
        return [0.5] * len(prompts)

    def decode(self, items, seeds):
        if len(items) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.\nMore of it")
        return [Waveform(content * speaker, 16_000) for content, speaker in items]


@pytest.fixture
def task(make_sound) -> ConvertTask:
    target = Utterance("t", make_sound("t.wav", seed=9), "toy", "t")
    sources = [Utterance(f"s{k}", make_sound(f"s{k}.wav", seed=k), "toy", "s") for k in range(3)]
    pairs = [ConversionPair(f"p{k}", "toy", source=s, prompts=(target,)) for k, s in enumerate(sources)]
    return ConvertTask(System("large", "large"), tuple(pairs), (1.0, 1.0, 1.0))


@pytest.fixture
def converter(monkeypatch) -> type[Large]:
    monkeypatch.setattr(convert_worker, "make_converter", lambda system: Large())
    return Large


def test_a_batch_without_room_is_converted_in_parts(converter, task, tmp_path):
    records = Converting(tmp_path, "cpu", 0)(task)
    assert [record["status"] for record in records] == ["ok"] * 3
    assert all((tmp_path / record["path"]).is_file() for record in records)


def test_what_a_failed_attempt_had_in_hand_is_free_at_the_next_one(converter, task, tmp_path, monkeypatch):
    """On a GPU the next attempt needs that memory; an error that is still being handled would keep it."""
    held, seen = [], []
    decode = Large.decode

    def with_ballast(self, items, seeds):
        seen.append([one() is not None for one in held])
        ballast = np.zeros(10)
        held.append(weakref.ref(ballast))
        return decode(self, items, seeds)

    monkeypatch.setattr(Large, "decode", with_ballast)
    records = Converting(tmp_path, "cpu", 0)(task)
    assert [record["status"] for record in records] == ["ok"] * 3
    assert len(seen) >= 4
    assert not any(map(any, seen))


@pytest.mark.parametrize(("attribute", "told"), [("room", "1.00 GiB"), ("opens", "2.00 GiB")])
def test_no_room_for_one_pair_is_told_in_words(converter, task, tmp_path, monkeypatch, attribute, told):
    monkeypatch.setattr(converter, attribute, 0)
    records = Converting(tmp_path, "cuda:0", 0)(task)
    assert {record["status"] for record in records} == {"failed"}
    (reason,) = {record["reason"] for record in records}
    assert reason.startswith("not enough memory on cuda:0")
    assert told in reason
    assert "--device cpu" in reason
    assert "\n" not in reason


def test_other_errors_are_told_by_name(converter, task, tmp_path, monkeypatch):
    def broken(self, items, seeds):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(converter, "decode", broken)
    records = Converting(tmp_path, "cpu", 0)(task)
    assert {record["reason"] for record in records} == {"RuntimeError: no such kernel"}


def test_reading_ahead_and_writing_behind_change_nothing(converter, task, tmp_path, monkeypatch):
    monkeypatch.setattr(converter, "room", 9)
    plain = Converting(tmp_path / "plain", "cpu", 0)(task)
    work = Converting(tmp_path / "ahead", "cpu", 0)
    work.ahead = 2
    batch = work.fetch(task)
    assert all("source" in request.__dict__ for request in batch.requests.values()), "read before the work begins"
    assert len({id(request.prompts) for request in batch.requests.values()}) == 1, "and read once"
    records = work.store(task, work.compute(task, batch))
    assert [record["path"] for record in records] == [record["path"] for record in plain]
    for record in records:
        assert (tmp_path / "ahead" / record["path"]).read_bytes() == (tmp_path / "plain" / record["path"]).read_bytes()


def test_what_is_left_unfinished_is_finished_by_the_threads_that_write(converter, task, tmp_path, monkeypatch):
    """The audio is the same; what is thrown there costs the pair it is thrown for."""
    monkeypatch.setattr(converter, "room", 9)
    plain = Converting(tmp_path / "plain", "cpu", 0)(task)
    decode, threads = Large.decode, []

    def unfinished(self, items, seeds):
        assert self.finishes_later
        waves = decode(self, items, seeds)

        def finish(place):
            threads.append(threading.get_ident())
            if place == 1:
                raise RuntimeError("the device is gone")
            return waves[place] if place == 0 else ItemError("not finite")

        return [Unfinished(functools.partial(finish, place)) for place in range(len(waves))]

    monkeypatch.setattr(converter, "decode", unfinished)
    work = Converting(tmp_path / "ahead", "cpu", 0)
    work.ahead = 2
    batch = work.compute(task, work.fetch(task))
    assert not threads
    first, second, third = work.store(task, batch)
    assert first["path"] == plain[0]["path"]
    assert (tmp_path / "ahead" / first["path"]).read_bytes() == (tmp_path / "plain" / first["path"]).read_bytes()
    assert (second["status"], second["reason"]) == ("failed", "RuntimeError: the device is gone")
    assert (third["status"], third["reason"]) == ("failed", "not finite")
    assert threading.get_ident() not in threads


def test_a_recording_that_is_missing_costs_its_pair_alone_also_when_read_ahead(converter, task, tmp_path, monkeypatch):
    monkeypatch.setattr(converter, "room", 9)
    task.pairs[1].source.path.unlink()
    work = Converting(tmp_path / "run", "cpu", 0)
    work.ahead = 2
    records = work(task)
    assert [record["status"] for record in records] == ["ok", "failed", "ok"]
    assert "no such file" in records[1]["reason"]


def test_a_full_disk_is_no_fault_of_a_pair(converter, task, tmp_path, monkeypatch):
    monkeypatch.setattr(converter, "room", 9)

    def full(path, wave):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("vceval.signal.audio.write_flac", full)
    result = Converting(tmp_path, "cpu", 0)(task)
    assert isinstance(result, NoRoomError)
    assert "No space left on device" in str(result)


def test_on_a_processor_recordings_are_encoded_one_at_a_time(converter, task, tmp_path, monkeypatch):
    monkeypatch.setattr(converter, "room", 9)
    seen = []

    def encode_content(self, sources):
        seen.append(len(sources))
        return [wave.samples for wave in sources]

    monkeypatch.setattr(converter, "encode_content", encode_content)
    Converting(tmp_path / "a", "cpu", 0)(task)
    Converting(tmp_path / "b", "cuda:0", 0)(task)
    assert seen == [1, 1, 1, 3]


def test_two_devices_work_side_by_side_with_reading_ahead_and_writing_behind(tmp_path, make_sound, monkeypatch):
    """The whole stage as on two GPUs, with a converter that computes nowhere."""
    monkeypatch.syspath_prepend(write_plugin(tmp_path / "site"))
    registry._table.cache_clear()
    monkeypatch.setenv("QUIET_LOG", str(tmp_path / "log"))
    target = Utterance("t", make_sound("t.wav", seed=9), "toy", "t")
    sources = [Utterance(f"s{k}", make_sound(f"s{k}.wav", seed=k, seconds=0.3 + k / 20), "toy", "s") for k in range(40)]
    pairs = [ConversionPair(f"p{k:02d}", "toy", source=s, prompts=(target,)) for k, s in enumerate(sources)]
    faults = {"p03": "die", "p17": "nan"}
    system = System("slow", "quiet", {"each": 0.02, "faults": faults})
    found = {}
    options = Options(devices=("cuda:0", "cuda:1"))
    for records in stage.convert(RunDirectory(tmp_path / "run"), [system], pairs, lambda *_: True, options, 0):
        for record in records:
            assert record["pair"] not in found
            found[record["pair"]] = record["status"]
    registry._table.cache_clear()
    assert found == {pair.id: "failed" if pair.id in faults else "ok" for pair in pairs}
    assert len(list((tmp_path / "run" / "audio" / "slow").glob("*.flac"))) == 38
    workers = {line.split()[1] for line in (tmp_path / "log").read_text().splitlines()}
    assert len(workers) >= 2


def test_the_first_seed_of_a_pair_is_what_it_was_before_there_were_others() -> None:
    assert [pair_seed(0, "p"), pair_seed(7, "p"), pair_seed(0, "p", 0)] == [2_195_850_634, 1_975_855_221, 2_195_850_634]
    assert len({pair_seed(0, pair, number) for pair in "pq" for number in range(5)}) == 10
