"""Systems that this package can't run: their authors published no weights.

They are registered all the same: a user who names one reads what is missing, where the code is, and the two ways to
evaluate it: ``precomputed``, for audio that was converted elsewhere, and ``command``, for a program that converts in
an environment of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from vceval.converters.base import Converter, ConverterInfo, Outcome, Request
from vceval.errors import UsageError

__all__ = ["ClsVc", "SkqVc", "StarGanVc2", "Unpublished", "Vae", "VqvcPlus"]


_NO_LICENCE = "none stated (no licence file)"


def _info(name: str, title: str, licence: str, paper: str, sample_rate: int | None = None) -> ConverterInfo:
    return ConverterInfo(name, title, sample_rate, licence, paper, "unpublished", trained_on=None)


class Unpublished(Converter):
    """A system by name only: it can be listed and constructed, and says when opened what a user must bring.

    missing: what keeps it from being run here. code: where its code is. bring: what a user needs to run it.
    pattern: how the files of its own script are called, for ``precomputed``.
    """

    missing: ClassVar[str]
    code: ClassVar[str]
    bring: ClassVar[str]
    pattern: ClassVar[str] = "{source}_to_{target}.wav"

    def open(self, device: str) -> None:
        """Refuse, with the way in which it can be run.

        Raises:
            UsageError: always.
        """
        raise UsageError(self.way())

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Refuse, as :meth:`open` does.

        Raises:
            UsageError: always.
        """
        raise UsageError(self.way())

    def missing_files(self) -> list[str]:
        """Say what is missing and the way around it."""
        return [self.way()]

    @classmethod
    def way(cls) -> str:
        """Say in plain words what is missing, where the code is, what to bring, and both ways to have it evaluated."""
        name = cls.info.name
        return (
            f"{cls.info.title} can't be run by vceval itself: {cls.missing}. Code: {cls.code}. "
            f"You bring {cls.bring}. Then take either door:\n"
            f"  audio converted elsewhere (source_path and prompt_paths in pairs.csv of any run say of what):\n"
            f"    vceval run --system '{name}=precomputed:FOLDER::{cls.pattern}'\n"
            f"  a program that converts a pair when asked to (the README has such a worker.py of 20 lines):\n"
            f"    vceval run --system '{name}=command:/path/of/its/environment/bin/python worker.py'"
        )


class ClsVc(Unpublished):
    """ClsVC: content and speaker told apart by two classifiers."""

    info = _info(
        "clsvc",
        "ClsVC",
        "nothing published",
        "ClsVC: learning speech representations with two different classification tasks",
    )
    missing = "neither code nor weights are public, as far as could be found"
    code = "none known"
    bring = "an implementation of the paper and weights that you trained"


class SkqVc(Unpublished):
    """SKQVC: k-means codes of WavLM features, what they lose of prosody compensated, and a HiFi-GAN decoder."""

    info = _info(
        "skqvc",
        "SKQVC",
        "nothing published",
        "Sim, Yoon, Suh, SKQVC: one-shot voice conversion by k-means quantization with self-supervised speech "
        "representations, arXiv 2411.16147",
    )
    missing = "neither code nor weights are published, only a page of samples"
    code = (
        "none; samples: https://github.com/simyoungjun/SKQVC-DEMO (score a copy: vceval score FOLDER --pattern skqvc)"
    )
    bring = "an implementation of the paper and weights that you trained, or audio from its authors"
    pattern = "src;{source}&tgt;{target}/Ours.wav"


class VqvcPlus(Unpublished):
    """VQVC+: vector quantisation in a U-Net; one-shot, 22.05 kHz."""

    info = _info(
        "vqvcplus",
        "VQVC+",
        _NO_LICENCE,
        "Wu, Chen, Lee, VQVC+: one-shot voice conversion by vector quantization and U-Net architecture, "
        "Interspeech 2020, arXiv 2006.04154",
        sample_rate=22_050,
    )
    missing = "no weights are published; the README trains from scratch"
    code = "https://github.com/ericwudayi/SkipVQVC (commit 80e3250, no licence file)"
    bring = (
        "weights that you trained, and the MelGAN vocoder of descriptinc/melgan-neurips; frames must be a multiple of "
        "8, mels must be scaled as in the trainer that you used (raw log10 for train_normal, (25 x + 50) / 50 for the "
        "others), its quantiser needs CUDA, and the model vqvc+ draws a random state at each call, so seed it"
    )


class StarGanVc2(Unpublished):
    """StarGAN-VC2 in the form of a public re-implementation: WORLD features, a closed set of speakers."""

    info = _info(
        "starganvc2",
        "StarGAN-VC2",
        _NO_LICENCE,
        "Kaneko et al., StarGAN-VC2: rethinking conditional methods for StarGAN-based voice conversion, "
        "Interspeech 2019, arXiv 1907.12279",
        sample_rate=22_050,
    )
    missing = "no weights are published, only samples, and the paper's authors published no code"
    code = (
        "https://github.com/SamuelBroughton/StarGAN-Voice-Conversion-2 (commit 233cac6, no licence file; by others "
        "than the paper's authors, and not exactly the paper's model)"
    )
    bring = (
        "weights that you trained on the very speakers of your suite, as it is not one-shot, and for each of them the "
        "statistics SPEAKER_stats.npz; its script never leaves training mode, and the output depends on that"
    )


class Vae(Unpublished):
    """VAE, VQ-VAE and JointVAE of a student project: a closed set of speakers, 16 kHz."""

    info = _info(
        "vae",
        "VAE / VQ-VAE / JointVAE",
        _NO_LICENCE,
        "Hsu et al., Voice conversion from non-parallel corpora using variational auto-encoder, APSIPA 2016, "
        "arXiv 1610.04019",
        sample_rate=16_000,
    )
    missing = "no weights are published"
    code = "https://github.com/vsimkus/voice-conversion (commit 1cfda2b, no licence file)"
    bring = (
        "weights that you trained on the very speakers of your suite, as it is not one-shot (a speaker is a number "
        "in the sorted list of folders), and an old torchaudio, whose SoX effects it needs"
    )
