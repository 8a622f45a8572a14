"""AutoVC: an auto-encoder whose narrow bottleneck leaves no room for the speaker; and its speaker encoder.

Source: Qian, Zhang, Chang, Yang, Hasegawa-Johnson, "AutoVC: zero-shot voice style transfer with only autoencoder
loss", ICML 2019 (arXiv 1905.05879), sections 3.3 and 4; names and sizes of the published weights.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from vceval.networks.blocks import nested

__all__ = ["BANDS", "CROP", "DIMENSIONS", "STEP", "Generator", "SpeakerEncoder"]

#: Mel bands, values of a speaker embedding, frames that share a content code, frames of a speaker encoder's crop.
BANDS, DIMENSIONS, STEP, CROP = 80, 256, 32, 128
_NECK, _PRE, _WIDTH, _LSTM = 32, 512, 512, 1024


def _stack(*widths: int) -> nn.ModuleList:
    """Make convolutions with batch norm, one from each width to the next."""
    return nn.ModuleList(
        nn.Sequential(nested(nn.Conv1d(inputs, outputs, 5, padding=2), "conv"), nn.BatchNorm1d(outputs))
        for inputs, outputs in pairwise(widths)
    )


class Encoder(nn.Module):
    """Content encoder: three convolutions and a bidirectional LSTM, sampled every 32 frames."""

    def __init__(self, neck: int, step: int) -> None:
        super().__init__()
        self.neck, self.step = neck, step
        self.convolutions = _stack(BANDS + DIMENSIONS, _WIDTH, _WIDTH, _WIDTH)
        self.lstm = nn.LSTM(_WIDTH, neck, 2, batch_first=True, bidirectional=True)

    def forward(self, mel: Tensor, speaker: Tensor) -> Tensor:
        """Encode (batch, frames, 80) and (batch, 256) into (batch, frames / 32, 64).

        A code joins what the forward direction knows at the last frame of its stretch and what the backward
        direction knows at the first.
        """
        x = torch.cat([mel.transpose(1, 2), speaker[:, :, None].expand(-1, -1, mel.shape[1])], dim=1)
        for layer in self.convolutions:
            x = torch.relu(layer(x))
        hidden, _ = self.lstm(x.transpose(1, 2))
        forward = hidden[:, self.step - 1 :: self.step, : self.neck]
        return torch.cat([forward, hidden[:, :: self.step, self.neck :]], dim=-1)


class Decoder(nn.Module):
    """LSTM, three convolutions, a larger LSTM of two layers, and a projection to mel bands."""

    def __init__(self, neck: int, pre: int) -> None:
        super().__init__()
        self.lstm1 = nn.LSTM(2 * neck + DIMENSIONS, pre, 1, batch_first=True)
        self.convolutions = _stack(pre, pre, pre, pre)
        self.lstm2 = nn.LSTM(pre, _LSTM, 2, batch_first=True)
        self.linear_projection = nested(nn.Linear(_LSTM, BANDS), "linear_layer")

    def forward(self, x: Tensor) -> Tensor:
        """Decode (batch, frames, 64 + 256) into (batch, frames, 80)."""
        hidden, _ = self.lstm1(x)
        y = hidden.transpose(1, 2)
        for layer in self.convolutions:
            y = torch.relu(layer(y))
        hidden, _ = self.lstm2(y.transpose(1, 2))
        mel: Tensor = self.linear_projection(hidden)
        return mel


class Postnet(nn.Module):
    """Five convolutions, tanh after all but the last, that compute a correction of a mel spectrogram."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = _stack(BANDS, _WIDTH, _WIDTH, _WIDTH, _WIDTH, BANDS)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 80, frames) to the same."""
        for layer in list(self.convolutions)[:-1]:
            x = torch.tanh(layer(x))
        result: Tensor = self.convolutions[-1](x)
        return result


class Generator(nn.Module):
    """AutoVC's converter.

    The number of frames must be a multiple of 32. There is no mask: what stands in padded frames is heard in the
    others, so that only items of equal length belong in a batch.
    """

    def __init__(self, neck: int = _NECK, pre: int = _PRE, step: int = STEP) -> None:
        super().__init__()
        self.encoder = Encoder(neck, step)
        self.decoder = Decoder(neck, pre)
        self.postnet = Postnet()

    def encode(self, mel: Tensor, speaker: Tensor) -> Tensor:
        """Encode a mel spectrogram (batch, frames, 80) of a speaker (batch, 256) into codes (batch, frames / 32, 64).

        Raises:
            ValueError: the number of frames is no multiple of 32.
        """
        if mel.shape[1] % self.encoder.step or not mel.shape[1]:
            raise ValueError(f"{mel.shape[1]} frames are no multiple of {self.encoder.step}")
        codes: Tensor = self.encoder(mel, speaker)
        return codes

    def decode(self, codes: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Decode codes (batch, frames / 32, 64) for a speaker (batch, 256).

        Returns:
            The mel spectrogram before and after the postnet, (batch, frames, 80) each.
        """
        content = codes.repeat_interleave(self.encoder.step, dim=1)
        voice = speaker[:, None, :].expand(-1, content.shape[1], -1)
        mel = self.decoder(torch.cat([content, voice], dim=-1))
        return mel, mel + self.postnet(mel.transpose(1, 2)).transpose(1, 2)


class SpeakerEncoder(nn.Module):
    """LSTM of three layers, a linear layer on the last frame, length 1; made for crops of 128 frames.

    Source: Wan, Wang, Papir, Lopez Moreno, "Generalized end-to-end loss for speaker verification", ICASSP 2018, with
    AutoVC's own mel spectrogram and width.
    """

    def __init__(self, bands: int = BANDS, width: int = 768, dimensions: int = DIMENSIONS, layers: int = 3) -> None:
        super().__init__()
        self.lstm = nn.LSTM(bands, width, layers, batch_first=True)
        self.embedding = nn.Linear(width, dimensions)

    def forward(self, mel: Tensor) -> Tensor:
        """Embed mel spectrograms (batch, frames, 80) in 0..1: (batch, 256), each of length 1."""
        hidden, _ = self.lstm(mel)
        vector = self.embedding(hidden[:, -1])
        result: Tensor = vector / vector.norm(dim=-1, keepdim=True)
        return result
