"""Recipes that run from a clone: their workers call what the repositories document, here in stand-ins for these."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vceval.converters.base import Request
from vceval.converters.by_recipe import class_of, files_of
from vceval.converters.recipe import recipe_of
from vceval.errors import ItemError
from vceval.signal.audio import Waveform

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

#: By recipe: files of the stand-in, tensors of its weights by what they are for, and the factor that the output has.
STAND_INS: dict[str, dict[str, str]] = {
    "miocodec": {
        "src/miocodec/model.py": "",
        "src/miocodec/util.py": "",
        "src/miocodec/__init__.py": """
            import os
            from types import SimpleNamespace
            from pathlib import Path
            import soundfile, torch
            class MioCodecModel(torch.nn.Module):
                config = SimpleNamespace(sample_rate=44100)
                def __init__(self):
                    super().__init__()
                    self.gain = torch.nn.Parameter(torch.rand(1))
                    self.ssl_feature_extractor = torch.nn.Linear(1, 1)
                    assert (Path(os.environ["TORCH_HOME"]) / "hub/checkpoints/wavlm_base_plus.pth").is_file()
                @classmethod
                def from_pretrained(cls, config_path, weights_path):
                    from safetensors.torch import load_file
                    model = cls()
                    model.load_state_dict(load_file(weights_path), strict=False)
                    return model
                def voice_conversion(self, source, prompt):
                    assert source.ndim == prompt.ndim == 1
                    return self.gain * source
            def load_audio(path, sample_rate):
                assert sample_rate == 44100
                return torch.from_numpy(soundfile.read(path, dtype="float32")[0])
        """,
    },
    "facodec": {
        "models/codec/ns3_codec/facodec.py": "",
        "models/codec/ns3_codec/__init__.py": """
            import pyworld, torch
            class FACodecEncoderV2(torch.nn.Module):
                def __init__(self, ngf, up_ratios, out_channels):
                    super().__init__()
                    self.gain = torch.nn.Parameter(torch.rand(1))
                def forward(self, wave):
                    assert wave.shape[-1] % 200 == 0, "frames differ"
                    return self.gain * wave
                def get_prosody_feature(self, wave):
                    return wave.mean()
            class FACodecDecoderV2(torch.nn.Module):
                def __init__(self, **sizes):
                    super().__init__()
                    assert len(sizes) == 15
                    self.gain = torch.nn.Parameter(torch.rand(1))
                def forward(self, encoded, prosody, eval_vq, vq):
                    return None, encoded, None, None, 1.0
                def vq2emb(self, codes, use_residual):
                    assert not use_residual
                    return codes
                def inference(self, latent, speaker):
                    return self.gain * latent * speaker
        """,
    },
    "cosyvoice2": {
        "third_party/Matcha-TTS/matcha/__init__.py": "",
        "requirements.txt": "",
        "cosyvoice/cli/cosyvoice.py": """
            from pathlib import Path
            from types import SimpleNamespace
            import matcha, soundfile, torch
            class Gain(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.gain = torch.nn.Parameter(torch.rand(1))
            class CosyVoice2:
                sample_rate = 24000
                def __init__(self, folder):
                    self.model = SimpleNamespace(flow=Gain(), hift=Gain())
                    for name in ("flow", "hift"):
                        stored = torch.load(Path(folder) / f"{name}.pt")
                        getattr(self.model, name).load_state_dict(
                            {key.replace("generator.", ""): value for key, value in stored.items()}, strict=False)
                def inference_vc(self, source, prompt, stream):
                    wave = torch.from_numpy(soundfile.read(source, dtype="float32")[0])[None]
                    wave = wave * self.model.flow.gain * self.model.hift.gain
                    for part in wave.split(5000, dim=1):
                        yield {"tts_speech": part}
        """,
    },
}
RATES = {"miocodec": 44_100, "facodec": 16_000, "cosyvoice2": 24_000}
FACTORS = {"miocodec": 0.5, "facodec": 0.25, "cosyvoice2": 0.25}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], dict[str, Any]]:
    """Write a clone and weights whose one tensor has a name; give the options that use them."""
    monkeypatch.setenv("VCEVAL_ENVIRONMENTS", str(tmp_path / "environments"))

    def make(name: str, tensor: str) -> dict[str, Any]:
        from safetensors.torch import save_file

        clone, weights = tmp_path / "clone", tmp_path / "weights"
        for file, code in STAND_INS[name].items():
            (clone / file).parent.mkdir(parents=True, exist_ok=True)
            (clone / file).write_text("\n".join(line[12:] for line in code.splitlines()))
        for file in files_of(recipe_of(name), next(iter(recipe_of(name).says.models))).values():
            path = weights / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            if path.suffix == ".safetensors":
                save_file({tensor: torch.tensor([0.5])}, path)
            elif path.suffix in (".pt", ".bin"):
                torch.save({("generator." if path.stem == "hift" else "") + tensor: torch.tensor([0.5])}, path)
        return {"checkout": str(clone), "weights": str(weights), "python": sys.executable, "timeout": 300}

    return make


@pytest.mark.parametrize("name", STAND_INS)
def test_the_documented_call(
    name: str, made: Callable[[str, str], dict[str, Any]], openvoice_request: Callable[..., Request]
) -> None:
    converter = class_of(name)(**made(name, "gain"))
    converter.open("cpu")
    request = openvoice_request("one", 11_111)
    [outcome] = converter.convert([request])
    parameters = converter.footprint().parameters
    converter.close()
    assert isinstance(outcome, Waveform), outcome
    assert outcome.sample_rate == RATES[name] == converter.info.sample_rate
    np.testing.assert_allclose(outcome.samples, FACTORS[name] * request.source.samples, atol=1e-6)
    assert parameters


@pytest.mark.parametrize("name", STAND_INS)
def test_tensors_of_something_else(
    name: str, made: Callable[[str, str], dict[str, Any]], openvoice_request: Callable[..., Request]
) -> None:
    converter = class_of(name)(**made(name, "nonsense"))
    converter.open("cpu")
    [outcome] = converter.convert([openvoice_request("one")])
    converter.close()
    assert isinstance(outcome, ItemError)
    assert "1 tensors missing (gain); 1 tensors too many (nonsense)" in str(outcome)
