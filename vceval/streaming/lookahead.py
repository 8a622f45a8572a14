"""How far beyond itself a stream hears, by perturbation: whoever says nothing of it, or too little, is measured too.

The source is changed from a moment on, and the first sample of the output that changes is looked for. That one hears
the moment; the last moment that it hears is found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vceval.signal.audio import Waveform

__all__ = ["Horizon", "horizons", "perturbed", "repeats"]

#: A stream, up to so many samples of its output at least; None for all of them.
Run = Callable[["Waveform", int | None], "NDArray[np.float32]"]
#: By how much samples are changed at least, and of the peak of the output, by how much two equal streams may differ.
_CHANGE, _NOISE = 0.25, 1e-3


class Horizon(NamedTuple):
    """The last sample of the source that a sample of the output hears; ``whole`` where it hears the source's end."""

    output: int
    source: int
    whole: bool

    def ahead(self, source_rate: int, rate: int, delay: int) -> float:
        """How far beyond its own moment the sample hears, in samples of the source; ``delay`` is in the output's."""
        return self.source - (self.output - delay) * source_rate / rate


def perturbed(source: Waveform, moment: int) -> Waveform:
    """Change every sample of a source from a moment on, by a quarter of full scale at least."""
    import numpy as np

    from vceval.signal.audio import Waveform

    samples = source.samples.copy()
    rest = samples[moment:]
    drawn = np.random.default_rng(moment).random(len(rest), np.float32)
    rest -= np.where(rest >= 0.0, 1.0, -1.0).astype(np.float32) * _CHANGE * (1.0 + drawn)
    return Waveform(samples, source.sample_rate)


def repeats(first: NDArray[np.float32], second: NDArray[np.float32]) -> float | None:
    """How much two streams of one source differ, of full scale; None where that is too much to see a change by."""
    import numpy as np

    if len(first) != len(second):
        return None
    noise = float(np.max(np.abs(first - second), initial=0.0))
    return noise if noise <= _NOISE * float(np.max(np.abs(first), initial=0.0)) else None


def horizons(
    run: Run, source: Waveform, usual: NDArray[np.float32], noise: float, moments: Sequence[int]
) -> list[Horizon]:
    """Find what the first sample that hears a moment hears at last, for several moments.

    Args:
        run: streams a source.
        source: of the stream.
        usual: what it gives for the source.
        noise: by which two such streams differ.
        moments: samples of the source.
    """
    import numpy as np

    def changes(moment: int, count: int | None) -> NDArray[np.bool_]:
        found = run(perturbed(source, moment), None if count is None else count)
        length = min(len(found), len(usual), len(usual) if count is None else count)
        changed: NDArray[np.bool_] = np.abs(found[:length] - usual[:length]) > 2.0 * noise
        return changed

    last = len(source.samples) - 1
    found: list[Horizon] = []
    for moment in moments:
        changed = changes(moment, None)
        if not changed.any():
            continue
        output = int(np.argmax(changed))

        def hears(later: int, output: int = output) -> bool:
            return bool(changes(later, output + 1).any())

        low, step = moment, 256
        while low + step < last and hears(low + step):
            low, step = low + step, 2 * step
        high = min(low + step, last)
        if high == last and hears(last):
            found.append(Horizon(output, last, True))
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if hears(middle) else (low, middle)
        found.append(Horizon(output, low, False))
    return found
