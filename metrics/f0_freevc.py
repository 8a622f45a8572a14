"""F0 correlation of the source with the conversion, as FreeVC's author computes it (F0-PCC)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vceval.errors import ItemError
from vceval.metrics.base import Measure, Statistics
from vceval.metrics.f0 import correlation
from vceval.metrics.parallel import COMMON_FACTS, ParallelMetric, Recording, resample_by_ratio
from vceval.signal import world
from vceval.signal.audio import Waveform

__all__ = ["FreevcF0"]

RATE, FRAME_MS = 16_000, 10.0
#: Range of the second try, Harvest, for recordings in which DIO finds no voice.
FALLBACK_HZ = (20.0, 600.0)


@dataclass(frozen=True)
class FreevcF0(ParallelMetric):
    """Pearson correlation of two F0 tracks, frame by frame, the longer one cut, unvoiced frames counted as 0 Hz.

    Because of the zeros it rewards agreement in voicing at least as much as intonation. It has no alignment and
    suits conversions that keep the timing of the source only. The corpus figure is the mean over pairs.
    """

    against: ClassVar[Literal["reference", "source"]] = "source"
    name: ClassVar[str] = "f0:freevc"
    title: ClassVar[str] = "F0 correlation of source and conversion as FreeVC's author computes it"
    needs: ClassVar[frozenset[str]] = frozenset({"source"})
    measures: ClassVar[tuple[Measure, ...]] = (Measure("f0_pcc:freevc", "F0-PCC (FreeVC)", "", "higher", decimals=3),)
    source: ClassVar[str] = (
        "Li, Tu, Xiao, FreeVC: towards high-quality text-free one-shot voice conversion, ICASSP 2023; "
        "https://github.com/OlaWod/FreeVC/issues/4"
    )
    choices: ClassVar[str] = (
        "F0|tool:freevc|against:source|f0:dio+stonemask:71-800Hz|frames:all-unvoiced-as-0|corr:linear|sr:16000|frame:10ms"
        "|align:cut-to-shorter"
    )
    facts: ClassVar[Mapping[str, str]] = {
        **COMMON_FACTS,
        "level": "as-recorded",
        "fallback": "harvest:20-600Hz:both-if-source-unvoiced",
        "reference": "source-recording",
    }

    def compare(self, reference: Recording, test: Recording) -> Statistics:
        """Correlate the two tracks; ``reference`` is the source.

        Raises:
            ItemError: one track is constant over the common length (all unvoiced, say): there is no correlation.
        """
        tracks = [_track(recording, "dio") for recording in (reference, test)]
        harvest = not tracks[0].any()
        if harvest:
            tracks = [_track(recording, "harvest") for recording in (reference, test)]
        common = min(len(track) for track in tracks)
        value = correlation(tracks[0][:common], tracks[1][:common])
        if value is None:
            raise ItemError(
                f"{test.name}: F0 of it or of {reference.name} is constant over the first {common} frames that both "
                f"have, so the two have no correlation"
            )
        return Statistics({self.measures[0].name: (value, 1.0)}, {"frames": common, "harvest": harvest})


def _track(recording: Recording, extractor: Literal["dio", "harvest"]) -> NDArray[np.float64]:
    def analyse(wave: Waveform) -> Mapping[str, Any]:
        wave = resample_by_ratio(wave, RATE)
        if extractor == "dio":
            return {"f0": world.world_f0(wave, FRAME_MS)[0]}
        low, high = FALLBACK_HZ
        samples = np.ascontiguousarray(wave.samples, dtype=np.float64)
        pyworld = world.pyworld_module()
        return {"f0": pyworld.harvest(samples, RATE, f0_floor=low, f0_ceil=high, frame_period=FRAME_MS)[0]}

    result: NDArray[np.float64] = recording.analysis("freevc", {"version": 1, "f0": extractor}, analyse)["f0"]
    return result
