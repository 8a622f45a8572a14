"""The GE2E speaker encoder as CorentinJ and Resemblyzer built it, which FreeVC uses with weights of its own.

Source: Wan, Wang, Papir, Lopez Moreno, "Generalized end-to-end loss for speaker verification", ICASSP 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from vceval.signal.spectral import Padding, mel_power

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SAMPLE_RATE", "SpeakerEncoder", "mel_windows", "power_mel", "windows"]

SAMPLE_RATE = 16_000
_FFT, _HOP, _BANDS = 400, 160, 40
#: Frames of a window; frames from one window to the next: 1.3 windows a second.
_WINDOW, _STEP = 160, 77
#: A last window that speech fills less than this is dropped.
_COVERAGE = 0.75


class SpeakerEncoder(nn.Module):
    """LSTM of three layers over 40 mel bands; the last state, through a linear layer, is the speaker vector.

    Keys: ``lstm.*``, ``linear.*``: 14. (The published files also hold two scalars of the training loss.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_BANDS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mel: Tensor) -> Tensor:
        """Embed windows (batch, frames, 40): (batch, 256), not negative, of length 1."""
        _, (hidden, _) = self.lstm(mel)
        return functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1, eps=0.0)

    def embed(self, samples: NDArray[np.float32], padding: Padding = "reflect") -> Tensor:
        """Embed an utterance: the mean over its windows, brought to length 1.

        Args:
            samples: (n,) at 16 kHz. Speech shorter than a window of 1.6 s is followed by zeros.
            padding: what stands before the first frame; see :func:`power_mel`.

        Returns:
            (256,). Not a number where the network says nothing of a window.
        """
        pieces = mel_windows(samples, padding)
        device = self.linear.weight.device
        return functional.normalize(self(torch.from_numpy(pieces).to(device)).mean(dim=0), dim=0, eps=0.0)

    def embed_speaker(self, utterances: Sequence[NDArray[np.float32]], padding: Padding = "reflect") -> Tensor:
        """Embed several utterances of a speaker: the mean of their vectors, brought to length 1; (256,)."""
        mean = torch.stack([self.embed(samples, padding) for samples in utterances]).mean(dim=0)
        return functional.normalize(mean, dim=0, eps=0.0)


def windows(samples: int) -> list[int]:
    """Place windows of 160 frames over an utterance.

    They start every 77 frames; the last is dropped, unless it is the only one, where speech fills less than three
    quarters of it.

    Args:
        samples: of the utterance, at 16 kHz.

    Returns:
        The first frame of each.
    """
    frames = -(-(samples + 1) // _HOP)
    starts = list(range(0, max(1, frames - _WINDOW + _STEP + 1), _STEP))
    covered = (samples - starts[-1] * _HOP) / (_WINDOW * _HOP)
    return starts[:-1] if covered < _COVERAGE and len(starts) > 1 else starts


def mel_windows(samples: NDArray[np.float32], padding: Padding = "reflect") -> NDArray[np.float32]:
    """Cut the mel power of an utterance (n,) into its :func:`windows`, zeros after the last: (windows, 160, 40)."""
    import numpy as np

    starts = windows(len(samples))
    needed = (starts[-1] + _WINDOW) * _HOP
    mel = power_mel(np.pad(samples, (0, max(0, needed - len(samples)))), padding)
    return np.stack([mel[start : start + _WINDOW] for start in starts])


def power_mel(samples: NDArray[np.float32], padding: Padding = "reflect") -> NDArray[np.float32]:
    """Turn speech into mel power, without a logarithm.

    Periodic Hann window of 25 ms every 10 ms, centred; squared magnitude; 40 Slaney bands of area 1, 0 to 8 kHz.

    Args:
        samples: (n,) at 16 kHz, full scale 1.
        padding: before the first and after the last sample 200 are mirrored (librosa up to 0.9, which FreeVC was
            made with) or ``zeros`` (librosa from 0.10 on).

    Returns:
        float32 (n // 160 + 1, 40).
    """
    return mel_power(samples, SAMPLE_RATE, _FFT, _HOP, _BANDS, padding)
