"""VQMIVC: a content encoder with a codebook, a speaker encoder, and a decoder that is also given the pitch.

Source: Wang, Deng, Yeung, Chen, Liu, Meng, "VQMIVC: vector quantization and mutual information-based unsupervised
speech representation disentanglement for one-shot voice conversion", Interspeech 2021; sizes and key names as in its
files.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vceval.networks.adainvc import SpeakerEncoder
from vceval.networks.blocks import nested

__all__ = [
    "BANDS",
    "MIN_REFERENCE_FRAMES",
    "MIN_SOURCE_FRAMES",
    "Codebook",
    "Codes",
    "ContentEncoder",
    "Decoder",
    "VqmiVc",
    "build",
]

#: Mel bands in and out.
BANDS = 80
#: A code stands for two frames; the speaker encoder mirrors frames where time is coarsest.
MIN_SOURCE_FRAMES, MIN_REFERENCE_FRAMES = 2, 9


class Codes(NamedTuple):
    """What the codebook makes of vectors (batch, n, 64).

    vectors: (batch, n, 64), the codes. indices: (batch, n), their numbers.
    margins: (batch, n), how much further away the second nearest is, in squared distance.
    """

    vectors: Tensor
    indices: Tensor
    margins: Tensor


class Codebook(nn.Module):
    """Vectors that stand for what is near them. The moving averages were needed in training only."""

    embedding: Tensor

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.register_buffer("embedding", torch.zeros(count, size))
        self.register_buffer("ema_count", torch.zeros(count))
        self.register_buffer("ema_weight", torch.zeros(count, size))

    def forward(self, x: Tensor) -> Codes:
        """Replace every vector of (batch, n, size) by the nearest one."""
        flat = x.reshape(-1, x.shape[-1])
        lengths = (self.embedding**2).sum(dim=1) + (flat**2).sum(dim=1, keepdim=True)
        distances = lengths - 2.0 * (flat @ self.embedding.T)
        indices = distances.argmin(dim=1)
        nearest = distances.topk(2, dim=1, largest=False).values
        margins = nearest[:, 1] - nearest[:, 0]
        shape = x.shape[:2]
        return Codes(self.embedding[indices].reshape(x.shape), indices.reshape(shape), margins.reshape(shape))


class ContentEncoder(nn.Module):
    """Halves the frame rate, changes each frame on its own, and quantises it.

    Args:
        bands: mel bands.
        width: channels within.
        codes: vectors of the codebook.
        size: of each of them.
        context: size of the recurrent part, which served training only; its weights are in the file.
    """

    def __init__(
        self, bands: int = BANDS, width: int = 512, codes: int = 512, size: int = 64, context: int = 256
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(bands, width, 4, stride=2, padding=1, bias=False)
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width, bias=False)]
        self.encoder = nn.Sequential(*layers, nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, size))
        self.codebook = Codebook(codes, size)
        self.rnn = nn.LSTM(size, context, batch_first=True)

    def forward(self, mel: Tensor) -> Codes:
        """Encode (batch, bands, frames), at least 2 frames; one code for every two frames, an odd one is lost."""
        found: Codes = self.codebook(self.encoder(self.conv(mel).transpose(1, 2)))
        return found


def _normed(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nested(nn.Conv1d(before, after, 5, padding=2), "conv"), nn.BatchNorm1d(after))


class _Frames(nn.Module):
    """The decoder's main part: recurrent, convolutional, recurrent."""

    def __init__(self, inputs: int, width: int, recurrent: int, bands: int) -> None:
        super().__init__()
        self.lstm1 = nn.LSTM(inputs, width, batch_first=True)
        self.convolutions = nn.ModuleList(_normed(width, width) for _ in range(3))
        self.lstm2 = nn.LSTM(width, recurrent, 2, batch_first=True)
        self.linear_projection = nested(nn.Linear(recurrent, bands), "linear_layer")

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, inputs) to (batch, frames, bands)."""
        x = self.lstm1(x)[0].transpose(1, 2)
        for layer in self.convolutions:
            x = torch.relu(layer(x))
        mel: Tensor = self.linear_projection(self.lstm2(x.transpose(1, 2))[0])
        return mel


class _Postnet(nn.Module):
    """Five convolutions that give what is to be added to a mel; tanh after each but the last."""

    def __init__(self, bands: int, width: int = 512) -> None:
        super().__init__()
        sizes = [bands, width, width, width, width, bands]
        self.convolutions = nn.ModuleList(_normed(before, after) for before, after in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (batch, bands, frames)."""
        last = len(self.convolutions) - 1
        for place, layer in enumerate(self.convolutions):
            x = layer(x) if place == last else torch.tanh(layer(x))
        return x


class Decoder(nn.Module):
    """Codes, pitch and speaker to a mel.

    Args:
        code: size of a code.
        pitch: values of pitch a frame.
        speaker: size of the speaker vector.
        width: channels within.
        bands: mel bands.
    """

    def __init__(
        self, code: int = 64, pitch: int = 1, speaker: int = 256, width: int = 512, bands: int = BANDS
    ) -> None:
        super().__init__()
        self.decoder = _Frames(code + pitch + speaker, width, 1024, bands)
        self.postnet = _Postnet(bands)

    def forward(self, codes: Tensor, pitch: Tensor, speaker: Tensor) -> Tensor:
        """Make a mel.

        Args:
            codes: (batch, n, 64).
            pitch: (batch, 2 * n or more), normalised log F0, 0 where unvoiced; more than 2 * n is cut.
            speaker: (batch, 256).

        Returns:
            (batch, 2 * n, 80), normalised.
        """
        content = torch.repeat_interleave(codes, 2, dim=1)
        frames = content.shape[1]
        voice = speaker[:, None].expand(-1, frames, -1)
        mel = self.decoder(torch.cat([content, pitch[:, :frames, None], voice], dim=2))
        finished: Tensor = mel + self.postnet(mel.transpose(1, 2)).transpose(1, 2)
        return finished


class VqmiVc(nn.Module):
    """The three networks that conversion needs, under the names of their groups in the file."""

    def __init__(self, encoder: ContentEncoder, encoder_spk: SpeakerEncoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.encoder_spk = encoder_spk
        self.decoder = decoder

    def forward(self, source: Tensor, pitch: Tensor, reference: Tensor) -> Tensor:
        """Convert: mels (batch, 80, frames) of both and the source's pitch, to (batch, 2 * (frames // 2), 80)."""
        mel: Tensor = self.decoder(self.encoder(source).vectors, pitch, self.encoder_spk(reference))
        return mel


def build() -> VqmiVc:
    """Build the networks of the published weights."""
    return VqmiVc(ContentEncoder(), SpeakerEncoder(BANDS, output=256), Decoder())
