"""Speaker verification with other encoders, and with thresholds that others published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from vceval.metrics.base import Measure
from vceval.metrics.sv import SpeakerVerification, sv_measures
from vceval.metrics.sv_encoder import SpeakerEncoder
from vceval.metrics.sv_encoders import DvectorEncoder, EcapaEncoder

__all__ = [
    "DvectorVerification",
    "EcapaVerification",
    "MediumVcVerification",
    "S3prlTask1Verification",
    "S3prlTask2Verification",
    "TzuhsienVerification",
]


@dataclass(frozen=True)
class DvectorVerification(SpeakerVerification):
    """Speaker verification with the d-vector network of yistLin, otherwise as the default.

    MediumVC's converter sees this network's vector of the target: these scores favour MediumVC.
    """

    name: ClassVar[str] = "sv:dvector"
    title: ClassVar[str] = "Speaker verification (d-vector with attentive pooling)"
    measures: ClassVar[tuple[Measure, ...]] = sv_measures("dvector", "d-vector")
    encoder_type: ClassVar[type[SpeakerEncoder]] = DvectorEncoder
    packages: ClassVar[tuple[str, ...]] = ("torch", "soxr", "numpy")


@dataclass(frozen=True)
class EcapaVerification(SpeakerVerification):
    """Speaker verification with SpeechBrain's ECAPA-TDNN, otherwise as the default."""

    name: ClassVar[str] = "sv:ecapa"
    title: ClassVar[str] = "Speaker verification (ECAPA-TDNN)"
    measures: ClassVar[tuple[Measure, ...]] = sv_measures("ecapa", "ECAPA")
    source: ClassVar[str] = "Desplanques et al., ECAPA-TDNN, Interspeech 2020"
    encoder_type: ClassVar[type[SpeakerEncoder]] = EcapaEncoder
    packages: ClassVar[tuple[str, ...]] = ("speechbrain", "torchaudio", "torch", "soxr", "numpy")


_OTHERS: Mapping[str, str] = {
    **SpeakerVerification.facts,
    "published-trials": "drawn by others, perhaps with recordings against themselves; lists not published",
}


@dataclass(frozen=True)
class MediumVcVerification(DvectorVerification):
    """Acceptance at the thresholds in MediumVC's README: VCTK 0.462, LibriSpeech 0.337, VCC2020 0.432, d-vector."""

    threshold: str = "mediumvc"

    name: ClassVar[str] = "sv:mediumvc"
    title: ClassVar[str] = "Speaker verification (d-vector, MediumVC's thresholds)"
    measures: ClassVar[tuple[Measure, ...]] = sv_measures("mediumvc", "MediumVC")
    source: ClassVar[str] = "Gu et al., MediumVC, arXiv 2110.02500, 2021"
    facts: ClassVar[Mapping[str, str]] = _OTHERS


@dataclass(frozen=True)
class TzuhsienVerification(SpeakerVerification):
    """Acceptance at the thresholds of tzuhsien's evaluation, Resemblyzer.

    VCTK 0.6898, LibriTTS 0.6540, LibriSpeech 0.6950, VoxCeleb 0.6925, CMU ARCTIC 0.7061.
    """

    threshold: str = "tzuhsien"

    name: ClassVar[str] = "sv:tzuhsien"
    title: ClassVar[str] = "Speaker verification (thresholds of tzuhsien)"
    measures: ClassVar[tuple[Measure, ...]] = sv_measures("tzuhsien", "tzuhsien")
    source: ClassVar[str] = "Huang et al., How far are we from robust voice conversion: a survey, SLT 2021"
    facts: ClassVar[Mapping[str, str]] = _OTHERS


@dataclass(frozen=True)
class S3prlTask1Verification(SpeakerVerification):
    """Acceptance at the threshold that s3prl ships for task 1 of VCC2020, 0.7406, Resemblyzer."""

    threshold: str = "s3prl-task1"

    name: ClassVar[str] = "sv:s3prl-task1"
    title: ClassVar[str] = "Speaker verification (threshold of s3prl, VCC2020 task 1)"
    measures: ClassVar[tuple[Measure, ...]] = sv_measures("s3prl-task1", "s3prl task 1")
    source: ClassVar[str] = "Huang et al., S3PRL-VC, ICASSP 2022"
    facts: ClassVar[Mapping[str, str]] = _OTHERS


@dataclass(frozen=True)
class S3prlTask2Verification(S3prlTask1Verification):
    """Acceptance at the threshold that s3prl ships for task 2 of VCC2020, 0.7492, Resemblyzer."""

    threshold: str = "s3prl-task2"

    name: ClassVar[str] = "sv:s3prl-task2"
    title: ClassVar[str] = "Speaker verification (threshold of s3prl, VCC2020 task 2)"
    measures: ClassVar[tuple[Measure, ...]] = sv_measures("s3prl-task2", "s3prl task 2")
