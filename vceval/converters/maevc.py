"""The converter ``maevc``: MAE-VC with HiFi-GAN, from the files that its authors published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from vceval.checkpoints.known_files import HIFIGAN_UNIVERSAL
from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.base import ConverterInfo
from vceval.converters.hifigan_mels import HOP, SAMPLE_RATE, HifiGanConverter, unit_mel
from vceval.converters.native import check_length
from vceval.errors import ItemError
from vceval.signal.audio import Waveform
from vceval.signal.spectral import trim

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["WEIGHTS", "MaeVc"]

WEIGHTS = WeightFile(
    name="base_6c_16b_36_FSC_50.pt",
    holds="MAE-VC, trained on ten speakers of VCTK, half of the frames masked",
    page="https://github.com/BrightGu/MAE-VC/tree/HEAD/MaskVC/pretrained",
    licence="none stated (repository BrightGu/MAE-VC has no licence file)",
    url="https://github.com/BrightGu/MAE-VC/raw/HEAD/MaskVC/pretrained/base_6c_16b_36_FSC_50.pt",
    network="vceval.networks.maevc:maevc",
    entry=("Generator",),
    git_sha1="6e06573fc1c04f082cce5790104d8f50cd373506",
)

#: Two mel frames of a source (0.023 s) and a little; the 33 of a prompt are counted after its quiet ends are cut.
_MIN_SECONDS = 0.03
#: Ends of a prompt this many dB below its loudest part are cut, before it is levelled.
TRIM_DB = 20.0


class MaeVc(HifiGanConverter):
    """Converts with MAE-VC and HiFi-GAN UNIVERSAL_V1; 22050 Hz, 256 samples for every mel frame of the source.

    Audio is resampled to 22050 Hz by resampy 0.2, as the authors' librosa 0.8.1 does, and brought to a peak of 0.95. Of
    prompts, ends that are quieter than the loudest part by 20 dB are cut before that, sources are not trimmed. Sources
    must last 0.03 s, prompts 0.38 s (33 mel frames) without their quiet ends. The vectors of several prompts are
    averaged; the authors take one utterance. Half of the frames are masked in every block at inference too: those that
    differ least from the frame before. Deterministic; seeds are not used.

    There is no masking of padding, and which frames are hidden hangs on a threshold, so the network works on one
    item at a time and in double precision; on a GPU the vocoder takes several, padded and masked, which changes them
    by less than 1e-5.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="maevc",
        title="MAE-VC",
        sample_rate=SAMPLE_RATE,
        licence="none stated; HiFi-GAN: MIT",
        paper="Voice conversion using learnable similarity-guided masked autoencoder, IWDW 2022, "
        "doi 10.1007/978-3-031-25115-3_4",
        kind="native",
        checkpoints=(WEIGHTS.name, HIFIGAN_UNIVERSAL.name),
        trained_on=None,
        front_end="trim:prompt 20 dB|level:peak 0.95",
    )
    files: ClassVar[tuple[WeightFile, ...]] = (WEIGHTS, HIFIGAN_UNIVERSAL)

    shortest = _MIN_SECONDS

    def voice(self, prompts: Sequence[Waveform]) -> Tensor:
        """Embed who speaks: (1, 1, 256), the mean over the prompts."""
        import torch

        mels = [torch.from_numpy(self._target_mel(prompt))[None].to(self.device) for prompt in prompts]
        return torch.stack([self._network.speaker(mel) for mel in mels]).mean(dim=0)

    def _target_mel(self, prompt: Waveform) -> Any:
        from vceval.networks.maevc import MIN_TARGET_FRAMES

        check_length(prompt, "prompt")
        moved = self.at_rate(prompt, SAMPLE_RATE)
        start, end = trim(moved.samples, TRIM_DB)
        if end - start < MIN_TARGET_FRAMES * HOP:
            raise ItemError(
                f"a prompt of {prompt.seconds:.2f} s is too short: {(end - start) / SAMPLE_RATE:.2f} s are left "
                f"without its quiet ends, {MIN_TARGET_FRAMES * HOP / SAMPLE_RATE:.2f} s are needed"
            )
        return unit_mel(Waveform(moved.samples[start:end], SAMPLE_RATE), "prompt")
