"""The converter ``yourtts``: YourTTS, which takes the speaker out of a source's latents and puts another one in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from vceval.checkpoints.containers import Refused
from vceval.checkpoints.weightfile import WeightFile
from vceval.converters.base import ConverterInfo, Made
from vceval.converters.native import (
    NativeConverter,
    attempt,
    check_length,
    grouped,
    noise,
    padded,
    past_failures,
)
from vceval.errors import ItemError, UsageError
from vceval.networks.shapes import together
from vceval.signal.audio import Waveform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from vceval.networks.yourtts_features import Preparation

__all__ = ["ENCODER", "ENCODER_SETTINGS", "MODEL", "SETTINGS", "Posterior", "YourTts", "check_settings"]

_PAGE = (
    "https://github.com/coqui-ai/TTS/releases, tag v0.10.1_models, "
    "in tts_models--multilingual--multi-dataset--your_tts.zip"
)
_ZIP = (
    "https://github.com/coqui-ai/TTS/releases/download/v0.10.1_models/"
    "tts_models--multilingual--multi-dataset--your_tts.zip"
)
_LICENCE = "CC BY-NC-ND 4.0"
_CHECK = "vceval.converters.yourtts:check_settings"

MODEL = WeightFile(
    name="yourtts/model_file.pth",
    holds="YourTTS, the whole multilingual model; the groups that convert voices are used",
    page=_PAGE,
    archive=_ZIP,
    licence=_LICENCE,
    network="vceval.networks.yourtts:YourTts",
    entry=("model",),
    ignored=("text_encoder.", "duration_predictor.", "emb_", "disc.", "speaker_", "audio_transform."),
    also_called=("yourtts/model_file.pth.tar", "yourtts/best_model.pth.tar", "yourtts/best_model.pth"),
    note="speaks from text, too; only its posterior encoder, flow and decoder are loaded",
)
SETTINGS = WeightFile(
    name="yourtts/config.json",
    holds="YourTTS, its configuration",
    page=_PAGE,
    archive=_ZIP,
    licence=_LICENCE,
    form="json",
    settings=_CHECK,
)
ENCODER = WeightFile(
    name="yourtts/model_se.pth",
    holds="YourTTS, its H/ASP speaker encoder",
    page=_PAGE,
    archive=_ZIP,
    licence=_LICENCE,
    network="vceval.networks.hasp:Hasp",
    entry=("model",),
    ignored=("torch_spec.",),
    also_called=("yourtts/model_se.pth.tar", "yourtts/SE_checkpoint.pth.tar"),
    note="three tensors in it (torch_spec.*) are computed ones, and are computed anew",
)
ENCODER_SETTINGS = replace(
    SETTINGS, name="yourtts/config_se.json", holds="YourTTS, the configuration of its speaker encoder"
)
#: What the networks were built for, by the names of the configurations; the model's sizes are in networks.yourtts.
_AUDIO: Mapping[str, Any] = {"sample_rate": 16_000, "fft_size": 1024, "win_length": 1024, "hop_length": 256}
_ENCODER_AUDIO: Mapping[str, Any] = {
    "sample_rate": 16_000,
    "fft_size": 512,
    "win_length": 400,
    "hop_length": 160,
    "preemphasis": 0.97,
    "num_mels": 64,
}
_ENCODER_SIZES: Mapping[str, Any] = {
    "model_name": "resnet",
    "input_dim": 64,
    "use_torch_spec": True,
    "log_input": True,
    "proj_dim": 512,
}

SAMPLE_RATE = 16_000
#: Fewest seconds of a recording; samples of a frame.
_SHORTEST, _HOP = 0.1, 256
#: Items stand in a batch when their numbers of frames fall into the same span of so many: little is padded then.
_NEAR = 64
#: Items that are decoded together. Processors take one at a time faster than several.
_TOGETHER, _TOGETHER_ON_PROCESSORS, _FRAMES_AT_ONCE = 16, 1, 8_000


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What is known of a source: mean and log deviation of its latents (192, frames each), its speaker (512,)."""

    mean: Tensor
    log_deviation: Tensor
    speaker: Tensor

    @property
    def frames(self) -> int:
        """Frames of 256 samples."""
        return int(self.mean.shape[-1])


