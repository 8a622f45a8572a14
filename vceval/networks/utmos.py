"""The UTMOS22 strong learner without its phoneme encoder: wav2vec 2.0 base, a BLSTM and a projection per frame.

Parameters bear the names that they have in ``utmos22_strong_step7459_v1.pt``, so its state dictionary loads strictly.
Importing this module imports torch.

Source: Saeki et al., "UTMOS: UTokyo-SaruLab system for VoiceMOS Challenge 2022", Interspeech 2022.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vceval.networks.wav2vec2 import Wav2Vec2

__all__ = ["Utmos"]

_WIDTH, _HIDDEN, _LAYERS = 768, 3072, 12
_EMBEDDING, _RECURRENT, _PROJECTION = 128, 512, 2048


class Utmos(nn.Module):
    """Predicts the mean opinion score of speech at 16 kHz, for the domain and judge that the weights fix."""

    def __init__(self) -> None:
        super().__init__()
        self.wav2vec2 = Wav2Vec2(training=False, width=_WIDTH, inner=_HIDDEN, layers=_LAYERS)
        self.wav2vec2.mask_emb = nn.Parameter(torch.zeros(_WIDTH))  # of training; part of the checkpoint, never used
        self.domain_emb = nn.Parameter(torch.zeros(1, _EMBEDDING), requires_grad=False)
        self.judge_emb = nn.Parameter(torch.zeros(1, _EMBEDDING), requires_grad=False)
        self.blstm = nn.LSTM(_WIDTH + 2 * _EMBEDDING, _RECURRENT, batch_first=True, bidirectional=True)
        self.projection = nn.Sequential(nn.Linear(2 * _RECURRENT, _PROJECTION), nn.ReLU(), nn.Linear(_PROJECTION, 1))

    def forward(self, waves: Tensor) -> Tensor:
        """Score a batch of equally long recordings: (B, n) samples at 16 kHz, n >= 400, to (B,) opinions."""
        frames = self.wav2vec2(waves)
        context = torch.cat([self.domain_emb, self.judge_emb], dim=1)
        joined = torch.cat([frames, context.expand(*frames.shape[:2], -1)], dim=2)
        per_frame: Tensor = self.projection(self.blstm(joined)[0])
        return 3.0 + 2.0 * per_frame.mean(dim=(1, 2))
