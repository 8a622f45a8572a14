"""Where speech starts in a recording: the ``vad`` effect of SoX, and torchaudio's rendering of it.

Twenty times a second the detector takes a spectrum, smooths it over time, subtracts a running estimate of the noise
and measures how much periodicity is left (the power of the cepstrum between two pitch limits, in nepers). It triggers
when the smoothed measure passes a level, and then looks back for weaker speech that led up to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Detector", "peak_normalised", "trim_ends", "trim_front", "voice_start"]

#: Added to the log of the cepstral power, so that silence is below 0 and speech in the tens.
_OFFSET = 21.0


@dataclass(frozen=True, slots=True)
class Detector:
    """How the detector is set; times in seconds, frequencies in Hz, defaults those of both programs.

    trigger_level: measure that triggers. trigger_time: time constant of the smoothed measure. search_time: how far
    before the trigger weaker speech is looked for. allowed_gap: longest pause inside of it. pre_trigger_time: kept
    before what was found. boot_time: start of the recording that is taken for noise. noise_up_time, noise_down_time:
    time constants of the noise estimate. noise_reduction: how much of it is subtracted. rate: measures per second.
    duration: of one measure. smooth_time: time constant of the spectrum. high_pass, low_pass: band of the spectrum.
    high_lifter, low_lifter: lowest and highest pitch that count.
    flavour: ``sox`` (14.4.2) or ``torchaudio``. They differ in the window (symmetric; periodic), in whether a measure
    that ends with the very last sample is taken (yes; no), and where ``pre_trigger_time`` reaches before the
    recording: zeros are put ahead; the recording is kept from its start.

    Source: the manual and behaviour of SoX 14.4.2, and of ``torchaudio.functional.vad`` 2.11.
    """

    trigger_level: float = 7.0
    trigger_time: float = 0.25
    search_time: float = 1.0
    allowed_gap: float = 0.25
    pre_trigger_time: float = 0.0
    boot_time: float = 0.35
    noise_up_time: float = 0.1
    noise_down_time: float = 0.01
    noise_reduction: float = 1.35
    rate: float = 20.0
    duration: float = 0.1
    smooth_time: float = 0.4
    high_pass: float = 50.0
    low_pass: float = 6000.0
    high_lifter: float = 150.0
    low_lifter: float = 2000.0
    flavour: Literal["sox", "torchaudio"] = "sox"


SOX = Detector()


def voice_start(samples: NDArray[np.floating], sample_rate: int, detector: Detector = SOX) -> int | None:
    """Find the sample from which a recording is kept.

    Args:
        samples: (n,), full scale 1. The measure is absolute, so callers bring the peak to 1 first.
        sample_rate: in Hz.
        detector: the settings.

    Returns:
        The first sample kept; None where nothing triggers, so that nothing is kept. Negative with SoX where it puts
        zeros ahead: -800 for 800 of them.

    Raises:
        ValueError: the sample rate is too low for the pitch limits.
    """
    import numpy as np

    length, period = _rounded(sample_rate * detector.duration), _rounded(sample_rate / detector.rate)
    history = math.ceil(detector.search_time * detector.rate)
    ends = np.arange(length, len(samples) + (detector.flavour == "sox"), period)
    measures: list[float] = []
    mean = 0.0
    keep = math.exp(-1.0 / (detector.trigger_time * detector.rate))
    for end, measure in zip(ends, _measures(samples, ends, length, sample_rate, detector), strict=True):
        measures.append(measure)
        mean = mean * keep + measure * (1.0 - keep)
        if mean >= detector.trigger_level:
            back = _look_back(measures, history, detector)
            start = int(end) - length - back * period - _rounded(detector.pre_trigger_time * sample_rate)
            return start if detector.flavour == "sox" else max(start, 0)
    return None


def _rounded(value: float) -> int:
    return int(value + 0.5)


def _look_back(measures: list[float], history: int, detector: Detector) -> int:
    """Count the measures before the trigger that belong to it; measures not yet taken count as silence."""
    recent = measures[::-1][:history]
    recent += [0.0] * (history - len(recent))
    gap = _rounded(detector.allowed_gap * detector.rate)
    speech = silence = history
    for place, measure in enumerate(recent):
        if measure >= detector.trigger_level and place <= speech + gap:
            speech = silence = place
        elif measure == 0.0 and speech >= silence:
            silence = place
    return silence


def _measures(samples: NDArray[np.floating], ends: Any, length: int, sample_rate: int, detector: Detector) -> Any:
    """Yield the measure of each stretch of ``length`` samples; the state goes from one to the next."""
    import numpy as np

    size = 16
    while size < length:
        size *= 2
    low = max(_rounded(detector.high_pass / sample_rate * size), 1)
    high = min(_rounded(detector.low_pass / sample_rate * size), size // 2)
    first = math.ceil(sample_rate * 0.5 / detector.low_lifter)
    last = min(math.floor(sample_rate * 0.5 / detector.high_lifter), size // 4)
    if last <= first or high <= low:
        raise ValueError(f"at {sample_rate} Hz there is nothing between the detector's frequency limits")
    window = _window(length, detector.flavour) * (2.0 / math.sqrt(length))
    lifter = _window(high - low, detector.flavour) * (2.0 / math.sqrt(high - low))
    smooth = math.exp(-1.0 / (detector.smooth_time * detector.rate))
    up = math.exp(-1.0 / (detector.noise_up_time * detector.rate))
    down = math.exp(-1.0 / (detector.noise_down_time * detector.rate))
    boot = int(detector.boot_time * detector.rate - 0.5) + 1
    spectrum, noise = np.zeros(high - low), np.zeros(high - low)
    buffer = np.zeros(size // 2)
    for number, end in enumerate(ends):
        frame = np.asarray(samples[end - length : end], dtype=np.float64) * window
        # While booting the spectrum is a plain average, and the noise is that spectrum
        old = number / (1.0 + number) if number < boot else smooth
        spectrum = spectrum * old + np.abs(np.fft.rfft(frame, size)[low:high]) * (1.0 - old)
        power = spectrum**2
        held = np.zeros_like(noise) if number < boot else np.where(power > noise, up, down)
        noise = noise * held + power * (1.0 - held)
        buffer[low:high] = np.sqrt(np.maximum(0.0, power - detector.noise_reduction * noise)) * lifter
        cepstrum = np.abs(np.fft.rfft(buffer)[first:last]) ** 2
        mean = float(cepstrum.sum()) / (last - first)
        yield max(0.0, _OFFSET + math.log(mean)) if mean > 0.0 else 0.0


def _window(length: int, flavour: str) -> NDArray[np.float64]:
    import numpy as np

    turns = np.arange(length) / (length - 1 if flavour == "sox" else length)
    hann: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2.0 * np.pi * turns)
    return hann


def trim_front(samples: NDArray[np.floating], sample_rate: int, detector: Detector = SOX) -> NDArray[Any]:
    """Cut what comes before speech; (m,) of the same type, empty where nothing triggers."""
    import numpy as np

    start = voice_start(samples, sample_rate, detector)
    if start is None:
        return samples[:0]
    return samples[start:] if start >= 0 else np.concatenate([np.zeros(-start, samples.dtype), samples])


def peak_normalised(samples: NDArray[np.floating]) -> NDArray[Any]:
    """Bring the peak to full scale, as SoX's ``norm``; silence stays as it is."""
    import numpy as np

    peak = float(np.abs(samples).max(initial=0.0))
    return samples / peak if peak > 0.0 else samples


def trim_ends(
    samples: NDArray[np.floating], sample_rate: int, detector: Detector = SOX, normalise: bool = False
) -> NDArray[Any]:
    """Cut what comes before and after speech: the front, then the front of what is left played backwards.

    Args:
        samples: (n,).
        sample_rate: in Hz.
        detector: the settings.
        normalise: bring the peak to full scale before either cut, as SoX's chain ``norm vad norm reverse vad reverse``.

    Returns:
        (m,); empty where nothing triggers.
    """
    for _ in range(2):
        samples = trim_front(peak_normalised(samples) if normalise else samples, sample_rate, detector)[::-1]
    return samples
