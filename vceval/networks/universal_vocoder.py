"""yistLin's universal vocoder: a GRU that draws one 9-bit mu-law sample after the other from a log-mel spectrogram.

FragmentVC and cyhuang's AdaIN-VC use it, each with weights of its own. The published archives are TorchScript; the
number of samples per frame is an attribute in them, all other sizes show in the shapes of the weights.

Source: Lorenzo-Trueba et al., "Towards achieving robust universal neural vocoding", Interspeech 2019 (1811.06292);
the network with a GRU after van Niekerk's UniversalVocoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vceval.checkpoints import weights
from vceval.errors import UsageError
from vceval.networks.universal_vocoder_sampling import Pick, draw_by_uniform, sample, uniforms

__all__ = ["SAMPLE_RATE", "UniversalVocoder", "cyhuang", "expand", "fragmentvc", "mu_law_codes", "open_archive"]

SAMPLE_RATE = 16_000


class UniversalVocoder(nn.Module):
    """The vocoder; 16 kHz, ``hop`` samples per frame of the mel it is given.

    Args:
        hop: samples per frame.
        mel_dim: mel bands.
        mel_rnn_dim: units of the recurrent network over frames, per direction.
        emb_dim: size of a sample's embedding.
        wav_rnn_dim: units of the recurrent network over samples.
        affine_dim: units between that and the classes.
        bits: of the mu-law classes.
    """

    def __init__(
        self,
        hop: int,
        mel_dim: int = 80,
        mel_rnn_dim: int = 128,
        emb_dim: int = 256,
        wav_rnn_dim: int = 896,
        affine_dim: int = 512,
        bits: int = 9,
    ) -> None:
        super().__init__()
        self.hop, self.classes = hop, 2**bits
        self.mel_rnn = nn.GRU(mel_dim, mel_rnn_dim, num_layers=2, batch_first=True, bidirectional=True)
        self.embedding = nn.Embedding(self.classes, emb_dim)
        self.wav_rnn = nn.GRU(emb_dim + 2 * mel_rnn_dim, wav_rnn_dim, batch_first=True)
        self.affine = nn.Sequential(nn.Linear(wav_rnn_dim, affine_dim), nn.ReLU(), nn.Linear(affine_dim, self.classes))

    def forward(self, codes: Tensor, mel: Tensor) -> Tensor:
        """Give the logits of the next class after every class of a known waveform.

        Args:
            codes: (batch, n * hop) classes that stand before the samples that are predicted.
            mel: (batch, frames, mel_dim); the middle n frames are those of the waveform, the rest is context.

        Returns:
            (batch, n * hop, classes).
        """
        conditions: Tensor = self.mel_rnn(mel)[0]
        frames = codes.shape[1] // self.hop
        first = (mel.shape[1] - frames) // 2
        repeated = conditions[:, first : first + frames].repeat_interleave(self.hop, dim=1)
        states = self.wav_rnn(torch.cat([self.embedding(codes), repeated], dim=2))[0]
        logits: Tensor = self.affine(states)
        return logits

    def conditions(self, mel: Tensor) -> Tensor:
        """Give what the samples are conditioned on: (frames, mel_dim) to (frames, 2 * mel_rnn_dim)."""
        output: Tensor = self.mel_rnn(mel[None])[0][0]
        return output

    def generate(self, mels: Sequence[Tensor], seeds: Sequence[int]) -> list[Tensor]:
        """Draw waveforms; each item has random numbers of its own, so what else is in the batch changes nothing.

        Under autocast too it computes in full precision: a sample that is drawn wrongly changes all that follow.

        Args:
            mels: (frames, mel_dim) each, of any lengths, as the vocoder was trained on.
            seeds: one per item.

        Returns:
            (frames * hop,) float32 each, within -1..1.
        """
        draws = [uniforms(seed, len(mel) * self.hop) for mel, seed in zip(mels, seeds, strict=True)]
        with torch.autocast(mels[0].device.type if mels else "cpu", enabled=False):
            drawn = self.codes([mel.float() for mel in mels], draws)
        return [expand(codes, self.classes) for codes in drawn]

    def codes(self, mels: Sequence[Tensor], draws: Sequence[Tensor], pick: Pick = draw_by_uniform) -> list[Tensor]:
        """Generate classes.

        Args:
            mels: (frames, mel_dim) each.
            draws: (frames * hop,) float64 each, uniform in 0..1.
            pick: chooses classes, by default by the inverse of their cumulative probability.

        Returns:
            (frames * hop,) int64 each.
        """
        with torch.inference_mode():
            return sample(self, [self.conditions(mel) for mel in mels], list(draws), pick)


def fragmentvc() -> UniversalVocoder:
    """Build the vocoder of FragmentVC: 326 samples per frame."""
    return UniversalVocoder(326)


def cyhuang() -> UniversalVocoder:
    """Build the vocoder of cyhuang's AdaIN-VC: 200 samples per frame."""
    return UniversalVocoder(200)


