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
    "vevo": {
        "models/vc/vevo/requirements.txt": "",
        "models/vc/vevo/config/Vq8192ToMels.json": "",
        "models/vc/vevo/config/Vocoder.json": "",
        "models/vc/vevo/config/hubert_large_l18_mean_std.npz": "",
        "models/vc/vevo/vevo_utils.py": """
            import os
            from pathlib import Path
            from types import SimpleNamespace
            import soundfile, torch
            from safetensors.torch import load_file
            class Gain(torch.nn.Module):
                def __init__(self, folder):
                    super().__init__()
                    self.gain = torch.nn.Parameter(torch.rand(1))
                    self.register_buffer("table", torch.rand(3))
                    self.load_state_dict(load_file(Path(folder) / "model.safetensors"), strict=False)
            class VevoInferencePipeline:
                vocoder_cfg = SimpleNamespace(preprocess=SimpleNamespace(sample_rate=24000))
                def __init__(self, content_style_tokenizer_ckpt_path, fmt_cfg_path, fmt_ckpt_path, vocoder_cfg_path,
                             vocoder_ckpt_path, device):
                    assert isinstance(device, torch.device)
                    assert Path(fmt_cfg_path).is_file() and Path(vocoder_cfg_path).is_file()
                    assert Path("./models/vc/vevo/config/hubert_large_l18_mean_std.npz").is_file()
                    hub = Path(os.environ["TORCH_HOME"]) / "hub/checkpoints"
                    assert (hub / "hubert_fairseq_large_ll60k.pth").is_file()
                    self.content_style_tokenizer = Gain(content_style_tokenizer_ckpt_path)
                    self.fmt_model, self.vocoder_model = Gain(fmt_ckpt_path), Gain(vocoder_ckpt_path)
                def inference_fm(self, src_wav_path, timbre_ref_wav_path, flow_matching_steps):
                    assert flow_matching_steps == 32
                    soundfile.info(timbre_ref_wav_path)
                    wave = torch.from_numpy(soundfile.read(src_wav_path, dtype="float32")[0])[None]
                    return wave * self.content_style_tokenizer.gain * self.fmt_model.gain * self.vocoder_model.gain
        """,
    },
    "xvc": {
        "requirements.txt": "",
        "configs/xvc.yaml": """
            sample_rate: 16000
            latent_hop_length: 1280
            model:
              generator:
                semantic_encoder: {encoder: {from_pretrained: {local_ckpt: null}}, cfg: {local_ckpt: null}}
                speaker_encoder: {pretrained_dir: pretrained}
        """,
        "models/codec/sac/model.py": """
            import torch
            class XVC(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.gain = torch.nn.Parameter(torch.rand(1))
                    self.semantic_encoder = torch.nn.Linear(1, 1)
                    self.speaker_encoder = torch.nn.Linear(1, 1)
        """,
        "bins/infer_utils.py": """
            import json
            from pathlib import Path
            import soundfile, torch
            from models.codec.sac.model import XVC
            def load_xvc(config_path, ckpt_path, device_id, ema_load):
                read = json.loads(Path(config_path).read_text())
                generator = read["model"]["generator"]
                tokenizer = Path(generator["semantic_encoder"]["encoder"]["from_pretrained"]["local_ckpt"])
                assert (tokenizer / "preprocessor_config.json").is_file()
                assert generator["semantic_encoder"]["cfg"]["local_ckpt"] == str(tokenizer)
                assert (Path(generator["speaker_encoder"]["pretrained_dir"]) / "configuration.json").is_file()
                stored = torch.load(ckpt_path, map_location="cpu", weights_only=False)
                model = XVC()
                model.load_state_dict(stored["ema_generator" if ema_load else "generator"], strict=False)
                return read, model.eval(), torch.device("cpu")
            def load_pair_as_tensors(source, target, cfg, device, latent_hop_length, mask_target_condition):
                assert latent_hop_length == 1280 and not mask_target_condition
                waves = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in (source, target)]
                return waves[0][None, None], waves[1][None, None], waves[1][None, None]
            def run_offline(model, source_wav, target_wav, target_wav_cond):
                return source_wav * model.gain
        """,
    },
    "meanvc2": {
        "requirements.txt": "",
        "src/config/config_120ms_40ms.json": '            {"model": {"depth": 4}}',
        "src/config/config_40ms_40ms.json": "",
        "src/infer/infer_e2e.py": """
            import soundfile, torch
            from safetensors.torch import load_file
            class DiT(torch.nn.Module):
                def __init__(self, depth):
                    super().__init__()
                    self.gain = torch.nn.Parameter(torch.rand(1))
            def load_checkpoint(model, ckpt_path, device, use_ema):
                model.load_state_dict(load_file(ckpt_path), strict=False)
                return model
            def load_asr_model(path, device):
                return torch.jit.load(path, map_location=device)
            def extract_bn(path, asr_model, stride):
                assert stride == 8
                return asr_model(torch.from_numpy(soundfile.read(path, dtype="int16")[0] / 32768)).numpy()
            def extract_spk_emb(path, spk_model, device):
                assert soundfile.read(path, dtype="int16")[0].any(), "silence"
                return spk_model.gain.detach().numpy()
            def vc_inference(model, vocos, bn, spk_emb, chunk_size, steps, device):
                assert (chunk_size, steps) == (12, 3)
                wave = vocos(torch.from_numpy(bn)) * model.gain * torch.from_numpy(spk_emb)
                return None, wave[None]
        """,
        "runtime/src/speaker.py": """
            import torch
            class Encoder(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.gain = torch.nn.Parameter(torch.rand(1))
            def init_speaker_model(ckpt_path, device, wavlm_config):
                model = Encoder()
                torch.load(wavlm_config)
                model.load_state_dict(torch.load(ckpt_path)["model"], strict=False)
                return model
        """,
    },
}
RATES = {
    "miocodec": 44_100, "facodec": 16_000, "cosyvoice2": 24_000, "vevo": 24_000, "xvc": 16_000, "meanvc2": 16_000,
}  # fmt: skip
FACTORS = {
    "miocodec": 0.5, "facodec": 0.25, "cosyvoice2": 0.25, "vevo": 0.125, "xvc": 0.5, "meanvc2": 0.25,
}  # fmt: skip
#: Files whose tensors lie under a key.
KEYS = {"wavlm_large_finetune.pth": "model", "xvc.pt": "generator"}
#: Files of TorchScript.
SCRIPTS = ("fastu2pp_80ms.pt", "vocos.pt")
#: What the program does to a recording before it hears it: whole numbers.
STEPS = {"meanvc2": 2e-5}


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
            tensors = {("generator." if path.stem == "hift" else "") + tensor: torch.tensor([0.5])}
            if path.name in SCRIPTS:
                torch.jit.trace(torch.nn.Identity(), torch.zeros(1)).save(path)
            elif path.suffix == ".safetensors":
                save_file(tensors, path)
            elif path.suffix in (".pt", ".pth", ".bin", ".ckpt"):
                torch.save({KEYS[path.name]: tensors} if path.name in KEYS else tensors, path)
        return {
            "checkout": str(clone), "weights": str(weights), "python": sys.executable, "timeout": 300,
            "other_weights": True,
        }  # fmt: skip

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
    np.testing.assert_allclose(outcome.samples, FACTORS[name] * request.source.samples, atol=STEPS.get(name, 1e-6))
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
