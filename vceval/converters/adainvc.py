"""The converter ``adainvc``: AdaIN-VC as its authors published it, with Griffin-Lim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.base import ConverterInfo
from vceval.converters.native import NativeConverter, attempt, check_length
from vceval.errors import ItemError, UsageError
from vceval.networks import adainvc_features as front
from vceval.signal.audio import Resampler, Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["PAPER", "STATISTICS", "WEIGHTS", "AdaInConverter", "AdaInVc"]

_FOLDER = "http://speech.ee.ntu.edu.tw/~jjery2243542/resource/model/is19"
PAPER = (
    "Chou et al., One-shot voice conversion by separating speaker and content representations with instance "
    "normalization, Interspeech 2019, arXiv 1904.05742"
)

WEIGHTS = WeightFile(
    name="vctk_model.ckpt",
    holds="AdaIN-VC, the whole autoencoder, trained on VCTK",
    page="https://github.com/jjery2243542/adaptive_voice_conversion",
    url=f"{_FOLDER}/vctk_model.ckpt",
    licence="Apache-2.0 (repository jjery2243542/adaptive_voice_conversion; nothing is said of the weights)",
    network="vceval.networks.adainvc:network",
)
STATISTICS = WeightFile(
    name="attr.pkl",
    holds="mean and deviation of the 512 mel bands that AdaIN-VC was trained with",
    page="https://github.com/jjery2243542/adaptive_voice_conversion",
    url=f"{_FOLDER}/attr.pkl",
    licence="Apache-2.0 (repository jjery2243542/adaptive_voice_conversion; nothing is said of the file)",
    form="arrays",
    arrays=(("mean", (front.BANDS,)), ("std", (front.BANDS,))),
)


class AdaInConverter(NativeConverter):
    """What both editions of AdaIN-VC share: encoders that take the frames of one recording at a time.

    front_end: the module that makes frames. without: what it cuts away, for errors.
    """

    front_end: ClassVar[Any]
    without: ClassVar[str]
    _network: Any

    def frames(self, wave: Waveform, what: str, least: int) -> NDArray[np.float32]:
        """Front end: (frames, bands).

        Raises:
            ItemError: fewer frames than ``least`` are left of it, or it is too long.
        """
        check_length(wave, what)
        samples = self.front_end.speech(self.at_rate(wave, self.front_end.SAMPLE_RATE))
        count = 1 + len(samples) // self.front_end.HOP
        if count < least:
            raise ItemError(
                f"{what}: {len(samples) / self.front_end.SAMPLE_RATE:.3f} s ({count} frames) are left without "
                f"{self.without}; {least} frames are needed"
            )
        frames: NDArray[np.float32] = self.front_end.mel(samples)
        return frames

    def scaled(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring frames to the scale of the network."""
        return frames

    def content(self, source: Waveform) -> Tensor:
        """Encode what is said: (1, 128, frames / 8)."""
        from vceval.networks.adainvc import MIN_SOURCE_FRAMES

        code: Tensor = self._network.content_encoder(self._input([self.frames(source, "source", MIN_SOURCE_FRAMES)]))
        return code

    def voice(self, prompts: Sequence[Waveform]) -> Tensor:
        """Encode who speaks: (1, 128)."""
        from vceval.networks.adainvc import MIN_TARGET_FRAMES

        frames = [self.frames(prompt, "prompt", MIN_TARGET_FRAMES) for prompt in prompts]
        vector: Tensor = self._network.speaker_encoder(self._input(frames))
        return vector

    def _input(self, frames: Sequence[NDArray[np.float32]]) -> Tensor:
        import numpy as np
        import torch

        joined = self.scaled(np.concatenate(frames))
        return torch.from_numpy(np.ascontiguousarray(joined.T)[None]).to(self.device)


