"""The stage that converts: what a converter throws costs its pairs, in words."""

from __future__ import annotations

import pytest
import torch

from vceval.audio import Waveform
from vceval.converters.base import Converter, ConverterInfo
from vceval.records import ConversionPair, System, Utterance
from vceval.runner import convert_worker
from vceval.runner.convert_worker import Converting, ConvertTask


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


def test_a_batch_without_room_is_converted_one_by_one(converter, task, tmp_path):
    records = Converting(tmp_path, "cpu", 0)(task)
    assert [record["status"] for record in records] == ["ok"] * 3
    assert all((tmp_path / record["path"]).is_file() for record in records)


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
