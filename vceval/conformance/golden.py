"""The numbers that an installation of vceval must compute, and what it does compute: ``vceval selfcheck``.

The stored numbers were computed by this code after every kit and every comparison with other tools had passed. They
catch what changes them since: another release of a library, a broken build, a processor that rounds in its own way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.signal.audio import Waveform

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["CHECKS", "Check", "Verdict", "run", "stored", "voice"]

FILE = Path(__file__).with_name("golden.json")
#: Values kept of an array: enough to see any change of it, few enough to be read.
_KEPT = 24


@dataclass(frozen=True)
class Check:
    """One canonical computation: what it stands for, how far a value may be off (of the largest), and its function."""

    title: str
    tolerance: float
    compute: Callable[[], Any]


@dataclass(frozen=True)
class Verdict:
    """What came out of a check: the largest difference, relative to the largest stored value; or why there is none."""

    name: str
    title: str
    difference: float
    tolerance: float
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether the installation computes the canonical numbers."""
        return not self.problem


@cache
def voice(sample_rate: int, pitch: float = 120.0, seconds: float = 1.2) -> Waveform:
    """Make a voice-like sound by formula: harmonics under two moving formants, a pause, a little seeded noise."""
    import numpy as np

    time = np.arange(int(seconds * sample_rate)) / sample_rate
    phase = 2.0 * np.pi * pitch * (time + 0.02 * np.sin(2.0 * np.pi * 1.3 * time))
    sound = np.zeros_like(time)
    for harmonic in range(1, int(3_800 / pitch)):
        first = np.exp(-(((harmonic * pitch - 550.0 - 200.0 * np.sin(9.0 * time)) / 250.0) ** 2))
        second = 0.4 * np.exp(-(((harmonic * pitch - 1700.0 + 300.0 * np.cos(7.0 * time)) / 350.0) ** 2))
        sound += (first + second) * np.sin(harmonic * phase)
    sound *= np.where((time > 0.55 * seconds) & (time < 0.65 * seconds), 0.001, 1.0)
    sound += 0.002 * np.random.Generator(np.random.PCG64(11)).standard_normal(len(time))
    return Waveform((0.5 * sound / np.abs(sound).max()).astype(np.float32), sample_rate)


def run(names: Sequence[str] = ()) -> list[Verdict]:
    """Run the checks, or some of them by name."""
    return [_verdict(name, check, stored().get(name)) for name, check in CHECKS.items() if not names or name in names]


@cache
def stored() -> Mapping[str, list[float]]:
    """Give the canonical numbers by check."""
    numbers: dict[str, list[float]] = json.loads(FILE.read_text(encoding="utf-8"))
    return numbers


def summary(value: Any) -> list[float]:
    """Reduce a computed array to the numbers that are kept of it: some of its values, its mean, its mean square."""
    import numpy as np

    flat = np.asarray(value, dtype=np.float64).reshape(-1)
    if len(flat) <= _KEPT:
        return [float(number) for number in flat]
    places = np.linspace(0, len(flat) - 1, _KEPT).astype(int)
    return [float(number) for number in (*flat[places], flat.mean(), (flat * flat).mean(), len(flat))]


def _verdict(name: str, check: Check, wanted: list[float] | None) -> Verdict:
    import numpy as np

    def failed(problem: str) -> Verdict:
        return Verdict(name, check.title, float("nan"), check.tolerance, problem)

    if wanted is None:
        return failed("no canonical numbers are stored")
    try:
        found = summary(check.compute())
    except Exception as error:  # whatever breaks here is broken in this installation, which is the answer
        return failed(f"{type(error).__name__}: {error}")
    if len(found) != len(wanted):
        return failed(f"{len(found)} numbers, {len(wanted)} are canonical")
    top = max(abs(number) for number in wanted[:_KEPT]) or 1.0
    difference = float(np.max(np.abs(np.subtract(found, wanted)))) / top
    if not difference <= check.tolerance:
        return Verdict(name, check.title, difference, check.tolerance, "differs")
    return Verdict(name, check.title, difference, check.tolerance)


def _mcd(recipe: str) -> float:
    from vceval.metrics import mel_cepstral_distortion

    return mel_cepstral_distortion(voice(16_000).samples, voice(16_000, 180.0).samples, 16_000, recipe=recipe)


def _f0(recipe: str) -> list[float]:
    from vceval.metrics import f0_statistics

    found = f0_statistics(voice(16_000).samples, voice(16_000, 180.0).samples, 16_000, recipe=recipe)
    return list(found.values())


def _eer() -> list[float]:
    import numpy as np

    from vceval.metrics import equal_error_rate

    generator = np.random.Generator(np.random.PCG64(5))
    return list(equal_error_rate(generator.standard_normal(400) + 1.5, generator.standard_normal(900)))


