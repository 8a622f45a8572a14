"""Speaker verification: how often the converted voice is taken for that of the target speaker.

Recipes are other encoders, and acceptance thresholds that others published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vceval.corpora.names import known_corpus
from vceval.errors import ItemError, UnmetNeed, UsageError
from vceval.metrics.band import narrow_band
from vceval.metrics.base import Measure, Recipe, Statistics, Workspace
from vceval.metrics.sv_encoders import (
    CamPlusPlusEncoder,
    DvectorEncoder,
    EcapaEncoder,
    SeedTtsEncoder,
    SpeakerEncoder,
    WavLmSvEncoder,
)
from vceval.metrics.sv_resemblyzer import ResemblyzerEncoder
from vceval.metrics.trials import SpeakerMetric, Trials, calibration, draw_pairs, embed_natural
from vceval.records import Conversion, ConversionPair, Utterance
from vceval.storage.cache import file_digest

__all__ = [
    "CALIBRATED",
    "PUBLISHED",
    "Published",
    "SeedTtsSimilarity",
    "SpeakerVerification",
    "SpoofVerification",
    "check_threshold",
    "published_threshold",
]

#: The default: the threshold of equal errors on natural speech of the pair's own corpus.
CALIBRATED = "calibrated"


class Published(NamedTuple):
    """A threshold: encoder (as in :attr:`SpeakerEncoder.kind`), corpus, cosine, and its EER in percent where known."""

    encoder: str
    corpus: str
    threshold: float
    eer: float | None


#: By name. ``mediumvc``: README of MediumVC, d-vector network of yistLin; ``tzuhsien``: speaker-verification scripts of
#: tzuhsien's voice-conversion evaluation, used by FragmentVC, Resemblyzer; ``s3prl``: thresholds shipped with s3prl's
#: voice conversion for the two tasks of VCC2020, Resemblyzer. Trials with themselves are among those of the last two.
PUBLISHED: Mapping[str, Published] = {
    "mediumvc-vctk": Published("dvector", "VCTK", 0.462, 7.71),
    "mediumvc-librispeech": Published("dvector", "LibriSpeech", 0.337, 7.95),
    "mediumvc-vcc2020": Published("dvector", "VCC2020", 0.432, 1.06),
    "tzuhsien-vctk": Published("resemblyzer", "VCTK", 0.6898, 5.44),
    "tzuhsien-libritts": Published("resemblyzer", "LibriTTS", 0.6540, 8.07),
    "tzuhsien-librispeech": Published("resemblyzer", "LibriSpeech", 0.6950, None),
    "tzuhsien-voxceleb": Published("resemblyzer", "VoxCeleb", 0.6925, None),
    "tzuhsien-cmu": Published("resemblyzer", "CMU ARCTIC", 0.7061, 2.89),
    "s3prl-task1": Published("resemblyzer", "VCC2020", 0.7406, 1.08),
    "s3prl-task2": Published("resemblyzer", "VCC2020", 0.7492, 1.98),
}
_FACTS: Mapping[str, str] = {
    **SpeakerMetric.facts,
    "score": "cosine",
    "trial": "one converted recording, one prompt; or the source recording",
    "self-trials": "none, nor of copies",
    "aggregation": "all trials of a cell together",
    "calibration": "natural speech of the pair's corpus, half of the trials same-speaker",
    "missing": "counted, no value",
}
_PUBLISHED_FACTS: Mapping[str, str] = {
    **_FACTS,
    "published-trials": "drawn by others, perhaps with recordings against themselves; lists not published",
}
#: Recipes whose front end is not the default's keep their version: their values did not change with it.
_DVECTOR: Mapping[str, Any] = {
    "encoder_type": DvectorEncoder,
    "packages": ("torch", "soxr", "numpy"),
    "version": "1.1",
}
_RESEMBLYZER: Mapping[str, Any] = {"encoder_type": ResemblyzerEncoder, "version": "1.1"}
_S3PRL: Mapping[str, Any] = {
    **_RESEMBLYZER,
    "facts": _PUBLISHED_FACTS,
    "source": "Huang et al., S3PRL-VC, ICASSP 2022",
}
_RECIPES: Mapping[str, Recipe | str] = {
    "dvector": Recipe(
        """Speaker verification with the d-vector network of yistLin, otherwise as the default.

        MediumVC's converter sees this network's vector of the target: these scores favour MediumVC.
        """,
        "d-vector",
        "d-vector with attentive pooling",
        changes=_DVECTOR,
    ),
    "campplus": Recipe(
        "Speaker verification with CAM++ of 3D-Speaker, trained on Mandarin, otherwise as the default.",
        "CAM++",
        changes={
            "encoder_type": CamPlusPlusEncoder,
            "packages": ("torch", "soxr", "numpy"),
            "version": "1.0",
            "source": "Wang et al., CAM++: A fast and efficient network for speaker verification, Interspeech 2023",
        },
    ),
    "ecapa": Recipe(
        "Speaker verification with SpeechBrain's ECAPA-TDNN, otherwise as the default.",
        "ECAPA",
        "ECAPA-TDNN",
        changes={
            "encoder_type": EcapaEncoder,
            "version": "1.1",
            "packages": ("speechbrain", "torchaudio", "torch", "soxr", "numpy"),
            "source": "Desplanques et al., ECAPA-TDNN, Interspeech 2020",
        },
    ),
    "wavlm": Recipe(
        "Speaker verification with WavLM-Large and ECAPA-TDNN of UniSpeech, otherwise as the default.",
        "WavLM-SV",
        changes={
            "encoder_type": WavLmSvEncoder,
            "packages": ("torch", "soxr", "numpy"),
            "version": "1.0",
            "source": "Chen et al., Large-scale self-supervised speech representation learning for automatic speaker "
            "verification, ICASSP 2022",
        },
    ),
    "seedtts": "vceval.metrics.sv:SeedTtsSimilarity",
    "mediumvc": Recipe(
        "Acceptance at the thresholds in MediumVC's README: VCTK 0.462, LibriSpeech 0.337, VCC2020 0.432, d-vector.",
        "MediumVC",
        "d-vector, MediumVC's thresholds",
        changes={
            **_DVECTOR,
            "threshold": "mediumvc",
            "facts": _PUBLISHED_FACTS,
            "source": "Gu et al., MediumVC, arXiv 2110.02500, 2021",
        },
    ),
    "tzuhsien": Recipe(
        """Acceptance at the thresholds of tzuhsien's evaluation, Resemblyzer.

        VCTK 0.6898, LibriTTS 0.6540, LibriSpeech 0.6950, VoxCeleb 0.6925, CMU ARCTIC 0.7061.
        """,
        "tzuhsien",
        "thresholds of tzuhsien",
        changes={
            **_RESEMBLYZER,
            "threshold": "tzuhsien",
            "facts": _PUBLISHED_FACTS,
            "source": "Huang et al., How far are we from robust voice conversion: a survey, SLT 2021",
        },
    ),
    "s3prl-task1": Recipe(
        "Acceptance at the threshold that s3prl ships for task 1 of VCC2020, 0.7406, Resemblyzer.",
        "s3prl task 1",
        "threshold of s3prl, VCC2020 task 1",
        changes={**_S3PRL, "threshold": "s3prl-task1"},
    ),
    "s3prl-task2": Recipe(
        "Acceptance at the threshold that s3prl ships for task 2 of VCC2020, 0.7492, Resemblyzer.",
        "s3prl task 2",
        "threshold of s3prl, VCC2020 task 2",
        changes={**_S3PRL, "threshold": "s3prl-task2"},
    ),
    "resemblyzer": Recipe(
        """Speaker verification with Resemblyzer's own preparation of recordings, the default up to version 1.1.

        Quiet recordings are raised to -30 dB, loud ones left alone, and padding counts for the level.
        """,
        "Resemblyzer",
        "Resemblyzer's own levels",
        changes=_RESEMBLYZER,
    ),
    "spoof-eer": "vceval.metrics.sv:SpoofVerification",
}


@dataclass(frozen=True)
class SpeakerVerification(SpeakerMetric):
    """Acceptance by a speaker verifier, and cosine similarity, of converted speech and the target's prompts.

    Every prompt is one trial against the converted recording. ``sv_accept`` is the share of trials with a cosine
    of at least the threshold at which the same encoder makes equally many errors of both kinds on natural speech
    of the pair's own corpus. ``sv_cosine`` is the mean cosine and needs no calibration. ``sv_source`` is the
    leakage of the source: the share of conversions that are still accepted, at the same threshold, as the speaker of
    the source recording that was converted, and ``sv_source_cosine`` the mean cosine with it.

    ``sv_place`` puts the cosine on a scale that encoders share: 0 is the mean of impostors, 1 that of same-speaker
    trials, both of natural speech of the corpus. ``sv_percentile`` is the share of these same-speaker trials that score
    no more.

    ``trials`` and ``seed`` say how many natural trials are drawn (half of each kind), and by which seed.
    ``threshold`` is ``calibrated`` or the name of a published one that was measured with the same encoder
    (:data:`PUBLISHED`); it goes by the corpus of the target's recordings, and one without has no acceptance then.

    Source: Wan, Wang, Papir, Lopez Moreno, "Generalized end-to-end loss for speaker verification", ICASSP 2018;
    acceptance at the EER threshold: Huang, Lin, Liu, Chen, Lee, "How far are we from robust voice conversion: a
    survey", SLT 2021; acceptance as the source: Zhao et al., "Voice Conversion Challenge 2020", 2020.
    """

    trials: int = 30_000
    seed: int = 0
    threshold: str = CALIBRATED

    name: ClassVar[str] = "sv"
    title: ClassVar[str] = "Speaker verification"
    version: ClassVar[str] = "2.0"
    needs: ClassVar[frozenset[str]] = frozenset({"target"})
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure(
            "sv_accept",
            "SV acc.",
            "%",
            "higher",
            scale=100.0,
            decimals=1,
            worst=0.0,
            rate=True,
            thresholded="sv_cosine",
            question="voice",
        ),
        Measure("sv_cosine", "SV cos.", "", "higher", decimals=3, question="voice"),
        Measure(
            "sv_source",
            "Src. acc.",
            "%",
            "lower",
            scale=100.0,
            decimals=1,
            worst=1.0,
            rate=True,
            thresholded="sv_source_cosine",
        ),
        Measure("sv_source_cosine", "Src. cos.", "", "lower", decimals=3, secondary=True),
        Measure("sv_place", "SV place", "", "higher", decimals=2, secondary=True, placed="means"),
        Measure(
            "sv_percentile",
            "SV pct.",
            "%",
            "higher",
            scale=100.0,
            decimals=1,
            secondary=True,
            rate=True,
            placed="trials",
        ),
    )
    source: ClassVar[str] = "Wan et al., Generalized end-to-end loss for speaker verification, ICASSP 2018"
    recipes: ClassVar[Mapping[str, Recipe | str]] = _RECIPES
    #: Every encoder at its own calibrated threshold, one recipe each.
    groups: ClassVar[Mapping[str, Sequence[str]]] = {
        "panel": ("sv", "sv:dvector", "sv:campplus", "sv:ecapa", "sv:wavlm")
    }
    choices: ClassVar[str] = (
        "SV|enc:{0.encoder_identity}|{0.encoder_type.front_end}|enrol:each-prompt|thr:{0.threshold_rule}"
        "|trials:{0.trials}|seed:{0.seed}"
    )
    facts: ClassVar[Mapping[str, str]] = _FACTS

    @property
    def threshold_rule(self) -> str:
        """Where the threshold comes from, as signatures put it.

        Raises:
            UsageError: it is unknown, or was measured with another encoder.
        """
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
        same = {**found["same_gender"], "threshold": None}
        return {**kept, "same_gender": same, "threshold": published, "threshold_source": self.threshold}

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

    def recordings(self, conversion: Conversion) -> list[Path]:
        """The conversion, all prompts and the source."""
        source = conversion.pair.source
        return [conversion.path, *(one.path for one in conversion.pair.prompts), *([source.path] if source else [])]

    def statistics(self, conversion: Conversion) -> Statistics:
        """Compare one conversion with every prompt of its target speaker, and with its source.

        Raises:
            UnmetNeed: the pair has no prompt, or the only prompt is the recording itself.
            ItemError: a recording can't be read or holds no speech.
        """
        voice = self.encoder.embed(conversion.path)
        cosines = self.prompt_cosines(conversion, voice)
        accept, cosine, source, likeness, place, percentile = (measure.name for measure in self.measures)
        count = float(len(cosines))
        sums = {cosine: (sum(cosines.values()), count)}
        details: dict[str, Any] = {"cosines": {name: round(value, 6) for name, value in cosines.items()}}
        details |= narrow_band(conversion, conversion.pair.prompts[0])
        unmet: dict[str, tuple[str, str]] = {}
        alike = self._source_cosine(conversion, voice)
        if isinstance(alike, float):
            sums[likeness] = (alike, 1.0)
        else:
            unmet[source] = unmet[likeness] = alike
        learnt = self.workspace.calibrations.get(conversion.pair.dataset, {})
        if "same_mean" in learnt and learnt["same_mean"] > learnt["impostor_mean"]:
            places = _places(np.array(list(cosines.values())), learnt)
            sums |= {name: (float(some.sum()), count) for name, some in zip((place, percentile), places, strict=True)}
        else:
            why = f"natural speech of dataset {conversion.pair.dataset!r} gave this encoder no scale"
            unmet[place] = unmet[percentile] = ("calibration", str(learnt.get("unavailable", why)))
        threshold, reason = self._threshold(conversion.pair)
        if threshold is None:
            return Statistics(
                sums, details, {source: ("calibration", reason), **unmet, accept: ("calibration", reason)}
            )
        sums[accept] = (float(sum(value >= threshold for value in cosines.values())), count)
        if isinstance(alike, float):
            sums[source] = (float(alike >= threshold), 1.0)
        return Statistics(sums, {**details, "threshold": threshold}, unmet)

    def _threshold(self, pair: ConversionPair) -> tuple[float | None, str]:
        """Threshold for a pair, or the reason why there is none."""
        if self.threshold != CALIBRATED:
            dataset = pair.prompts[0].dataset if pair.prompts else pair.dataset
            reason = f"no threshold {self.threshold!r} was published for the target's recordings, dataset {dataset!r}"
            return published_threshold(self.threshold, dataset), reason
        learnt = self.workspace.calibrations.get(pair.dataset, {})
        reason = str(learnt.get("unavailable", f"nothing was calibrated for dataset {pair.dataset!r}"))
        return (float(learnt["threshold"]) if "threshold" in learnt else None), reason

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


def _places(cosines: NDArray[np.float64], learnt: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where cosines lie between impostors (0) and same-speaker trials (1), and among the latter (0 to 1)."""
    low, high = float(learnt["impostor_mean"]), float(learnt["same_mean"])
    quantiles = np.asarray(learnt["same_quantiles"], dtype=np.float64)
    among = np.interp(cosines, quantiles, np.linspace(0.0, 1.0, len(quantiles)), left=0.0, right=1.0)
    return (cosines - low) / (high - low), among


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
    version: ClassVar[str] = "2.0"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("sv:spoof-eer", "Spoof EER", "%", "higher", scale=100.0, decimals=1, reduction="eer", best=0.5),
    )
    choices: ClassVar[str] = (
        "SPOOF-EER|enc:{0.encoder_identity}|{0.encoder_type.front_end}|pos:real-real"
        "|neg:converted-first-prompt|eer:interpolated|trials:{0.trials}|seed:{0.seed}"
    )
    source: ClassVar[str] = "Baas et al., Voice conversion with just nearest neighbors, Interspeech 2023"
    facts: ClassVar[Mapping[str, str]] = {
        **SpeakerVerification.facts,
        "trial": "positive: two real recordings of a speaker; negative: one converted recording, its first prompt",
        "aggregation": "interpolated EER of the scores of a cell; datasets pooled",
        "natural-scores": "target speakers of the cell where 30 or more, else all",
        "best": "50 %",
    }

    def recordings(self, conversion: Conversion) -> list[Path]:
        """The conversion and all prompts."""
        return [conversion.path, *(one.path for one in conversion.pair.prompts)]

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
        prompt, cosine = next(iter(self.prompt_cosines(conversion, self.encoder.embed(conversion.path)).items()))
        return Statistics({self.measures[0].name: (cosine, 1.0)}, {"prompt": prompt, **narrow_band(conversion)})


