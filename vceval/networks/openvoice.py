"""OpenVoice's tone-colour converter: a VITS posterior encoder, flow and decoder, steered by a reference encoder.

Conversions are made by the library coqui-tts, in an environment of its own (the recipe ``openvoice``). This network
is what a downloaded file is checked against, and what the library's results are compared with in the tests.

Source: Qin, Zhao, Yu, Sun, "OpenVoice: versatile instant voice cloning", arXiv 2312.01479, section 2; VITS
(arXiv 2106.06103).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vceval.errors import UsageError
from vceval.networks.blocks import WNConv2d
from vceval.networks.hifigan import Generator
from vceval.networks.vits import CouplingFlow, GaussianEncoder, sample

__all__ = ["BINS", "LATENT", "SETTINGS_V2", "TAU", "ReferenceEncoder", "ToneConverter", "check_settings"]

#: Bins of the spectrogram, values of a frame's latent vector, of a speaker vector.
BINS, LATENT, SPEAKER = 513, 192, 256
#: Scale of the noise that is drawn, as published.
TAU = 0.3
#: What the tables of its configuration say, as far as it decides the network and its spectrogram.
SETTINGS_V2: Mapping[str, Mapping[str, Any]] = {
    "data": {"sampling_rate": 22_050, "filter_length": 1024, "hop_length": 256, "win_length": 1024},
    "model": {
        "zero_g": True,
        "inter_channels": 192,
        "hidden_channels": 192,
        "resblock": "1",
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "upsample_rates": [8, 8, 2, 2],
        "upsample_initial_channel": 512,
        "upsample_kernel_sizes": [16, 16, 4, 4],
        "gin_channels": 256,
    },
}


class ReferenceEncoder(nn.Module):
    """Embeds a voice: six strided convolutions over the spectrogram, then a GRU's last state.

    Keys: ``layernorm``, ``convs.N`` (weight-normed), ``gru``, ``proj``.

    Args:
        bins: of the spectrogram.
        speaker: values of the vector.
        widths: channels of the convolutions.
    """

    def __init__(self, bins: int, speaker: int, widths: tuple[int, ...] = (32, 32, 64, 64, 128, 128)) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            WNConv2d(before, after, 3, stride=2, padding=1)
            for before, after in zip((1, *widths[:-1]), widths, strict=True)
        )
        left = bins
        for _ in widths:
            left = (left + 1) // 2
        self.gru = nn.GRU(widths[-1] * left, 128, batch_first=True)
        self.proj = nn.Linear(128, speaker)
        self.layernorm = nn.LayerNorm(bins)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Embed spectrograms of one length, (batch, bins, frames), as (batch, speaker), not brought to length 1."""
        hidden = self.layernorm(spectrogram.transpose(1, 2))[:, None]
        for convolution in self.convs:
            hidden = torch.relu(convolution(hidden))
        _, last = self.gru(hidden.transpose(1, 2).flatten(2))
        vector: Tensor = self.proj(last[0])
        return vector


class ToneConverter(nn.Module):
    """The whole of ``checkpoint.pth``: ``enc_q``, ``flow``, ``dec``, ``ref_enc``.

    In version 2 the posterior encoder and the decoder are told of no speaker (``zero_g`` in its configuration): only
    the flow exchanges the voice.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dec = Generator(LATENT, (8, 8, 2, 2), (16, 16, 4, 4), plain_ends=True, condition=SPEAKER)
        self.enc_q = GaussianEncoder(BINS, LATENT, LATENT, condition=SPEAKER)
        self.flow = CouplingFlow(LATENT, LATENT, condition=SPEAKER)
        self.ref_enc = ReferenceEncoder(BINS, SPEAKER)

    def forward(self, spectrogram: Tensor, source: Tensor, target: Tensor, noise: Tensor) -> Tensor:
        """Convert one source, as version 2 does.

        Args:
            spectrogram: (1, 513, frames), as of :func:`vceval.networks.yourtts_features.spectrogram`, at 22.05 kHz.
            source: (1, 256), speaker vector of the source.
            target: (1, 256), speaker vector of the target.
            noise: (1, 192, frames), standard normal; it is scaled by :data:`TAU`.

        Returns:
            (1, 1, 256 * frames) within -1 and 1.
        """
        mask = torch.ones_like(spectrogram[:, :1])
        nobody = torch.zeros_like(source)[:, :, None]
        mean, log_deviation = self.enc_q(spectrogram, mask, nobody)
        latent = sample(mean, log_deviation, TAU * noise, mask)
        free = self.flow(latent, mask, source[:, :, None])
        moved = self.flow(free, mask, target[:, :, None], inverse=True)
        audio: Tensor = self.dec(moved, nobody)
        return audio


def check_settings(place: str, name: str, settings: Mapping[str, Any]) -> None:
    """Make sure that a configuration is that of OpenVoice version 2.

    Version 1's lacks ``zero_g``: it tells encoder and decoder of the speakers, which the library does not do.

    Args:
        place: where it lies, for errors.
        name: what it should be.
        settings: what it holds.

    Raises:
        UsageError: it is of something else, or differs; every difference is named.
    """
    wrong = []
    for table, values in SETTINGS_V2.items():
        found = settings.get(table)
        if not isinstance(found, Mapping):
            raise UsageError(f"{place}: it has no table {table!r}; this is not {name}")
        wrong += [
            f"{table}.{key} is {found.get(key)!r}, not {value!r}"
            for key, value in values.items()
            if found.get(key) != value
        ]
    if wrong:
        raise UsageError(f"{place}: these are not the settings of OpenVoice version 2: {'; '.join(wrong)}")
