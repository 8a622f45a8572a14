"""Speaker verification: how often the converted voice is taken for that of the target speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from vceval.errors import ItemError, UnmetNeed
from vceval.metrics.base import Measure, Statistics, Workspace
from vceval.metrics.speaker_metric import SpeakerMetric
from vceval.metrics.sv_thresholds import CALIBRATED, check_threshold, published_threshold
from vceval.metrics.trials import Trials, calibration, draw_pairs, embed_natural
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.storage.cache import file_digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SpeakerVerification", "sv_measures"]


def sv_measures(recipe: str = "", title: str = "") -> tuple[Measure, ...]:
    """Name what the metric measures; a recipe's measures bear its name, ``sv_accept:dvector``."""
    suffix, label = (f":{recipe}", f" ({title})") if recipe else ("", "")
    return (
        Measure(f"sv_accept{suffix}", f"SV acc.{label}", "%", "higher", scale=100.0, decimals=1),
        Measure(f"sv_cosine{suffix}", f"SV cos.{label}", "", "higher", decimals=3),
        Measure(f"sv_source{suffix}", f"Src. acc.{label}", "%", "lower", scale=100.0, decimals=1),
    )


@dataclass(frozen=True)
class SpeakerVerification(SpeakerMetric):
    """Acceptance by a speaker verifier, and cosine similarity, of converted speech and the target's prompts.

    Every prompt is one trial against the converted recording. ``sv_accept`` is the share of trials with a cosine
    of at least the threshold at which the same encoder makes equally many errors of both kinds on natural speech
    of the pair's own corpus. ``sv_cosine`` is the mean cosine and needs no calibration. ``sv_source`` is the
    leakage of the source: the share of conversions that are still accepted, at the same threshold, as the speaker of
    the source recording that was converted.

    ``trials`` and ``seed`` say how many natural trials are drawn (half of each kind), and by which seed.
    ``threshold`` is ``calibrated`` or the name of a published one that was measured with the same encoder
    (:data:`vceval.metrics.sv_thresholds.PUBLISHED`); a corpus without one has no acceptance then.

    Source: Wan, Wang, Papir, Lopez Moreno, "Generalized end-to-end loss for speaker verification", ICASSP 2018;
    acceptance at the EER threshold: Huang, Lin, Liu, Chen, Lee, "How far are we from robust voice conversion: a
    survey", SLT 2021; acceptance as the source: Zhao et al., "Voice Conversion Challenge 2020", 2020.
    """

    trials: int = 30_000
    seed: int = 0
    threshold: str = CALIBRATED

    name: ClassVar[str] = "sv"
    title: ClassVar[str] = "Speaker verification"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset({"target"})
    measures: ClassVar[tuple[Measure, ...]] = sv_measures()
    source: ClassVar[str] = "Wan et al., Generalized end-to-end loss for speaker verification, ICASSP 2018"
    recipes: ClassVar[Mapping[str, str]] = {
        "dvector": "vceval.metrics.sv_recipes:DvectorVerification",
        "ecapa": "vceval.metrics.sv_recipes:EcapaVerification",
        "mediumvc": "vceval.metrics.sv_recipes:MediumVcVerification",
        "tzuhsien": "vceval.metrics.sv_recipes:TzuhsienVerification",
        "s3prl-task1": "vceval.metrics.sv_recipes:S3prlTask1Verification",
        "s3prl-task2": "vceval.metrics.sv_recipes:S3prlTask2Verification",
        "spoof-eer": "vceval.metrics.sv_spoof:SpoofVerification",
    }
    facts: ClassVar[Mapping[str, str]] = {
        **SpeakerMetric.facts,
        "score": "cosine",
        "trial": "one converted recording, one prompt; or the source recording",
        "self-trials": "none, nor of copies",
        "aggregation": "all trials of a cell together",
        "calibration": "natural speech of the pair's corpus, half of the trials same-speaker",
        "missing": "counted, no value",
    }

    def signature(self) -> str:
        """Name every choice that changes the values."""
        return (
            f"SV|enc:{self.encoder_type.identity()}|{self.encoder_type.front_end}|enrol:each-prompt"
            f"|thr:{self._rule()}|trials:{self.trials}|seed:{self.seed}|v:{self.version}"
        )

    def _rule(self) -> str:
        check_threshold(self.threshold, self.encoder_type.kind)
        return "eer-interpolated" if self.threshold == CALIBRATED else self.threshold

    def open(self, workspace: Workspace) -> None:
        """Take the workspace.

        Raises:
            UsageError: the threshold belongs to another encoder, or the encoder can't be loaded on this machine.
        """
        check_threshold(self.threshold, self.encoder_type.kind)
        super().open(workspace)

    def calibrate(self, dataset: str, natural: Sequence[Utterance]) -> Mapping[str, Any]:
        """Find EER and threshold on trials of natural speech of one dataset; a published threshold stands as it is."""
        found = self._calibrate(natural, keep_scores=False)
        if self.threshold == CALIBRATED or "unavailable" in found:
            return found
        published = published_threshold(self.threshold, dataset)
        kept = {key: value for key, value in found.items() if not key.startswith("threshold")}
        return {**kept, "threshold": published, "threshold_source": self.threshold}

    def _calibrate(self, natural: Sequence[Utterance], *, keep_scores: bool) -> Mapping[str, Any]:
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
        return calibration(speech, trials, self.encoder.name, self.seed, keep_scores=keep_scores)

    def statistics(self, conversion: Conversion) -> Statistics:
        """Compare one conversion with every prompt of its target speaker, and with its source.

        Raises:
            UnmetNeed: the pair has no prompt, or the only prompt is the recording itself.
            ItemError: a recording can't be read or holds no speech.
        """
        voice = self.encoder.embed(conversion.path)
        cosines = self._cosines(conversion, voice)
        accept, cosine, source = (measure.name for measure in self.measures)
        count = float(len(cosines))
        sums = {cosine: (sum(cosines.values()), count)}
        details: dict[str, Any] = {"cosines": {name: round(value, 6) for name, value in cosines.items()}}
        unmet: dict[str, tuple[str, str]] = {}
        likeness = self._source_cosine(conversion, voice)
        if isinstance(likeness, float):
            details["source_cosine"] = round(likeness, 6)
        else:
            unmet[source] = likeness
        threshold, reason = self._threshold(conversion.pair)
        if threshold is None:
            return Statistics(
                sums, details, {source: ("calibration", reason), **unmet, accept: ("calibration", reason)}
            )
        sums[accept] = (float(sum(value >= threshold for value in cosines.values())), count)
        if isinstance(likeness, float):
            sums[source] = (float(likeness >= threshold), 1.0)
        return Statistics(sums, {**details, "threshold": threshold}, unmet)

    def _threshold(self, pair: ConversionPair) -> tuple[float | None, str]:
        """Threshold for a pair, or the reason why there is none."""
        if self.threshold != CALIBRATED:
            reason = f"no threshold {self.threshold!r} was published for dataset {pair.dataset!r}"
            return published_threshold(self.threshold, pair.dataset), reason
        learnt = self.workspace.calibrations.get(pair.dataset, {})
        reason = str(learnt.get("unavailable", f"nothing was calibrated for dataset {pair.dataset!r}"))
        return (float(learnt["threshold"]) if "threshold" in learnt else None), reason

    def _cosines(self, conversion: Conversion, voice: NDArray[np.float64]) -> dict[str, float]:
        """Compare with every prompt that is no copy of the recording itself: prompt id to cosine."""
        pair = conversion.pair
        if not pair.prompts:
            raise UnmetNeed("target", f"pair {pair.id} names no prompt of the target speaker to compare with")
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
        return cosines

    def _source_cosine(self, conversion: Conversion, voice: NDArray[np.float64]) -> float | tuple[str, str]:
        """Compare with the source recording; otherwise the need that is not met, and why."""
        source = conversion.pair.source
        if source is None:
            return "source", f"pair {conversion.pair.id} names no source recording"
        try:
            embedding = self.encoder.embed(source.path)
        except ItemError as error:
            return "source", f"source {source.id} of pair {conversion.pair.id}: {error}"
        if file_digest(source.path) == file_digest(conversion.path):
            return "other", f"{conversion.path} is the source itself: a trial against itself says nothing"
        return float(voice @ embedding)
