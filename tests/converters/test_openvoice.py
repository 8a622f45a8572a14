"""The converter openvoice and its worker, with a stand-in for the library coqui-tts."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vceval.checkpoints.known_files import GE2E, WAVLM_LARGE
from vceval.converters.base import Request
from vceval.converters.by_recipe import ByRecipe, class_of
from vceval.converters.freevc import FREEVC_24
from vceval.converters.recipes.openvoice.worker import explicit
from vceval.errors import ItemError, UsageError
from vceval.networks.openvoice import SETTINGS_V2, check_settings
from vceval.signal.audio import Waveform

torch = pytest.importorskip("torch")

OpenVoice = class_of("openvoice")
CHECKPOINT, CONFIG = OpenVoice.files

#: In the place of the library: as talkative, and as prone to fetch things. A weight tells it how loud to be.
LIBRARY = {
    "vc/configs/openvoice_config.py": """
        class Table(dict):
            def __init__(self, **values):
                super().__init__({key: None for key in getattr(self, "known", ())} | values)
                self.__dict__ = self
        class OpenVoiceArgs(Table):
            known = ("zero_g", "gin_channels")
        class OpenVoiceAudioConfig(Table): pass
        class OpenVoiceConfig(Table): pass
    """,
    "vc/models/openvoice.py": """
        import os, socket, sys, urllib.request
        import soundfile, torch
        print("Loading model ...")
        class OpenVoice(torch.nn.Module):
            def __init__(self, config):
                super().__init__()
                assert config.model_args == {"zero_g": True, "gin_channels": 256}, config.model_args
                assert "vceval" not in sys.modules
                self.gain = torch.nn.Parameter(torch.zeros(1))
            def voice_conversion(self, source, targets):
                print("Converting ...")
                os.system("echo from a child")
                samples, rate = soundfile.read(source, dtype="float32")
                if len(samples) == 8000:
                    urllib.request.urlopen("http://127.0.0.1:9/model.zip")
                if len(samples) == 9000:
                    raise ValueError("strange\\nsource")
                if len(samples) == 10000:
                    return samples * float("nan")
                return self.gain * torch.from_numpy(samples) + 1e-3 * torch.randn(len(samples)) * len(targets)
    """,
}


@pytest.fixture(autouse=True)
def _nothing_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the user's environments and files, or a coqui-tts that is installed beside vceval."""
    monkeypatch.setenv("VCEVAL_ENVIRONMENTS", str(tmp_path / "environments"))
    monkeypatch.setenv("VCEVAL_CHECKPOINTS", str(tmp_path / "checkpoints"))
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "TTS" else real(name, *rest))


