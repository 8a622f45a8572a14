"""The converters ``freevc``, ``freevc-s`` and ``freevc-24``, from the files that their authors published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from vceval.checkpoints.known_files import GE2E, RESEMBLYZER, WAVLM_LARGE
from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.base import ConverterInfo, Made
from vceval.converters.native import (
    NativeConverter,
    attempt,
    check_length,
    finished,
    noise,
    padded,
    past_failures,
)
from vceval.errors import ItemError, UsageError
from vceval.networks.freevc_features import MIN_SAMPLES, SAMPLE_RATE, log_mel, trimmed
from vceval.networks.shapes import together
from vceval.signal.audio import Resampler, Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["FREEVC", "FREEVC_24", "FREEVC_S", "FreeVc", "FreeVc24", "FreeVcS"]

_PAGE = "https://1drv.ms/u/s!AnvukVnlQ3ZTx1rjrOZ2abCwuBAh?e=UlhRR5 (linked by https://github.com/OlaWod/FreeVC)"


def _file(
    name: str,
    holds: str,
    network: str,
    note: str = "",
    lookalikes: tuple[tuple[str, str], ...] = (),
    size: int | None = None,
    sha256: str | None = None,
) -> WeightFile:
    return WeightFile(
        name=name,
        holds=holds,
        page=_PAGE,
        licence="MIT (repository OlaWod/FreeVC; nothing is said of the weights)",
        network=f"vceval.networks.freevc:{network}",
        entry=("model",),
        also_called=(f"checkpoints/{name}", f"freevc/{name}"),
        note=note,
        lookalikes=lookalikes,
        size=size,
        sha256=sha256,
    )


FREEVC = _file("freevc.pth", "FreeVC at 16 kHz, the generator, trained on VCTK", "freevc")
FREEVC_S = _file("freevc-s.pth", "FreeVC-s, the generator with its own speaker encoder, trained on VCTK", "freevc_s")
FREEVC_24 = _file(
    "freevc-24.pth",
    "FreeVC at 24 kHz, the generator, trained on VCTK",
    "freevc_24",
    "in the folder 24kHz of the page",
    (("enc_spk_ex.", "FreeVC as coqui-ai packs it, with all its encoders inside"),),
    472_644_351,
    "7b39a86fefbc9ec6e30be8d26ee2a6aa5ffe6d235f6ab15773d01cdf348e5b20",
)

T = TypeVar("T")
R = TypeVar("R")

#: Samples of a frame of WavLM, the fewest it takes.
_FRAME = 400
#: Items, and their frames in all, that are encoded and converted at once; they bound memory.
_TOGETHER, _FRAMES_AT_ONCE = 16, 4_000
#: Items that processors decode together: four took 2.2 times as long as one by one.
_DECODED_ON_PROCESSORS = 1


class FreeVc(NativeConverter):
    """Converts with FreeVC; 16 kHz, 320 samples for each WavLM frame, so up to 25 ms shorter than the source.

    The source goes into WavLM-Large (last layer, with its final layer norm) at 16 kHz, neither trimmed nor levelled; 25
    ms at least. It is resampled as by librosa 0.8.1, which the authors pinned: resampy 0.2. Of the prompt, ends 20 dB
    below its loudest part are cut, and 481 samples (30 ms) must be left: they are embedded by the GE2E speaker encoder
    as 256 values, not negative, of length 1. Several prompts: the mean of their vectors, brought to length 1, as that
    encoder does it for a speaker (the authors take one utterance).

    The system draws noise of scale 1 for each conversion; here the pair's seed decides it. Items of unequal length
    are batched behind masks, in the decoder too, where the authors' code has none: each comes out as it does alone.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="freevc",
        title="FreeVC",
        sample_rate=16_000,
        licence="MIT; WavLM: MIT",
        paper="Li, Tu, Xiao, FreeVC: towards high-quality text-free one-shot voice conversion, ICASSP 2023, "
        "arXiv 2210.15418",
        kind="native",
        checkpoints=(FREEVC.name, WAVLM_LARGE.name, GE2E.name),
        trained_on=None,
        draws_noise=True,
        front_end="trim:prompt 20 dB|level:none",
    )
    files: ClassVar[tuple[WeightFile, ...]] = (FREEVC, WAVLM_LARGE, GE2E)
    authors_resampler: ClassVar[Resampler] = "resampy-0.2"
    _generator_file: ClassVar[WeightFile] = FREEVC

    def load(self) -> None:
        """Load the generator, WavLM and, where one is needed, the speaker encoder."""
        from vceval.networks import wavlm

        if GE2E in self.files:
            _check_origin(self.path(GE2E.name))
            self._encoder = self.network(GE2E.name)
        self._generator = self.network(self._generator_file.name)
        self._wavlm = self.loaded(WAVLM_LARGE.name, lambda path: wavlm.load(path, device=self.device))

    def close(self) -> None:
        """Free the networks."""
        for name in ("_generator", "_encoder", "_wavlm"):
            self.__dict__.pop(name, None)

    def encode_content(self, sources: Sequence[Waveform]) -> list[Any]:
        """Compute WavLM features (1024, frames) of each source; an ItemError for one that is too short or too long."""
        ready = [attempt(self._ready, source) for source in sources]

        def frames(samples: NDArray[np.float32]) -> int:
            return int(self._wavlm.sizes.frames(len(samples)))

        return past_failures(ready, lambda fine: self._together(fine, frames, self._contents))

    def encode_speaker(self, prompts: Sequence[Sequence[Waveform]]) -> list[Any]:
        """Compute the speaker vector (256,) of each list of prompts; an ItemError where one holds no voice."""
        heard = [attempt(lambda waves: [self._speech(wave) for wave in waves], group) for group in prompts]
        return past_failures(heard, self._voices)

    def decode(self, items: Sequence[tuple[Any, Any]], seeds: Sequence[int]) -> list[Made]:
        """Convert, on a GPU items of about the same length together."""
        work = [(content, speaker, seed) for (content, speaker), seed in zip(items, seeds, strict=True)]
        return self.ended(self._together(work, lambda item: item[0].shape[1], self._waves, _DECODED_ON_PROCESSORS))

    def _ready(self, source: Waveform) -> NDArray[np.float32]:
        check_length(source, "source")
        samples = self.at_rate(source, SAMPLE_RATE).samples
        if len(samples) < _FRAME:
            raise ItemError(f"source of {len(samples)} samples at 16 kHz is less than a frame of {_FRAME}")
        return samples

    def _speech(self, prompt: Waveform) -> NDArray[np.float32]:
        check_length(prompt, "prompt")
        speech = trimmed(self.at_rate(prompt, SAMPLE_RATE).samples)
        if len(speech) < MIN_SAMPLES:
            raise ItemError(
                f"{len(speech) / SAMPLE_RATE:.3f} s of the prompt are left without ends 20 dB below its loudest part; "
                f"{MIN_SAMPLES / SAMPLE_RATE:.3f} s are needed"
            )
        return speech

    def _together(
        self,
        items: Sequence[T],
        length: Callable[[T], int],
        run: Callable[[list[T], int], Sequence[R]],
        on_processors: int = _TOGETHER,
    ) -> list[R]:
        return together(
            items, length, run, device=self.device, most=_TOGETHER, on_processors=on_processors, in_all=_FRAMES_AT_ONCE
        )

    def _contents(self, batch: list[NDArray[np.float32]], size: int) -> list[Tensor]:
        import torch

        from vceval.networks.blocks import onto

        sizes = self._wavlm.sizes
        counts = [sizes.frames(len(samples)) for samples in batch]
        # What is left after the last frame goes into none
        used = [torch.from_numpy(samples[: sizes.samples(n)]) for samples, n in zip(batch, counts, strict=True)]
        lengths = torch.tensor([len(samples) for samples in used])
        with torch.inference_mode():
            features = self._wavlm(onto(self.device, padded(used, sizes.samples(size))), lengths)
        return [row[:count].T.contiguous() for row, count in zip(features, counts, strict=True)]

    def _voices(self, speakers: Sequence[Sequence[NDArray[np.float32]]]) -> list[Tensor | ItemError]:
        import torch

        with torch.inference_mode():
            vectors = self._embed(speakers)
            found = vectors.isfinite().all(dim=1).tolist()
        silent = ItemError("the speaker encoder finds no voice in the prompt: its vector is all zeros")
        return [vector if fine else silent for vector, fine in zip(vectors, found, strict=True)]

    def _embed(self, speakers: Sequence[Sequence[NDArray[np.float32]]]) -> Tensor:
        vectors: Tensor = self._encoder.embed_speakers(speakers)
        return vectors

    def _waves(self, batch: list[tuple[Tensor, Tensor, int]], size: int) -> list[Made]:
        import torch

        from vceval.networks.blocks import onto
        from vceval.networks.freevc import LATENT

        counts = [content.shape[1] for content, _, _ in batch]
        contents = padded([content for content, _, _ in batch], size)
        drawn = padded([noise(seed, (LATENT, n)) for n, (_, _, seed) in zip(counts, batch, strict=True)], size)
        speakers = torch.stack([speaker for _, speaker, _ in batch])
        with torch.inference_mode():
            audio = self._generator(contents, speakers, onto(self.device, drawn), torch.tensor(counts))
        per_frame = audio.shape[-1] // size
        rate = self.info.sample_rate or SAMPLE_RATE
        lengths = [count * per_frame for count in counts]
        return self.made(audio[:, 0], lengths, lambda row: finished(row, rate, self.info.title))


