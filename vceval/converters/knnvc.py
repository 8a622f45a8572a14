"""The converter ``knnvc``: kNN-VC with either of its vocoders, from the files that its authors published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from vceval.checkpoints import store
from vceval.checkpoints.known_files import WAVLM_LARGE
from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.base import ConverterInfo, Made
from vceval.converters.native import MAX_SECONDS, NativeConverter, check_length, finished, padded
from vceval.errors import ItemError, UsageError
from vceval.networks.shapes import on_gpu, roomy
from vceval.signal.audio import Resampler, Waveform
from vceval.signal.loudness_torchaudio import BLOCK_SECONDS, levelled
from vceval.signal.vad import Detector, trim_ends

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["PREMATCHED", "REGULAR", "SAMPLE_RATE", "KnnVc"]

SAMPLE_RATE = 16_000
_RELEASE = "https://github.com/bshall/knn-vc/releases"
#: Samples of a frame of WavLM.
_FRAME = 400


def _vocoder(name: str, holds: str, optional: bool = False, note: str = "") -> WeightFile:
    return WeightFile(
        name=name,
        holds=holds,
        page=_RELEASE,
        licence="MIT (repository bshall/knn-vc)",
        url=f"{_RELEASE}/download/v0.1/{name}",
        network="vceval.networks.knnvc:vocoder",
        entry=("generator",),
        also_called=(f"knnvc/{name}",),
        optional=optional,
        note=note,
    )


PREMATCHED = _vocoder(
    "prematch_g_02500000.pt", "kNN-VC, its HiFi-GAN trained on matched WavLM features (LibriSpeech train-clean-100)"
)
REGULAR = _vocoder(
    "g_02500000.pt",
    "kNN-VC, its HiFi-GAN trained on plain WavLM features (LibriSpeech train-clean-100)",
    optional=True,
    note="for the option prematched=false only",
)


class KnnVc(NativeConverter):
    """Converts with kNN-VC; 16 kHz, 320 samples for each WavLM frame, so up to 25 ms shorter than the source.

    Source and prompts are resampled to 16 kHz, as torchaudio does it for the authors. Prompts lose what the voice
    activity detector takes for silence before and after speech, the source nothing. Every frame of the source
    (WavLM-Large, layer 6) gives way to the plain mean of the nearest frames, by cosine, of all prompts together, and
    the vocoder makes audio of them, which is brought to a loudness by a gain: nothing is limited, so the peak may pass
    full scale.

    A prompt in which the detector hears no speech adds nothing; where fewer frames than ``neighbours`` are left in
    all, the pair fails (``vad=0`` keeps everything). WavLM gets prompts longer than 60 s in equal pieces; sources
    longer than that are refused. Which neighbours are nearest turns on the last digit where two are about as near, so
    nothing before the vocoder is batched: each source and each prompt goes through WavLM alone. Deterministic; seeds
    are not used.

    Args:
        prematched: the vocoder trained on matched features, the better one of the paper; else the regular one.
        neighbours: frames that are averaged.
        vad: trigger level of the detector; 0 to keep prompts whole.
        loudness: of the output in LKFS; needs a source of 0.41 s. None to leave it as the vocoder gives it.
        max_prompt_seconds: of the prompts, in their order, no more than this is used; what the authors' page says of
            the amount: more is better, but little beyond 5 minutes.
        weights: see :class:`NativeConverter`.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="knnvc",
        title="kNN-VC",
        sample_rate=SAMPLE_RATE,
        licence="MIT; WavLM: MIT",
        paper="Baas, van Niekerk, Kamper, Voice conversion with just nearest neighbors, Interspeech 2023, "
        "arXiv 2305.18975",
        kind="native",
        checkpoints=(PREMATCHED.name, WAVLM_LARGE.name),
        trained_on=None,
        front_end="trim:prompt vad|level:output -16 LKFS",
    )
    authors_resampler: ClassVar[Resampler] = "torchaudio"
    files: ClassVar[tuple[WeightFile, ...]] = (PREMATCHED, REGULAR, WAVLM_LARGE)

    def __init__(
        self,
        *,
        prematched: bool = True,
        neighbours: int = 4,
        vad: float = 7.0,
        loudness: float | None = -16.0,
        max_prompt_seconds: float = 600.0,
        weights: str = "",
        precision: str = "float32",
        resampler: str = "authors",
    ) -> None:
        super().__init__(weights=weights, precision=precision, resampler=resampler)
        if neighbours < 1:
            raise UsageError(f"knnvc: neighbours is {neighbours}; at least 1 is needed")
        if max_prompt_seconds <= 0.0:
            raise UsageError(f"knnvc: max_prompt_seconds is {max_prompt_seconds:g}; more than 0 is needed")
        self.neighbours = neighbours
        self.loudness = loudness
        self.max_prompt_seconds = max_prompt_seconds
        self._detector = Detector(trigger_level=vad, flavour="torchaudio") if vad > 0.0 else None
        self._vocoder_file = PREMATCHED if prematched else REGULAR

    def load(self) -> None:
        """Load the vocoder and the first six layers of WavLM."""
        from vceval.networks import wavlm
        from vceval.networks.knnvc import LAYER

        self._vocoder = self.network(self._vocoder_file.name)
        self._wavlm = self.loaded(WAVLM_LARGE.name, lambda path: wavlm.load(path, LAYER, self.device))

    def close(self) -> None:
        """Free the networks."""
        for name in ("_vocoder", "_wavlm"):
            self.__dict__.pop(name, None)

    @property
    def _used(self) -> tuple[WeightFile, ...]:
        return self._vocoder_file, WAVLM_LARGE

    def assets(self) -> dict[str, Path]:
        """Give the files that are used and there, by name."""
        used = {file.name for file in self._used}
        return {name: path for name, path in super().assets().items() if name in used}

    def missing_files(self) -> list[str]:
        """Say which of the files that are used are missing."""
        return store.missing(self._used, self._folder)

    def decode(self, items: Sequence[tuple[Any, Any]], seeds: Sequence[int]) -> list[Made]:
        """Match one item after the other; vocode, on a GPU those of about the same length together."""
        import torch

        from vceval.networks.hifigan import vocode
        from vceval.networks.knnvc import match

        with torch.inference_mode():
            matched = [match(query, pool, self.neighbours).features for query, pool in items]
            waves = vocode(self._vocoder, matched)
        return self.ended(self.made(padded(waves), [len(wave) for wave in waves], self._levelled)) if waves else []

    def _features(self, samples: NDArray[np.float32]) -> Tensor:
        import numpy as np
        import torch

        from vceval.networks.blocks import onto
        from vceval.networks.knnvc import LAYER

        sizes = self._wavlm.sizes
        found = []
        for part in np.array_split(samples, -(-len(samples) // int(MAX_SECONDS * SAMPLE_RATE))):
            frames = sizes.frames(len(part))
            wave = torch.from_numpy(part[: sizes.samples(frames)])[None]
            lengths = torch.tensor([wave.shape[1]])
            if on_gpu(self.device):  # whose kernels are chosen anew for every length
                wave = padded(list(wave), sizes.samples(roomy(frames)))
            found.append(self._wavlm(onto(self.device, wave), lengths, LAYER)[0, :frames])
        return torch.cat(found)

    def content(self, source: Waveform) -> Tensor:
        """Compute the features (frames, 1024) of a source."""
        check_length(source, "source")
        samples = self.at_rate(source, SAMPLE_RATE).samples
        # The loudness of the output is measured on 0.4 s at least
        frames = 1 if self.loudness is None else round(BLOCK_SECONDS * SAMPLE_RATE) // 320
        needed = (frames - 1) * 320 + _FRAME
        if len(samples) < needed:
            raise ItemError(
                f"source of {len(samples) / SAMPLE_RATE:.3f} s is too short; {needed / SAMPLE_RATE:.3f} s are needed"
            )
        return self._features(samples)

    def voice(self, prompts: Sequence[Waveform]) -> Tensor:
        """Compute the features (frames, 1024) of all prompts together."""
        import torch

        left = int(self.max_prompt_seconds * SAMPLE_RATE)
        found: list[Tensor] = []
        heard = 0
        for prompt in prompts:
            samples = self.at_rate(prompt, SAMPLE_RATE).samples
            if self._detector is not None:
                samples = trim_ends(samples, SAMPLE_RATE, self._detector)
            samples = samples[:left]
            left -= len(samples)
            heard += len(samples)
            if len(samples) >= _FRAME:
                found.append(self._features(samples))
        frames = sum(map(len, found))
        if frames < self.neighbours:
            message = "" if self._detector is None else " after silence at the ends was cut (option vad)"
            raise ItemError(
                f"{heard / SAMPLE_RATE:.2f} s of the target speaker are left{message}: {frames} frames; "
                f"{self.neighbours} are needed"
            )
        return torch.cat(found)

    def _levelled(self, samples: NDArray[np.float32]) -> Waveform | ItemError:
        wave = finished(samples, SAMPLE_RATE, "kNN-VC")
        if self.loudness is None or isinstance(wave, ItemError):
            return wave
        return finished(levelled(wave.samples, SAMPLE_RATE, self.loudness), SAMPLE_RATE, "kNN-VC")
