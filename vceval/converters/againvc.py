"""The converter ``againvc``: AGAIN-VC with its vocoder MelGAN, from the files that their authors published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.base import ConverterInfo, Made
from vceval.converters.native import NativeConverter, attempt, check_length, finished, grouped, past_failures
from vceval.errors import ItemError
from vceval.networks import againvc_features
from vceval.networks.againvc_features import SAMPLE_RATE
from vceval.signal.audio import Resampler, Waveform

if TYPE_CHECKING:
    from torch import Tensor

    from vceval.networks.againvc import Voice

__all__ = ["MELGAN", "WEIGHTS", "AgainVc"]

WEIGHTS = WeightFile(
    name="c4s/steps_100000.pth",
    holds="AGAIN-VC, encoder and decoder, trained on VCTK",
    page="https://drive.google.com/drive/folders/1qxVVS07VWdp1Kwsf-XI7TyD0fowA7bGp",
    licence="MIT (repository KimythAnly/AGAIN-VC; nothing is said of the weights)",
    network="vceval.networks.againvc:build",
    entry=("model",),
    also_called=("again/c4s/steps_100000.pth", "checkpoints/again/c4s/steps_100000.pth"),
    note="reported gone: its author wrote in 2024 that the published model is lost (issue 4 of the repository)",
)
MELGAN = WeightFile(
    name="melgan/multi_speaker.pt",
    holds="MelGAN, the generator for many speakers",
    page="https://github.com/descriptinc/melgan-neurips/tree/master/models",
    licence="MIT (repository descriptinc/melgan-neurips)",
    url="https://github.com/descriptinc/melgan-neurips/raw/master/models/multi_speaker.pt",
    network="vceval.networks.melgan:MelGan",
    also_called=("multi_speaker.pt", "models/multi_speaker.pt"),
)

#: Mel frames that are decoded at once, in all; bounds memory.
_FRAMES_AT_ONCE = 4_000


class Content(NamedTuple):
    """What is said: code (1, 4, frames up to a multiple of 8), and the frames of the source."""

    code: Tensor
    frames: int


class AgainVc(NativeConverter):
    """Converts with AGAIN-VC; 22.05 kHz, as long as the source without its quiet ends.

    Sources and prompts are resampled to 22.05 kHz by resampy 0.2, as the authors' librosa does, cut where the ends are
    20 dB below the loudest part, and clipped to full scale. At least 5 mel frames (1024 samples) must be left. Several
    prompts are joined, one mel spectrum after the other: the authors take one utterance. Digital silence gets a floor
    of 1e-10, where their code fails.

    Statistics over time and zeros around convolutions would see any padding, so utterances are batched by equal
    length, after being mirrored up to a multiple of 8 frames as the authors do it. The GRU takes every frame alone, as
    it does in their conversion script. Deterministic; seeds are not used.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="againvc",
        title="AGAIN-VC",
        sample_rate=SAMPLE_RATE,
        licence="MIT; MelGAN: MIT",
        paper="Chen et al., AGAIN-VC: a one-shot voice conversion using activation guidance and adaptive instance "
        "normalization, ICASSP 2021, arXiv 2011.00316",
        kind="native",
        checkpoints=(WEIGHTS.name, MELGAN.name),
        trained_on=None,
        front_end="trim:20 dB|level:none, clipped",
    )
    authors_resampler: ClassVar[Resampler] = "resampy-0.2"
    files: ClassVar[tuple[WeightFile, ...]] = (WEIGHTS, MELGAN)

    def load(self) -> None:
        """Load the converter's network and MelGAN."""
        self._network = self.network(WEIGHTS.name)
        self._vocoder = self.network(MELGAN.name)

    def encode_content(self, sources: Sequence[Waveform]) -> list[Any]:
        """Encode what is said; an ItemError for a source that is too short or too long."""
        return self._alike(
            [attempt(lambda wave: self._mel(wave, "source"), source) for source in sources], self._contents
        )

    def encode_speaker(self, prompts: Sequence[Sequence[Waveform]]) -> list[Any]:
        """Encode who speaks; an ItemError where a prompt is too short or too long."""
        return self._alike([attempt(self._joined, group) for group in prompts], self._voices)

    def decode(self, items: Sequence[tuple[Any, Any]], seeds: Sequence[int]) -> list[Made]:
        """Make mel spectra and, from these, audio."""
        longest = max((content.frames for content, _ in items), default=1)
        made = grouped(items, lambda item: item[0].frames, self._waves, max(1, _FRAMES_AT_ONCE // longest))
        return self.ended(made)

    def _alike(self, mels: Sequence[Tensor | ItemError], run: Callable[[list[Tensor]], list[Any]]) -> list[Any]:
        """Run mel spectra of equal padded length together."""
        return past_failures(mels, lambda fine: grouped(fine, lambda mel: -(-mel.shape[1] // 8), run))

    def _padded(self, mels: Sequence[Tensor]) -> Tensor:
        import torch

        from vceval.networks.againvc import pad
        from vceval.networks.blocks import onto

        return onto(self.device, torch.stack([pad(mel[None])[0] for mel in mels]))

    def _joined(self, prompts: Sequence[Waveform]) -> Tensor:
        """Join the mel spectra of prompts in time: (80, frames)."""
        import torch

        return torch.cat([self._mel(prompt, "prompt") for prompt in prompts], dim=1)

    def _mel(self, wave: Waveform, what: str) -> Tensor:
        """Front end: (80, frames).

        Raises:
            ItemError: nothing, or too little, is left of it, or it is too long.
        """
        import torch

        from vceval.networks.againvc import MIN_FRAMES

        check_length(wave, what)
        kept, _ = againvc_features.trimmed(self.at_rate(wave, SAMPLE_RATE).samples)
        frames = 1 + len(kept) // againvc_features.HOP
        if frames < MIN_FRAMES:
            seconds = len(kept) / SAMPLE_RATE
            raise ItemError(
                f"{what}: {seconds:.3f} s ({frames} mel frames) are left without quiet ends; {MIN_FRAMES} frames "
                "are needed"
            )
        return torch.from_numpy(againvc_features.againvc_mel(kept))

    def _contents(self, mels: list[Tensor]) -> list[Content]:
        import torch

        with torch.inference_mode():
            codes = self._network.content(self._padded(mels))
        return [Content(codes[place : place + 1], mel.shape[1]) for place, mel in enumerate(mels)]

    def _voices(self, mels: list[Tensor]) -> list[Voice]:
        import torch

        from vceval.networks.againvc import Voice

        with torch.inference_mode():
            voices = self._network.voice(self._padded(mels))
        return [Voice(*(part[place : place + 1] for part in voices)) for place in range(len(mels))]

    def _waves(self, items: list[tuple[Content, Voice]]) -> list[Made]:
        import torch

        from vceval.networks.againvc import Voice

        frames = items[0][0].frames
        with torch.inference_mode():
            contents = torch.cat([content.code for content, _ in items])
            voices = Voice(*(torch.cat(parts) for parts in zip(*(voice for _, voice in items), strict=True)))
            mels = self._network.decoder(contents, voices)[..., :frames]
            # Processors take one item at a time faster than several together
            parts = torch.split(mels, 1 if self.device == "cpu" else len(mels))
            audio = torch.cat([self._vocoder(part)[:, 0] for part in parts])
        return self.made(audio, [audio.shape[1]] * len(audio), lambda row: finished(row, SAMPLE_RATE, "AGAIN-VC"))