def _text() -> list[float]:
    from vceval.metrics import character_error_rate, word_error_rate

    references = ["Mr. Smith paid twenty-five dollars.", "It's colour, not color!"]
    hypotheses = ["mister smith payed 25 dollars", "its colour not a collar"]
    return [word_error_rate(references, hypotheses), character_error_rate(references, hypotheses)]


def _resampled() -> Array:
    from vceval.signal.audio import resample

    return resample(voice(48_000), 16_000).samples


def _dvector() -> Array:
    from vceval.networks import dvector_features

    return dvector_features.dvector_frames(voice(22_050))


def _adainvc_mel() -> Array:
    from vceval.networks import adainvc_features as front

    return front.mel(front.speech(voice(24_000)))


def _hifigan_mel() -> Array:
    from vceval.networks import hifigan_features as front

    return front.log_mel(front.levelled(voice(22_050).samples))


def _hasp_frames() -> Array:
    from vceval.networks import hasp_features as front

    return front.features(voice(16_000).samples)


def _yourtts_spectrogram() -> Array:
    from vceval.networks import yourtts_features as front

    return front.spectrogram(voice(16_000).samples)


def _speaker() -> Array:
    """The network that comes with the package of the metric's default encoder, on the CPU."""
    import torch
    from resemblyzer import VoiceEncoder

    vector: Array = VoiceEncoder(torch.device("cpu"), verbose=False).embed_utterance(voice(16_000, seconds=2.5).samples)
    return vector


def _adainvc() -> Array:
    """Frames that the demo model makes of one voice saying what another said."""
    import torch

    from vceval.converters.adainvc_demo import demo_network
    from vceval.networks import adainvc_features as front

    frames = [torch.from_numpy(front.mel(voice(24_000, pitch).samples).T[None].copy()) for pitch in (120.0, 180.0)]
    with torch.inference_mode():
        values: Array = demo_network()(*frames).numpy()
    return values


def _griffin_lim() -> Array:
    from vceval.networks import adainvc_features as front

    return front.waveform(_adainvc_mel()[:40], rounds=3)


def _hifigan() -> Array:
    """A HiFi-GAN of small widths with weights by the kits' rule, whose numbers the kits' port computes too."""
    import torch

    from vceval.checkpoints.weights import load_strict
    from vceval.conformance.kits import made_up_weights
    from vceval.networks.hifigan import Generator

    network = Generator(80, (8, 8, 2, 2), (16, 16, 4, 4), initial=32)
    load_strict(network, made_up_weights(network), "made-up weights")
    with torch.inference_mode():
        values: Array = network(torch.from_numpy(_hifigan_mel()[:24].T.copy())[None]).numpy()
    return values


CHECKS: dict[str, Check] = {
    "resampling": Check("48 kHz to 16 kHz", 1e-5, _resampled),
    "mcd": Check("MCD, default", 1e-6, lambda: _mcd("default")),
    "mcd:pymcd": Check("MCD as pymcd computes it", 1e-6, lambda: _mcd("pymcd")),
    "mcd:s3prl": Check("MCD as s3prl computes it", 1e-6, lambda: _mcd("s3prl")),
    "mcd:v1": Check("MCD, default up to version 1.0", 1e-6, lambda: _mcd("v1")),
    "f0": Check("F0 error, correlation, voicing error", 1e-6, lambda: _f0("default")),
    "f0:v1": Check("F0, default up to version 1.0", 1e-6, lambda: _f0("v1")),
    "eer": Check("equal error rate and threshold", 1e-12, _eer),
    "wer, cer": Check("word and character error rate of texts", 1e-12, _text),
    "front end dvector": Check("levelled log-mel without pauses", 1e-4, _dvector),
    "front end adainvc": Check("512 mel bands of brightened speech", 1e-4, _adainvc_mel),
    "front end hifigan": Check("log-mel with mirrored ends", 1e-4, _hifigan_mel),
    "front end hasp": Check("normalised log-mel at a given level", 1e-4, _hasp_frames),
    "front end yourtts": Check("linear spectrogram", 1e-4, _yourtts_spectrogram),
    "speaker encoder": Check("Resemblyzer's vector of a sound", 1e-3, _speaker),
    "network adainvc": Check("frames of the demo model", 1e-3, _adainvc),
    "vocoder griffin-lim": Check("three rounds from mel bands", 1e-3, _griffin_lim),
    "vocoder hifigan": Check("a small one with made-up weights", 1e-3, _hifigan),
}


def write() -> None:
    """Store what this installation computes as canonical (``python -m vceval.conformance.golden``).

    For those who change a method on purpose: run the kits first, and say in the commit why the numbers changed.
    """
    numbers = {name: summary(check.compute()) for name, check in CHECKS.items()}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in numbers.items())
    FILE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
