"""Measure how the scores of converters vary, for the simulation of the gate: ``noise.json``.

    vceval score SHARED/published_demos/conversions.csv --natural SHARED/published_demos/natural_speech.csv --out RUN
    python benchmarks/simulations/noise.py RUN OUT

The published demos hold no two runs of the same model. They hold variants of models on the same pairs, and what two
variants do differently bounds from above what two runs of one would. Estimated by restricted maximum likelihood, one
figure a mixed model:

- level: how scores of one system vary between target speakers, source speakers and pairs;
- night, ``closest``: how two variants differ by target speaker, source speaker and pair, a variant, for the two
  variants of 20 common pairs or more that are nearest to each other in speaker similarity;
- night, ``variants``: the same over all variants of all families: too much for two runs of one model, for certain.

How large the noise is can be told from so few values; how much of it lies between speakers can not, and the simulation
shares it out anew (``World`` in nights.py). A constant difference between variants is taken out. MCD exists for eight
values of two variants (of all families): both figures are the same there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vceval.results.rundir import RunDirectory

if TYPE_CHECKING:
    import numpy as np
    import pandas
    from numpy.typing import NDArray

__all__ = ["components", "main"]

#: Variants of one model, as the demo pages name them.
FAMILIES = (
    ("FreeVC", "FreeVC-s", "FreeVC-wo-SR"),
    ("MediumVC", "MediumVC-WO-S", "MediumVC-WU-S"),
    ("VQMIVC", "VQMIVC-wo-MI"),
    ("FragmentVC", "FragmentVC-5utt"),
    ("VQVC+", "VQVC+-37"),
    ("VQVAE", "HLE-VQVAE"),
)
MEASURES = {"sv_accept": "sv_cosine", "mcd": "mcd", "wer": "wer_capped", "bandwidth": "bandwidth"}
LEAST_COMMON = 20


def components(
    values: NDArray[np.float64], fixed: Sequence[Hashable], *factors: Sequence[Hashable]
) -> tuple[float, ...]:
    """Standard deviations of random factors and of the rest, by restricted maximum likelihood.

    Args:
        values: shape (n,).
        fixed: label of each value; the mean of each label is free.
        factors: labels of each random factor.

    Returns:
        One per factor, then that of the residual.

    Source: Patterson and Thompson, "Recovery of inter-block information when block sizes are unequal", Biometrika
    58, 1971.
    """
    import numpy as np
    from scipy.optimize import minimize

    means = _indicator(fixed)
    basis, _, _ = np.linalg.svd(means, full_matrices=True)
    contrasts = basis[:, means.shape[1] :]
    kernels = [contrasts.T @ z @ z.T @ contrasts for z in map(_indicator, factors)]
    kernels.append(np.eye(contrasts.shape[1]))
    rest = contrasts.T @ values

    def loss(logs: NDArray[np.float64]) -> float:
        total = sum(np.exp(log) * kernel for log, kernel in zip(logs, kernels, strict=True))
        root = np.linalg.cholesky(total)
        return float(0.5 * np.square(np.linalg.solve(root, rest)).sum() + np.log(np.diag(root)).sum())

    start = np.full(len(kernels), np.log(rest.var() / len(kernels)))
    limits = [(start[0] - 14.0, start[0] + 5.0)] * len(kernels)
    found = min(
        (minimize(loss, start + shift, bounds=limits) for shift in (0.0, np.linspace(-1, 1, len(kernels)))),
        key=lambda one: float(one.fun),
    )
    return tuple(float(value) for value in np.sqrt(np.exp(found.x)))


def _indicator(labels: Sequence[Hashable]) -> NDArray[np.float64]:
    import numpy as np

    order = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    matrix = np.zeros((len(labels), len(order)))
    matrix[np.arange(len(labels)), [order[label] for label in labels]] = 1.0
    return matrix


def _level(scores: pandas.DataFrame) -> dict[str, Any]:
    system = list(scores.system)
    found = components(
        scores.value.to_numpy(),
        list(zip(system, scores.dataset, strict=True)),
        list(zip(system, scores.dataset, scores.target_speaker.fillna("?"), strict=True)),
        list(zip(system, scores.dataset, scores.source_speaker.fillna("?"), strict=True)),
    )
    return {**dict(zip(("target", "source", "pair"), map(_short, found), strict=True)), "values": len(scores)}


def _night(scores: pandas.DataFrame, families: Sequence[Sequence[str]]) -> dict[str, Any]:
    family = {name: number for number, names in enumerate(families) for name in names}
    chosen = scores[scores.system.isin(family)]
    chosen = chosen.assign(family=chosen.system.map(family))
    chosen = chosen[chosen.groupby(["family", "pair"]).pair.transform("size") > 1]
    found = components(
        chosen.value.to_numpy(),
        list(zip(chosen.system, chosen.dataset, strict=True)),
        list(zip(chosen.family, chosen.pair, strict=True)),
        list(zip(chosen.system, chosen.target_speaker.fillna("?"), strict=True)),
        list(zip(chosen.system, chosen.source_speaker.fillna("?"), strict=True)),
    )
    return {**dict(zip(("target", "source", "pair"), map(_short, found[1:]), strict=True)), "values": len(chosen)}


def _closest(scores: pandas.DataFrame) -> tuple[str, str]:
    """The two variants of enough common pairs whose similarities differ least from pair to pair."""
    spread = {}
    for one, other in itertools.chain.from_iterable(itertools.combinations(family, 2) for family in FAMILIES):
        both = [scores[scores.system == name].set_index("pair").value for name in (one, other)]
        difference = (both[0] - both[1]).dropna()
        if len(difference) >= LEAST_COMMON:
            spread[one, other] = float(difference.std())
    return min(spread, key=lambda pair: spread[pair])


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write ``noise.json``."""
    parser = argparse.ArgumentParser(description="Measure how scores vary in a run over the published demos.")
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args(arguments)
    scores = RunDirectory(given.run).read_scores()
    closest = _closest(scores[scores.measure == "sv_cosine"])
    accepted = scores[scores.measure == "sv_accept"]
    largest = accepted.groupby("system").size().idxmax()
    means = {"sv_accept": accepted[accepted.system == largest].value.mean()}
    content: dict[str, Any] = {"closest": list(closest), "typical": largest, "measures": {}}
    for measure, stored in MEASURES.items():
        mine = scores[scores.measure == stored]
        common = mine[mine.system.isin(closest)]
        variants = _night(mine, FAMILIES)
        content["measures"][measure] = {
            "stored": stored,
            "mean": _short(float(means.get(measure, mine.value.mean()))),
            "level": _level(mine),
            "closest": _night(mine, [closest]) if len(common) >= 2 * LEAST_COMMON else variants,
            "variants": variants,
        }
    path = given.out / "noise.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
