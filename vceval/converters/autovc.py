"""The converter ``autovc``: AutoVC, an auto-encoder with a bottleneck, and a vocoder for its mel spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.base import ConverterInfo
from vceval.converters.native import (
    NativeConverter,
    attempt,
    check_length,
    grouped,
    past_failures,
)
from vceval.errors import ItemError, UsageError
from vceval.signal.audio import Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["AutoVc", "Codes"]

_GENERATOR, _ENCODER, _VOCODER = "autovc.ckpt", "3000000-BL.ckpt", "autovc/g_03280000"
_PAGE = "https://github.com/auspicious3000/autovc"
_LICENCE = "MIT"
SAMPLE_RATE, _HOP, _STEP = 16_000, 256, 32
#: Fewest seconds of a recording; crops that make up a speaker's embedding.
_SHORTEST, _CROPS = 0.1, 10
#: Rounds of Griffin-Lim.
_ROUNDS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """What is said in a source: codes (chunks, 64), one for 32 frames, and how many frames are not padding."""

    codes: Tensor
    frames: int


class AutoVc(NativeConverter):
    """AutoVC with its own speaker encoder.

    Recordings are neither trimmed nor levelled. The authors' scripts take files of 16 kHz and resample none; here soxr
    (HQ) brings others to it.

    Output: 16 kHz, 256 samples for each of the source's 1 + n // 256 frames (256 less from Griffin-Lim). Nothing is
    drawn at random; seeds are not used. The mel spectrogram is padded with zeros to a multiple of 32 frames, as
    upstream, and cut afterwards; padded frames are heard, so only sources of equal padded length go together.

    A speaker's embedding is upstream's mean of 128-frame (2 s) crops, not of length 1. Upstream crops ten
    utterances at random places; here ten crops are spread evenly over the prompts, or one is taken from the middle
    of each of more than ten. Prompts shorter than a crop are passed over where there is a longer one; else they are
    repeated to fill it. The source's embedding is taken from the source alone, in the same way.

    Args:
        weights: folder of the files.
        vocoder: ``hifigan``, the author's ``g_03280000`` (configuration v1; his earlier ``g_03295000`` is faulty), or
            another HiFi-GAN v1 that was trained on AutoVC's mel spectrograms (0..1, 80 bands, hop 256, 16 kHz).
            ``griffin-lim`` needs no file, and is clearly not what the authors' results sound like.
            The authors' WaveNet is not offered: it makes one sample at a time.

    Refused are recordings shorter than 0.1 s, and sources longer than a minute.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="autovc",
        title="AutoVC",
        sample_rate=SAMPLE_RATE,
        licence=_LICENCE,
        paper="Qian et al., AutoVC: zero-shot voice style transfer with only autoencoder loss, ICML 2019",
        kind="native",
        checkpoints=(_GENERATOR, _ENCODER, _VOCODER),
        trained_on=None,
        front_end="trim:none|level:0.96 of the recording's",
    )
    files: ClassVar[tuple[WeightFile, ...]] = (
        WeightFile(
            name=_GENERATOR,
            holds="AutoVC, the converter",
            page=_PAGE,
            licence=_LICENCE,
            network="vceval.networks.autovc:Generator",
            entry=("model",),
        ),
        WeightFile(
            name=_ENCODER,
            holds="AutoVC, its speaker encoder",
            page=_PAGE,
            licence=_LICENCE,
            network="vceval.networks.autovc:SpeakerEncoder",
            entry=("model_b",),
            prefix="module.",
        ),
        WeightFile(
            name=_VOCODER,
            holds="the HiFi-GAN v1 generator of AutoVC's author, for its mel spectrograms",
            page=f"{_PAGE} (linked in issue 106)",
            licence="not stated for the file",
            also_called=("autovc/hifigan.pt",),
            network="vceval.networks.hifigan:universal",
            entry=("generator",),
            optional=True,
            note="trained on mel spectrograms in 0..1 at 16 kHz; without it use the option vocoder=griffin-lim",
        ),
    )

    def __init__(
        self,
        *,
        weights: str = "",
        vocoder: Literal["hifigan", "griffin-lim"] = "hifigan",
        precision: str = "float32",
        resampler: str = "authors",
    ) -> None:
        super().__init__(weights=weights, precision=precision, resampler=resampler)
        if vocoder not in ("hifigan", "griffin-lim"):
            raise UsageError(f"converter autovc: vocoder is {vocoder!r}, not one of hifigan, griffin-lim")
        self.vocoder = vocoder
        # Griffin-Lim magnifies differences in the last digit, so with it nothing is batched
        self._together = 16 if vocoder == "hifigan" else 1

    def load(self) -> None:
        """Load the networks that are used.

        Raises:
            UsageError: a file is missing or wrong.
        """
        self._generator, self._encoder = self.network(_GENERATOR), self.network(_ENCODER)
        self._hifigan: Any = None
        if self.vocoder == "hifigan":
            if not self.has(_VOCODER):
                raise UsageError(
                    f"converter autovc needs a vocoder: file {self.file(_VOCODER).holds} as {_VOCODER}, "
                    f"see {self.file(_VOCODER).page}; or set its option vocoder to griffin-lim"
                )
            self._hifigan = self.network(_VOCODER)

    def encode_content(self, sources: Sequence[Waveform]) -> list[Codes | ItemError]:
        """Encode each source, conditioned on its own speaker."""
        return past_failures(
            [attempt(lambda wave: self._mel(wave, "source"), source) for source in sources], self._contents
        )

    def encode_speaker(self, prompts: Sequence[Sequence[Waveform]]) -> list[Tensor | ItemError]:
        """Embed each list of prompts: (256,), of length below 1."""
        groups = [attempt(lambda waves: [self._mel(wave, "prompt") for wave in waves], group) for group in prompts]
        return past_failures(groups, self._voices)

    def decode(self, items: Sequence[tuple[Codes, Tensor]], seeds: Sequence[int]) -> list[Waveform | ItemError]:
        """Decode for each speaker, and make waveforms."""
        mels = grouped(items, lambda item: len(item[0].codes), self._decode, self._together)
        if self._hifigan is None:
            return self.side_by_side(_inverted, (mel.float().cpu().numpy() for mel in mels))
        return grouped(mels, len, self._vocoded, self._together)

    def _contents(self, mels: Sequence[NDArray[np.float32]]) -> list[Codes]:
        items = list(zip(mels, self._voices([[mel] for mel in mels]), strict=True))
        return grouped(items, lambda item: -(-len(item[0]) // _STEP), self._encode, self._together)

    def _mel(self, wave: Waveform, what: str) -> NDArray[np.float32]:
        from vceval.networks.autovc_features import mel_spectrogram

        check_length(wave, what, _SHORTEST)
        return mel_spectrogram(self.at_rate(wave, SAMPLE_RATE).samples)

    def _voices(self, groups: Sequence[Sequence[NDArray[np.float32]]]) -> list[Tensor]:
        """Embed speakers, each from the mel spectrograms of his utterances: mean over utterances of mean over crops."""
        import torch

        cut = [crops(group) for group in groups]
        vectors = iter(grouped([c for group in cut for part in group for c in part], len, self._embed, self._together))
        return [
            torch.stack([torch.stack([next(vectors) for _ in part]).mean(dim=0) for part in group]).mean(dim=0)
            for group in cut
        ]

    def _embed(self, parts: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        import torch

        with torch.inference_mode():
            return list(self._encoder(self._stacked(parts)))

    def _encode(self, items: Sequence[tuple[NDArray[np.float32], Tensor]]) -> list[Codes]:
        import torch

        from vceval.networks.autovc_features import pad_frames

        mels = self._stacked([pad_frames(mel, _STEP) for mel, _ in items])
        with torch.inference_mode():
            codes = self._generator.encode(mels, torch.stack([voice for _, voice in items]))
        return [Codes(row, len(mel)) for row, (mel, _) in zip(codes, items, strict=True)]

    def _decode(self, items: Sequence[tuple[Codes, Tensor]]) -> list[Tensor]:
        import torch

        codes, voices = (torch.stack(list(parts)) for parts in zip(*((c.codes, v) for c, v in items), strict=True))
        with torch.inference_mode():
            _, mels = self._generator.decode(codes, voices)
        return [mel[: content.frames] for mel, (content, _) in zip(mels, items, strict=True)]

    def _vocoded(self, mels: Sequence[Tensor]) -> list[Waveform | ItemError]:
        import torch

        with torch.inference_mode():
            audio = self._hifigan(torch.stack(list(mels)).transpose(1, 2))[:, 0].float().cpu()
        return [_finished(row.numpy()) for row in audio]

    def _stacked(self, parts: Sequence[NDArray[np.float32]]) -> Tensor:
        import numpy as np
        import torch

        return torch.from_numpy(np.stack(parts)).to(self.device)


def crops(mels: Sequence[NDArray[np.float32]]) -> list[list[NDArray[np.float32]]]:
    """Cut mel spectrograms (frames, 80) of one speaker into crops of 128 frames, a list for each that is used."""
    import numpy as np

    from vceval.networks.autovc import CROP

    used = [mel for mel in mels if len(mel) >= CROP] or [np.resize(mel, (CROP, mel.shape[1])) for mel in mels]
    count = -(-_CROPS // len(used))
    found = []
    for mel in used:
        spare = len(mel) - CROP
        starts = np.unique(np.linspace(0, spare, count).astype(int)) if count > 1 else [spare // 2]
        found.append([mel[start : start + CROP] for start in starts])
    return found


def _inverted(mel: NDArray[np.float32]) -> Waveform | ItemError:
    from vceval.networks.autovc_features import waveform

    return _finished(waveform(mel, _ROUNDS))


def _finished(samples: NDArray[np.floating]) -> Waveform | ItemError:
    import numpy as np

    if not np.isfinite(samples).all():
        return ItemError(f"the vocoder gave {int((~np.isfinite(samples)).sum())} samples that are not finite")
    return Waveform(np.ascontiguousarray(samples, dtype=np.float32), SAMPLE_RATE)