def expand(codes: Tensor, classes: int = 512) -> Tensor:
    """Decode mu-law classes to float32 samples: class 0 is -1, the last one 1."""
    top = classes - 1
    levels = 2.0 * torch.arange(classes, dtype=torch.float64, device=codes.device) / top - 1.0
    table = torch.sign(levels) / top * (float(classes) ** levels.abs() - 1.0)
    return table.to(torch.float32)[codes]


def mu_law_codes(samples: Tensor, classes: int = 512) -> Tensor:
    """Encode samples within -1..1 as mu-law classes, the nearest one each, int64."""
    top = classes - 1
    values = samples.double()
    compressed = torch.sign(values) * torch.log1p(top * values.abs()) / torch.log1p(torch.tensor(float(top)).double())
    return torch.floor((compressed + 1.0) / 2.0 * top + 0.5).long()


def open_archive(path: Path, hop: int, whose: str) -> UniversalVocoder:
    """Load a published vocoder, its sizes taken from the file, ready for inference.

    Args:
        path: the TorchScript archive, or a ``torch.save`` file of its weights.
        hop: samples per frame that it must have.
        whose: the system whose vocoder it should be, for errors.

    Raises:
        UsageError: it can't be read, is no such vocoder, or makes another number of samples per frame.
    """
    content = weights.read(path)
    attributes: Mapping[str, Any] = content.get("", {}) if isinstance(content, Mapping) else {}
    found = attributes.get("hop_len", hop)
    if found != hop:
        raise UsageError(
            f"{path}: this vocoder makes {found} samples per frame, but that of {whose} makes {hop}: it belongs to "
            f"another project (a file of the same name), and speech would come out at the wrong speed"
        )
    rate = attributes.get("sample_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise UsageError(f"{path}: this vocoder works at {rate} Hz, that of {whose} at {SAMPLE_RATE} Hz")
    try:
        tensors = weights.select(content)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    network = weights.load_strict(_sized(tensors, hop), tensors, str(path))
    assert isinstance(network, UniversalVocoder)
    return network


def _sized(tensors: Mapping[str, Tensor], hop: int) -> UniversalVocoder:
    """Build the network in the sizes of the weights; the usual ones where a file is no such vocoder."""

    def shape(name: str) -> tuple[int, ...]:
        return tuple(tensors[name].shape) if name in tensors and tensors[name].dim() == 2 else ()

    shapes = [shape(f"mel_rnn.weight_{kind}_l0") for kind in ("ih", "hh")]
    shapes += [shape(name) for name in ("embedding.weight", "affine.0.weight")]
    if not all(shapes):
        return UniversalVocoder(hop)
    (_, mel_dim), (_, mel_rnn_dim), (classes, emb_dim), (affine_dim, wav_rnn_dim) = shapes
    return UniversalVocoder(hop, mel_dim, mel_rnn_dim, emb_dim, wav_rnn_dim, affine_dim, classes.bit_length() - 1)
