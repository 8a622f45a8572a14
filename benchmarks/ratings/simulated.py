"""Made-up runs whose agreement with people is known: what ``vceval agree`` should find.

A system has a quality, its files deviate from it, listeners have levels and tastes of their own, and ratings have
noise. A metric's figures go with qualities and deviations as closely as is wished. All are normal, so that every
coefficient with the means of so many ratings is known. Every listener rates every system equally often.

Source of Spearman's coefficient within systems of few files: Moran, "Rank correlation and product-moment correlation",
Biometrika 35, 1948; of the others: Kruskal, "Ordinal measures of association", Journal of the American Statistical
Association 53, 1958.
"""

from __future__ import annotations

from math import asin, pi, sqrt
from typing import NamedTuple

import numpy as np

from vceval.statistics.agreement import COEFFICIENTS, LEVELS, Draws, Figures, Panel, agreement

#: Standard deviations in points of a scale of five: of systems, files, listeners, listeners' tastes and ratings.
SYSTEM, FILE, LISTENER, TASTE, RATING = 0.7, 0.35, 0.5, 0.3, 0.8
#: Draws of listeners of each run.
RESAMPLES = 100


class Simulated(NamedTuple):
    """One kind of run: how many of everything, and the correlation of the metric with true quality.

    each: ratings of a file; ``files`` times ``each`` is a multiple of ``listeners``.
    """

    systems: int
    files: int
    listeners: int
    each: int
    correlation: float

    @property
    def name(self) -> str:
        """What tables call it."""
        return (
            f"{self.systems} systems × {self.files} files, {self.listeners} listeners, {self.each} ratings a file, "
            f"r = {self.correlation:g}"
        )

    def truth(self) -> dict[tuple[str, str], float]:
        """Every coefficient, by level."""
        between = SYSTEM**2 + FILE**2 / self.files
        noise = TASTE**2 / self.listeners + RATING**2 / (self.files * self.each)
        one = (LISTENER**2 + TASTE**2 + RATING**2) / self.each
        plain = {
            "systems": self.correlation * sqrt(between / (between + noise)),
            "files": self.correlation * sqrt((SYSTEM**2 + FILE**2) / (SYSTEM**2 + FILE**2 + one)),
            "within": self.correlation * sqrt(FILE**2 / (FILE**2 + one)),
        }
        found = {(level, "pearson"): value for level, value in plain.items()}
        found |= {(level, "spearman"): 6.0 / pi * asin(plain[level] / 2.0) for level in ("systems", "files")}
        few = asin(plain["within"]) + (self.files - 2) * asin(plain["within"] / 2.0)
        found["within", "spearman"] = 6.0 / (pi * (self.files + 1)) * few
        found["systems", "kendall"] = 2.0 / pi * asin(plain["systems"])
        return found

    def draw(self, random: np.random.Generator) -> tuple[Panel, Figures]:
        """A panel, and what the metric says of the files and systems."""
        of_file = np.repeat(np.arange(self.systems), self.files)
        quality, metric = self._pair(random, self.systems)
        deviation, of_metric = self._pair(random, len(of_file))
        opinion = SYSTEM * quality[of_file] + FILE * deviation
        says = SYSTEM * metric[of_file] + FILE * of_metric
        slots = self.files * self.each
        every = np.repeat(np.arange(self.listeners), slots // self.listeners)
        listeners = np.concatenate([random.permutation(every) for _ in range(self.systems)])
        files = np.repeat(np.arange(len(of_file)), self.each)
        scores = (
            opinion[files]
            + LISTENER * random.normal(size=self.listeners)[listeners]
            + TASTE * random.normal(size=(self.systems, self.listeners))[of_file[files], listeners]
            + RATING * random.normal(size=len(files))
        )
        means = says.reshape(self.systems, self.files).mean(axis=1)
        return Panel(files, listeners, scores, of_file), Figures(says[:, None], means[:, None])

    def _pair(self, random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        one = random.normal(size=count)
        rest = random.normal(size=count)
        return one, self.correlation * one + sqrt(1.0 - self.correlation**2) * rest


class Recovered(NamedTuple):
    """Of one coefficient: the truth, the mean of what was found, how often the interval held the truth."""

    truth: float
    mean: float
    coverage: float


DESIGNS = (
    Simulated(12, 20, 40, 4, 0.5),
    Simulated(20, 10, 60, 6, 0.8),
)


def study(design: Simulated, runs: int, seed: int = 0) -> dict[tuple[str, str], Recovered]:
    """Draw so many runs, and look how often each interval holds the truth."""
    random = np.random.default_rng(seed)
    truth = design.truth()
    keys = [(level, name) for level in LEVELS for name in COEFFICIENTS[level]]
    values: dict[tuple[str, str], list[float | None]] = {key: [] for key in keys}
    held = dict.fromkeys(keys, 0)
    for run in range(runs):
        panel, metric = design.draw(random)
        found = agreement(Draws(panel, RESAMPLES, run), metric)
        for key in keys:
            one = found[key[0]][key[1]]
            values[key].append(one.value)
            held[key] += one.low is not None and one.high is not None and one.low <= truth[key] <= one.high
    return {
        key: Recovered(truth[key], float(np.mean(np.array(values[key], dtype=np.float64))), held[key] / runs)
        for key in keys
    }
