"""The GE2E speaker encoder as CorentinJ and Resemblyzer built it, which FreeVC uses with weights of its own.

Source: Wan, Wang, Papir, Lopez Moreno, "Generalized end-to-end loss for speaker verification", ICASSP 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from vceval.networks.blocks import onto
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
#: Windows that the network takes together.
_TOGETHER = 64


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

    def embed(self, utterances: Sequence[NDArray[np.float32]], padding: Padding = "reflect") -> Tensor:
        """Embed utterances, their windows together: of each the mean over its windows, brought to length 1.

        Args:
            utterances: (n,) each, at 16 kHz. Speech shorter than a window of 1.6 s is followed by zeros.
            padding: what stands before the first frame; see :func:`power_mel`.

        Returns:
            (utterances, 256). Not a number where the network says nothing of a window.
        """
        pieces = [torch.from_numpy(mel_windows(samples, padding)) for samples in utterances]
        parts = torch.split(onto(self.linear.weight.device, torch.cat(pieces)), _TOGETHER)
        vectors = torch.split(torch.cat([self(part) for part in parts]), [len(piece) for piece in pieces])
        means = torch.stack([part.mean(dim=0) for part in vectors])
        return functional.normalize(means, dim=1, eps=0.0)

    def embed_speakers(self, speakers: Sequence[Sequence[NDArray[np.float32]]], padding: Padding = "reflect") -> Tensor:
        """Embed speakers by their utterances: the mean of these vectors, brought to length 1; (speakers, 256)."""
        vectors = self.embed([samples for utterances in speakers for samples in utterances], padding)
        parts = torch.split(vectors, [len(utterances) for utterances in speakers])
        means = torch.stack([part.mean(dim=0) for part in parts])
        return functional.normalize(means, dim=1, eps=0.0)


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
