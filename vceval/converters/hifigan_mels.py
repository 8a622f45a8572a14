"""What converters on top of HiFi-GAN UNIVERSAL_V1 share: mel between 0 and 1 in, audio out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from vceval.checkpoints.known_files import HIFIGAN_UNIVERSAL
from vceval.converters.base import Made
from vceval.converters.native import NativeConverter, check_length, finished, padded, past_failures
from vceval.errors import ItemError
from vceval.networks.hifigan_features import HOP, SAMPLE_RATE, from_unit, levelled, log_mel, to_unit
from vceval.signal.audio import Resampler, Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["HOP", "SAMPLE_RATE", "HifiGanConverter", "unit_mel"]


class HifiGanConverter(NativeConverter):
    """A converter of mel spectra, one item at a time, whose audio HiFi-GAN makes: networks ``content`` and ``decode``.

    Subclasses name their own file first, and embed the prompts by :meth:`voice`.
    """

    authors_resampler: ClassVar[Resampler] = "resampy-0.2"
    #: Fewest seconds of a source.
    shortest: ClassVar[float]
    _network: Any
    _vocoder: Any

    def load(self) -> None:
        """Load the converter, which is the first of the files, and the vocoder.

        Raises:
            UsageError: a file is missing or wrong.
        """
        self._network = self.network(self.files[0].name)
        self._vocoder = self.network(HIFIGAN_UNIVERSAL.name)

    def decode(self, items: Sequence[tuple[Any, Any]], seeds: Sequence[int]) -> list[Made]:
        """Make mel spectra one by one, and audio of all."""
        import torch

        with torch.inference_mode():
            mels = [self._network.decode(content, voice)[0] for content, voice in items]
        return self.ended(self.waves(mels))

    def waves(self, mels: Sequence[Tensor]) -> list[Made]:
        """Begin to make audio of mel spectra (frames, 80), cut to between 0 and 1; an ItemError for one not finite."""
        import torch

        from vceval.networks.hifigan import vocode

        def vocoded(given: Sequence[Tensor]) -> list[Made]:
            if not given:
                return []
            with torch.inference_mode():
                found = vocode(self._vocoder, [from_unit(mel.float()).T for mel in given])
            lengths = [len(wave) for wave in found]
            return self.made(padded(found), lengths, lambda row: finished(row, SAMPLE_RATE, "HiFi-GAN"))

        failed = ItemError(f"{self.info.title} gave a mel spectrum that is not finite for this pair")
        fine = torch.stack([mel.isfinite().all() for mel in mels]).tolist() if mels else []
        checked = [mel if whole else failed for mel, whole in zip(mels, fine, strict=True)]
        return past_failures(checked, vocoded)

    def content(self, source: Waveform) -> Tensor:
        """Encode what is said."""
        import torch

        from vceval.networks.blocks import onto

        check_length(source, "source", self.shortest)
        mel = onto(self.device, torch.from_numpy(unit_mel(self.at_rate(source, SAMPLE_RATE), "source"))[None])
        encoded: Tensor = self._network.content(mel)
        return encoded


def unit_mel(wave: Waveform, what: str) -> NDArray[np.float32]:
    """Bring the peak of audio at 22050 Hz to 0.95, and compute the mel (frames, 80), 0 at its floor.

    Raises:
        ItemError: the audio is silent.
    """
    if not wave.samples.any():
        raise ItemError(f"{what} of {wave.seconds:.2f} s is silent")
    return to_unit(log_mel(levelled(wave.samples)))
