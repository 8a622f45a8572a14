"""Which part of a recording is speech, judged by the recording's own level.

A measure of speech must not be moved by what stands around it. So speech is found relative to the active speech level
of the recording: its gain, its polarity and the length of what comes before and after play no part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from vceval.errors import ItemError
from vceval.signal import audio
from vceval.signal.audio import Waveform
from vceval.signal.spectral import deemphasis

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BY_LEVEL", "Speech", "SpeechFinder"]

SAMPLE_RATE = 16_000
#: Hum and DC below this frequency, in Hz, count for no level.
_HIGH_PASS = 70.0


class Speech(NamedTuple):
    """Where speech is in a recording.

    marks: (n,) bool, which samples at 16 kHz are speech, from the first to the last that is; empty where there is none.
    start: place of the first, in samples at 16 kHz; up to 20 ms before the recording where that starts with speech.
    level: RMS of the speech, full scale 1.
    """

    marks: NDArray[np.bool_]
    start: int
    level: float

    @property
    def begin(self) -> float:
        """Time of the first speech in seconds."""
        return self.start / SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """Time from the first to the last speech."""
        return len(self.marks) / SAMPLE_RATE

    def cut(self, wave: Waveform, around: float = 0.0) -> Waveform:
        """Cut the recording, at any rate, to what lies between the first and the last speech.

        Args:
            wave: the recording.
            around: seconds that stay before and after; zeros where the recording has none.
        """
        import numpy as np

        ends = (self.begin - around, self.begin + self.seconds + around)
        first, last = (round(end * wave.sample_rate) for end in ends)
        inside = wave.samples[max(first, 0) : max(last, 0)]
        ahead = min(max(-first, 0), last - first)
        whole = np.pad(inside, (ahead, last - first - ahead - len(inside)))
        return Waveform(np.ascontiguousarray(whole), wave.sample_rate)

    def at(self, frame_ms: float, frames: int) -> NDArray[np.bool_]:
        """Which of so many frames of the cut recording, centred every ``frame_ms`` from its start, are speech."""
        import numpy as np

        places = np.round(np.arange(frames) * (frame_ms * SAMPLE_RATE / 1000.0)).astype(int)
        chosen: NDArray[np.bool_] = self.marks[np.minimum(places, len(self.marks) - 1)]
        return chosen


@dataclass(frozen=True, slots=True)
class SpeechFinder:
    """Finds speech by its level.

    The power of a recording at 16 kHz, above 70 Hz, is averaged over ``window_ms`` around each sample. The active
    level is that of ITU-T P.56: the mean power of what lies within ``margin_db`` below that very mean. What reaches
    the margin is speech. Weaker sound that leads up to it or dies away after it (stops, fricatives, ends of words)
    belongs to it for up to ``hold_ms``, as far as it lies within ``tail_db`` below the active level and
    ``noise_db`` above the noise, which is the quietest ``noise_ms`` between the first and the last speech. Gaps
    of up to ``hold_ms`` are filled; what lasts less than ``least_ms`` is no speech.

    P.56 itself holds on for 200 ms after speech whatever is there. Here only sound is held: where a recording
    happens to end must not decide what counts. For the same reason nothing is learnt from what comes before the
    first or after the last speech. The detectors of SoX and WebRTC (:mod:`vceval.signal.vad`) know absolute levels
    and adapt to what comes first: gain and padding move them.

    Source: ITU-T P.56, "Objective measurement of active speech level", method B, 2011.
    """

    margin_db: float = 15.9
    tail_db: float = 30.0
    hold_ms: float = 200.0
    window_ms: float = 20.0
    least_ms: float = 40.0
    noise_ms: float = 100.0
    noise_db: float = 6.0

    def __str__(self) -> str:
        """As signatures put it."""
        return (
            f"p56,margin:{self.margin_db:g}dB,tail:{self.tail_db:g}dB,hold:{self.hold_ms:g}ms,win:{self.window_ms:g}ms"
            f",least:{self.least_ms:g}ms,noise:{self.noise_ms:g}ms+{self.noise_db:g}dB"
        )

    def find(self, wave: Waveform) -> Speech:
        """Find the speech of a mono recording; none in silence, or where nothing lasts."""
        given = audio.resample(wave, SAMPLE_RATE)
        return audio.once(given, self, lambda: self._found(given.samples))

    def _found(self, given: NDArray[np.float32]) -> Speech:
        import numpy as np

        # Silence around every recording: one that ends in speech is then judged as one that goes on with zeros
        around = self._count(self.window_ms)
        samples = np.pad(given, around)
        power = self._power(samples)
        level = self._active(power)
        marks = self._marks(power, level) if level > 0.0 else np.zeros(len(power), dtype=bool)
        places = np.flatnonzero(marks)
        start, stop = (int(places[0]), int(places[-1]) + 1) if len(places) else (around, around)
        return Speech(marks[start:stop], start - around, float(np.sqrt(level)))

    def require(self, wave: Waveform, name: str) -> Speech:
        """Find the speech of the recording that messages call ``name``.

        Raises:
            ItemError: there is none.
        """
        found = self.find(wave)
        if not len(found.marks):
            raise ItemError(f"{name}: no speech is found: no {self.least_ms:g} ms stand out of it; listen to the file")
        return found

    def _power(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        """Power around each sample, without hum and DC."""
        import numpy as np

        # A Butterworth filter of first order, by the bilinear transform
        warped = np.tan(np.pi * _HIGH_PASS / SAMPLE_RATE)
        summed = deemphasis(samples, (1.0 - warped) / (1.0 + warped))
        high_passed = np.diff(summed, prepend=0.0) / (1.0 + warped)
        size = self._count(self.window_ms)
        total = np.cumsum(np.pad(np.square(high_passed), (size // 2 + 1, size - size // 2 - 1)))
        # Sums of tiny numbers after large ones may come out below zero
        power: NDArray[np.float64] = np.maximum(total[size:] - total[:-size], 0.0) / size
        return power

    def _active(self, power: NDArray[np.float64]) -> float:
        """Mean power of what lies within the margin of that mean."""
        import numpy as np

        falling = np.sort(power)[::-1]
        counts = np.arange(1, len(falling) + 1)
        # With a threshold at falling[k], the mean is total / k
        above = falling * counts * _ratio(self.margin_db) - falling.sum()
        top = int(np.argmax(above))
        ends = np.flatnonzero(above[top:] < 0.0)
        count = top + int(ends[0]) if len(ends) else len(falling)
        return float(falling.sum() / max(count, 1))

    def _marks(self, power: NDArray[np.float64], level: float) -> NDArray[np.bool_]:
        """Widen what is surely speech by what is heard next to it, fill gaps, drop what is too short."""
        import numpy as np

        hold, least = self._count(self.hold_ms), self._count(self.least_ms)
        begins, ends = _runs(power > level * _ratio(-self.margin_db))
        long = ends - begins >= least
        begins, ends = begins[long], ends[long]
        if not len(begins):
            return np.zeros(len(power), dtype=bool)
        noise = self._noise(power[begins[0] : ends[-1]])
        low = max(level * _ratio(-self.tail_db), noise * _ratio(self.noise_db))
        heard = power > low
        # First place from which on all is heard up to a place, and last one
        places = np.arange(len(heard))
        since = np.maximum.accumulate(np.where(heard, -1, places)) + 1
        until = np.minimum.accumulate(np.where(heard, len(heard), places)[::-1])[::-1]
        begins = np.maximum(since[begins], begins - hold)
        ends = np.minimum(until[ends - 1], ends + hold)
        marks = np.zeros(len(heard), dtype=bool)
        for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            near = number + 1 < len(begins) and begins[number + 1] - end <= hold
            marks[begin : begins[number + 1] if near else end] = True
        return marks

    def _noise(self, power: NDArray[np.float64]) -> float:
        """Power of the quietest ``noise_ms`` between the first and the last sure speech."""
        import numpy as np

        size = min(self._count(self.noise_ms), len(power))
        total = np.cumsum(np.pad(power, (1, 0)))
        return max(float((total[size:] - total[:-size]).min()), 0.0) / size

    def _count(self, milliseconds: float) -> int:
        return round(milliseconds * SAMPLE_RATE / 1000.0)


#: How the default measures find speech.
BY_LEVEL = SpeechFinder()


def _ratio(decibel: float) -> float:
    return float(10.0 ** (decibel / 10.0))


def _runs(marks: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Begins and ends (past the last) of the runs of True."""
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]])))
    return edges[::2], edges[1::2]
