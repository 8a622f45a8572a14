"""The recordings of a listening test: equally loud, of one rate and form, under random names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vceval.errors import ItemError
from vceval.listen.kinds import KINDS
from vceval.listen.plan import Trial
from vceval.listen.recordings import Pool, Recording
from vceval.signal.loudness_bs1770 import common_level, loudness

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vceval.signal.audio import Waveform

__all__ = ["Measured", "measure", "recordings_of", "render", "write"]

#: Seconds of speech before the beeps of an attention check; length and distance of the beeps; their pitch in Hz.
_SPEECH, _BEEP, _GAP, _PITCH = 1.2, 0.18, 0.32, 880.0
#: Seconds over which a cut or a beep fades.
_FADE = 0.02


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a recording before it is written: rate in Hz, length in seconds, loudness in LUFS, peak."""

    sample_rate: int
    seconds: float
    loudness: float
    peak: float


def recordings_of(pool: Pool, trial: Trial) -> tuple[Recording, ...]:
    """Find what is heard in a trial, in the order of its players."""
    beside = pool.beside(trial.test, trial.pair) or ()
    if trial.conditions:
        judged = tuple(pool.audio[name, trial.pair] for name in trial.conditions)
    else:
        beeps = next(number for number, value in KINDS[trial.test].by_number.items() if value == trial.answer)
        speech = pool.natural.get(trial.pair) or next(r for (_, pair), r in pool.audio.items() if pair == trial.pair)
        judged = (replace(speech, mnru=None, beeps=beeps),) * (2 if trial.test == "ab" else 1)
    return (*(beside[::-1] if trial.swapped else beside), *judged)


def render(recording: Recording, sample_rate: int | None = None) -> Waveform:
    """Load a recording and do to it what it asks for, all but its level.

    Noise of the MNRU follows the speech: y = x (1 + 10^(-Q/20) n) with Gaussian n (ITU-T P.810).

    Raises:
        ItemError: it can't be read, is silent or too short.
    """
    import numpy as np

    from vceval.signal.audio import Waveform, load

    wave = load(recording.path, sample_rate)
    samples, rate = wave.samples, wave.sample_rate
    if recording.mnru is not None:
        noise = np.random.default_rng(0).standard_normal(len(samples))
        samples = (samples * (1 + 10 ** (-recording.mnru / 20) * noise)).astype(np.float32)
    if recording.beeps:
        samples = _with_beeps(samples, rate, recording.beeps)
    return Waveform(samples, rate)


def _with_beeps(samples: NDArray[np.float32], rate: int, count: int) -> NDArray[np.float32]:
    """Cut speech off after a while and let beeps follow that are about as loud."""
    import numpy as np

    speech = samples[: int(_SPEECH * rate)].copy()
    fade = np.linspace(1.0, 0.0, int(_FADE * rate), dtype=np.float32)
    speech[-len(fade) :] *= fade[-len(speech) :]
    time = np.arange(int(_BEEP * rate)) / rate
    shape = np.minimum(1.0, np.minimum(time, time[::-1]) / _FADE)
    level = float(np.sqrt(np.mean(speech**2))) or 0.05
    beep = (level * np.sqrt(2) * shape * np.sin(2 * np.pi * _PITCH * time)).astype(np.float32)
    silence = np.zeros(int(_GAP * rate), np.float32)
    return np.concatenate([speech, silence, *([beep, silence] * count)])


def measure(recordings: Iterable[Recording]) -> tuple[dict[Recording, Measured], dict[Recording, str]]:
    """Measure recordings at their own rates; of those that can't be used, say why."""
    import numpy as np

    good: dict[Recording, Measured] = {}
    bad: dict[Recording, str] = {}
    for recording in sorted(set(recordings), key=_order):
        try:
            wave = render(recording)
        except ItemError as error:
            bad[recording] = str(error)
            continue
        level = loudness(wave.samples, wave.sample_rate)
        if not np.isfinite(level):
            bad[recording] = f"{recording.path}: too quiet to be made as loud as the others"
            continue
        good[recording] = Measured(wave.sample_rate, wave.seconds, level, float(np.abs(wave.samples).max()))
    return good, bad


def _order(recording: Recording) -> tuple[str, float, int]:
    return recording.path, -1.0 if recording.mnru is None else recording.mnru, recording.beeps


def write(
    folder: Path, found: Mapping[Recording, Measured], sample_rate: int, wanted: float, seed: int
) -> tuple[dict[Recording, str], float]:
    """Write recordings as 16-bit FLAC, equally loud, and return their file names and their loudness in LUFS.

    All are as loud as ``wanted`` or, where one of them would clip then, as loud as none clips.
    """
    import numpy as np
    import soundfile

    level = common_level(wanted, ((one.loudness, one.peak) for one in found.values()))
    folder.mkdir(parents=True, exist_ok=True)
    names: dict[Recording, str] = {}
    rng = np.random.default_rng([seed, 3])
    for recording in sorted(found, key=_order):
        while (name := f"{rng.integers(1 << 48):012x}.flac") in names.values():
            pass
        names[recording] = name
        wave = render(recording, sample_rate)
        gain = 10 ** ((level - found[recording].loudness) / 20)
        # Resampling moves peaks a little, so what passes full scale after all is held there
        samples = np.clip(wave.samples * np.float32(gain), -1.0, 1.0)
        soundfile.write(folder / name, samples, sample_rate, format="FLAC", subtype="PCM_16")
        os.utime(folder / name, (0, 0))  # the time of writing would tell the order
    return names, level
