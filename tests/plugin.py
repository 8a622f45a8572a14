"""A third-party package, written to a folder: one converter and one metric behind the public entry points."""

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
        folder, "third_party", MODULE, converters=["quiet=third_party:Quiet"], metrics=["loudness=third_party:Loudness"]
    )
