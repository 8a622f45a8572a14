"""DNSMOS: opinions of denoised speech, predicted by Microsoft's published networks."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vceval.errors import UsageError
from vceval.metrics.base import Measure, Question, Workspace
from vceval.metrics.opinion import OpinionPredictor, packaged
from vceval.signal import audio
from vceval.signal.audio import Waveform

__all__ = ["DnsMos"]

SAMPLE_RATE = 16_000
#: What the networks look at, and how far the next window is: seconds.
WINDOW_SECONDS, HOP_SECONDS = 9.01, 1
#: The networks and the SHA-256 of the files that speechmos 0.0.1.1 carries.
MODELS: Mapping[str, str] = {
    "sig_bak_ovr.onnx": "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
    "model_v8.onnx": "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91",
}
#: From raw outputs to opinion scores, P.835: coefficients of x², x, 1 (Microsoft's fit, from speechmos).
FIT: Mapping[str, tuple[float, float, float]] = {
    "sig": (-0.08397278, 1.22083953, 0.0052439),
    "bak": (-0.13166888, 1.60915514, -0.39604546),
    "ovrl": (-0.06766283, 1.11546468, 0.04602535),
}
_FFT, _HOP, _BANDS = 321, 160, 120


#: What is predicted, and the question that it answers: of four opinions one, the overall one.
_OPINIONS: Mapping[str, Question] = {"ovrl": "quality", "sig": "", "bak": "", "p808": ""}


@dataclass(frozen=True)
class DnsMos(OpinionPredictor):
    """DNSMOS, 1 (bad) to 5 (excellent): P.835 signal, background and overall quality, and P.808 quality.

    The recording, at 16 kHz, is cut into windows of 9.01 s, one a second; a shorter one is doubled until it fills a
    window. The value is the mean over windows. Gives what ``speechmos.dnsmos.run`` gives, its rounding included:
    of recordings over 16 s some windows are left out. The networks were trained on noisy and denoised
    speech, not on converted speech; nothing says how far their opinion of the latter holds.

    Source: Reddy, Gopal, Cutler, "DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to
    evaluate noise suppressors", ICASSP 2022; P.808 network: the same authors, ICASSP 2021.
    """

    name: ClassVar[str] = "mos:dnsmos"
    title: ClassVar[str] = "Predicted opinion (DNSMOS)"
    version: ClassVar[str] = "1.0"
    measures: ClassVar[tuple[Measure, ...]] = tuple(
        Measure(f"dnsmos_{name}", f"DNSMOS {name.upper()}", "", "higher", worst=1.0, question=question)
        for name, question in _OPINIONS.items()
    )
    figures: ClassVar[tuple[str, ...]] = tuple(_OPINIONS)
    moved_by: ClassVar[tuple[str, ...]] = ("gain", "padding", "rate")
    kept_as: ClassVar[str] = "dnsmos"
    source: ClassVar[str] = (
        "Reddy, Gopal, Cutler, DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to evaluate "
        "noise suppressors, ICASSP 2022"
    )
    choices: ClassVar[str] = (
        f"MOS|model:dnsmos-{','.join(digest[:8] for digest in MODELS.values())}|sr:{SAMPLE_RATE}"
        f"|win:{WINDOW_SECONDS:g}s|hop:{HOP_SECONDS}s|short:repeat|fit:p835|moved-by:{{0.moves}}"
    )
    facts: ClassVar[Mapping[str, str]] = {
        **MODELS,
        "resampler": "soxr HQ",
        "channels": "equal or chosen",
        "level": "as recorded",
        "trimming": "none",
        "mel": "321-point Hann, hop 160, centred on zeros, 120 Slaney bands, dB below the loudest, -80 dB at most",
        "dtype": "float32",
        "batch": "1",
        "device": "cpu",
    }
    packages: ClassVar[tuple[str, ...]] = ("speechmos", "onnxruntime", "numpy", "soundfile", "soxr")

    def signature(self) -> str:
        """Name every choice that changes the values.

        Raises:
            UsageError: speechmos or onnxruntime is not installed, or its networks are others.
        """
        _models()
        return super().signature()

    def open(self, workspace: Workspace) -> None:
        """Take the workspace; the networks are loaded when the first recording needs them.

        Raises:
            UsageError: speechmos or onnxruntime is not installed, or its networks are others.
        """
        super().open(workspace)
        _models()

    def predict(self, wave: Waveform) -> dict[str, float]:
        """Predict ``sig``, ``bak``, ``ovrl`` and ``p808`` of a recording in memory; means over so many ``windows``."""
        primary, secondary = _sessions()
        raw, p808 = [], []
        for window in _windows(audio.resample(wave, SAMPLE_RATE).samples):
            raw.append(primary.run(None, {"input_1": window[None, :]})[0][0])
            spectrum = _mel(window[:-_HOP])
            p808.append(secondary.run(None, {"input_1": spectrum[None, :, :]})[0][0][0])
        outputs = np.asarray(raw, dtype=np.float64)
        values = {
            name: float(np.mean(np.polyval(fit, outputs[:, column]))) for column, (name, fit) in enumerate(FIT.items())
        }
        return {**values, "p808": float(np.mean(p808)), "windows": len(raw)}


def _models() -> tuple[Path, ...]:
    wanted = "pip install 'vceval[mos]'"
    files = {f"dnsmos_models/{name}": digest for name, digest in MODELS.items()}
    found = packaged("speechmos 0.0.1.1", wanted, files, "DNSMOS")
    try:
        version("onnxruntime")
    except PackageNotFoundError:
        raise UsageError(f"DNSMOS needs onnxruntime, which is not installed: {wanted}") from None
    return found


@functools.cache
def _sessions() -> tuple[Any, ...]:
    """Load both networks, with one thread each: work is spread over recordings."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(
            f"onnxruntime can't be imported ({error}); install it anew: pip install onnxruntime"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return tuple(
        onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        for path in _models()
    )


