"""Whether a system gives here what a demo page has published of it.

One that draws nothing must give the published waveform. Of one that draws noise the published audio is one more draw:
it may not lie farther from the conversions of several seeds than these lie from one another. A test that another prompt
would pass as well proves nothing, and says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.checkpoints import store
from vceval.conformance import page_audio
from vceval.conformance.page_audio import COPY, Held, Published
from vceval.converters import certificates
from vceval.converters.base import Converter, Request, Unfinished
from vceval.converters.demo_words import Done
from vceval.errors import ItemError, UsageError, reason_of
from vceval.records import ConversionPair, System, Utterance
from vceval.signal import audio
from vceval.signal.audio import Waveform, resample
from vceval.storage.cache import file_digest
from vceval.version import VERSION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["LEAST_DB", "SEEDS", "Material", "reproduce"]

#: Signal over difference of the same waveform computed elsewhere. The authors' own programs, with the same weights,
#: agree with ours by 48 dB (Griffin-Lim, which magnifies rounding) to 100 dB; another prompt gives about 10 dB.
LEAST_DB = 40.0
#: What another prompt changes must be twice as large, or the waveform does not show the voice.
_MARGIN_DB = 6.0
#: What a lossy codec's own noise, which is measured, may be exceeded by.
_CODEC_DB = 3.0
#: Conversions of a system that draws noise: the published one is then the farthest of 20 by chance in 5 % of cases.
SEEDS = 19
#: Decibels by which a level lies outside of those of the seeds to be another one.
_LEVEL_DB = 0.5
#: Deviations below these are rounding: of spectra in dB, of vectors of length 1.
_ROUNDING_DB, _ROUNDING_VOICE = 0.02, 0.002


@dataclass(frozen=True, slots=True)
class Material:
    """A published conversion on this machine. ``did``: what its page is known to have done to it."""

    name: str
    source: Path
    prompts: tuple[Path, ...]
    published: Path
    did: tuple[Done, ...] = ()
    title: str = ""
    page: str = ""
    own: bool | None = None
    notes: tuple[str, ...] = ()


def reproduce(
    system: System, converter: Converter, material: Material, device: str = "cpu", seeds: int = SEEDS
) -> dict[str, Any]:
    """Convert what a page has converted, and compare with what it published; returns the certificate.

    Args:
        system: what is certified.
        converter: of it, open on the device.
        material: of the page.
        device: for the certificate.
        seeds: conversions of a system that draws noise.

    Raises:
        UsageError: a file can't be read, or the pair can't be converted.
    """
    published = page_audio.read(material.published)
    with tempfile.TemporaryDirectory(prefix="vceval-reproduce-") as folder:
        maker = _Maker(converter, material, Path(folder))
        numbers = range(seeds if converter.info.draws_noise else 1)
        made = [maker.made(material.prompts, number) for number in numbers]
        contrast = maker.made((material.source,), 0)
        if converter.info.draws_noise:
            found = _by_spread(published, made, contrast, material.did, Path(folder))
        else:
            found = _by_waveform(published, made[0], contrast, material.did, Path(folder))
    about = certificates.subject(converter, system.options)
    return {
        "system": system.name,
        **about,
        "editions": store.editions(getattr(converter, "files", ()), converter.assets()),
        "conversion": material.name,
        "page": material.page,
        "title": material.title,
        "page_of_its_authors": material.own,
        "notes": list(material.notes),
        "inputs": {
            name: {"file": path.name, "sha256": file_digest(path)}
            for name, path in (
                ("source", material.source),
                *((f"prompt {n}", prompt) for n, prompt in enumerate(material.prompts, 1)),
                ("published", material.published),
            )
        },
        "published": published.text,
        "declared": list(material.did),
        **found,
        "vceval": VERSION,
        "device": device,
        "torch": converter.footprint().torch,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


class _Maker:
    """Converts the source of a page, with its prompts or others."""

    def __init__(self, converter: Converter, material: Material, folder: Path) -> None:
        self._converter, self._material, self._folder = converter, material, folder

    def made(self, prompts: Sequence[Path], seed: int) -> Waveform:
        """Convert once.

        Raises:
            UsageError: it can't be converted.
        """
        source = Utterance("source", self._material.source, "demo page")
        voices = tuple(Utterance(f"prompt {n}", path, "demo page") for n, path in enumerate(prompts))
        pair = ConversionPair(self._material.name, "demo page", source=source, prompts=voices, target_speaker="target")
        request = Request(self._converter.info.name, pair, seed, self._folder / "made.wav", seed)
        [outcome] = self._converter.checked_outcomes([request])
        if isinstance(outcome, Unfinished):
            outcome = outcome.finish()
        try:
            if isinstance(outcome, Path):
                return audio.load(outcome)
            if isinstance(outcome, Waveform):
                return outcome
        except ItemError as error:
            outcome = error
        raise UsageError(f"{self._material.name}: can't be converted: {reason_of(outcome)}")


def _figures(held: Held, published: Published, made: Waveform, voices: _Voices) -> dict[str, Any]:
    """What both kinds of systems have: length, what the page did, spectrum, voice."""
    spectra = [page_audio.log_mel(x, held.rate, held.band) for x in (held.published, held.made)]
    return {
        "found": dict(held.found),
        **held.facts,
        "length": {"published": published.wave.seconds, "here": made.seconds},
        "rates": {"published": published.wave.sample_rate, "here": made.sample_rate},
        "compared_below_hz": held.band,
        "spectrum_db": page_audio.distance(*spectra),
        "cosine": voices.cosine(published.wave, made),
    }


def _by_waveform(
    published: Published, made: Waveform, contrast: Waveform, did: tuple[Done, ...], folder: Path
) -> dict[str, Any]:
    """Decide by samples: signal over difference, after what the page did was undone."""
    held = page_audio.hold(published, made, copy=True)
    copy = held.correlation >= COPY
    least = LEAST_DB
    if published.lossy and copy:
        plain = resample(made, published.wave.sample_rate)
        own = page_audio.hold(replace(published, wave=page_audio.coded(plain, published)), plain, copy=True)
        least = min(LEAST_DB, page_audio.signal_to_noise(replace(own, band=held.band)) - _CODEC_DB)
    snr = page_audio.signal_to_noise(held)
    other = page_audio.signal_to_noise(page_audio.hold(published, contrast, copy=True))
    largest = float(abs(held.published - held.gain * held.made).max())
    if snr < least:  # what else was found of other audio is nothing that was done to this
        held.found = {word: text for word, text in held.found.items() if word in ("resampled", "lossy")}
    reasons = page_audio.undeclared(held.found, did)
    if not copy:
        reasons.append(
            f"it is other audio: the waveforms correlate by {held.correlation:.2f} at best, and the published file has "
            f"{published.wave.seconds:.3f} s where {made.seconds:.3f} s are made here"
        )
    elif snr < least:
        reasons.append(
            f"the waveforms differ, shifted, levelled and cut as fits best: {snr:.1f} dB of signal over difference, "
            f"{least:.1f} dB are needed ({published.wave.seconds:.3f} s are published, {made.seconds:.3f} s made here)"
        )
    elif snr < other + _MARGIN_DB:
        reasons.append(
            f"nothing is proven: another prompt gives {other:.1f} dB, which {snr:.1f} dB do not exceed by "
            f"{_MARGIN_DB:g}, so this pair does not show the voice"
        )
    return {
        "reproduced": not reasons,
        "verdict": f"{'reproduced' if not reasons else 'not reproduced'}: waveform, {snr:.1f} dB, {least:.1f} needed",
        "reasons": reasons,
        "criterion": f"a system that draws nothing: at least {least:.1f} dB of signal over difference"
        + (f" ({_CODEC_DB:g} dB less than the codec alone leaves of it)" if least < LEAST_DB else "")
        + f", and {_MARGIN_DB:g} dB more than another prompt gives",
        **_figures(held, published, made, _Voices(folder)),
        "correlation": held.correlation,
        "snr_db": snr,
        "needed_db": least,
        "largest_difference": largest,
        "other_prompt_db": other,
    }


def _by_spread(
    published: Published, made: Sequence[Waveform], contrast: Waveform, did: tuple[Done, ...], folder: Path
) -> dict[str, Any]:
    """Decide by how far the published audio lies from the conversions of several seeds, and these from one another."""
    import numpy as np

    held = page_audio.hold(published, made[0], copy=False)
    voices = _Voices(folder)
    # All recordings go the published one's way: its rate, its codec, its 16 bits, the part that it has
    treated = [page_audio.coded(resample(wave, published.wave.sample_rate), published) for wave in (*made, contrast)]
    treated = [_rounded(wave) if published.sixteen else wave for wave in treated]
    at = page_audio.hold(published, treated[0], copy=False).at
    every = [resample(wave, held.rate).samples.astype(np.float64) for wave in (published.wave, *treated)]
    every = [every[0][max(at, 0) :], *(samples[max(-at, 0) :] for samples in every[1:])]
    every = [samples[: min(map(len, every))] for samples in every]
    level, *levels = (_level(samples) for samples in every[:-1])
    if not min(levels) - _LEVEL_DB <= level <= max(levels) + _LEVEL_DB:
        held.found["level"] = (
            f"{level - float(np.median(levels)):+.2f} dB, seeds within {max(levels) - min(levels):.2f} dB"
        )
    spectra = [page_audio.log_mel(samples, held.rate, held.band) for samples in every]
    vectors = [voices.vector(Waveform(samples.astype(np.float32), held.rate)) for samples in every]
    count = len(made) + 1
    scores = _scores(spectra[:count], vectors[:count])
    contrasted = _scores([spectra[-1], *spectra[1:count]], [vectors[-1], *vectors[1:count]])
    farthest, blind = bool(scores[0] > scores[1:].max()), not contrasted[0] > contrasted[1:].max()
    reasons = page_audio.undeclared(held.found, did)
    if farthest:
        reasons.append(
            f"the published audio lies farther out than all {len(made)} conversions: by {scores[0]:.1f} usual "
            f"deviations, theirs by up to {scores[1:].max():.1f}"
        )
    elif blind:
        reasons.append("nothing is proven: another prompt lies within the same spread; give --seeds, or another pair")
    chance = 1 / count
    return {
        "reproduced": not reasons,
        "verdict": f"{'reproduced' if not reasons else 'not reproduced'}: {scores[0]:.1f} deviations out, "
        f"{len(made)} seeds up to {scores[1:].max():.1f}",
        "reasons": reasons,
        "criterion": f"a system that draws noise: by spectrum and voice the published audio is not the farthest out of "
        f"{count}, as one more draw is in {chance:.0%} of cases, and another prompt would be",
        **_figures(held, published, made[0], voices),
        "seeds": len(made),
        "deviations": float(scores[0]),
        "deviations_of_seeds": [float(scores[1:].min()), float(scores[1:].max())],
        "other_prompt_deviations": float(contrasted[0]),
        "p_value": float(np.mean(scores >= scores[0])),
    }


def _scores(spectra: Sequence[Array], vectors: Sequence[Array]) -> Array:
    """Say of each recording how far out it lies: 0 in the middle of all, 1 a usual deviation (median) further.

    Counted is what lies farthest out: its frames, its mean spectrum, in which the noise of frames is averaged out, or
    its voice; each by its distance from the mean of the others. All recordings are treated alike, so one of the same
    kind is the farthest by chance alone.
    """
    import numpy as np

    def outlying(features: Array, least: float) -> Array:
        total = features.sum(axis=0)
        others = (total - features) / (len(features) - 1)
        apart = np.linalg.norm((features - others).reshape(len(features), -1), axis=1)
        beyond: Array = apart - np.median(apart)
        return beyond / max(float(np.median(np.abs(beyond))), least)

    frames = np.stack(spectra)
    means = frames.mean(axis=1)
    farthest: Array = np.max(
        [
            outlying(frames / np.sqrt(frames[0].size), _ROUNDING_DB),
            outlying(means / np.sqrt(means.shape[1]), _ROUNDING_DB),
            outlying(np.stack(vectors), _ROUNDING_VOICE),
        ],
        axis=0,
    )
    return farthest


def _rounded(wave: Waveform) -> Waveform:
    import numpy as np

    return Waveform(
        (np.round(np.clip(wave.samples, -1, 1 - 2**-15) * 32_768) / 32_768).astype(np.float32), wave.sample_rate
    )


def _level(samples: Array) -> float:
    import numpy as np

    return float(10 * np.log10(max(float(np.mean(samples**2)), 1e-12)))


class _Voices:
    """The usual speaker encoder, on recordings that are in memory."""

    def __init__(self, folder: Path) -> None:
        from vceval.metrics.sv_resemblyzer import LevelledResemblyzer
        from vceval.storage.cache import Cache

        self._encoder, self._folder, self._count = LevelledResemblyzer(Cache(None)), folder, 0

    def vector(self, wave: Waveform) -> Array:
        """Embed a recording; all zero where no speech is found in it."""
        import numpy as np

        self._count += 1
        path = self._folder / f"{self._count}.flac"
        try:
            audio.write_flac(path, wave)
            return self._encoder.embed(path)
        except ItemError:  # audio of made-up weights holds no speech
            return np.zeros(256)

    def cosine(self, a: Waveform, b: Waveform) -> float | None:
        """Cosine of two voices; None where one of them is no speech."""
        import numpy as np

        one, other = self.vector(a), self.vector(b)
        return float(np.dot(one, other)) if one.any() and other.any() else None
