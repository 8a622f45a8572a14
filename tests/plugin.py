"""A third-party package, written to a folder: two converters and a metric behind the public entry points."""

from __future__ import annotations

from pathlib import Path

from installed import install

MODULE = '''
import os, signal, time
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.converters.base import Converter, ConverterInfo
from vceval.errors import ItemError, UnmetNeed
from vceval.metrics.base import Measure, Metric, Statistics


class Quiet(Converter):
    """Turns the source down; pairs whose source ends in a marked number go wrong in different ways."""

    info = ConverterInfo("quiet", "Quiet", None, "none", "", "native")

    def __init__(self, *, gain=0.5, faults={}, pause=0.0, each=0.0):
        self.gain, self.faults, self.pause, self.each = gain, faults, pause, each

    def encode_content(self, sources):
        return list(sources)

    def encode_speaker(self, prompts):
        return [None for _ in prompts]

    def convert(self, requests):
        for request in requests:
            fault = self.faults.get(request.pair.id)
            if fault == "raise":
                raise ZeroDivisionError("by design")
            if fault == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "refuse":
                request.__dict__["source"] = None
        time.sleep(self.pause)
        outcomes = []
        for request in requests:
            time.sleep(self.each)
            note("QUIET_LOG", f"{request.pair.id} {os.getpid()}")
            if request.__dict__.get("source", 0) is None:
                outcomes.append(ItemError("refused by design"))
            elif self.faults.get(request.pair.id) == "nan":
                outcomes.append(Waveform(request.source.samples * np.float32("nan"), 16000))
            else:
                outcomes.append(Waveform(request.source.samples * np.float32(self.gain), request.source.sample_rate))
        return outcomes


class Noisy(Converter):
    """Adds noise by the seed; what ``faults`` names as PAIR or PAIR+NUMBER of the seed is refused."""

    info = ConverterInfo("noisy", "Noisy", None, "none", "", "native", draws_noise=True)

    def __init__(self, *, level=0.05, gain=1.0, faults=(), pause=0.0):
        self.level, self.gain, self.faults, self.pause = level, gain, faults, pause

    def convert(self, requests):
        time.sleep(self.pause)
        return [self.one(request) for request in requests]

    def one(self, request):
        note("QUIET_LOG", f"{request.pair.id}+{request.number} {request.seed}")
        if {request.pair.id, f"{request.pair.id}+{request.number}"} & set(self.faults):
            return ItemError("refused by design")
        wave = request.source
        noise = np.random.default_rng(request.seed).uniform(0, self.level) * np.ones_like(wave.samples)
        return Waveform(np.float32(self.gain) * wave.samples + noise.astype(np.float32), wave.sample_rate)


def note(variable, text):
    """Add a line to the file that a variable names, in one write."""
    if variable in os.environ:
        with open(os.environ[variable], "ab", buffering=0) as stream:
            stream.write(text.encode() + b"\\n")


@dataclass(frozen=True)
class Loudness(Metric):
    """Level in dB of full scale, for pairs with a transcript."""

    pause: float = float(os.environ.get("LOUDNESS_PAUSE", "0"))
    name: ClassVar = "loudness"
    title: ClassVar = "Loudness"
    version: ClassVar = "1.0"
    needs: ClassVar = frozenset({"transcript"})
    measures: ClassVar = (Measure("loudness", "Loudness", "dB", "higher"), Measure("gated", "Gated", "dB", "higher"))
    source: ClassVar = "nobody"

    def signature(self):
        return f"LOUD|v:{self.version}"

    def calibrate(self, dataset, natural):
        return {"recordings": len(natural)}

    def statistics(self, conversion):
        time.sleep(self.pause)
        note("LOUDNESS_LOG", f"{conversion.system} {conversion.pair.id}")
        if not conversion.transcript:
            raise UnmetNeed("transcript", "no transcript")
        samples = audio.load(conversion.path).samples.astype(float)
        value = 10 * np.log10(np.mean(samples**2))
        return Statistics({"loudness": (value, 1.0)}, {"samples": len(samples)},
                          {"gated": ("calibration", "never")})
'''


def write_plugin(folder: Path) -> Path:
    """Write the package with its metadata; put the folder on PYTHONPATH to use it."""
    return install(
        folder, "third_party", MODULE, converters=["quiet=third_party:Quiet", "noisy=third_party:Noisy"],
        metrics=["loudness=third_party:Loudness"],
    )  # fmt: skip
