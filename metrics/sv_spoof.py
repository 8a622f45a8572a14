"""Can a speaker verifier tell converted from real speech of the target? Equal error rate of real against converted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from vceval.errors import UnmetNeed
from vceval.metrics.base import Measure, Statistics
from vceval.metrics.sv import SpeakerVerification
from vceval.records import Conversion, Utterance

__all__ = ["SpoofVerification"]


@dataclass(frozen=True)
class SpoofVerification(SpeakerVerification):
    """Equal error rate of telling trials of two real recordings from trials of a converted and a real one.

    Real trials are the same-speaker trials of natural speech that calibration draws; converted ones compare a
    conversion with the first of its prompts that is no copy of it, so that both kinds have one recording a
    side. 0 % says that every conversion is less like the target than the target is; 50 %, the best value, that
    the verifier only guesses; more, that conversions are closer to their prompt than real recordings are.
    This EER has nothing to do with that of the calibration, where a low one is good.

    Real trials are those of the cell's target speakers where these have 30 or more, else those of all speakers of the
    dataset; cells over several datasets pool them. Pairs store the cosine.

    Source: Baas, van Niekerk, Kamper, "Voice conversion with just nearest neighbors", Interspeech 2023.
    """

    name: ClassVar[str] = "sv:spoof-eer"
    title: ClassVar[str] = "Real against converted speech by speaker verification"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("sv:spoof-eer", "Spoof EER", "%", "higher", scale=100.0, decimals=1, reduction="eer"),
    )
    source: ClassVar[str] = "Baas et al., Voice conversion with just nearest neighbors, Interspeech 2023"
    facts: ClassVar[Mapping[str, str]] = {
        **SpeakerVerification.facts,
        "trial": "positive: two real recordings of a speaker; negative: one converted recording, its first prompt",
        "aggregation": "interpolated EER of the scores of a cell; datasets pooled",
        "natural-scores": "target speakers of the cell where 30 or more, else all",
        "best": "50 %",
    }

    def signature(self) -> str:
        """Name every choice that changes the value."""
        return (
            f"SPOOF-EER|enc:{self.encoder_type.identity()}|{self.encoder_type.front_end}|pos:real-real"
            f"|neg:converted-first-prompt|eer:interpolated|trials:{self.trials}|seed:{self.seed}|v:{self.version}"
        )

    def calibrate(self, dataset: str, natural: Sequence[Utterance]) -> Mapping[str, Any]:
        """Score trials of natural speech of one dataset and keep those of the same-speaker ones."""
        return self._calibrate(natural, keep_scores=True)

    def statistics(self, conversion: Conversion) -> Statistics:
        """Compare one conversion with a prompt of its target speaker.

        Raises:
            UnmetNeed: the pair has no prompt but the recording itself, or there are no trials of natural speech.
            ItemError: a recording can't be read or holds no speech.
        """
        learnt = self.workspace.calibrations.get(conversion.pair.dataset, {})
        if not learnt.get("natural_scores"):
            reason = learnt.get("unavailable", f"nothing was calibrated for dataset {conversion.pair.dataset!r}")
            raise UnmetNeed("calibration", str(reason))
        prompt, cosine = next(iter(self._cosines(conversion, self.encoder.embed(conversion.path)).items()))
        return Statistics({self.measures[0].name: (cosine, 1.0)}, {"prompt": prompt})
