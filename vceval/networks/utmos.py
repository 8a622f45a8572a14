"""The UTMOS22 strong learner without its phoneme encoder: wav2vec 2.0 base, a BLSTM and a projection per frame.

Parameters bear the names that they have in ``utmos22_strong_step7459_v1.pt``, so its state dictionary loads strictly.
Importing this module imports torch.

Source: Saeki et al., "UTMOS: UTokyo-SaruLab system for VoiceMOS Challenge 2022", Interspeech 2022; Baevski et al.,
"wav2vec 2.0", NeurIPS 2020.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

__all__ = ["Utmos"]

#: Kernel and stride of the convolutions that turn 16 kHz audio into 50 frames a second.
_CONVOLUTIONS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
_CHANNELS, _WIDTH, _HEADS, _LAYERS, _HIDDEN = 512, 768, 12, 12, 3072
_KERNEL, _GROUPS = 128, 16
_EMBEDDING, _RECURRENT, _PROJECTION = 128, 512, 2048


class Utmos(nn.Module):
    """Predicts the mean opinion score of speech at 16 kHz, for the domain and judge that the weights fix."""

    def __init__(self) -> None:
        super().__init__()
        self.wav2vec2 = _Wav2Vec2()
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


class _Wav2Vec2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.feature_extractor = _Convolutions()
        self.layer_norm = nn.LayerNorm(_CHANNELS)
        self.post_extract_proj = nn.Linear(_CHANNELS, _WIDTH)
        self.encoder = _Encoder()
        self.mask_emb = nn.Parameter(torch.zeros(_WIDTH))  # of training; part of the checkpoint, never used

    def forward(self, waves: Tensor) -> Tensor:
        features = self.feature_extractor(waves).transpose(1, 2)
        frames: Tensor = self.encoder(self.post_extract_proj(self.layer_norm(features)))
        return frames


class _Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList()
        for index, (kernel, stride) in enumerate(_CONVOLUTIONS):
            convolution = nn.Conv1d(_CHANNELS if index else 1, _CHANNELS, kernel, stride=stride, bias=False)
            # The norm of the first layer is number 2 of its block in the checkpoint.
            norm = [] if index else [nn.Identity(), nn.GroupNorm(_CHANNELS, _CHANNELS)]
            self.conv_layers.append(nn.Sequential(convolution, *norm, nn.GELU()))

    def forward(self, waves: Tensor) -> Tensor:
        features = waves[:, None, :]
        for layer in self.conv_layers:
            features = layer(features)
        return features


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pos_conv = nn.ModuleList([_PositionalConvolution()])
        self.layer_norm = nn.LayerNorm(_WIDTH)
        self.layers = nn.ModuleList([_Layer() for _ in range(_LAYERS)])

    def forward(self, frames: Tensor) -> Tensor:
        frames = self.layer_norm(frames + self.pos_conv[0](frames.transpose(1, 2)).transpose(1, 2))
        for layer in self.layers:
            frames = layer(frames)
        return frames


class _PositionalConvolution(nn.Module):
    """A convolution over time with normalised weights, one gain per tap of the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(1, 1, _KERNEL))
        self.weight_v = nn.Parameter(torch.ones(_WIDTH, _WIDTH // _GROUPS, _KERNEL))
        self.bias = nn.Parameter(torch.zeros(_WIDTH))

    def forward(self, frames: Tensor) -> Tensor:
        weight = self.weight_v * (self.weight_g / self.weight_v.norm(dim=(0, 1), keepdim=True))
        found = functional.conv1d(frames, weight, self.bias, padding=_KERNEL // 2, groups=_GROUPS)
        return functional.gelu(found[:, :, :-1])  # an even kernel yields one frame too many


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self_attn = _Attention()
        self.self_attn_layer_norm = nn.LayerNorm(_WIDTH)
        self.fc1 = nn.Linear(_WIDTH, _HIDDEN)
        self.fc2 = nn.Linear(_HIDDEN, _WIDTH)
        self.final_layer_norm = nn.LayerNorm(_WIDTH)

    def forward(self, frames: Tensor) -> Tensor:
        frames = self.self_attn_layer_norm(frames + self.self_attn(frames))
        result: Tensor = self.final_layer_norm(frames + self.fc2(functional.gelu(self.fc1(frames))))
        return result


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(_WIDTH, _WIDTH) for _ in range(4))

    def forward(self, frames: Tensor) -> Tensor:
        parts = [
            project(frames).unflatten(2, (_HEADS, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        ]
        mixed = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        result: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return result
