"""Panels: metrics of one family that ask the same question of different speaker encoders, and how far these agree."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vceval.results.outcomes import Outcomes
from vceval.results.views import MeasureView
from vceval.statistics.rank_correlation import kendall_agreement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Judge", "members", "panels_of"]


@dataclass(frozen=True, slots=True)
class Judge:
    """One metric of a panel: its encoder's title, and the measure that its verdict rests on."""

    metric: str
    title: str
    measure: MeasureView


def members(metrics: Iterable[tuple[str, str]], measures: Sequence[MeasureView]) -> dict[str, list[Judge]]:
    """Find the panels among metrics, given as name and encoder: two or more of one family, each with its own encoder.

    Of each, the measure with a calibrated threshold counts that answers whose voice it is.
    """
    found: dict[str, dict[str, Judge]] = {}
    for name, encoder in metrics:
        rate = next((m for m in measures if m.metric == name and m.thresholded and m.question == "voice"), None)
        if encoder and rate:
            found.setdefault(name.partition(":")[0], {}).setdefault(encoder, Judge(name, encoder, rate))
    return {family: list(judges.values()) for family, judges in found.items() if len(judges) > 1}


def panels_of(
    outcomes: Outcomes,
    systems: Sequence[str],
    metrics: Iterable[tuple[str, str]],
    measures: Sequence[MeasureView],
    comparisons: Sequence[Mapping[str, Any]],
    kin: Mapping[tuple[str, str], str],
) -> list[dict[str, Any]]:
    """Make the entries of ``panels`` in ``summary.json``: who judges, and how far every two of them agree.

    ``metrics`` are given as name and encoder.

    Agreement is Kendall's tau over the systems that neither judge is kin to, each on all of its own pairs, which are
    the same for both judges; its interval comes from resampled target speakers. ``against`` names the pairs of systems
    that two judges put the other way round, both significantly.
    """
    return [
        {
            "family": family,
            "judges": [{"metric": j.metric, "encoder": j.title, "measure": j.measure.name} for j in judges],
            "agreement": [
                _agreement(outcomes, systems, first, second, comparisons, kin)
                for first, second in itertools.combinations(judges, 2)
            ],
        }
        for family, judges in members(metrics, measures).items()
    ]


def _agreement(
    outcomes: Outcomes,
    systems: Sequence[str],
    first: Judge,
    second: Judge,
    comparisons: Sequence[Mapping[str, Any]],
    kin: Mapping[tuple[str, str], str],
) -> dict[str, Any]:
    fair = [name for name in systems if not {(name, first.metric), (name, second.metric)} & kin.keys()]
    sums = [_sums(outcomes, fair, judge.measure) for judge in (first, second)]
    known = [place for place in range(len(fair)) if all(one[place, 1].any() for one in sums)]
    tau, low, high = kendall_agreement(sums[0][known], sums[1][known], outcomes.speakers.targets)
    signs = [_significant(comparisons, judge.measure) for judge in (first, second)]
    against = [
        list(pair) for pair, sign in signs[0].items() if signs[1].get(pair, sign) != sign and set(pair) <= set(fair)
    ]
    return {
        "first": first.title, "second": second.title, "systems": len(known),
        "left_out": [name for name in systems if name not in fair],
        "tau": tau, "low": low, "high": high, "against": against,
    }  # fmt: skip


def _sums(outcomes: Outcomes, systems: Sequence[str], measure: MeasureView) -> NDArray[np.float64]:
    """Numerators and denominators, (systems, 2, pairs), zero where a pair has no value."""
    import numpy as np

    found = [outcomes.outcome(name, measure) for name in systems]
    columns = [[np.where(one.valued, part, 0.0) for part in (one.numerators, one.denominators)] for one in found]
    return np.array(columns).reshape(len(systems), 2, len(outcomes.speakers.targets))


def _significant(comparisons: Sequence[Mapping[str, Any]], measure: MeasureView) -> dict[tuple[str, str], bool]:
    """Pairs of systems that differ significantly over all pairs, and whether the first is ahead."""
    from vceval.results.marks import ALPHA

    return {
        (str(one["first"]), str(one["second"])): measure.sign * one["difference"] < 0
        for one in comparisons
        if one["measure"] == measure.name and (one["dataset"], one["direction"]) == ("all", "all")
        and one["p_holm"] is not None and one["p_holm"] < ALPHA and one["difference"]
    }  # fmt: skip
