"""The converter ``mediumvc``: MediumVC with HiFi-GAN, its speaker vectors by yistLin's d-vector network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from vceval.checkpoints.known_files import DVECTOR, HIFIGAN_UNIVERSAL
from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.base import ConverterInfo
from vceval.converters.hifigan_mels import SAMPLE_RATE, HifiGanConverter
from vceval.converters.native import check_length
from vceval.errors import ItemError
from vceval.signal.audio import Waveform

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["WEIGHTS", "MediumVc"]

WEIGHTS = WeightFile(
    name="checkpoint-3900.pt",
    holds="MediumVC, trained on VCTK, with SingleVC inside",
    page="https://drive.google.com/file/d/1mMSLYdHZZ9PtJo6kceMO2483TxKXgLa_ (repository BrightGu/MediumVC)",
    licence="none stated (repository BrightGu/MediumVC has no licence file)",
    network="vceval.networks.mediumvc:mediumvc",
    entry=("Generator",),
)

#: Two mel frames (0.023 s) and a little: over a single one nothing can vary.
_MIN_SECONDS = 0.03


class MediumVc(HifiGanConverter):
    """Converts with MediumVC and HiFi-GAN UNIVERSAL_V1; 22050 Hz, 256 samples for every mel frame of the source.

    Sources are resampled to 22050 Hz by resampy 0.2, as the authors' librosa 0.8.1 does, brought to a peak of 0.95 and
    not trimmed; they must last 0.03 s. Prompts go to the d-vector front end at the rate they have: 16 kHz by SoX, peak
    at -3 dB, silence cut. A prompt without 13 ms of speech is refused. The speaker vector is divided by its largest
    magnitude, not its length; of several prompts the mean of the vectors of length 1 is taken first (the authors take
    one utterance). Deterministic; seeds are not used.

    Padding would reach everywhere and rounding is magnified by the network, so it works on one item at a time and in
    double precision; on a GPU the vocoder takes several, padded and masked, which changes them by less than 1e-5.

    SingleVC turns every source into the voice of VCTK speaker p249 on the way. Verification by the same d-vector
    network (``sv:dvector``) favours this converter: it has been told those very vectors.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="mediumvc",
        title="MediumVC",
        sample_rate=SAMPLE_RATE,
        licence="none stated; HiFi-GAN: MIT; d-vector: none stated",
        paper="Gu et al., MediumVC: Any-to-any voice conversion using synthetic specific-speaker speeches as "
        "intermedium features, arXiv 2110.02500, 2021",
        kind="native",
        checkpoints=(WEIGHTS.name, HIFIGAN_UNIVERSAL.name, DVECTOR.name),
        trained_on=None,
        front_end="trim:prompt sox silence|level:peak 0.95, prompt -3 dB",
    )
    files: ClassVar[tuple[WeightFile, ...]] = (WEIGHTS, HIFIGAN_UNIVERSAL, DVECTOR)

    shortest = _MIN_SECONDS

    def load(self) -> None:
        """Load converter, vocoder and speaker encoder.

        Raises:
            UsageError: a file is missing or wrong.
        """
        from vceval.networks.dvector import Dvector

        super().load()
        self._encoder = Dvector(self.network(DVECTOR.name).state_dict(), self.device)

    def voice(self, prompts: Sequence[Waveform]) -> Tensor:
        """Embed who speaks: (1, 256), the mean of the prompts' d-vectors, its largest value 1."""
        import numpy as np
        import torch

        from vceval.networks.dvector_features import dvector_frames

        frames = []
        for prompt in prompts:
            check_length(prompt, "prompt")
            frames.append(dvector_frames(prompt))
            if not len(frames[-1]):
                raise ItemError(
                    f"no speech is left of a prompt of {prompt.seconds:.2f} s after silence is cut (0.1 s of it in a "
                    "row must be louder than 1 % of full scale when its peak is brought to -3 dB)"
                )
        mean = np.mean(self._encoder.embed(frames), axis=0)
        return torch.from_numpy(mean / np.abs(mean).max())[None].to(self.device)
