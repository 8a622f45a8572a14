"""The converter ``fragmentvc``: FragmentVC with its own vocoder, from the files that its authors published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.base import ConverterInfo
from vceval.converters.native import NativeConverter, check_length, past_failures
from vceval.errors import ItemError, UsageError
from vceval.networks import fragmentvc_features as front
from vceval.networks.fragmentvc_features import HOP, SAMPLE_RATE
from vceval.signal.audio import Resampler, Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from vceval.networks.fragmentvc import Target

__all__ = ["ENCODER", "VOCODER", "WEIGHTS", "FragmentVc"]

_RELEASE = "https://github.com/yistLin/FragmentVC/releases"

WEIGHTS = WeightFile(
    name="fragmentvc.pt",
    holds="FragmentVC, the converter",
    page=_RELEASE,
    url=f"{_RELEASE}/download/v1.0/fragmentvc.pt",
    licence="MIT (repository yistLin/FragmentVC)",
    network="vceval.networks.fragmentvc:FragmentVc",
)
VOCODER = WeightFile(
    name="fragmentvc/vocoder.pt",
    holds="the universal vocoder with the frames of FragmentVC, 326 samples each",
    page=_RELEASE,
    url=f"{_RELEASE}/download/v1.0/vocoder.pt",
    licence="MIT (repository yistLin/FragmentVC)",
    network="vceval.networks.universal_vocoder:fragmentvc",
    metadata=(("hop_len", HOP),),
)
ENCODER = WeightFile(
    name="wav2vec_small.pt",
    holds="wav2vec 2.0 Base without fine-tuning",
    page="https://github.com/facebookresearch/fairseq/tree/main/examples/wav2vec",
    url="https://dl.fbaipublicfiles.com/fairseq/wav2vec/wav2vec_small.pt",
    licence="MIT (repository facebookresearch/fairseq)",
    network="vceval.networks.wav2vec2:Wav2Vec2",
    entry=("model",),
    also_called=("wav2vec2-base/model.safetensors", "wav2vec2-base/pytorch_model.bin"),
    note="the files of facebook/wav2vec2-base at Hugging Face are read as well",
    translate="vceval.networks.wav2vec2:hugging_face",
    optional_prefixes=("mask_emb", "quantizer.", "project_q.", "final_proj."),
    lookalikes=tuple(
        (mark, "a wav2vec 2.0 that was fine-tuned on transcripts") for mark in ("w2v_encoder.", "lm_head.")
    ),
)

#: The least that is left after trimming: a frame of the encoder, and half a frame of the mel and a sample.
_MIN_SOURCE, _MIN_PROMPT = 400, 653
#: What the detector leaves when it hears nothing; the authors' preparation then keeps the recording whole.
_NOTHING = 10


class FragmentVc(NativeConverter):
    """Converts with FragmentVC; 16 kHz, 326 samples for every 320 of the trimmed source: 1 to 2 percent slower.

    Audio is resampled to 16 kHz by resampy 0.2, as the authors' librosa does, divided by its peak, and trimmed at both
    ends by the voice detector of SoX, source and prompts alike, as the authors' ``convert.py`` does
    (``convert_batch.py`` trims otherwise), so output starts with the first voice. Where the detector hears none, the
    recording is taken whole, as when the authors prepare data. What is left of a source must last 400 samples (0.03 s),
    of a prompt 653 (0.05 s). The mel spectra of several prompts are joined in time; the authors recommend several, more
    speech than the source has.

    Convolutions and a norm over time see padding, so items go through encoder and converter one at a time. The vocoder
    draws one sample after the other: 16 conversions run side by side (64 on a GPU), each with random numbers from the
    seed of its pair, and give the same bits as alone. On one CPU core a second of speech takes about one second in a
    full batch and several alone.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="fragmentvc",
        title="FragmentVC",
        sample_rate=SAMPLE_RATE,
        licence="MIT; wav2vec 2.0: MIT",
        paper="Lin et al., FragmentVC: any-to-any voice conversion by end-to-end extracting and fusing fine-grained "
        "voice fragments with attention, ICASSP 2021, arXiv 2010.14150",
        kind="native",
        checkpoints=(WEIGHTS.name, VOCODER.name, ENCODER.name),
        trained_on=None,
        draws_noise=True,
        front_end="trim:sox vad|level:peak 1",
    )
    authors_resampler: ClassVar[Resampler] = "resampy-0.2"
    files: ClassVar[tuple[WeightFile, ...]] = (WEIGHTS, VOCODER, ENCODER)
    batch_size = 16

    def load(self) -> None:
        """Load encoder, converter and vocoder.

        Raises:
            UsageError: a file is missing or wrong; a vocoder with another number of samples per frame, too.
        """
        from vceval.networks import universal_vocoder, wav2vec2

        self._network = self.network(WEIGHTS.name)
        place = self.path(VOCODER.name)
        try:
            vocoder = universal_vocoder.open_archive(place, HOP, "FragmentVC").to(self.device)
        except UsageError as error:
            raise UsageError(f"{error}; FragmentVC's own vocoder.pt is at {VOCODER.page}") from error
        self._vocoder = self.counted(VOCODER.name, vocoder)
        self._encoder = self.loaded(ENCODER.name, lambda path: wav2vec2.load(path, self.device))

    def decode(self, items: Sequence[tuple[Any, Any]], seeds: Sequence[int]) -> list[Waveform | ItemError]:
        """Make mel spectra one by one, and audio from them side by side, drawn with the seeds."""
        import torch

        with torch.inference_mode():
            mels = [self._network(content, voice)[0][0].T.contiguous() for content, voice in items]
        failed = ItemError("FragmentVC gave a mel spectrum that is not finite for this pair")
        checked = [mel if bool(torch.isfinite(mel).all()) else failed for mel in mels]
        drawn = [seed for mel, seed in zip(checked, seeds, strict=True) if mel is not failed]
        return past_failures(checked, lambda fine: self._waves(fine, drawn))

    def _waves(self, mels: list[Tensor], seeds: list[int]) -> list[Waveform]:
        return [Waveform(drawn.float().cpu().numpy(), SAMPLE_RATE) for drawn in self._vocoder.generate(mels, seeds)]

    def content(self, source: Waveform) -> Tensor:
        """Encode what is said: (1, frames, 768)."""
        import torch

        samples = self._prepared(source, "source", _MIN_SOURCE)
        features: Tensor = self._encoder(torch.from_numpy(samples)[None].to(self.device))
        return features

    def voice(self, prompts: Sequence[Waveform]) -> Target:
        """Convolve the prompts' mel spectra."""
        import numpy as np
        import torch

        mels = [front.log_mel(self._prepared(prompt, "prompt", _MIN_PROMPT)) for prompt in prompts]
        target: Target = self._network.unet.target(torch.from_numpy(np.concatenate(mels)).T[None].to(self.device))
        return target

    def _prepared(self, wave: Waveform, what: str, least: int) -> NDArray[np.float32]:
        """Front end: 16 kHz, level, ends cut."""
        import numpy as np

        check_length(wave, what)
        samples = front.scaled(self.at_rate(wave, SAMPLE_RATE).samples)
        if not np.any(samples):
            raise ItemError(f"{what} is silent")
        heard = front.trimmed(samples)
        if len(heard) <= _NOTHING:
            heard = samples
        if len(heard) < least:
            raise ItemError(
                f"{what}: {len(heard)} of {len(samples)} samples are left after cutting silence at its ends; "
                f"{least} are needed"
            )
        return heard
