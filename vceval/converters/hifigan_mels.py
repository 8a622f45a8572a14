"""What converters on top of HiFi-GAN UNIVERSAL_V1 share: mel between 0 and 1 in, audio out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from vceval.audio import Waveform, resample
from vceval.errors import ItemError
from vceval.networks.hifigan_features import HOP, SAMPLE_RATE, from_unit, levelled, log_mel, to_unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["HOP", "SAMPLE_RATE", "attempt", "unit_mel", "waves"]

T = TypeVar("T")


def attempt(step: Callable[[T], Any], item: T) -> Any:
    """Take one item through a step; an ItemError stands for the result where it is refused."""
    try:
        return step(item)
    except ItemError as error:
        return error


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
    logarithms = [torch.from_numpy(from_unit(mels[place].cpu().numpy()).T.copy()) for place in finite]
    made = vocode(vocoder, [mel.to(mels[place].device) for mel, place in zip(logarithms, finite, strict=True)])
    results: list[Waveform | ItemError] = [
        ItemError(f"{title} gave a mel spectrum that is not finite for this pair") for _ in mels
    ]
    for place, wave in zip(finite, made, strict=True):
        samples = np.ascontiguousarray(wave.cpu().numpy(), dtype=np.float32)
        if np.isfinite(samples).all():
            results[place] = Waveform(samples, SAMPLE_RATE)
        else:
            results[place] = ItemError("HiFi-GAN gave samples that are not finite for this pair")
    return results
