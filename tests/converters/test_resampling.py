"""What converters resample with: as their authors did, or as the metrics do, and where that is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vceval import registry
from vceval.cli.main import main
from vceval.converters.native import NativeConverter
from vceval.errors import UsageError
from vceval.records import System
from vceval.runner.factory import make_converter
from vceval.runner.plan import fingerprint
from vceval.runner.plan_suite import plan_suite
from vceval.runner.request import SuiteRequest
from vceval.signal.audio import Waveform, resample

#: By converter. The authors' dates and pins: resampy 0.3 came in June 2022, and only librosa before 0.10 uses it.
AUTHORS = {
    "adainvc": "resampy-0.2", "adainvc-cyhuang": "sox", "adainvc-demo": "soxr", "againvc": "resampy-0.2",
    "autovc": "soxr", "fragmentvc": "resampy-0.2", "freevc": "resampy-0.2", "freevc-24": "resampy-0.2",
    "freevc-s": "resampy-0.2", "knnvc": "torchaudio", "maevc": "resampy-0.2", "mediumvc": "resampy-0.2",
    "vqmivc": "resampy-0.2", "yourtts": "soxr",
}  # fmt: skip
WAVE = Waveform((0.1 * np.random.default_rng(0).standard_normal(24_000)).astype(np.float32), 48_000)


def ours() -> list[str]:
    kinds = {name: registry.load("converter", name) for name in registry.names("converter")}
    return [name for name, kind in kinds.items() if issubclass(kind, NativeConverter)]


def test_all_are_known() -> None:
    assert sorted(ours()) == sorted(AUTHORS)


@pytest.mark.parametrize("name", sorted(AUTHORS))
def test_a_converter_resamples_as_its_authors_did_and_says_so(name: str) -> None:
    converter = make_converter(System(name, name))
    assert isinstance(converter, NativeConverter)
    by = AUTHORS[name]
    assert np.array_equal(converter.at_rate(WAVE, 16_000).samples, resample(WAVE, 16_000, by).samples)  # type: ignore[arg-type]
    start, resampler, trim, level = converter.signature().split("|")
    assert (start, resampler) == (name, f"resampler:{by}")
    assert trim.startswith("trim:")
    assert level.startswith("level:")
    said = " ".join(
        "".join(kind.__doc__ or "" for kind in type(converter).__mro__ if kind is not NativeConverter).split()
    )
    assert {"resampy-0.2": "resampy 0.2", "sox": "by SoX", "soxr": "soxr", "torchaudio": "torchaudio"}[by] in said


@pytest.mark.parametrize("name", sorted(AUTHORS.keys() - {"adainvc-demo"}))
def test_it_can_resample_as_the_metrics_do(name: str) -> None:
    converter = make_converter(System(name, name, {"resampler": "vceval"}))
    assert isinstance(converter, NativeConverter)
    assert np.array_equal(converter.at_rate(WAVE, 16_000).samples, resample(WAVE, 16_000).samples)
    assert "|resampler:soxr|" in converter.signature()


def test_audio_made_by_one_resampler_is_not_taken_for_that_of_another() -> None:
    one, other = (make_converter(System("k", "knnvc", {"resampler": by})) for by in ("authors", "vceval"))
    assert one.identity("cpu") != other.identity("cpu")


def test_a_resampler_that_is_none() -> None:
    with pytest.raises(UsageError, match=r"knnvc: resampler 'sinc': must be one of authors, vceval, soxr,"):
        make_converter(System("k", "knnvc", {"resampler": "sinc"}))


def planned(**asked: object) -> list[System]:
    return list(plan_suite(SuiteRequest(metrics=["sanity"], limit=1, **asked)).systems)  # type: ignore[arg-type]


def test_another_resampler_than_the_authors_is_part_of_a_systems_name(tmp_path: Path) -> None:
    names = ["knnvc", "yourtts", "adainvc-demo", "source"]
    assert [one.name for one in planned(converters=names)][:4] == names
    assert [one.name for one in planned(converters=names, resampler="authors")][:4] == names
    found = planned(converters=names, resampler="vceval", precision="bf16")
    assert [one.name for one in found][:4] == ["knnvc+bf16+soxr", "yourtts+bf16", "adainvc-demo+bf16", "source"]
    systems = tmp_path / "systems.yaml"
    systems.write_text("systems:\n  mine: {converter: freevc, resampler: resampy-0.4}\n  soxr-one: {converter: freevc, "
                       "resampler: vceval}\n")  # fmt: skip
    assert [one.name for one in planned(converters=["source"], systems=systems)][1:3] == [
        "mine+resampy-0.4",
        "soxr-one",
    ]


def test_a_run_says_what_its_systems_resample_with() -> None:
    asked = fingerprint(plan_suite(SuiteRequest(metrics=["sanity"], limit=1, converters=["adainvc-demo", "source"])))
    assert [one.get("signature") for one in asked["systems"]][:2] == [
        "adainvc-demo|resampler:soxr|trim:15 dB, output 60 dB|level:none", None,
    ]  # fmt: skip


def test_the_listing_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "converters", "--signatures"]) == 0
    said = capsys.readouterr().out
    assert "knnvc|resampler:torchaudio|trim:prompt vad|level:output -16 LKFS" in said
    assert "openvoice|resampler:soxr|trim:none|level:none" in said
    assert main(["checkpoints", "list", "maevc"]) == 0
    assert "maevc|resampler:resampy-0.2|trim:prompt 20 dB|level:peak 0.95" in capsys.readouterr().out
