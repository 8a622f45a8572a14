"""Speaker verification: how often the converted voice is taken for that of the target speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from vceval.cache import file_digest
from vceval.errors import ItemError, UnmetNeed
from vceval.metrics.base import Measure, Statistics
from vceval.metrics.dvectors import encoder_name
from vceval.metrics.speaker_metric import SpeakerMetric
from vceval.metrics.trials import Trials, calibration, draw_pairs, embed_natural
from vceval.records import Conversion, Utterance

__all__ = ["SpeakerVerification"]


@dataclass(frozen=True)
class SpeakerVerification(SpeakerMetric):
    """Acceptance by a speaker verifier, and cosine similarity, of converted speech and the target's prompts.

    Every prompt is one trial against the converted recording. ``sv_accept`` is the share of trials with a cosine
    of at least the threshold at which the same encoder makes equally many errors of both kinds on natural speech
    of the pair's own corpus. ``sv_cosine`` is the mean cosine and needs no calibration.

    ``trials`` and ``seed`` say how many natural trials are drawn (half of each kind), and by which seed.

    Source: Wan, Wang, Papir, Lopez Moreno, "Generalized end-to-end loss for speaker verification", ICASSP 2018;
    acceptance at the EER threshold: Huang, Lin, Liu, Chen, Lee, "How far are we from robust voice conversion: a
    survey", SLT 2021.
    """

    trials: int = 30_000
    seed: int = 0

    name: ClassVar[str] = "sv"
    title: ClassVar[str] = "Speaker verification"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset({"target"})
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("sv_accept", "SV acc.", "%", "higher", scale=100.0, decimals=1),
        Measure("sv_cosine", "SV cos.", "", "higher", decimals=3),
    )
    source: ClassVar[str] = "Wan et al., Generalized end-to-end loss for speaker verification, ICASSP 2018"

    def signature(self) -> str:
        """Name every choice that changes the values."""
        return (
            f"SV|enc:{encoder_name()}|sr:16000|level:-30dB|vad:webrtc3|enrol:each-prompt"
            f"|thr:eer-interpolated|trials:{self.trials}|seed:{self.seed}|v:{self.version}"
        )

    def calibrate(self, dataset: str, natural: Sequence[Utterance]) -> Mapping[str, Any]:
        """Find EER and threshold on trials of natural speech of one dataset."""
        speech = embed_natural(natural, self.encoder, self.seed)
        trials = None
        if len(speech.ids) > 1:
            pairs, target = draw_pairs(speech, self.trials)
            first, second = pairs.T
            trials = Trials(
                (speech.embeddings[first] * speech.embeddings[second]).sum(axis=1),
                target,
                speech.speaker[pairs],
                [(speech.ids[a], speech.ids[b]) for a, b in pairs],
            )
        return calibration(speech, trials, self.encoder.name, self.seed)

    def statistics(self, conversion: Conversion) -> Statistics:
        """Compare one conversion with every prompt of its target speaker.

        Raises:
            UnmetNeed: the pair has no prompt, or the only prompt is the recording itself.
            ItemError: a recording can't be read or holds no speech.
        """
        pair = conversion.pair
        if not pair.prompts:
            raise UnmetNeed("target", f"pair {pair.id} names no prompt of the target speaker to compare with")
        voice = self.encoder.embed(conversion.path)
        own = file_digest(conversion.path)
        cosines: dict[str, float] = {}
        for prompt in pair.prompts:
            try:
                embedding = self.encoder.embed(prompt.path)
            except ItemError as error:
                raise ItemError(f"prompt {prompt.id} of pair {pair.id}: {error}") from error
            if file_digest(prompt.path) != own:
                cosines[prompt.id] = float(voice @ embedding)
        if not cosines:
            raise UnmetNeed("other", f"{conversion.path} is the prompt itself: a trial against itself says nothing")
        count = float(len(cosines))
        sums = {"sv_cosine": (sum(cosines.values()), count)}
        details: dict[str, Any] = {"cosines": {name: round(value, 6) for name, value in cosines.items()}}
        learnt = self.workspace.calibrations.get(pair.dataset, {})
        if "threshold" not in learnt:
            reason = learnt.get("unavailable", f"nothing was calibrated for dataset {pair.dataset!r}")
            return Statistics(sums, details, {"sv_accept": ("calibration", str(reason))})
        threshold = float(learnt["threshold"])
        sums["sv_accept"] = (float(sum(value >= threshold for value in cosines.values())), count)
        return Statistics(sums, {**details, "threshold": threshold})
