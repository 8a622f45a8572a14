"""Converted audio is used again by other runs, exactly where all that determines it is the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import vceval
import vceval.benchmarks
import vceval.metrics
import vceval.reports
from vceval.cli import doctor
from vceval.cli.main import main
from vceval.converters.adainvc_demo import AdaInVcDemo
from vceval.networks import adainvc, freevc
from vceval.records import ConversionPair, System, Utterance
from vceval.runner.audio_cache import Reuse
from vceval.runner.journal import read_records
from vceval.storage.files import sha256

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
    reuse.keep(address, pair, 1, made, sha256(made))
    return reuse, address, made


def test_what_was_kept_is_found(tmp_path: Path, pair: ConversionPair, make_sound) -> None:
    reuse, address, made = kept(tmp_path, pair, make_sound)
    assert reuse.has(address, pair, 1)
    assert reuse.take(address, pair, 1, tmp_path / "run" / "p.flac") == sha256(made)
    assert (tmp_path / "run" / "p.flac").read_bytes() == made.read_bytes()


@pytest.mark.parametrize("place", ["first", "audio", "cut", "exchanged"])
def test_what_was_kept_and_is_damaged_is_not_taken(
    tmp_path: Path, pair: ConversionPair, make_sound, place: str
) -> None:
    reuse, address, made = kept(tmp_path, pair, make_sound)
    other = make_sound("other.flac", seed=8)
    reuse.keep(address, pair, 2, other, sha256(other))
    entries = {sha256(made) in str(path.read_bytes()): path for path in (tmp_path / "cache").rglob("*.audio")}
    content = bytearray(entries[True].read_bytes())
    if place == "cut":
        del content[len(content) // 2 :]
    elif place == "exchanged":
        content[:] = entries[False].read_bytes()
    else:
        content[3 if place == "first" else len(content) // 2] ^= 1
    entries[True].write_bytes(content)
    assert not reuse.take(address, pair, 1, tmp_path / "run" / "p.flac")
    assert not (tmp_path / "run" / "p.flac").exists()
    reuse.keep(address, pair, 1, made, sha256(made))
    assert reuse.take(address, pair, 1, tmp_path / "run" / "p.flac") == sha256(made)


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
    monkeypatch.setattr("vceval.converters.native.code_identity", lambda module: {"code": "changed"})
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
    Reuse(tmp_path).keep(None, pair, 1, make_sound("made.flac"), "")
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


def test_an_identity_names_code_packages_files_device_and_precision() -> None:
    identity = AdaInVcDemo(precision="bf16").identity("cuda:3")
    assert identity is not None
    assert {key: identity[key] for key in ("device", "precision")} == {"device": "cuda", "precision": "bf16"}
    assert len(identity["code"]) == 64
    assert {"torch", "numpy", "soxr", "soundfile", "scipy"} <= identity["packages"].keys()
    assert identity["files"].keys() == {"demo_adainvc.ckpt", "attr.npz", "config.json"}


def test_audio_is_used_again_while_what_its_converter_imports_is_the_same(tmp_path: Path) -> None:
    """Real runs of a copy of the package whose files, and whose torch, change."""
    tree = tmp_path / "tree" / "vceval"
    shutil.copytree(Path(vceval.__file__).parent, tree, ignore=shutil.ignore_patterns("__pycache__"))
    for part in (vceval.metrics, vceval.benchmarks, vceval.reports):
        home = Path(str(part.__file__)).parent
        shutil.copytree(home, tree / home.name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    newer = tmp_path / "newer" / "torch-99.0.dist-info"
    newer.mkdir(parents=True)
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 99.0\n")
    asked = [
        sys.executable, "-m", "vceval.cli.main", "run", "--limit", "4", "--converters", "adainvc-demo",
        "--metrics", "sanity", "--workers", "1", "--device", "cpu",
    ]  # fmt: skip

    def vceval_run(*options: str, path: tuple[Path, ...] = ()) -> str:
        places = os.pathsep.join(map(str, (*path, tree.parent)))
        environment = {**os.environ, "PYTHONPATH": places, "VCEVAL_CACHE": str(tmp_path / "cache")}
        done = subprocess.run([*asked, *options], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def from_cache(path: tuple[Path, ...] = ()) -> bool:
        printed = vceval_run("--out", "two", "--dry-run", path=path)
        assert "4 to do of 4" in printed
        return "4 of them from the cache" in printed

    def change(module: ModuleType, text: str) -> None:
        with open(tree.parent / f"{module.__name__.replace('.', '/')}.py", "a", encoding="utf-8") as stream:
            stream.write(text)

    vceval_run("--out", "one")
    for module, text in ((doctor, "# A remark\n"), (freevc, "NEW = 1\n"), (adainvc, "# A remark\n")):
        change(module, text)
    assert from_cache(), "remarks, and code that it does not import"
    assert not from_cache(path=(newer.parent,)), "another torch"
    vceval_run("--out", "two")
    assert any("reused" in record for record in read_records(tmp_path / "two" / "journal" / "convert.jsonl"))
    shutil.rmtree(tmp_path / "two")
    change(adainvc, "NEW = 1\n")
    assert not from_cache(), "other code of its network"
