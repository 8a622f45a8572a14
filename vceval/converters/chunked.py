"""The converter ``chunked``: any converter of this process made a streaming one, window by window.

Every ``hop`` the last ``window`` of the source is converted as if it were a recording, and of what comes out that part
is given which stands for the next ``hop`` of the source; the first ``crossfade`` of it is faded with what the window
before had for the same place. ``lookahead`` is how much of the window lies behind that part. So a sample of the output
hears ``hop`` + ``lookahead`` beyond itself at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from vceval import registry
from vceval.converters.base import Converter, ConverterInfo, Footprint, Outcome, Request
from vceval.converters.streams import Clock, LocalStream, Streaming, heard_whole
from vceval.errors import ItemError, UsageError
from vceval.signal.audio import Waveform
from vceval.storage.code_identity import code_identity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Chunked"]

#: Seconds by which the output of a window may be longer or shorter than what it stands for.
_SLACK = 0.1
#: Milliseconds of the longest window.
_LONGEST = 60_000


class Chunked(Converter, Streaming):
    """Converts window by window; the output is as long as the source, at the rate of the converter.

    Before the source begins there is silence in the window, and after its end. A window that the converter refuses (too
    little speech in it, say) gives silence; where it refuses all, the pair fails by its reason. What the prompts need
    is computed once.

    Args:
        of: the converter, by its registered name.
        options: those of the converter.
        window: milliseconds that are converted at a time.
        hop: milliseconds between two windows.
        lookahead: milliseconds of the window behind the part that is used.
        crossfade: milliseconds over which two windows are faded; no more than ``lookahead`` and ``hop``.

    Raises:
        UsageError: the numbers do not fit each other, or there is no such converter.
    """

    info: ClassVar[ConverterInfo] = ConverterInfo(
        name="chunked",
        title="Converter in chunks",
        sample_rate=None,
        licence="that of the converter",
        paper="",
        kind="chunked",
        trained_on=None,
    )
    batch_size = 1

    def __init__(
        self,
        *,
        of: str,
        options: Mapping[str, Any] | None = None,
        window: float = 1000.0,
        hop: float = 160.0,
        lookahead: float = 80.0,
        crossfade: float = 20.0,
    ) -> None:
        sizes = {"window": window, "hop": hop, "lookahead": lookahead, "crossfade": crossfade}
        for name, value in sizes.items():
            least = 1 if name in ("window", "hop") else 0  # a hop below one sample would never come to an end
            if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= _LONGEST:
                raise UsageError(f"chunked: {name} is {value!r}; give milliseconds from {least} to {_LONGEST:,}")
        if crossfade > lookahead or crossfade > hop:
            raise UsageError(
                f"chunked: crossfade {crossfade:g} is longer than lookahead {lookahead:g} or hop {hop:g}: "
                "two windows can only be faded where both hear the source"
            )
        if window < hop + lookahead:
            raise UsageError(
                f"chunked: window {window:g} is shorter than hop and lookahead, {hop + lookahead:g} in all"
            )
        if not isinstance(of, str):
            raise UsageError(f"chunked: of is {of!r}; name a converter, such as world")
        kind = registry.load("converter", of)
        if kind.info.control or issubclass(kind, Streaming) or kind.info.sample_rate is None:
            raise UsageError(
                f"chunked: {of} can't be made a streaming converter; programs stream by protocol 2, and controls and "
                "audio from elsewhere convert nothing"
            )
        try:
            self._converter: Converter = kind(**(options or {}))
        except TypeError as error:
            raise UsageError(f"chunked: converter {of!r} does not take these options: {error}") from None
        self.of, self.own_chunk, self.sizes = of, float(hop), sizes
        inner = self._converter.info
        vars(self)["info"] = replace(
            inner, name="chunked", title=f"{inner.title} in chunks", kind="chunked", control=False
        )
        self._converter.batch_size = self._converter.encoding_cache_size = 1
        self._windows = 0

    def open(self, device: str) -> None:
        """Open the converter."""
        self._converter.encodes_alone = True
        self._converter.open(device)

    def close(self) -> None:
        """Close the converter."""
        self._converter.close()

    def assets(self) -> dict[str, Path]:
        """Give the files of the converter."""
        return self._converter.assets()

    def missing_files(self) -> list[str]:
        """Say which files of the converter are missing."""
        return self._converter.missing_files()

    def footprint(self) -> Footprint:
        """Say what the converter takes."""
        return self._converter.footprint()

    def identity(self, device: str) -> dict[str, Any] | None:
        """Name the identity of the converter, the sizes, and the code here."""
        inner = self._converter.identity(device)
        return None if inner is None else {"of": inner, "sizes": self.sizes, "chunked": code_identity(__name__)}

    def convert(self, requests: Sequence[Request]) -> list[Outcome]:
        """Stream each source as fast as it goes."""
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Outcome:
        try:
            source = request.source
            return heard_whole(self, request, source, self._samples("hop", source.sample_rate))
        except ItemError as error:
            return error

    def begin(self, request: Request, rate: int, chunk: int, clock: Clock, whole: bool = False) -> LocalStream:
        """Make ready for a source: a window of silence brings up the networks, and encodes the prompts."""
        if not request.pair.prompts:
            raise ItemError(f"pair {request.pair.id} has no prompt recording")
        assert self.info.sample_rate is not None
        return LocalStream(_Windows(self, request, rate), clock)

    def converted(self, request: Request, window: Waveform) -> Waveform | ItemError:
        """Convert one window of a source."""
        # A pair of its own, as encodings of sources are kept by pair where there is no file
        self._windows += 1
        pair = replace(request.pair, id=f"{request.pair.id}#{self._windows}", source=None)
        asked = Request(request.system, pair, request.seed, request.output)
        vars(asked).update(source=window, prompts=request.prompts)
        [outcome] = self._converter.checked_outcomes([asked])
        return outcome if isinstance(outcome, Waveform | ItemError) else ItemError(f"{self.of} gave no audio")

    def kept(self, source: Waveform) -> tuple[float, float]:
        """Say which part of a window the output of the converter stands for."""
        return self._converter.kept(source)

    def _samples(self, name: str, rate: int) -> int:
        return round(self.sizes[name] * rate / 1000.0)


class _Windows:
    """The engine: collects the source, and converts a window whenever there is enough of it."""

    def __init__(self, owner: Chunked, request: Request, rate: int) -> None:
        import numpy as np

        assert owner.info.sample_rate is not None
        self.rate = owner.info.sample_rate
        self._owner, self._request, self._source_rate = owner, request, rate
        self._window, self._hop, self._ahead, self._fade = (
            owner._samples(name, rate) for name in ("window", "hop", "lookahead", "crossfade")
        )
        self._window = max(self._window, self._hop + self._ahead)  # each of them is rounded
        #: What later windows reach of the source, and the place of its first sample; silence is before the source.
        self._heard, self._start = np.zeros(self._window, np.float32), -self._window
        self._length = self._number = 0
        self._tail = np.zeros(0, np.float32)
        self._refusals: list[ItemError] = []
        owner.converted(request, Waveform(self._heard, rate))

    def push(self, samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Take a chunk, and convert what has become complete."""
        import numpy as np

        self._heard = np.concatenate([self._heard, samples])
        self._length += len(samples)
        while (self._number + 1) * self._hop + self._ahead <= self._length:
            yield self._next()

    def finish(self) -> Iterator[NDArray[np.float32]]:
        """Convert the rest, with silence behind it; what stands for that silence is cut."""
        import numpy as np

        self._heard = np.concatenate([self._heard, np.zeros(self._hop + self._ahead, np.float32)])
        while self._number * self._hop < self._length:
            left = self._place(self._length) - self._place(self._number * self._hop)
            yield self._next()[:left]
        if self._number and len(self._refusals) == self._number:
            raise self._refusals[0]

    def _place(self, sample: int) -> int:
        """The sample of the output that stands for one of the source."""
        return round(sample * self.rate / self._source_rate)

    def _next(self) -> NDArray[np.float32]:
        """Convert the next window, and give what stands for one hop."""
        import numpy as np

        first = self._number * self._hop
        last = first + self._hop + self._ahead
        begin = last - self._window
        size = self._place(first + self._hop) - self._place(first)
        part = self._part(begin, last, self._place(first), size + self._place(self._fade))
        self._number += 1
        faded = len(self._tail)
        rising = (np.arange(faded, dtype=np.float32) + 0.5) / max(1, faded)
        part[:faded] = part[:faded] * rising + self._tail * (1.0 - rising)
        self._tail = part[size:]
        self._heard, self._start = self._heard[begin + self._hop - self._start :], begin + self._hop
        return part[:size]

    def _part(self, begin: int, last: int, place: int, wanted: int) -> NDArray[np.float32]:
        """Convert the window between two samples of the source; give the output's samples from a place on."""
        import numpy as np

        found = np.zeros(wanted, np.float32)
        heard = Waveform(self._heard[begin - self._start : last - self._start], self._source_rate)
        made = self._owner.converted(self._request, heard)
        if isinstance(made, ItemError):
            self._refusals.append(made)
            return found
        if made.sample_rate != self.rate:
            raise ItemError(f"{self._owner.of} gave {made.sample_rate} Hz, and says that it gives {self.rate} Hz")
        start, stop = self._owner.kept(heard)
        if abs(made.seconds - (stop - start)) > _SLACK:
            self._refusals.append(ItemError(
                f"{self._owner.of} gave {made.seconds:.2f} s for {stop - start:.2f} s of a window: it cuts what it is "
                "given, and does not say where"
            ))  # fmt: skip
            return found
        skipped = place - self._place(begin) - round(start * self.rate)
        taken = made.samples[max(0, skipped) : max(0, skipped + wanted)]
        offset = max(0, -skipped)
        found[offset : offset + len(taken)] = taken[: wanted - offset]
        return found
