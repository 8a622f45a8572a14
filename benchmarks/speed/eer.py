"""Speed and memory of the equal error rate, against scikit-learn's ROC curve and a root finder.

    python benchmarks/speed/eer.py [--scores 10000000] [--rounds 3]

Needs scikit-learn. Its side is the usual recipe: ``roc_curve``, linear interpolation built once, ``brentq``. Both work
on the same shuffled scores, a tenth of them targets, float64 and float32, in turn; medians of processor time are
printed, and the peak of memory besides the scores (and, for scikit-learn, labels), as tracemalloc sees it.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of the equal error rate against scikit-learn.")
    parser.add_argument("--scores", type=int, default=10_000_000, help="scores (default 10 million)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of both sides (default 3)")
    options = parser.parse_args(arguments)
    import numpy as np

    generator = np.random.default_rng(0)
    labels = generator.random(options.scores) < 0.1
    drawn = generator.standard_normal(options.scores) + 2.0 * labels
    print(f"{options.scores} scores, {options.rounds} rounds, processor time")
    print(
        f"{'type':8s} {'scikit-learn s':>14s} {'vceval s':>9s} {'ratio':>6s} {'MB':>6s} {'MB':>6s} {'difference':>10s}"
    )
    for kind in (np.float64, np.float32):
        scores = drawn.astype(kind)
        target, nontarget = scores[labels], scores[~labels]
        theirs, ours = [], []
        for _ in range(options.rounds):
            theirs.append(_timed(partial(_sklearn, labels, scores)))
            ours.append(_timed(partial(_vceval, target, nontarget)))
        ratio = statistics.median(their[1] / our[1] for their, our in zip(theirs, ours, strict=True))
        peaks = [_peak(partial(_sklearn, labels, scores)), _peak(partial(_vceval, target, nontarget))]
        print(
            f"{np.dtype(kind).name:8s} {statistics.median(t[1] for t in theirs):14.3f} "
            f"{statistics.median(t[1] for t in ours):9.3f} {ratio:6.1f} {peaks[0]:6.0f} {peaks[1]:6.0f} "
            f"{abs(theirs[0][0] - ours[0][0]):10.1e}"
        )


def _vceval(target: Any, nontarget: Any) -> float:
    from vceval.statistics.eer import equal_error_rate

    return equal_error_rate(target, nontarget)[0]


def _sklearn(labels: Any, scores: Any) -> float:
    from scipy.interpolate import interp1d
    from scipy.optimize import brentq
    from sklearn.metrics import roc_curve

    alarms, hits, _ = roc_curve(labels, scores)
    curve = interp1d(alarms, hits)
    return float(brentq(lambda x: 1.0 - x - curve(x), 0.0, 1.0))


def _timed(work: Callable[[], float]) -> tuple[float, float]:
    start = time.process_time()
    value = work()
    return value, time.process_time() - start


def _peak(work: Callable[[], object]) -> float:
    """Largest memory in use while ``work`` runs, in MB (10^6 bytes), above what was in use before."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (peak - before) / 1e6


if __name__ == "__main__":
    main()