@pytest.fixture
def stand_in(tmp_path: Path) -> str:
    """An interpreter that has the stand-in for the library."""
    for name, code in LIBRARY.items():
        path = tmp_path / "site" / "TTS" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line[8:] for line in code.splitlines()))
    program = tmp_path / "python"
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, sys\n"
        "assert sys.argv[1] == '-I'\n"
        f"os.environ['PYTHONPATH'] = {str(tmp_path / 'site')!r}\n"
        f"os.execv({sys.executable!r}, [{sys.executable!r}, '-P', *sys.argv[2:]])\n"
    )
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files for the stand-in."""
    path = tmp_path / "OpenVoiceV2" / "converter"
    path.mkdir(parents=True)
    torch.save({"model": {"gain": torch.tensor([0.5])}}, path / "checkpoint.pth")
    (path / "config.json").write_text(json.dumps({"_version_": "v2", **SETTINGS_V2}))
    return path


def opened(folder: Path, python: str, **options: Any) -> ByRecipe:
    converter = OpenVoice(weights=str(folder), python=python, timeout=60, **options)
    assert converter.missing_files() == []
    converter.open("cpu")
    return converter


def test_the_worker_keeps_its_manners(folder: Path, stand_in: str, openvoice_request: Callable[..., Request]) -> None:
    """Noise on standard output, downloads and exceptions cost at most their pair; the seed decides what is drawn."""
    converter = opened(folder, stand_in)
    requests = [
        openvoice_request("fine", seed=7),
        openvoice_request("fetches", 8_000),
        openvoice_request("raises", 9_000),
        openvoice_request("two", 11_000, prompts=2),
        openvoice_request("short", 1_000),
        openvoice_request("hasty", prompt=0.05),
        openvoice_request("endless", 16_000 * 61),
        openvoice_request("again", seed=7),
        openvoice_request("other", seed=8),
    ]
    fine, fetches, raises, two, short, hasty, endless, again, other = converter.convert(requests)
    converter.close()
    assert isinstance(fine, Waveform)
    assert isinstance(again, Waveform)
    assert isinstance(other, Waveform)
    assert isinstance(two, Waveform)
    assert fine.sample_rate == 22_050
    assert np.abs(fine.samples - 0.5 * requests[0].source.samples).max() < 0.01
    np.testing.assert_array_equal(fine.samples, again.samples)
    assert np.abs(fine.samples - other.samples).max() > 1e-4
    words = {
        "not allowed here": fetches,
        "ValueError: strange source": raises,
        "only 0.062 s long": short,
        "only 0.050 s long": hasty,
        "source of 61.0 s is longer": endless,
    }
    for text, outcome in words.items():
        assert isinstance(outcome, ItemError), text
        assert text in str(outcome)


def test_samples_that_are_no_numbers_are_an_error(
    folder: Path, stand_in: str, openvoice_request: Callable[..., Request]
) -> None:
    converter = opened(folder, stand_in)
    broken, fine = converter.convert([openvoice_request("broken", 10_000), openvoice_request("fine")])
    converter.close()
    assert isinstance(broken, ItemError)
    assert "NaN" in str(broken)
    assert isinstance(fine, Waveform)


def test_wrong_weights_are_told_with_every_pair(
    folder: Path, stand_in: str, openvoice_request: Callable[..., Request]
) -> None:
    torch.save({"model": {"volume": torch.tensor([0.5])}}, folder / "checkpoint.pth")
    converter = opened(folder, stand_in)
    outcomes = converter.convert([openvoice_request("one"), openvoice_request("two")])
    worker = converter._program._worker if converter._program else None
    assert worker is not None  # still the first one: loading was not tried again
    converter.close()
    for outcome in outcomes:
        assert isinstance(outcome, ItemError)
        assert "openvoice_v2 can't be loaded" in str(outcome)
        assert "gain" in str(outcome)


def test_code_in_a_weight_file_is_not_run(
    folder: Path, stand_in: str, openvoice_request: Callable[..., Request]
) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (folder / "sprung",)

    torch.save({"model": Trap()}, folder / "checkpoint.pth")
    converter = opened(folder, stand_in)
    [outcome] = converter.convert([openvoice_request("one")])
    converter.close()
    assert isinstance(outcome, ItemError)
    assert "can't be loaded" in str(outcome)
    assert not (folder / "sprung").exists()


def test_what_is_missing_is_named(folder: Path, stand_in: str) -> None:
    said = "\n".join(OpenVoice().missing_files())
    for words in (
        "vceval env create openvoice",
        "openvoice_v2/checkpoint.pth is not in",
        "openvoice_v2/config.json is not in",
        "https://huggingface.co/myshell-ai/OpenVoiceV2",
    ):
        assert words in said
    with pytest.raises(UsageError, match=r"checkpoint\.pth is not in"):
        OpenVoice(python=stand_in).open("cpu")
    with pytest.raises(UsageError, match="vceval env create openvoice"):
        OpenVoice(weights=str(folder)).open("cpu")
    assert set(OpenVoice(weights=str(folder)).assets()) == {CHECKPOINT.name, CONFIG.name, "worker"}
    lacking = "\n".join(OpenVoice(model="freevc24", python=stand_in).missing_files())
    assert all(file.name in lacking for file in (FREEVC_24, WAVLM_LARGE, GE2E))
    assert len(OpenVoice(model="your_tts", python=stand_in).missing_files()) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "openvoice"}, "no model 'openvoice'; there are openvoice_v2, freevc24, your_tts"),
        ({"python": "no-such-python"}, "no interpreter 'no-such-python'"),
        ({"timeout": 0}, "not positive"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        OpenVoice(**options)


def test_a_row_says_what_it_is() -> None:
    rates = {model: OpenVoice(model=model).info.sample_rate for model in OpenVoice.recipe.says.models}
    assert rates == {"openvoice_v2": 22_050, "freevc24": 24_000, "your_tts": 16_000}
    assert OpenVoice(model="freevc24").info.title == "FreeVC-24 (coqui-tts)"
    assert OpenVoice.info.title == OpenVoice().info.title == "OpenVoice v2 (coqui-tts)"
    assert "CC BY-NC-ND" in OpenVoice(model="your_tts").info.licence


@pytest.mark.parametrize(("stated", "trims"), [(None, False), (False, False), (True, True)])
def test_the_library_is_told_whether_silence_is_trimmed(tmp_path: Path, stated: bool | None, trims: bool) -> None:
    """It would trim where a configuration does not say; the converter yourtts does not."""
    audio = {"sample_rate": 16_000} | ({} if stated is None else {"do_trim_silence": stated})
    (tmp_path / "config.json").write_text(json.dumps({"audio": audio, "model_args": {"hidden": 1}}))
    (tmp_path / "folder").mkdir()
    told = json.loads(Path(explicit(str(tmp_path / "config.json"), str(tmp_path / "folder"))).read_text())
    assert told == {"audio": {"sample_rate": 16_000, "do_trim_silence": trims}, "model_args": {"hidden": 1}}


def test_the_signature_says_what_the_library_does() -> None:
    assert OpenVoice().signature() == "openvoice|resampler:soxr|trim:none|level:none|model:openvoice_v2"
    assert (
        OpenVoice(model="freevc24").signature()
        == "openvoice|resampler:soxr|trim:prompt 20 dB|level:none|model:freevc24"
    )


@pytest.mark.parametrize(
    ("table", "changes", "words"),
    [
        ("model", {"zero_g": False}, "model.zero_g is False, not True"),
        ("data", {"sampling_rate": 16_000}, "data.sampling_rate is 16000, not 22050"),
        ("model", None, "no table 'model'"),
    ],
)
def test_other_configurations_are_refused(
    folder: Path, stand_in: str, table: str, changes: dict[str, Any] | None, words: str
) -> None:
    settings: dict[str, Any] = {**SETTINGS_V2, table: changes and {**SETTINGS_V2[table], **changes}}
    with pytest.raises(UsageError, match=words):
        check_settings("here", CONFIG.name, settings)
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UsageError, match=words):
        OpenVoice(weights=str(folder), python=stand_in).open("cpu")
