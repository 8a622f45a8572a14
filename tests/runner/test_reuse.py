"""Converted audio is used again by other runs, exactly where all that determines it is the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from vceval.cli.main import main
from vceval.converters.adainvc_demo import AdaInVcDemo
from vceval.records import ConversionPair, System, Utterance
from vceval.runner.audio_cache import Reuse
from vceval.runner.journal import read_records
from vceval.storage import cache

SYSTEM = System("demo", "adainvc-demo")


@pytest.fixture
def pair(make_sound) -> ConversionPair:
    speech = [Utterance(name, make_sound(f"{name}.wav", seed=k), "toy", name) for k, name in enumerate("ab")]
    return ConversionPair("p", "toy", source=speech[0], prompts=(speech[1],))


def kept(tmp_path: Path, pair: ConversionPair, make_sound) -> tuple[Reuse, str, Path]:
    reuse = Reuse(tmp_path / "cache")
    address = reuse.system(SYSTEM, AdaInVcDemo(), "cpu")
    assert address is not None
    made = make_sound("made.flac", seed=7)
    reuse.keep(address, pair, 1, made)
    return reuse, address, made


def test_what_was_kept_is_found(tmp_path: Path, pair: ConversionPair, make_sound) -> None:
    reuse, address, made = kept(tmp_path, pair, make_sound)
    assert reuse.has(address, pair, 1)
    assert reuse.take(address, pair, 1, tmp_path / "run" / "p.flac")
    assert (tmp_path / "run" / "p.flac").read_bytes() == made.read_bytes()


def test_another_seed_recording_option_device_or_code_is_not_found(
    tmp_path: Path, pair: ConversionPair, make_sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    reuse, address, _ = kept(tmp_path, pair, make_sound)
    assert not reuse.take(address, pair, 2, tmp_path / "x.flac")
    other = System("demo", "adainvc-demo", {"precision": "bf16"})
    addresses = [
        reuse.system(other, AdaInVcDemo(precision="bf16"), "cpu"),
        reuse.system(SYSTEM, AdaInVcDemo(), "cuda:1"),
    ]
    monkeypatch.setattr("vceval.converters.native.code_digest", lambda: "changed")
    addresses.append(reuse.system(SYSTEM, AdaInVcDemo(), "cpu"))
    assert len({address, *addresses}) == 4
    make_sound("b.wav", seed=9)
    assert not reuse.has(address, pair, 1), "the prompt is another recording now"


def test_what_is_not_known_through_and_through_is_not_kept(
    tmp_path: Path, pair: ConversionPair, make_sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Theirs(AdaInVcDemo):
        """Of another package: its code may change unseen."""

    assert Reuse(tmp_path).system(SYSTEM, Theirs(), "cpu") is None
    assert Reuse(None).system(SYSTEM, AdaInVcDemo(), "cpu") is None
    Reuse(tmp_path).keep(None, pair, 1, make_sound("made.flac"))
    assert not (tmp_path / "converted").exists()


def test_another_run_takes_audio_and_computes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VCEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    asked = ["run", "--limit", "4", "--converters", "adainvc-demo", "--metrics", "sanity", "--workers", "1"]
    assert main([*asked, "--out", "one"]) == 0
    assert main([*asked, "--out", "two", "--dry-run"]) == 0
    assert "4 to do of 4, 4 of them from the cache" in capsys.readouterr().out
    assert main([*asked, "--out", "two"]) == 0
    assert (tmp_path / "one" / "scores.parquet").read_bytes() == (tmp_path / "two" / "scores.parquet").read_bytes()
    records = [list(read_records(tmp_path / run / "journal" / "convert.jsonl")) for run in ("one", "two")]
    assert [any("reused" in r for r in found) for found in records] == [False, True]
    assert all("seconds" not in r for r in records[1])
    shutil.rmtree(tmp_path / "cache" / "converted")
    monkeypatch.setenv("VCEVAL_CACHE", "off")
    assert main([*asked, "--out", "three"]) == 0
    assert not (tmp_path / "cache" / "converted").exists()


def test_the_digest_of_the_code_is_that_of_its_bytes() -> None:
    assert cache.code_digest() == cache.code_digest()
    assert len(cache.code_digest()) == 64
    assert json.dumps(AdaInVcDemo().identity("cuda:3")).count('"cuda"') == 1