@dataclass(frozen=True)
class SeedTtsSimilarity(SpeakerMetric):
    """SIM of seed-tts-eval: cosine of WavLM-SV's vectors of the conversion and of its first prompt, both whole.

    Nothing is cut or levelled, and the figure is the mean over files. seed-tts-eval drops files that it can't read and
    outputs that do not exist without a word; here they are counted. Its script fails on stereo, of which vceval reads
    one channel where both are equal.

    Source: Anastassiou et al., "Seed-TTS: A family of high-quality versatile speech generation models", arXiv
    2406.02430, 2024, and the scripts released with it.
    """

    encoder_type: ClassVar[type[SpeakerEncoder]] = SeedTtsEncoder
    name: ClassVar[str] = "sv:seedtts"
    title: ClassVar[str] = "Speaker similarity of seed-tts-eval"
    version: ClassVar[str] = "1.0"
    needs: ClassVar[frozenset[str]] = frozenset({"target"})
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("sv_cosine:seedtts", "SIM (seed-tts-eval)", "", "higher", decimals=3, question="voice"),
    )
    source: ClassVar[str] = "Anastassiou et al., Seed-TTS, arXiv 2406.02430, 2024"
    choices: ClassVar[str] = "SIM|enc:{0.encoder_identity}|{0.encoder_type.front_end}|enrol:first-prompt"
    facts: ClassVar[Mapping[str, str]] = {"channels": "equal or chosen", "dtype": "float32", "aggregation": "mean"}
    packages: ClassVar[tuple[str, ...]] = ("torch", "numpy")

    def recordings(self, conversion: Conversion) -> list[Path]:
        """The conversion and its first prompt."""
        return [conversion.path, *(one.path for one in conversion.pair.prompts[:1])]

    def statistics(self, conversion: Conversion) -> Statistics:
        """Compare one conversion with its first prompt.

        Raises:
            UnmetNeed: the pair has no prompt but the recording itself.
            ItemError: a recording can't be read or is too short.
        """
        cosines = self.prompt_cosines(conversion, self.encoder.embed(conversion.path), 1)
        return Statistics({self.measures[0].name: (sum(cosines.values()), 1.0)}, narrow_band(conversion))


