"""Which published figures may stand beside those of a run, and what differs between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from vceval.results.views import MeasureView, Report

__all__ = ["Beside", "beside"]

#: What papers call our measures, where it is not the label.
_MEASURES = {
    "SECS": "sv_cosine", "SV cosine": "sv_cosine", "SV acceptance": "sv_accept", "F0 correlation": "f0_corr",
    "F0 PCC": "f0_corr", "N-MOS": "MOS", "nMOS": "MOS", "NMOS": "MOS",
}  # fmt: skip


class Beside(NamedTuple):
    """Whether a published figure may stand beside a run's.

    measure: in whose column. differs: in what the two differ all the same. refused: why it may not; empty where it may.
    """

    measure: MeasureView | None
    differs: tuple[str, ...] = ()
    refused: str = ""


def beside(row: Mapping[str, Any], report: Report) -> Beside:
    """Say whether a published figure may stand beside those of a run.

    It may where the run has a measure of its name in its unit, with the same better side, and conversions of its
    corpus, and where its paper measures what others mean by that name. Neither makes the two equal: what else is known
    to differ is said.

    Args:
        row: as :func:`vceval.protocol.published.read` gives it; the summaries of older runs say less.
        report: of the run.
    """
    if row.get("apart"):
        return Beside(None, refused=str(row["apart"]))
    measure = _measure(str(row["metric"]), report.measures)
    if measure is None:
        return Beside(None, refused=f"the run has no {row['metric']}")
    if row.get("better") and row["better"] != measure.better:
        return Beside(measure, refused=f"{row['metric']} is better {row['better']} there")
    corpus, ours = str(row.get("corpus") or ""), ", ".join(report.datasets)
    if corpus and not any(_plain(name) in _plain(corpus) for name in report.datasets):
        return Beside(measure, refused=f"speech of {corpus}, not of {ours}")
    differs = []
    if not corpus:
        differs.append("corpus not said")
    elif _plain(corpus) != _plain(ours):
        differs.append(f"corpus: {corpus}")
    if row.get("split"):
        differs.append(f"speakers: {row['split']}")
    if row.get("evaluator"):
        differs.append(f"measured with: {row['evaluator']}")
    if str(row.get("measured_by") or "authors") != "authors":
        differs.append(f"measured by: {row['measured_by']}")
    return Beside(measure, tuple(differs))


def _measure(metric: str, measures: Iterable[MeasureView]) -> MeasureView | None:
    wanted = _MEASURES.get(metric, metric)
    for measure in measures:
        if wanted in (measure.name, measure.label.partition(" (")[0]):
            return measure
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
