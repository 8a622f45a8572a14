"""Speed of scoring verification trials: every recording embedded once, against both recordings of every trial.

    python benchmarks/speed/trials.py [FOLDER] [--recordings 100] [--pairs 30] [--rounds 3] [--processes 2]

The task is 30,000 trials over 3,000 recordings. Scripts that take a list of pairs embed both recordings of every pair:
60,000 embeddings (here with Resemblyzer's own code and one thread). vceval embeds 3,000 recordings in processes of one
thread and then scores all trials at once. Embedding is measured on a part, ``--pairs`` and ``--recordings``, in
turn, and multiplied up to the task; drawing and scoring the 30,000 trials is measured as a whole. ``processor`` is the
ratio of processor time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

__all__ = ["main"]

TRIALS, RECORDINGS, SPEAKERS = 30_000, 3_000, 100
_SUFFIXES = {".flac", ".wav"}
_SHARE = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of scoring verification trials.")
    parser.add_argument("folder", type=Path, nargs="?", help="recordings (default: the demo corpus)")
    parser.add_argument("--recordings", type=int, default=100, help="recordings that vceval embeds (default 100)")
    parser.add_argument("--pairs", type=int, default=30, help="pairs that are embedded pair by pair (default 30)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of both sides (default 3)")
    parser.add_argument("--processes", type=int, default=2, help="processes of vceval (default 2)")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import torch
    from resemblyzer import VoiceEncoder, preprocess_wav

    torch.set_num_threads(1)
    paths = _recordings(options.folder, options.recordings)
    encoder = VoiceEncoder("cpu", verbose=False)
    pairs = [(paths[n % len(paths)], paths[(7 * n + 1) % len(paths)]) for n in range(options.pairs)]
    embedding: list[tuple[float, float]] = []
    pairwise: list[tuple[float, float]] = []
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        shares = [paths[start : start + _SHARE] for start in range(0, len(paths), _SHARE)]
        list(pool.map(_warm, [paths[:1]] * options.processes))  # every process has loaded its weights
        encoder.embed_utterance(preprocess_wav(paths[0]))
        for _ in range(options.rounds):
            wall, processor = time.perf_counter(), time.process_time()
            for first, second in pairs:
                one, other = (encoder.embed_utterance(preprocess_wav(path)) for path in (first, second))
                float(one @ other)
            pairwise.append((time.perf_counter() - wall, time.process_time() - processor))
            wall = time.perf_counter()
            spent = sum(pool.map(_embed, shares))
            embedding.append((time.perf_counter() - wall, spent))
    scoring = [_score() for _ in range(options.rounds)]
    print(f"{TRIALS} trials over {RECORDINGS} recordings; {options.rounds} rounds, {os.cpu_count()} processors")
    print(f"measured: {len(pairs)} pairs one by one, {len(paths)} recordings by vceval; the rest multiplied up")
    print(f"{'':12s} {'pair by pair s':>14s} {'embed once s':>12s} {'score s':>8s} {'ratio':>6s}")
    for which, name in enumerate(("wall", "processor")):
        theirs = statistics.median(timed[which] for timed in pairwise) / len(pairs) * TRIALS
        embed = statistics.median(timed[which] for timed in embedding) / len(paths) * RECORDINGS
        score = statistics.median(timed[which] for timed in scoring)
        print(f"{name:12s} {theirs:14.0f} {embed:12.1f} {score:8.2f} {theirs / (embed + score):6.1f}")


def _score() -> tuple[float, float]:
    """Draw and score all trials of 3,000 embeddings: wall and processor time."""
    import numpy as np

    from vceval.metrics.trials import Speech, draw_pairs

    generator = np.random.default_rng(0)
    vectors = generator.random((RECORDINGS, 256))
    speech = Speech(
        [str(number) for number in range(RECORDINGS)],
        [str(number) for number in range(SPEAKERS)],
        [None] * SPEAKERS,
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        np.arange(RECORDINGS) % SPEAKERS,
        np.arange(RECORDINGS),
        generator.integers(0, 2**64, RECORDINGS, dtype=np.uint64),
        0,
    )
    wall, processor = time.perf_counter(), time.process_time()
    pairs, _ = draw_pairs(speech, TRIALS)
    scores = (speech.embeddings[pairs[:, 0]] * speech.embeddings[pairs[:, 1]]).sum(axis=1)
    if len(scores) != TRIALS:
        raise RuntimeError(f"{len(scores)} trials were drawn, {TRIALS} were wanted")
    return time.perf_counter() - wall, time.process_time() - processor


def _recordings(folder: Path | None, count: int) -> list[Path]:
    if folder is None:
        import vceval.benchmarks.demo as demo

        folder = Path(str(demo.__file__)).parent / "audio"
    found = sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES)
    if len(found) < count:
        raise SystemExit(f"{folder}: holds {len(found)} recordings, {count} are wanted; give --recordings")
    step = len(found) / count
    return [found[int(place * step)] for place in range(count)]


def _warm(paths: list[Path]) -> None:
    """Load what is needed, and stay busy until the other processes have done so too."""
    _embed(paths)
    time.sleep(5.0)


def _embed(paths: list[Path]) -> float:
    """Embed some recordings in a process of the pool, without a cache: processor time."""
    warnings.simplefilter("ignore")
    from vceval.metrics.sv_resemblyzer import ResemblyzerEncoder
    from vceval.storage.cache import Cache

    processor = time.process_time()
    found: dict[Path, Any] = ResemblyzerEncoder(Cache(None)).embed_many(paths)
    if len(found) < len(paths):
        raise RuntimeError(f"{len(paths) - len(found)} recordings hold no speech; choose others")
    return time.process_time() - processor


if __name__ == "__main__":
    main()