def _windows(samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Cut 16 kHz audio into windows of 144,160 samples, one a second."""
    size = int(WINDOW_SECONDS * SAMPLE_RATE)
    while len(samples) < size:
        samples = np.concatenate([samples, samples])
    windows = []
    for index in range(int(len(samples) // SAMPLE_RATE - WINDOW_SECONDS) + 1):
        # Rounded down: 7 + 9.01 s ends a sample early, and speechmos leaves such a window out.
        window = samples[index * SAMPLE_RATE : int((index + WINDOW_SECONDS) * SAMPLE_RATE)]
        if len(window) == size:
            windows.append(np.ascontiguousarray(window, dtype=np.float32))
    return windows


def _mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel spectrum (frames, 120) in dB below its maximum, moved and scaled to -1 … 1."""
    padded = np.pad(samples, _FFT // 2)
    window = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    spectrum = np.fft.rfft(frames * window, axis=1).astype(np.complex64)
    power = (spectrum.real**2 + spectrum.imag**2) @ _filters().T
    level = 10.0 * np.log10(np.maximum(power, 1e-10))
    level = level - level.max()
    result: NDArray[np.float32] = ((np.maximum(level, -80.0) + 40.0) / 40.0).astype(np.float32)
    return result


@functools.cache
def _filters() -> NDArray[np.float32]:
    """Mel filters (120, 161) of unit area on the bins of an FFT of odd length, the last one below 8 kHz."""
    step, knee, ratio = 200.0 / 3.0, 15.0, np.log(6.4) / 27.0
    mels = np.linspace(0.0, knee + np.log(SAMPLE_RATE / 2000.0) / ratio, _BANDS + 2)
    edges = np.where(mels < knee, mels * step, 1000.0 * np.exp(ratio * (mels - knee)))
    bins = np.arange(_FFT // 2 + 1) * (SAMPLE_RATE / _FFT)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    shape = np.maximum(0.0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)))
    filters: NDArray[np.float32] = (shape * (2.0 / (upper - lower))).astype(np.float32)
    return filters