def check_threshold(name: str, encoder: str) -> None:
    """Make sure that a threshold exists and belongs to an encoder.

    ``name`` is ``calibrated``, one of :data:`PUBLISHED`, or the part before its dash, ``tzuhsien``, which
    stands for its threshold of each corpus.

    Raises:
        UsageError: an unknown name, or a threshold measured with another encoder.
    """
    if name == CALIBRATED:
        return
    found = _matching(name)
    if not found:
        known = ", ".join([CALIBRATED, *PUBLISHED])
        raise UsageError(f"unknown threshold {name!r}; known: {known}")
    if any(entry.encoder != encoder for entry in found.values()):
        raise UsageError(f"threshold {name!r} was measured with another speaker encoder; take {CALIBRATED!r}")


def published_threshold(name: str, dataset: str) -> float | None:
    """Look a published threshold up for a corpus, by its whole name (``VCTK 0.92`` is VCTK); None where it has none.

    A full name such as ``tzuhsien-vctk`` serves its own corpus only, as ``tzuhsien`` serves each of its own.
    """
    corpus = known_corpus(dataset)
    return next((e.threshold for e in _matching(name).values() if corpus and corpus == known_corpus(e.corpus)), None)


def _matching(name: str) -> dict[str, Published]:
    if name in PUBLISHED:
        return {name: PUBLISHED[name]}
    # The tasks of one challenge are one corpus: which of them is meant must be named
    sources = {key: entry for key, entry in PUBLISHED.items() if key.partition("-")[0] == name}
    return {} if len({entry.corpus for entry in sources.values()}) < len(sources) else sources
