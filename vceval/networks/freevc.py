"""FreeVC: what is said, taken from WavLM through a bottleneck, goes through a speaker-conditioned flow to a vocoder.

Source: Li, Tu, Xiao, "FreeVC: Towards high-quality text-free one-shot voice conversion", ICASSP 2023, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vceval.networks.blocks import frame_mask, onto
from vceval.networks.hifigan import Generator
from vceval.networks.vits import CouplingFlow, GaussianEncoder, sample

__all__ = ["LATENT", "MelSpeakerEncoder", "Synthesizer", "freevc", "freevc_24", "freevc_s"]

#: Channels of the latent space, and so of the noise.
LATENT = 192
#: Frames of a window of the built-in speaker encoder, and from one window to the next.
_WINDOW, _STEP = 128, 64


class MelSpeakerEncoder(nn.Module):
    """FreeVC-s's own speaker encoder: an LSTM over windows of log-mel frames, trained with the rest.

    Args:
        bands: mel bands.
        size: of the LSTM's state and of the speaker vector.
    """

    def __init__(self, bands: int = 80, size: int = 256) -> None:
        super().__init__()
        self.lstm = nn.LSTM(bands, size, 3, batch_first=True)
        self.linear = nn.Linear(size, size)

    def forward(self, mel: Tensor) -> Tensor:
        """Embed one utterance.

        Args:
            mel: (1, bands, frames), at least one frame. Windows of 128 frames start every 64 where 128 frames and
                one more are left; the last 128 frames (or what is there) are always one.

        Returns:
            (1, size): the mean of vectors of length 1, itself not brought to length 1. Not a number where the
            network says nothing of a window (a vector of zeros has no direction).
        """
        frames = mel.transpose(1, 2)[0]
        starts = range(0, len(frames) - _WINDOW, _STEP)
        windows = torch.stack([*(frames[start : start + _WINDOW] for start in starts), frames[-_WINDOW:]])
        _, (hidden, _) = self.lstm(windows)
        vectors = torch.relu(self.linear(hidden[-1]))
        return functional.normalize(vectors, dim=1, eps=0.0).mean(dim=0, keepdim=True)


class Synthesizer(nn.Module):
    """The generator as published: prior encoder, flow, decoder; posterior encoder, which only training needs.

    Args:
        rates, kernels: of the decoder's transposed convolutions; the product of the rates is samples per frame.
        own_speaker: whether it has its own speaker encoder (FreeVC-s).
        content: width of the content features.
        bins: of the linear spectrogram that the posterior encoder took.
        channels, speaker, initial: widths of the latent space, of the speaker vector, and of the decoder's start.
        block_kernels, dilations: of the decoder's residual blocks.

    Keys: ``enc_p``, ``dec``, ``enc_q``, ``flow``, ``enc_spk`` where it has one.
    """

    def __init__(
        self,
        rates: Sequence[int],
        kernels: Sequence[int] = (16, 16, 4, 4),
        *,
        own_speaker: bool = False,
        content: int = 1024,
        bins: int = 641,
        channels: int = LATENT,
        speaker: int = 256,
        initial: int = 512,
        block_kernels: Sequence[int] = (3, 7, 11),
        dilations: Sequence[int] = (1, 3, 5),
    ) -> None:
        super().__init__()
        self.channels = channels
        self.enc_p = GaussianEncoder(content, channels, channels)
        self.dec = Generator(
            channels,
            rates,
            kernels,
            initial=initial,
            block_kernels=block_kernels,
            dilations=dilations,
            plain_ends=True,
            condition=speaker,
        )
        # Inference has no use for it, but the file holds it
        self.enc_q = GaussianEncoder(bins, channels, channels, condition=speaker)
        self.flow = CouplingFlow(channels, channels, condition=speaker)
        if own_speaker:
            self.enc_spk = MelSpeakerEncoder(size=speaker)

    def latent(self, content: Tensor, speaker: Tensor, noise: Tensor, lengths: Tensor) -> Tensor:
        """Take content features to the decoder's input.

        Args:
            content: (batch, 1024, frames).
            speaker: (batch, 256).
            noise: (batch, 192, frames), standard normal; the published system draws it with scale 1 at every call.
            lengths: (batch,) frames of each item, in main memory.

        Returns:
            (batch, 192, frames), zero beyond an item's length.
        """
        mask = frame_mask(onto(content.device, lengths), content.shape[-1])
        mean, log_deviation = self.enc_p(content, mask)
        prior = sample(mean, log_deviation, noise, mask)
        back: Tensor = self.flow(prior, mask, speaker[:, :, None], inverse=True)
        return back * mask

    def forward(self, content: Tensor, speaker: Tensor, noise: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Convert; arguments as of :meth:`latent`.

        Items of unequal length come out as they do alone: beyond an item's end the decoder too sees what it sees
        when the item is alone. (Upstream's decoder has no mask, so there the last samples before the end differ.)

        Returns:
            (batch, 1, samples), samples per frame as the rates say, within -1 and 1; 0 beyond an item's length.
        """
        if lengths is None:
            lengths = torch.full((len(content),), content.shape[-1])
        audio: Tensor = self.dec(self.latent(content, speaker, noise, lengths), speaker[:, :, None], lengths=lengths)
        return audio


def freevc() -> Synthesizer:
    """Build FreeVC: 16 kHz, 320 samples per frame, 560 entries."""
    return Synthesizer((10, 8, 2, 2))


def freevc_s() -> Synthesizer:
    """Build FreeVC-s: as FreeVC, with its own speaker encoder, 574 entries."""
    return Synthesizer((10, 8, 2, 2), own_speaker=True)


def freevc_24() -> Synthesizer:
    """Build FreeVC-24: 24 kHz, 480 samples per frame, 560 entries."""
    return Synthesizer((10, 6, 4, 2))
