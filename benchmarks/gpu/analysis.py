"""Speed of WORLD's analysis with mel-cepstra, and of exact dynamic time warping: on the processor and on a GPU.

    python benchmarks/gpu/analysis.py [--recordings 400] [--rounds 3] [--device cuda] [--json FILE]

The recordings are the demo corpus's, again and again at other levels. Compared are pyworld in threads on all cores,
vceval's own form in the same threads, and its form for a device, in seconds of speech per second of wall-clock time;
the rounds alternate, medians are printed. Samples start and results end in the processor's memory. The deviations are
those from pyworld.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE, ORDER, ALPHA = 16_000, 24, 0.42

Analysis = tuple["NDArray[np.float64]", "NDArray[np.float64]"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of WORLD's analysis and of exact time warping.")
    parser.add_argument("--recordings", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path, help="add lines of JSON with the results to this file")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported
    rows = [_analysis(options), _warping(options)]
    for row in rows:
        print(row)
        if options.json:
            with open(options.json, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")


def _analysis(options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from vceval.signal import world
    from vceval.signal.audio import Waveform

    waves = _recordings(options.recordings)
    pyworld, matrix = world.pyworld_module(), world.mel_cepstrum_matrix(513, ORDER, ALPHA)

    def theirs(samples: NDArray[np.float32]) -> Analysis:
        x = samples.astype(np.float64)
        f0, times = pyworld.dio(x, RATE)
        f0 = pyworld.stonemask(x, f0, times, RATE)
        return f0, np.log(pyworld.cheaptrick(x, f0, times, RATE)) @ matrix

    def ours(samples: NDArray[np.float32]) -> Analysis:
        return world.world_cepstra(Waveform(samples, RATE), ORDER, ALPHA)

    ours(waves[0])  # machine code is compiled or read now
    _on_device(waves[:8], options.device, matrix)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        timed = _rounds(
            options.rounds,
            {
                "pyworld": lambda: list(pool.map(theirs, waves)),
                "processor": lambda: list(pool.map(ours, waves)),
                "device": lambda: _on_device(waves, options.device, matrix),
            },
        )
    seconds = sum(map(len, waves)) / RATE
    row = {"measure": "analysis", "recordings": len(waves), "seconds": seconds, "cores": os.cpu_count()}
    row |= {f"{side}_seconds_a_second": seconds / taken for side, (taken, _) in timed.items()}
    row["device_against_pyworld"] = timed["pyworld"][0] / timed["device"][0]
    row["device_against_processor"] = timed["processor"][0] / timed["device"][0]
    for side in ("processor", "device"):
        apart = [
            (np.abs(f0 - expected_f0), np.abs(cepstra - expected).max(axis=1))
            for (f0, cepstra), (expected_f0, expected) in zip(timed[side][1], timed["pyworld"][1], strict=True)
        ]
        pitch, spectrum = (np.concatenate(values) for values in zip(*apart, strict=True))
        alike = pitch <= 1e-3
        row[f"{side}_f0_deviation_hz"] = float(pitch[alike].max())
        row[f"{side}_other_decisions"] = int((~alike).sum())
        row[f"{side}_cepstra_deviation"] = float(spectrum[alike].max())
    return row


def _on_device(waves: list[NDArray[np.float32]], device: str, matrix: NDArray[np.float64]) -> list[Analysis]:
    """Analyse in batches of like lengths, 10 minutes at most."""
    from vceval.signal import world_torch

    order = sorted(range(len(waves)), key=lambda number: len(waves[number]))
    results: dict[int, Analysis] = {}
    while order:
        longest = len(waves[order[-1]])
        count = max(1, 600 * RATE // longest)
        chosen, order = order[-count:], order[:-count]
        made = world_torch.batch_analysis(*world_torch.pad([waves[n] for n in chosen], device), RATE, matrix)
        f0, cepstra = made.f0.cpu().numpy(), made.cepstra.cpu().numpy()
        for row, (number, frames) in enumerate(zip(chosen, made.frames, strict=True)):
            results[number] = f0[row, :frames], cepstra[row, :frames]
    return [results[number] for number in range(len(waves))]


def _warping(options: argparse.Namespace) -> dict[str, Any]:
    from vceval.metrics.dtw import dtw
    from vceval.metrics.dtw_torch import dtw_batch
    from vceval.signal import world
    from vceval.signal.audio import Waveform

    waves = _recordings(min(40, options.recordings))
    frames = [world.world_cepstra(Waveform(samples, RATE), ORDER, ALPHA)[1][:, 1:] for samples in waves]
    count = options.recordings
    firsts = [frames[n % len(frames)] for n in range(count)]
    seconds = [frames[(n * 7 + n // len(frames) + 1) % len(frames)] for n in range(count)]
    dtw(firsts[0], seconds[0])
    dtw_batch(firsts[:4], seconds[:4], options.device)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        timed = _rounds(
            options.rounds,
            {
                "processor": lambda: list(pool.map(dtw, firsts, seconds)),
                "device": lambda: dtw_batch(firsts, seconds, options.device),
            },
        )
    pairs = list(zip(timed["processor"][1], timed["device"][1], strict=True))
    return {
        "measure": "dtw",
        "pairs": count,
        "cores": os.cpu_count(),
        **{f"{side}_pairs_a_second": count / taken for side, (taken, _) in timed.items()},
        "device_against_processor": timed["processor"][0] / timed["device"][0],
        "largest_deviation": max(abs(one[0] - other[0]) / max(one[0], 1.0) for one, other in pairs),
        "other_lengths": sum(one[1] != other[1] for one, other in pairs),
    }


def _rounds(rounds: int, sides: dict[str, Callable[[], Any]]) -> dict[str, tuple[float, Any]]:
    """Median of the seconds of each side, and what it made."""
    taken: dict[str, list[float]] = {side: [] for side in sides}
    made: dict[str, Any] = {}
    for _ in range(rounds):
        for side, work in sides.items():
            began = time.perf_counter()
            made[side] = work()
            taken[side].append(time.perf_counter() - began)
    return {side: (statistics.median(seconds), made[side]) for side, seconds in taken.items()}


def _recordings(count: int) -> list[NDArray[np.float32]]:
    """Samples at 16 kHz."""
    import numpy as np

    from vceval.corpora.demo import Demo
    from vceval.signal import audio

    known = [audio.resample(audio.load(utterance.path), RATE).samples for utterance in Demo().utterances()][:count]
    return [known[n % len(known)] * np.float32(0.9 ** (n // len(known))) for n in range(count)]


if __name__ == "__main__":
    main()
