"""The converter ``adainvc-cyhuang``: AdaIN-VC at 16 kHz in cyhuang-tw's edition, with its universal vocoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.adainvc import PAPER, AdaInConverter
from vceval.converters.base import ConverterInfo
from vceval.converters.native import attempt, finished, past_failures
from vceval.errors import ItemError, UsageError
from vceval.networks import adainvc_cyhuang_features as front
from vceval.signal.audio import Resampler, Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["VOCODER", "WEIGHTS", "AdaInVcCyhuang"]

_PAGE = "https://drive.google.com/drive/folders/1MacKgXGA4Ad0O_c6W5MlkZMG0B8IzaM-"
_LICENCE = "none stated (repository cyhuang-tw/AdaIN-VC has no licence file; its code comes from an Apache-2.0 project)"

WEIGHTS = WeightFile(
    name="adainvc-cyhuang/model.ckpt",
    holds="AdaIN-VC in cyhuang-tw's edition, the whole autoencoder, trained on VCTK",
    page=_PAGE,
    licence=_LICENCE,
    network="vceval.networks.adainvc_cyhuang:network",
    note="the author's names for the two files are not known; they are told apart by what they hold",
)
VOCODER = WeightFile(
    name="adainvc-cyhuang/vocoder.pt",
    holds="the universal vocoder for the frames of cyhuang-tw's AdaIN-VC, 200 samples each",
    page=_PAGE,
    licence=_LICENCE,
    network="vceval.networks.universal_vocoder:cyhuang",
    metadata=(("hop_len", front.HOP),),
    note="its link was reported dead in 2023; with the option vocoder=griffin-lim the converter does without it. The "
    "vocoder.pt of the project yistLin/universal-vocoder can't be told from it, but was made for other mel spectra",
)


class AdaInVcCyhuang(AdaInConverter):
    """Converts with cyhuang-tw's AdaIN-VC; 16 kHz, up to 8 frames of 12.5 ms longer than what is left of the source.

    Sources and prompts are resampled to 16 kHz by SoX, brought to a peak of -3 dB, and silence is cut out of them,
    within as well as at the ends, as the author's SoX chain does: the timing of the source is not kept. A source must
    keep 17 frames (0.20 s), a prompt 9 (0.10 s). The length is a multiple of 8 frames, which is not cropped. The frames
    of several prompts are joined in time; the author takes one recording.

    Utterances go through the network one by one: statistics over time would see padding, and the vocoder draws sample
    after sample, so that a rounding difference in a frame would change all that follows. The vocoder takes many at
    once, each with random numbers from the seed of its pair, and gives the same bits as alone.

    Args:
        weights: folder that holds the files.
        vocoder: ``universal`` is the author's. ``griffin-lim`` does without its file: it inverts the mel spectrum (of
            power, as this edition has it) by 60 rounds of Griffin-Lim; that is not the author's result.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="adainvc-cyhuang",
        title="AdaIN-VC (cyhuang-tw)",
        sample_rate=front.SAMPLE_RATE,
        licence="not stated; code after Apache-2.0",
        paper=PAPER,
        kind="native",
        checkpoints=(WEIGHTS.name, VOCODER.name),
        trained_on=None,
        draws_noise=True,
        front_end="trim:sox silence, within too|level:peak -3 dB",
    )
    authors_resampler: ClassVar[Resampler] = "sox"
    files: ClassVar[tuple[WeightFile, ...]] = (WEIGHTS, VOCODER)
    front_end: ClassVar[Any] = front
    without: ClassVar[str] = "silence"

    def __init__(
        self,
        *,
        weights: str = "",
        vocoder: Literal["universal", "griffin-lim"] = "universal",
        precision: str = "float32",
        resampler: str = "authors",
    ) -> None:
        super().__init__(weights=weights, precision=precision, resampler=resampler)
        if vocoder not in ("universal", "griffin-lim"):
            raise UsageError(f"adainvc-cyhuang: vocoder is universal or griffin-lim, not {vocoder!r}")
        self.vocoder = vocoder
        self.declare_noise(vocoder == "universal")

    def load(self) -> None:
        """Load the network and, unless Griffin-Lim takes its place, the vocoder.

        Raises:
            UsageError: a file is missing or wrong; a vocoder with another number of samples per frame, too.
        """
        self._network = self.network(WEIGHTS.name)
        if self.vocoder == "universal":
            from vceval.networks.universal_vocoder import open_archive

            try:
                vocoder = open_archive(self.path(VOCODER.name), front.HOP, "cyhuang-tw's AdaIN-VC")
            except UsageError as error:
                raise UsageError(f"{error}; or do without it: option vocoder=griffin-lim") from error
            self._vocoder = self.counted(VOCODER.name, vocoder.to(self.device))

    def decode(self, items: Sequence[tuple[Any, Any]], seeds: Sequence[int]) -> list[Waveform | ItemError]:
        """Make frames one by one, and audio from them, drawn with the seeds."""
        mels = [attempt(self._frames, item) for item in items]
        drawn = [seed for mel, seed in zip(mels, seeds, strict=True) if not isinstance(mel, ItemError)]
        return past_failures(mels, lambda fine: self._waves(fine, drawn))

    def _waves(self, mels: list[Tensor], seeds: list[int]) -> list[Waveform | ItemError]:
        if self.vocoder == "griffin-lim":
            return self.side_by_side(_inverted, [mel.float().cpu().numpy() for mel in mels])
        return [_checked(samples.float().cpu().numpy()) for samples in self._vocoder.generate(mels, seeds)]

    def _frames(self, item: tuple[Tensor, Tensor]) -> Tensor:
        """Give the frames (time, 80) of one pair."""
        frames: Tensor = self._network.decoder(*item)[0].T
        if not bool(frames.isfinite().all()):
            raise ItemError("AdaIN-VC gave frames that are not finite for this pair")
        return frames


def _inverted(frames: NDArray[np.float32]) -> Waveform | ItemError:
    return _checked(front.waveform(frames))


def _checked(samples: NDArray[np.float32]) -> Waveform | ItemError:
    return finished(samples, front.SAMPLE_RATE, "AdaIN-VC")