class FreeVc24(FreeVc):
    """As :class:`FreeVc`, but with output at 24 kHz: 480 samples for each WavLM frame. Sources are taken at 16 kHz."""

    info: ClassVar[ConverterInfo] = replace(
        FreeVc.info,
        name="freevc-24",
        title="FreeVC-24",
        sample_rate=24_000,
        checkpoints=(FREEVC_24.name, WAVLM_LARGE.name, GE2E.name),
    )
    files: ClassVar[tuple[WeightFile, ...]] = (FREEVC_24, WAVLM_LARGE, GE2E)
    _generator_file: ClassVar[WeightFile] = FREEVC_24


class FreeVcS(FreeVc):
    """As :class:`FreeVc`, but with a speaker encoder of its own, over 80 log-mel bands of the prompt.

    Its vector is the mean of vectors of length 1, of windows of 2.56 s every 1.28 s, and is not brought to length 1.
    Several prompts: the mean of their vectors.
    """

    info: ClassVar[ConverterInfo] = replace(
        FreeVc.info,
        name="freevc-s",
        title="FreeVC-s",
        checkpoints=(FREEVC_S.name, WAVLM_LARGE.name),
    )
    files: ClassVar[tuple[WeightFile, ...]] = (FREEVC_S, WAVLM_LARGE)
    _generator_file: ClassVar[WeightFile] = FREEVC_S

    def _embed(self, speakers: Sequence[Sequence[NDArray[np.float32]]]) -> Tensor:
        import torch

        from vceval.networks.blocks import onto

        def embedded(samples: NDArray[np.float32]) -> Tensor:
            vector: Tensor = self._generator.enc_spk(onto(self.device, torch.from_numpy(log_mel(samples).T[None])))
            return vector

        return torch.stack([torch.cat(list(map(embedded, utterances))).mean(dim=0) for utterances in speakers])


def _check_origin(path: Path) -> None:
    """Refuse the speaker encoder of Resemblyzer, which fits but is another one.

    Raises:
        UsageError: it is that, or can't be read.
    """
    from vceval.checkpoints import weights

    content = weights.read(path)
    if isinstance(content, dict) and all(content.get(name) == value for name, value in RESEMBLYZER.metadata):
        raise UsageError(
            f"{path} is Resemblyzer's speaker encoder, not {GE2E.name}, with which FreeVC was trained; get that from "
            f"{GE2E.page}"
        )
