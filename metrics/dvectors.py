"""Resemblyzer's speaker embeddings (d-vectors), one per recording, shared by every metric that compares voices."""

from __future__ import annotations

import functools
import importlib.util
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval import audio, features
from vceval.audio import Waveform
from vceval.cache import Cache, file_digest
from vceval.errors import ItemError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Encoder", "encoder_name", "trim_and_level"]

SAMPLE_RATE = 16_000
#: Quieter recordings are raised to this level, louder ones left alone.
LEVEL_DB = -30.0
#: Voice activity: frames of 30 ms, smoothed over 8, pauses of up to 6 kept.
_FRAME, _SMOOTH, _PAUSE = 480, 8, 6
#: Windows of 1.6 s, 1.3 a second; the last one counts when audio covers three quarters of it.
_HOP, _WINDOW, _STEP, _COVERAGE = 160, 160, 77, 0.75
_FULL_SCALE = 32_767


def encoder_name() -> str:
    """Name the encoder as signatures do: ``resemblyzer-0.1.4-39373b86``, the end being the weights' SHA-256.

    Raises:
        UsageError: Resemblyzer is not installed.
    """
    return f"resemblyzer-{_installed_version()}-{file_digest(_weights_file())[:8]}"


def _installed_version() -> str:
    try:
        return version("resemblyzer")
    except PackageNotFoundError:
        raise UsageError("Resemblyzer is not installed; install it with: pip install resemblyzer") from None


@functools.cache
def _weights_file() -> Path:
    found = importlib.util.find_spec("resemblyzer")  # does not import it: that would pull in librosa
    folders = list(found.submodule_search_locations or []) if found else []
    for folder in folders:
        if (Path(folder) / "pretrained.pt").is_file():
            return Path(folder) / "pretrained.pt"
    raise UsageError("the weights of Resemblyzer (pretrained.pt) were not found; install it: pip install resemblyzer")


class Encoder:
    """Turns recordings into unit vectors of 256 values, none negative, so that cosines lie in 0 to 1.

    Gives what Resemblyzer's ``embed_utterance(preprocess_wav(path))`` gives (within 1e-6), with one thread. Weights
    are loaded at the first recording that the cache does not know.

    Args:
        cache: where embeddings are kept, by the recording's bytes.
        device: ``cpu`` or ``cuda`` or ``cuda:N``.

    Source: Wan, Wang, Papir, Lopez Moreno, "Generalized end-to-end loss for speaker verification", ICASSP 2018;
    weights by Resemble AI (Resemblyzer).
    """

    def __init__(self, cache: Cache, device: str = "cpu") -> None:
        self.cache, self.device, self.name = cache, device, encoder_name()

    def embed(self, path: Path) -> NDArray[np.float64]:
        """Embed one recording: float64 of shape (256,), of length 1.

        Raises:
            ItemError: the file can't be read or no speech is found in it.
        """
        import numpy as np

        if not path.is_file():
            raise ItemError(f"{path}: no such file")
        found = self.cache.get("d-vector", path, {"encoder": self.name, "version": 1}, lambda: self._compute(path))
        vector = np.asarray(found["embedding"], dtype=np.float64)
        unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
        return unit

    def _compute(self, path: Path) -> dict[str, Any]:
        speech = trim_and_level(audio.load(path, SAMPLE_RATE))
        if not len(speech.samples):
            raise ItemError(f"{path}: the voice activity detector finds no speech in it; listen to the file")
        embedding = self.embed_speech(speech)
        if not embedding.any():
            raise ItemError(f"{path}: its speaker embedding is zero; listen to the file")
        return {"embedding": embedding}

    def embed_speech(self, speech: Waveform) -> NDArray[np.float32]:
        """Embed audio that is trimmed and levelled already: float32 of shape (256,), of length 1 (or all zero)."""
        import numpy as np
        import torch

        starts = _window_starts(len(speech.samples))
        needed = (starts[-1] + _WINDOW) * _HOP
        padded = np.pad(speech.samples, (0, max(0, needed - len(speech.samples))))
        mel = features.mel_power_spectrum(Waveform(padded, SAMPLE_RATE), fft_size=400, hop=_HOP, bands=40)
        windows = torch.from_numpy(np.stack([mel[start : start + _WINDOW] for start in starts]))
        lstm, linear = _network(self.device)
        with torch.inference_mode():
            _, (hidden, _) = lstm(windows.to(self.device))
            raw = torch.relu(linear(hidden[-1]))
            partial = raw / raw.norm(dim=1, keepdim=True).clamp_min(1e-12)
            mean = partial.mean(dim=0).cpu().numpy()
        length = np.linalg.norm(mean)
        embedding: NDArray[np.float32] = mean / length if length else mean
        return embedding


@functools.cache
def _network(device: str) -> tuple[Any, Any]:
    """Build the LSTM and the projection of the encoder, once per process and device."""
    import torch

    torch.set_num_threads(1)
    state = torch.load(_weights_file(), map_location="cpu", weights_only=True)["model_state"]
    lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
    linear = torch.nn.Linear(256, 256)
    for module, prefix in ((lstm, "lstm."), (linear, "linear.")):
        module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return lstm.to(device).eval(), linear.to(device).eval()


def trim_and_level(wave: Waveform) -> Waveform:
    """Raise quiet audio to -30 dB of full scale and shorten long pauses, as Resemblyzer prepares recordings.

    WebRTC's voice activity detector (mode 3) marks 30 ms frames; marks are averaged over 8 frames and widened by 3 on
    either side. An incomplete frame at the end is dropped.

    Args:
        wave: mono, 16 kHz.

    Returns:
        The speech, float32, 16 kHz; empty where nothing was marked.
    """
    import numpy as np
    from scipy.ndimage import binary_dilation

    samples = wave.samples
    level = 20.0 * np.log10(np.sqrt(np.mean((samples * _FULL_SCALE) ** 2)) / _FULL_SCALE)
    if level < LEVEL_DB:
        samples = samples * np.float32(10.0 ** ((LEVEL_DB - level) / 20.0))
    samples = samples[: len(samples) - len(samples) % _FRAME]
    coded = np.clip(np.round(samples * _FULL_SCALE), -_FULL_SCALE - 1, _FULL_SCALE).astype("<i2").tobytes()
    detector = _voice_detector()
    size = 2 * _FRAME
    flags = [detector.is_speech(coded[at : at + size], SAMPLE_RATE) for at in range(0, len(coded), size)]
    if not flags:
        return Waveform(samples, SAMPLE_RATE)
    padded = np.pad(np.array(flags, dtype=np.float64), ((_SMOOTH - 1) // 2, _SMOOTH // 2))
    shares = np.lib.stride_tricks.sliding_window_view(padded, _SMOOTH).sum(axis=1) / _SMOOTH
    speech = binary_dilation(np.round(shares).astype(bool), np.ones(_PAUSE + 1))
    return Waveform(samples[np.repeat(speech, _FRAME)], SAMPLE_RATE)


def _voice_detector() -> Any:
    """Make a fresh detector: it adapts to what it hears, and every recording must start alike."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # webrtcvad imports pkg_resources, which warns
        import webrtcvad
    return webrtcvad.Vad(3)


def _window_starts(samples: int) -> list[int]:
    """First frame of each window over ``samples`` of audio; there is always at least one."""
    frames = -(-(samples + 1) // _HOP)
    starts = list(range(0, max(1, frames - _WINDOW + _STEP + 1), _STEP))
    covered = (samples - starts[-1] * _HOP) / (_WINDOW * _HOP)
    return starts[:-1] if covered < _COVERAGE and len(starts) > 1 else starts
