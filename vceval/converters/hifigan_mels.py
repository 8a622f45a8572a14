"""What converters on top of HiFi-GAN UNIVERSAL_V1 share: mel between 0 and 1 in, audio out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from vceval.converters.native import NativeConverter, attempt, check_length
from vceval.errors import ItemError
from vceval.networks.hifigan_features import HOP, SAMPLE_RATE, from_unit, levelled, log_mel, to_unit
from vceval.signal.audio import Waveform, resample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["HOP", "SAMPLE_RATE", "HifiGanConverter", "unit_mel", "waves"]


class HifiGanConverter(NativeConverter):
    """A converter of mel spectra, one item at a time, whose audio HiFi-GAN makes: networks ``content`` and ``decode``.

    Subclasses load ``_network`` and ``_vocoder``, and embed the prompts by :meth:`voice`.
    """

    #: Fewest seconds of a source.
    shortest: ClassVar[float]
    _network: Any
    _vocoder: Any

    @abstractmethod
    def voice(self, prompts: Sequence[Waveform]) -> Tensor:
        """Embed who speaks.

        Raises:
            ItemError: a prompt is too short, too long, or holds no speech.
        """

    def encode_content(self, sources: Sequence[Waveform]) -> list[Any]:
        """Encode what is said; an ItemError for a source that is too short, too long or silent."""
        return [attempt(self._content, source) for source in sources]

    def encode_speaker(self, prompts: Sequence[Sequence[Waveform]]) -> list[Any]:
        """Encode who speaks; an ItemError where a prompt is refused."""
        return [attempt(self.voice, group) for group in prompts]

    def decode(self, items: Sequence[tuple[Any, Any]], seeds: Sequence[int]) -> list[Waveform | ItemError]:
        """Make mel spectra one by one, and audio of all."""
        import torch

        with torch.inference_mode():
            mels = [self._network.decode(content, voice)[0] for content, voice in items]
            return waves(self._vocoder, mels, self.info.title)

    def _content(self, source: Waveform) -> Tensor:
        import torch

        check_length(source, "source", self.shortest)
        mel = torch.from_numpy(unit_mel(source, "source"))[None].to(self.device)
        encoded: Tensor = self._network.content(mel)
        return encoded


def unit_mel(wave: Waveform, what: str) -> NDArray[np.float32]:
    """Resample to 22050 Hz, bring the peak to 0.95, and compute the mel (frames, 80), 0 at its floor.

    Raises:
        ItemError: the audio is silent.
    """
    samples = resample(wave, SAMPLE_RATE).samples
    if not samples.any():
        raise ItemError(f"{what} of {wave.seconds:.2f} s is silent")
    return to_unit(log_mel(levelled(samples)))


def waves(vocoder: Any, mels: Sequence[Tensor], title: str) -> list[Waveform | ItemError]:
    """Make audio of mel spectra (frames, 80), cut to between 0 and 1; an ItemError where one is not finite."""
    import numpy as np
    import torch

    from vceval.networks.hifigan import vocode

    finite = [place for place, mel in enumerate(mels) if bool(torch.isfinite(mel).all())]
    logarithms = [torch.from_numpy(from_unit(mels[place].float().cpu().numpy()).T.copy()) for place in finite]
    made = vocode(vocoder, [mel.to(mels[place].device) for mel, place in zip(logarithms, finite, strict=True)])
    results: list[Waveform | ItemError] = [
        ItemError(f"{title} gave a mel spectrum that is not finite for this pair") for _ in mels
    ]
    for place, wave in zip(finite, made, strict=True):
        samples = np.ascontiguousarray(wave.float().cpu().numpy(), dtype=np.float32)
        if np.isfinite(samples).all():
            results[place] = Waveform(samples, SAMPLE_RATE)
        else:
            results[place] = ItemError("HiFi-GAN gave samples that are not finite for this pair")
    return results
