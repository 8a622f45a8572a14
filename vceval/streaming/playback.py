"""What a listener gets of a stream: when the first converted sound is heard, and where the sound runs dry.

A player begins with the first samples that come and plays all of them one after the other; where the next ones are not
there in time it is silent until they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vceval.converters.streams import Timeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["AUDIBLE", "Dry", "busy", "first_audible", "first_audio", "first_converted", "ran_dry", "waited"]

#: Of the peak of a recording, from which on a sample is audible: -40 dB.
AUDIBLE = 0.01
#: Seconds of a block that is looked for in the source, and the correlation from which on it is the source.
_BLOCK, _COPY = 0.04, 0.995
#: Seconds that no clock tells apart.
_INSTANT = 1e-6


class Dry(NamedTuple):
    """How often a player ran dry, of how many pieces, and for how many seconds in all."""

    misses: int
    pieces: int
    seconds: float


def busy(line: Timeline) -> list[float]:
    """Real-time factor of each chunk: seconds from when it could be begun to when it was done with, over its own.

    A chunk can be begun when it was given and the one before it was done with.
    """
    found, before = list[float](), 0.0
    for chunk in line.chunks:
        assert chunk.heard is not None
        found.append((chunk.heard - max(chunk.sent, before)) * line.source_rate / (chunk.end - chunk.start))
        before = chunk.heard
    return found


def waited(line: Timeline, delay: int) -> float:
    """Algorithmic latency in seconds: how much of the source was given before a sample came, beyond its moment.

    The most of all pieces, of a stream as fast as it goes; ``delay`` is in samples of the output.
    """
    return max(
        given / line.source_rate - (piece.start - delay) / line.rate
        for piece, given in zip(line.pieces, line.sent, strict=True)
    )


def ran_dry(line: Timeline) -> Dry:
    """Count deadline misses of a player that waits for one chunk of the source before it begins."""
    misses, silent = 0, 0.0
    first = line.chunks[0]
    due = line.pieces[0].at + (first.end - first.start) / line.source_rate if line.pieces else 0.0
    for piece in line.pieces:
        if piece.at > due + _INSTANT:
            misses, silent, due = misses + 1, silent + piece.at - due, piece.at
        due += len(piece.samples) / line.rate
    return Dry(misses, len(line.pieces), silent)


def first_audible(samples: NDArray[np.float32]) -> int | None:
    """The first sample within 40 dB of the peak; None for silence."""
    import numpy as np

    peak = float(np.max(np.abs(samples), initial=0.0))
    return int(np.argmax(np.abs(samples) >= AUDIBLE * peak)) if peak > 0.0 else None


def first_converted(samples: NDArray[np.float32], source: NDArray[np.float32], rate: int) -> int | None:
    """The first sample that is audible and no copy of the source, at whatever level and place; None for none.

    Args:
        samples: what was streamed.
        source: at the rate of that.
        rate: in Hz.
    """
    import numpy as np

    start = first_audible(samples)
    if start is None:
        return None
    size, floor = round(_BLOCK * rate), AUDIBLE * float(np.max(np.abs(samples)))
    copied: tuple[int, float] | None = None
    while start < len(samples):
        block = samples[start : start + size]
        if len(block) == size or copied is None:
            place, gain, likeness = _found(block, source)
            if likeness >= _COPY:
                copied, start = (place - start, gain), start + len(block)
                continue
        if copied is not None:
            shift, gain = copied
            places = np.arange(start, start + len(block)) + shift
            inside = (places >= 0) & (places < len(source))
            expected = np.where(inside, source[np.clip(places, 0, len(source) - 1)], 0.0) * gain
            changed = (np.abs(block - expected) >= floor) & (np.abs(block) >= floor)
        else:
            changed = np.abs(block) >= floor
        if changed.any():
            return start + int(np.argmax(changed))
        start += len(block)
    return None


def _found(block: NDArray[np.float32], source: NDArray[np.float32]) -> tuple[int, float, float]:
    """Where a block stands in the source: its place there, its gain, and how alike they are (0 to 1)."""
    import numpy as np
    from scipy.signal import correlate

    if len(block) > len(source) or not np.any(block):
        return 0, 0.0, 0.0
    products = correlate(source.astype(np.float64), block.astype(np.float64), mode="valid", method="fft")
    total = np.concatenate([[0.0], np.cumsum(np.square(source, dtype=np.float64))])
    energies = total[len(block) :] - total[: -len(block)]
    own = float(np.sum(np.square(block, dtype=np.float64)))
    likeness = np.abs(products) / np.sqrt(np.maximum(energies * own, 1e-12 * own * max(float(energies.max()), 1e-30)))
    place = int(np.argmax(likeness))
    return place, float(products[place] / max(energies[place], 1e-30)), float(likeness[place])


def first_audio(line: Timeline, source: NDArray[np.float32], at_rate: NDArray[np.float32]) -> float | None:
    """Seconds from when the source is first audible to when its conversion is.

    Args:
        line: of a stream at the pace of speech.
        source: what was streamed.
        at_rate: the same at the rate of the output.

    Returns:
        None where nothing audible came but the source itself.
    """
    spoken = first_audible(source)
    wanted = first_converted(line.audio.samples, at_rate, line.rate)
    if spoken is None or wanted is None:
        return None
    due = 0.0
    for piece in line.pieces:
        due = max(due, piece.at)
        if wanted < piece.start + len(piece.samples):
            return due + (wanted - piece.start) / line.rate - spoken / line.source_rate
        due += len(piece.samples) / line.rate
    raise AssertionError("the sample is in no piece")
