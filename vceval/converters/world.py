"""The converter ``world``: voice conversion without training, by signal processing alone.

WORLD takes the source apart; its pitch is moved to the prompt speaker's log-F0 mean and variance; its
spectral envelope is warped in frequency (the ratio of vocal tract lengths) and shifted by the difference of
the two speakers' average envelopes. An honest floor for systems that learn: whoever can't beat it has not
learnt to convert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from vceval.converters.base import Converter, ConverterInfo
from vceval.errors import ItemError
from vceval.signal import world
from vceval.signal.audio import Waveform, resample
from vceval.storage.code_identity import code_identity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SAMPLE_RATE", "Analysis", "World", "analyse", "synthesise"]

SAMPLE_RATE = 16_000
FRAME_MS = 5.0
#: Frequency warps tried: source frequency = target frequency / warp.
WARP_RANGE, WARP_STEPS = (0.80, 1.25), 46
#: The average envelopes are compared and shifted up to this quefrency (in samples): formants, not harmonics.
LIFTER = 60
#: Voiced frames needed to know a speaker's pitch.
MIN_VOICED = 20


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """WORLD parameters at 16 kHz, 5 ms frames.

    f0: (frames,) Hz, 0 where unvoiced. envelope: (frames, bins) power. aperiodicity: (frames, bins).
    samples: length of the analysed waveform.
    """

    f0: NDArray[np.float64]
    envelope: NDArray[np.float64]
    aperiodicity: NDArray[np.float64]
    samples: int

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Mask of voiced frames."""
        return self.f0 > 0


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """What the converter knows of a speaker: log-F0 mean and deviation, average log envelope (bins,)."""

    log_f0_mean: float
    log_f0_deviation: float
    log_envelope: NDArray[np.float64]


class World(Converter):
    """Moves pitch and average spectral envelope of the source towards the prompt speaker.

    Output: 16 kHz, as long as the source. Deterministic; seeds are not used.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="world",
        title="WORLD (training-free)",
        sample_rate=SAMPLE_RATE,
        licence="Apache-2.0; WORLD: modified BSD",
        paper="Morise et al., WORLD: a vocoder-based high-quality speech synthesis system, IEICE 2016",
        kind="native",
    )

    def identity(self, device: str) -> dict[str, Any] | None:
        """Name its code and the packages this uses; the device does not matter."""
        return code_identity(__name__) if type(self) is World else None

    def encode_content(self, sources: Sequence[Waveform]) -> list[Analysis]:
        """Analyse each source."""
        return [analyse(source) for source in sources]

    def encode_speaker(self, prompts: Sequence[Sequence[Waveform]]) -> list[Voice]:
        """Measure the voice of each list of prompts, their frames taken together."""
        return [voice_of([analyse(prompt) for prompt in group]) for group in prompts]

    def decode(self, items: Sequence[tuple[Analysis, Voice]], seeds: Sequence[int]) -> list[Waveform]:
        """Convert and synthesise."""
        return [synthesise(_towards(content, voice)) for content, voice in items]


def analyse(wave: Waveform) -> Analysis:
    """Take speech apart into F0 (DIO and StoneMask), envelope (CheapTrick) and aperiodicity (D4C)."""
    import numpy as np

    resampled = resample(wave, SAMPLE_RATE)
    f0, times, envelope = world.world_analysis(resampled, FRAME_MS)
    samples = resampled.samples.astype(np.float64)
    aperiodicity = world.pyworld_module().d4c(samples, f0, times, SAMPLE_RATE)
    return Analysis(f0, np.maximum(envelope, 1e-16), aperiodicity, len(samples))


def synthesise(analysis: Analysis) -> Waveform:
    """Put speech together again, exactly as long as what was analysed."""
    import numpy as np

    parts = (np.ascontiguousarray(part) for part in (analysis.f0, analysis.envelope, analysis.aperiodicity))
    samples = world.pyworld_module().synthesize(*parts, SAMPLE_RATE, FRAME_MS)
    samples = samples[: analysis.samples]
    samples = np.pad(samples, (0, analysis.samples - len(samples)))
    return Waveform(samples.astype(np.float32), SAMPLE_RATE)


def voice_of(analyses: Sequence[Analysis]) -> Voice:
    """Measure a speaker over the voiced frames of some recordings.

    Raises:
        ItemError: too little voiced speech to know the pitch.
    """
    import numpy as np

    voiced_f0 = np.concatenate([a.f0[a.voiced] for a in analyses])
    if len(voiced_f0) < MIN_VOICED:
        raise ItemError(
            f"only {len(voiced_f0)} voiced frames of 5 ms; at least {MIN_VOICED} are needed to know the pitch"
        )
    log_f0 = np.log(voiced_f0)
    frames = np.concatenate([np.log(a.envelope[a.voiced]) for a in analyses])
    return Voice(float(log_f0.mean()), float(log_f0.std()), frames.mean(axis=0))


def _towards(content: Analysis, voice: Voice) -> Analysis:
    import numpy as np

    own = voice_of([content])
    spread = float(np.clip(voice.log_f0_deviation / max(own.log_f0_deviation, 1e-3), 0.5, 2.0))
    f0 = content.f0.copy()
    moved = (np.log(f0[content.voiced]) - own.log_f0_mean) * spread + voice.log_f0_mean
    f0[content.voiced] = np.clip(np.exp(moved), 50.0, 700.0)

    warp = _best_warp(own.log_envelope, voice.log_envelope)
    log_envelope = _warped(np.log(content.envelope), warp)
    shift = _smooth(voice.log_envelope) - _smooth(_warped(own.log_envelope, warp))
    log_envelope[content.voiced] += shift - shift.mean()
    aperiodicity = np.clip(_warped(content.aperiodicity, warp), 1e-9, 1.0 - 1e-9)
    return Analysis(f0, np.exp(log_envelope), aperiodicity, content.samples)


def _best_warp(source: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Find the warp under which the smoothed average envelopes are most alike in shape, up to 5 kHz."""
    import numpy as np

    used = slice(0, int(len(source) * 5_000 / (SAMPLE_RATE / 2)))
    wanted = np.diff(_smooth(target)[used])
    warps = np.geomspace(*WARP_RANGE, WARP_STEPS)
    likeness = [np.corrcoef(np.diff(_smooth(_warped(source, warp))[used]), wanted)[0, 1] for warp in warps]
    return float(warps[int(np.argmax(likeness))])


def _warped(log_envelope: NDArray[np.float64], warp: float) -> NDArray[np.float64]:
    """Stretch the frequency axis (the last one) by ``warp``; above the last bin the edge is held."""
    import numpy as np

    bins = log_envelope.shape[-1]
    position = np.minimum(np.arange(bins) / warp, bins - 1)
    low = np.minimum(position.astype(int), bins - 2)
    weight = position - low
    warped: NDArray[np.float64] = log_envelope[..., low] * (1 - weight) + log_envelope[..., low + 1] * weight
    return warped


def _smooth(log_envelope: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep the first coefficients of the cepstrum only."""
    import numpy as np

    cepstrum = np.fft.irfft(log_envelope)
    cepstrum[LIFTER : len(cepstrum) - LIFTER + 1] = 0.0
    return np.fft.rfft(cepstrum).real
