"""Predicted mean opinion score: DistillMOS; other predictors are recipes."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vceval.checkpoints.weightfile import WeightFile
from vceval.errors import ItemError
from vceval.metrics.base import Measure, Recipe, Workspace
from vceval.metrics.opinion import OpinionPredictor, packaged
from vceval.records import Conversion
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.signal.speech import BY_LEVEL

__all__ = ["WEIGHTS", "PredictedOpinion"]

SAMPLE_RATE = 16_000
#: The weights, which the package carries.
WEIGHTS = WeightFile(
    name="distill_mos_v7.pt",
    holds="DistillMOS, predictor of speech quality",
    page="https://github.com/microsoft/Distill-MOS",
    licence="MIT (package distillmos)",
    network="vceval.networks.distillmos:DistillMos",
    entry=("model",),
    sha256="b18b3ac60227267cfb91e5d00ce22cc7b73716fd92f269484da1446e27031a40",
    wheels=("distillmos 0.9.1",),
)
_NETWORK = f"MOS|model:distillmos-v7-{str(WEIGHTS.sha256)[:8]}|sr:{SAMPLE_RATE}|win:7.68s|hop:1s|short:zeros|level:peak"
#: Windows that a device works on together.
_TOGETHER = 16


def _measures(name: str, label: str) -> tuple[Measure, ...]:
    return (Measure(name, label, "", "higher", worst=1.0, question="quality"),)


@dataclass(frozen=True)
class PredictedOpinion(OpinionPredictor):
    """DistillMOS, 1 (bad) to 5 (excellent): speech quality, by a small network that learnt from a large one.

    What lies between the first and the last speech, with 0.5 s around it, is cut at 16 kHz into windows of 7.68 s that
    overlap and lie evenly, at most 1 s apart; what is shorter ends in zeros. Each window is brought to a peak of 1. The
    value is the mean over windows. Of that speech it gives what the package distillmos 0.9.1 gives, within 1e-5, and
    its recipe ``distill`` of whole recordings; the weights are read from the package, and nothing of it is imported.
    Its teachers learnt from ratings of coded, transmitted, denoised and synthetic speech.

    Source: Stahl, Gamper, "Distillation and pruning for scalable self-supervised representation-based speech quality
    assessment", ICASSP 2025.
    """

    name: ClassVar[str] = "mos"
    title: ClassVar[str] = "Predicted opinion (DistillMOS)"
    version: ClassVar[str] = "2.0"
    measures: ClassVar[tuple[Measure, ...]] = _measures("mos_distill", "DistillMOS")
    source: ClassVar[str] = (
        "Stahl, Gamper, Distillation and pruning for scalable self-supervised representation-based speech quality "
        "assessment, ICASSP 2025"
    )
    recipes: ClassVar[Mapping[str, Recipe | str]] = {
        "distill": Recipe(
            "DistillMOS as its package has it, on whole recordings: silence around the speech counts.",
            changes={
                "measures": _measures("distillmos", "DistillMOS (package)"),
                "around": None,
                "choices": f"{_NETWORK}|moved-by:{{0.moves}}",
                "moved_by": ("padding", "polarity", "rate"),
            },
        ),
        "dnsmos": "vceval.metrics.mos_dnsmos:DnsMos",
        "utmos": "vceval.metrics.mos_utmos:UtMos",
    }
    choices: ClassVar[str] = f"{_NETWORK}|speech:{BY_LEVEL}|around:0.5s|moved-by:{{0.moves}}"
    moved_by: ClassVar[tuple[str, ...]] = ("polarity", "rate")
    #: Seconds of the recording that are heard around its speech; None for the whole recording.
    around: ClassVar[float | None] = 0.5
    kept_as: ClassVar[str] = "distillmos"
    facts: ClassVar[Mapping[str, str]] = {
        WEIGHTS.name: str(WEIGHTS.sha256),
        "resampler": "soxr HQ",
        "channels": "equal or chosen",
        "spectrum": "320-point Hann, hop 160, real and imaginary part, length to the power 0.3",
        "dtype": "float32",
        "batch": f"1 window on a processor, {_TOGETHER} on a device",
    }
    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy", "soundfile", "soxr")

    @property
    def on_device(self) -> bool:
        """Its network works on a GPU."""
        return True

    def signature(self) -> str:
        """Name every choice that changes the values.

        Raises:
            UsageError: distillmos is not installed, or its weights are others.
        """
        _weights()
        return super().signature()

    def open(self, workspace: Workspace) -> None:
        """Take the workspace; the network is loaded when the first recording needs it.

        Raises:
            UsageError: distillmos is not installed, or its weights are others.
        """
        super().open(workspace)
        _weights()

    def predict(self, wave: Waveform) -> dict[str, float]:
        """Predict the ``opinion`` of a recording in memory, the mean over ``windows``."""
        return self._predicted([wave])[0]

    def read_ahead(self, items: Sequence[Any]) -> None:
        """Read recordings."""
        for item in items:
            with contextlib.suppress(ItemError):
                audio.shared(item.path, SAMPLE_RATE)

    def prepare(self, conversions: Sequence[Conversion]) -> None:
        """Predict the opinions of some conversions, on a device together.

        On a processor together is no faster than one after the other, and moves the last digits.
        """
        waves: dict[Path, Waveform] = {}
        for path in dict.fromkeys(one.path for one in conversions if self.workspace.device != "cpu"):
            with contextlib.suppress(ItemError):
                waves[path] = audio.shared(path)
        if not waves:
            return
        for path, found in zip(waves, self._predicted(list(waves.values())), strict=True):
            self._kept(path, found)

    def _predicted(self, waves: Sequence[Waveform]) -> list[dict[str, float]]:
        from vceval.networks.distillmos import opinions, windows

        device = self.workspace.device
        cut = [windows(self._heard(audio.resample(wave, SAMPLE_RATE)).samples) for wave in waves]
        values = opinions(_network(_weights(), device), cut, device, 1 if device == "cpu" else _TOGETHER)
        return [{"opinion": one, "windows": len(some)} for one, some in zip(values, cut, strict=True)]

    def _heard(self, wave: Waveform) -> Waveform:
        """What of a recording is judged; one without speech is judged whole."""
        if self.around is None:
            return wave
        speech = BY_LEVEL.find(wave)
        return speech.cut(wave, self.around) if len(speech.marks) else wave


def _weights() -> Path:
    return packaged(
        WEIGHTS.wheels[0],
        "pip install 'vceval[mos]', or without its other needs: pip install --no-deps distillmos==0.9.1",
        {f"weights/{WEIGHTS.name}": str(WEIGHTS.sha256)},
        "DistillMOS",
    )[0]


@functools.lru_cache(maxsize=1)
def _network(path: Path, device: str) -> Any:
    import torch

    torch.set_num_threads(1)
    return WEIGHTS.load(path, device)
