"""Resemblyzer's speaker embeddings (d-vectors); levelled, the default of every metric that compares voices."""

from __future__ import annotations

import functools
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vceval.checkpoints.known_files import RESEMBLYZER
from vceval.errors import ItemError, UsageError
from vceval.metrics.sv_encoders import LEVELLED, SpeakerEncoder, levelled_speech
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.storage.cache import file_digest

__all__ = ["LevelledResemblyzer", "ResemblyzerEncoder", "trim_and_level"]

SAMPLE_RATE = 16_000
#: Level that Resemblyzer raises quieter recordings to, in dB of full scale; louder ones it leaves alone.
LEVEL_DB = -30.0
#: Voice activity: frames of 30 ms, smoothed over 8, pauses of up to 6 kept.
_FRAME, _SMOOTH, _PAUSE = 480, 8, 6
_FULL_SCALE = 32_767
#: Windows that the network takes at a time, on a processor and on a GPU.
_BATCH, _BATCH_ON_DEVICE = 32, 1024


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


class ResemblyzerEncoder(SpeakerEncoder):
    """Turns recordings into unit vectors of 256 values, none negative, so that cosines lie in 0 to 1.

    Gives what Resemblyzer's ``embed_utterance(preprocess_wav(path))`` gives (within 1e-6), with one thread.

    Source: Wan, Wang, Papir, Lopez Moreno, "Generalized end-to-end loss for speaker verification", ICASSP 2018;
    weights by Resemble AI (Resemblyzer).
    """

    kind: ClassVar[str] = "resemblyzer"
    title: ClassVar[str] = "Resemblyzer"
    relatives: ClassVar[Mapping[str, str]] = {"ge2e": "GE2E, the same network with other weights"}
    front_end: ClassVar[str] = "sr:16000|level:-30dB|vad:webrtc3"
    together: ClassVar[int] = 4
    #: Its network is small: 16 processors embed 2,000 recordings in 22 s, an H200 that one worker feeds in 30 s.
    on_device: ClassVar[bool] = False

    @classmethod
    def identity(cls) -> str:
        """Name the encoder and its weights: ``resemblyzer-0.1.4-39373b86``, the end being the weights' SHA-256.

        Raises:
            UsageError: Resemblyzer is not installed.
        """
        return f"resemblyzer-{_installed_version()}-{file_digest(_weights_file())[:8]}"

    def prepare(self, path: Path) -> NDArray[np.float32]:
        """Read one recording as windows (n, 160, 40) of the mel spectrum of its speech, without long pauses.

        Raises:
            ItemError: it can't be read or the voice activity detector finds nothing.
        """
        return self._windows(path, trim_and_level(audio.shared(path, SAMPLE_RATE)))

    def _windows(self, path: Path, speech: Waveform) -> NDArray[np.float32]:
        from vceval.networks.ge2e import mel_windows

        if not len(speech.samples):
            raise ItemError(f"{path}: the voice activity detector finds no speech in it; listen to the file")
        return mel_windows(speech.samples, "zeros")

    def embed_prepared(self, prepared: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Embed windows of recordings: float32 of shape (256,) each, of length 1 (or all zero).

        The windows of all recordings go through the network together.
        """
        ends = np.cumsum([len(part) for part in prepared])
        partial = self._embed_windows(np.concatenate(prepared))
        means = [part.mean(axis=0) for part in np.split(partial, ends[:-1])]
        lengths = [np.linalg.norm(mean) for mean in means]
        return [mean / length if length else mean for mean, length in zip(means, lengths, strict=True)]

    def _embed_windows(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed windows (n, 160, 40) as (n, 256), each of length 1."""
        import torch

        lstm, linear = _network(self.device)
        found = []
        size = _BATCH if self.device == "cpu" else _BATCH_ON_DEVICE
        for start in range(0, len(windows), size):
            batch = windows[start : start + size]
            # Few rows take other arithmetic than many: with whole groups of eight a window's vector does not depend
            # on the windows beside it
            batch = np.pad(batch, ((0, -len(batch) % 8), (0, 0), (0, 0)))
            with torch.inference_mode():
                _, (hidden, _) = lstm(torch.from_numpy(batch).to(self.device))
                raw = torch.relu(linear(hidden[-1]))
                found.append((raw / raw.norm(dim=1, keepdim=True).clamp_min(1e-12)).cpu().numpy())
        embedded: NDArray[np.float32] = np.concatenate(found)[: len(windows)]
        return embedded


class LevelledResemblyzer(ResemblyzerEncoder):
    """Resemblyzer behind a front end that gain and padding do not move.

    A recording is cut to what lies between its first and its last speech, and the speech is brought to -22 dB of
    full scale in both directions, not only raised to -30 dB. Pauses are then shortened as by Resemblyzer, whose
    voice activity detector knows absolute levels and adapts to what comes first: it now always meets the same.
    """

    front_end: ClassVar[str] = f"{LEVELLED}|vad:webrtc3"

    @classmethod
    def identity(cls) -> str:
        """Name the encoder, its weights and that recordings are levelled: ``resemblyzer-0.1.4-39373b86-levelled``."""
        return f"{super().identity()}-levelled"

    def prepare(self, path: Path) -> NDArray[np.float32]:
        """Read one recording as windows (n, 160, 40) of the mel spectrum of its levelled speech, without long pauses.

        Raises:
            ItemError: it can't be read or no speech is found in it.
        """
        return self._windows(path, shorten_pauses(levelled_speech(path)))


@functools.cache
def _network(device: str) -> tuple[Any, Any]:
    """Build the LSTM and the projection of the encoder, once per process and device."""
    import torch

    torch.set_num_threads(1)
    network: Any = RESEMBLYZER.load(_weights_file()).to(device)
    return network.lstm, network.linear


def trim_and_level(wave: Waveform) -> Waveform:
    """Raise quiet audio to -30 dB of full scale and shorten long pauses, as Resemblyzer prepares recordings.

    Args:
        wave: mono, 16 kHz.

    Returns:
        The speech, float32, 16 kHz; empty where nothing was marked.
    """
    samples = wave.samples
    level = 20.0 * np.log10(np.sqrt(np.mean((samples * _FULL_SCALE) ** 2)) / _FULL_SCALE)
    if level < LEVEL_DB:
        samples = samples * np.float32(10.0 ** ((LEVEL_DB - level) / 20.0))
    return shorten_pauses(Waveform(samples, SAMPLE_RATE))


def shorten_pauses(wave: Waveform) -> Waveform:
    """Shorten long pauses as Resemblyzer does.

    WebRTC's voice activity detector (mode 3) marks 30 ms frames; marks are averaged over 8 frames and widened by 3 on
    either side. An incomplete frame at the end is dropped.

    Args:
        wave: mono, 16 kHz, at the level that the detector is to meet.

    Returns:
        The speech, float32, 16 kHz; empty where nothing was marked.
    """
    samples = wave.samples
    samples = samples[: len(samples) - len(samples) % _FRAME]
    coded = np.clip(np.round(samples * _FULL_SCALE), -_FULL_SCALE - 1, _FULL_SCALE).astype("<i2").tobytes()
    detector = _voice_detector()
    size = 2 * _FRAME
    flags = [detector.is_speech(coded[at : at + size], SAMPLE_RATE) for at in range(0, len(coded), size)]
    if not flags:
        return Waveform(samples, SAMPLE_RATE)
    padded = np.pad(np.array(flags, dtype=np.float64), ((_SMOOTH - 1) // 2, _SMOOTH // 2))
    shares = np.lib.stride_tricks.sliding_window_view(padded, _SMOOTH).sum(axis=1) / _SMOOTH
    marked = np.pad(np.round(shares).astype(bool), _PAUSE // 2)
    speech = np.lib.stride_tricks.sliding_window_view(marked, _PAUSE + 1).any(axis=1)
    return Waveform(samples[np.repeat(speech, _FRAME)], SAMPLE_RATE)


def _voice_detector() -> Any:
    """Make a fresh detector: it adapts to the audio, and every recording must start alike."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # webrtcvad imports pkg_resources, which warns
        import webrtcvad
    return webrtcvad.Vad(3)
