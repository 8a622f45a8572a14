"""DistillMOS: convolutions over a compressed complex spectrum, then a transformer, then one figure for a window.

Source: Stahl, Gamper, "Distillation and pruning for scalable self-supervised representation-based speech quality
assessment", ICASSP 2025; names and sizes as in the file ``distill_mos_v7.pt`` of the package distillmos 0.9.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SAMPLE_RATE", "WINDOW", "DistillMos", "opinions", "windows"]

SAMPLE_RATE = 16_000
#: Samples that the network looks at, 7.68 s, and the most from the start of one window to that of the next.
WINDOW, _STEP = 122_880, 16_000
_FFT, _HOP = 320, 160
#: Channels of each convolution.
_CHANNELS = (64, 64, 128, 256, 256, 256)
#: Frames of a window on which the last convolution is centred, and how far its view reaches in frames to each side.
_FRAMES, _REACH = WINDOW // _HOP // 2, len(_CHANNELS)
_WIDTH, _HEADS, _LAYERS = 200, 8, 7
_FEATURES = 4 * _CHANNELS[-1]


def windows(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut a recording at 16 kHz into windows (n, 122880) that lie evenly; one shorter than a window ends in zeros."""
    spare = len(samples) - WINDOW
    if spare <= 0:
        return np.pad(samples, (0, -spare))[None]
    starts = np.linspace(0, 1, int(np.ceil(spare / _STEP)) + 1)
    return np.stack([samples[int(place * spare) :][:WINDOW] for place in starts])


def opinions(network: nn.Module, cut: Sequence[NDArray[np.float32]], device: str, most: int) -> list[float]:
    """Score recordings that are cut into windows, ``most`` windows at once: of each the mean over its windows."""
    every, found = np.concatenate(cut), []
    with torch.inference_mode():
        for start in range(0, len(every), most):
            found.append(network(torch.from_numpy(every[start : start + most]).to(device)).cpu().numpy())
    ends = np.cumsum([len(one) for one in cut])[:-1]
    return [float(np.mean(values, dtype=np.float64)) for values in np.split(np.concatenate(found), ends)]


def _spectrum(x: Tensor) -> Tensor:
    """From samples to (batch, 2, 161, frames): real and imaginary part, their length to the power 0.3."""
    aside = (_FFT - _HOP) // 2
    padded = functional.pad(x, (aside, aside), mode="reflect")
    # The window of torch, to the last bit: what it leaves in silent bands is raised by the power
    window = torch.hann_window(_FFT).to(x.device)
    parts = torch.view_as_real(torch.stft(padded, _FFT, _HOP, window=window, center=False, return_complex=True))
    length = parts.square().sum(-1, keepdim=True).sqrt().clamp_min(1e-12)
    return (length**0.3 * parts / length).permute(0, 3, 1, 2)


class _Convolutions(nn.Module):
    """From a spectrum to (batch, 1024, frames / 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential()
        before = 2
        for place, channels in enumerate(_CHANNELS):
            stride = (2 if place else 1, 2 if place == len(_CHANNELS) - 1 else 1)
            self.cnn.append(nn.Conv2d(before, channels, 3, stride, (0, 1)))
            self.cnn.append(nn.LeakyReLU(0.1))
            before = channels

    def forward(self, spectrum: Tensor) -> Tensor:
        found: Tensor = self.cnn(spectrum)
        return found.flatten(1, 2)


class _Position(nn.Module):
    pe: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("pe", torch.zeros(1, _FRAMES, _WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pe


class _Transformer(nn.Module):
    """From (batch, 1024, frames) to (batch, frames, 200)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(_FEATURES)
        self.position_encoding = _Position()
        self.linear_proj = nn.Linear(_FEATURES, _WIDTH)
        layer = nn.TransformerEncoderLayer(_WIDTH, _HEADS, 2 * _WIDTH, dropout=0.0, batch_first=True)
        self.transformer_encoder = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        frames = self.linear_proj(self.norm(x).transpose(1, 2))
        found: Tensor = self.transformer_encoder(self.position_encoding(frames))
        return found


class _Pool(nn.Module):
    """From (batch, frames, 200) to (batch,): a mean over frames, weighted by attention, and what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(_WIDTH, 2 * _WIDTH)
        self.linear2 = nn.Linear(2 * _WIDTH, 1)
        self.linear3 = nn.Linear(_WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.linear2(functional.relu(self.linear1(x))).softmax(1)
        found: Tensor = self.linear3((weight * x).sum(1))
        return found[:, 0]


class _Head(nn.Module):
    """From (batch, 1024, frames) to (batch,), 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_input = nn.BatchNorm1d(_FEATURES)
        self.transformer = _Transformer()
        self.norm_trans = nn.BatchNorm1d(_WIDTH)
        self.pool = _Pool()

    def forward(self, x: Tensor) -> Tensor:
        frames = self.norm_trans(self.transformer(self.norm_input(x)).transpose(1, 2)).transpose(1, 2)
        found: Tensor = self.pool(frames).sigmoid()
        return found


class DistillMos(nn.Module):
    """Predicts the opinion of windows of 7.68 s at 16 kHz, each brought to a peak of 1."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = _Convolutions()
        self.transformer_pool_attn = _Head()
        self._silent: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Score (batch, 122880) samples: (batch,) opinions, 1 to 5."""
        levelled = x / (x.abs().amax(1, keepdim=True) + 1e-8)
        opinion: Tensor = 1.0 + 4.0 * self.transformer_pool_attn(self._features(levelled))
        return opinion

    def _features(self, x: Tensor) -> Tensor:
        """Look only as far as there is sound: beyond it all recordings are alike."""
        spectrum = _spectrum(x)
        heard = int(x.abs().amax(0).nonzero()[-1]) // _HOP + 2 if bool(x.any()) else 0
        own = (heard + _REACH) // 2 + 1
        if own + _REACH >= _FRAMES:
            return self._convolved(spectrum)
        begun = self._convolved(spectrum[..., : 2 * (own + _REACH)])[..., :own]
        return torch.cat([begun, self._silence(spectrum)[..., own:].expand(len(x), -1, -1)], dim=2)

    def _convolved(self, spectrum: Tensor) -> Tensor:
        found: Tensor = self.cnn(spectrum)
        return found

    def _silence(self, like: Tensor) -> Tensor:
        """What the convolutions make of a window without sound, (1, 1024, 384)."""
        if self._silent is None or self._silent.device != like.device:
            self._silent = self._convolved(like.new_zeros(1, *like.shape[1:]))
        return self._silent
