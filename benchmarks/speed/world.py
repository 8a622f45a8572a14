"""WORLD's analysis as vceval computes it against pyworld: time of each stage, and the largest deviation.

    python benchmarks/speed/world.py [FOLDER ...] [--rounds 3] [--recordings 20] [--deviation] [--signals 1000]

The time is that of one processor, both sides measured alternately in one process; medians of the ratios over recordings
and rounds. FOLDER holds recordings (default: the demo corpus). ``--deviation`` compares values instead: of all
recordings in the folders, each at its own rate, and of random signals, which are silence, clicks, tones, glides, noise
and mixtures with digital silence, 8 to 48 kHz, down to a single sample.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Deviation", "deviation", "largest", "main", "random_signals"]

RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
#: Rate and FFT size (None: by the rate) of the stage table; 22,050 Hz with 512 is what pymcd does.
_STAGES: tuple[tuple[int, int | None], ...] = ((16_000, None), (22_050, 512), (48_000, None))


class Deviation(NamedTuple):
    """Our values against pyworld's, of one recording or of many.

    ``f0``: largest difference in Hz among the frames where both decide alike; ``decided``: frames where one has no
    pitch, or another one (more than 0.001 Hz apart). ``envelope``: largest relative difference of any bin, given the
    same F0; ``cepstra``: largest distance of the mel-cepstra of a frame in dB, as MCD counts it.
    """

    frames: int
    f0: float
    decided: int
    envelope: float
    cepstra: float


def deviation(samples: NDArray[np.float64], rate: int) -> Deviation:
    """Compare one recording."""
    import numpy as np

    from vceval.metrics.mcd import DECIBEL
    from vceval.signal import world, world_arrays

    pyworld = world.pyworld_module()
    f0, times = pyworld.dio(samples, rate)
    expected = pyworld.stonemask(samples, f0, times, rate)
    found = world_arrays.stonemask(samples, world_arrays.dio(samples, rate, 5.0)[0], times, rate)
    envelope = pyworld.cheaptrick(samples, expected, times, rate)
    ratio = world_arrays.cheaptrick(samples, expected, times, rate) / envelope
    matrix = world.mel_cepstrum_matrix(envelope.shape[1], 24, 0.42)
    gaps = (np.log(envelope) @ matrix - world_arrays.smoothed_cepstra(samples, expected, times, rate, matrix))[:, 1:]
    apart = np.abs(found - expected)
    alike = apart <= 1e-3
    return Deviation(
        len(f0),
        float(apart[alike].max(initial=0.0)),
        int((~alike).sum()),
        float(np.abs(ratio - 1.0).max()),
        float(DECIBEL * np.sqrt((gaps * gaps).sum(axis=1)).max()),
    )


def largest(found: Iterable[Deviation]) -> Deviation:
    """Sum the frames and take the largest of each deviation."""
    frames, f0, decided, envelope, cepstra = zip(*found, strict=True)
    return Deviation(sum(frames), max(f0), sum(decided), max(envelope), max(cepstra))


def random_signals(count: int, seed: int = 0) -> Iterator[tuple[str, NDArray[np.float64], int]]:
    """Make signals of many kinds and rates: kind, samples, rate."""
    import numpy as np

    generator = np.random.default_rng(seed)
    makers = _makers(generator)
    for number in range(count):
        kind = list(makers)[number % len(makers)]
        rate = int(generator.choice(RATES))
        seconds = float(generator.uniform(0.05, 0.6))
        yield kind, makers[kind](np.arange(max(1, int(rate * seconds))) / rate), rate


def _makers(generator: np.random.Generator) -> dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]:
    import numpy as np

    def clicks(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return (generator.random(len(t)) < 0.002) * generator.normal(size=len(t))

    def tone(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return 0.5 * np.sin(2 * np.pi * generator.uniform(40.0, 1000.0) * t + generator.uniform(0.0, 6.0))

    def voice(t: NDArray[np.float64]) -> NDArray[np.float64]:
        pitch = generator.uniform(75.0, 400.0) * (1.0 + 0.2 * np.sin(2 * np.pi * generator.uniform(0.5, 4.0) * t))
        phase = 2 * np.pi * np.cumsum(pitch) * t[min(1, len(t) - 1)]
        partials = [np.sin(k * phase) / k for k in range(1, 12)]
        return np.asarray(0.2 * np.sum(partials, axis=0) + 1e-3 * generator.normal(size=len(t)))

    def interrupted(t: NDArray[np.float64]) -> NDArray[np.float64]:
        made = voice(t)
        made[len(t) // 3 : 2 * len(t) // 3] = 0.0
        return made

    return {
        "silence": lambda t: np.zeros(len(t)),
        "constant": lambda t: np.full(len(t), generator.uniform(-1.0, 1.0)),
        "clicks": clicks,
        "tone": tone,
        "voice": voice,
        "voice of 16 bits": lambda t: np.round(voice(t) * 32768) / 32768,
        "clipped voice": lambda t: np.clip(4.0 * voice(t), -0.3, 0.3),
        "interrupted voice": interrupted,
        "noise": lambda t: generator.normal(size=len(t)) * 10.0 ** generator.uniform(-5.0, 0.0),
        "very short": lambda t: generator.normal(size=int(generator.integers(1, 400))),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="WORLD's analysis against pyworld: time and deviation.")
    parser.add_argument("folder", type=Path, nargs="*", help="recordings (default: the demo corpus)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of both sides (default 3)")
    parser.add_argument("--recordings", type=int, default=20, help="recordings that are timed (default 20)")
    parser.add_argument("--deviation", action="store_true", help="compare values, not times")
    parser.add_argument("--signals", type=int, default=1000, help="random signals that are compared (default 1000)")
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported
    from vceval.benchmarks import demo

    folders = options.folder or [Path(str(demo.__file__)).parent / "audio"]
    files = {f: sorted(p for p in f.rglob("*") if p.suffix.lower() in (".flac", ".wav")) for f in folders}
    if options.deviation:
        _print_deviations(files, options.signals)
    else:
        everything = [path for paths in files.values() for path in paths]
        _print_stages(everything[:: max(1, len(everything) // options.recordings)], options.rounds)


def _print_deviations(files: dict[Path, list[Path]], signals: int) -> None:
    from vceval.signal import audio

    print(f"{'compared':28s} {'number':>6s} {'frames':>7s} {'F0, Hz':>8s} {'other decision':>14s} {'envelope':>8s} dB")
    for folder, paths in files.items():
        waves = (audio.load(path) for path in paths)
        _print_row(folder.name, [deviation(wave.samples.astype("float64"), wave.sample_rate) for wave in waves])
    kinds: dict[str, list[Deviation]] = {}
    for kind, samples, rate in random_signals(signals):
        kinds.setdefault(kind, []).append(deviation(samples, rate))
    for kind, found in kinds.items():
        _print_row(kind, found)


def _print_row(title: str, found: list[Deviation]) -> None:
    worst = largest(found)
    print(
        f"{title:28s} {len(found):6d} {worst.frames:7d} {worst.f0:8.1e} {worst.decided:14d} {worst.envelope:8.1e} "
        f"{worst.cepstra:.1e}",
        flush=True,
    )


def _print_stages(paths: list[Path], rounds: int) -> None:
    import numpy as np

    from vceval.signal import audio, world, world_arrays

    pyworld = world.pyworld_module()
    print(f"{len(paths)} recordings, {rounds} rounds; ms of processor time a second of speech")
    print(f"{'rate':>6s} {'stage':12s} {'pyworld':>8s} {'vceval':>7s} {'ratio':>6s}")
    for rate, size in _STAGES:
        waves = [np.asarray(audio.resample(audio.load(path), rate).samples, dtype=np.float64) for path in paths]
        times: dict[str, list[tuple[float, float]]] = {}
        for turn in range(rounds + 1):
            for x in waves:
                (f0, at), theirs = _timed(pyworld.dio, x, rate)
                row = {"DIO": (theirs, _timed(world_arrays.dio, x, rate, 5.0)[1])}
                fine, theirs = _timed(pyworld.stonemask, x, f0, at, rate)
                row["StoneMask"] = (theirs, _timed(world_arrays.stonemask, x, f0, at, rate)[1])
                # The size comes after the factor of spectral recovery and the lowest F0, here at their defaults
                _, theirs = _timed(pyworld.cheaptrick, x, fine, at, rate, -0.15, 71.0, size)
                row["CheapTrick"] = (theirs, _timed(world_arrays.cheaptrick, x, fine, at, rate, size)[1])
                row["all"] = (sum(pair[0] for pair in row.values()), sum(pair[1] for pair in row.values()))
                for stage, pair in row.items():
                    if turn:  # the first round compiles and fills caches
                        times.setdefault(stage, []).append(pair)
        seconds = rounds * sum(len(x) for x in waves) / rate
        for stage, pairs in times.items():
            theirs, ours = (1000.0 * sum(pair[side] for pair in pairs) / seconds for side in (0, 1))
            ratio = statistics.median(their / our for their, our in pairs)
            print(f"{rate:6d} {stage:12s} {theirs:8.2f} {ours:7.2f} {ratio:6.2f}", flush=True)


def _timed(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    began = time.process_time()
    made = work(*arguments)
    return made, time.process_time() - began


if __name__ == "__main__":
    main()