class YourTts(NativeConverter):
    """YourTTS: VITS's posterior encoder, flow and decoder, steered by H/ASP speaker vectors.

    Output: 16 kHz, 256 * (n // 256) samples for a source of n, so up to 16 ms shorter. The posterior is drawn from
    with noise of scale 1, as published, seeded per pair. The source's speaker vector comes from the source alone; the
    target's is the mean over the prompts of each one's mean over ten windows of 2.5 s. Neither is brought to length 1
    before the network does so.

    The files of the published zip are needed, with both configurations: their sizes are checked against those built
    in, and how recordings are readied (trimming, levels) is read from them; a switch that a configuration does not
    mention is off. The authors' library trims the source by default in some releases and not in others. It resamples
    by soxr (HQ), as is done here.

    Args:
        weights: folder of the files.
        trim_source: cut silence off the source's ends: None does as ``config.json`` says.

    Refused are recordings shorter than 0.1 s, before or after trimming, and sources longer than a minute. Items of
    unequal length are batched under masks, in the decoder too, so each comes out as it does alone.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="yourtts",
        title="YourTTS",
        sample_rate=SAMPLE_RATE,
        licence=f"weights {_LICENCE} (no commercial use)",
        paper="Casanova et al., YourTTS: towards zero-shot multi-speaker TTS and zero-shot voice conversion for "
        "everyone, ICML 2022",
        kind="native",
        checkpoints=(MODEL.name, SETTINGS.name, ENCODER.name, ENCODER_SETTINGS.name),
        trained_on=None,
        draws_noise=True,
        front_end="trim:as config.json|level:as config.json",
    )
    files: ClassVar[tuple[WeightFile, ...]] = (MODEL, SETTINGS, ENCODER, ENCODER_SETTINGS)

    def __init__(
        self,
        *,
        weights: str = "",
        trim_source: bool | None = None,
        precision: str = "float32",
        resampler: str = "authors",
    ) -> None:
        super().__init__(weights=weights, precision=precision, resampler=resampler)
        self.trim_source = trim_source

    def load(self) -> None:
        """Load both networks, after their configurations were found to be those they were built for.

        Raises:
            UsageError: a file is missing, wrong, or a configuration gives other sizes.
        """
        from vceval.networks.yourtts_features import Preparation

        settings, encoder_settings = (self._settings(file.name) for file in (SETTINGS, ENCODER_SETTINGS))
        audio = dict(settings["audio"])
        if self.trim_source is not None:
            audio["do_trim_silence"] = self.trim_source
        self._source_preparation = Preparation.read(audio)
        self._voice_preparation = Preparation.read(encoder_settings["audio"])
        self._network = self._weights(MODEL.name)
        self._encoder = self._weights(ENCODER.name)

    def _settings(self, name: str) -> Mapping[str, Any]:
        settings: Mapping[str, Any] = self.plain(name)
        check_settings(str(self.path(name)), name, settings)
        return settings

    def _weights(self, name: str) -> Any:
        try:
            return self.network(name)
        except UsageError as error:
            if not _pickled(error):
                raise
            path = self.path(name)
            raise UsageError(
                f"{error}. It may be the library's configuration object, saved along with the weights. Where you trust "
                f"the file, in an environment that has the library coqui-tts, keep the weights alone:\n"
                f"  python -c \"import torch; found = torch.load('{path.name}', map_location='cpu', "
                f"weights_only=False); torch.save({{'model': found['model']}}, 'weights.pth')\"\n"
                f"  mv weights.pth {path.name}"
            ) from error

    def encode_content(self, sources: Sequence[Waveform]) -> list[Posterior | ItemError]:
        """Encode each source as mean and deviation of its latents, conditioned on its own speaker."""
        spectra = [attempt(self._spectrogram, wave) for wave in sources]
        items = [_unfailed(pair) for pair in zip(spectra, self._voices(sources, "source"), strict=True)]
        return past_failures(
            items, lambda fine: grouped(fine, lambda item: item[0].shape[1] // _NEAR, self._posteriors)
        )

    def encode_speaker(self, prompts: Sequence[Sequence[Waveform]]) -> list[Tensor | ItemError]:
        """Embed each list of prompts: (512,), the mean over its prompts."""
        import torch

        vectors = iter(self._voices([wave for group in prompts for wave in group], "prompt"))
        groups = [_unfailed([next(vectors) for _ in group]) for group in prompts]
        return past_failures(groups, lambda fine: [torch.stack(list(found)).mean(dim=0) for found in fine])

    def decode(self, items: Sequence[tuple[Posterior, Tensor]], seeds: Sequence[int]) -> list[Made]:
        """Exchange the speaker and make the waveform; on a GPU items of about the same length together."""
        entries = [(content, voice, seed) for (content, voice), seed in zip(items, seeds, strict=True)]
        made = together(
            entries, lambda entry: entry[0].frames, self._decode, device=self.device,
            most=_TOGETHER, on_processors=_TOGETHER_ON_PROCESSORS, in_all=_FRAMES_AT_ONCE,
        )  # fmt: skip
        return self.ended(made)

    def _spectrogram(self, wave: Waveform) -> NDArray[np.float32]:
        from vceval.networks.yourtts_features import spectrogram

        return spectrogram(self._prepared(wave, "source", self._source_preparation))

    def _posteriors(self, items: Sequence[Sequence[Any]]) -> list[Posterior]:
        import torch

        from vceval.networks.blocks import onto

        frames = [spectrum.shape[1] for spectrum, _ in items]
        voices = torch.stack([voice for _, voice in items])
        spectra = onto(self.device, padded([torch.from_numpy(spectrum) for spectrum, _ in items]))
        lengths = torch.tensor(frames)
        with torch.inference_mode():
            means, deviations = self._network.posterior(spectra, lengths, voices)
        return [
            Posterior(means[place, :, :count], deviations[place, :, :count], voices[place])
            for place, count in enumerate(frames)
        ]

    def _voices(self, waves: Sequence[Waveform], what: str) -> list[Tensor | ItemError]:
        """Embed recordings: the mean over each one's windows; all windows of a length go together."""
        import torch

        cut = [attempt(lambda wave: self._windows(wave, what), wave) for wave in waves]
        windows = [window for part in cut if not isinstance(part, ItemError) for window in part]
        vectors = iter(grouped(windows, lambda window: window.shape[1], self._embed))
        return [
            part if isinstance(part, ItemError) else torch.stack([next(vectors) for _ in part]).mean(dim=0)
            for part in cut
        ]

    def _windows(self, wave: Waveform, what: str) -> list[NDArray[np.float32]]:
        from vceval.networks import hasp_features

        samples = self._prepared(wave, what, self._voice_preparation)
        return [hasp_features.features(window) for window in hasp_features.cut(samples)]

    def _prepared(self, wave: Waveform, what: str, preparation: Preparation) -> NDArray[np.floating]:
        """Bring a recording to 16 kHz and do to it what the configuration says.

        Raises:
            ItemError: it is too short, too long or silent.
        """
        check_length(wave, what, _SHORTEST)
        try:
            samples = preparation(self.at_rate(wave, SAMPLE_RATE).samples)
        except ValueError as error:
            raise ItemError(f"{what} of {wave.seconds:.2f} s: {error}") from error
        seconds = len(samples) / SAMPLE_RATE
        if seconds < _SHORTEST:
            raise ItemError(
                f"{what} of {wave.seconds:.2f} s: {seconds:.2f} s are left once silence is trimmed; "
                f"at least {_SHORTEST:.2f} s are needed"
            )
        return samples

    def _embed(self, windows: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        import numpy as np
        import torch

        with torch.inference_mode():
            return list(self._encoder(torch.from_numpy(np.stack(windows)).to(self.device)))

    def _decode(self, entries: Sequence[tuple[Posterior, Tensor, int]], size: int) -> list[Made]:
        import torch

        from vceval.networks.blocks import onto

        frames = [content.frames for content, _, _ in entries]
        lengths = torch.tensor(frames)
        posterior = (
            padded([c.mean for c, _, _ in entries], size),
            padded([c.log_deviation for c, _, _ in entries], size),
        )
        drawn = onto(self.device, padded([noise(seed, c.mean.shape) for c, _, seed in entries], size))
        source, target = torch.stack([c.speaker for c, _, _ in entries]), torch.stack([v for _, v, _ in entries])
        with torch.inference_mode():
            latents = self._network.exchange(posterior, drawn, lengths, source, target)
            audio = self._network.decode(latents.towards, target, lengths)[:, 0]
        return self.made(audio, [count * _HOP for count in frames], _finished)


def _unfailed(parts: Sequence[Any]) -> Sequence[Any] | ItemError:
    """Give the parts, or the first failure among them."""
    return next((part for part in parts if isinstance(part, ItemError)), parts)


def _finished(values: NDArray[np.float32]) -> Waveform | ItemError:
    import numpy as np

    if not np.isfinite(values).all():
        return ItemError(f"the decoder gave {int((~np.isfinite(values)).sum())} samples that are not finite")
    return Waveform(np.ascontiguousarray(values), SAMPLE_RATE)


def check_settings(place: str, name: str, settings: Mapping[str, Any]) -> None:
    """Make sure that a configuration, as far as it says, gives the sizes that are built in.

    Args:
        place: where it lies, for errors.
        name: that of ``SETTINGS`` or of ``ENCODER_SETTINGS``.
        settings: what it holds.

    Raises:
        UsageError: it is of something else, or differs; every difference is named.
    """
    from vceval.networks.yourtts import SIZES

    tables = {
        SETTINGS.name: {"audio": _AUDIO, "model_args": SIZES},
        ENCODER_SETTINGS.name: {"audio": _ENCODER_AUDIO, "model_params": _ENCODER_SIZES},
    }
    for table, values in tables[name].items():
        found = settings.get(table)
        if not isinstance(found, Mapping):
            raise UsageError(f"{place}: has no table {table!r}; this is not {name}")
        wrong = [
            f"{table}.{key} is {found[key]!r}, not {value!r}"
            for key, value in values.items()
            if key in found and not _same(found[key], value)
        ]
        if wrong:
            raise UsageError(f"{place}: these are not the published sizes of YourTTS: {'; '.join(wrong)}")


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, list | tuple) and isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    if isinstance(wanted, bool) or isinstance(found, bool):
        return found is wanted
    if isinstance(found, int | float) and isinstance(wanted, int | float):
        return found == wanted
    return str(found) == str(wanted)  # the residual blocks' type is written "2" and 2


def _pickled(error: BaseException | None) -> bool:
    """Whether an error goes back to an object that weights-only reading refuses."""
    while error is not None:
        if isinstance(error, Refused):
            return True
        error = error.__cause__
    return False