class AdaInVc(AdaInConverter):
    """Converts with AdaIN-VC; 24 kHz, up to 7 frames of 12.5 ms longer than the trimmed source.

    Sources and prompts are resampled to 24 kHz by resampy 0.2, as the authors' librosa does, and their ends cut where
    they are 15 dB below the loudest part, as the authors' ``inference.py`` does: that takes quiet sounds at the ends
    too. A source must keep 17 frames (0.20 s), a prompt 9 (0.10 s). The length is a multiple of 8 frames, which is not
    cropped. Audio comes from 100 rounds of Griffin-Lim, is cut where the ends are 60 dB below its loudest part, and is
    not levelled: peaks can be over full scale. The frames of several prompts are joined in time; the authors take one
    recording.

    Utterances go through the network one by one: statistics over time would see padding, and Griffin-Lim turns the
    rounding differences of a batch into audible ones. Nearly all the time is Griffin-Lim's, so nothing is lost. The
    processor computes it, beside a GPU with all cores. Deterministic; seeds are not used.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="adainvc",
        title="AdaIN-VC",
        sample_rate=front.SAMPLE_RATE,
        licence="Apache-2.0",
        paper=PAPER,
        kind="native",
        checkpoints=(WEIGHTS.name, STATISTICS.name),
        trained_on=None,
        front_end="trim:15 dB, output 60 dB|level:none",
    )
    authors_resampler: ClassVar[Resampler] = "resampy-0.2"
    files: ClassVar[tuple[WeightFile, ...]] = (WEIGHTS, STATISTICS)
    front_end: ClassVar[Any] = front
    without: ClassVar[str] = "ends 15 dB below the loudest part"

    def load(self) -> None:
        """Load the network, and mean and deviation of the bands.

        Raises:
            UsageError: a file is missing or wrong.
        """
        self._network = self.network(WEIGHTS.name)
        self.scale(self.plain(STATISTICS.name), str(self.path(STATISTICS.name)))

    def scale(self, statistics: Any, place: str) -> None:
        """Take mean and deviation of the bands.

        Raises:
            UsageError: a deviation is not above 0.
        """
        import numpy as np

        self._mean, self._deviation = (statistics[name].astype(np.float32) for name in ("mean", "std"))
        if not (self._deviation > 0).all():
            raise UsageError(f"{place}: {int((self._deviation <= 0).sum())} of its deviations are not above 0")

    def decode(self, items: Sequence[tuple[Any, Any]], seeds: Sequence[int]) -> list[Waveform | ItemError]:
        """Make frames one pair after the other, and audio from them."""
        return self.side_by_side(self._wave, (attempt(self._frames, item) for item in items))

    def scaled(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring frames to mean 0 and deviation 1, band by band."""
        values: NDArray[np.float32] = (frames - self._mean) / self._deviation
        return values

    def kept(self, source: Waveform) -> tuple[float, float]:
        """Say what is left of a source when its ends are cut, from and to in seconds."""
        from vceval.signal import spectral

        first, last = spectral.trim(self.at_rate(source, front.SAMPLE_RATE).samples, front.TRIM_DB)
        return first / front.SAMPLE_RATE, last / front.SAMPLE_RATE

    def waveform(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make audio from frames on the scale of 0 to 1."""
        return front.waveform(frames)

    def _frames(self, item: tuple[Tensor, Tensor]) -> NDArray[np.float32]:
        """Give the frames (time, 512) of one pair, on the scale of 0 to 1."""
        import numpy as np

        frames: NDArray[np.float32] = self._network.decoder(*item)[0].T.float().cpu().numpy()
        frames = frames * self._deviation + self._mean
        if not np.isfinite(frames).all():
            raise ItemError(f"{self.info.title} gave frames that are not finite for this pair")
        return frames

    def _wave(self, frames: NDArray[np.float32]) -> Waveform:
        import numpy as np

        samples = self.waveform(frames)
        if not len(samples) or not np.isfinite(samples).all():
            raise ItemError(f"{self.info.title} gave no audio but {'invalid samples' if len(samples) else 'silence'}")
        return Waveform(samples, front.SAMPLE_RATE)
