"""The converter ``vqmivc``: VQMIVC with its own Parallel WaveGAN, from the files that its authors published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.base import ConverterInfo, Made
from vceval.converters.native import NativeConverter, check_length, finished, grouped, noise
from vceval.networks import vqmivc_features
from vceval.networks.vqmivc_features import HOP, SAMPLE_RATE
from vceval.signal.audio import Resampler, Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["STATISTICS", "VOCODER", "WEIGHTS", "VqmiVc"]

_PAGE = "https://github.com/Wendison/VQMIVC/releases"
_LICENCE = "MIT (repository Wendison/VQMIVC; nothing is said of the weights)"
_RUN = "checkpoints/useCSMITrue_useCPMITrue_usePSMITrue_useAmpTrue"

WEIGHTS = WeightFile(
    name="VQMIVC-model.ckpt-500.pt",
    holds="VQMIVC, encoders and decoder, trained on VCTK 0.92",
    page=_PAGE,
    licence=_LICENCE,
    network="vceval.networks.vqmivc:build",
    groups=("encoder", "encoder_spk", "decoder"),
    also_called=(f"{_RUN}/VQMIVC-model.ckpt-500.pt",),
)
VOCODER = WeightFile(
    name="vocoder/checkpoint-3000000steps.pkl",
    holds="Parallel WaveGAN of VQMIVC's authors, trained on VCTK at 16 kHz",
    page=_PAGE,
    licence=_LICENCE,
    network="vceval.networks.parallel_wavegan:ParallelWaveGan",
    entry=("model", "generator"),
)
STATISTICS = WeightFile(
    name="mel_stats/stats.npy",
    holds="mean and deviation of every mel band, for VQMIVC and its vocoder alike",
    page="https://github.com/Wendison/VQMIVC/tree/main/mel_stats",
    licence="MIT (repository Wendison/VQMIVC)",
    url="https://github.com/Wendison/VQMIVC/raw/main/mel_stats/stats.npy",
    form="arrays",
    arrays=(("stats", (2, 80)),),
)

#: Mel frames that are decoded at once, in all; bounds memory.
_FRAMES_AT_ONCE = 2_000
#: The least that the speaker encoder takes: 9 frames.
_MIN_SECONDS = 8 * HOP / SAMPLE_RATE


class Content(NamedTuple):
    """What is said, and the melody: codes (1, n, 64), normalised log F0 (1, 2 * n)."""

    codes: Tensor
    log_f0: Tensor


class VqmiVc(NativeConverter):
    """Converts with VQMIVC; 16 kHz, 320 samples for every two whole mel frames of the source.

    Audio is resampled to 16 kHz by resampy 0.2, as by the authors, divided by its peak where that is above full scale,
    not trimmed. Sources and prompts must last 0.08 s (9 mel frames); an odd frame at the end of a source is lost. Pitch
    (DIO and StoneMask) is normalised within the source; a source without voicing is converted as such. The mel spectra
    between converter and vocoder are normalised by the published statistics and stay so. The vectors of several prompts
    are averaged; the authors take one utterance. As in the 16-bit files that their code writes, audio is clipped to
    full scale.

    Padding would reach into the speaker vector, so prompts are taken one at a time. So are sources, as rounding must
    not decide which code is nearest. Decoder and vocoder take items of equal length together. The vocoder's noise
    comes from the seed of the pair.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="vqmivc",
        title="VQMIVC",
        sample_rate=SAMPLE_RATE,
        licence="MIT; Parallel WaveGAN: MIT",
        paper="Wang et al., VQMIVC: vector quantization and mutual information-based unsupervised speech "
        "representation disentanglement for one-shot voice conversion, Interspeech 2021, arXiv 2106.10132",
        kind="native",
        checkpoints=(WEIGHTS.name, VOCODER.name, STATISTICS.name),
        trained_on=None,
        draws_noise=True,
        front_end="trim:none|level:peak 1 where over",
    )
    authors_resampler: ClassVar[Resampler] = "resampy-0.2"
    files: ClassVar[tuple[WeightFile, ...]] = (WEIGHTS, VOCODER, STATISTICS)

    def load(self) -> None:
        """Load converter, vocoder and statistics.

        Raises:
            UsageError: a file is missing or wrong.
        """
        self._network = self.network(WEIGHTS.name)
        self._vocoder = self.network(VOCODER.name)
        self._mean, self._deviation = self.plain(STATISTICS.name)["stats"]

    def decode(self, items: Sequence[tuple[Any, Any]], seeds: Sequence[int]) -> list[Made]:
        """Make mel spectra and, with noise from the seeds, audio."""
        longest = max((content.log_f0.shape[1] for content, _ in items), default=1)
        made = grouped(
            [(content, voice, seed) for (content, voice), seed in zip(items, seeds, strict=True)],
            lambda item: item[0].log_f0.shape[1],
            self._waves,
            max(1, _FRAMES_AT_ONCE // longest),
        )
        return self.ended(made)

    def content(self, source: Waveform) -> Content:
        """Encode what is said, and the pitch."""
        import torch

        from vceval.networks.blocks import onto

        samples, mel = self._mel(source, "source")
        melody = vqmivc_features.pitch(samples, len(mel)).log_f0
        codes = self._network.encoder(self._batch(mel)).vectors
        return Content(codes, onto(self.device, torch.from_numpy(melody[: 2 * codes.shape[1]])[None]))

    def voice(self, prompts: Sequence[Waveform]) -> Tensor:
        """Encode who speaks: (1, 256)."""
        import torch

        vectors = [self._network.encoder_spk(self._batch(self._mel(prompt, "prompt")[1])) for prompt in prompts]
        return torch.stack(vectors).mean(dim=0)

    def _mel(self, wave: Waveform, what: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Front end: samples at 16 kHz, and (frames, 80), normalised."""
        check_length(wave, what, _MIN_SECONDS)
        moved = self.at_rate(wave, SAMPLE_RATE).samples
        # Their script calls the resampler itself, which gives whole samples, none begun
        samples = vqmivc_features.levelled(moved[: len(wave.samples) * SAMPLE_RATE // wave.sample_rate])
        return samples, vqmivc_features.normalised(vqmivc_features.log_mel(samples), self._mean, self._deviation)

    def _batch(self, mel: NDArray[np.float32]) -> Tensor:
        import torch

        from vceval.networks.blocks import onto

        return onto(self.device, torch.from_numpy(mel).T[None].contiguous())

    def _waves(self, items: list[tuple[Content, Tensor, int]]) -> list[Made]:
        import torch

        from vceval.networks.blocks import onto

        contents, voices, seeds = zip(*items, strict=True)
        samples = contents[0].log_f0.shape[1] * HOP
        with torch.inference_mode():
            mels = self._network.decoder(
                torch.cat([content.codes for content in contents]),
                torch.cat([content.log_f0 for content in contents]),
                torch.cat(voices),
            )
            start = torch.stack([noise(seed, (1, samples)) for seed in seeds])
            # Processors take one item at a time faster than several together
            size = 1 if self.device == "cpu" else len(items)
            parts = zip(
                torch.split(onto(self.device, start), size), torch.split(mels.transpose(1, 2), size), strict=True
            )
            audio = torch.cat([self._vocoder(drawn, mel)[:, 0] for drawn, mel in parts])
        lengths = [audio.shape[1]] * len(audio)
        return self.made(audio, lengths, lambda row: finished(row, SAMPLE_RATE, "VQMIVC", clip=True))
