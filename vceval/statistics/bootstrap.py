"""Drawing whole clusters of scores with replacement: for an EER, an AUC or a correlation, no sums over pairs."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from vceval.statistics.inference import t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["SEED", "draws", "percentile_levels", "resample"]

#: Default seed of every resampling; results are the same on every machine.
SEED = 12_345
#: Cells of the largest array held at once while resampling.
_BLOCK = 1 << 20


def resample(
    columns: Sequence[ArrayLike], labels: Sequence[Hashable | None], resamples: int = 2000, seed: int = SEED
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Sum each column over all items, shape (columns,), and over each resample, shape (columns, resamples).

    The third result is the number of clusters; below two nothing is drawn. Without any label every item is a cluster;
    where only some have one, the others together are one.

    Raises:
        ValueError: lengths differ, or a value is not finite.
    """
    import numpy as np

    values = np.stack([np.asarray(column, dtype=np.float64) for column in columns])
    if values.shape[-1] != len(labels):
        raise ValueError(f"lengths differ: {values.shape[-1]} values, {len(labels)} cluster labels")
    if not np.isfinite(values).all():
        raise ValueError("a value is NaN or infinite")
    totals = values.sum(axis=1)
    codes, count = _codes(labels)
    if count < 2:
        return totals, np.empty((len(values), 0)), count
    sums = [np.bincount(codes, row, minlength=count) for row in values]
    blocks = [np.array([row[draw].sum(axis=1) for row in sums]) for draw in draws(count, resamples, seed)]
    return totals, np.concatenate(blocks, axis=1), count


def percentile_levels(clusters: int, confidence: float = 0.95) -> tuple[float, float]:
    """Lower and upper percentile (as fractions) that give an interval its nominal coverage with few clusters.

    The normal quantile behind a plain percentile interval is replaced by that of Student's t with clusters - 1
    degrees of freedom and widened by sqrt(clusters / (clusters - 1)), the factor by which a bootstrap
    understates the standard error. For many clusters the plain levels come out; for two or three nearly the
    whole range of the resamples is taken, and even that is not wide enough.

    Source: Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69, 2015.
    """
    tail = NormalDist().cdf(t_quantile((1.0 - confidence) / 2.0, clusters - 1) * sqrt(clusters / (clusters - 1)))
    return tail, 1.0 - tail


def _codes(labels: Sequence[Hashable | None]) -> tuple[NDArray[np.intp], int]:
    """Number the clusters by label, so that the order of items changes nothing; without labels each item is one."""
    import numpy as np

    if all(label is None for label in labels):
        return np.arange(len(labels)), len(labels)
    known = sorted(set(labels), key=lambda label: (label is not None, str(label)))
    number = {label: index for index, label in enumerate(known)}
    return np.array([number[label] for label in labels], dtype=np.intp), len(known)


def draws(clusters: int, resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Draw clusters with replacement: numbers of shape (some resamples, clusters), in blocks of bounded size."""
    import numpy as np

    generator = np.random.default_rng(seed)
    step = max(1, _BLOCK // clusters)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        yield generator.integers(clusters, size=(size, clusters))
