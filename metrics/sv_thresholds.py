"""Acceptance thresholds that others published, each with the encoder and the corpus it was measured with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from vceval.errors import UsageError

__all__ = ["CALIBRATED", "PUBLISHED", "Published", "check_threshold", "published_threshold"]

#: The default: the threshold of equal errors on natural speech of the pair's own corpus.
CALIBRATED = "calibrated"


class Published(NamedTuple):
    """A threshold: encoder (as in :attr:`SpeakerEncoder.kind`), corpus, cosine, and its EER in percent where told."""

    encoder: str
    corpus: str
    threshold: float
    eer: float | None


#: By name. ``mediumvc``: README of MediumVC, d-vector network of yistLin; ``tzuhsien``: speaker-verification scripts of
#: tzuhsien's voice-conversion evaluation, used by FragmentVC, Resemblyzer; ``s3prl``: thresholds shipped with s3prl's
#: voice conversion for the two tasks of VCC2020, Resemblyzer. Trials with themselves are among those of the last two.
PUBLISHED: Mapping[str, Published] = {
    "mediumvc-vctk": Published("dvector", "VCTK", 0.462, 7.71),
    "mediumvc-librispeech": Published("dvector", "LibriSpeech", 0.337, 7.95),
    "mediumvc-vcc2020": Published("dvector", "VCC2020", 0.432, 1.06),
    "tzuhsien-vctk": Published("resemblyzer", "VCTK", 0.6898, 5.44),
    "tzuhsien-libritts": Published("resemblyzer", "LibriTTS", 0.6540, 8.07),
    "tzuhsien-librispeech": Published("resemblyzer", "LibriSpeech", 0.6950, None),
    "tzuhsien-voxceleb": Published("resemblyzer", "VoxCeleb", 0.6925, None),
    "tzuhsien-cmu": Published("resemblyzer", "CMU ARCTIC", 0.7061, 2.89),
    "s3prl-task1": Published("resemblyzer", "VCC2020", 0.7406, 1.08),
    "s3prl-task2": Published("resemblyzer", "VCC2020", 0.7492, 1.98),
}


def check_threshold(name: str, encoder: str) -> None:
    """Make sure that a threshold exists and belongs to an encoder.

    ``name`` is ``calibrated``, one of :data:`PUBLISHED`, or the part before its dash, ``tzuhsien``, which
    stands for its threshold of each corpus.

    Raises:
        UsageError: an unknown name, or a threshold measured with another encoder.
    """
    if name == CALIBRATED:
        return
    found = _matching(name)
    if not found:
        known = ", ".join([CALIBRATED, *PUBLISHED])
        raise UsageError(f"unknown threshold {name!r}; known: {known}")
    if any(entry.encoder != encoder for entry in found.values()):
        raise UsageError(f"threshold {name!r} was measured with another speaker encoder; take {CALIBRATED!r}")


def published_threshold(name: str, dataset: str) -> float | None:
    """Look a published threshold up for a dataset (``VCTK 0.92`` is VCTK); None where it has none.

    A full name such as ``tzuhsien-vctk`` serves its own corpus only, as ``tzuhsien`` serves each of its own.
    """
    place = dataset.casefold()
    return next(
        (entry.threshold for entry in _matching(name).values() if place.startswith(entry.corpus.casefold())), None
    )


def _matching(name: str) -> dict[str, Published]:
    if name in PUBLISHED:
        return {name: PUBLISHED[name]}
    # The tasks of one challenge are one corpus: which of them is meant must be said
    sources = {key: entry for key, entry in PUBLISHED.items() if key.partition("-")[0] == name}
    return {} if len({entry.corpus for entry in sources.values()}) < len(sources) else sources
